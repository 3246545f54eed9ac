"""
Signing in by OpenID Connect: authorization code with PKCE (S256), state and nonce. Made for ProConnect.

    departure          where the browser goes, and what is to be remembered until it comes back
    arrival            what the provider says of the person, once everything has been checked

Authlib has the protocol's parts, joserfc the signatures, httpx the requests. What the provider says is in its
id_token and at its userinfo endpoint (which ProConnect signs): both have to be of one subject.

Sources: OpenID Connect Core 1.0 (3.1.2, 3.1.3, 5.3.2), Discovery 1.0, RP-Initiated Logout 1.0, RFC 7636.
"""

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import httpx
import msgspec
from authlib.common.security import is_secure_transport
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from contracts.institutions import check_siret
from services.portal.identity import members, secret
from services.portal.identity.vouched import Vouched

SCOPE_OF_PROCONNECT: Final = "openid given_name usual_name email siret"
ALGORITHMS: Final = ("RS256", "PS256", "ES256", "ES384", "EdDSA")
"""Asymmetric ones: a key that we share with the provider proves nothing to anybody else."""
REQUEST_SECONDS_MAX: Final = 5.0
CLOCKS_SECONDS_MAX: Final = 60
"""How far the provider's clock may be from ours."""

_T = TypeVar("_T")


class ProviderSettings(msgspec.Struct, frozen=True):
    """The provider, and who we are to it."""

    issuer: str
    client_id: str
    client_secret: str
    scope: str = SCOPE_OF_PROCONNECT


class Departure(msgspec.Struct, frozen=True):
    """What one sign-in is known by while the browser is at the provider."""

    state: str
    nonce: str
    verifier: str


class ProviderError(Exception):
    """Nobody is signed in by this."""


class ProviderUnreachable(ProviderError):
    """The provider does not answer, or answers what no provider does."""

    def __init__(self, *, asked: str, said: str) -> None:
        super().__init__(f"the identity provider does not answer at {asked}: {said}")


class NotVouched(ProviderError):
    """What came back does not prove who the person is. *why* has no name and no address."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the identity provider does not vouch for the person: {why}")


class _Metadata(msgspec.Struct):
    """Of the provider's metadata (Discovery 1.0, 3), what is used."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str
    jwks_uri: str
    end_session_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class _Tokens(msgspec.Struct):
    access_token: str
    id_token: str
    token_type: str


