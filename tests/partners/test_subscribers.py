"""The example subscribers, as a partner runs them: nothing missed or twice, gaps told, any beginning."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from contracts import subjects
from tests.partners.conftest import A, B, World, world_in

EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples"
ENDS_SECONDS_MAX = 30


@pytest.fixture(params=["python", "node"])
def program(request: pytest.FixtureRequest) -> list[str]:
    if request.param == "node":
        assert (EXAMPLES / "node" / "node_modules").exists(), "`make test` installs what the example needs"
        return ["node", str(EXAMPLES / "node" / "subscriber.js")]
    return [sys.executable, str(EXAMPLES / "subscriber.py")]


class Subscriber:
    """One of the programs, run by institution A."""

    def __init__(self, program: list[str], world: World) -> None:
        self.world = world
        self.command = [*program, A, "--server", world.url, "--seed", str(world.seed_of(A))]
        self.command += ["--place", str(world.handed_over / "place")]

    async def started(self, *options: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self.command, *options, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    async def once(self, *options: str) -> list[str]:
        """What it prints until there is no more."""
        process = await self.started("--once", *options)
        async with asyncio.timeout(ENDS_SECONDS_MAX):
            out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return out.decode().splitlines()


@pytest.fixture
async def subscriber(program: list[str], world: World) -> Subscriber:
    await world.add(A)
    return Subscriber(program, world)


def bodies(first: int, last: int) -> list[str]:
    return [f'{{"to":"{A}","number":{number}}}' for number in range(first, last + 1)]


async def test_it_prints_each_message_once_and_begins_where_it_ended_or_anywhere(
    subscriber: Subscriber,
) -> None:
    world = subscriber.world
    await world.publish(B, 3)
    await world.publish(A, 130)
    assert await subscriber.once() == bodies(1, 130)
    await world.publish(A, 2)
    assert await subscriber.once() == bodies(131, 132)
    assert await subscriber.once("--from", "128") == bodies(128, 132)


async def test_what_was_delivered_and_not_dealt_with_comes_first(subscriber: Subscriber) -> None:
    """As after a crash with messages in hand: the server would bring them after those that are new."""
    world = subscriber.world
    await world.publish(A, 5)
    async with world.partner(A) as crashed:
        consumer = await crashed.js.pull_subscribe_bind(A, stream=subjects.FEED)
        assert len(await consumer.fetch(3, timeout=1)) == 3
    assert await subscriber.once() == bodies(1, 5)


async def test_killed_while_it_waits_it_misses_nothing(subscriber: Subscriber) -> None:
    """The server may still think that it waits: what comes next is not to be sent to nobody."""
    await subscriber.world.publish(A)
    process = await subscriber.started()
    assert process.stdout is not None
    async with asyncio.timeout(ENDS_SECONDS_MAX):
        await process.stdout.readline()
        while (await waiting(subscriber.world)) == 0:
            await asyncio.sleep(0.01)
        process.kill()
        await process.wait()
    await subscriber.world.publish(A, 2)
    after = await subscriber.once()
    assert after in (bodies(1, 3), bodies(2, 3))


async def waiting(world: World) -> int:
    """How many requests for more the server has in hand."""
    return (await world.bus.jetstream().consumer_info(subjects.FEED, A)).num_waiting or 0


async def test_killed_in_the_middle_it_misses_nothing(subscriber: Subscriber) -> None:
    await subscriber.world.publish(A, 150)
    process = await subscriber.started()
    assert process.stdout is not None
    async with asyncio.timeout(ENDS_SECONDS_MAX):
        await process.stdout.readline()
        process.kill()
        rest = await process.stdout.read()
        await process.wait()
    # A last line may have been printed and not been written down.
    seen = 1 + rest.count(b"\n")
    after = await subscriber.once()
    assert after in (bodies(seen, 150), bodies(seen + 1, 150))


async def test_a_gap_is_told_and_not_passed_over(subscriber: Subscriber) -> None:
    world = subscriber.world
    await world.publish(A, 2)
    world.numbers[A] += 1
    await world.publish(A)
    process = await subscriber.started("--once")
    async with asyncio.timeout(ENDS_SECONDS_MAX):
        out, err = await process.communicate()
    assert process.returncode == 1
    assert out.decode().splitlines() == bodies(1, 2)
    assert b"after number 2 comes 4: a gap" in err


async def test_it_outlives_a_restart_of_the_server(program: list[str], tmp_path: Path) -> None:
    async with world_in(tmp_path / "nats") as world:
        await world.add(A)
        await world.publish(A, 2)
        process = await Subscriber(program, world).started()
        assert await printed(process, 2) == bodies(1, 2)
    async with world_in(tmp_path / "nats", port=int(world.url.rpartition(":")[2])) as again:
        again.numbers[A] = 2
        await again.publish(A, 2)
        assert await printed(process, 2) == bodies(3, 4)
        process.kill()
        await process.wait()


async def printed(process: asyncio.subprocess.Process, lines: int) -> list[str]:
    """The next *lines* that a subscriber prints."""
    assert process.stdout is not None
    async with asyncio.timeout(ENDS_SECONDS_MAX):
        return [(await process.stdout.readline()).decode().strip() for _ in range(lines)]
