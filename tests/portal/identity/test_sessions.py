"""Sessions of persons: begun by a link, known by a cookie, ended in time; and no other site acts in one."""

import re
import sqlite3
from datetime import timedelta

import pytest

from services.portal.identity import members, secret, sessions
from services.portal.identity.cookies import Cookies
from tests.portal.identity.conftest import BESANCON, CCAS, COOKIE_KEY, Portal

pytestmark = pytest.mark.asyncio(loop_scope="module")


ADJOINTE, TRESORIER = "adjointe.essai@besancon.example", "tresorier@mjc.example"
COOKIE = "registre"


async def test_a_link_signs_in_once_and_only_by_its_button(portal: Portal) -> None:
    member = await portal.member(ADJOINTE)
    text = await portal.link(ADJOINTE)
    async with portal.browser() as scanner:
        for _ in range(3):
            assert (await scanner.get(f"/entree/{text}")).fields("lien") == [text]
        assert scanner.cookies == {}
    async with portal.browser() as browser, portal.browser() as thief:
        answer = await browser.post("/entree", {"lien": text})
        assert (answer.status, answer.url) == (200, f"{portal.url}/au-titre-de")
        assert (await browser.json("GET", "/qui")) == (
            200, {"institution": BESANCON, "principal": member.principal}
        )  # fmt: skip
        replayed = await thief.post("/entree", {"lien": text})
        assert (replayed.status, thief.cookies) == (403, {})
        assert (await thief.json("GET", "/qui"))[0] == 401


async def test_a_link_ends_by_itself(portal: Portal) -> None:
    await portal.member(ADJOINTE)
    text = await portal.link(ADJOINTE)
    portal.clock.move(timedelta(minutes=15))
    async with portal.browser() as browser:
        assert (await browser.post("/entree", {"lien": text})).status == 403


async def test_a_link_that_was_asked_for_goes_to_its_address_alone_and_not_without_end(
    portal: Portal,
) -> None:
    await portal.member(ADJOINTE)
    await portal.member("agent@besancon.example", enters_by="provider")
    async with portal.browser() as browser:
        pages = [
            await browser.post("/connexion", {"adresse": address})
            for address in (
                ADJOINTE,
                "nobody@besancon.example",
                "agent@besancon.example",
                *[f" {ADJOINTE.upper()} "] * 9,
            )
        ]
    assert {(page.status, page.text) for page in pages} == {(200, pages[0].text)}
    assert [letter.address for letter in portal.letters] == [ADJOINTE] * 5
    found = re.search(r"/entree/(\S+)", portal.letters[0].text)
    assert found is not None
    async with portal.browser() as browser:
        assert (await browser.post("/entree", {"lien": found[1]})).url.endswith("/au-titre-de")


async def test_the_cookie_is_httponly_lax_and_of_this_host(portal: Portal) -> None:
    await portal.member(ADJOINTE)
    async with portal.browser() as browser:
        answer = await browser.post("/entree", {"lien": await portal.link(ADJOINTE)}, allow_redirects=False)
    [cookie] = [it for it in answer.headers.getall("Set-Cookie") if it.startswith("registre=")]
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/"} <= parts
    assert not [part for part in parts if part.startswith(("domain", "max-age", "expires"))]
    secured = Cookies("https://portail.example.fr", key=COOKIE_KEY)
    assert (secured.session, secured.is_secure) == ("__Host-registre", True)


@pytest.mark.parametrize(
    "forged",
    ["", "A" * 43, "' OR 1=1 --", "A" * 5_000, "../../etc/passwd", "é" * 43],
    ids=["empty", "guess", "sql", "long", "path", "accents"],
)
async def test_a_forged_cookie_is_nobodys(portal: Portal, forged: str) -> None:
    await portal.member(ADJOINTE)
    async with portal.browser() as browser:
        await portal.enter(browser, ADJOINTE)
        answer = await browser.get("/qui", cookies={COOKIE: forged})
        assert answer.status == 401


async def test_a_changed_cookie_is_nobodys(portal: Portal) -> None:
    await portal.member(ADJOINTE)
    async with portal.browser() as browser, portal.browser() as forger:
        await portal.enter(browser, ADJOINTE)
        cookie = browser.cookies[COOKIE]
        assert (await forger.get("/qui", cookies={COOKIE: cookie})).status == 200
        text, _, signature = cookie.partition(".")
        for other in (
            ("B" if cookie[0] != "B" else "C") + cookie[1:],
            cookie[:-1] + ("b" if cookie[-1] != "b" else "c"),
            cookie[:-1],
            f"{cookie}0",
            text,
            f"{text}.",
            f".{signature}",
            f"{text}.{signature.upper()}",
            f"{text}.é",
        ):
            forger.http.cookie_jar.clear()
            assert (await forger.get("/qui", cookies={COOKIE: other})).status == 401, other