class Provider:
    """One provider, as long as the process lives. Its metadata are asked for at every sign-in."""

    def __init__(
        self, settings: ProviderSettings, http: httpx.AsyncClient, *, now: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._http = http
        self._now = now

    async def departure(self, *, returns_to: str) -> tuple[str, Departure]:
        """Where the browser goes, to come back to *returns_to*. Raises ProviderUnreachable."""
        metadata = await self._metadata()
        departure = Departure(secret.make(), secret.make(), secret.make())
        url = prepare_grant_uri(
            metadata.authorization_endpoint,
            client_id=self._settings.client_id,
            response_type="code",
            redirect_uri=returns_to,
            scope=self._settings.scope,
            state=departure.state,
            nonce=departure.nonce,
            code_challenge=create_s256_code_challenge(departure.verifier),
            code_challenge_method="S256",
        )
        return str(url), departure

    async def arrival(self, departure: Departure, *, code: str, returns_to: str) -> Vouched:
        """What the provider says for *code*. Raises ProviderUnreachable, NotVouched."""
        metadata = await self._metadata()
        tokens = await self._tokens(metadata, departure, code=code, returns_to=returns_to)
        keys = await self._keys(metadata)
        of_token = self._checked(tokens, keys, nonce=departure.nonce)
        claims = await self._userinfo(metadata, tokens, keys)
        if claims.get("sub") != of_token["sub"]:
            raise NotVouched("the id_token and the userinfo are of two subjects")
        return self._vouched({**of_token, **claims}, tokens)

    async def sign_out_url(self, id_token: str, *, returns_to: str) -> str | None:
        """Where the browser goes to end the provider's own session; None where it has no such place."""
        metadata = await self._metadata()
        if metadata.end_session_endpoint is None:
            return None
        query = urlencode(
            {"id_token_hint": id_token, "post_logout_redirect_uri": returns_to, "state": secret.make()}
        )
        return f"{metadata.end_session_endpoint}?{query}"

    async def _metadata(self) -> _Metadata:
        url = f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration"
        metadata = _decoded(url, (await self._sent("GET", url)).content, _Metadata)
        if metadata.issuer != self._settings.issuer:
            raise ProviderUnreachable(asked=url, said=f"it says that it is {metadata.issuer!r}")
        for endpoint in (
            metadata.authorization_endpoint,
            metadata.token_endpoint,
            metadata.userinfo_endpoint,
            metadata.jwks_uri,
            metadata.end_session_endpoint,
        ):
            if endpoint is not None and not is_secure_transport(endpoint):
                raise ProviderUnreachable(asked=url, said=f"{endpoint} is not reached by TLS")
        return metadata

    async def _tokens(
        self, metadata: _Metadata, departure: Departure, *, code: str, returns_to: str
    ) -> _Tokens:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": returns_to,
            "code_verifier": departure.verifier,
        }
        identifier, password = self._settings.client_id, self._settings.client_secret
        if "client_secret_post" in metadata.token_endpoint_auth_methods_supported:
            form |= {"client_id": identifier, "client_secret": password}
            answer = await self._sent("POST", metadata.token_endpoint, data=form)
        else:
            answer = await self._sent("POST", metadata.token_endpoint, data=form, auth=(identifier, password))
        tokens = _decoded(metadata.token_endpoint, answer.content, _Tokens)
        if tokens.token_type.lower() != "bearer":
            raise NotVouched("its access token is no bearer token")
        return tokens

    async def _keys(self, metadata: _Metadata) -> KeySet:
        content = (await self._sent("GET", metadata.jwks_uri)).content
        try:
            return KeySet.import_key_set(msgspec.json.decode(content))
        except (JoseError, msgspec.DecodeError, ValueError, KeyError, TypeError) as error:
            raise ProviderUnreachable(asked=metadata.jwks_uri, said="no set of keys") from error

    def _checked(self, tokens: _Tokens, keys: KeySet, *, nonce: str) -> dict[str, Any]:
        """The claims of the id_token, once they are checked (Core 1.0, 3.1.3.7)."""
        try:
            token = jwt.decode(tokens.id_token, keys, algorithms=list(ALGORITHMS))
            claims = CodeIDToken(
                token.claims,
                token.header,
                options={
                    "iss": {"essential": True, "value": self._settings.issuer},
                    "aud": {"essential": True, "value": self._settings.client_id},
                },
                params={
                    "nonce": nonce,
                    "client_id": self._settings.client_id,
                    "access_token": tokens.access_token,
                },
            )
            claims.validate(now=int(self._now().timestamp()), leeway=CLOCKS_SECONDS_MAX)
        except (JoseError, ValueError) as error:
            raise NotVouched(f"the id_token does not hold ({type(error).__name__}: {error})") from error
        return dict(claims)

    async def _userinfo(self, metadata: _Metadata, tokens: _Tokens, keys: KeySet) -> dict[str, Any]:
        url = metadata.userinfo_endpoint
        answer = await self._sent("GET", url, headers={"Authorization": f"Bearer {tokens.access_token}"})
        if answer.headers.get("content-type", "").partition(";")[0].strip() != "application/jwt":
            return _decoded(url, answer.content, dict[str, Any])
        try:
            claims = jwt.decode(answer.content, keys, algorithms=list(ALGORITHMS)).claims
        except (JoseError, ValueError) as error:
            raise NotVouched("the signature of its userinfo does not hold") from error
        audience = claims.get("aud", self._settings.client_id)
        is_ours = self._settings.client_id in (audience if isinstance(audience, list) else [audience])
        if claims.get("iss", self._settings.issuer) != self._settings.issuer or not is_ours:
            raise NotVouched("its userinfo is for somebody else")
        return dict(claims)

    def _vouched(self, claims: dict[str, Any], tokens: _Tokens) -> Vouched:
        address, siret = claims.get("email"), claims.get("siret")
        given, last = claims.get("given_name", ""), claims.get("usual_name", claims.get("family_name", ""))
        if not isinstance(address, str) or claims.get("email_verified", True) is not True:
            raise NotVouched("it gives no address of electronic mail that it has verified")
        try:
            return Vouched(
                issuer=self._settings.issuer,
                subject=str(claims["sub"]),
                address=members.address_of(address),
                name=members.name_of(f"{given} {last}"),
                siret=None if siret is None else check_siret(str(siret)),
                id_token=tokens.id_token,
            )
        except ValueError as error:
            raise NotVouched(f"what it says is not well formed ({type(error).__name__})") from error

    async def _sent(self, method: str, url: str, **request: Any) -> httpx.Response:
        try:
            answer = await self._http.request(method, url, **request)
        except httpx.HTTPError as error:
            raise ProviderUnreachable(asked=url, said=type(error).__name__) from error
        if answer.status_code in {400, 401, 403}:
            raise NotVouched(f"it answers {answer.status_code}")
        if answer.status_code != 200:
            raise ProviderUnreachable(asked=url, said=f"status {answer.status_code}")
        return answer


def _decoded(url: str, content: bytes, type_: type[_T]) -> _T:
    try:
        return msgspec.json.decode(content, type=type_)
    except msgspec.DecodeError as error:
        raise ProviderUnreachable(asked=url, said=str(error)) from error


@contextlib.asynccontextmanager
async def reached(settings: ProviderSettings, *, now: Callable[[], datetime]) -> AsyncIterator[Provider]:
    """The provider, as long as the block lasts; nothing is asked of it before somebody signs in."""
    async with httpx.AsyncClient(timeout=REQUEST_SECONDS_MAX, follow_redirects=False) as http:
        yield Provider(settings, http, now=now)
