"""
The ledger as one institution may know it: it asks the projector, and declares to the registrar, in bounds.

What is asked for is looked up in the institution's sight first, so a stream that it may not know is
answered as one that does not exist, without anybody being asked. What comes back is held against its sight
again, as that is at the position of the answer or later: so nothing is shown of what was left meanwhile.

A statement leans on other streams. Of those that the institution does not follow, it is computed from
what its feed has and from no more (contracts.queries.Bounds). Who has left a convention reads it as it was
known until then.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Final, Literal, TypeVar

import msgspec

from contracts import commands, dates, subjects
from contracts.commands import Declaration, Recording, Unchanged
from contracts.envelope import Channel
from contracts.events import AdmissionRequested, InstrumentOpened, PartyJoined
from contracts.queries import (
    WAIT_SECONDS_MAX,
    EventsQuery,
    ListPage,
    ListQuery,
    ListRow,
    StatementAnswer,
    StatementQuery,
    Status,
)
from services import asking, questions
from services.domain import statement
from services.domain.authority import NotAuthorised
from services.domain.convention import AlreadyOpened, NotOpened
from services.portal.identity.access import Access
from services.portal.problems import NotVisible, Refused, Unavailable
from services.portal.sight import Citation, Sight
from services.runtime import Bus

AT_ONCE_MAX: Final = 32
"""Questions and declarations of all institutions on their way at once."""

WAITING_MAX: Final = 256
"""More wait their turn; with so many waiting, who asks is told to come back."""

TURN_SECONDS_MAX: Final = 5.0

LOOKS_MAX: Final = 4
"""A statement is asked for twice where it leans on what its reader may not know; again where that moves."""

PAGES_MAX: Final = 50
"""Of a stream's events, read through for those that a reader has kept."""

_ENTERING: Final = {AdmissionRequested.TYPE, PartyJoined.TYPE}
"""What is a stranger's own to record in a convention (services.domain.authority)."""

_T = TypeVar("_T")

_decode_declaration = msgspec.json.Decoder(Declaration, dec_hook=dates.decode).decode
_encode_declaration = msgspec.json.Encoder(enc_hook=dates.encode).encode


class _Told(msgspec.Struct):
    """What has to be known of an event to show it or not."""

    position: int


_told = msgspec.json.Decoder(_Told).decode


class Events(msgspec.Struct, frozen=True):
    """Events in their own bytes; *next_after* is where to ask on, None at the end. Read at *position*."""

    events: list[msgspec.Raw]
    next_after: int | None
    position: int