async def test_who_knows_a_session_without_the_key_has_no_cookie_for_it(portal: Portal) -> None:
    # As whoever writes into the file of persons would: a session of which they know the secret.
    member = await portal.member(ADJOINTE)
    async with portal.browser() as browser, portal.browser() as forger:
        await portal.enter(browser, ADJOINTE)
        text = secret.make()

        def planted(db: sqlite3.Connection) -> None:
            db.execute("UPDATE sessions SET digest = ?", (secret.digest(text),))

        await portal.file.change(planted)
        ours, others = Cookies(portal.url, key=COOKIE_KEY), Cookies(portal.url, key="o" * 43)
        of_departure = ours.made(ours.departure, text).value
        for forged in (text, others.made(COOKIE, text).value, of_departure):
            forger.http.cookie_jar.clear()
            assert (await forger.get("/qui", cookies={COOKIE: str(forged)})).status == 401
        forger.http.cookie_jar.clear()
        good = str(ours.made(COOKIE, text).value)
        answer = await forger.get("/qui", cookies={COOKIE: good})
        assert (answer.status, member.principal in answer.text) == (200, True)


async def test_the_file_has_no_cookie_and_no_link(portal: Portal) -> None:
    await portal.member(ADJOINTE)
    text = await portal.link(ADJOINTE)
    async with portal.browser() as browser:
        await portal.enter(browser, ADJOINTE)
        cookie = browser.cookies[COOKIE]
    path = portal.file.path
    there = b"".join(it.read_bytes() for it in path.parent.glob("persons.db*"))
    assert ADJOINTE.encode() in there
    assert text.encode() not in there
    assert cookie.encode() not in there
    assert cookie.partition(".")[0].encode() not in there


async def test_a_session_ends_when_nobody_uses_it_and_after_a_working_day(portal: Portal) -> None:
    await portal.member(ADJOINTE)
    async with portal.browser() as idle, portal.browser() as busy:
        await portal.enter(idle, ADJOINTE)
        await portal.enter(busy, ADJOINTE)
        for _ in range(19):
            portal.clock.move(timedelta(minutes=31))
            assert (await busy.get("/qui")).status == 200
        assert (await idle.get("/qui")).status == 401
        portal.clock.move(timedelta(minutes=31))
        assert (await busy.get("/qui")).status == 401  # in use, but begun ten hours and twenty minutes ago


async def test_the_session_of_a_withdrawn_person_ends_at_the_next_request(portal: Portal) -> None:
    member = await portal.member(ADJOINTE, "saisie")
    await portal.member(TRESORIER, "administration")
    async with portal.browser() as browser:
        await portal.enter(browser, ADJOINTE)
        assert (await browser.get("/qui")).status == 200
        await portal.file.change(
            lambda db: members.withdraw(
                db, institution=BESANCON, principal=member.principal, now=portal.clock()
            )
        )
        assert (await browser.get("/qui")).status == 401
        assert (await portal.enter(browser, ADJOINTE)).status == 403


async def test_a_right_that_is_taken_back_is_gone_by_the_next_request(portal: Portal) -> None:
    await portal.member(ADJOINTE, "administration")
    await portal.member(TRESORIER, "administration")
    async with portal.browser() as browser:
        await portal.enter(browser, ADJOINTE)
        assert (await browser.get("/personnes")).status == 200
        await portal.member(ADJOINTE, "lecture")
        assert (await browser.get("/personnes")).status == 403
        assert (await browser.json("GET", "/api/v1/persons"))[0] == 403
        assert (await browser.get("/qui")).status == 200


async def test_signing_out_ends_the_session_and_not_only_the_cookie(portal: Portal) -> None:
    await portal.member(ADJOINTE)
    async with portal.browser() as browser:
        await portal.enter(browser, ADJOINTE)
        cookie = browser.cookies[COOKIE]
        assert (await browser.post("/deconnexion", {})).url == f"{portal.url}/connexion"
        assert browser.cookies == {}
        assert (await browser.get("/qui", cookies={COOKIE: cookie})).status == 401


