"""
What an institution reads over HTTP: its conventions, agréments and institutions, each a path of its own.

    GET /api/v1/conventions                       the list, and a search in it
    GET /api/v1/conventions/{slug}                the statement; also /agrements/{slug}, /institutions/{slug}
    GET /api/v1/conventions/{slug}/calendar       a part of it; also /obligations, /findings
    GET /api/v1/conventions/{slug}/events         the events in order; also for the other two
    GET /api/v1/conventions/{slug}/events/{n}     one event, in its own bytes
    GET /api/v1/findings                          écarts and points d'attention of all, page by page

Each answer has a strong ETag (RFC 9110, 8.8.3): a digest of the very bytes, which are a function of the rules
and of the events they were computed from. So an answer revalidates until something that it tells changes,
however far the ledger moves; how far it had moved is in the header Registre-Position.
"""

import asyncio
from datetime import date, datetime
from hashlib import sha256
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, Router, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter, QueryParameter

from contracts import dates
from contracts.commands import FieldAtFault
from contracts.queries import (
    EVENTS_PER_PAGE_MAX,
    ROWS_PER_PAGE_MAX,
    WORDS_CHARACTERS_MAX,
    EventsQuery,
    ListQuery,
    ListRow,
    StatementAnswer,
    StatementQuery,
)
from services.domain.findings import Finding
from services.domain.obligations import Duties
from services.domain.schedule import Calendar
from services.portal.identity import mandated
from services.portal.identity.access import Access
from services.portal.identity.identification import FOR_AUDITORS, needs
from services.portal.ledger import Ledger, stream_named
from services.portal.problems import NotVisible, Refused

ROWS_DEFAULT: Final = 100
EVENTS_DEFAULT: Final = 100
STATEMENTS_PER_PAGE_MAX: Final = 20
"""Whose findings one answer has: each takes a statement to be computed."""

POSITION_HEADER: Final = "Registre-Position"
CACHE: Final = "private, no-cache"
VARY: Final = "Authorization, Cookie"

Asking = Request[Any, Access, State]

Slug = Annotated[str, PathParameter(description="Le nom dans le registre, sans sa catégorie.")]
On = Annotated[date | None, QueryParameter(description="Le jour demandé ; aujourd’hui s’il manque.")]
KnownAt = Annotated[
    datetime | None,
    QueryParameter(description="L’instant (avec son décalage) jusqu’où ce qui était enregistré compte."),
]
AtLeast = Annotated[
    int,
    QueryParameter(
        ge=0, le=2**53, description="Attendre que le registre soit lu jusqu’à cette position, 5 s au plus."
    ),
]

_encode: Final = msgspec.json.Encoder(enc_hook=dates.encode, order="sorted").encode
_parts: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class ConventionsPage(msgspec.Struct, frozen=True):
    """Conventions by the name of their stream, on a day. *next_after* is where to ask on; null at the end."""

    on: date
    conventions: tuple[ListRow, ...]
    next_after: str | None


class EventsPage(msgspec.Struct, frozen=True):
    """Events in order, each a CloudEvents object. *next_after* is where to ask on; null at the end."""

    stream: str
    events: list[msgspec.Raw]
    next_after: int | None


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """What each part of a convention's statement says of itself: see the statement."""

    stream: str
    title: str
    on: date
    position: int
    version: int
    rules: str


class CalendarPart(_Part, frozen=True, kw_only=True):
    """The échéancier of a convention."""

    calendar: Calendar


class DutiesPart(_Part, frozen=True, kw_only=True):
    """What is owed besides money."""

    duties: Duties


class FindingsPart(_Part, frozen=True, kw_only=True):
    """Écarts and points d'attention of a convention."""

    findings: tuple[Finding, ...]


class FindingsOf(msgspec.Struct, frozen=True):
    """What one convention's statement finds."""

    stream: str
    title: str
    findings: msgspec.Raw


class FindingsPage(msgspec.Struct, frozen=True):
    """The findings of some conventions, by the name of their stream; those without any have an empty list."""

    on: date
    conventions: list[FindingsOf]
    next_after: str | None


