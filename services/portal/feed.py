"""
An institution's feed over HTTPS, for partners who have nothing but an outbound 443.

    GET /api/v1/feed?after=12&events_max=100&wait_seconds=20    the entries after number 12, as JSON
    GET /api/v1/feed/stream?after=12                            the same as Server-Sent Events, and what comes

The number is the one of NATS (header Registre-Number): from 1, without gaps, for each institution.
Whoever keeps the last one it dealt with, and asks for what is after it, gets each
event once; the SSE client of a browser or a library does so by itself, with Last-Event-ID.

Server-Sent Events are those of the HTML Living Standard, section 9.2: `id` is the number, `event`
the type, `data` the event's own bytes, on one line since they hold no line break. Two fields more, which
clients ignore by that standard, are `position` and, for what came before the institution was let in,
`backfill-of`.

What is asked for is read from FEED when the client can take it (services.portal.feed_reading). A client
that takes nothing for SEND_SECONDS_MAX is cut off; it has the number to go on from.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from functools import partial
from typing import Annotated, Any, Final

import msgspec
import structlog
from litestar import Request, Router, get
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, QueryParameter
from litestar.response import Response
from litestar.types import ASGIApp, Receive, Scope, Send

from services.numbered_streams import Unreachable
from services.portal.feed_reading import PAGE_ENTRIES_MAX, Entry, Feeds, FeedTorn, NotYetGiven, Page, Place
from services.portal.identity.access import Access

EVENTS_DEFAULT: Final = 100
WAIT_SECONDS_DEFAULT: Final = 20.0
WAIT_SECONDS_MAX: Final = 30.0
"""Most proxies let a request be silent for a minute."""

HEARTBEAT_SECONDS: Final = 15.0
"""Between two signs of life of a stream that has nothing to tell; the standard advises 15."""

SEND_SECONDS_MAX: Final = 10.0
"""How long a client may take nothing of what is sent to it."""

STREAM_SECONDS_MAX: Final = 60.0
"""After which a stream ends and is asked for again, so that no connection is for ever."""

RETRY_MILLISECONDS: Final = 500
"""How long a client is asked to wait before it asks for the stream again (retry)."""

RECONNECT_SECONDS: Final = 2
"""How long it is asked to wait where there was none to be had (Retry-After)."""

OPEN_OF_INSTITUTION_MAX: Final = 8
OPEN_MAX: Final = 256
"""Requests that wait or stream: each holds a connection, and one page at most (PAGE_BYTES_MAX)."""

log = structlog.get_logger()


async def may_follow(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """
    A guard: lets through an institution's own people and programs that may read; others get 403.

    A mandate is for some years, and a feed is not cut by years.
    """
    access = connection.auth
    assert isinstance(access, Access), "a route that anybody may reach"
    if access.mandate is not None:
        raise PermissionDeniedException("un mandat de contrôle ne donne pas accès aux flux des institutions")
    if "lecture" not in access.rights:
        raise PermissionDeniedException(f"il faut le droit de lecture au titre de {access.institution}")


class NumberToCome(HTTPException):
    """The client says that it has a number that its feed has not come to."""

    status_code = 409

    def __init__(self, refused: NotYetGiven) -> None:
        super().__init__(
            detail=f"Votre flux s’arrête au n° {refused.last} : il n’a pas encore de n° {refused.number}. "
            f"Reprenez après le n° {refused.last}, ou revenez plus tard si le service vient d’être rétabli.",
            extra={"last": refused.last},
        )


class TooManyOfOne(HTTPException):
    """The institution has as many requests open as one may have."""

    status_code = 429

    def __init__(self, open_now: int) -> None:
        super().__init__(
            detail=f"Votre institution suit déjà son flux par {open_now} connexions, le maximum : "
            "fermez-en une, ou attendez.",
            headers={"Retry-After": str(RECONNECT_SECONDS)},
        )


class NotNow(HTTPException):
    """The feed cannot be read at the moment: nothing is lost by it."""

    status_code = 503

    def __init__(self, reason: str) -> None:
        super().__init__(
            detail=f"Le flux ne peut pas être lu pour le moment ({reason}) : redemandez-le, rien n’est "
            "perdu.",
            headers={"Retry-After": str(RECONNECT_SECONDS)},
        )


class StandsNoMore(HTTPException):
    """What let the client in was withdrawn while it waited."""

    status_code = 401

    def __init__(self) -> None:
        super().__init__(
            detail="Ce jeton, ou cette session, a pris fin pendant l’attente.",
            headers={"WWW-Authenticate": 'Bearer realm="registre", error="invalid_token"'},
        )


class Torn(HTTPException):
    """FEED lacks an entry: the ledger's operator has to look, and nothing is passed over."""

    status_code = 500

    def __init__(self) -> None:
        super().__init__(
            detail="Un numéro manque dans votre flux, qui n’est donc pas servi au-delà : l’exploitant du "
            "registre doit le vérifier."
        )


class FeedEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event as the feed brings it; *event* is the event's own bytes, a CloudEvents object."""

    number: int
    position: int
    event: msgspec.Raw
    backfill_of: int | None = None


class FeedPage(msgspec.Struct, frozen=True):
    """
    The entries after a number, in order. The next question is `after` *last*.

    *remaining* is how many there are after those, as last known.
    """

    institution: str
    last: int
    remaining: int
    events: list[FeedEntry]


class Door:
    """How many requests of each institution wait or stream now."""

    def __init__(self, *, of_institution_max: int, all_max: int) -> None:
        self._of_institution_max = of_institution_max
        self._all_max = all_max
        self._open: Counter[str] = Counter()

    @property
    def open(self) -> int:
        """Of all institutions."""
        return self._open.total()

    @contextlib.contextmanager
    def entered(self, institution: str) -> Iterator[None]:
        """A block that counts as one more. Raises TooManyOfOne and NotNow."""
        if self._open[institution] >= self._of_institution_max:
            raise TooManyOfOne(self._open[institution])
        if self.open >= self._all_max:
            raise NotNow("trop de connexions")
        self._open[institution] += 1
        try:
            yield
        finally:
            self._open[institution] -= 1
            if not self._open[institution]:
                del self._open[institution]


After = Annotated[
    int, QueryParameter(ge=0, le=2**53, description="Le dernier numéro que vous avez ; 0 au début.")
]
LastEventId = Annotated[
    int | None,
    HeaderParameter(
        name="Last-Event-ID",
        ge=0,
        le=2**53,
        description="Le dernier numéro reçu, tel que l’envoie un client SSE qui se reconnecte ; "
        "il l’emporte sur `after`.",
        required=False,
    ),
]
Asking = Request[Any, Access, State]
Stands = Callable[[Request[Any, Any, Any]], Awaitable[bool]]
"""Whether who asked in a request, which was let in, would be let in as the same now."""


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """A block in which what stands against reading becomes an answer."""
    try:
        yield
    except NotYetGiven as error:
        raise NumberToCome(error) from error
    except Unreachable as error:
        raise NotNow("le service de diffusion ne répond pas") from error
    except FeedTorn as error:
        log.error("feed.torn", detail=str(error))  # noqa: TRY400 - the error says where
        raise Torn from error


@get(
    "/",
    operation_id="feed",
    summary="Les événements de votre flux après un numéro",
    raises=[NumberToCome, StandsNoMore, TooManyOfOne, NotNow, Torn],
    cache_control=None,
)
async def read(
    request: Asking,
    feeds: NamedDependency[Feeds],
    door: NamedDependency[Door],
    stands: NamedDependency[Stands],
    after: After = 0,
    events_max: Annotated[
        int, QueryParameter(ge=1, le=PAGE_ENTRIES_MAX, description="Le plus d’événements à la fois.")
    ] = EVENTS_DEFAULT,
    wait_seconds: Annotated[
        float,
        QueryParameter(
            ge=0, le=WAIT_SECONDS_MAX, description="Combien attendre quand il n’y a rien de neuf."
        ),
    ] = WAIT_SECONDS_DEFAULT,
) -> Response[FeedPage]:
    """
    Répond aussitôt s’il y a quelque chose, sinon dès que quelque chose arrive, ou avec une page vide.

    La réponse donne `last`, à redemander comme `after`. Les numéros se suivent : aucun ne manque.
    """
    institution = request.auth.institution
    now = asyncio.get_running_loop().time
    until = now() + wait_seconds
    has_waited = False
    with _told(), door.entered(institution), feeds.listening(institution) as listener:
        place = await feeds.place(institution, after)
        while True:
            listener.caught_up()
            page = await feeds.page(institution, place, events_max)
            left_seconds = until - now()
            if page.entries or left_seconds <= 0:
                break
            has_waited = True
            await listener.wait(left_seconds, after=place.sequence)
    if has_waited and not await stands(request):
        raise StandsNoMore
    return Response(_answer(institution, page), headers={"Cache-Control": "no-store"})


def _answer(institution: str, page: Page) -> FeedPage:
    events = [
        FeedEntry(entry.number, entry.position, msgspec.Raw(entry.body), entry.backfill_of)
        for entry in page.entries
    ]
    return FeedPage(institution, page.place.number, page.remaining, events)


