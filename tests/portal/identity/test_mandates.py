"""Auditors: what their mandate covers and nothing else, until it ends, and seen by whom they look at."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from services.portal.identity import consultations, mandates, members
from services.portal.identity.mandates import Granted
from tests.portal.identity.conftest import BESANCON, CCAS, Portal

pytestmark = pytest.mark.asyncio(loop_scope="module")


AUDITOR, ADJOINTE = "auditrice@crc.example", "adjointe@besancon.example"


async def granted(portal: Portal, *institutions: str, first: int = 2024, last: int = 2025) -> Granted:
    return await portal.file.change(
        partial(
            mandates.grant,
            address=AUDITOR,
            institutions=institutions or (BESANCON,),
            first_year=first,
            last_year=last,
            purpose="contrôle des comptes et de la gestion",
            expires_at=portal.clock() + timedelta(days=90),
            now=portal.clock(),
        )
    )


async def test_an_auditor_looks_at_days_of_the_years_mandated(portal: Portal) -> None:
    await granted(portal)
    async with portal.browser() as browser:
        await portal.enter(browser, AUDITOR)
        for day, status in [
            ("2024-01-01", 200), ("2025-12-31", 200), ("2023-12-31", 403), ("2026-01-01", 403),
            ("2024", 403), ("", 403), ("2024-01-01&on=2026-01-01", 403),
            ("\u0662\u0660\u0662\u0664-01-01", 403), ("2024-01-01%0A", 403),
        ]:  # fmt: skip
            assert (await browser.get(f"/etat?on={day}")).status == status, day
        assert (await browser.get("/etat")).status == 403, "today is no day of 2024"


async def test_an_auditor_reaches_nothing_that_is_not_made_for_auditors(portal: Portal) -> None:
    await granted(portal)
    async with portal.browser() as browser:
        await portal.enter(browser, AUDITOR)
        assert (await browser.get("/qui?on=2024-01-01")).status == 403
        for path in ("proposals", "seconding", "tokens", "persons", "consultations"):
            assert (await browser.json("GET", f"/api/v1/{path}?on=2024-01-01"))[0] == 403
        assert (await browser.json("PUT", "/api/v1/seconding?on=2024-01-01", {"kinds": []}))[0] == 403
        status, me = await browser.json("GET", "/api/v1/me")
        assert (status, me["rights"], me["first_year"], me["last_year"]) == (200, ["lecture"], 2024, 2025)
        assert (await browser.get("/personnes")).status == 403


async def test_an_auditor_acts_for_the_institutions_of_the_mandate(portal: Portal) -> None:
    mandate = await granted(portal, BESANCON, CCAS)
    async with portal.browser() as browser:
        page = await portal.enter(browser, AUDITOR)
        assert sorted(page.fields("institution")) == [CCAS, BESANCON]
        for institution, status in ((CCAS, 200), (BESANCON, 200), ("caf-doubs", 403)):
            form = {"institution": institution, "principal": mandate.principal}
            assert (await browser.post("/au-titre-de", form)).status == status


@pytest.mark.parametrize("how", ["revoked", "expired", "forgotten"])
async def test_a_mandate_that_is_over_ends_its_sessions(portal: Portal, how: str) -> None:
    mandate = await granted(portal)
    async with portal.browser() as browser:
        portal.clock.move(timedelta(days=90) - timedelta(minutes=5))
        await portal.enter(browser, AUDITOR)
        assert (await browser.get("/etat?on=2024-01-01")).status == 200
        if how == "revoked":
            await portal.file.change(
                partial(mandates.revoke, principal=mandate.principal, now=portal.clock())
            )
        elif how == "expired":
            portal.clock.move(timedelta(minutes=5))
        else:
            await portal.file.change(lambda db: members.forget_everywhere(db, AUDITOR))
        assert (await browser.get("/etat?on=2024-01-01")).status == 401
        if how != "forgotten":
            assert (await portal.enter(browser, AUDITOR)).status == 403


async def test_whatever_an_auditor_asks_is_recorded_and_shown_to_whom_it_is_about(portal: Portal) -> None:
    mandate = await granted(portal, BESANCON, CCAS)
    await portal.member(ADJOINTE, "administration")
    await portal.member("chef@ccas.example", "administration", institution=CCAS)
    async with portal.browser() as browser, portal.browser() as adjointe, portal.browser() as chef:
        await portal.enter(browser, AUDITOR)
        form = {"institution": BESANCON, "principal": mandate.principal}
        await browser.post("/au-titre-de", form)
        await browser.get("/etat?on=2024-05-01")
        await browser.get("/qui?on=2024-05-01")
        await portal.enter(adjointe, ADJOINTE)
        await adjointe.get("/etat?on=2024-05-01")
        seen = (await adjointe.json("GET", "/api/v1/consultations"))[1]
        asked = [it["asked"] for it in seen if "/connexion" not in it["asked"]]
        assert asked == ["GET /au-titre-de", "GET /etat?on=2024-05-01", "GET /qui?on=2024-05-01"]
        assert {it["principal"] for it in seen} == {mandate.principal}
        after = seen[-1]["number"]
        assert (await adjointe.json("GET", f"/api/v1/consultations?after={after}"))[1] == []
        await portal.enter(chef, "chef@ccas.example")
        assert (await chef.json("GET", "/api/v1/consultations"))[1] == []
    assert len(await portal.file.read(consultations.listed)) == len(seen)


async def test_the_record_outlives_the_auditors_name_and_ends_in_time(portal: Portal) -> None:
    await granted(portal)
    async with portal.browser() as browser:
        await portal.enter(browser, AUDITOR)
        await browser.get("/etat?on=2024-05-01")
        await portal.file.change(lambda db: members.forget_everywhere(db, AUDITOR))
        kept = await portal.file.read(consultations.listed)
        assert "GET /etat?on=2024-05-01" in [it.asked for it in kept]
        portal.clock.move(consultations.RETENTION)
        await granted(portal)
        await portal.enter(browser, AUDITOR)
        await browser.get("/etat?on=2024-05-02")
        assert "GET /etat?on=2024-05-01" not in [
            it.asked for it in await portal.file.read(consultations.listed)
        ]


@pytest.mark.parametrize(
    "change, refusal",
    [
        ({"institutions": ()}, mandates.ScopeUnfit),
        ({"institutions": tuple(f"i-{number}" for number in range(51))}, mandates.ScopeUnfit),
        ({"first_year": 2026, "last_year": 2025}, mandates.ScopeUnfit),
        ({"first_year": 24}, mandates.ScopeUnfit),
        ({"purpose": ""}, mandates.NoPurpose),
        ({"lifetime": timedelta(0)}, mandates.LivesTooLong),
        ({"lifetime": timedelta(days=367)}, mandates.LivesTooLong),
        ({"address": "nobody"}, members.AddressUnfit),
    ],
    ids=["nowhere", "everywhere", "backwards", "no-year", "no-purpose", "over", "for-ever", "nobody"],
)
async def test_a_mandate_has_a_scope_a_purpose_and_an_end(
    portal: Portal, change: dict[str, object], refusal: type[Exception]
) -> None:
    asked: dict[str, Any] = {
        "address": AUDITOR, "institutions": (BESANCON,), "first_year": 2024, "last_year": 2025,
        "purpose": "contrôle", "lifetime": timedelta(days=1), **change,
    }  # fmt: skip
    expires_at = portal.clock() + asked.pop("lifetime")
    grant = partial(mandates.grant, expires_at=expires_at, now=portal.clock(), **asked)
    with pytest.raises(refusal):
        await portal.file.change(grant)
    assert await portal.file.read(mandates.listed) == []