async def test_a_person_of_two_institutions_acts_for_one_at_a_time(portal: Portal) -> None:
    of_town = await portal.member(ADJOINTE, "validation")
    of_ccas = await portal.member(ADJOINTE, "lecture", institution=CCAS)
    assert of_town.principal != of_ccas.principal
    async with portal.browser() as browser:
        page = await portal.enter(browser, ADJOINTE)
        assert sorted(page.fields("institution")) == [CCAS, BESANCON]
        assert (await browser.get("/qui")).status == 403  # for nobody yet
        seen = {browser.cookies[COOKIE]}
        for member in (of_town, of_ccas, of_town):
            form = {"institution": member.institution, "principal": member.principal}
            assert (await browser.post("/au-titre-de", form)).status == 200
            status, me = await browser.json("GET", "/api/v1/me")
            assert (status, me["institution"], me["principal"]) == (200, member.institution, member.principal)
            assert set(me["rights"]) == set(
                {"validation": ["lecture", "saisie", "validation"], "lecture": ["lecture"]}[member.rights[0]]
            )
            seen.add(browser.cookies[COOKIE])
        assert len(seen) == 4, "the cookie is another one after each change"
        old = sorted(seen - {browser.cookies[COOKIE]})
        browser.http.cookie_jar.clear()
        assert [(await browser.get("/qui", cookies={COOKIE: it})).status for it in old] == [401] * 3


async def test_nobody_acts_for_an_institution_that_did_not_invite_them(portal: Portal) -> None:
    await portal.member(ADJOINTE)
    other = await portal.member(TRESORIER, institution=CCAS)
    async with portal.browser() as browser:
        await portal.enter(browser, ADJOINTE)
        for form in (
            {"institution": CCAS, "principal": other.principal},
            {"institution": CCAS, "principal": ""},
            {},
        ):
            assert (await browser.post("/au-titre-de", form)).status == 403
        assert (await browser.json("GET", "/qui"))[1]["institution"] == BESANCON


# -- other sites


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://ailleurs.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
    ids=["none", "elsewhere", "null", "other-port", "cross-site", "same-site", "typed"],
)
async def test_what_another_site_sends_changes_nothing(portal: Portal, headers: dict[str, str]) -> None:
    await portal.member(ADJOINTE, "administration")
    link = await portal.link(ADJOINTE)
    async with portal.browser() as browser:
        await portal.enter(browser, ADJOINTE)
        csrf = (await browser.get("/personnes")).fields("jeton")[0]
        form = {"adresse": TRESORIER, "lecture": "oui"}
        assert (await browser.post("/personnes", form, csrf=csrf, headers=headers)).status == 403
        assert (await browser.post("/entree", {"lien": link}, csrf=csrf, headers=headers)).status == 403
        assert len(await portal.file.read(members.listed)) == 1
        fine = {"Sec-Fetch-Site": "same-origin", "Origin": "https://seen.through.a.proxy.example"}
        assert (await browser.post("/personnes", form, csrf=csrf, headers=fine)).status == 200
        assert len(await portal.file.read(members.listed)) == 2


async def test_what_has_not_the_token_of_its_own_session_changes_nothing(portal: Portal) -> None:
    await portal.member(ADJOINTE, "administration")
    await portal.member(TRESORIER)
    async with portal.browser() as browser, portal.browser() as other:
        await portal.enter(browser, ADJOINTE)
        await portal.enter(other, TRESORIER)
        of_other = (await other.get("/au-titre-de")).fields("jeton")[0]
        for csrf in ("", "x", of_other, browser.cookies[COOKIE]):
            form = {"adresse": "c@mjc.example", "lecture": "oui"}
            assert (await browser.post("/personnes", form, csrf=csrf)).status == 403
        async with browser.http.post(
            f"{portal.url}/api/v1/persons",
            json={"address": "c@mjc.example", "rights": ["lecture"]},
            headers={"Origin": portal.url},
        ) as answer:
            assert answer.status == 403
        assert len(await portal.file.read(members.listed)) == 2


async def test_secrets_are_compared_in_constant_time(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, str]] = []
    denied: set[str] = set()
    same = secret.are_same

    def are_same(one: str, other: str) -> bool:
        compared.append((one, other))
        return same(one, other) and one not in denied

    monkeypatch.setattr(secret, "are_same", are_same)
    await portal.member(ADJOINTE)
    async with portal.browser() as browser:
        await portal.enter(browser, ADJOINTE)
        csrf = (await browser.get("/au-titre-de")).fields("jeton")[0]
        signature = browser.cookies[COOKIE].partition(".")[2]
        compared.clear()
        denied.add(csrf)
        assert (await browser.post("/deconnexion", {}, csrf=csrf)).status == 403
        assert compared == [(signature, signature), (csrf, csrf)]
        denied.add(signature)
        assert (await browser.get("/qui")).status == 401


