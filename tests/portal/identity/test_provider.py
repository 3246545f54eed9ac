"""
Signing in by OpenID Connect, with a provider that runs beside (oidc-provider-mock), and one that lies.

The provider checks no PKCE by itself; here it does, by its own reading of RFC 7636.
"""

import base64
import contextlib
import hashlib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import flask
import oidc_provider_mock
import pytest
import pytest_asyncio
import werkzeug.serving
from oidc_provider_mock import User

from services.portal.identity import departures, members, provider
from services.portal.identity.provider import ProviderSettings
from tests.portal.identity.conftest import BESANCON, CCAS, Answer, Browser, HandClock, Portal, portal_in

pytestmark = pytest.mark.asyncio(loop_scope="module")


SIRET_OF_BESANCON = "21250056500016"
SIRET_OF_ITS_SCHOOLS = "21250056500024"
SIRET_OF_CCAS = "26250056400012"
ADJOINTE = "adjointe.essai@besancon.example"


class Mock:
    """The provider, and what it is to do wrong."""

    def __init__(self) -> None:
        users = [
            User(
                sub="adjointe",
                claims=claims(ADJOINTE, SIRET_OF_BESANCON, given_name="Adjointe", usual_name="Essai"),
            ),
            User(sub="schools", claims=claims("s@besancon.example", SIRET_OF_ITS_SCHOOLS)),
            User(sub="ccas", claims=claims(ADJOINTE, SIRET_OF_CCAS)),
            User(sub="nobody", claims=claims("n@besancon.example", SIRET_OF_BESANCON)),
            User(sub="no-siret", claims=claims(ADJOINTE, None)),
            User(sub="bad-siret", claims=claims(ADJOINTE, "12345678901234")),
            User(sub="unverified", claims=claims(ADJOINTE, SIRET_OF_BESANCON, email_verified=False)),
            User(sub="no-address", claims=claims(None, SIRET_OF_BESANCON)),
            User(sub="other-adjointe", claims=claims(ADJOINTE, SIRET_OF_BESANCON)),
        ]
        self.app = oidc_provider_mock.app(require_nonce=True, user_claims=users)
        self.challenges: dict[str, str] = {}
        self.verified: list[bool] = []
        self.spoil: Callable[[str, flask.Response], None] = lambda _path, _response: None
        self.app.before_request(self._check_verifier)
        self.app.after_request(self._keep_challenge)

    def _check_verifier(self) -> Any:
        if flask.request.path != "/oauth2/token":
            return None
        verifier = flask.request.form.get("code_verifier", "")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        self.verified.append(challenge == self.challenges.get(flask.request.form.get("code", "")))
        return None if self.verified[-1] else (flask.jsonify({"error": "invalid_grant"}), 400)

    def _keep_challenge(self, response: flask.Response) -> flask.Response:
        code = parse_qs(urlsplit(response.headers.get("Location", "")).query).get("code")
        if flask.request.path == "/oauth2/authorize" and code:
            assert flask.request.args["code_challenge_method"] == "S256"
            self.challenges[code[0]] = flask.request.args["code_challenge"]
        self.spoil(flask.request.path, response)
        return response


def claims(address: str | None, siret: str | None, **more: object) -> dict[str, object]:
    given = {"email": address, "siret": siret, **more}
    return {name: value for name, value in given.items() if value is not None}


@contextlib.contextmanager
def threaded(app: Any) -> Iterator[str]:
    server = werkzeug.serving.make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