@get(
    "/stream",
    operation_id="feedStream",
    summary="Votre flux en direct (Server-Sent Events)",
    raises=[NumberToCome, TooManyOfOne, NotNow, Torn],
    responses={
        200: ResponseSpec(
            data_container=str, media_type="text/event-stream", description="Un événement par message."
        )
    },
    media_type="text/event-stream",
)
async def stream(
    request: Asking,
    feeds: NamedDependency[Feeds],
    door: NamedDependency[Door],
    stands: NamedDependency[Stands],
    after: After = 0,
    last_event_id: LastEventId = None,
) -> ASGIApp:
    """
    Tout ce qui suit le numéro donné, puis ce qui arrive.

    `id` est le numéro, `event` le type, `data` l’événement lui-même.

    Un client qui se reconnecte avec `Last-Event-ID` ne manque rien et ne reçoit rien deux fois.
    """
    number = after if last_event_id is None else last_event_id
    return _Stream(feeds, door, request.auth.institution, number, partial(stands, request)).__call__


async def _parts(
    feeds: Feeds, institution: str, place: Place, stands: Callable[[], Awaitable[bool]]
) -> AsyncGenerator[bytes]:
    """
    What is sent: page after page, and signs of life between them.

    Until FEED cannot be read, or who asked is let in no more: that is looked at before anything is sent.
    """
    yield b"retry: %d\n\n" % RETRY_MILLISECONDS
    now = asyncio.get_running_loop().time
    until = now() + STREAM_SECONDS_MAX
    told_at = now()
    with feeds.listening(institution) as listener:
        while now() < until:
            listener.caught_up()
            try:
                page = listener.page(place, EVENTS_DEFAULT) or await feeds.page(
                    institution, place, EVENTS_DEFAULT
                )
            except (Unreachable, FeedTorn) as error:
                log.warning("feed.stream_ended", institution=institution, detail=str(error))
                return
            is_silent = now() - told_at >= HEARTBEAT_SECONDS
            if (page.entries or is_silent) and not await stands():
                log.info("feed.stands_no_more", institution=institution)
                return
            if page.entries:
                place, told_at = page.place, now()
                yield b"".join(map(_event, page.entries))
                if page.remaining or listener.knows_of_more(after=place.sequence):
                    continue
            elif is_silent:
                told_at = now()
                yield b":\n\n"
            await listener.wait(HEARTBEAT_SECONDS, after=place.sequence)


def _event(entry: Entry) -> bytes:
    backfill = b"" if entry.backfill_of is None else b"backfill-of: %d\n" % entry.backfill_of
    return b"id: %d\nevent: %b\nposition: %d\n%bdata: %b\n\n" % (
        entry.number,
        entry.type.encode(),
        entry.position,
        backfill,
        entry.body,
    )


class _Stream:
    """The answer of stream: an HTTPException raised before its first byte is answered as any other."""

    def __init__(
        self,
        feeds: Feeds,
        door: Door,
        institution: str,
        number: int,
        stands: Callable[[], Awaitable[bool]],
    ) -> None:
        self._feeds = feeds
        self._stands = stands
        self._door = door
        self._institution = institution
        self._number = number

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        with _told(), self._door.entered(self._institution):
            place = await self._feeds.place(self._institution, self._number)
            sending = asyncio.create_task(self._send(place, send))
            gone = asyncio.create_task(_gone(receive))
            try:
                await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (sending, gone):
                    task.cancel()
                await asyncio.gather(sending, gone, return_exceptions=True)
            if not sending.cancelled():
                sending.result()

    async def _send(self, place: Place, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    (b"content-type", b"text/event-stream; charset=utf-8"),
                    (b"cache-control", b"no-store"),
                    (b"x-accel-buffering", b"no"),
                ],
            }
        )
        async with contextlib.aclosing(_parts(self._feeds, self._institution, place, self._stands)) as parts:
            async for part in parts:
                try:
                    async with asyncio.timeout(SEND_SECONDS_MAX):
                        await send({"type": "http.response.body", "body": part, "more_body": True})
                except TimeoutError:
                    # The server closes the connection of an answer that does not come to its end.
                    log.info("feed.cut_off", institution=self._institution, seconds=SEND_SECONDS_MAX)
                    return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    """Returns once the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def routes(
    feeds: Feeds,
    *,
    stands: Stands,
    of_institution_max: int = OPEN_OF_INSTITUTION_MAX,
    all_max: int = OPEN_MAX,
) -> Router:
    """
    The two routes, on *feeds*; who asks has been looked at before (request.auth is an Access).

    It is looked at again, by *stands*, before what was waited for is sent.
    """
    door = Door(of_institution_max=of_institution_max, all_max=all_max)
    return Router(
        path="/api/v1/feed",
        route_handlers=[read, stream],
        guards=[may_follow],
        dependencies={
            "feeds": Provide(lambda: feeds, sync_to_thread=False),
            "door": Provide(lambda: door, sync_to_thread=False),
            "stands": Provide(lambda: stands, sync_to_thread=False),
        },
    )
