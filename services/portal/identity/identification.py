"""
From a request to an Access: the middleware that finds out who asks, and the guards that ask for a right.

A request with an Authorization header is judged by its token alone; any other by the session of its
cookie. A browser sends that cookie along with whatever another site makes it send: so what changes
anything has to come from a page of ours, shown by the headers Sec-Fetch-Site or Origin, and to carry a token
that only our pages can know. A bearer token is not sent by itself, and needs none of that.

A handler that anybody may reach says so with *PUBLIC* in its opt; all others answer 401 to whoever is
not known. What an auditor may reach says so with *FOR_AUDITORS*; all else answers 403 to a mandate.
"""

import re
from collections.abc import Awaitable, Callable
from datetime import date, datetime
from functools import partial
from typing import Any, Final

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.enums import RequestEncodingType, ScopeType
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from services.portal.identity import consultations, secret, sessions, tokens
from services.portal.identity.access import Access, Right
from services.portal.identity.cookies import Cookies
from services.portal.identity.persons_file import PersonsFile
from services.portal.identity.sessions import Session

PUBLIC: Final = {"who": "anybody"}
"""The opt of a handler that answers whoever asks."""

FOR_AUDITORS: Final = {"mandates": "on"}
"""The opt of a handler that answers a mandate too: about the day of its parameter `on`, and of no other."""
OF_NO_DAY: Final = {"mandates": "any"}
"""The opt of a handler that answers a mandate too, and tells nothing of any day."""

CSRF_HEADER: Final = "X-CSRF-Token"
CSRF_FIELD: Final = "jeton"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Connection = ASGIConnection[Any, Any, Any, Any]
Asked = Request[Session | None, Access | None, Any]


def csrf_token(text: str) -> str:
    """What the pages of a session carry in their forms: only who has *text*, its cookie's, can make it."""
    return secret.derived(text, "csrf") if text else ""


