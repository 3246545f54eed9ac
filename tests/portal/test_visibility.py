"""
Two institutions at once over every route: neither reaches what is the other's, nor learns that it is there.

Each route of the application has a check here, by its method and path; one that has none turns this red.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import httpx
import msgspec
import pytest
import pytest_asyncio
from litestar.routes import HTTPRoute

from contracts import events
from contracts.dates import parse
from contracts.queries import ListQuery, StatementQuery
from services import asking
from services.portal.identity.access import Access, Mandate
from services.portal.problems import NotVisible
from tests.portal.worlds import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

A, B, C = "ville-a", "ville-b", "caf-c"
SECRET: Final = "Entrepôt-violet"
"""Stands in everything that is A's, and in nothing else."""

PAPER: Final = b"%PDF-1.7 Entrepot-violet"


class Scene(msgspec.Struct):
    """The world, and the digest of A's paper."""

    world: World
    digest: str
    position: int

    async def get(self, who: str, path: str, **query: Any) -> httpx.Response:
        async with self.world.client(who) as client:
            return await client.get(path, params=query)

    async def declare(self, who: str, path: str, *facts: tuple[str, events.Event]) -> httpx.Response:
        declared = [asking.declared(fact, on) for on, fact in facts]
        body = asking.declaration(declared, command_id=asking.new_command_id())
        async with self.world.client(who) as client:
            return await client.post(path, content=body, headers={"Content-Type": "application/json"})


def opened(title: str, *parties: str) -> list[tuple[str, events.Event]]:
    opening = events.InstrumentOpened(nature="convention-objectifs", title=title, force="engagement-ferme")
    return [
        ("2026-01-01", opening),
        *(("2026-01-01", events.PartyListed(institution=party)) for party in parties),
    ]


def paid(key: str, *, by: str = A, to: str = "mjc-a") -> tuple[str, events.Event]:
    return "2026-03-01", events.PaymentMade(
        payer=by, beneficiary=to, key=key, exercice=2026, amount_cents=10_000, mandat="1"
    )


