"""The feed over HTTP while connections are killed and servers go: nothing missed, nothing twice."""

import asyncio
import random

import pytest

from tests.conftest import NatsServer
from tests.feeder.feeds import assert_fed, expected, feeding, varied
from tests.portal.feed_clients import ENDS_SECONDS_MAX, Events, Portal, asked, of_feed, served, streamed
from tests.projector import ledgers
from tests.projector.ledgers import PARTIES

TAKEN_BYTES_MAX = 8_000
"""Of one stream, before it is cut."""


async def test_a_stream_killed_at_any_moment_and_asked_for_again_misses_nothing_for_two_at_once(
    nats_server: NatsServer,
) -> None:
    ledger, chance = varied(160, seed=3), random.Random(3)
    bus = await ledgers.connect(nats_server.url)
    await ledgers.create(bus)
    await ledgers.publish(bus, ledger, to=60)

    to_come = {name: len(of_feed(expected(ledger), name)) for name in PARTIES[:2]}

    async def follow(portal: Portal, institution: str) -> tuple[Events, int]:
        events, cuts = Events(), 0
        while len(events.got) < to_come[institution]:
            bytes_to_take = chance.choice((1, 700, 3_000, TAKEN_BYTES_MAX))
            # A whole stream that is cut in the middle of an event: the rest of it is thrown away.
            events._rest = b""
            async with portal.client(institution) as client:
                try:
                    async with (
                        asyncio.timeout(chance.choice((0.02, 0.1, 0.3))),
                        client.stream("GET", "/stream", headers=asked(events)) as answer,
                    ):
                        assert answer.status_code == 200
                        async for chunk in answer.aiter_raw():
                            events.feed(chunk[:bytes_to_take])
                            if (bytes_to_take := bytes_to_take - len(chunk)) <= 0:
                                break
                except TimeoutError:
                    pass
            cuts += 1
        return events, cuts

    async with feeding(nats_server.url), served(nats_server.url) as portal:
        following = [asyncio.create_task(follow(portal, institution)) for institution in to_come]
        for at in range(60, ledger.position, 20):
            await ledgers.publish(bus, ledger, after=at, to=min(at + 20, ledger.position))
        async with asyncio.timeout(3 * ENDS_SECONDS_MAX):
            results = await asyncio.gather(*following)
        fed = await assert_fed(bus, ledger)
    for institution, (events, cuts) in zip(to_come, results, strict=True):
        assert events.got == of_feed(fed, institution)
        assert all(name.endswith((".v1", ".v2")) for name in events.types)
        assert cuts >= sum(len(event.body) for event in events.got) // TAKEN_BYTES_MAX > 5
    await bus.close()


async def test_with_nats_away_a_stream_ends_and_a_question_is_told_to_come_back_and_nothing_is_lost(
    nats_server: NatsServer,
) -> None:
    bus = await ledgers.connect(nats_server.url)
    ledger = varied(60, seed=5)
    await ledgers.create(bus)
    await ledgers.publish(bus, ledger)
    async with feeding(nats_server.url), served(nats_server.url) as portal:
        fed = await assert_fed(bus, ledger)
        before = of_feed(fed, "ville-a")
        events = Events()
        async with portal.client("ville-a") as client:
            with pytest.raises(AssertionError, match="it ended after"):

                async def killed_in_the_middle() -> None:
                    while len(events.got) < len(before):
                        await asyncio.sleep(0.01)
                    await nats_server.kill()

                await asyncio.gather(killed_in_the_middle(), streamed(client, events, len(before) + 1))
            assert events.got == before
            for path in ("", "/stream"):
                away = await client.get(path, params={"after": len(before)})
                assert (away.status_code, away.headers["retry-after"]) == (503, "2")
            await nats_server.start()
            at = ledger.position
            ledger.open_convention("new")
            await ledgers.publish(bus, ledger, after=at)
            after = of_feed(await assert_fed(bus, ledger), "ville-a")
            async with asyncio.timeout(ENDS_SECONDS_MAX):
                while (await client.get("", params={"after": 0, "wait_seconds": 0})).status_code != 200:
                    await asyncio.sleep(0.05)
            await streamed(client, events, len(after))
        assert events.got == after
        assert len(after) > len(before)
    await bus.close()
