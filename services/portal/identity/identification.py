"""
From a request to an Access: the middleware that finds out who asks, and the guards that ask for a right.

A handler that anybody may reach says so with *PUBLIC* in its opt; all others answer 401 to whoever
is not known. What a request has shown once decides: one with an Authorization header is judged by it alone.
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.middleware.authentication import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.types import ASGIApp

from services.portal.identity import tokens
from services.portal.identity.access import Access, Right
from services.portal.identity.persons_file import PersonsFile

PUBLIC: Final = {"exclude_from_auth": True}
"""The opt of a handler that answers whoever asks."""

Connection = ASGIConnection[Any, Any, Any, Any]


class Identification(AbstractAuthenticationMiddleware):
    """Puts the Access of a request into `request.auth`, or answers 401 with the challenge of RFC 6750."""

    def __init__(self, app: ASGIApp, *, file: PersonsFile, now: Callable[[], datetime]) -> None:
        super().__init__(app)
        self._file = file
        self._now = now

    async def authenticate_request(self, connection: Connection) -> AuthenticationResult:
        """The Access of the token that *connection* bears. Raises NotAuthorizedException."""
        header = connection.headers.get("authorization")
        if header is None:
            raise NotAuthorizedException(
                "cette adresse demande un jeton : Authorization: Bearer registre_…",
                headers={"WWW-Authenticate": 'Bearer realm="registre"'},
            )
        scheme, _, text = header.partition(" ")
        access = None
        if scheme.lower() == "bearer":
            access = await self._file.read(partial(tokens.access, text=text.strip(), now=self._now()))
        if access is None:
            raise NotAuthorizedException(
                "ce jeton n’est pas valable : inconnu, expiré ou révoqué",
                headers={"WWW-Authenticate": 'Bearer realm="registre", error="invalid_token"'},
            )
        return AuthenticationResult(user=None, auth=access)


def needs(right: Right) -> Callable[[Connection, BaseRouteHandler], None]:
    """A guard that lets through whoever has *right*, and answers 403 to others."""

    def guard(connection: Connection, _: BaseRouteHandler) -> None:
        access = connection.auth
        assert isinstance(access, Access), "a guarded handler that anybody may reach"
        if right not in access.rights:
            raise PermissionDeniedException(
                f"cette adresse demande le droit de {right} au titre de {access.institution}"
            )

    return guard