JSON_OBJECT: Final = ResponseSpec(
    data_container=dict[str, Any],
    media_type="application/json",
    description="La réponse, avec son ETag.",
    generate_examples=False,
)
CLOUD_EVENT: Final = ResponseSpec(
    data_container=dict[str, Any],
    media_type="application/cloudevents+json",
    description="L’événement, dans ses propres octets.",
    generate_examples=False,
)


def answer(
    request: Request[Any, Any, State],
    body: bytes,
    *,
    position: int | None,
    media_type: str = "application/json",
    cache: str = CACHE,
) -> Response[bytes]:
    """*body* as it is, with its ETag; 304 without it where whoever asks has it already."""
    etag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": cache, "Vary": VARY}
    if position is not None:
        headers[POSITION_HEADER] = str(position)
    asked = request.headers.get("if-none-match", "")
    known = {each.strip().removeprefix("W/") for each in asked.split(",")}
    if etag in known or "*" in known:
        return Response(b"", status_code=304, headers=headers, media_type=media_type)
    return Response(body, headers=headers, media_type=media_type)


async def _statement(
    request: Asking, ledger: Ledger, stream: str, on: date | None, known_at: datetime | None, at_least: int
) -> StatementAnswer:
    known_at = _placed(known_at)
    query = StatementQuery(stream=stream, on=on, known_at=known_at, at_least_position=at_least)
    return mandated.shown(request.auth, await ledger.statement(request.auth, query))


def _placed(known_at: datetime | None) -> datetime | None:
    """*known_at*, which says where on Earth it is that time. Raises Refused."""
    if known_at is not None and known_at.tzinfo is None:
        field = FieldAtFault("known_at", "il y manque le décalage, par exemple Z ou +02:00")
        raise Refused(400, "bad_request", "Cet instant n’est pas complet.", fields=(field,))
    return known_at


def _part(told: StatementAnswer, kind: type[_Part]) -> bytes:
    """The fields of *kind*, out of a whole statement, as they stand there."""
    parts = _parts(told.statement)
    return _encode({name: parts[name] for name in kind.__struct_fields__})


@get(
    "/conventions",
    operation_id="listConventions",
    opt=FOR_AUDITORS,
    summary="Vos conventions",
    responses={200: JSON_OBJECT},
)
async def conventions(
    request: Asking,
    ledger: NamedDependency[Ledger],
    on: On = None,
    words: Annotated[
        str,
        QueryParameter(
            max_length=WORDS_CHARACTERS_MAX,
            description="Mots à trouver, tous, dans le titre, la nature, le nom ou les parties.",
        ),
    ] = "",
    after: Annotated[
        str | None, QueryParameter(max_length=80, description="Le nom après lequel reprendre.")
    ] = None,
    rows_max: Annotated[int, QueryParameter(ge=1, le=ROWS_PER_PAGE_MAX)] = ROWS_DEFAULT,
    at_least_position: AtLeast = 0,
) -> Response[bytes]:
    """Celles dont votre institution est partie, et celles qu’elle a quittées, telles que connues alors."""
    page = await ledger.conventions(
        request.auth,
        ListQuery(
            on=on,
            words=words,
            after=None if after is None else stream_named("convention", after),
            rows_max=rows_max,
            at_least_position=at_least_position,
        ),
    )
    told = ConventionsPage(page.on, page.rows, _next(page.rows, more=page.more))
    return answer(request, _encode(told), position=page.position)


@get(
    "/findings",
    operation_id="listFindings",
    opt=FOR_AUDITORS,
    summary="Les constats de vos conventions",
    responses={200: JSON_OBJECT},
)
async def findings(
    request: Asking,
    ledger: NamedDependency[Ledger],
    on: On = None,
    known_at: KnownAt = None,
    after: Annotated[
        str | None, QueryParameter(max_length=80, description="Le nom après lequel reprendre.")
    ] = None,
    rows_max: Annotated[int, QueryParameter(ge=1, le=STATEMENTS_PER_PAGE_MAX)] = STATEMENTS_PER_PAGE_MAX,
    at_least_position: AtLeast = 0,
) -> Response[bytes]:
    """Écarts et points d’attention, par convention, dans l’ordre de leurs noms."""
    page = await ledger.conventions(
        request.auth,
        ListQuery(
            on=on,
            after=None if after is None else stream_named("convention", after),
            rows_max=rows_max,
            at_least_position=at_least_position,
        ),
    )

    known_at = _placed(known_at)

    async def found(row: ListRow) -> FindingsOf | None:
        query = StatementQuery(stream=row.stream, on=page.on, known_at=known_at)
        try:
            parts = _parts((await ledger.statement(request.auth, query)).statement)
        except NotVisible:
            return None  # nothing of it was known by then
        return FindingsOf(row.stream, row.title, parts["findings"])

    told = await asyncio.gather(*(found(row) for row in page.rows))
    conventions = [each for each in told if each is not None]
    body = _encode(FindingsPage(page.on, conventions, _next(page.rows, more=page.more)))
    return answer(request, body, position=page.position)


