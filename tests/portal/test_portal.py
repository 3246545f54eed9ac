"""What an institution reads and declares over HTTP: the ledger's own bytes, and problems in one shape."""

import asyncio
import hashlib
import json
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import msgspec
import pytest
import pytest_asyncio

from contracts import envelope, events
from contracts.commands import FACTS_MAX
from contracts.queries import StatementQuery
from services import asking, questions
from services.portal import server
from services.portal.app import create_app
from services.portal.identity.protection import API_POLICY
from tests.portal.worlds import PRINCIPAL, World, by_header

pytestmark = pytest.mark.asyncio(loop_scope="module")

A: Final = "ville-a"
HTML: Final = "<script>alert('é')</script><img src=x onerror=alert(1)>"
DAY: Final = "2026-06-30"
PATH: Final = "/api/v1/conventions/a"
DECLARE: Final = f"{PATH}/declarations"


def paid(key: str, *, cents: int = 10_000, on: str = "2026-03-01") -> tuple[str, events.Event]:
    return on, events.PaymentMade(
        payer=A, beneficiary="mjc", key=key, exercice=2026, amount_cents=cents, mandat="1024"
    )


OPENING: Final[list[tuple[str, events.Event]]] = [
    (
        "2026-01-01",
        events.InstrumentOpened(nature="convention-objectifs", title=HTML, force="engagement-ferme"),
    ),
    ("2026-01-01", events.PartyListed(institution=A, written_as=HTML)),
    ("2026-01-01", events.PartyListed(institution="mjc")),
    ("2026-01-01", events.ProvisionMentioned(about=HTML, says=HTML)),
]


def declaration(*facts: tuple[str, events.Event], **more: Any) -> dict[str, Any]:
    """The body of a declaration, to be spoiled by a test."""
    declared = [asking.declared(fact, on) for on, fact in facts]
    body: dict[str, Any] = json.loads(
        asking.declaration(declared, command_id=asking.new_command_id()),
    )
    return {**body, **more}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(whole: World) -> AsyncIterator[World]:
    position = await whole.record("convention/a", *OPENING, by=A)
    await whole.shown(position)
    yield whole


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem that *answer* has to be (RFC 9457), and nothing else."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert (told["status"], told["code"], told["type"]) == (status, code, f"urn:registre:probleme:{code}")
    assert told["title"]
    assert told["detail"]
    assert "Traceback" not in answer.text
    return told


async def test_a_statement_is_the_projectors_own_bytes(world: World) -> None:
    async with world.client(A) as client:
        answer = await client.get(PATH, params={"on": DAY})
    query = StatementQuery("convention/a", on=datetime(2026, 6, 30, tzinfo=UTC).date())
    told = await questions.statement_answer(world.bus, query)
    assert answer.content == bytes(told.statement)
    assert answer.headers["registre-position"] == str(told.position)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "private, no-cache"
    whole = answer.json()
    async with world.client(A) as client:
        for path, part in (("calendar", "calendar"), ("obligations", "duties"), ("findings", "findings")):
            told_of = (
                await client.get(f"{PATH}/{part if part == 'calendar' else path}", params={"on": DAY})
            ).json()
            assert told_of[part] == whole[part]
            assert (told_of["stream"], told_of["on"], told_of["rules"]) == (
                "convention/a",
                DAY,
                whole["rules"],
            )
        listed = (await client.get("/api/v1/findings", params={"on": DAY})).json()
    assert listed["on"] == DAY
    assert {"stream": "convention/a", "title": HTML, "findings": whole["findings"]} in listed["conventions"]


