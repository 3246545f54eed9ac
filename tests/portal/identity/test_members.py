"""Members of an institution: invited by its administrator, withdrawn, erased; and of no other institution."""

import re
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from services.portal.identity import letters, links, members, persons_file, tokens
from services.portal.identity.access import Right
from services.portal.identity.letters import Letter
from services.portal.identity.persons_file import PersonsFile
from tests.portal.identity.conftest import BESANCON, CCAS, HandClock, Portal

pytestmark = pytest.mark.asyncio(loop_scope="module")


ADJOINTE, TRESORIER = "adjointe.essai@besancon.example", "tresorier@mjc.example"


async def test_who_is_invited_gets_a_link_and_enters_with_the_rights_given(portal: Portal) -> None:
    await portal.member(ADJOINTE, "administration")
    async with portal.browser() as admin, portal.browser() as browser:
        await portal.enter(admin, ADJOINTE)
        body = {"address": TRESORIER, "rights": ["saisie"], "name": "Trésorier Petit"}
        status, member = await admin.json("POST", "/api/v1/persons", body)
        assert (status, member["rights"], member["entered_at"]) == (201, ["saisie"], None)
        [letter] = portal.letters
        assert letter.address == TRESORIER
        found = re.search(rf"{re.escape(portal.url)}/entree/(\S+)", letter.text)
        assert found is not None
        assert found[1] not in str(member), "the administrator does not see the link"
        portal.clock.move(links.INVITATION - timedelta(seconds=1))
        await browser.post("/entree", {"lien": found[1]})
        assert (await browser.json("GET", "/api/v1/me"))[1] == {
            "institution": BESANCON,
            "principal": member["principal"],
            "rights": ["lecture", "saisie"],
            "through": "session",
            "first_year": None,
            "last_year": None,
        }
        assert (await browser.json("GET", "/api/v1/persons"))[0] == 403
        assert (await browser.json("POST", "/api/v1/persons", body))[0] == 403


async def test_an_administrator_rules_over_their_own_institution_alone(portal: Portal) -> None:
    await portal.member(ADJOINTE, "administration")
    other = await portal.member(TRESORIER, "lecture", institution=CCAS)
    await portal.member("chef@ccas.example", "administration", institution=CCAS)
    async with portal.browser() as browser:
        await portal.enter(browser, ADJOINTE)
        listed = (await browser.json("GET", "/api/v1/persons"))[1]
        assert [it["address"] for it in listed] == [ADJOINTE]
        assert TRESORIER not in (await browser.get("/personnes")).text
        path = f"/api/v1/persons/{other.principal}"
        assert (await browser.json("POST", f"{path}/withdrawal"))[0] == 404
        assert (await browser.json("DELETE", path))[0] == 404
        for page in ("retrait", "effacement"):
            answer = await browser.post(f"/personnes/{page}", {"principal": other.principal})
            assert answer.status == 422
            assert TRESORIER not in answer.text
    [left] = await portal.file.read(lambda db: members.listed(db, CCAS)[:1])
    assert left.withdrawn_at is None


async def test_an_institution_keeps_an_administrator(portal: Portal) -> None:
    adjointe = await portal.member(ADJOINTE, "administration")
    await portal.member(TRESORIER, "validation")
    async with portal.browser() as browser:
        await portal.enter(browser, ADJOINTE)
        for method, path in (("POST", "/withdrawal"), ("DELETE", "")):
            assert (await browser.json(method, f"/api/v1/persons/{adjointe.principal}{path}"))[0] == 422
        assert (await browser.json("POST", "/api/v1/persons", {"address": ADJOINTE, "rights": ["lecture"]}))[
            0
        ] == 422
        assert (await browser.get("/personnes")).status == 200


@pytest.mark.parametrize(
    "body",
    [
        {"address": "nobody", "rights": ["lecture"]},
        {"address": "a@b.example\nBcc: c@d.example", "rights": ["lecture"]},
        {"address": "a@b.example,c@d.example", "rights": ["lecture"]},
        {"address": f"{'a' * 250}@b.example", "rights": ["lecture"]},
        {"address": TRESORIER, "rights": []},
        {"address": TRESORIER, "rights": ["lecture"], "name": "x" * 101},
        {"address": TRESORIER, "rights": ["lecture"], "name": "\x1b[2J"},
    ],
    ids=["none", "line-break", "two", "long", "no-right", "long-name", "control"],
)
async def test_an_invitation_that_makes_no_sense_is_refused(portal: Portal, body: dict[str, object]) -> None:
    await portal.member(ADJOINTE, "administration")
    async with portal.browser() as browser:
        await portal.enter(browser, ADJOINTE)
        assert (await browser.json("POST", "/api/v1/persons", body))[0] == 422
    assert portal.letters == []
    assert len(await portal.file.read(members.listed)) == 1