SPOKEN: Final = "2026-02-01", events.ProvisionMentioned(about="la vie", says="rien de nouveau")
"""A word in a convention, of somebody whose streams it opens to the parties."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(whole: World) -> AsyncIterator[Scene]:
    async with whole.client(A) as client:
        handed_in = await client.post(
            "/api/v1/pieces",
            params={"name": f"{SECRET}.pdf"},
            content=PAPER,
            headers={"Content-Type": "application/pdf"},
        )
    assert handed_in.status_code == 201, handed_in.text
    digest = handed_in.json()["digest"]
    piece = events.Piece(digest=digest, media_type="application/pdf", size_bytes=len(PAPER), what="rapport")
    await whole.record(
        "convention/propre-a",
        *opened(SECRET, A, "mjc-a"),
        ("2026-02-01", events.PieceFiled(piece=piece)),
        paid("p1"),
        by=A,
    )
    await whole.record("convention/propre-a", SPOKEN, by="mjc-a")
    granted = events.AgrementGranted(
        services=("AGC",), granted_by=C, starts_on=parse("2026-01-01"), ends_on=parse("2029-12-31")
    )
    await whole.record("agrement/mjc-a", ("2026-01-01", granted), by=C)
    named = events.InstitutionRegistered(name=f"Mairie {SECRET}", kind="commune")
    filed = events.PieceFiled(piece=piece)
    await whole.record("institution/ville-a", ("2020-01-01", named), ("2026-02-01", filed), by=A)
    # That B lists them lets it into nothing of theirs.
    await whole.record("convention/listes-b", *opened("À B aussi", B, A, "mjc-a"), by=B)
    position = await whole.record("convention/propre-b", *opened("À B", B, "mjc-b"), by=B)
    await whole.shown(position)
    yield Scene(whole, digest, position)


def said(answer: httpx.Response) -> tuple[int, dict[str, str], bytes]:
    """All that tells one answer from another, but for the time of day and what is left of a rate."""
    headers = {
        name: value
        for name, value in answer.headers.items()
        if name != "date" and not name.startswith("ratelimit-")
    }
    return answer.status_code, headers, answer.content


Check = Callable[[Scene], Awaitable[None]]


def own_only(path: str, other: str) -> Check:
    """A reads *path*; B and a stranger read there what they read at *other*, where there is nothing."""

    async def check(scene: Scene) -> None:
        at, nowhere = (text.replace("{digest}", scene.digest) for text in (path, other))
        mine = await scene.get(A, at)
        assert mine.status_code == 200, mine.text
        for who in (B, "nobody"):
            refused = await scene.get(who, at)
            assert refused.status_code == 404
            assert said(refused) == said(await scene.get(who, nowhere))
            assert said(refused) == said(await scene.get(A, nowhere))

    return check


def nothing_of_another(path: str, *, marked: bool = True, **query: Any) -> Check:
    """A reads at *path* what is its own, and B nothing of it."""

    async def check(scene: Scene) -> None:
        mine, other = await scene.get(A, path, **query), await scene.get(B, path, **query)
        assert (mine.status_code, other.status_code) == (200, 200)
        assert (SECRET in mine.text or "propre-a" in mine.text) == marked
        assert SECRET not in other.text
        assert "propre-a" not in other.text

    return check


def declared_by_nobody_else(category: str) -> Check:
    """B declares on A's convention as on one that is not there."""

    async def check(scene: Scene) -> None:
        at, nowhere = (f"/api/v1/{category}/{slug}/declarations" for slug in ("propre-a", "nulle-part"))
        fact = paid("p2", by=B, to="mjc-b")
        refused = await scene.declare(B, at, fact)
        assert refused.status_code == 404
        assert said(refused) == said(await scene.declare(B, nowhere, fact))
        # The name is taken, and that is all there is to learn.
        taken = await scene.declare(B, at, *opened("À B", B))
        assert (taken.status_code, taken.json()["code"]) == (409, "name_taken")
        assert SECRET not in taken.text
        late = await scene.declare(B, at, fact, *opened("À B", B))
        assert said(late) == said(refused)
        assert (await scene.declare(A, at, paid(f"p-{category}"))).status_code == 201

    return check


async def of_another_agrement(scene: Scene) -> None:
    """Whose agrément it is, the registrar's rules say: B decides none, and learns nothing of A's."""
    answers = [
        await scene.declare(B, f"/api/v1/agrements/{slug}/declarations", paid("x", by=B, to="mjc-b"))
        for slug in ("mjc-a", "nulle-part")
    ]
    assert {answer.status_code for answer in answers} <= {403, 422}
    assert "AGC" not in answers[0].text


async def of_another_institution(scene: Scene) -> None:
    renamed = events.PaymentMade(
        payer=B, beneficiary="mjc-b", key="x", exercice=2026, amount_cents=1, mandat="1"
    )
    answers = [
        await scene.declare(B, f"/api/v1/institutions/{slug}/declarations", ("2026-01-01", renamed))
        for slug in ("ville-a", "nulle-part")
    ]
    assert {answer.status_code for answer in answers} <= {403, 422}
    assert all(SECRET not in answer.text for answer in answers)


async def deposits(scene: Scene) -> None:
    """Two papers of the same bytes are two papers: nobody finds out by depositing what is there."""
    async with scene.world.client(B) as client:
        answer = await client.post(
            "/api/v1/pieces?name=x.pdf", content=PAPER, headers={"Content-Type": "application/pdf"}
        )
    assert answer.status_code == 201
    assert answer.json()["digest"] != scene.digest


async def says_nothing_of_anybody(scene: Scene, path: str) -> None:
    for who in ("", A, B):
        answer = await scene.get(who, path)
        assert SECRET not in answer.text
        assert "propre-a" not in answer.text