async def test_an_answer_revalidates_until_what_it_tells_changes(world: World) -> None:
    async with world.client(A) as client:
        first = await client.get(PATH, params={"on": DAY})
        etag = {"If-None-Match": first.headers["etag"]}
        again = await client.get(PATH, params={"on": DAY}, headers=etag)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert "content-type" not in again.headers or not again.content
        # Elsewhere the ledger goes on: not one byte of this answer is another.
        elsewhere = await world.record("convention/ailleurs", *OPENING, by=A)
        query: dict[str, str | int] = {"on": DAY, "at_least_position": elsewhere}
        still = await client.get(
            PATH, params=query, headers={"If-None-Match": f'W/"x", {first.headers["etag"]}'}
        )
        assert still.status_code == 304
        assert int(still.headers["registre-position"]) >= elsewhere
        query["at_least_position"] = await world.record("convention/a", paid("etag"), by=A)
        changed = await client.get(PATH, params=query, headers=etag)
        assert changed.status_code == 200
        assert changed.headers["etag"] != first.headers["etag"]
        assert (await client.get(PATH, params={"on": "2026-07-01"}, headers=etag)).status_code == 200
        vary = {each.strip() for each in changed.headers["vary"].split(",")}
        assert vary == {"Authorization", "Cookie"}


async def test_what_was_known_then_is_told_as_it_was(world: World) -> None:
    async with world.client(A) as client:
        before = await client.get(PATH, params={"on": DAY})
        known_at = datetime.now(UTC).isoformat()
        position = await world.record("convention/a", paid("known"), by=A)
        now = await client.get(PATH, params={"on": DAY, "at_least_position": position})
        then = await client.get(PATH, params={"on": DAY, "known_at": known_at})
        assert then.content == before.content != now.content
        unheard = await client.get(PATH, params={"known_at": "2020-01-01T00:00:00Z"})
        assert unheard.content == (await client.get("/api/v1/conventions/nulle-part")).content
        problem(await client.get(PATH, params={"known_at": "2026-01-01T00:00:00"}), 400, "bad_request")


async def test_events_come_page_by_page_in_their_own_bytes(world: World) -> None:
    expected = [event async for event in _all_events(world, "convention/a")]
    got: list[bytes] = []
    after: int | None = 0
    async with world.client(A) as client:
        while after is not None:
            answer = await client.get(f"{PATH}/events", params={"after": after, "events_max": 2})
            page = msgspec.json.decode(answer.content, type=dict[str, msgspec.Raw])
            got += map(bytes, msgspec.json.decode(page["events"], type=list[msgspec.Raw]))
            after = msgspec.json.decode(page["next_after"])
        assert got == expected
        position = envelope.decode(expected[-1]).position
        one = await client.get(f"{PATH}/events/{position}")
        assert one.content == expected[-1]
        assert one.headers["content-type"] == "application/cloudevents+json"
        problem(await client.get(f"{PATH}/events/{position + 500}"), 404, "not_found")


async def _all_events(world: World, stream: str) -> AsyncIterator[bytes]:
    async for event in questions.follow(world.bus, stream=stream):
        yield event
        if envelope.decode(event).envelope.version == await _version(world, stream):
            return


async def _version(world: World, stream: str) -> int:
    told = await questions.statement_answer(world.bus, StatementQuery(stream))
    version: int = json.loads(bytes(told.statement))["version"]
    return version


async def test_the_list_comes_in_pages_and_is_searched(world: World) -> None:
    position = 0
    for slug in ("liste-1", "liste-2", "liste-3"):
        opening = events.InstrumentOpened(nature="charte", title=f"École {slug}", force="engagement-ferme")
        position = await world.record(
            f"convention/{slug}",
            ("2026-01-01", opening),
            ("2026-01-01", events.PartyListed(institution=A)),
            by=A,
        )
    async with world.client(A) as client:
        found: list[str] = []
        after: str | None = ""
        while after is not None:
            asked: dict[str, str | int] = {
                "words": "ECOLE charte",
                "rows_max": 2,
                "at_least_position": position,
            }
            page = (
                await client.get("/api/v1/conventions", params=asked | ({"after": after} if after else {}))
            ).json()
            found += [row["stream"] for row in page["conventions"]]
            after = page["next_after"]
        assert found == ["convention/liste-1", "convention/liste-2", "convention/liste-3"]
        assert (await client.get("/api/v1/conventions?words=pasl%C3%A0")).json()["conventions"] == []
        problem(await client.get("/api/v1/conventions?after=Pas%20un%20nom"), 404, "not_found")