@pytest.fixture(scope="module")
def mock_at() -> Iterator[tuple[Mock, str]]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    mock = Mock()
    with threaded(mock.app) as url:
        yield mock, url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def portal_of_module(
    mock_at: tuple[Mock, str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Portal]:
    """The portal of conftest.py, with a provider."""
    settings = ProviderSettings(mock_at[1], "registre", "secret", scope="openid email profile")
    clock, folder = HandClock(), tmp_path_factory.mktemp("provider")
    async with (
        provider.reached(settings, now=clock) as reached,
        portal_in(folder, clock=clock, provider=reached) as it,
    ):
        yield it


@pytest.fixture
def mock(mock_at: tuple[Mock, str], portal: Portal) -> Mock:
    """The provider as it should be, which knows two institutions' SIREN."""
    portal.sirens = {BESANCON: frozenset({SIRET_OF_BESANCON[:9]}), CCAS: frozenset({SIRET_OF_CCAS[:9]})}
    mock_at[0].spoil = lambda _path, _response: None
    mock_at[0].verified.clear()
    return mock_at[0]


async def to_provider(browser: Browser) -> str:
    """Where the sign-in button leads."""
    answer = await browser.get("/connexion/fournisseur", allow_redirects=False)
    assert answer.status == 302
    return str(answer.headers["Location"])


async def from_provider(browser: Browser, url: str, sub: str) -> str:
    """Where the provider sends the browser back to, signed in there as *sub*."""
    async with browser.http.post(url, data={"sub": sub}, allow_redirects=False) as answer:
        assert answer.status == 302, await answer.text()
        return str(answer.headers["Location"])


async def sign_in(browser: Browser, sub: str) -> Answer:
    return await browser.get(await from_provider(browser, await to_provider(browser), sub))


async def test_whom_an_institution_invited_and_who_works_there_signs_in(portal: Portal, mock: Mock) -> None:
    member = await portal.member(ADJOINTE, "saisie", enters_by="provider")
    async with portal.browser() as browser:
        answer = await sign_in(browser, "adjointe")
        assert (answer.status, answer.url) == (200, f"{portal.url}/au-titre-de")
        assert "Adjointe Essai" in answer.text
        assert mock.verified == [True]
        assert (await browser.json("GET", "/qui"))[1]["principal"] == member.principal


async def test_any_establishment_of_the_institution_will_do(portal: Portal, mock: Mock) -> None:
    await portal.member("s@besancon.example", enters_by="provider")
    async with portal.browser() as browser:
        assert (await sign_in(browser, "schools")).status == 200


@pytest.mark.parametrize("sub", ["nobody", "ccas", "no-siret", "bad-siret", "unverified", "no-address"])
async def test_neither_the_siret_nor_the_invitation_is_enough_by_itself(
    portal: Portal, mock: Mock, sub: str
) -> None:
    await portal.member(ADJOINTE, enters_by="provider")
    async with portal.browser() as browser:
        assert (await sign_in(browser, sub)).status == 403
        assert (await browser.get("/qui")).status == 401
        assert "registre" not in browser.cookies


async def test_an_institution_without_a_siren_in_the_ledger_lets_nobody_in(
    portal: Portal, mock: Mock
) -> None:
    await portal.member(ADJOINTE, enters_by="provider")
    portal.sirens = {}
    async with portal.browser() as browser:
        assert (await sign_in(browser, "adjointe")).status == 403


async def test_of_several_institutions_only_those_one_works_for_are_open(portal: Portal, mock: Mock) -> None:
    await portal.member(ADJOINTE, enters_by="provider")
    at_ccas = await portal.member(ADJOINTE, institution=CCAS, enters_by="provider")
    by_link = await portal.member(ADJOINTE, institution="mjc", enters_by="link")
    async with portal.browser() as browser:
        await sign_in(browser, "adjointe")
        assert (await browser.json("GET", "/qui"))[1]["institution"] == BESANCON
        for member in (at_ccas, by_link):
            form = {"institution": member.institution, "principal": member.principal}
            assert (await browser.post("/au-titre-de", form)).status == 403


async def test_who_was_invited_by_link_does_not_enter_by_the_provider(portal: Portal, mock: Mock) -> None:
    await portal.member(ADJOINTE, enters_by="link")
    async with portal.browser() as browser:
        assert (await sign_in(browser, "adjointe")).status == 403


async def test_an_address_given_to_somebody_else_opens_nothing(portal: Portal, mock: Mock) -> None:
    await portal.member(ADJOINTE, enters_by="provider")
    async with portal.browser() as browser:
        assert (await sign_in(browser, "adjointe")).status == 200
    async with portal.browser() as browser:
        assert (await sign_in(browser, "other-adjointe")).status == 403


async def test_a_withdrawn_person_signs_in_no_more(portal: Portal, mock: Mock) -> None:
    await portal.member("admin@besancon.example", "administration")
    member = await portal.member(ADJOINTE, enters_by="provider")
    async with portal.browser() as browser:
        assert (await sign_in(browser, "adjointe")).status == 200
        await portal.file.change(
            lambda db: members.withdraw(
                db, institution=BESANCON, principal=member.principal, now=portal.clock()
            )
        )
        assert (await browser.get("/qui")).status == 401
        assert (await sign_in(browser, "adjointe")).status == 403


# -- what comes back must belong to what left


async def test_a_state_is_good_once_in_its_browser_and_for_a_while(portal: Portal, mock: Mock) -> None:
    await portal.member(ADJOINTE, enters_by="provider")
    async with portal.browser() as browser, portal.browser() as victim:
        back = await from_provider(browser, await to_provider(browser), "adjointe")
        await to_provider(victim)  # has a departure of its own
        assert (await victim.get(back)).status == 403, "a code that somebody else brought"
        assert mock.verified == []
        assert (await browser.get(back)).status == 200
        assert (await browser.get(back)).status == 403, "used"
    async with portal.browser() as browser:
        back = await from_provider(browser, await to_provider(browser), "adjointe")
        portal.clock.move(departures.LIFETIME)
        assert (await browser.get(back)).status == 403, "too late"


@pytest.mark.parametrize("state", ["", "x", "A" * 43])
async def test_a_wrong_state_is_refused(portal: Portal, mock: Mock, state: str) -> None:
    await portal.member(ADJOINTE, enters_by="provider")
    async with portal.browser() as browser:
        back = await from_provider(browser, await to_provider(browser), "adjointe")
        code = parse_qs(urlsplit(back).query)["code"][0]
        query = urlencode({"code": code, "state": state})
        assert (await browser.get(f"/connexion/retour?{query}")).status == 403
    assert mock.verified == []


async def test_a_code_of_another_departure_is_refused(portal: Portal, mock: Mock) -> None:
    """PKCE: the verifier is not the one whose challenge the code was given for."""
    await portal.member(ADJOINTE, enters_by="provider")
    async with portal.browser() as thief, portal.browser() as browser:
        stolen = parse_qs(urlsplit(await from_provider(thief, await to_provider(thief), "adjointe")).query)[
            "code"
        ][0]
        back = await from_provider(browser, await to_provider(browser), "nobody")
        state = parse_qs(urlsplit(back).query)["state"][0]
        query = urlencode({"code": stolen, "state": state})
        assert (await browser.get(f"/connexion/retour?{query}")).status == 403
        assert mock.verified == [False]
        assert (await browser.get("/qui")).status == 401


async def test_an_id_token_with_another_nonce_is_refused(portal: Portal, mock: Mock) -> None:
    await portal.member(ADJOINTE, enters_by="provider")
    async with portal.browser() as browser:
        url = urlsplit(await to_provider(browser))
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        replayed = url._replace(query=urlencode({**asked, "nonce": "of-another-sign-in"})).geturl()
        assert (await browser.get(await from_provider(browser, replayed, "adjointe"))).status == 403
        assert mock.verified == [True]
        assert (await browser.get("/qui")).status == 401


def _without_signature(path: str, response: flask.Response) -> None:
    """alg: none, and no signature."""
    if path == "/oauth2/token":
        tokens = response.get_json()
        head = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
        tokens["id_token"] = f"{head}.{tokens['id_token'].split('.')[1]}."
        response.set_data(flask.json.dumps(tokens))


def _other_claims(path: str, response: flask.Response) -> None:
    if path == "/oauth2/token":
        tokens = response.get_json()
        head, body, signature = tokens["id_token"].split(".")
        read = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).replace(b'"nobody"', b'"adjointe"')
        tokens["id_token"] = f"{head}.{base64.urlsafe_b64encode(read).rstrip(b'=').decode()}.{signature}"
        response.set_data(flask.json.dumps(tokens))