def _next(rows: tuple[ListRow, ...], *, more: bool) -> str | None:
    return rows[-1].stream.partition("/")[2] if more and rows else None


@get(
    "/conventions/{slug:str}",
    operation_id="readConvention",
    opt=FOR_AUDITORS,
    summary="L’état d’une convention",
    responses={200: JSON_OBJECT},
)
async def convention(
    request: Asking,
    ledger: NamedDependency[Ledger],
    slug: Slug,
    on: On = None,
    known_at: KnownAt = None,
    at_least_position: AtLeast = 0,
) -> Response[bytes]:
    """Tel qu’en vigueur un jour, tel que connu à un instant."""
    stream = stream_named("convention", slug)
    told = await _statement(request, ledger, stream, on, known_at, at_least_position)
    return answer(request, bytes(told.statement), position=told.position)


@get(
    "/agrements/{slug:str}",
    operation_id="readAgrement",
    opt=FOR_AUDITORS,
    summary="L’agrément d’un centre social",
    responses={200: JSON_OBJECT},
)
async def agrement(
    request: Asking,
    ledger: NamedDependency[Ledger],
    slug: Slug,
    on: On = None,
    known_at: KnownAt = None,
    at_least_position: AtLeast = 0,
) -> Response[bytes]:
    """Tel qu’en vigueur un jour, tel que connu à un instant."""
    stream = stream_named("agrement", slug)
    told = await _statement(request, ledger, stream, on, known_at, at_least_position)
    return answer(request, bytes(told.statement), position=told.position)


@get(
    "/institutions/{slug:str}",
    operation_id="readInstitution",
    opt=FOR_AUDITORS,
    summary="Une institution : ses noms et identifiants",
    responses={200: JSON_OBJECT},
)
async def institution(
    request: Asking,
    ledger: NamedDependency[Ledger],
    slug: Slug,
    on: On = None,
    known_at: KnownAt = None,
    at_least_position: AtLeast = 0,
) -> Response[bytes]:
    """Tels qu’ils valent un jour, tels que connus à un instant."""
    stream = stream_named("institution", slug)
    told = await _statement(request, ledger, stream, on, known_at, at_least_position)
    return answer(request, bytes(told.statement), position=told.position)


@get(
    "/conventions/{slug:str}/calendar",
    operation_id="readCalendar",
    opt=FOR_AUDITORS,
    summary="L’échéancier d’une convention",
    responses={200: JSON_OBJECT},
)
async def calendar(
    request: Asking,
    ledger: NamedDependency[Ledger],
    slug: Slug,
    on: On = None,
    known_at: KnownAt = None,
    at_least_position: AtLeast = 0,
) -> Response[bytes]:
    """Ce qui est à payer, quand, et ce qui le bloque."""
    stream = stream_named("convention", slug)
    told = await _statement(request, ledger, stream, on, known_at, at_least_position)
    return answer(request, _part(told, CalendarPart), position=told.position)


@get(
    "/conventions/{slug:str}/obligations",
    operation_id="readObligations",
    opt=FOR_AUDITORS,
    summary="Les obligations d’une convention",
    responses={200: JSON_OBJECT},
)
async def obligations(
    request: Asking,
    ledger: NamedDependency[Ledger],
    slug: Slug,
    on: On = None,
    known_at: KnownAt = None,
    at_least_position: AtLeast = 0,
) -> Response[bytes]:
    """Ce que chaque partie doit, hors paiements, et pour quand."""
    stream = stream_named("convention", slug)
    told = await _statement(request, ledger, stream, on, known_at, at_least_position)
    return answer(request, _part(told, DutiesPart), position=told.position)