async def test_html_in_every_text_comes_back_as_json_text(world: World) -> None:
    async with world.client(A) as client:
        for path in ("", "/calendar", "/obligations", "/findings", "/events", "/events/1"):
            answer = await client.get(PATH + path)
            assert answer.headers["content-type"] in {"application/json", "application/cloudevents+json"}
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-security-policy"] == API_POLICY
        assert (await client.get(PATH)).json()["title"] == HTML
        # What is refused quotes none of it but as text of JSON, never as a page.
        for answer in (
            await client.get(f"/api/v1/conventions/{HTML}"),
            await client.get("/api/v1/conventions", params={"on": HTML}),
            await client.get(f"/{HTML}"),
            await client.post(DECLARE, json=declaration(paid("x"), correlation_id=HTML * 9)),
            await client.post(DECLARE, json={HTML: HTML}),
        ):
            assert answer.headers["content-type"] == "application/problem+json"
            answer.json()


async def test_a_declaration_is_recorded_in_the_name_of_who_asks(world: World) -> None:
    body = declaration(paid("declared"))
    async with world.client(A) as client:
        first = await client.post(DECLARE, json=body)
        assert first.status_code == 201, first.text
        told = first.json()
        again = await client.post(DECLARE, json=body)
        assert again.status_code == 200
        assert again.json() == {**told, "repeated": True}
        at_least = {"at_least_position": told["last_position"]}
        entry = await client.get(f"{PATH}/events/{told['last_position']}", params=at_least)
        mandats = (await client.get(PATH, params={"on": DAY, **at_least})).text
    assert "declared" in mandats
    meta = envelope.decode(entry.content).envelope
    assert (meta.actor, meta.principal, meta.channel) == (A, PRINCIPAL, "api")


async def test_what_is_refused_says_why(world: World) -> None:
    async with world.client(A) as client:
        told = problem(
            await client.post(DECLARE, json=declaration(paid("p"), principal="x" * 9)), 422, "malformed"
        )
        assert told["fields"][0]["path"] == "$.principal"
        told = problem(
            await client.post(DECLARE, json=declaration(paid("p"), command_id="7")), 422, "malformed"
        )
        assert told["fields"][0]["path"] == "$.command_id"
        told = problem(await client.post(DECLARE, json={"facts": []}), 422, "malformed")
        assert told["fields"]
        problem(
            await client.post(DECLARE, json=declaration(paid("p"), expected_version=1)), 409, "wrong_version"
        )
        body = declaration(paid("once"))
        assert (await client.post(DECLARE, json=body)).status_code == 201
        other = {**declaration(paid("twice")), "command_id": body["command_id"]}
        problem(await client.post(DECLARE, json=other), 409, "command_reused")
        # A rule of the ledger: its own sentence, and the field.
        told = (await client.post(DECLARE, json=declaration(paid("once")))).json()
        assert told["status"] == 422
        assert told["fields"][0]["path"].startswith("$.facts[0]")
        problem(
            await client.post(DECLARE, content=b"{", headers={"Content-Type": "application/json"}),
            400,
            "not_json",
        )
        problem(
            await client.post(DECLARE, content=b"{}", headers={"Content-Type": "text/plain"}), 415, "not_json"
        )
        many = declaration(*[paid("p")] * (FACTS_MAX + 1))
        problem(await client.post(DECLARE, json=many), 422, "malformed")
        large = {"command_id": "x" * 1_000_001}
        problem(await client.post(DECLARE, json=large), 413, "request_entity_too_large")
        answer = await client.delete(PATH)
        problem(answer, 405, "method_not_allowed")
        assert "GET" in answer.headers["allow"]
        problem(await client.get("/api/v1/conventions?rows_max=501"), 400, "bad_request")
    async with world.client(A, rights="lecture") as client:
        problem(await client.post(DECLARE, json=declaration(paid("p"))), 403, "forbidden")
    async with world.client(A, rights="administration") as client:
        assert (await client.get(PATH)).status_code == 200


