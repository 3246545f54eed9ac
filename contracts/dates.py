"""
Dates as the paper gives them: a day, a month, a quarter, a year, or unknown.

The written forms are those of EDTF (ISO 8601-2:2019): "2026-01-15", "2026-01",
"2014-36" (fourth quarter; 33 to 36 are the quarters), "2026", and "XXXX" where
the paper leaves a blank. A blank is kept: nobody invents a day.

A date that is not known to the day is an interval of days, so "was this before
that" has three answers: yes, no, and undetermined (None).
"""

import re
from calendar import monthrange
from datetime import date
from functools import lru_cache
from typing import Any, Final, Literal

_FORM = re.compile(r"(?P<year>\d{4})(?:-(?P<sub>\d{2})(?:-(?P<day>\d{2}))?)?", re.ASCII)
PATTERN: Final = r"^(\d{4}(-\d{2}(-\d{2})?)?|XXXX)$"
"""The written forms as a JSON Schema pattern: necessary, not sufficient (2026-02-30 matches)."""

Precision = Literal["day", "month", "quarter", "year", "unknown"]


class PartialDate:
    """
    A date known to the day, the month, the quarter, the year, or not at all.

    *first* and *last* are the earliest and latest day it can be; both None when unknown.
    *sort_key* is where it stands in a list: by its earliest day, then its latest; the unknown ones last.
    Raises ValueError for a text that is none of the forms, or a day that does not exist.
    """

    __slots__ = ("first", "last", "precision", "sort_key", "text")

    text: str
    first: date | None
    last: date | None
    precision: Precision
    sort_key: tuple[date, date]

    def __init__(self, text: str) -> None:
        first, last, precision = _bounds(text)
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "first", first)
        object.__setattr__(self, "last", last)
        object.__setattr__(self, "precision", precision)
        object.__setattr__(self, "sort_key", (first or date.max, last or date.max))

    @classmethod
    def of(cls, day: date) -> "PartialDate":
        """*day*, known to the day."""
        return parse(day.isoformat())

    @property
    def day(self) -> date | None:
        """The day, when it is known to the day."""
        return self.first if self.precision == "day" else None

    def before(self, other: "PartialDate | date") -> bool | None:
        """Whether this is strictly before *other*; None when the paper does not tell."""
        first, last = (other, other) if isinstance(other, date) else (other.first, other.last)
        if self.first is None or self.last is None or first is None or last is None:
            return None
        if self.last < first:
            return True
        return False if self.first >= last else None

    def after(self, other: "PartialDate | date") -> bool | None:
        """Whether this is strictly after *other*; None when the paper does not tell."""
        first, last = (other, other) if isinstance(other, date) else (other.first, other.last)
        if self.first is None or self.last is None or first is None or last is None:
            return None
        if last < self.first:
            return True
        return False if first >= self.last else None

    def reached(self, day: date) -> bool | None:
        """Whether this has come on *day* (the day itself included); None when undetermined."""
        if self.first is None or self.last is None:
            return None
        if self.last <= day:
            return True
        return False if day < self.first else None

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a date is never changed (tried to set {name} of {self.text})")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PartialDate) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"PartialDate({self.text!r})"

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[type["PartialDate"], tuple[str]]:
        return (PartialDate, (self.text,))


@lru_cache(maxsize=8_192)
def parse(text: str) -> PartialDate:
    """The date written *text*. Raises ValueError with a sentence that says what is wrong."""
    return PartialDate(text)


def _bounds(text: str) -> tuple[date | None, date | None, Precision]:
    if text == "XXXX":
        return None, None, "unknown"
    form = _FORM.fullmatch(text)
    if form is None:
        raise ValueError(
            f"{text!r} is no date: write 2026-01-15, 2026-01, 2014-36 (a quarter, 33 to 36), 2026, or XXXX"
        )
    year = int(form["year"])
    if year == 0:
        raise ValueError(f"{text!r} is no date: there is no year 0000")
    if form["sub"] is None:
        return date(year, 1, 1), date(year, 12, 31), "year"
    sub = int(form["sub"])
    if form["day"] is not None:
        try:
            day = date(year, sub, int(form["day"]))
        except ValueError as error:
            raise ValueError(f"{text!r} is no date: that day does not exist") from error
        return day, day, "day"
    if 1 <= sub <= 12:
        return date(year, sub, 1), date(year, sub, monthrange(year, sub)[1]), "month"
    if 33 <= sub <= 36:
        month = (sub - 33) * 3 + 1
        return date(year, month, 1), date(year, month + 2, monthrange(year, month + 2)[1]), "quarter"
    raise ValueError(f"{text!r} is no date: {sub} is neither a month (01 to 12) nor a quarter (33 to 36)")


def encode(value: Any) -> Any:
    """The msgspec enc_hook for the types of this module. Raises TypeError for others."""
    if isinstance(value, PartialDate):
        return value.text
    raise TypeError(f"{type(value).__name__} has no written form")


def decode(wanted: type, value: Any) -> Any:
    """The msgspec dec_hook for the types of this module."""
    if wanted is PartialDate:
        if not isinstance(value, str):
            raise ValueError(f"a date is written as text, got {_in_json(value)}")
        return parse(value)
    raise TypeError(f"{wanted.__name__} has no written form")


def _in_json(value: Any) -> str:
    """What *value* was in the JSON it came from, in JSON's own words."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case dict():
            return "an object"
        case _:
            return "an array"


def schema(wanted: type) -> dict[str, Any]:
    """The msgspec schema_hook for the types of this module."""
    if wanted is PartialDate:
        return {
            "type": "string",
            "pattern": PATTERN,
            "description": "EDTF: a day, a month, a quarter (33 to 36), a year, or XXXX when unknown",
        }
    raise TypeError(f"{wanted.__name__} has no schema")
