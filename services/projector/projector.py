"""
The projector: which file answers, what it is asked, and how another one takes over.

A rebuild makes a new file beside the live one, from LEDGER's first event, while
the live one goes on answering and following. It takes over in one step, when it
shows at least as much; the old file is kept, for going back the same way.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import nats.errors
import nats.js.errors
import structlog
from nats.js.errors import NotFoundError

from contracts import dates, subjects
from contracts.commands import Malformed, Refusal, field_at_fault
from contracts.queries import (
    WAIT_SECONDS_MAX,
    EventsQuery,
    ListQuery,
    Progress,
    StatementQuery,
    Status,
    TakeOver,
)
from services.projector import folder as folders
from services.projector import followed
from services.projector.answers import Answers, NoAnswer
from services.projector.folder import Folder, Pointer
from services.projector.followed import Followed
from services.projector.projection import NAME, VERSION
from services.projector.trouble import OtherVersion, ViewsUnfit
from services.runtime import Asked, Bus, Endpoint

PROGRESS_SECONDS: Final = 0.25
"""Between two messages about a rebuild."""

LEDGER_SECONDS_MAX: Final = 2.0
"""How long JetStream may take to say where LEDGER ends."""

Query = TypeVar("Query", bound=msgspec.Struct)

log = structlog.get_logger()


class Clock(msgspec.Struct, frozen=True):
    """What the shell knows of time: the day that *today* is, and the UTC instant that *now* is."""

    today: Callable[[], date]
    now: Callable[[], datetime]


class Projector:
    """
    Answers from the live file of *folder*, and lets another one take over.

    Made by opened().
    """

    def __init__(
        self, folder: Folder, bus: Bus, clock: Clock, live: Followed, closing: AsyncExitStack
    ) -> None:
        self._folder = folder
        self._bus = bus
        self._clock = clock
        self._live = live
        self._close_live = closing
        self._candidate: Followed | None = None
        self._is_taking_over = False
        self._is_stopping = False
        self._started_at = clock.now()
        self._stream = bus.jetstream(timeout=LEDGER_SECONDS_MAX)

    def endpoints(self) -> list[Endpoint]:
        """One for each view, and two for an operator."""
        views = {
            "statement": self.statement,
            "list": self.conventions,
            "events": self.events,
            "status": self.status,
        }
        verbs = {"rebuild": self.rebuild, "rollback": self.roll_back}
        return [
            *(
                Endpoint(name=view, subject=subjects.query(view), handler=answer)
                for view, answer in views.items()
            ),
            *(
                Endpoint(name=verb, subject=subjects.admin("projector", verb), handler=answer)
                for verb, answer in verbs.items()
            ),
        ]

    async def ended(self, stopping: asyncio.Event) -> Exception | None:
        """Wait until *stopping* is set, or the live projection has stopped: then returns why."""
        told = asyncio.create_task(stopping.wait())
        try:
            while not stopping.is_set():
                live = self._live
                over = asyncio.create_task(live.reached(lambda it: it.is_retired, seconds_max=None))
                await asyncio.wait([told, over], return_when=asyncio.FIRST_COMPLETED)
                over.cancel()
                if live.failure is not None:
                    return live.failure
            return None
        finally:
            told.cancel()

    def stop(self) -> None:
        """Answer whoever still waits that there is nothing to wait for."""
        self._is_stopping = True
        for each in (self._live, self._candidate):
            if each is not None:
                each.retire()

    async def close(self) -> None:
        """Let go of the live file."""
        await self._close_live.aclose()

    # -- questions

    async def statement(self, asked: Asked) -> bytes | Refusal:
        """Answers a StatementQuery."""
        today = self._clock.today()
        return await self._answer(
            asked,
            StatementQuery,
            lambda it: it.position,
            lambda answers, query: answers.statement(query, today=today),
        )

    async def conventions(self, asked: Asked) -> bytes | Refusal:
        """Answers a ListQuery."""
        today = self._clock.today()
        return await self._answer(
            asked,
            ListQuery,
            lambda it: it.listed,
            lambda answers, query: answers.conventions(query, today=today),
        )

    async def events(self, asked: Asked) -> bytes | Refusal:
        """Answers an EventsQuery."""
        return await self._answer(
            asked, EventsQuery, lambda it: it.position, lambda answers, query: answers.events(query)
        )

    async def status(self, asked: Asked) -> bytes | Refusal:
        """Answers with a Status, whatever the body says."""
        del asked
        live = self._live
        try:
            ledger_position = await self._ledger_position()
            lag_seconds = await self._lag_seconds(live.position) if ledger_position > live.position else 0.0
        except (nats.errors.Error, nats.js.errors.Error) as error:
            return Refusal(
                "ledger_unreachable",
                f"the projection is at position {live.position}; where {subjects.LEDGER} ends is not known "
                f"({str(error) or type(error).__name__})",
            )
        return msgspec.json.encode(
            Status(
                projection=f"{NAME} {VERSION}",
                position=live.position,
                ledger_position=ledger_position,
                lag_events=max(ledger_position - live.position, 0),
                lag_seconds=lag_seconds,
                digest=live.digest.hex(),
                started_at=self._started_at,
            )
        )

    async def _ledger_position(self) -> int:
        try:
            return (await self._stream.stream_info(subjects.LEDGER)).state.last_seq
        except NotFoundError:
            return 0

    async def _lag_seconds(self, position: int) -> float:
        """The age of the first event that is not shown yet: since LEDGER has it, some of it has passed."""
        first = await self._stream.get_msg(subjects.LEDGER, seq=position + 1)
        if first.time is None:
            return 0.0
        return max(round((self._clock.now() - first.time).total_seconds(), 3), 0.0)

    async def _answer(
        self,
        asked: Asked,
        kind: type[Query],
        shown: Callable[[Followed], int],
        question: Callable[[Answers, Query], bytes],
    ) -> bytes | Refusal:
        try:
            query = msgspec.json.decode(asked.body, type=kind, dec_hook=dates.decode)
        except (msgspec.DecodeError, ValueError) as error:
            malformed = Malformed((field_at_fault(error),))
            return Refusal("malformed", str(malformed), malformed.fields)
        at_least: int = query.at_least_position  # type: ignore[attr-defined]  # all three kinds have it
        refusal = await self._wait(at_least, shown)
        if refusal is not None:
            return refusal
        try:
            return await self._live.ask(lambda answers: question(answers, query))
        except NoAnswer as why:
            return why.refusal

    async def _wait(self, at_least: int, shown: Callable[[Followed], int]) -> Refusal | None:
        """Until the live file shows enough; what to answer when it does not in time."""
        deadline = asyncio.get_running_loop().time() + WAIT_SECONDS_MAX

        def enough(it: Followed) -> bool:
            return it.is_retired or (it.has_caught_up and shown(it) >= at_least)

        while True:
            live = self._live
            seconds_left = max(deadline - asyncio.get_running_loop().time(), 0)
            reached = await live.reached(enough, seconds_max=seconds_left)
            if self._is_stopping:
                return Refusal("unavailable", "the projector is stopping: ask the one that is started next")
            if live.failure is not None:
                return Refusal("stopped", str(live.failure))
            if not reached:
                return _behind(live, shown(live), at_least)
            if not live.is_retired:
                return None

    # -- another file takes over

    async def rebuild(self, asked: Asked) -> bytes | Refusal:
        """Build a new file from LEDGER's first event, and let it take over. Answers with a last Progress."""
        return await self._taken_over(asked, self._folder.new_name())

    async def roll_back(self, asked: Asked) -> bytes | Refusal:
        """Let the file that answered before take over once it has caught up. Answers with a last Progress."""
        pointer = self._folder.pointer()
        if pointer is None or pointer.previous is None or not self._folder.file(pointer.previous).exists():
            return Refusal("no_previous", "no earlier file is kept: there is nothing to go back to")
        return await self._taken_over(asked, pointer.previous)

    async def _taken_over(self, asked: Asked, name: str) -> bytes | Refusal:
        try:
            request = msgspec.json.decode(asked.body or b"{}", type=TakeOver)
        except msgspec.DecodeError as error:
            malformed = Malformed((field_at_fault(error),))
            return Refusal("malformed", str(malformed), malformed.fields)
        if self._is_taking_over:
            return Refusal("busy", "another file is on its way to take over: wait for it")
        self._is_taking_over = True
        try:
            return await self._take_over(name, request.progress_to)
        except OtherVersion as error:
            return Refusal("other_version", f"{error}: start the version of the program that made it")
        except ViewsUnfit as error:
            return Refusal("unfit", str(error))
        finally:
            self._is_taking_over = False
            self._candidate = None
            # A file that did not take over is not named by the pointer, unless it is the one kept.
            self._folder.sweep()

    async def _take_over(self, name: str, progress_to: str | None) -> bytes | Refusal:
        started = asyncio.get_running_loop().time()

        def progress(it: Followed, *, done: bool = False) -> bytes:
            elapsed_seconds = asyncio.get_running_loop().time() - started
            # What came while the file before was let go of is no part of the way any more.
            target = it.position if done else max(it.ledger_position, self._live.position, it.position)
            return msgspec.json.encode(Progress(it.position, target, round(elapsed_seconds, 3), done))

        def may(it: Followed) -> bool:
            live = self._live
            shows_enough = it.has_caught_up and it.position >= live.position and it.listed >= live.listed
            return shows_enough or it.is_retired

        async with AsyncExitStack() as closing:
            candidate = await closing.enter_async_context(followed.opened(self._folder.file(name), self._bus))
            self._candidate = candidate
            log.info("projector.candidate", file=name, position=candidate.position)
            while not await candidate.reached(may, seconds_max=PROGRESS_SECONDS):
                if candidate.failure is not None:
                    return Refusal("stopped", str(candidate.failure))
                if progress_to is not None:
                    await self._bus.publish(progress_to, progress(candidate))
            if self._is_stopping:
                return Refusal(
                    "unavailable", "the projector is stopping: what answers is what did before, ask again"
                )
            old, close_old = self._live, self._close_live
            # Nothing is awaited from here to the swap: whoever is asked next, it is one or the other.
            self._folder.point(Pointer(live=name, previous=old.name))
            self._live, self._close_live = candidate, closing.pop_all()
        old.retire()
        log.info("projector.swapped", file=name, position=candidate.position, previous=old.name)
        await close_old.aclose()
        return progress(candidate, done=True)


