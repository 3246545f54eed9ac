"""
One file of read models kept up with LEDGER, and asked.

The writing side and the reading side have a thread and a connection each:
questions do not wait for the writer, and neither holds up the event loop.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from services import ledger_pages
from services.history import Stopped
from services.projector.answers import Answers
from services.projector.projection import Interrupted, Projection
from services.projector.trouble import ViewsUnfit
from services.runtime import Bus

Result = TypeVar("Result")

log = structlog.get_logger()


class Followed:
    """
    A projection that follows LEDGER in a task of its own, from opened() to the end of its block.

    *ledger_position* is where LEDGER ended when last heard of.
    """

    def __init__(
        self,
        projection: Projection,
        answers: Answers,
        bus: Bus,
        *,
        writer: ThreadPoolExecutor,
        reader: ThreadPoolExecutor,
    ) -> None:
        self.name = projection.path.name
        self.position = projection.position
        self.listed = projection.listed
        self.digest = projection.digest
        self.ledger_position = 0
        self.failure: Exception | None = None
        self.is_retired = False
        self._catch_up_to: int | None = None
        self._projection = projection
        self._answers = answers
        self._bus = bus
        self._writer = writer
        self._reader = reader
        self._moved = asyncio.Event()

    @property
    def has_caught_up(self) -> bool:
        """Whether it shows all that LEDGER had when it was first looked at; questions wait for that."""
        return self._catch_up_to is not None and self.listed >= self._catch_up_to

    async def reached(self, until: Callable[["Followed"], bool], *, seconds_max: float | None) -> bool:
        """Wait until *until* is true of it; False when that takes longer, or the projection has stopped."""
        try:
            async with asyncio.timeout(seconds_max):
                while not until(self):
                    if self.failure is not None:
                        return False
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True

    async def ask(self, question: Callable[[Answers], Result]) -> Result:
        """What *question* gets from the file, in the thread that reads it."""
        return await asyncio.get_running_loop().run_in_executor(self._reader, question, self._answers)

    def retire(self) -> None:
        """Wake whoever waits: another one answers from now on, or none."""
        self.is_retired = True
        self._wake()

    async def follow(self) -> None:
        """Take in page after page, until cancelled. What stops it becomes its *failure*."""
        last = self._projection.position
        try:
            async with aclosing(ledger_pages.pages(self._bus, after=last)) as pages:
                async for page in pages:
                    last = page.messages[-1].sequence if page.messages else last
                    self.ledger_position = page.ledger_position
                    if self._catch_up_to is None:
                        self._catch_up_to = page.ledger_position
                    await self._take(page, behind=page.ledger_position - last)
        except Interrupted:
            return
        except (Stopped, ViewsUnfit) as error:
            self._fail(error)
        except Exception as error:
            log.exception("projector.failed", file=self.name)
            self._fail(error)

    async def _take(self, page: ledger_pages.Page, *, behind: int) -> None:
        take = partial(self._projection.take, page.messages, behind=behind)
        await asyncio.get_running_loop().run_in_executor(self._writer, take)
        self.position = self._projection.position
        self.listed = self._projection.listed
        self.digest = self._projection.digest
        self._wake()

    def _fail(self, error: Exception) -> None:
        log.error("projector.stopped", file=self.name, position=self.position, detail=str(error))
        self.failure = error
        self._wake()

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()


@asynccontextmanager
async def opened(path: Path, bus: Bus) -> AsyncIterator[Followed]:
    """
    The projection in the file *path*, followed as long as the block lasts.

    The file is made where it is missing. Raises OtherVersion and ViewsUnfit.
    """
    writer = ThreadPoolExecutor(1, thread_name_prefix="writer")
    reader = ThreadPoolExecutor(1, thread_name_prefix="reader")
    loop = asyncio.get_running_loop()
    try:
        projection = await loop.run_in_executor(writer, Projection.open, path)
        try:
            answers = await loop.run_in_executor(reader, Answers.open, path)
            try:
                followed = Followed(projection, answers, bus, writer=writer, reader=reader)
                following = asyncio.create_task(followed.follow(), name=f"follow {path.name}")
                try:
                    yield followed
                finally:
                    projection.interrupt()
                    following.cancel()
                    await asyncio.wait([following])
            finally:
                await loop.run_in_executor(reader, answers.close)
        finally:
            await loop.run_in_executor(writer, projection.close)
    finally:
        writer.shutdown()
        reader.shutdown()
