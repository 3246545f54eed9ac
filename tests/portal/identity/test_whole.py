"""
Persons and a whole ledger: what they record has an opaque principal, and it is all that is left of them.

The services are real, and so are their files: after an erasure every one of them is searched.
"""

import contextlib
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from litestar import Litestar

from contracts import events
from contracts.commands import Recording, Unchanged
from contracts.envelope import decode as decode_event
from contracts.queries import EventsQuery
from services import asking, questions
from services.portal.app import create_app
from services.portal.identity import (
    administration,
    consultations,
    letters,
    links,
    mandates,
    members,
    pages,
    persons_file,
    seconding,
)
from services.portal.identity.access import Access, Right
from services.portal.identity.identity import Identity
from services.portal.ledger import declaration_in
from tests.portal.identity.conftest import Browser, served
from tests.portal.worlds import World

A, B = "ville-besancon", "ccas-besancon"
STREAM = "convention/mjc-2026"
PATH = "/api/v1/conventions/mjc-2026/declarations"
NAME, ADDRESS = "Bérénice Quérard", "berenice.querard@besancon.example"
"""Of whoever will be erased."""


class Staffed:
    """A whole ledger behind a portal that knows persons."""

    def __init__(self, world: World, persons: persons_file.PersonsFile, written: io.StringIO) -> None:
        self.world = world
        self.persons = persons
        self.written = written
        self.url = ""

    async def send(self, access: Access, stream: str, body: bytes) -> Recording | Unchanged:
        return await self.world.ledger.declare(access, stream, declaration_in(body))

    def app(self, url: str) -> Litestar:
        self.url = url
        identity = Identity(
            self.persons,
            public_url=url,
            cookie_key="k" * 43,
            now=lambda: datetime.now(UTC),
            carry=letters.to_terminal(self.written),
            sirens=self.world.ledger.sirens,
            send=self.send,
            provider=None,
        )
        return create_app(
            self.world.ledger,
            self.world.papers,
            identification=identity.identification,
            headers=identity.headers,
            propose=identity.proposed,
            routes=[pages.routes(identity), administration.routes(identity)],
        )

    @contextlib.asynccontextmanager
    async def person(
        self, address: str, *rights: Right, institution: str = A, name: str = ""
    ) -> AsyncIterator[tuple[Browser, str]]:
        """A browser in which the person is signed in, and their principal."""
        now = datetime.now(UTC)
        member = await self.persons.change(
            partial(
                members.invite,
                institution=institution,
                address=address,
                name=name,
                rights=rights,
                enters_by="link",
                now=now,
            )
        )
        link = await self.persons.change(
            lambda db: links.make(db, members.known(db, address), lifetime=links.SIGN_IN, now=now)
        )
        async with Browser(self.url) as browser:
            assert (await browser.post("/entree", {"lien": link})).status == 200
            yield browser, member.principal

    async def recorded(self, *, at_least_position: int = 0) -> list[Any]:
        """The envelopes of the convention's events, up to *at_least_position* and maybe further."""
        query = EventsQuery(stream=STREAM, at_least_position=at_least_position)
        page = await questions.events(self.world.bus, query)
        return [decode_event(bytes(event)).envelope for event in page.events]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def staffed(whole: World) -> AsyncIterator[Staffed]:
    position = await whole.record(
        STREAM,
        (
            "2026-01-01",
            events.InstrumentOpened(nature="convention-objectifs", title="MJC", force="engagement-ferme"),
        ),
        ("2026-01-01", events.PartyListed(institution=A)),
        ("2026-01-01", events.PartyListed(institution="mjc")),
        by=A,
    )
    await whole.shown(position)
    async with persons_file.opened(whole.folder / "staffed.db") as persons:
        it = Staffed(whole, persons, Terminal())
        async with served(it.app):
            yield it


def declared(key: str) -> dict[str, Any]:
    """A payment, as a program declares it."""
    fact = events.PaymentMade(payer=A, beneficiary="mjc", key=key, exercice=2026, amount_cents=8_100_000)
    body = asking.declaration([asking.declared(fact, "2026-02-01")], command_id=asking.new_command_id())
    told: dict[str, Any] = msgspec.json.decode(body)
    return told


@pytest.mark.asyncio(loop_scope="module")
async def test_a_person_declares_and_the_event_has_their_principal(staffed: Staffed) -> None:
    async with staffed.person("adjointe@besancon.example", "saisie") as (adjointe, principal):
        status, told = await adjointe.json("POST", PATH, declared("acompte-0"))
        assert status == 201, told
        recorded = await staffed.recorded(at_least_position=told["last_position"])
        assert recorded[-1].principal == principal
        async with adjointe.http.post(
            staffed.url + PATH, json=declared("acompte-x"), headers={"Origin": staffed.url}
        ) as answer:
            assert answer.status == 403, "without the token of a page"
    async with staffed.person("lea@besancon.example", "lecture") as (lea, _):
        assert (await lea.json("POST", PATH, declared("acompte-x")))[0] == 403
        assert (await lea.json("GET", "/api/v1/conventions/mjc-2026"))[0] == 200
    async with staffed.person("lea@besancon.example", "saisie", institution=B) as (lea, _):
        await lea.post("/au-titre-de", {"institution": B, "principal": _})
        assert (await lea.json("GET", "/api/v1/conventions/mjc-2026"))[0] == 404


