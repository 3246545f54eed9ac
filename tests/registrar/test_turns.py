"""
One at a time on each stream, in the order they came, whoever gives up meanwhile.
"""

import asyncio

import pytest

from services.registrar.turns import Turns


async def _waiting(turns: Turns, names: str, order: list[str]) -> list[asyncio.Task[None]]:
    async def one(name: str) -> None:
        await turns.take("convention/a")
        order.append(name)
        await asyncio.sleep(0)
        turns.leave("convention/a")

    tasks = [asyncio.create_task(one(name)) for name in names]
    await asyncio.sleep(0)
    return tasks


async def test_turns_come_in_the_order_they_were_asked_for_and_leave_nothing_behind() -> None:
    turns, order = Turns(), list[str]()
    await turns.take("convention/a")
    tasks = await _waiting(turns, "abc", order)
    assert order == []
    turns.leave("convention/a")
    await asyncio.gather(*tasks)
    assert order == ["a", "b", "c"]
    assert len(turns) == 0


async def test_nobody_waits_for_another_stream() -> None:
    turns = Turns()
    await turns.take("convention/a")
    async with asyncio.timeout(5):
        await turns.take("convention/b")
    assert len(turns) == 2


async def test_who_gives_up_while_waiting_is_passed_over() -> None:
    turns, order = Turns(), list[str]()
    await turns.take("convention/a")
    tasks = await _waiting(turns, "abc", order)
    tasks[1].cancel()
    turns.leave("convention/a")
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == ["a", "c"]
    assert len(turns) == 0


async def test_who_gives_up_as_the_turn_comes_hands_it_on() -> None:
    turns, order = Turns(), list[str]()
    await turns.take("convention/a")
    tasks = await _waiting(turns, "ab", order)
    turns.leave("convention/a")  # it is a's now, who has not run yet
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    async with asyncio.timeout(5):
        await tasks[1]
    assert order == ["b"]
    assert len(turns) == 0
