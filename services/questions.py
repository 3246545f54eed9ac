"""
Questions to the projector, for the command line and other programs.

    statement, list_page, events, status            one question, one answer
    list_conventions                                all pages of the list
    follow                                          events as they come, for ever
    rebuild, roll_back                              an operator's request, with its progress

Every question may raise NotAnswered with the projector's own reason (a code and
a sentence), and the errors of services.runtime when no answer came at all.
"""

import asyncio
from collections.abc import AsyncGenerator
from datetime import date
from typing import Any, Final

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg

from contracts import dates, subjects
from contracts.commands import FieldAtFault, Refusal
from contracts.queries import (
    WAIT_SECONDS_MAX,
    EventsPage,
    EventsQuery,
    ListPage,
    ListQuery,
    ListRow,
    Progress,
    StatementAnswer,
    StatementQuery,
    Status,
    TakeOver,
)
from services import runtime

ANSWER_SECONDS_MAX: Final = WAIT_SECONDS_MAX + 5.0
SILENCE_SECONDS_MAX: Final = 15.0
"""How long a rebuild may give no sign of life. It gives several a second."""

BEHIND: Final = "behind"

_encode = msgspec.json.Encoder(enc_hook=dates.encode).encode


class Listing(msgspec.Struct, frozen=True):
    """
    The rows of a list on one day, by title: its pages put together.

    It shows whatever was recorded by *position*, that of the first page; what
    came while the others were asked for may show, or not yet.
    """

    rows: tuple[ListRow, ...]
    position: int
    on: date


class NotAnswered(Exception):
    """
    Raised when the projector says why it does not answer.

    *code*: 'unknown_stream', 'behind', 'malformed', 'busy', 'no_previous', 'stopped'...
    *fields* names those at fault.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.code: str = refusal.code
        self.fields: tuple[FieldAtFault, ...] = refusal.fields


class ProjectorSilent(Exception):
    """Raised when a rebuild shows no progress any more: it may be going on, or its process may have ended."""

    def __init__(self, *, position: int, target: int, seconds: float) -> None:
        super().__init__(
            f"the projector gave no sign for {seconds:g} s, after position {position} of {target}: "
            "look at its log. What answered before goes on answering until the new one takes over"
        )
        self.position = position
        self.target = target


async def statement(bus: Client, query: StatementQuery) -> bytes:
    """The JSON of a StatementAnswer: the statement, the position, known_at and the day."""
    return await _asked(bus, "statement", query)


async def statement_answer(bus: Client, query: StatementQuery) -> StatementAnswer:
    """The same, taken apart; its *statement* is for services.domain.statement.decode."""
    return msgspec.json.decode(await statement(bus, query), type=StatementAnswer)


async def list_conventions(bus: Client, query: ListQuery) -> Listing:
    """All conventions, or those of one institution, by title: every page of them after the query's own."""
    page = await list_page(bus, query)
    position, on, rows = page.position, page.on, list(page.rows)
    while page.more:
        query = msgspec.structs.replace(query, on=on, after=rows[-1].stream, at_least_position=position)
        page = await list_page(bus, query)
        rows += page.rows
    return Listing(tuple(sorted(rows, key=lambda row: (row.title, row.stream))), position, on)


async def list_page(bus: Client, query: ListQuery) -> ListPage:
    """One page of the list. Ask on after its last stream while there are *more*."""
    return msgspec.json.decode(await _asked(bus, "list", query), type=ListPage, dec_hook=dates.decode)


async def events(bus: Client, query: EventsQuery) -> EventsPage:
    """One page of events. Ask on after its *last_position* while there are *more*."""
    return msgspec.json.decode(await _asked(bus, "events", query), type=EventsPage)


async def status(bus: Client) -> Status:
    """Where the projector stands against LEDGER."""
    return msgspec.json.decode(await _asked(bus, "status", None), type=Status)


async def follow(bus: Client, *, stream: str | None = None, after: int = 0) -> AsyncGenerator[bytes]:
    """The bytes of every event after position *after*, of one stream or of all, as they come, for ever."""
    seen = after
    while True:
        query = EventsQuery(stream=stream, after=after, at_least_position=seen + 1)
        try:
            page = await events(bus, query)
        except NotAnswered as refused:
            if refused.code != BEHIND:
                raise
            continue  # nothing new while the projector waited for it
        for event in page.events:
            yield bytes(event)
        after = page.last_position
        seen = after if page.more else max(page.position, after)


async def rebuild(bus: Client) -> AsyncGenerator[Progress]:
    """Build the read models anew beside those that answer. The last progress is *done*: they took over."""
    async for progress in _taking_over(bus, "rebuild"):
        yield progress


async def roll_back(bus: Client) -> AsyncGenerator[Progress]:
    """Bring back the read models that answered before the last rebuild, once they have caught up."""
    async for progress in _taking_over(bus, "rollback"):
        yield progress


async def _asked(bus: Client, view: str, query: msgspec.Struct | None) -> bytes:
    body = b"" if query is None else _encode(query)
    return _answered(await runtime.ask(bus, subjects.query(view), body, seconds_max=ANSWER_SECONDS_MAX))


def _answered(answer: bytes | Refusal) -> bytes:
    if isinstance(answer, Refusal):
        raise NotAnswered(answer)
    return answer


async def _taking_over(bus: Client, verb: str) -> AsyncGenerator[Progress]:
    inbox = bus.new_inbox()
    news: asyncio.Queue[Progress | None] = asyncio.Queue()

    async def heard(message: Msg) -> None:
        news.put_nowait(msgspec.json.decode(message.data, type=Progress))

    subscription = await bus.subscribe(inbox, cb=heard)
    request: asyncio.Task[bytes | Refusal] = asyncio.create_task(
        # As long as it takes: the progress tells whether there is still somebody at work.
        runtime.ask(bus, subjects.admin("projector", verb), _encode(TakeOver(inbox)), seconds_max=86_400)
    )
    request.add_done_callback(lambda _: news.put_nowait(None))
    last = Progress(0, 0, 0.0)
    try:
        while (progress := await _next(news, last)) is not None:
            last = progress
            yield progress
        yield msgspec.json.decode(_answered(request.result()), type=Progress)
    finally:
        request.cancel()
        await subscription.unsubscribe()


async def _next(news: "asyncio.Queue[Any]", last: Progress) -> Progress | None:
    try:
        async with asyncio.timeout(SILENCE_SECONDS_MAX):
            heard: Progress | None = await news.get()
            return heard
    except TimeoutError:
        raise ProjectorSilent(
            position=last.position, target=last.target, seconds=SILENCE_SECONDS_MAX
        ) from None