async def test_a_paper_is_given_back_with_its_accuse_de_depot(world: World) -> None:
    content = b"%PDF-1.7 " + bytes(range(256)) * 100
    name = f"Rapport d’activité {HTML}.pdf"
    async with world.client(A) as client:
        started = datetime.now(UTC)
        answer = await client.post(
            "/api/v1/pieces",
            params={"name": name},
            content=content,
            headers={"Content-Type": "application/pdf"},
        )
        assert answer.status_code == 201
        accuse = answer.json()
        assert (accuse["name"], accuse["size_bytes"], accuse["deposited_by"]) == (name, len(content), A)
        assert started <= datetime.fromisoformat(accuse["deposited_at"]) <= datetime.now(UTC)
        assert accuse["digest"] != hashlib.sha256(content).hexdigest(), "salted"
        assert (await client.get(f"{answer.headers['location']}/accuse")).json() == accuse
        back = await client.get(answer.headers["location"])
        assert (back.content, back.headers["content-type"]) == (content, "application/pdf")
        assert back.headers["content-disposition"].startswith("attachment; filename*=UTF-8''Rapport%20")
        assert "<" not in back.headers["content-disposition"]
        assert back.headers["content-security-policy"] == "default-src 'none'; sandbox"
        for kind in ("text/html", "image/svg+xml", "application/xhtml+xml", ""):
            refused = await client.post(
                "/api/v1/pieces?name=x", content=b"<html>", headers={"Content-Type": kind}
            )
            problem(refused, 415, "media_type")
        empty = await client.post("/api/v1/pieces?name=x", headers={"Content-Type": "application/pdf"})
        problem(empty, 422, "empty")
        problem(await client.get("/api/v1/pieces/..%2F..%2Fledger.db"), 404, "not_found")
        problem(await client.get(f"/api/v1/pieces/{'A' * 64}"), 400, "bad_request")
    async with world.client(A, rights="lecture") as client:
        refused = await client.post(
            "/api/v1/pieces?name=x", content=content, headers={"Content-Type": "application/pdf"}
        )
        problem(refused, 403, "forbidden")


async def test_an_event_and_the_paper_it_cites_are_waited_for_at_the_position_they_were_answered_with(
    world: World,
) -> None:
    content = b"%PDF-1.7 convention"
    async with world.client(A) as client:
        handed_in = await client.post(
            "/api/v1/pieces?name=x.pdf", content=content, headers={"Content-Type": "application/pdf"}
        )
    digest = handed_in.json()["digest"]
    piece = events.Piece(digest=digest, media_type="application/pdf", size_bytes=len(content), what="scan")
    async with world.client("mjc") as client:
        await world.stop("relay")
        try:
            recorded = await world.record(
                "convention/a", ("2026-02-01", events.PieceFiled(piece=piece)), by=A
            )
            paths = (
                f"{PATH}/events/{recorded}",
                f"/api/v1/pieces/{digest}",
                f"/api/v1/pieces/{digest}/accuse",
            )
            for path in paths:
                problem(await client.get(path), 404, "not_found")
            at_least = {"at_least_position": recorded}
            asked = [asyncio.create_task(client.get(path, params=at_least)) for path in paths]
        finally:
            await world.start("relay")
        event, paper, accuse = await asyncio.gather(*asked)
    assert envelope.decode(event.content).position == recorded
    assert paper.content == content
    assert accuse.json() == handed_in.json()


async def test_the_second_part_of_an_answer_waits_for_no_acknowledgement_of_the_first() -> None:
    with (
        server.bound("127.0.0.1", 0) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_who_asks_too_often_is_told_when_to_come_back_and_others_are_answered(world: World) -> None:
    app = create_app(world.ledger, world.papers, **by_header(), requests_per_second=5)
    with server.bound("127.0.0.1", 0) as listening:
        url = server.url_of(listening)
        async with server.serving(app, listening), httpx.AsyncClient(base_url=url, trust_env=False) as client:
            await _too_often(client)


async def _too_often(client: httpx.AsyncClient) -> None:
    asked = {"X-Test-Institution": A}
    answers = [await client.get("/api/v1/status", headers=asked) for _ in range(20)]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert refused, "20 within a second"
    for answer in refused:
        problem(answer, 429, "too_many_requests")
        assert 0 <= int(answer.headers["retry-after"]) <= 1
    other = await client.get("/api/v1/status", headers={"X-Test-Institution": "mjc"})
    assert other.status_code == 200
