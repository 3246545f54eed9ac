"""
The verified fake: the whole contract of a store, in dictionaries, for tests.

It passes the same conformance suite as the engines that keep files, so that
what a test shows on it holds on them. It loses everything when it is closed.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime

from eventstore.clock import Clock, Instants, boot_seconds, microseconds, utc_now
from eventstore.requests import check, sealed
from eventstore.store import (
    Appended,
    Command,
    CommandReused,
    Head,
    NoSuchPosition,
    Recorded,
    Seal,
    StoreError,
    WrongVersion,
    genesis,
    link,
)


class MemoryStore:
    """An EventStore that forgets."""

    def __init__(
        self,
        origin: str,
        *,
        clock: Clock = utc_now,
        elapsed_seconds: Callable[[], float] = boot_seconds,
    ) -> None:
        self._origin = origin
        self._instants = Instants(clock=clock, elapsed_seconds=elapsed_seconds, last=None)
        self._log: list[Recorded] = []
        self._recorded_at: list[datetime] = []
        self._streams: dict[str, list[Recorded]] = {}
        self._commands: dict[tuple[str, bytes], tuple[Appended, bytes]] = {}
        self._grown = asyncio.Event()

    @property
    def origin(self) -> str:
        """The name of this ledger."""
        return self._origin

    def append(
        self, stream: str, seals: Sequence[Seal], *, expected: int, command: Command
    ) -> asyncio.Future[Appended]:
        """Add all events of one command, or none; see EventStore."""
        check(stream, seals, expected=expected, command=command)
        answer: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        try:
            answer.set_result(self._appended(stream, seals, expected, command))
        except Exception as error:  # noqa: BLE001 - whatever a seal raises, the future raises
            answer.set_exception(error)
        return answer

    def _appended(self, stream: str, seals: Sequence[Seal], expected: int, command: Command) -> Appended:
        past = self._found(command.owner, command.command_id)
        if past is not None:
            first, body_digest = past
            if body_digest != command.body_digest:
                raise CommandReused(command.owner, command.command_id, position=first.first_position)
            return first
        actual = len(self._streams.get(stream, ()))
        if expected != actual:
            raise WrongVersion(stream, expected=expected, actual=actual)

        position = len(self._log) + 1
        recorded_at = self._instants.next()
        bodies = sealed(stream, seals, position, actual + 1, recorded_at)
        digest = self._log[-1].digest if self._log else genesis(self._origin)
        for place, body in enumerate(bodies):
            digest = link(digest, body)
            event = Recorded(
                position=position + place,
                stream=stream,
                version=actual + 1 + place,
                ordinal=1 + place,
                count=len(bodies),
                body=body,
                digest=digest,
            )
            self._log.append(event)
            self._recorded_at.append(recorded_at)
            self._streams.setdefault(stream, []).append(event)
        appended = Appended(
            first_position=position,
            last_position=len(self._log),
            version=actual + len(bodies),
            recorded_at=recorded_at,
        )
        self._commands[command.owner, command.command_id] = (appended, command.body_digest)
        self._grown.set()
        self._grown = asyncio.Event()
        return appended

    async def find(self, owner: str, command_id: bytes) -> tuple[Appended, bytes] | None:
        """What *owner* once got for *command_id*, with the digest of its body; None if never recorded."""
        return self._found(owner, command_id)

    def _found(self, owner: str, command_id: bytes) -> tuple[Appended, bytes] | None:
        past = self._commands.get((owner, command_id))
        if past is None:
            return None
        first, body_digest = past
        return Appended(
            first_position=first.first_position,
            last_position=first.last_position,
            version=first.version,
            recorded_at=first.recorded_at,
            repeated=True,
        ), body_digest

    async def version(self, stream: str) -> int:
        """The last version of *stream*, 0 when it does not exist."""
        return len(self._streams.get(stream, ()))

    async def read(self, stream: str, *, after: int = 0) -> list[Recorded]:
        """The events of *stream* whose version is greater than *after*, in order."""
        return self._streams.get(stream, [])[max(after, 0) :]

    async def read_all(self, *, after: int, events_max: int = 1_000) -> list[Recorded]:
        """The next events after position *after*, whole commands only; see EventStore."""
        page = self._log[max(after, 0) :][: max(events_max, 1)]
        if not page or page[-1].ends_command:
            return page
        broken = page[-1]
        whole = page[: -broken.ordinal]
        if whole:
            return whole
        return page + self._log[broken.position :][: broken.count - broken.ordinal]

    async def follow(self, *, after: int, events_max: int = 1_000) -> AsyncIterator[list[Recorded]]:
        """Pages as of read_all, for ever: waits for new events where there are none yet."""
        while True:
            grown = self._grown
            page = await self.read_all(after=after, events_max=events_max)
            if page:
                after = page[-1].position
                yield page
            else:
                await grown.wait()

    async def head(self) -> Head:
        """The last position and the running digest there."""
        position = len(self._log)
        return Head(position=position, digest=await self.digest_at(position))

    async def digest_at(self, position: int) -> bytes:
        """The running digest at *position*; raises NoSuchPosition after the last one."""
        if not 0 <= position <= len(self._log):
            raise NoSuchPosition(position, last=len(self._log))
        return self._log[position - 1].digest if position else genesis(self._origin)

    async def position_at(self, instant: datetime) -> int:
        """The last position recorded at or before the aware *instant*; 0 if nothing was."""
        microseconds(instant)  # refuses one without time zone
        return bisect_right(self._recorded_at, instant)

    async def failed(self) -> StoreError:
        """Wait for ever: memory does not fail."""
        never: asyncio.Future[StoreError] = asyncio.get_running_loop().create_future()
        return await never
