"""
How a délai is counted: days, calendar days, months and years, after or before an event.

Pure. Each answer carries the rules it was counted by, for whoever reads it to
check. A date that the paper leaves open gives no answer but the reason, in French
for whoever waits for it: nothing is guessed.

    CPC art. 641 al. 1   a limit in days does not count the day of the event
    CPC art. 641 al. 2   months and years end on the same quantième, else on the month's last day
    CPC art. 642         a last day on a Saturday, Sunday or holiday moves to the next working day
    CJA art. R421-1      two months, franc: the last day is not counted either

What moves and what does not is the term's own business (*extended*): a notice
period is not moved (Cass. 3e civ., 8 March 2018, 17-11.312), nor is a limit
counted backwards. So are the holidays that count (*holidays*): those of Alsace
and Moselle do not move a limit in Besançon or Chambéry.
"""

from calendar import monthrange
from datetime import date, timedelta
from functools import cache
from typing import Final, Literal

import msgspec

from contracts.dates import PartialDate
from contracts.terms import Delay, EachYear, Holidays
from services.domain import french

DAYS_RULE: Final = "CPC art. 641 al. 1"
MONTHS_RULE: Final = "CPC art. 641 al. 2"
EXTENSION_RULE: Final = "CPC art. 642"
FRANC_RULE: Final = "délai franc (CJA art. R421-1)"
CLEAR_DAYS_RULE: Final = french.typeset(
    "jours francs : ni le jour de l’événement ni celui de l’acte ne comptent"
)
BEFORE_RULE: Final = french.typeset("« avant le » : le jour dit n’est pas compris")
UNTIL_RULE: Final = french.typeset("« au plus tard le » : le jour dit est compris")
BACKWARD_RULE: Final = "compté à rebours, sans report"


class Limit(msgspec.Struct, frozen=True):
    """The last day that is in time, and the rules that gave it. *opens_on*: from when, where that is said."""

    last_day: date
    rules: tuple[str, ...]
    opens_on: date | None = None


class NotComputable(msgspec.Struct, frozen=True):
    """
    No day can be told, and why.

    The *anchor* has no date yet, or one that is *known* without its day; the paper does not
    say which event starts the count; or the day lies beyond the calendar (year 9999).
    """

    because: Literal["anchor-missing", "anchor-imprecise", "anchor-unstated", "beyond-calendar"]
    anchor: str
    known: PartialDate | None = None

    @property
    def sentence(self) -> str:
        """The reason in French, without capital or full stop."""
        return french.typeset(self._reason())

    def _reason(self) -> str:
        match self.because:
            case "anchor-missing":
                return f"pas encore calculable : date inconnue à ce jour (« {self.anchor} »)"
            case "anchor-imprecise":
                known = french.date_in_words(self.known) if self.known else ""
                return f"pas encore calculable : date connue sans le jour (« {self.anchor} » : {known})"
            case "anchor-unstated":
                return f"pas calculable : le texte ne dit pas de quel jour part le délai (« {self.anchor} »)"
            case "beyond-calendar":
                return f"pas calculable : au-delà du calendrier (« {self.anchor} »)"


def counted(delay: Delay, anchor: PartialDate | None) -> Limit | NotComputable:
    """The last day in time of *delay*, counted from the day of *anchor*."""
    if anchor is None or anchor.precision == "unknown":
        return NotComputable("anchor-missing", delay.anchor)
    if anchor.day is None:
        return NotComputable("anchor-imprecise", delay.anchor, anchor)
    try:
        return _counted(delay, anchor.day)
    except (OverflowError, ValueError):
        return NotComputable("beyond-calendar", delay.anchor)


def _counted(delay: Delay, anchor: date) -> Limit:
    rule = DAYS_RULE if delay.unit in ("day", "calendar-day") else MONTHS_RULE
    if delay.direction == "before":
        first, clear = _moved(anchor, delay, -1), tuple[str, ...]()
        if delay.franc:
            first, clear = first - timedelta(days=1), (CLEAR_DAYS_RULE,)
        return Limit(first, (rule, *clear, BACKWARD_RULE))
    last, rules = _moved(anchor, delay, 1), [rule]
    if delay.franc:
        last, rules = last + timedelta(days=1), [*rules, FRANC_RULE]
    return _extended(Limit(last, tuple(rules)), delay)