class Identification(ASGIMiddleware):
    """
    Puts the Access of a request into `request.auth`, its session into `request.user`.

    Answers 401 with the challenge of RFC 6750 to who is not known, 403 to a change that no page of ours sent.
    """

    scopes: tuple[ScopeType, ...] = (ScopeType.HTTP,)

    def __init__(
        self, *, file: PersonsFile, public_url: str, cookies: Cookies, now: Callable[[], datetime]
    ) -> None:
        self._file = file
        self._now = now
        self._origin = public_url
        self._cookies = cookies

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Find out who asks; raises NotAuthorizedException, PermissionDeniedException."""
        request: Asked = Request(scope, receive, send)
        is_public = request.route_handler.opt.get("who") == "anybody"
        header = request.headers.get("authorization")
        session: Session | None = None
        access: Access | None = None
        if header is not None and not is_public:
            access = await self._borne(header)
        else:
            text = self._cookies.read(request.cookies, self._cookies.session)
            session = await self._session(text)
            access = session.access if session else None
            if not is_public:
                _known(session)
            if request.method not in SAFE_METHODS:
                self._check_origin(request)
                if text:
                    await _check_csrf(request, text)
        scope["user"], scope["auth"] = session, access
        if access is not None and access.mandate is not None:
            await self._record(request, access)
        await next_app(scope, receive, send)

    async def _borne(self, header: str) -> Access:
        access = await self._access_of(header)
        if access is None:
            raise NotAuthorizedException(
                "ce jeton n’est pas valable : inconnu, expiré ou révoqué",
                headers={"WWW-Authenticate": 'Bearer realm="registre", error="invalid_token"'},
            )
        return access

    async def _access_of(self, header: str) -> Access | None:
        scheme, _, text = header.partition(" ")
        if scheme.lower() != "bearer":
            return None
        return await self._file.read(partial(tokens.access, text=text.strip(), now=self._now()))

    async def stands(self, request: Asked) -> bool:
        """Whether who asked in *request*, which was let in, would be let in as the same now."""
        now, header = self._now(), request.headers.get("authorization")
        if header is not None:
            return await self._access_of(header) == request.auth
        text = self._cookies.read(request.cookies, self._cookies.session)
        session = await self._file.read(lambda db: sessions.found(db, text, now=now))
        return session is not None and session.access == request.auth

    async def _session(self, text: str) -> Session | None:
        if not text:
            return None
        now = self._now()
        found, is_to_be_told = await self._file.read(
            lambda db: (
                sessions.found(db, text, now=now),
                sessions.is_to_be_told(db, text, now=now),
            )
        )
        if found is not None and is_to_be_told:
            await self._file.change(partial(sessions.seen, text=text, now=now))
        return found

    def _check_origin(self, request: Asked) -> None:
        """Raises PermissionDeniedException where no page of ours sent *request*."""
        fetched = request.headers.get("sec-fetch-site")
        is_ours = (
            request.headers.get("origin") == self._origin if fetched is None else fetched == "same-origin"
        )
        if not is_ours:
            raise PermissionDeniedException(
                "cette demande ne vient pas d’une page de ce portail : rouvrez la page et recommencez"
            )

    async def _record(self, request: Asked, access: Access) -> None:
        query = f"?{request.url.query}" if request.url.query else ""
        await self._file.change(
            partial(
                consultations.record,
                access=access,
                asked=f"{request.method} {request.url.path}{query}",
                now=self._now(),
            )
        )


def _known(session: Session | None) -> None:
    """Raises NotAuthorizedException without a session, PermissionDeniedException while it acts for nobody."""
    if session is None:
        raise NotAuthorizedException(
            "cette adresse demande un jeton (Authorization: Bearer registre_…) ou une session : "
            "ouvrez la page /connexion",
            headers={"WWW-Authenticate": 'Bearer realm="registre"'},
        )
    if session.access is None:
        raise PermissionDeniedException(
            "dites d’abord au titre de quelle institution vous agissez : ouvrez la page /au-titre-de"
        )


async def _check_csrf(request: Asked, text: str) -> None:
    """Raises PermissionDeniedException where *request* has not the token of the session known by *text*."""
    sent = request.headers.get(CSRF_HEADER)
    if sent is None and request.content_type[0] in {
        RequestEncodingType.URL_ENCODED,
        RequestEncodingType.MULTI_PART,
    }:
        sent = (await request.form()).get(CSRF_FIELD)
    if not isinstance(sent, str) or not secret.are_same(sent, csrf_token(text)):
        raise PermissionDeniedException(
            f"il manque à cette demande le jeton de sa page (champ {CSRF_FIELD} ou en-tête {CSRF_HEADER}) : "
            "rouvrez la page et recommencez"
        )


def needs(right: Right) -> Callable[[Connection, BaseRouteHandler], Awaitable[None]]:
    """A guard that lets through whoever has *right*, and answers 403 to others."""

    # A coroutine, though it waits for nothing: Litestar gives any other guard a thread, for each request.
    async def guard(connection: Connection, handler: BaseRouteHandler) -> None:
        access = connection.auth
        assert isinstance(access, Access), "a guarded handler that anybody may reach"
        if right not in access.rights:
            raise PermissionDeniedException(
                f"cette adresse demande le droit de {right} au titre de {access.institution}"
            )
        if access.mandate is not None:
            _check_mandate(connection, handler, access)

    return guard


def _check_mandate(connection: Connection, handler: BaseRouteHandler, access: Access) -> None:
    """Raises PermissionDeniedException where the mandate of *access* does not cover what is asked."""
    mandate = access.mandate
    assert mandate is not None
    if handler.opt.get("mandates") == "any":
        return
    if handler.opt.get("mandates") != "on":
        raise PermissionDeniedException("un mandat d’audit ne donne pas accès à cette adresse")
    days = connection.query_params.getall("on", [])
    years = f"de {mandate.first_year} à {mandate.last_year}"
    if len(days) != 1 or not _DAY.fullmatch(days[0]):
        raise PermissionDeniedException(
            f"un mandat d’audit demande un jour : ajoutez ?on=, un jour des années {years}"
        )
    if not mandate.first_year <= int(days[0][:4]) <= mandate.last_year:
        raise PermissionDeniedException(f"ce mandat d’audit couvre les années {years}, et non le {days[0]}")


def covers(access: Access, day: date) -> bool:
    """Whether *access* may look at *day*: anybody may, but for an auditor outside of the years mandated."""
    mandate = access.mandate
    return mandate is None or mandate.first_year <= day.year <= mandate.last_year