@get(
    "/conventions/{slug:str}/findings",
    operation_id="readFindings",
    opt=FOR_AUDITORS,
    summary="Les constats sur une convention",
    responses={200: JSON_OBJECT},
)
async def findings_of(
    request: Asking,
    ledger: NamedDependency[Ledger],
    slug: Slug,
    on: On = None,
    known_at: KnownAt = None,
    at_least_position: AtLeast = 0,
) -> Response[bytes]:
    """Écarts et points d’attention."""
    stream = stream_named("convention", slug)
    told = await _statement(request, ledger, stream, on, known_at, at_least_position)
    return answer(request, _part(told, FindingsPart), position=told.position)


async def _events(
    request: Asking, ledger: Ledger, stream: str, after: int, events_max: int, at_least: int
) -> Response[bytes]:
    query = EventsQuery(stream=stream, after=after, events_max=events_max, at_least_position=at_least)
    page = await ledger.events(request.auth, query)
    return answer(request, _encode(EventsPage(stream, page.events, page.next_after)), position=page.position)


After = Annotated[int, QueryParameter(ge=0, le=2**53, description="La position après laquelle reprendre.")]
EventsMax = Annotated[int, QueryParameter(ge=1, le=EVENTS_PER_PAGE_MAX)]


@get(
    "/conventions/{slug:str}/events",
    operation_id="listConventionEvents",
    summary="Les événements d’une convention",
    responses={200: JSON_OBJECT},
)
async def convention_events(
    request: Asking,
    ledger: NamedDependency[Ledger],
    slug: Slug,
    after: After = 0,
    events_max: EventsMax = EVENTS_DEFAULT,
    at_least_position: AtLeast = 0,
) -> Response[bytes]:
    """Par position, chacun dans ses propres octets."""
    stream = stream_named("convention", slug)
    return await _events(request, ledger, stream, after, events_max, at_least_position)


@get(
    "/agrements/{slug:str}/events",
    operation_id="listAgrementEvents",
    summary="Les événements d’un agrément",
    responses={200: JSON_OBJECT},
)
async def agrement_events(
    request: Asking,
    ledger: NamedDependency[Ledger],
    slug: Slug,
    after: After = 0,
    events_max: EventsMax = EVENTS_DEFAULT,
    at_least_position: AtLeast = 0,
) -> Response[bytes]:
    """Par position, chacun dans ses propres octets."""
    stream = stream_named("agrement", slug)
    return await _events(request, ledger, stream, after, events_max, at_least_position)


@get(
    "/institutions/{slug:str}/events",
    operation_id="listInstitutionEvents",
    summary="Les événements d’une institution",
    responses={200: JSON_OBJECT},
)
async def institution_events(
    request: Asking,
    ledger: NamedDependency[Ledger],
    slug: Slug,
    after: After = 0,
    events_max: EventsMax = EVENTS_DEFAULT,
    at_least_position: AtLeast = 0,
) -> Response[bytes]:
    """Par position, chacun dans ses propres octets."""
    stream = stream_named("institution", slug)
    return await _events(request, ledger, stream, after, events_max, at_least_position)


Position = Annotated[int, PathParameter(ge=1, le=2**31 - 1, description="La position dans le registre.")]


@get(
    "/conventions/{slug:str}/events/{position:int}",
    operation_id="readConventionEvent",
    summary="Un événement d’une convention",
    responses={200: CLOUD_EVENT},
)
async def convention_event(
    request: Asking,
    ledger: NamedDependency[Ledger],
    slug: Slug,
    position: Position,
    at_least_position: AtLeast = 0,
) -> Response[bytes]:
    """L’événement à une position : les octets mêmes qui sont conservés."""
    body = await ledger.event(request.auth, stream_named("convention", slug), position, at_least_position)
    return answer(request, body, position=position, media_type="application/cloudevents+json")


def routes(*more: Any) -> Router:
    """Every read, for whoever has the right to."""
    return Router(
        path="/api/v1",
        guards=[needs("lecture")],
        route_handlers=[
            conventions,
            findings,
            convention,
            agrement,
            institution,
            calendar,
            obligations,
            findings_of,
            convention_events,
            agrement_events,
            institution_events,
            convention_event,
            *more,
        ],
    )
