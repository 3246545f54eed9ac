"""
The services as child processes of one parent, and what becomes of them.

A child ends with its parent, also when the parent is killed. When one ends by
itself, the parent is told with the child's last words. When the parent is done,
the children are asked to stop, and after a bounded time they are made to.

Each child leads a session of its own: Ctrl-C in the terminal reaches the
parent alone, who stops the children in good order.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec

from services.embedded_nats import die_with

SERVICES: Final = ("registrar", "relay", "feeder", "projector", "portal")
"""Those that are programs of ours, `python -m services.<name>`."""

FIRST: Final = "registrar"
"""It makes the store, which the relay wants to find."""

STOP_SECONDS_MAX: Final = 4.5
"""From the request to stop to the kill: with a NATS server's own 5 seconds, under 10 for all."""

LOG_BYTES_MAX: Final = 8 * 1_048_576
LAST_LINES_MAX: Final = 6
LAST_BYTES_MAX: Final = 16_384


class ChildEnded(RuntimeError):
    """Raised when a service ended by itself: *name*, its exit *code*, and the last lines of its log."""

    def __init__(
        self, name: str, *, code: int, last_lines: Sequence[str] = (), log: Path | None = None
    ) -> None:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        where = f"; the end of {log}:" if log else ", and said why above"
        super().__init__("\n  ".join([f"the {name} {how}{where}", *last_lines]))
        self.name = name
        self.code = code
        self.last_lines = tuple(last_lines)


class Child(msgspec.Struct, frozen=True):
    """A service that runs. Its log is in the file *log*, or, where that is None, on our own stderr."""

    name: str
    log: Path | None
    process: asyncio.subprocess.Process

    async def ended(self) -> NoReturn:
        """Never returns while the child lives. Raises ChildEnded when it has ended."""
        code = await self.process.wait()
        raise ChildEnded(self.name, code=code, last_lines=_last_lines(self.log), log=self.log)


Ready = Callable[[str], Awaitable[None]]
"""Returns once the service of that name answers."""


@contextlib.asynccontextmanager
async def running(
    names: Sequence[str],
    environment: Callable[[str], Mapping[str, str]],
    *,
    ready: Ready,
    logs: Path | None = None,
) -> AsyncIterator[None]:
    """
    One process for each of *names*, with its *environment*, from the start to the end of the block.

    A registrar is started before the others, which want what it makes, and all
    are *ready* when the block begins. Each writes its log to a file of its name
    in the folder *logs*, or, where that is None, to our stderr. Raises
    ChildEnded, in the block too, when one ends by itself.
    """
    async with contextlib.AsyncExitStack() as stack:
        children: list[Child] = []
        stack.push_async_callback(_stop, children)
        for group in ([FIRST], [name for name in names if name != FIRST]):
            started = [name for name in group if name in names]
            for name in started:
                child = await _start(name, environment(name), logs)
                children.append(child)
                await stack.enter_async_context(watched(child.ended()))
            await asyncio.gather(*map(ready, started))
        yield


@contextlib.asynccontextmanager
async def watched(end: Coroutine[Any, Any, object]) -> AsyncIterator[None]:
    """A block that is left with what *end* raises, as soon as it raises."""
    try:
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(end)
            yield
            watch.cancel()
    except BaseExceptionGroup as group:
        # One trouble, one exception: who uses the block need not know of the task group.
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise


async def _start(name: str, environment: Mapping[str, str], logs: Path | None) -> Child:
    with contextlib.ExitStack() as files:
        log = None if logs is None else logs / f"{name}.log"
        output = None if log is None else files.enter_context(_opened(log))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"services.{name}",
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=die_with(os.getpid()),
        )
    return Child(name, log, process)


@contextlib.contextmanager
def _opened(log: Path) -> Iterator[int]:
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.unlink()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        yield file
    finally:
        os.close(file)


async def _stop(children: Sequence[Child]) -> None:
    living = [child.process for child in children if child.process.returncode is None]
    for process in living:
        _send(process, signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_SECONDS_MAX):
            for process in living:
                await process.wait()
    except TimeoutError:
        # They are made to be killed at any moment: nothing acknowledged is lost by it.
        for process in living:
            _send(process, signal.SIGKILL)
        for process in living:
            await process.wait()


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


class _LogLine(msgspec.Struct):
    event: str = ""
    detail: str = ""


def _last_lines(log: Path | None) -> list[str]:
    """The end of a log, each line cut to what it says to people where it is one of ours."""
    if log is None:
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LAST_BYTES_MAX))
        lines = file.read().decode(errors="replace").splitlines()[-LAST_LINES_MAX:]
    return [_told(line) for line in lines]


def _told(line: str) -> str:
    try:
        said = msgspec.json.decode(line, type=_LogLine)
    except msgspec.MsgspecError:
        return line
    return f"{said.event}: {said.detail}" if said.detail else line
