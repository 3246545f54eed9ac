"""
What the portal's app needs to know of persons, put together: the middleware, the routes, the hook.

    async with opened(settings, carry=..., sirens=..., send=..., now=...) as identity:
        Litestar(
            [pages.routes(identity), administration.routes(identity), ...],
            middleware=[identity.identification],
            before_send=[identity.headers],
        )
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
from authlib.common.security import is_secure_transport

from contracts.commands import Recording, Unchanged
from contracts.institutions import InstitutionId
from services.portal.identity import persons_file, protection, provider, seconding, sessions
from services.portal.identity.access import Access
from services.portal.identity.cookies import Cookies, key_in
from services.portal.identity.identification import Identification
from services.portal.identity.letters import Carrier
from services.portal.identity.persons_file import PersonsFile
from services.portal.identity.provider import Provider, ProviderSettings
from services.portal.identity.seconding import Proposal
from services.portal.identity.sessions import Role, Session

Sirens = Callable[[InstitutionId], Awaitable[frozenset[str]]]
"""The SIREN of an institution, as the ledger has them: of its SIREN and of its SIRET; perhaps none."""

Send = Callable[[Access, str, bytes], Awaitable[Recording | Unchanged]]
"""Sends a declaration (JSON) about a stream in the name of an Access; raises what refuses or hinders it."""

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class SettingsUnfit(ValueError):
    """A setting of the environment cannot be as it is; the sentence names it."""


class Settings(msgspec.Struct, frozen=True):
    """Where the file of persons is, what browsers know the portal by, and the provider, if there is one."""

    persons: Path
    public_url: str
    provider: ProviderSettings | None = None


def settings_of(environ: Mapping[str, str]) -> Settings:
    """
    The settings in *environ*: REGISTRE_PERSONS, REGISTRE_PORTAL_URL and, with a provider, REGISTRE_OIDC_*.

    Raises SettingsUnfit, or an OSError where the file of the client's secret cannot be read.
    """
    persons, public_url = environ.get("REGISTRE_PERSONS"), environ.get("REGISTRE_PORTAL_URL", "")
    if not persons:
        raise SettingsUnfit("REGISTRE_PERSONS is to name the file of persons")
    url = urlsplit(public_url)
    if (
        public_url != f"{url.scheme}://{url.netloc}"
        or url.scheme not in {"http", "https"}
        or not url.hostname
    ):
        raise SettingsUnfit(
            f"REGISTRE_PORTAL_URL is to be the address that browsers see, as https://portail.example.fr "
            f"and without a path, not {public_url!r}"
        )
    if url.scheme == "http" and url.hostname not in LOOPBACK:
        raise SettingsUnfit(
            f"REGISTRE_PORTAL_URL is {public_url}: cookies and links go by TLS, so it begins with https:// "
            "wherever it is not this machine alone"
        )
    return Settings(Path(persons), public_url, _provider_of(environ))


def _provider_of(environ: Mapping[str, str]) -> ProviderSettings | None:
    issuer = environ.get("REGISTRE_OIDC_ISSUER")
    if not issuer:
        return None
    client_id, file = environ.get("REGISTRE_OIDC_CLIENT_ID"), environ.get("REGISTRE_OIDC_SECRET_FILE")
    if not client_id or not file:
        raise SettingsUnfit(
            "with REGISTRE_OIDC_ISSUER go REGISTRE_OIDC_CLIENT_ID and REGISTRE_OIDC_SECRET_FILE, the path of "
            "the file that has the client's secret"
        )
    if not is_secure_transport(issuer):
        raise SettingsUnfit(f"REGISTRE_OIDC_ISSUER is {issuer}: a provider is reached by https://")
    return ProviderSettings(
        issuer=issuer,
        client_id=client_id,
        client_secret=Path(file).read_text(encoding="utf-8").strip(),
        scope=environ.get("REGISTRE_OIDC_SCOPE") or provider.SCOPE_OF_PROCONNECT,
    )


class Identity:
    """The file, the clock and the ways out, as the routes use them."""

    def __init__(
        self,
        file: PersonsFile,
        *,
        public_url: str,
        cookie_key: str,
        now: Callable[[], datetime],
        carry: Carrier,
        sirens: Sirens,
        send: Send,
        provider: Provider | None,
    ) -> None:
        self.file: Final = file
        self.public_url: Final = public_url
        self.now: Final = now
        self.carry: Final = carry
        self.send: Final = send
        self.provider: Final = provider
        self.cookies: Final = Cookies(public_url, key=cookie_key)
        self.identification: Final = Identification(
            file=file, public_url=public_url, cookies=self.cookies, now=now
        )
        self.headers: Final = protection.headers(public_url)
        self._sirens = sirens

    async def proposed(self, access: Access, stream: str, body: bytes) -> Proposal | None:
        """
        The proposal that the declaration in *body* is kept as; None where it is to be sent at once.

        To be asked before any declaration is sent. Raises seconding.SecondingError.
        """
        return await self.file.change(
            partial(seconding.proposed, access=access, stream=stream, body=body, now=self.now())
        )

    async def roles(self, session: Session) -> list[Role]:
        """
        For whom the person of *session* may act.

        Who came by the provider may act for those who invited them and for whom they work: the SIREN of
        their SIRET is one of the institution's own.
        """
        found = await self.file.read(
            partial(sessions.roles, person=session.person, entered_by=session.entered_by, now=self.now())
        )
        if session.entered_by == "link":
            return found
        siret = session.siret
        return [role for role in found if siret and siret[:9] in await self._sirens(role.institution)]


@contextlib.asynccontextmanager
async def opened(
    settings: Settings, *, now: Callable[[], datetime], carry: Carrier, sirens: Sirens, send: Send
) -> AsyncIterator[Identity]:
    """
    The identity of the portal, as long as the block lasts.

    The key that signs cookies lies beside the file of persons, `persons.key` beside `persons.db`. Raises
    persons_file.PersonsFileError, cookies.KeyUnfit, or an OSError.
    """
    async with contextlib.AsyncExitStack() as stack:
        file = await stack.enter_async_context(persons_file.opened(settings.persons))
        reached = None
        if settings.provider is not None:
            reached = await stack.enter_async_context(provider.reached(settings.provider, now=now))
        yield Identity(
            file,
            public_url=settings.public_url,
            cookie_key=key_in(settings.persons.with_suffix(".key")),
            now=now,
            carry=carry,
            sirens=sirens,
            send=send,
            provider=reached,
        )
