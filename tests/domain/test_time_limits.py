"""A délai is counted as the texts say, and what cannot be counted says why."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.dates import PartialDate
from contracts.terms import Delay, EachYear
from services.domain import french, time_limits
from services.domain.time_limits import Limit, NotComputable

DAYS = st.dates(date(1990, 1, 1), date(2150, 12, 31))


def delay(count: int, unit: str, **more: object) -> Delay:
    return Delay(count=count, unit=unit, anchor="l'événement", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "given_delay", "anchor", "last_day"),
    [
        (
            "appeal, published 2023-07-11",
            delay(2, "month", franc=True, extended=True),
            "2023-07-11",
            "2023-09-12",
        ),
        ("the same, not franc", delay(2, "month"), "2023-07-11", "2023-09-11"),
        (
            "appeal, notified 2007-10-01",
            delay(2, "month", franc=True, extended=True),
            "2007-10-01",
            "2007-12-03",
        ),
        ("the same, not extended", delay(2, "month", franc=True), "2007-10-01", "2007-12-02"),
        ("art. 11.1, letter sent 2026-11-30", delay(3, "month"), "2026-11-30", "2027-02-28"),
        ("the same, extended", delay(3, "month", extended=True), "2026-11-30", "2027-03-01"),
        ("art. 11.2, notice of 2026-07-01", delay(15, "day"), "2026-07-01", "2026-07-16"),
        ("art. 6.2, received 2026-12-20", delay(15, "calendar-day"), "2026-12-20", "2027-01-04"),
        (
            "art. 8.1.3, commission of 2026-12-10",
            delay(15, "calendar-day", direction="before"),
            "2026-12-10",
            "2026-11-25",
        ),
        ("notice before the anniversary", delay(3, "month", direction="before"), "2024-10-02", "2024-07-02"),
        ("a year from a leap day", delay(1, "year"), "2024-02-29", "2025-02-28"),
        (
            "five clear days before a session on a Friday",
            delay(5, "day", direction="before", franc=True),
            "2026-11-20",
            "2026-11-14",
        ),
        ("a notice of two years", delay(2, "year"), "2023-10-02", "2025-10-02"),
        ("a month from the 31st, in a leap year", delay(1, "month"), "2028-01-31", "2028-02-29"),
        ("no day at all", delay(0, "day"), "2026-11-20", "2026-11-20"),
        (
            "a limit counted backwards never moves",
            delay(1, "day", direction="before", extended=True),
            "2026-11-16",
            "2026-11-15",
        ),
    ],
)
def test_the_known_values_come_out(what: str, given_delay: Delay, anchor: str, last_day: str) -> None:
    limit = time_limits.counted(given_delay, PartialDate(anchor))
    assert isinstance(limit, Limit), what
    assert limit.last_day == date.fromisoformat(last_day), what


def test_each_answer_names_the_rules_it_was_counted_by() -> None:
    limit = time_limits.counted(delay(2, "month", franc=True, extended=True), PartialDate("2007-10-01"))
    assert isinstance(limit, Limit)
    assert limit.rules == (time_limits.MONTHS_RULE, time_limits.FRANC_RULE, time_limits.EXTENSION_RULE)
    plain = time_limits.counted(delay(2, "day"), PartialDate("2026-11-16"))
    assert plain == Limit(date(2026, 11, 18), (time_limits.DAYS_RULE,))
    clear = time_limits.counted(delay(5, "day", direction="before", franc=True), PartialDate("2026-11-20"))
    assert isinstance(clear, Limit)
    assert clear.rules == (
        time_limits.DAYS_RULE,
        time_limits.CLEAR_DAYS_RULE,
        time_limits.BACKWARD_RULE,
    )
    back = time_limits.counted(delay(2, "calendar-day", direction="before"), PartialDate("2026-11-16"))
    assert back == Limit(date(2026, 11, 14), (time_limits.DAYS_RULE, time_limits.BACKWARD_RULE))


@pytest.mark.parametrize(
    ("anchor", "because", "sentence"),
    [
        (
            None,
            "anchor-missing",
            "pas encore calculable : date inconnue à ce jour (« l'événement »)",
        ),
        (
            "XXXX",
            "anchor-missing",
            "pas encore calculable : date inconnue à ce jour (« l'événement »)",
        ),
        (
            "2026-11",
            "anchor-imprecise",
            "pas encore calculable : date connue sans le jour (« l'événement » : novembre 2026)",
        ),
        (
            "2014-36",
            "anchor-imprecise",
            "pas encore calculable : date connue sans le jour (« l'événement » : 4e trimestre 2014)",
        ),
        (
            "2026",
            "anchor-imprecise",
            "pas encore calculable : date connue sans le jour (« l'événement » : 2026)",
        ),
        ("9999-12-31", "beyond-calendar", "pas calculable : au-delà du calendrier (« l'événement »)"),
    ],
)
def test_a_date_that_is_not_known_to_the_day_gives_the_reason_and_no_guess(
    anchor: str | None, because: str, sentence: str
) -> None:
    answer = time_limits.counted(delay(1, "day"), PartialDate(anchor) if anchor else None)
    assert isinstance(answer, NotComputable)
    assert (answer.because, answer.anchor) == (because, "l'événement")
    assert answer.sentence == french.typeset(sentence)


def test_where_the_paper_does_not_say_from_when_the_reason_says_so() -> None:
    assert NotComputable("anchor-unstated", "mise en demeure").sentence == french.typeset(
        "pas calculable : le texte ne dit pas de quel jour part le délai (« mise en demeure »)"
    )


@pytest.mark.parametrize(
    ("said", "limit"),
    [
        ("2025-01-30", Limit(date(2025, 1, 30), (time_limits.UNTIL_RULE,))),
        ("2026-01", Limit(date(2026, 1, 31), (time_limits.UNTIL_RULE,), date(2026, 1, 1))),
        ("2014-36", Limit(date(2014, 12, 31), (time_limits.UNTIL_RULE,), date(2014, 10, 1))),
        ("2016", Limit(date(2016, 12, 31), (time_limits.UNTIL_RULE,), date(2016, 1, 1))),
        ("XXXX", NotComputable("anchor-missing", "le bilan")),
    ],
)
def test_a_date_named_by_the_paper_lasts_to_its_end(said: str, limit: Limit | NotComputable) -> None:
    assert time_limits.on_date(PartialDate(said), "le bilan") == limit


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ("2023-10-02", 24, "2025-10-01"),
        ("2026-01-01", 12, "2026-12-31"),
        ("2024-01-31", 1, "2024-02-29"),
        ("2023-01-30", 1, "2023-02-28"),
        ("2024-03-31", 1, "2024-04-30"),
    ],
)
def test_a_period_ends_on_the_eve_of_its_quantieme_or_with_a_month_too_short_for_it(
    start: str, months: int, end: str
) -> None:
    assert time_limits.period_end(date.fromisoformat(start), months) == date.fromisoformat(end)


@pytest.mark.parametrize(
    ("when", "exercice", "limit"),
    [
        (
            EachYear(8, 30, inclusive=False, of_exercice=-1),
            2027,
            Limit(date(2026, 8, 29), (time_limits.BEFORE_RULE,)),
        ),
        (EachYear(7, 15), 2026, Limit(date(2026, 7, 15), (time_limits.UNTIL_RULE,))),
        (EachYear(2), 2028, Limit(date(2028, 2, 29), (time_limits.UNTIL_RULE,), date(2028, 2, 1))),
        (EachYear(2, 29), 2027, Limit(date(2027, 2, 28), (time_limits.UNTIL_RULE,))),
        (  # 28 February 2026 is a Saturday
            EachYear(2, extended=True),
            2026,
            Limit(date(2026, 3, 2), (time_limits.UNTIL_RULE, time_limits.EXTENSION_RULE), date(2026, 2, 1)),
        ),
        (EachYear(8, inclusive=False), 2026, Limit(date(2026, 7, 31), (time_limits.BEFORE_RULE,))),
        (EachYear(1, 1, inclusive=False), 2026, Limit(date(2025, 12, 31), (time_limits.BEFORE_RULE,))),
        (
            # 15 August 2026 is a holiday and a Saturday.
            EachYear(8, 15, extended=True),
            2026,
            Limit(date(2026, 8, 17), (time_limits.UNTIL_RULE, time_limits.EXTENSION_RULE)),
        ),
        (
            # "Avant le" Sunday 30 August, extended: Saturday is the last day in time, and moves to Monday.
            EachYear(8, 30, inclusive=False, extended=True),
            2026,
            Limit(date(2026, 8, 31), (time_limits.BEFORE_RULE, time_limits.EXTENSION_RULE)),
        ),
        (EachYear(12, 26, extended=True), 2029, Limit(date(2029, 12, 26), (time_limits.UNTIL_RULE,))),
        (
            EachYear(12, 26, extended=True, holidays="alsace-moselle"),
            2029,
            Limit(date(2029, 12, 27), (time_limits.UNTIL_RULE, time_limits.EXTENSION_RULE)),
        ),
        (EachYear(7, 15, of_exercice=1), 2026, Limit(date(2027, 7, 15), (time_limits.UNTIL_RULE,))),
    ],
)
def test_a_day_of_every_year_is_in_the_year_it_says(when: EachYear, exercice: int, limit: Limit) -> None:
    assert time_limits.yearly(when, exercice) == limit


@pytest.mark.parametrize(
    "day",
    # From published calendars: the earliest and the latest there can be are among them.
    [
        "1818-03-22",
        "1943-04-25",
        "1954-04-18",
        "1981-04-19",
        "2000-04-23",
        "2008-03-23",
        "2019-04-21",
        "2023-04-09",
        "2024-03-31",
        "2025-04-20",
        "2026-04-05",
        "2027-03-28",
        "2028-04-16",
        "2029-04-01",
        "2030-04-21",
        "2038-04-25",
        "2049-04-18",
        "2076-04-19",
        "2285-03-22",
    ],
)
def test_easter_is_on_the_day_of_the_calendars(day: str) -> None:
    assert time_limits.easter(int(day[:4])) == date.fromisoformat(day)


def butcher(year: int) -> date:
    """Easter by the other rule: Butcher's of 1876, which takes other steps to the same Sunday."""
    golden = year % 19
    century, of_century = divmod(year, 100)
    lunar = (century - (century + 8) // 25 + 1) // 3
    moon = (19 * golden + century - century // 4 - lunar + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (of_century // 4) - moon - of_century % 4) % 7
    late = (golden + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def test_easter_is_the_same_by_another_rule_for_as_long_as_the_calendar_lasts() -> None:
    years = range(1583, 9999)
    assert [time_limits.easter(year) for year in years] == [butcher(year) for year in years]


def test_the_holidays_of_2026_are_the_eleven_of_the_code() -> None:
    eleven = (
        "01-01",
        "04-06",
        "05-01",
        "05-08",
        "05-14",
        "05-25",
        "07-14",
        "08-15",
        "11-01",
        "11-11",
        "12-25",
    )
    expected = {date.fromisoformat(f"2026-{day}") for day in eleven}
    assert time_limits.holidays(2026) == expected
    more = {date(2026, 4, 3), date(2026, 12, 26)}
    assert time_limits.holidays(2026, region="alsace-moselle") == expected | more


def test_a_limit_that_ends_on_saint_etienne_moves_in_metz_only() -> None:
    one_day = delay(1, "day", extended=True)
    christmas = PartialDate("2029-12-25")
    here = time_limits.counted(one_day, christmas)
    in_metz = delay(1, "day", extended=True, holidays="alsace-moselle")
    there = time_limits.counted(in_metz, christmas)
    assert isinstance(here, Limit)
    assert isinstance(there, Limit)
    assert (here.last_day, there.last_day) == (date(2029, 12, 26), date(2029, 12, 27))


@given(DAYS, st.integers(0, 400))
def test_days_are_counted_one_by_one(day: date, count: int) -> None:
    limit = time_limits.counted(delay(count, "day"), PartialDate.of(day))
    assert isinstance(limit, Limit)
    walked = day
    for _ in range(count):
        walked += timedelta(days=1)
    assert limit.last_day == walked


@given(DAYS, st.integers(0, 60))
def test_months_end_on_the_same_quantieme_or_the_months_last_day(day: date, count: int) -> None:
    limit = time_limits.counted(delay(count, "month"), PartialDate.of(day))
    assert isinstance(limit, Limit)
    end = limit.last_day
    assert (end.year * 12 + end.month) - (day.year * 12 + day.month) == count
    assert end.day == day.day or (end.day < day.day and (end + timedelta(days=1)).day == 1)


@given(DAYS)
def test_an_extension_ends_on_the_first_working_day_and_passes_over_none(day: date) -> None:
    found = time_limits.next_working_day(day, region="national")
    assert found.weekday() < 5
    assert found not in time_limits.holidays(found.year)
    between = [day + timedelta(days=step) for step in range((found - day).days)]
    assert not any(one.weekday() < 5 and one not in time_limits.holidays(one.year) for one in between)


def test_an_anniversary_falls_on_its_day() -> None:
    assert time_limits.anniversary(date(2023, 10, 2), 1) == date(2024, 10, 2)
    assert time_limits.anniversary(date(2024, 2, 29), 1) == date(2025, 2, 28)