def yearly(when: EachYear, exercice: int) -> Limit:
    """The last day in time of a day, or of a month, that comes back each year, for one exercice."""
    year = exercice + when.of_exercice
    length = monthrange(year, when.month)[1]
    if when.day is None:
        opens_on = date(year, when.month, 1)
        if not when.inclusive:
            return _extended(Limit(opens_on - timedelta(days=1), (BEFORE_RULE,)), when)
        return _extended(Limit(date(year, when.month, length), (UNTIL_RULE,), opens_on), when)
    # 29 February is the month's last day in the years that have none.
    said = date(year, when.month, min(when.day, length))
    if when.inclusive:
        return _extended(Limit(said, (UNTIL_RULE,)), when)
    return _extended(Limit(said - timedelta(days=1), (BEFORE_RULE,)), when)


def on_date(said: PartialDate, what: str) -> Limit | NotComputable:
    """The last day in time of a date that a paper names: the day itself, or the end of its month or year."""
    if said.last is None:
        return NotComputable("anchor-missing", what)
    return Limit(said.last, (UNTIL_RULE,), None if said.day else said.first)


def period_end(start: date, months: int) -> date:
    """The last day of a period of *months* that begins on *start*: the eve of the same quantième."""
    end = _months_from(start, months)
    # Where the last month is too short to have it, the period ends with that month.
    return end if end.day < start.day else end - timedelta(days=1)


def anniversary(start: date, years: int) -> date:
    """The day *years* after *start*, of the same quantième, or the month's last (CPC art. 641 al. 2)."""
    return _months_from(start, 12 * years)


def is_working_day(day: date, *, region: Holidays) -> bool:
    """Whether *day* is neither a Saturday, a Sunday nor a public holiday."""
    return day.weekday() < 5 and day not in holidays(day.year, region=region)


def next_working_day(day: date, *, region: Holidays) -> date:
    """The first working day on or after *day*."""
    while not is_working_day(day, region=region):
        day += timedelta(days=1)
    return day


@cache
def holidays(year: int, *, region: Holidays = "national") -> frozenset[date]:
    """The public holidays of a year (Code du travail L3133-1; L3134-13 for Alsace and Moselle)."""
    sunday = easter(year)
    fixed = ((1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25))
    days = {date(year, month, day) for month, day in fixed}
    days |= {sunday + timedelta(days=after) for after in (1, 39, 50)}
    if region == "alsace-moselle":
        days |= {sunday - timedelta(days=2), date(year, 12, 26)}
    return frozenset(days)


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar, by the rule of the golden number and the epacts."""
    golden = year % 19
    century = year // 100
    # The epact tells the moon's age; two corrections keep it with the sun and the moon over the centuries.
    epact = (century - century // 4 - (8 * century + 13) // 25 + 19 * golden + 15) % 30
    full_moon = epact - (epact // 28) * (1 - (29 // (epact + 1)) * ((21 - golden) // 11))
    weekday = (year + year // 4 + full_moon + 2 - century + century // 4) % 7
    after = full_moon - weekday
    month = 3 + (after + 40) // 44
    return date(year, month, after + 28 - 31 * (month // 4))


def _extended(limit: Limit, policy: Delay | EachYear) -> Limit:
    if not policy.extended or is_working_day(limit.last_day, region=policy.holidays):
        return limit
    last_day = next_working_day(limit.last_day, region=policy.holidays)
    return Limit(last_day, (*limit.rules, EXTENSION_RULE), limit.opens_on)


def _moved(day: date, delay: Delay, sign: int) -> date:
    match delay.unit:
        case "day" | "calendar-day":
            return day + timedelta(days=sign * delay.count)
        case "month":
            return _months_from(day, sign * delay.count)
        case "year":
            return _months_from(day, sign * 12 * delay.count)


def _months_from(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