# -- what answers say to a browser


@pytest.mark.parametrize("path", ["/connexion", "/qui", "/nulle-part", "/identite.css", "/api/v1/me"])
async def test_every_answer_forbids_what_no_page_of_ours_needs(portal: Portal, path: str) -> None:
    async with portal.browser() as browser:
        headers = (await browser.get(path)).headers
    policy = {part.split()[0]: part.split()[1:] for part in headers["Content-Security-Policy"].split(";")}
    assert policy["default-src"] == ["'none'"]
    assert policy["frame-ancestors"] == ["'none'"]
    assert not [
        source for sources in policy.values() for source in sources if source not in {"'none'", "'self'"}
    ]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "Strict-Transport-Security" not in headers  # means nothing without TLS


async def test_pages_ask_nothing_of_others_and_run_nothing(portal: Portal) -> None:
    await portal.member(ADJOINTE, "administration")
    async with portal.browser() as browser:
        await portal.enter(browser, ADJOINTE)
        for path in ("/connexion", "/au-titre-de", "/personnes", "/entree/x", "/connexion/retour"):
            text = (await browser.get(path)).text
            assert not re.findall(r"<script|<style|\sstyle=|\son[a-z]+=|javascript:", text)
            assert not re.findall(r'(?:href|src|action)="(?!/[^/])[^"]*"', text)


async def test_the_bare_address_leads_in(portal: Portal) -> None:
    await portal.member(ADJOINTE)
    async with portal.browser() as browser:
        assert (await browser.get("/")).url.endswith("/connexion")
        await portal.enter(browser, ADJOINTE)
        assert (await browser.get("/")).url.endswith("/au-titre-de")


@pytest.mark.parametrize("where", ["//ailleurs.example", "https://ailleurs.example", "/\\ailleurs.example"])
async def test_no_parameter_leads_to_another_site(portal: Portal, where: str) -> None:
    await portal.member(ADJOINTE)
    async with portal.browser() as browser:
        more = {"suite": where, "next": where, "url": where, "redirect_uri": where}
        answer = await browser.post(
            "/entree", {"lien": await portal.link(ADJOINTE), **more}, params=more, allow_redirects=False
        )
        assert answer.headers["Location"] == "/au-titre-de"
        answer = await browser.post("/deconnexion", more, params=more, allow_redirects=False)
        assert answer.headers["Location"] == "/connexion"


async def test_html_in_a_name_or_a_field_is_text(portal: Portal) -> None:
    await portal.member(ADJOINTE, "administration")
    nasty = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    async with portal.browser() as browser:
        await portal.enter(browser, ADJOINTE)
        answer = await browser.post("/personnes", {"adresse": TRESORIER, "nom": nasty, "lecture": "oui"})
        assert answer.status == 200
        assert "&lt;script&gt;" in answer.text
        answer = await browser.post("/personnes", {"adresse": nasty, "lecture": "oui"})
        assert answer.status == 422
        for page in (
            answer,
            await browser.get("/personnes"),
            await browser.get("/entree/%3Cscript%3Ealert(1)%3C%2Fscript%3E"),
            await browser.post("/au-titre-de", {"institution": nasty, "principal": nasty}),
        ):
            assert "<script" not in page.text
            assert "<img" not in page.text


async def test_a_form_is_small(portal: Portal) -> None:
    await portal.member(ADJOINTE)
    async with portal.browser() as browser:
        csrf = (await browser.get("/connexion")).fields("jeton")[0]
        assert (await browser.post("/connexion", {"adresse": "x" * 20_000}, csrf=csrf)).status == 413


async def test_sessions_of_one_person_are_bounded(portal: Portal) -> None:
    await portal.member(ADJOINTE)
    async with portal.browser() as first:
        await portal.enter(first, ADJOINTE)
        for _ in range(sessions.SESSIONS_MAX):
            portal.clock.move(timedelta(seconds=1))
            async with portal.browser() as browser:
                await portal.enter(browser, ADJOINTE)
        assert (await first.get("/qui")).status == 401

    def count(db: sqlite3.Connection) -> int:
        return int(db.execute("SELECT count(*) FROM sessions").fetchone()[0])

    assert await portal.file.read(count) == sessions.SESSIONS_MAX