async def of_its_own_feed(scene: Scene) -> None:
    """A's feed comes to its secret; B's has come to B's last event, and had nothing of it."""
    for who, last in ((A, SECRET), (B, "mjc-b")):
        read, after = "", 0
        async with asyncio.timeout(20):
            while last not in read:
                page = await scene.get(who, "/api/v1/feed", after=after, wait_seconds=5)
                assert page.status_code == 200
                read, after = read + page.text, page.json()["last"]
        assert (SECRET in read) == (who == A)
        assert ("propre-a" in read) == (who == A)


async def of_its_own_stream(scene: Scene) -> None:
    await of_its_own_feed(scene)
    for who, last in ((A, SECRET), (B, "mjc-b")):
        async with scene.world.client(who) as client, client.stream("GET", "/api/v1/feed/stream") as answer:
            read = ""
            async with asyncio.timeout(20):
                async for line in answer.aiter_lines():
                    read += line
                    if last in line:
                        break
        assert (SECRET in read) == (who == A)


NO_DIGEST: Final = "0" * 64

CHECKS: Final[dict[tuple[str, str], Check]] = {
    ("GET", "/api/v1/health"): lambda scene: says_nothing_of_anybody(scene, "/api/v1/health"),
    ("GET", "/api/openapi.json"): lambda scene: says_nothing_of_anybody(scene, "/api/openapi.json"),
    ("GET", "/api/v1/feed"): of_its_own_feed,
    ("GET", "/api/v1/feed/stream"): of_its_own_stream,
    ("GET", "/api/v1/status"): nothing_of_another("/api/v1/status", marked=False),
    ("GET", "/api/v1/conventions"): nothing_of_another("/api/v1/conventions", words="propre"),
    ("GET", "/api/v1/findings"): nothing_of_another("/api/v1/findings"),
    **{
        ("GET", f"/api/v1/conventions/{{slug}}{part}"): own_only(
            f"/api/v1/conventions/propre-a{part}", f"/api/v1/conventions/nulle-part{part}"
        )
        for part in ("", "/calendar", "/obligations", "/findings", "/events")
    },
    ("GET", "/api/v1/conventions/{slug}/events/{position}"): own_only(
        "/api/v1/conventions/propre-a/events/1", "/api/v1/conventions/nulle-part/events/1"
    ),
    **{
        ("GET", f"/api/v1/{category}/{{slug}}{part}"): own_only(
            f"/api/v1/{category}/{slug}{part}", f"/api/v1/{category}/nulle-part{part}"
        )
        for category, slug in (("agrements", "mjc-a"), ("institutions", "ville-a"))
        for part in ("", "/events")
    },
    ("POST", "/api/v1/conventions/{slug}/declarations"): declared_by_nobody_else("conventions"),
    ("POST", "/api/v1/agrements/{slug}/declarations"): of_another_agrement,
    ("POST", "/api/v1/institutions/{slug}/declarations"): of_another_institution,
    ("POST", "/api/v1/pieces"): deposits,
    ("GET", "/api/v1/pieces/{digest}"): own_only("/api/v1/pieces/{digest}", f"/api/v1/pieces/{NO_DIGEST}"),
    ("GET", "/api/v1/pieces/{digest}/accuse"): own_only(
        "/api/v1/pieces/{digest}/accuse", f"/api/v1/pieces/{NO_DIGEST}/accuse"
    ),
}