@pytest.mark.asyncio(loop_scope="module")
async def test_what_needs_two_persons_is_recorded_by_the_second(staffed: Staffed) -> None:
    await staffed.persons.change(lambda db: seconding.set_seconded(db, A, ["payment"]))
    try:
        async with (
            staffed.person("adjointe@besancon.example", "saisie") as (adjointe, of_adjointe),
            staffed.person("tresorier@besancon.example", "validation") as (tresorier, of_tresorier),
        ):
            before = len(await staffed.recorded())
            body = declared("acompte-1")
            status, proposal = await adjointe.json("POST", PATH, body)
            assert (status, proposal["words"]) == (202, [of_adjointe])
            assert len(await staffed.recorded()) == before
            approval = f"/api/v1/proposals/{proposal['proposal']}/approval"
            assert (await adjointe.json("POST", approval))[0] == 403
            status, told = await tresorier.json("POST", approval)
            assert status == 200, told
            position = told["outcome"]["last_position"]
            [event] = (await staffed.recorded(at_least_position=position))[before:]
            assert (event.principal, event.causation_id) == (of_tresorier, proposal["proposal"])
            assert (await adjointe.json("POST", PATH, body))[0] == 200, "recorded already"
            assert len(await staffed.recorded()) == before + 1
    finally:
        await staffed.persons.change(lambda db: seconding.set_seconded(db, A, []))


@pytest.mark.asyncio(loop_scope="module")
async def test_an_auditor_reads_the_years_mandated_and_no_fact_of_later_ones(staffed: Staffed) -> None:
    world = staffed.world
    for on, key in (("2026-12-31", "de-2026"), ("2027", "de-2027"), ("XXXX", "sans-date")):
        fact = events.PaymentMade(payer=A, beneficiary="mjc", key=key, exercice=2026, amount_cents=1)
        await world.shown(await world.record(STREAM, (on, fact), by=A))
    now = datetime.now(UTC)
    address = "auditrice@crc.example"
    grant = partial(
        mandates.grant,
        address=address,
        institutions=[A],
        first_year=2026,
        last_year=2026,
        purpose="contrôle",
        expires_at=now + timedelta(days=1),
        now=now,
    )
    await staffed.persons.change(grant)
    link = await staffed.persons.change(lambda db: links.asked_for(db, address, now=now))
    assert link is not None
    path = "/api/v1/conventions/mjc-2026"
    async with (
        Browser(staffed.url) as auditor,
        staffed.person("adjointe@besancon.example", "lecture") as (adjointe, _),
    ):
        await auditor.post("/entree", {"lien": link})
        seen = {}
        for who, browser in (("auditor", auditor), ("adjointe", adjointe)):
            status, told = await browser.json("GET", f"{path}?on=2026-12-31")
            assert status == 200, told
            seen[who] = {line["fact"].get("key") for line in told["journal"]}
        assert {"de-2026", "sans-date"} <= seen["auditor"]
        assert seen["adjointe"] - seen["auditor"] == {"de-2027"}
        for closed in (f"{path}?on=2027-01-01", path, f"{path}/events", "/api/v1/feed"):
            assert (await auditor.json("GET", closed))[0] in {403, 404}, closed
        assert (await auditor.json("POST", PATH, declared("x")))[0] == 403
        assert (await auditor.json("GET", "/api/v1/conventions?on=2026-05-01"))[0] == 200
    recorded = await staffed.persons.read(lambda db: consultations.listed(db, A))
    assert f"GET {path}?on=2026-12-31" in [it.asked for it in recorded]


@pytest.mark.asyncio(loop_scope="module")
async def test_after_an_erasure_no_file_and_no_log_has_the_name_or_the_address(
    staffed: Staffed, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = staffed.world.folder
    async with (
        staffed.person("chef@besancon.example", "administration") as (chef, _),
        staffed.person(ADDRESS, "saisie", name=NAME) as (browser, principal),
    ):
        status, told = await browser.json("POST", PATH, declared("acompte-2"))
        assert status == 201, told
        await staffed.world.shown(told["last_position"])
        assert (await browser.json("GET", "/api/v1/conventions/mjc-2026"))[0] == 200
        await browser.post("/connexion", {"adresse": ADDRESS})
        assert ADDRESS in staffed.written.getvalue()
        assert sorted(_files_with(folder, ADDRESS)) >= ["staffed.db"]
        assert (await chef.json("DELETE", f"/api/v1/persons/{principal}"))[0] == 204
        assert (await browser.json("GET", "/api/v1/me"))[0] == 401
    for trace in (NAME, ADDRESS, "Quérard", "querard", "Bérénice", "berenice"):
        assert _files_with(folder, trace) == [], trace
    holding = _files_with(folder, principal)
    assert any(name.startswith("ledger.db") for name in holding)
    assert any(name.startswith("nats/") for name in holding), "LEDGER and FEED keep the principal"
    assert not any(name.startswith("staffed.db") for name in holding)
    logged = "".join(capfd.readouterr()).lower()
    assert "querard" not in logged
    assert "quérard" not in logged


def _files_with(folder: Path, text: str) -> list[str]:
    """Every file below *folder* that has *text* in it, in one of the encodings that programs write."""
    wanted = [text.encode(), text.encode("utf-16-le"), msgspec.json.encode(text)[1:-1]]
    return [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(each in path.read_bytes() for each in wanted)
    ]
