"""
The bodies that meet: how often they met in each year, how often they must and may, and by when.

Pure. "Per year" is a civil year where the paper names months or where the instrument
begins on 1 January; otherwise a year from the day it began (CPC art. 641 al. 2).
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final, Literal

import msgspec

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.terms import Meetings
from services.domain import time_limits
from services.domain.obligations.duties_view import Stated, View

FROM_THE_START: Final = "« par an » : de date à date depuis le début de l’instrument (CPC art. 641 al. 2)"


class MeetingsLine(msgspec.Struct, frozen=True):
    """
    One body in one year: how often it met, how often it must and may, and by when.

    *year* is the one in which the year begins; None where the years are not known yet
    (*because* says why), and for a body that meets on demand. A body counts once a day.
    """

    body: str
    label: str
    article: str
    position: int
    year: int | None
    at_least: int
    at_most: int | None
    held_on: tuple[PartialDate, ...]
    held: tuple[int, ...]
    state: Literal["to-come", "due", "met", "missing", "too-many", "undetermined", "on-demand"]
    initiative: str | None = None
    participants: tuple[str, ...] = ()
    opens_on: date | None = None
    due_on: date | None = None
    rules: tuple[str, ...] = ()
    because: tuple[str, ...] = ()


class _Year(msgspec.Struct, frozen=True):
    """A year of a body: from when to when a meeting counts, the days that are said, and why that year."""

    first: date
    last: date
    opens_on: date
    due_on: date
    rules: tuple[str, ...] = ()


def of(stated: Stated, view: View) -> Iterator[MeetingsLine]:
    """The lines of the body that a clause names: one a year, or one in all where it meets on demand."""
    clause, term, on = stated.clause, stated.clause.term, view.known.on
    assert isinstance(term, Meetings)
    held = _held_on(term.body, view)
    blank = MeetingsLine(
        body=term.body,
        label=term.label,
        article=clause.article,
        position=clause.position,
        year=None,
        at_least=term.at_least_per_year,
        at_most=term.at_most_per_year,
        held_on=tuple(held),
        held=tuple(held.values()),
        state="on-demand",
        initiative=term.initiative,
        participants=term.participants,
    )
    if term.at_least_per_year == 0 and term.at_most_per_year is None:
        if stated.until is None:
            yield blank
        return
    if view.lasting.start is None:
        if stated.until is None:
            yield msgspec.structs.replace(blank, state="undetermined", because=view.lasting.because)
        return
    for year in _years(term, view):
        if not stated.rules(year.due_on):
            continue
        met = {day: at for day, at in held.items() if _inside(day, year) is not False}
        yield msgspec.structs.replace(
            blank,
            year=year.first.year,
            held_on=tuple(met),
            held=tuple(met.values()),
            state="undetermined" if clause.come != "yes" else _met(term, year, list(met), on),
            opens_on=year.opens_on,
            due_on=year.due_on,
            rules=year.rules,
        )


def _held_on(body: str, view: View) -> dict[PartialDate, int]:
    """The days on which the body met, by the first record of each: it counts once a day."""
    held: dict[PartialDate, int] = {}
    for one in view.of(facts.MeetingHeld):
        if one.fact.body == body:
            held.setdefault(one.effective_on, one.position)
    return held


def _years(term: Meetings, view: View) -> Iterator[_Year]:
    start, end = view.lasting.start, view.lasting.end
    assert start is not None
    last_year = view.lasting.last_year(view.known.on)
    if term.window is not None or (start.month, start.day) == (1, 1):
        for year in range(start.year, last_year + 1):
            opens_on, due_on = date(year, 1, 1), date(year, 12, 31)
            if term.window is not None:
                opens, closes = (time_limits.yearly(when, year) for when in term.window)
                opens_on, due_on = opens.opens_on or opens.last_day, closes.last_day
            # A year that the instrument does not see to the end of the window asks for no meeting.
            if due_on >= start and (end is None or due_on <= end):
                yield _Year(date(year, 1, 1), date(year, 12, 31), opens_on, due_on)
        return
    for count in range(last_year - start.year + 1):
        first = time_limits.anniversary(start, count)
        last = time_limits.period_end(start, 12 * (count + 1))
        if end is None or last <= end:
            yield _Year(first, last, first, last, (FROM_THE_START,))


def _inside(day: PartialDate, year: _Year) -> bool | None:
    early, late = day.before(year.first), day.after(year.last)
    if early or late:
        return False
    return True if early is False and late is False else None


def _met(
    term: Meetings, year: _Year, held: Sequence[PartialDate], on: date
) -> Literal["to-come", "due", "met", "missing", "too-many", "undetermined"]:
    sure = sum(_inside(day, year) is True and day.reached(on) is True for day in held)
    if term.at_most_per_year is not None and sure > term.at_most_per_year:
        return "too-many"
    if sure >= term.at_least_per_year:
        return "met"
    if len(held) >= term.at_least_per_year:
        return "undetermined"
    if on > year.due_on:
        return "missing"
    return "due" if on >= year.opens_on else "to-come"
