"""Under TLS: cookies that no other host and no plain connection can have; browsers come back by TLS."""

from pathlib import Path

import pytest

from services.portal.identity.persons_file import PersonsFile
from tests.certificates import certificate_in
from tests.portal.identity.conftest import HandClock, Portal, Tls, served

ADJOINTE = "adjointe@besancon.example"


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return certificate_in(tmp_path)


async def test_the_cookie_is_of_this_host_and_of_tls_alone(
    file: PersonsFile, clock: HandClock, tls: Tls
) -> None:
    portal = Portal(clock, file)
    await portal.member(ADJOINTE)
    link = await portal.link(ADJOINTE)
    async with served(portal.app, tls=tls) as url, portal.browser() as browser:
        assert url.startswith("https://")
        answer = await browser.post("/entree", {"lien": link}, allow_redirects=False)
        [cookie] = [it for it in answer.headers.getall("Set-Cookie") if it.startswith("__Host-registre=")]
        parts = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"secure", "httponly", "samesite=lax", "path=/"} <= parts
        assert not [part for part in parts if part.startswith("domain")]
        assert (await browser.get("/qui")).status == 200
        for path in ("/connexion", "/qui", "/nulle-part"):
            said = (await browser.get(path)).headers["Strict-Transport-Security"]
            assert int(said.removeprefix("max-age=")) >= 31_536_000
        value = browser.cookies["__Host-registre"]
        browser.http.cookie_jar.clear()
        assert (await browser.get("/qui", cookies={"registre": value})).status == 401
