"""Tokens of programs: good for their time, their institution and their rights, and for nothing else."""

import hashlib
import sqlite3
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from functools import partial
from pathlib import Path

import aiohttp
import msgspec
import pytest
from litestar import Litestar, Request, get, post
from litestar.datastructures import State

from contracts import dates
from contracts.commands import Declaration, Declared
from services.portal.identity import persons_file, tokens
from services.portal.identity.access import Access, Right
from services.portal.identity.cookies import Cookies
from services.portal.identity.identification import PUBLIC, Identification, needs
from services.portal.identity.persons_file import PersonsFile
from tests.portal.identity.conftest import HandClock, served

WEEK = timedelta(days=7)


async def made(
    file: PersonsFile, clock: HandClock, *rights: Right, institution: str = "ville-besancon"
) -> tuple[str, tokens.Token]:
    return await file.change(
        partial(
            tokens.make,
            institution=institution,
            rights=rights or ("lecture",),
            purpose="logiciel des finances",
            expires_at=clock() + WEEK,
            made_by=None,
            now=clock(),
        )
    )


async def access(file: PersonsFile, clock: HandClock, text: str) -> Access | None:
    return await file.read(partial(tokens.access, text=text, now=clock()))


async def test_a_token_gives_its_rights_at_its_institution_and_what_they_include(
    file: PersonsFile, clock: HandClock
) -> None:
    text, token = await made(file, clock, "saisie")
    found = await access(file, clock, text)
    assert found == Access("ville-besancon", token.principal, frozenset({"lecture", "saisie"}))
    fact = Declared("convention.opened.v1", dates.parse("2026"), msgspec.Raw(b"{}"))
    declaration = Declaration("x", (fact,), principal=token.principal)
    text = msgspec.json.encode(declaration, enc_hook=dates.encode).decode()
    assert msgspec.json.decode(text, type=Declaration, dec_hook=dates.decode) == declaration


async def test_a_token_ends_at_its_instant_and_at_its_revocation(file: PersonsFile, clock: HandClock) -> None:
    text, _ = await made(file, clock)
    other, token = await made(file, clock)
    clock.move(WEEK - timedelta(seconds=1))
    assert await access(file, clock, text) is not None
    await file.change(partial(tokens.revoke, institution="ville-besancon", name=token.name, now=clock()))
    assert await access(file, clock, other) is None
    clock.move(timedelta(seconds=1))
    assert await access(file, clock, text) is None


async def test_nobody_revokes_the_token_of_another_institution(file: PersonsFile, clock: HandClock) -> None:
    text, token = await made(file, clock)
    with pytest.raises(tokens.NoSuchToken):
        await file.change(partial(tokens.revoke, institution="ccas-besancon", name=token.name, now=clock()))
    assert await access(file, clock, text) is not None
    assert await file.read(partial(tokens.listed, institution="ccas-besancon")) == []


async def test_what_is_not_the_token_itself_is_no_token(file: PersonsFile, clock: HandClock) -> None:
    text, _ = await made(file, clock)
    spoiled = [
        text[:-1], text + "A", text + "\n", text.upper(), "", text.rpartition("_")[0],
        text[:-1] + ("A" if text[-1] != "A" else "B"), "registre_aaaaaaaa_" + "A" * 43,
        "registre_aaaaaaaa_' OR 1=1 --",
    ]  # fmt: skip
    assert [await access(file, clock, each) for each in spoiled] == [None] * len(spoiled)
    assert await access(file, clock, text) is not None


@pytest.mark.parametrize(
    "rights, lifetime, purpose, refusal",
    [
        ([], WEEK, "essai", tokens.NotGrantable),
        (["administration"], WEEK, "essai", tokens.NotGrantable),
        (["lecture", "tout"], WEEK, "essai", tokens.NotGrantable),
        (["lecture"], WEEK, "", tokens.PurposeUnfit),
        (["lecture"], WEEK, "x" * 201, tokens.PurposeUnfit),
        (["lecture"], timedelta(0), "essai", tokens.LivesTooLong),
        (["lecture"], timedelta(days=367), "essai", tokens.LivesTooLong),
    ],
)
async def test_a_token_has_an_end_a_right_and_a_purpose(
    file: PersonsFile,
    clock: HandClock,
    rights: Iterable[Right],
    lifetime: timedelta,
    purpose: str,
    refusal: type[Exception],
) -> None:
    with pytest.raises(refusal):
        await file.change(
            partial(
                tokens.make,
                institution="ville-besancon",
                rights=rights,
                purpose=purpose,
                expires_at=clock() + lifetime,
                made_by=None,
                now=clock(),
            )
        )


