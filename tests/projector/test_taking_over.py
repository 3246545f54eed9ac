"""A rebuild beside the live file, the swap, the way back, and what becomes of one that is not finished."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from nats.aio.client import Client

from contracts import subjects
from contracts.queries import EventsQuery, ListQuery, Progress, StatementQuery
from services import ledger_pages, questions, runtime
from services.domain import statement
from services.projector import projector
from services.questions import NotAnswered
from tests.conftest import NatsServer
from tests.projector import ledgers
from tests.projector.conftest import projecting
from tests.projector.ledgers import Ledger
from tests.projector.test_bad_days import live, process_of
from tests.projector.test_projection import dump, folded


async def taken(bus: Client, verb: str) -> list[Progress]:
    asked = {"rebuild": questions.rebuild, "roll_back": questions.roll_back}[verb]
    return [progress async for progress in asked(bus)]


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.db")}


async def _begun(folder: Path) -> None:
    """A rebuild has its file: it takes some hundred times longer than it takes to notice."""
    async with asyncio.timeout(10):
        while len(files(folder)) < 2:
            await asyncio.sleep(0.001)


async def test_while_a_rebuild_runs_questions_are_answered_and_events_taken_in(
    nats_server: NatsServer, bus: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector, "PROGRESS_SECONDS", 0.02)
    ledger, folder = Ledger(), tmp_path / "views"
    ledger.busy_life(2_000)
    await ledgers.create(bus)
    await ledgers.publish(bus, ledger)
    async with projecting(nats_server.url, folder) as it:
        await questions.list_conventions(bus, ListQuery(at_least_position=ledger.position))
        before, steps, answered = live(folder), [], 0
        async for progress in questions.rebuild(bus):
            steps.append(progress)
            if progress.done:
                break
            if len(steps) % 4 == 1:
                published = ledger.position
                position = ledger.pay("busy-0", f"during-{len(steps)}")
                await ledgers.publish(bus, ledger, after=published)
                query = StatementQuery("convention/busy-0", at_least_position=position)
                assert (await questions.statement_answer(bus, query)).position == position
                answered += 1
        assert answered > 0
        assert [step.done for step in steps] == [False] * (len(steps) - 1) + [True]
        assert len({step.position for step in steps}) > 2
        assert steps == sorted(steps, key=lambda step: (step.position, step.seconds)), "it never goes back"
        assert all(step.position <= step.target for step in steps)
        assert steps[-1].position == steps[-1].target >= steps[0].target

        assert live(folder) != before
        assert files(folder) == {live(folder).name, before.name}, "the one before is kept"
        position = ledger.pay("busy-0", "after")
        await ledgers.publish(bus, ledger, after=position - 1)
        rows = await questions.list_conventions(bus, ListQuery(at_least_position=position))
        assert rows.position == position
        assert it._live.name == live(folder).name
    assert dump(live(folder)) == folded(tmp_path / "fresh.db", ledger)


async def test_the_file_before_takes_over_again_once_it_has_caught_up(
    nats_server: NatsServer, bus: Client, tmp_path: Path
) -> None:
    ledger, folder = Ledger(), tmp_path / "views"
    ledger.busy_life(50)
    await ledgers.create(bus)
    await ledgers.publish(bus, ledger)
    async with projecting(nats_server.url, folder):
        with pytest.raises(NotAnswered, match="no earlier file is kept") as caught:
            await taken(bus, "roll_back")
        assert caught.value.code == "no_previous"
        first = live(folder)
        await taken(bus, "rebuild")
        second = live(folder)
        published = ledger.position
        ledger.busy_life(50)
        await ledgers.publish(bus, ledger, after=published)
        await questions.list_conventions(bus, ListQuery(at_least_position=ledger.position))
        steps = await taken(bus, "roll_back")
        assert (steps[-1].done, steps[-1].position) == (True, ledger.position)
        assert live(folder) == first
        assert (await questions.events(bus, EventsQuery())).position == ledger.position
        # And to and fro; a further rebuild lets go of the oldest.
        await taken(bus, "roll_back")
        assert live(folder) == second
        await taken(bus, "rebuild")
        assert files(folder) == {second.name, live(folder).name}
    assert dump(live(folder)) == dump(second) == folded(tmp_path / "fresh.db", ledger)


@pytest.mark.parametrize("is_created", [True, False], ids=["an empty LEDGER", "no LEDGER yet"])
async def test_a_rebuild_of_nothing_is_done_at_once(
    nats_server: NatsServer, bus: Client, tmp_path: Path, is_created: bool
) -> None:
    if is_created:
        await ledgers.create(bus)
    async with projecting(nats_server.url, tmp_path / "views"):
        first = live(tmp_path / "views")
        steps = await taken(bus, "rebuild")
        assert (steps[-1].position, steps[-1].target, steps[-1].done) == (0, 0, True)
        assert live(tmp_path / "views") != first


async def test_a_rebuild_that_meets_a_poison_event_says_so_and_the_live_file_stays(
    nats_server: NatsServer, bus: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, folder = Ledger(), tmp_path / "views"
    ledger.open_convention("a")
    await ledgers.create(bus)
    await ledgers.publish(bus, ledger)
    async with projecting(nats_server.url, folder):
        await questions.list_conventions(bus, ListQuery())
        before = live(folder)
        summary_after = statement.summary_after

        def failing(summary: object, entry: object) -> object:
            raise ValueError("new rules that do not know old facts")

        monkeypatch.setattr(statement, "summary_after", failing)
        with pytest.raises(NotAnswered, match="position 1: the rules cannot take in this event") as caught:
            await taken(bus, "rebuild")
        monkeypatch.setattr(statement, "summary_after", summary_after)
        assert caught.value.code == "stopped"
        assert files(folder) == {before.name}
        assert live(folder) == before
        assert (await questions.statement_answer(bus, StatementQuery("convention/a"))).position == 3
        assert (await taken(bus, "rebuild"))[-1].done


async def test_one_file_at_a_time_takes_over(
    nats_server: NatsServer, bus: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first waits here for a feed that gives nothing."""
    await ledgers.create(bus)
    async with projecting(nats_server.url, tmp_path / "views"):
        await questions.list_conventions(bus, ListQuery())
        _hold_feeds(monkeypatch)
        first = questions.rebuild(bus)
        assert not (await anext(first)).done
        with pytest.raises(NotAnswered, match="another file is on its way to take over") as caught:
            await taken(bus, "rebuild")
        assert caught.value.code == "busy"
        await first.aclose()