OF_PERSONS: Final = {
    ("GET", "/api/v1/me"),
    ("GET", "/api/v1/tokens"),
    ("POST", "/api/v1/tokens"),
    ("DELETE", "/api/v1/tokens/{name}"),
    ("GET", "/api/v1/persons"),
    ("POST", "/api/v1/persons"),
    ("POST", "/api/v1/persons/{principal}/withdrawal"),
    ("DELETE", "/api/v1/persons/{principal}"),
    ("GET", "/api/v1/seconding"),
    ("PUT", "/api/v1/seconding"),
    ("GET", "/api/v1/proposals"),
    ("POST", "/api/v1/proposals/{proposal}/approval"),
    ("DELETE", "/api/v1/proposals/{proposal}"),
    ("GET", "/api/v1/consultations"),
    ("GET", "/"),
    ("GET", "/connexion"),
    ("POST", "/connexion"),
    ("GET", "/connexion/fournisseur"),
    ("GET", "/connexion/retour"),
    ("GET", "/entree/{text}"),
    ("POST", "/entree"),
    ("GET", "/au-titre-de"),
    ("POST", "/au-titre-de"),
    ("POST", "/deconnexion"),
    ("GET", "/personnes"),
    ("POST", "/personnes"),
    ("POST", "/personnes/retrait"),
    ("POST", "/personnes/effacement"),
    ("GET", "/identite.css"),
}
"""Who a request comes from, and who the members are: two institutions meet there in tests/portal/identity."""


def routed(world: World) -> set[tuple[str, str]]:
    """Every method and path that the application answers."""
    return {
        (method, re.sub(r":\w+\}", "}", route.path))
        for route in world.app.routes
        if isinstance(route, HTTPRoute)
        for method in route.methods
        if method != "OPTIONS"
    }


async def test_every_route_has_its_check(scene: Scene) -> None:
    assert routed(scene.world) == CHECKS.keys() | OF_PERSONS
    assert CHECKS.keys().isdisjoint(OF_PERSONS)


@pytest.mark.parametrize("route", CHECKS, ids=" ".join)
async def test_neither_institution_reaches_what_is_the_others(scene: Scene, route: tuple[str, str]) -> None:
    await CHECKS[route](scene)


async def test_who_is_not_known_reaches_nothing(scene: Scene) -> None:
    for method, path in sorted(CHECKS):
        at = path.replace("{slug}", "propre-a").replace("{digest}", scene.digest).replace("{position}", "1")
        async with scene.world.client() as client:
            answer = await client.request(method, at)
        if path not in {"/api/v1/health", "/api/openapi.json"}:
            assert answer.status_code == 401, at
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.headers["content-type"] == "application/problem+json"


async def test_a_party_reads_the_paper_that_an_event_of_its_feed_cites(scene: Scene) -> None:
    answer = await scene.get("mjc-a", f"/api/v1/pieces/{scene.digest}")
    assert (answer.status_code, answer.content) == (200, PAPER)
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["x-content-type-options"] == "nosniff"
    accuse = (await scene.get("mjc-a", f"/api/v1/pieces/{scene.digest}/accuse")).json()
    assert (accuse["deposited_by"], accuse["size_bytes"]) == (A, len(PAPER))


async def test_who_lists_an_institution_reads_what_is_that_ones_once_it_has_spoken(scene: Scene) -> None:
    """By its feed and by the portal alike: the papers that the other's streams cite, too."""
    world, town, lister = scene.world, "ville-d", "preneur-e"
    async with world.client(town) as client:
        handed_in = await client.post(
            "/api/v1/pieces?name=statuts.pdf", content=PAPER, headers={"Content-Type": "application/pdf"}
        )
    digest = handed_in.json()["digest"]
    piece = events.Piece(digest=digest, media_type="application/pdf", size_bytes=len(PAPER), what="statuts")
    named = events.InstitutionRegistered(name="Ville D", kind="commune")
    own = await world.record(
        f"institution/{town}",
        ("2020-01-01", named),
        ("2020-01-01", events.PieceFiled(piece=piece)),
        by=town,
    )
    opened_at = await world.record("convention/listee", *opened("Listée", lister, town), by=lister)
    paths = (
        f"/api/v1/institutions/{town}",
        f"/api/v1/institutions/{town}/events",
        f"/api/v1/pieces/{digest}",
    )

    async def fed_up_to(position: int) -> list[int]:
        found: list[int] = []
        async with asyncio.timeout(20):
            while position not in found:
                page = (await scene.get(lister, "/api/v1/feed", after=len(found), wait_seconds=5)).json()
                found += [entry["position"] for entry in page["events"]]
        return found

    await world.shown(opened_at)
    assert [(await scene.get(lister, path)).status_code for path in paths] == [404, 404, 404]
    conventions = [opened_at - 2, opened_at - 1, opened_at]
    assert await fed_up_to(opened_at) == conventions
    spoken_at = await world.record("convention/listee", SPOKEN, by=town)
    await world.shown(spoken_at)
    assert [(await scene.get(lister, path)).status_code for path in paths] == [200, 200, 200]
    assert await fed_up_to(spoken_at) == [*conventions, own - 1, own, spoken_at]


