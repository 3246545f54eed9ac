"""Whether who was let in would be let in now: what a waiting request is held against."""

import sqlite3
from datetime import timedelta
from functools import partial

import aiohttp
import pytest

from services.portal.identity import members, tokens
from services.portal.identity.identification import Asked
from tests.portal.identity.conftest import BESANCON, CCAS, Portal

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADJOINTE = "adjointe.essai@besancon.example"


async def stands(portal: Portal, asked: Asked) -> bool:
    assert portal.identity is not None
    return await portal.identity.identification.stands(asked)


@pytest.mark.parametrize("how", ["revoked", "expired"])
async def test_a_token_stands_until_it_is_revoked_or_expires(portal: Portal, how: str) -> None:
    text, token = await portal.file.change(
        partial(
            tokens.make,
            institution=BESANCON,
            rights=("lecture",),
            purpose="flux",
            expires_at=portal.clock() + timedelta(days=1),
            made_by=None,
            now=portal.clock(),
        )
    )
    headers = {"Authorization": f"Bearer {text}"}
    async with aiohttp.ClientSession(portal.url, headers=headers) as http, http.get("/attente") as answer:
        assert answer.status == 200
    asked = portal.waiting.pop()
    assert await stands(portal, asked)
    if how == "revoked":
        revoke = partial(tokens.revoke, institution=BESANCON, name=token.name, now=portal.clock())
        await portal.file.change(revoke)
    else:
        portal.clock.move(timedelta(days=1))
    assert not await stands(portal, asked)


@pytest.mark.parametrize("how", ["signed out", "unused", "withdrawn", "another right", "another institution"])
async def test_a_session_stands_until_it_ends_or_is_for_something_else(portal: Portal, how: str) -> None:
    member = await portal.member(ADJOINTE)
    async with portal.browser() as browser:
        other = await portal.member(ADJOINTE, institution=CCAS)
        await portal.enter(browser, ADJOINTE)
        await browser.post("/au-titre-de", {"institution": BESANCON, "principal": member.principal})
        assert (await browser.get("/attente")).status == 200
        asked = portal.waiting.pop()
        assert await stands(portal, asked)
        match how:
            case "signed out":
                await browser.post("/deconnexion", {})
            case "unused":
                portal.clock.move(timedelta(hours=1))
            case "withdrawn":
                await portal.file.change(
                    lambda db: members.withdraw(
                        db, institution=BESANCON, principal=member.principal, now=portal.clock()
                    )
                )
            case "another right":

                def raised(db: sqlite3.Connection) -> None:
                    db.execute("UPDATE members SET rights = 'saisie'")

                await portal.file.change(raised)
            case _:
                await browser.post("/au-titre-de", {"institution": CCAS, "principal": other.principal})
                assert (await browser.get("/attente")).status == 200
                assert await stands(portal, portal.waiting.pop())
    assert not await stands(portal, asked)
