"""Four eyes: what an institution wants two persons for is recorded when two have said so, and not before."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

import aiohttp
import msgspec
import pytest

from contracts.commands import parse
from contracts.institutions import InstitutionId
from services.portal.identity import seconding, tokens
from services.portal.identity.access import Access, Right
from services.portal.identity.persons_file import PersonsFile
from services.portal.identity.seconding import Kind, Proposal
from tests.portal.identity.conftest import BESANCON, CCAS, Browser, HandClock, Portal

pytestmark = pytest.mark.asyncio(loop_scope="module")


ADJOINTE, TRESORIER, SECRETAIRE = (
    "adjointe@besancon.example",
    "tresorier@besancon.example",
    "secretaire@besancon.example",
)
STREAM = "convention/mjc-2026"
EVERYTHING: tuple[Kind, ...] = ("payment", "mise-en-demeure", "resiliation")

PAYMENT = (
    "convention.payment-made.v1",
    {
        "payer": BESANCON,
        "beneficiary": "mjc",
        "key": "acompte-1",
        "exercice": 2026,
        "amount_cents": 8_100_000,
    },
)
ORDER = (
    "convention.payment-ordered.v1",
    {
        "payer": BESANCON,
        "beneficiary": "mjc",
        "number": "12",
        "exercice": 2026,
        "amount_cents": 8_100_000,
    },
)
NOTICE = (
    "convention.notice-sent.v1",
    {
        "key": "md-1",
        "by": BESANCON,
        "to": "mjc",
        "article": "11",
        "grievance": "compte rendu non remis",
        "form": "lettre recommandée",
    },
)
RESILIATION = (
    "convention.resiliation-pronounced.v1",
    {
        "by": [BESANCON],
        "article": "11",
        "ground": "mise en demeure restée sans effet",
        "takes_effect_on": "2026-06-30",
    },
)
HELD = ("convention.meeting-held.v1", {"body": "comite-de-suivi"})


def body(*facts: tuple[str, dict[str, Any]], number: int = 1, **more: object) -> bytes:
    return msgspec.json.encode(
        {
            "command_id": f"01930000-0000-7000-8000-{number:012d}",
            "facts": [{"type": tag, "effective_on": "2026-02-01", "data": data} for tag, data in facts],
            **more,
        }
    )


def access(principal: str, institution: InstitutionId = BESANCON, *, by_token: bool = False) -> Access:
    rights: frozenset[Right] = frozenset({"lecture", "saisie", "validation"})
    return Access(institution, principal, rights, through="token" if by_token else "session")


@pytest.fixture
async def wanted(file: PersonsFile) -> None:
    await file.change(lambda db: seconding.set_seconded(db, BESANCON, EVERYTHING))


async def proposed(
    file: PersonsFile, clock: HandClock, who: Access, what: bytes, stream: str = STREAM
) -> Proposal | None:
    return await file.change(partial(seconding.proposed, access=who, stream=stream, body=what, now=clock()))


async def approved(file: PersonsFile, clock: HandClock, who: Access, proposal: Proposal) -> Proposal:
    return await file.change(partial(seconding.approved, access=who, proposal=proposal.proposal, now=clock()))


@pytest.mark.parametrize("fact", [PAYMENT, ORDER, NOTICE, RESILIATION], ids=lambda fact: fact[0])
async def test_payments_mises_en_demeure_and_resiliations_wait_where_the_institution_says_so(
    file: PersonsFile, clock: HandClock, fact: tuple[str, dict[str, Any]]
) -> None:
    parse(body(HELD, fact), stream=STREAM)
    assert await proposed(file, clock, access("adjointe-000"), body(HELD, fact)) is None
    kind = seconding.OF_FACTS[fact[0]]
    await file.change(lambda db: seconding.set_seconded(db, BESANCON, set(EVERYTHING) - {kind}))
    assert await proposed(file, clock, access("adjointe-000"), body(HELD, fact)) is None
    await file.change(lambda db: seconding.set_seconded(db, BESANCON, [kind]))
    waiting = await proposed(file, clock, access("adjointe-000"), body(HELD, fact))
    assert waiting is not None
    assert waiting.words == ("adjointe-000",)
    assert await proposed(file, clock, access("ccas-000", CCAS), body(HELD, fact)) is None


async def test_other_facts_go_at_once(file: PersonsFile, clock: HandClock, wanted: None) -> None:
    assert await proposed(file, clock, access("adjointe-000"), body(HELD)) is None


async def test_what_is_no_declaration_is_left_to_the_registrar(
    file: PersonsFile, clock: HandClock, wanted: None
) -> None:
    for what in (b"", b"{", b"[]", body(("convention.payment-made.v1", {"payer": 1}))):
        assert await proposed(file, clock, access("adjointe-000"), what) is None


async def test_nobody_is_two_persons(file: PersonsFile, clock: HandClock, wanted: None) -> None:
    waiting = await proposed(file, clock, access("adjointe-000"), body(PAYMENT))
    assert waiting is not None
    with pytest.raises(seconding.SamePerson):
        await approved(file, clock, access("adjointe-000"), waiting)
    with pytest.raises(seconding.NotAPerson):
        await approved(file, clock, access("token-00", by_token=True), waiting)
    assert (await approved(file, clock, access("tresorier-00"), waiting)).words == (
        "adjointe-000",
        "tresorier-00",
    )


async def test_a_program_is_nobody_so_its_proposal_needs_two_persons(
    file: PersonsFile, clock: HandClock, wanted: None
) -> None:
    waiting = await proposed(file, clock, access("token-00", by_token=True), body(PAYMENT))
    assert waiting is not None
    assert (waiting.proposed_by, waiting.words) == ("token-00", ())
    first = await approved(file, clock, access("adjointe-000"), waiting)
    assert len(first.words) < first.words_needed
    with pytest.raises(seconding.SamePerson):
        await approved(file, clock, access("adjointe-000"), waiting)
    assert len((await approved(file, clock, access("tresorier-00"), waiting)).words) == waiting.words_needed


async def test_a_command_is_one_proposal(file: PersonsFile, clock: HandClock, wanted: None) -> None:
    first = await proposed(file, clock, access("adjointe-000"), body(PAYMENT))
    assert first is not None
    assert await proposed(file, clock, access("tresorier-00"), body(PAYMENT)) == first, (
        "no word of Trésorier's"
    )
    for other, stream in ((body(ORDER), STREAM), (body(PAYMENT), "convention/autre")):
        with pytest.raises(seconding.ProposedOtherwise):
            await proposed(file, clock, access("adjointe-000"), other, stream)
    await file.change(partial(seconding.recorded, proposal=first.proposal, now=clock()))
    assert await proposed(file, clock, access("adjointe-000"), body(PAYMENT)) is None, (
        "the registrar answers again"
    )
    with pytest.raises(seconding.ProposedOtherwise):
        await proposed(file, clock, access("adjointe-000"), body(ORDER))


async def test_what_waits_too_long_is_forgotten(file: PersonsFile, clock: HandClock, wanted: None) -> None:
    waiting = await proposed(file, clock, access("adjointe-000"), body(PAYMENT))
    assert waiting is not None
    clock.move(seconding.LIFETIME)
    with pytest.raises(seconding.NoSuchProposal):
        await approved(file, clock, access("tresorier-00"), waiting)
    again = await proposed(file, clock, access("adjointe-000"), body(PAYMENT))
    assert again is not None
    assert again.proposal != waiting.proposal


async def test_proposals_are_bounded(
    file: PersonsFile, clock: HandClock, wanted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seconding, "PENDING_MAX", 2)
    for number in (1, 2):
        await proposed(file, clock, access("adjointe-000"), body(PAYMENT, number=number))
    with pytest.raises(seconding.TooManyProposals):
        await proposed(file, clock, access("adjointe-000"), body(PAYMENT, number=3))


# -- over HTTP


async def in_session(portal: Portal, browser: Browser, address: str, *rights: Right) -> str:
    member = await portal.member(address, *rights)
    await portal.enter(browser, address)
    return member.principal


async def test_the_second_person_sends_it_in_their_own_name(portal: Portal) -> None:
    assert portal.identity is not None
    async with portal.browser() as adjointe, portal.browser() as tresorier, portal.browser() as boss:
        of_adjointe = await in_session(portal, adjointe, ADJOINTE, "saisie")
        of_tresorier = await in_session(portal, tresorier, TRESORIER, "validation")
        await in_session(portal, boss, SECRETAIRE, "administration")
        assert (await boss.json("PUT", "/api/v1/seconding", {"kinds": ["payment"]}))[0] == 200
        assert (await tresorier.json("PUT", "/api/v1/seconding", {"kinds": []}))[0] == 403
        waiting = await portal.identity.proposed(access(of_adjointe), STREAM, body(PAYMENT, channel="api"))
        assert waiting is not None
        path = f"/api/v1/proposals/{waiting.proposal}/approval"
        assert (await adjointe.json("POST", path))[0] == 403, "she may not validate"
        assert (await boss.json("POST", path))[0] == 403
        assert portal.sent == []
        portal.send_fails = ConnectionError("away")
        assert (await tresorier.json("POST", path))[0] == 500
        portal.send_fails = None
        status, answer = await tresorier.json("POST", path)
        assert (status, answer["outcome"]["stream"]) == (200, STREAM)
        [(sender, stream, sent)] = portal.sent
        declaration = parse(sent, stream=stream).declaration
        assert (sender.principal, stream) == (of_tresorier, STREAM)
        assert (declaration.causation_id, declaration.principal) == (waiting.proposal, None)
        assert parse(sent, stream=STREAM).digest == parse(body(PAYMENT), stream=STREAM).digest
        assert (await tresorier.json("POST", path))[0] == 404
        [listed] = (await adjointe.json("GET", "/api/v1/proposals"))[1]
        assert set(listed["words"]) == {of_adjointe, of_tresorier}
        assert listed["recorded_at"]


async def test_another_institution_neither_sees_nor_approves_it(portal: Portal) -> None:
    assert portal.identity is not None
    await portal.file.change(lambda db: seconding.set_seconded(db, BESANCON, EVERYTHING))
    waiting = await portal.identity.proposed(access("adjointe-000"), STREAM, body(PAYMENT))
    assert waiting is not None
    await portal.member(TRESORIER, "validation", institution=CCAS)
    async with portal.browser() as browser:
        await portal.enter(browser, TRESORIER)
        assert await browser.json("GET", "/api/v1/proposals") == (200, [])
        for method, path in (("POST", "/approval"), ("DELETE", "")):
            assert (await browser.json(method, f"/api/v1/proposals/{waiting.proposal}{path}"))[0] == 404
    assert portal.sent == []


async def test_a_token_of_an_institution_does_not_approve(portal: Portal) -> None:
    assert portal.identity is not None
    await portal.file.change(lambda db: seconding.set_seconded(db, BESANCON, EVERYTHING))
    waiting = await portal.identity.proposed(access("adjointe-000"), STREAM, body(PAYMENT))
    assert waiting is not None
    text, _ = await portal.file.change(
        partial(
            tokens.make,
            institution=BESANCON,
            rights=["validation"],
            purpose="finances",
            expires_at=portal.clock() + timedelta(days=1),
            made_by="adjointe-000",
            now=portal.clock(),
        )
    )
    url = f"{portal.url}/api/v1/proposals/{waiting.proposal}/approval"
    headers = {"Authorization": f"Bearer {text}"}
    async with aiohttp.ClientSession(headers=headers) as http, http.post(url) as answer:
        assert answer.status == 403
    assert portal.sent == []


async def test_two_who_approve_at_once_record_nothing_twice(portal: Portal) -> None:
    """What is sent twice is the same command, which the registrar records once."""
    assert portal.identity is not None
    await portal.file.change(lambda db: seconding.set_seconded(db, BESANCON, EVERYTHING))
    waiting = await portal.identity.proposed(access("adjointe-000"), STREAM, body(PAYMENT))
    assert waiting is not None
    async with portal.browser() as tresorier, portal.browser() as secretaire:
        await in_session(portal, tresorier, TRESORIER, "validation")
        await in_session(portal, secretaire, SECRETAIRE, "validation")
        path = f"/api/v1/proposals/{waiting.proposal}/approval"
        answers = await asyncio.gather(tresorier.json("POST", path), secretaire.json("POST", path))
    assert {status for status, _ in answers} <= {200, 404}
    assert 1 <= len(portal.sent) <= 2
    assert len({sent for _, _, sent in portal.sent}) == 1