async def test_an_auditor_sees_what_the_mandated_institution_sees(scene: Scene) -> None:
    mandate = Mandate(institutions=frozenset({A}), first_year=2025, last_year=2026)
    auditor = Access("chambre", "p-12345678", frozenset({"lecture"}), mandate)
    listed = await scene.world.ledger.conventions(auditor, ListQuery())
    streams = {row.stream for row in listed.rows}
    assert "convention/propre-a" in streams
    assert "convention/propre-b" not in streams
    told = await scene.world.ledger.statement(auditor, StatementQuery("convention/propre-a"))
    assert SECRET.encode() in bytes(told.statement)
    with pytest.raises(NotVisible):
        await scene.world.ledger.statement(auditor, StatementQuery("convention/propre-b"))


async def test_who_is_not_in_a_convention_may_ask_to_be_admitted_and_no_more(scene: Scene) -> None:
    slug, asking_one = "ouverte-a", "ville-f"
    there, nowhere = (f"/api/v1/conventions/{name}/declarations" for name in (slug, "nulle-part"))
    await scene.world.shown(await scene.world.record(f"convention/{slug}", *opened(SECRET, A, "mjc-a"), by=A))
    wish = events.AdmissionRequested(institution=asking_one, by=asking_one)
    joining = events.PartyJoined(institution=asking_one)

    # Where there is nothing, each of the two is answered as all else is there.
    nothing = said(await scene.declare(asking_one, nowhere, SPOKEN))
    for fact in (wish, joining):
        assert said(await scene.declare(asking_one, nowhere, ("2026-02-01", fact))) == nothing
    # Together with another fact, or with a guess at the version, it is none of theirs.
    declared = asking.declared(wish, "2026-02-01")
    bodies = [
        asking.declaration([declared, asking.declared(SPOKEN[1], SPOKEN[0])], command_id="deux-faits"),
        asking.declaration([declared], command_id="version-connue", expected_version=3),
    ]
    async with scene.world.client(asking_one) as client:
        for body in bodies:
            answer = await client.post(there, content=body, headers={"Content-Type": "application/json"})
            assert said(answer) == nothing

    early = await scene.declare(asking_one, there, ("2026-02-01", joining))
    assert (early.status_code, early.json()["code"]) == (403, "not_authorised")
    asked = await scene.declare(asking_one, there, ("2026-02-01", wish))
    assert asked.status_code == 201, asked.text
    for other in (msgspec.structs.replace(wish, condition="une place"), events.PartyJoined(institution=B)):
        refused = await scene.declare(asking_one, there, ("2026-02-02", other))
        assert (refused.status_code, refused.json()["code"]) == (403, "not_authorised")
        assert SECRET not in refused.text
    await scene.world.shown(asked.json()["last_position"])
    assert (await scene.get(asking_one, f"/api/v1/conventions/{slug}")).status_code == 404

    announced = events.AdmissionRequested(institution=asking_one, by=A)
    assert (await scene.declare(A, there, ("2026-03-01", announced))).status_code == 201
    joined = await scene.declare(asking_one, there, ("2026-04-01", joining))
    assert joined.status_code == 201, joined.text
    await scene.world.shown(joined.json()["last_position"])
    assert SECRET in (await scene.get(asking_one, f"/api/v1/conventions/{slug}")).text