def _userinfo_of_another(path: str, response: flask.Response) -> None:
    if path == "/userinfo":
        response.set_data(flask.json.dumps({"sub": "adjointe", **claims(ADJOINTE, SIRET_OF_BESANCON)}))


def _userinfo_in_its_own_words(path: str, response: flask.Response) -> None:
    if path == "/userinfo":
        response.headers["Content-Type"] = "application/jwt"


@pytest.mark.parametrize(
    "spoil", [_without_signature, _other_claims, _userinfo_of_another, _userinfo_in_its_own_words]
)
async def test_what_is_not_signed_for_this_sign_in_vouches_for_nobody(
    portal: Portal, mock: Mock, spoil: Callable[[str, flask.Response], None]
) -> None:
    await portal.member(ADJOINTE, enters_by="provider")
    await portal.member("n@besancon.example", enters_by="provider")
    async with portal.browser() as browser:
        mock.spoil = spoil
        assert (await sign_in(browser, "nobody")).status == 403
        assert (await browser.get("/qui")).status == 401
        mock.spoil = lambda _path, _response: None
        assert (await sign_in(browser, "nobody")).status == 200


async def test_an_id_token_is_refused_after_its_end(portal: Portal, mock: Mock) -> None:
    await portal.member(ADJOINTE, enters_by="provider")
    portal.clock.move(timedelta(hours=2))
    async with portal.browser() as browser:
        assert (await sign_in(browser, "adjointe")).status == 403


