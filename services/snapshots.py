"""
Statements kept in a file, and those that would be others today.

A snapshot has a line of JSON a stream: its statement on a day, as known at one
instant, with the version of the rules that made it. After a change of rules the
same questions are asked again, of the same day and the same instant: whatever
differs comes from the rules alone.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import date, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import msgspec
from nats.aio.client import Client

from contracts import envelope
from contracts.queries import EVENTS_PER_PAGE_MAX, EventsQuery, StatementQuery
from services import questions

AT_ONCE_MAX: Final = 4
"""Statements asked for at a time: the projector has one thread for them."""

SHOWN_CHARACTERS_MAX: Final = 120
CHANGES_MAX: Final = 100
"""How many places of one statement are told; the parts are told all."""

_NOTHING: Final = object()
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder(order="sorted").encode


class Taken(msgspec.Struct, frozen=True):
    """A statement as it was: of *stream* on the day *on*, from all that the ledger had up to *position*."""

    stream: str
    on: date
    position: int
    rules: str
    statement: msgspec.Raw


class Change(msgspec.Struct, frozen=True):
    """A place in a statement, as JSON: 'calendar.instalments[2].amount_cents'; None where it is not there."""

    path: str
    before: msgspec.Raw | None
    now: msgspec.Raw | None


class Differs(msgspec.Struct, frozen=True):
    """A statement that is another one now: in which of its *parts*, and the first CHANGES_MAX places."""

    stream: str
    on: date
    position: int
    rules_before: str
    rules_now: str
    parts: tuple[str, ...]
    changes: tuple[Change, ...]


class NotASnapshot(Exception):
    """Raised for a file that is none: its line and what is wrong with it."""

    def __init__(self, path: Path, line: int, detail: str) -> None:
        super().__init__(f"{path}:{line}: this is no line of a snapshot ({detail})")


class OtherLedgerAsked(Exception):
    """Raised when the ledger asked has no event where a snapshot has been: it is another, or fell behind."""

    def __init__(self, position: int) -> None:
        super().__init__(
            f"the ledger has no event at position {position}, where the snapshot was taken: "
            "is it the same ledger?"
        )


class _Rules(msgspec.Struct):
    rules: str


class _Head(msgspec.Struct):
    """Of an event's bytes, what says where and when it is."""

    subject: str
    time: datetime
    position: int


_head = msgspec.json.Decoder(_Head).decode


async def streams(bus: Client) -> tuple[list[str], datetime | None]:
    """Every stream of the ledger in the order of its first event, and when the last event was recorded."""
    names: dict[str, None] = {}
    last, after, more = None, 0, True
    while more:
        query = EventsQuery(after=after, events_max=EVENTS_PER_PAGE_MAX)
        page = await questions.events(bus, query)
        for body in page.events:
            head = _head(body)
            names[head.subject] = None
            last = head.time
        after, more = page.last_position, page.more
    return list(names), last


async def taken(
    bus: Client, names: list[str], *, on: date | None, known_at: datetime | None
) -> AsyncIterator[Taken]:
    """The statements of *names* on a day (today where it is None), as known at *known_at*, in that order."""
    for start in range(0, len(names), AT_ONCE_MAX):
        some = names[start : start + AT_ONCE_MAX]
        asked = (_statement(bus, StatementQuery(name, on=on, known_at=known_at)) for name in some)
        for one in await asyncio.gather(*asked):
            on = one.on
            yield one


async def differing(bus: Client, before: list[Taken]) -> AsyncIterator[Differs | None]:
    """
    For each of *before* what differs now, None where nothing does.

    Raises OtherLedgerAsked, and what questions raise: unknown_stream, for a ledger that never had it.
    """
    instants: dict[int, datetime] = {}
    for start in range(0, len(before), AT_ONCE_MAX):
        some = before[start : start + AT_ONCE_MAX]
        for one in some:
            if one.position not in instants:
                instants[one.position] = await _recorded_at(bus, one.position)
        asked = (
            _statement(bus, StatementQuery(one.stream, on=one.on, known_at=instants[one.position]))
            for one in some
        )
        for one, now in zip(some, await asyncio.gather(*asked), strict=True):
            yield difference(one, now)


def difference(before: Taken, now: Taken) -> Differs | None:
    """What differs between two statements, their rules' version aside; None where nothing does."""
    old, new = _decode(before.statement), _decode(now.statement)
    old.pop("rules", None)
    new.pop("rules", None)
    if old == new:
        return None
    changes = list(_changes(old, new, ""))
    return Differs(
        stream=before.stream,
        on=before.on,
        position=before.position,
        rules_before=before.rules,
        rules_now=now.rules,
        parts=tuple(dict.fromkeys(_part(change.path) for change in changes)),
        changes=tuple(changes[:CHANGES_MAX]),
    )


def line(one: Taken) -> bytes:
    """A line of a snapshot."""
    return _encode(one)


def read(path: Path) -> list[Taken]:
    """The snapshot in a file. Raises NotASnapshot, and OSError."""
    found = []
    with path.open("rb") as file:
        for number, text in enumerate(file, 1):
            try:
                found.append(msgspec.json.decode(text, type=Taken))
            except msgspec.MsgspecError as error:
                raise NotASnapshot(path, number, str(error)) from error
    return found


def shown(value: msgspec.Raw | None) -> str:
    """A value of a change as one short text."""
    text = "nothing" if value is None else bytes(value).decode()
    return text if len(text) <= SHOWN_CHARACTERS_MAX else f"{text[:SHOWN_CHARACTERS_MAX]}…"


async def _statement(bus: Client, query: StatementQuery) -> Taken:
    answer = await questions.statement_answer(bus, query)
    rules = msgspec.json.decode(answer.statement, type=_Rules).rules
    return Taken(query.stream, answer.on, answer.position, rules, answer.statement)


async def _recorded_at(bus: Client, position: int) -> datetime:
    page = await questions.events(bus, EventsQuery(after=position - 1, events_max=1))
    if not page.events:
        raise OtherLedgerAsked(position)
    return envelope.decode(bytes(page.events[0])).recorded_at


def _changes(old: Any, new: Any, path: str) -> Iterator[Change]:
    """The places where two JSON values part, as deep as they are of one kind."""
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            below = f"{path}.{key}" if path else key
            yield from _changes(old.get(key, _NOTHING), new.get(key, _NOTHING), below)
    elif isinstance(old, list) and isinstance(new, list):
        pairs = zip_longest(old, new, fillvalue=_NOTHING)
        for place, (was, is_now) in enumerate(pairs):
            yield from _changes(was, is_now, f"{path}[{place}]")
    else:
        yield Change(path, *(None if one is _NOTHING else msgspec.Raw(_encode(one)) for one in (old, new)))


def _part(path: str) -> str:
    return path.partition(".")[0].partition("[")[0]