class Ledger:
    """Asks on *bus*, for whoever *sight* lets see."""

    def __init__(self, bus: Bus, sight: Sight) -> None:
        self._bus = bus
        self._sight = sight
        self._turns = asyncio.Semaphore(AT_ONCE_MAX)
        self._waiting = 0

    @property
    def is_ready(self) -> bool:
        """Whether the bus is there, and LEDGER has been read to its end."""
        return self._bus.is_connected and self._sight.is_current

    async def statement(self, access: Access, query: StatementQuery) -> StatementAnswer:
        """The statement of a stream as *access* may know it. Raises NotVisible, and as services.questions."""
        viewers = _viewers(access)
        await self._caught_up(query.at_least_position)
        beside: dict[str, int] = {}
        for _ in range(LOOKS_MAX):
            until = self._sight.until(viewers, query.stream)
            if until == 0:
                raise NotVisible
            own = {} if until is None else {query.stream: until}
            asked = msgspec.structs.replace(query, bounds=beside | own)
            answer = await self._asked(partial(questions.statement_answer, self._bus, asked))
            await self._caught_up(answer.position)
            hidden = {
                name: bound
                for name, position in answer.streams.items()
                if (bound := self._sight.until(viewers, name)) is not None and bound < position
            }
            if not hidden:
                return answer
            beside |= hidden
        raise Unavailable("moving", "Ce qui est à montrer change trop vite en ce moment : redemandez-le.")

    async def conventions(self, access: Access, query: ListQuery) -> ListPage:
        """A page of the conventions that *access* knows, by stream. *query* names no institution."""
        viewers = _viewers(access)
        await self._caught_up(query.at_least_position)
        for _ in range(LOOKS_MAX):
            left = self._sight.left(viewers)
            pages = []
            for viewer in viewers:
                asked = msgspec.structs.replace(query, institution=viewer, bounds=left)
                pages.append(await self._asked(partial(questions.list_page, self._bus, asked)))
            await self._caught_up(max(page.position for page in pages))
            if self._sight.left(viewers) == left:
                return self._merged(pages, access, query.rows_max)
        raise Unavailable("moving", "Ce qui est à montrer change trop vite en ce moment : redemandez-le.")

    async def events(self, access: Access, query: EventsQuery) -> Events:
        """Events of one stream that the feed of *access* has. Raises NotVisible."""
        assert query.stream is not None
        stream, viewers = query.stream, _viewers(access)
        await self._caught_up(query.at_least_position)
        if self._sight.until(viewers, stream) == 0 and not self._sight.received(viewers, stream):
            raise NotVisible
        found: list[msgspec.Raw] = []
        after, at = query.after, 0
        for _ in range(PAGES_MAX):
            asked = msgspec.structs.replace(query, after=after, at_least_position=0)
            page = await self._asked(partial(questions.events, self._bus, asked))
            await self._caught_up(page.last_position if page.events else 0)
            had = set(self._sight.received(viewers, stream))
            after, at = page.last_position, page.position
            for event in page.events:
                position = _told(event).position
                if position in had:
                    found.append(event)
                    if len(found) == query.events_max:
                        more = page.more or event is not page.events[-1]
                        return Events(found, position if more else None, page.position)
            if not page.more:
                return Events(found, None, page.position)
        return Events(found, after, at)

    async def event(self, access: Access, stream: str, position: int, at_least_position: int) -> bytes:
        """The bytes of one event that the feed of *access* has. Raises NotVisible."""
        await self._caught_up(at_least_position)
        if position not in self._sight.received(_viewers(access), stream):
            raise NotVisible
        query = EventsQuery(stream=stream, after=position - 1, events_max=1, at_least_position=position)
        page = await self._asked(partial(questions.events, self._bus, query))
        [event] = page.events
        assert _told(event).position == position
        return bytes(event)

    async def status(self) -> Status:
        """Where the projector stands."""
        return await self._asked(partial(questions.status, self._bus))

    async def sirens(self, institution: str) -> frozenset[str]:
        """The SIREN of *institution*, and those of its SIRET, as its own stream tells them today."""
        query = StatementQuery(stream=f"institution/{institution}")
        try:
            answer = await self._asked(partial(questions.statement_answer, self._bus, query))
        except questions.NotAnswered as refused:
            if refused.code == "unknown_stream":
                return frozenset()
            raise
        told = statement.decode(bytes(answer.statement))
        assert isinstance(told, statement.InstitutionStatement)
        return frozenset(number[:9] for kind, number in told.identifiers if kind in {"siren", "siret"})

    async def citations(self, access: Access, digest: str, at_least_position: int) -> list[Citation]:
        """The events known to *access* that cite the paper *digest*."""
        await self._caught_up(at_least_position)
        return self._sight.citations(_viewers(access), digest)

    async def declare(self, access: Access, stream: str, declaration: Declaration) -> Recording | Unchanged:
        """
        What becomes of *declaration*, in the name of *access*, with its principal and by its door.

        Raises NotVisible for a convention that it may not know, whether there is one or not; Refused,
        and the errors of services.asking.
        """
        await self._caught_up(0)
        entrance = None if self._may_declare(access.institution, stream) else _entrance(declaration)
        channel: Channel = "portal" if access.through == "session" else "api"
        own = msgspec.structs.replace(declaration, principal=access.principal, channel=channel)
        request = _encode_declaration(own)
        try:
            return await self._asked(partial(asking.ask, self._bus, access.institution, stream, request))
        except asking.RefusedByRegistrar as refused:
            code = refused.refusal.code
            is_there = self._sight.keeper(stream) is not None or code == AlreadyOpened.code
            if entrance == "opening" and is_there:
                raise NameTaken from None
            if entrance == "admission" and not is_there and code in {NotOpened.code, NotAuthorised.code}:
                raise NotVisible from None
            raise

    def _may_declare(self, institution: str, stream: str) -> bool:
        """Whether *institution* knows *stream* to be there: it keeps it, or has something of it."""
        return (
            not stream.startswith("convention/")
            or self._sight.keeper(stream) == institution
            or bool(self._sight.received({institution}, stream))
        )

    def _merged(self, pages: list[ListPage], access: Access, rows_max: int) -> ListPage:
        """One page of what several institutions' pages have, each convention once."""
        rows: dict[str, ListRow] = {row.stream: row for page in pages for row in page.rows}
        # Beyond the end of a page that has more, nobody knows what that institution has.
        ends = [page.rows[-1].stream for page in pages if page.more and page.rows]
        names = sorted(name for name in rows if not ends or name <= min(ends))
        seen = [name for name in names[:rows_max] if self._sight.until(_viewers(access), name) != 0]
        return ListPage(
            rows=tuple(rows[name] for name in seen),
            position=min(page.position for page in pages),
            on=pages[0].on,
            more=bool(ends) or len(names) > rows_max,
        )

    async def _caught_up(self, position: int) -> None:
        """Raises Unavailable where the sight does not come to *position* in time."""
        if not self._bus.is_connected:
            raise Unavailable("unreachable", "Le registre ne répond pas pour le moment.")
        if not await self._sight.reached(position, seconds_max=WAIT_SECONDS_MAX):
            raise Unavailable(
                "behind",
                f"Le portail a lu le registre jusqu’à la position {self._sight.position} : redemandez-le "
                "dans un instant.",
            )

    async def _asked(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        async with self._turn():
            return await ask()

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One of the AT_ONCE_MAX, once it is free. Raises Unavailable."""
        busy = Unavailable("busy", "Trop de demandes à la fois : redemandez-le dans un instant.")
        if self._waiting >= WAITING_MAX:
            raise busy
        self._waiting += 1
        try:
            async with asyncio.timeout(TURN_SECONDS_MAX):
                await self._turns.acquire()
        except TimeoutError:
            raise busy from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turns.release()


def _viewers(access: Access) -> frozenset[str]:
    return access.mandate.institutions if access.mandate else frozenset({access.institution})


def declaration_in(body: bytes) -> Declaration:
    """The declaration in *body*; its facts are the registrar's to read. Raises Refused."""
    try:
        return _decode_declaration(body)
    except msgspec.ValidationError as error:
        detail = "La déclaration n’a pas la forme attendue : voyez le champ en cause."
        raise Refused(422, "malformed", detail, fields=(commands.field_at_fault(error),)) from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Refused(400, "not_json", "Le corps de la demande n’est pas du JSON.") from error


def _entrance(declaration: Declaration) -> Literal["opening", "admission"]:
    """
    How *declaration* comes to a convention that is not known to who makes it. Raises NotVisible.

    Whoever follows a stream may go on with it. To all others each one is a name that may be free. They may
    open it: the registrar answers whether it is free, and nothing else of what is there, for its first fact
    is refused. Or they ask to be admitted, or join, with this one fact, which their authority covers.
    """
    types = [fact.type for fact in declaration.facts]
    if types[0] == InstrumentOpened.TYPE and declaration.expected_version in (None, 0):
        return "opening"
    if len(types) == 1 and types[0] in _ENTERING and declaration.expected_version is None:
        return "admission"
    raise NotVisible


class NameTaken(Refused):
    """Raised for a convention that is to be opened under the name of another: of which nothing is said."""

    def __init__(self) -> None:
        super().__init__(409, "name_taken", "Ce nom de convention est déjà pris : choisissez-en un autre.")


def stream_named(category: str, slug: str) -> str:
    """The stream *category*/*slug*. Raises NotVisible where there can be none of that name."""
    try:
        return subjects.stream(category, slug)
    except ValueError:
        raise NotVisible from None