def _is_another(path: str, response: flask.Response) -> None:
    if path == "/.well-known/openid-configuration":
        response.set_data(flask.json.dumps({**response.get_json(), "issuer": "https://ailleurs.example"}))


def _without_tls(path: str, response: flask.Response) -> None:
    if path == "/.well-known/openid-configuration":
        known = {**response.get_json(), "token_endpoint": "http://ailleurs.example/token"}
        response.set_data(flask.json.dumps(known))


def _is_down(path: str, response: flask.Response) -> None:
    if path == "/.well-known/openid-configuration":
        response.status_code = 502


@pytest.mark.parametrize(
    "spoil",
    [
        _is_another,
        _without_tls,
        _is_down,
    ],
)
async def test_a_provider_that_is_not_itself_or_not_there_signs_nobody_in(
    portal: Portal, mock: Mock, spoil: Callable[[str, flask.Response], None]
) -> None:
    mock.spoil = spoil
    async with portal.browser() as browser:
        answer = await browser.get("/connexion/fournisseur", allow_redirects=False)
        assert answer.status == 503
        assert browser.cookies == {}


async def test_whom_the_provider_refuses_is_told_so(portal: Portal, mock: Mock) -> None:
    async with portal.browser() as browser:
        url = await to_provider(browser)
        async with browser.http.post(url, data={"action": "deny"}, allow_redirects=False) as answer:
            back = str(answer.headers["Location"])
        state = parse_qs(urlsplit(url).query)["state"][0]
        joined = back if "state=" in back else f"{back}&state={state}"
        assert (await browser.get(joined)).status == 403


async def test_signing_out_ends_the_session_of_the_provider_too(portal: Portal, mock: Mock) -> None:
    await portal.member(ADJOINTE, enters_by="provider")
    async with portal.browser() as browser:
        await sign_in(browser, "adjointe")
        answer = await browser.post("/deconnexion", {}, allow_redirects=False)
        to = urlsplit(answer.headers["Location"])
        asked = parse_qs(to.query)
        assert to.path == "/oauth2/end_session"
        assert asked["post_logout_redirect_uri"] == [f"{portal.url}/connexion"]
        assert len(asked["id_token_hint"][0].split(".")) == 3
        assert (await browser.get("/qui")).status == 401


async def test_departures_are_bounded(portal: Portal, mock: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departures, "DEPARTURES_MAX", 3)
    async with portal.browser() as browser:
        for _ in range(5):
            await to_provider(browser)
            portal.clock.move(timedelta(seconds=1))
    (count,) = await portal.file.read(lambda db: db.execute("SELECT count(*) FROM departures").fetchone())
    assert count == 3