async def test_a_rebuild_cut_short_by_the_end_of_the_process_leaves_nothing_behind(
    nats_server: NatsServer, bus: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ledgers.create(bus)
    folder = tmp_path / "views"
    async with projecting(nats_server.url, folder):
        await questions.list_conventions(bus, ListQuery())
        before = live(folder)
        _hold_feeds(monkeypatch)
        rebuilding = questions.rebuild(bus)
        assert not (await anext(rebuilding)).done
        assert len(files(folder)) == 2
    with pytest.raises(NotAnswered, match="the projector is stopping") as caught:
        async for _ in rebuilding:
            pass
    assert caught.value.code == "unavailable"
    assert files(folder) == {before.name}
    assert live(folder) == before


async def test_a_rebuild_killed_with_its_process_is_swept_away_at_the_next_start(
    nats_server: NatsServer, bus: Client, tmp_path: Path
) -> None:
    ledger, folder = Ledger(), tmp_path / "views"
    ledger.busy_life(1_500)
    await ledgers.create(bus)
    await ledgers.publish(bus, ledger)
    async with process_of(nats_server.url, folder) as running:
        await runtime.answers(bus, "projector")
        await questions.list_conventions(bus, ListQuery(at_least_position=ledger.position))
        before = live(folder)
        rebuilding = asyncio.create_task(anext(questions.rebuild(bus)))
        await _begun(folder)
        running.kill()
        await running.wait()
        rebuilding.cancel()
    assert len(files(folder)) == 2
    async with projecting(nats_server.url, folder):
        assert files(folder) == {before.name}
        rows = await questions.list_conventions(bus, ListQuery())
        assert rows.position == ledger.position


async def test_whoever_waits_for_a_rebuild_that_died_hears_so(
    nats_server: NatsServer, bus: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "SILENCE_SECONDS_MAX", 0.5)
    ledger, folder = Ledger(), tmp_path / "views"
    ledger.busy_life(1_500)
    await ledgers.create(bus)
    await ledgers.publish(bus, ledger)
    async with process_of(nats_server.url, folder) as running:
        await runtime.answers(bus, "projector")
        await questions.list_conventions(bus, ListQuery(at_least_position=ledger.position))
        last = Progress(0, 0, 0.0)

        async def wait() -> None:
            nonlocal last
            async for progress in questions.rebuild(bus):
                last = progress

        waiting = asyncio.create_task(wait())
        await _begun(folder)
        running.kill()
        with pytest.raises(questions.ProjectorSilent, match=r"gave no sign for 0\.5 s") as caught:
            await waiting
        assert (caught.value.position, caught.value.target) == (last.position, last.target)


async def test_a_live_file_of_another_version_is_made_anew_and_kept(
    nats_server: NatsServer, bus: Client, tmp_path: Path
) -> None:
    ledger, folder = Ledger(), tmp_path / "views"
    ledger.busy_life(50)
    await ledgers.create(bus)
    await ledgers.publish(bus, ledger)
    async with projecting(nats_server.url, folder):
        await questions.list_conventions(bus, ListQuery())
    old = live(folder)
    with sqlite3.connect(old) as connection:
        connection.execute("UPDATE progress SET version = '0-0'")
    connection.close()
    async with projecting(nats_server.url, folder):
        rows = await questions.list_conventions(bus, ListQuery())
        assert rows.position == ledger.position
        assert files(folder) == {old.name, live(folder).name}
        with pytest.raises(NotAnswered, match="was made by the projection statements 0-0") as caught:
            await taken(bus, "roll_back")
        assert caught.value.code == "other_version"
    assert live(folder) != old
    assert dump(live(folder)) == folded(tmp_path / "fresh.db", ledger)


async def test_a_missing_live_file_is_made_anew(nats_server: NatsServer, bus: Client, tmp_path: Path) -> None:
    ledger, folder = Ledger(), tmp_path / "views"
    ledger.open_convention("a")
    await ledgers.create(bus)
    await ledgers.publish(bus, ledger)
    async with projecting(nats_server.url, folder):
        await questions.list_conventions(bus, ListQuery())
    for path in folder.glob("*.db*"):
        path.unlink()
    async with projecting(nats_server.url, folder):
        assert (await questions.list_conventions(bus, ListQuery())).position == 3


async def test_progress_goes_to_inboxes_only(nats_server: NatsServer, bus: Client, tmp_path: Path) -> None:
    """Nobody makes the projector speak on a subject that means something."""
    async with projecting(nats_server.url, tmp_path / "views"):
        for subject in ("cmd.ville-a.convention.a", "_INBOX.>", "ledger.convention", "_INBOX"):
            answer = await runtime.ask(
                bus, subjects.admin("projector", "rebuild"), b'{"progress_to": "%s"}' % subject.encode()
            )
            assert not isinstance(answer, bytes)
            assert (answer.code, answer.fields[0].path) == ("malformed", "$.progress_to")


def _hold_feeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, who begins to read LEDGER gets nothing."""

    async def nothing(bus: Client, *, after: int) -> object:
        await asyncio.Event().wait()
        yield

    monkeypatch.setattr(ledger_pages, "pages", nothing)