async def test_who_left_reads_what_was_known_then_and_its_own_settlement(scene: Scene) -> None:
    """The statement stops where its feed has a first gap; the events are those of its feed."""
    world, path, day = scene.world, "/api/v1/conventions/quittee", "2026-12-31"
    await world.record("convention/quittee", *opened("Quittée", A, "mjc-a", C), by=A)
    left_at = await world.record("convention/quittee", ("2026-06-30", events.PartyWithdrew(party=C)), by=C)
    at_least = {"on": day, "at_least_position": left_at}
    then = {who: await scene.get(who, path, **at_least) for who in (A, C)}
    assert then[A].content == then[C].content

    hidden = await world.record("convention/quittee", paid("p1"), by=A)
    own = await world.record("convention/quittee", paid("p2", by=C), by=C)
    at_least["at_least_position"] = own
    now = {who: await scene.get(who, path, **at_least) for who in (A, C)}
    assert now[A].content != then[A].content
    assert now[C].content == then[C].content
    assert now[C].headers["etag"] == then[C].headers["etag"]
    assert b"p1" not in now[C].content

    seen = {who: (await scene.get(who, f"{path}/events", events_max=2)).json() for who in (A, C)}
    for who, expected in (
        (A, [*range(left_at - 4, left_at + 1), hidden, own]),
        (C, [*range(left_at - 4, left_at + 1), own]),
    ):
        positions = [event["position"] for event in seen[who]["events"]]
        while seen[who]["next_after"] is not None:
            after = seen[who]["next_after"]
            seen[who] = (await scene.get(who, f"{path}/events", events_max=2, after=after)).json()
            positions += [event["position"] for event in seen[who]["events"]]
        assert positions == expected
    assert (await scene.get(C, f"{path}/events/{hidden}")).status_code == 404
    assert (await scene.get(C, f"{path}/events/{own}")).status_code == 200

    # In the list the row is that of then, too; and nobody else's search finds it.
    for who, last in ((A, own), (C, left_at)):
        [row] = (await scene.get(who, "/api/v1/conventions", words="quittée", on=day)).json()["conventions"]
        assert row["last_position"] == last
    assert (await scene.get(B, "/api/v1/conventions", words="quittée")).json()["conventions"] == []


async def test_a_statement_tells_a_party_nothing_of_conventions_that_it_is_not_party_to(scene: Scene) -> None:
    """What the same payer gives elsewhere counts for thresholds: for those who see it there."""
    world, path, day = scene.world, "/api/v1/conventions/a-trois", "2026-12-31"
    vote = events.SubsidyVoted(beneficiary="mjc-a", payer=A, exercice=2026, amount_cents=1_500_000)
    kind = events.InstitutionRegistered(name="MJC", kind="association")
    await world.record("institution/mjc-a", ("2020-01-01", kind), by="mjc-a")
    await world.record("convention/a-trois", *opened("À trois", A, "mjc-a", C), ("2026-02-01", vote), by=A)
    position = await world.record("convention/a-trois", SPOKEN, by="mjc-a")
    before = {who: await scene.get(who, path, on=day, at_least_position=position) for who in (A, "mjc-a", C)}
    assert len({answer.content for answer in before.values()}) == 1
    position = await world.record(
        "convention/a-deux", *opened("À deux", A, "mjc-a"), ("2026-02-01", vote), by=A
    )
    after = {who: await scene.get(who, path, on=day, at_least_position=position) for who in (A, "mjc-a", C)}
    assert after[A].content == after["mjc-a"].content
    assert after[A].content != before[A].content, "the other convention counts, for whoever may know it"
    assert after[C].content == before[C].content