def _behind(live: Followed, shown: int, at_least: int) -> Refusal:
    needed = max(at_least, live.ledger_position if not live.has_caught_up else 0)
    return Refusal(
        "behind",
        f"the projection is at position {shown}, the question needs {needed}: "
        f"it waited {WAIT_SECONDS_MAX:g} s; ask again later, or without at_least_position",
    )


@asynccontextmanager
async def opened(path: Path, bus: Bus, clock: Clock) -> AsyncIterator[Projector]:
    """
    The projector of the folder *path*, following LEDGER as long as the block lasts.

    A live file of another version is kept, and a new one made in its place.
    Raises FolderInUse and ViewsUnfit.
    """
    with folders.locked(path) as folder:
        async with AsyncExitStack() as closing:
            live = await _open_live(folder, bus, closing)
            projector = Projector(folder, bus, clock, live, closing.pop_all())
        try:
            yield projector
        finally:
            projector.stop()
            await projector.close()


async def _open_live(folder: Folder, bus: Bus, closing: AsyncExitStack) -> Followed:
    pointer = folder.pointer()
    if pointer is None:
        pointer = Pointer(live=folder.new_name())
        folder.point(pointer)
    try:
        return await closing.enter_async_context(followed.opened(folder.file(pointer.live), bus))
    except OtherVersion as error:
        log.warning("projector.other_version", detail=str(error), rebuilt_from=0)
        pointer = Pointer(live=folder.new_name(), previous=pointer.live)
        folder.point(pointer)
        return await closing.enter_async_context(followed.opened(folder.file(pointer.live), bus))