async def test_a_right_that_is_none_and_a_field_that_is_none_are_refused(portal: Portal) -> None:
    await portal.member(ADJOINTE, "administration")
    async with portal.browser() as browser:
        await portal.enter(browser, ADJOINTE)
        for body in (
            {"address": TRESORIER, "rights": ["tout"]},
            {"address": TRESORIER, "rights": ["lecture"], "x": 1},
        ):
            assert (await browser.json("POST", "/api/v1/persons", body))[0] == 400


async def test_members_are_bounded(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MEMBERS_MAX", 1)
    await portal.member(ADJOINTE)
    with pytest.raises(members.TooManyMembers):
        await portal.member(TRESORIER)
    await portal.member(ADJOINTE, "saisie")
    await portal.member(TRESORIER, institution=CCAS)


async def test_an_administrator_makes_and_revokes_tokens_and_a_token_makes_none(portal: Portal) -> None:
    await portal.member(ADJOINTE, "administration")
    async with portal.browser() as browser, portal.browser() as program:
        await portal.enter(browser, ADJOINTE)
        wanted = {
            "rights": ["validation"],
            "purpose": "logiciel des finances",
            "expires_at": (portal.clock() + timedelta(days=30)).isoformat(),
        }
        status, made = await browser.json("POST", "/api/v1/tokens", wanted)
        assert status == 201
        bearer = {"Authorization": f"Bearer {made['text']}"}
        assert (await program.get("/qui", headers=bearer)).status == 200
        for path in ("/api/v1/tokens", "/api/v1/persons", "/api/v1/consultations"):
            assert (await program.get(path, headers=bearer)).status == 403
        [listed] = (await browser.json("GET", "/api/v1/tokens"))[1]
        assert "text" not in listed
        name = made["token"]["name"]
        assert (await browser.json("DELETE", f"/api/v1/tokens/{name}"))[0] == 204
        assert (await program.get("/qui", headers=bearer)).status == 401
        assert (await browser.json("DELETE", "/api/v1/tokens/aaaaaaaa"))[0] == 404
        for spoiled in (
            {**wanted, "rights": ["administration"]},
            {**wanted, "expires_at": (portal.clock() + timedelta(days=3_000)).isoformat()},
        ):
            assert (await browser.json("POST", "/api/v1/tokens", spoiled))[0] == 422


# -- erasure


def bytes_in(folder: Path) -> bytes:
    """Every byte of every file in *folder*."""
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.mark.parametrize("by", ["administrator", "page", "operator"])
async def test_an_erased_person_is_nowhere_and_the_principal_stays(
    portal: Portal,
    capfd: pytest.CaptureFixture[str],
    by: str,
) -> None:
    name, address = "Bérénice Quérard", "berenice.querard@mjc.example"
    folder = portal.file.path.parent
    for number in range(40):  # so that the file has pages that are given back
        await portal.member(f"person-{number}@besancon.example")
    await portal.member(ADJOINTE, "administration")
    async with portal.browser() as admin, portal.browser() as browser:
        await portal.enter(admin, ADJOINTE)
        invitation = {"address": address, "rights": ["saisie"], "name": name}
        member = (await admin.json("POST", "/api/v1/persons", invitation))[1]
        await portal.enter(browser, address)
        await browser.post("/connexion", {"adresse": address})
        await browser.get(f"/entree/{await portal.link(address)}")
        await admin.json("POST", "/api/v1/persons", {**invitation, "rights": ["validation"]})
        assert (await browser.json("GET", "/qui"))[1]["principal"] == member["principal"]
        assert address.encode() in bytes_in(folder)
        assert name.encode() in bytes_in(folder)
        if by == "administrator":
            assert (await admin.json("DELETE", f"/api/v1/persons/{member['principal']}"))[0] == 204
        elif by == "page":
            assert (
                await admin.post("/personnes/effacement", {"principal": member["principal"]})
            ).status == 200
        else:
            async with persons_file.opened(portal.file.path) as beside:
                assert await beside.change(lambda db: members.forget_everywhere(db, address)) == 1
                await beside.wipe()
        left = bytes_in(folder)
        for trace in (name, address, "Bérénice", "querard", member["principal"]):
            assert trace.encode() not in left
            assert trace.encode("utf-16-le") not in left
        assert (await browser.get("/qui")).status == 401
        assert ADJOINTE.encode() in left
    logged = "".join(capfd.readouterr())
    assert "querard" not in logged.lower()
    assert "entree/" not in logged, "a link that is logged is a link that others use"


async def test_erasing_at_one_institution_leaves_the_other(portal: Portal) -> None:
    await portal.member("chef@besancon.example", "administration")
    here = await portal.member(TRESORIER)
    there = await portal.member(TRESORIER, institution=CCAS)
    await portal.file.change(lambda db: members.forget(db, institution=BESANCON, principal=here.principal))
    assert [it.principal for it in await portal.file.read(lambda db: members.listed(db, CCAS))] == [
        there.principal
    ]
    async with portal.browser() as browser:
        await portal.enter(browser, TRESORIER)
        assert (await browser.json("GET", "/qui"))[1]["institution"] == CCAS


async def test_who_is_invited_again_after_an_erasure_is_another_principal(portal: Portal) -> None:
    await portal.member("chef@besancon.example", "administration")
    before = await portal.member(TRESORIER)
    await portal.file.change(lambda db: members.forget(db, institution=BESANCON, principal=before.principal))
    assert (await portal.member(TRESORIER)).principal != before.principal


async def test_an_erasure_that_a_reader_holds_up_says_so(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persons_file, "LOCK_SECONDS_MAX", 0.05)
    await portal.member(TRESORIER)
    async with (
        persons_file.opened(portal.file.path) as eraser,
        persons_file.opened(portal.file.path) as reader,
    ):
        await reader._on_thread(
            lambda: reader._connection.execute("BEGIN").execute("SELECT * FROM persons").fetchone()
        )
        await eraser.change(lambda db: members.forget_everywhere(db, TRESORIER))
        with pytest.raises((persons_file.NotYetErased, persons_file.FileBusy)):
            await eraser.wipe()
        await reader._on_thread(lambda: reader._connection.execute("ROLLBACK"))
        await eraser.wipe()
    assert TRESORIER.encode() not in bytes_in(portal.file.path.parent)


async def test_an_administrator_is_told_of_an_erasure_that_is_not_done(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy() -> None:
        raise persons_file.NotYetErased(portal.file.path)

    await portal.member(ADJOINTE, "administration")
    of_page, of_api = await portal.member(TRESORIER), await portal.member("c@mjc.example")
    async with portal.browser() as browser:
        await portal.enter(browser, ADJOINTE)
        monkeypatch.setattr(portal.file, "wipe", busy)
        assert (await browser.post("/personnes/effacement", {"principal": of_page.principal})).status == 503
        assert (await browser.json("DELETE", f"/api/v1/persons/{of_api.principal}"))[0] == 503


# -- the letter itself


async def test_a_letter_that_is_not_carried_is_told_to_the_operator_without_its_address(
    portal: Portal, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses(letter: Letter) -> None:
        raise letters.NotCarried("SMTPRecipientsRefused")

    monkeypatch.setattr(portal.identity, "carry", refuses)
    await portal.member(ADJOINTE, "administration")
    async with portal.browser() as browser:
        await portal.enter(browser, ADJOINTE)
        assert (await browser.json("POST", "/api/v1/persons", {"address": TRESORIER, "rights": ["lecture"]}))[
            0
        ] == 201
    said = "".join(capfd.readouterr())
    assert "SMTPRecipientsRefused" in said
    assert "mjc.example" not in said


RIGHTS_OF: dict[Right, set[Right]] = {
    "lecture": {"lecture"},
    "saisie": {"lecture", "saisie"},
    "validation": {"lecture", "saisie", "validation"},
    "administration": {"lecture", "administration"},
}


@pytest.mark.parametrize("given", RIGHTS_OF)
async def test_a_right_includes_those_it_needs_and_no_other(
    file: PersonsFile, clock: HandClock, given: Right
) -> None:
    if given == "administration":
        with pytest.raises(tokens.NotGrantable):
            await _token(file, clock, given)
        return
    text = await _token(file, clock, given)
    access = await file.read(partial(tokens.access, text=text, now=clock()))
    assert access is not None
    assert access.rights == RIGHTS_OF[given]


async def _token(file: PersonsFile, clock: HandClock, right: Right) -> str:
    text, _ = await file.change(
        partial(
            tokens.make,
            institution=BESANCON,
            rights=[right],
            purpose="essai",
            expires_at=clock() + timedelta(days=1),
            made_by=None,
            now=clock(),
        )
    )
    return text