async def test_tokens_are_bounded_and_dead_ones_make_room(
    file: PersonsFile, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "TOKENS_MAX", 2)
    await made(file, clock)
    _, second = await made(file, clock)
    with pytest.raises(tokens.TooManyTokens):
        await made(file, clock)
    await made(file, clock, institution="ccas-besancon")
    await file.change(partial(tokens.revoke, institution="ville-besancon", name=second.name, now=clock()))
    await made(file, clock)


async def test_the_file_has_a_digest_and_not_the_token(
    file: PersonsFile, clock: HandClock, tmp_path: Path
) -> None:
    text, _ = await made(file, clock)
    secret = text.rpartition("_")[2].encode()
    bytes_there = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert secret not in bytes_there
    assert hashlib.sha256(text.encode()).digest() in bytes_there


async def test_a_file_that_is_another_one_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "ledger.db"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE events (position INTEGER)")
    db.close()
    text = tmp_path / "notes.txt"
    text.write_text("un texte qui n’est pas une base, assez long pour que SQLite le lise comme un en-tête")
    before = [other.read_bytes(), text.read_bytes()]
    for path in (other, text):
        with pytest.raises(persons_file.NotAPersonsFile):
            async with persons_file.opened(path):
                pass
    assert text.read_bytes() == before[1]
    with sqlite3.connect(other) as db:
        assert db.execute("SELECT name FROM sqlite_schema").fetchall() == [("events",)]
    db.close()


async def test_the_file_is_its_owners_alone_to_read(
    file: PersonsFile, clock: HandClock, tmp_path: Path
) -> None:
    await made(file, clock)
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "persons.db": 0o600, "persons.db-shm": 0o600, "persons.db-wal": 0o600
    }  # fmt: skip


# -- over HTTP


@get("/qui", guards=[needs("lecture")])
async def who(request: Request[None, Access, State]) -> dict[str, str]:
    return {"institution": request.auth.institution, "principal": request.auth.principal}


@post("/saisie", guards=[needs("saisie")])
async def entry() -> None:
    return None


@get("/public", opt=PUBLIC)
async def public() -> str:
    return "ouvert"


@pytest.fixture
async def url(file: PersonsFile, clock: HandClock) -> AsyncIterator[str]:
    def app(url: str) -> Litestar:
        identification = Identification(
            file=file, public_url=url, cookies=Cookies(url, key="k" * 43), now=clock
        )
        return Litestar([who, entry, public], middleware=[identification])

    async with served(app) as address:
        yield address


async def test_a_request_is_known_by_its_bearer_token(url: str, file: PersonsFile, clock: HandClock) -> None:
    text, token = await made(file, clock)
    async with aiohttp.ClientSession(url) as http:
        async with http.get("/qui", headers={"Authorization": f"Bearer {text}"}) as answer:
            assert answer.status == 200
            assert await answer.json() == {"institution": "ville-besancon", "principal": token.principal}
        async with http.post("/saisie", headers={"Authorization": f"Bearer {text}"}) as answer:
            assert answer.status == 403
        async with http.get("/public") as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    "header",
    [
        None, "Bearer", "Bearer ", "Bearer registre_aaaaaaaa_" + "A" * 43, "Basic cmVnaXN0cmU6", "registre",
        "Bearer a b", "Bearer " + "x" * 8_000, "Bearer \xe9t\xe9",
    ],
)  # fmt: skip
async def test_who_is_not_known_is_challenged(url: str, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    async with aiohttp.ClientSession(url) as http, http.get("/qui", headers=headers) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="registre"')


async def test_a_revoked_token_is_refused_from_the_next_request_on(
    url: str, file: PersonsFile, clock: HandClock
) -> None:
    text, token = await made(file, clock)
    headers = {"Authorization": f"Bearer {text}"}
    async with aiohttp.ClientSession(url, headers=headers) as http:
        async with http.get("/qui") as answer:
            assert answer.status == 200
        await file.change(partial(tokens.revoke, institution="ville-besancon", name=token.name, now=clock()))
        async with http.get("/qui") as answer:
            assert answer.status == 401
            assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
