"""The bytes of events by position: those just read are at hand, earlier ones are asked for one by one."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

import msgspec
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from contracts import subjects
from services.history import Misplaced
from services.numbered_streams import ANSWER_SECONDS_MAX, Unreachable, asking

RECENT_BYTES_MAX: Final = 32 * 1024 * 1024
"""What came last, and what was asked for last: an admission asks for what the one before it did."""

GETS_AT_ONCE_MAX: Final = 64


class _Placed(msgspec.Struct, frozen=True):
    position: int


_placed = msgspec.json.Decoder(_Placed)


class Bodies:
    """Bodies of LEDGER on *bus*; holds RECENT_BYTES_MAX of them and the one after that, no more."""

    def __init__(self, bus: Client, *, answer_seconds: float = ANSWER_SECONDS_MAX) -> None:
        self._bus = bus
        self._stream = bus.jetstream(timeout=answer_seconds)
        self._recent: OrderedDict[int, bytes] = OrderedDict()
        self._recent_bytes = 0
        self._gate = asyncio.Semaphore(GETS_AT_ONCE_MAX)

    def keep(self, position: int, body: bytes) -> None:
        """Have *body* at hand for a while."""
        if position in self._recent:
            return
        self._recent[position] = body
        self._recent_bytes += len(body)
        while self._recent_bytes > RECENT_BYTES_MAX and len(self._recent) > 1:
            _, oldest = self._recent.popitem(last=False)
            self._recent_bytes -= len(oldest)

    async def of(self, positions: Iterable[int]) -> dict[int, bytes]:
        """
        The bodies at *positions*.

        Raises a Setback when the server does not answer or has not got one, Misplaced when it gives another.
        """
        wanted = set(positions)
        found = {position: self._recent[position] for position in wanted & self._recent.keys()}
        missing = sorted(wanted - found.keys())
        if missing:
            with asking(self._bus, f"read {len(missing)} events of {subjects.LEDGER}"):
                got = await asyncio.gather(*map(self._get, missing), return_exceptions=True)
                for position, body in zip(missing, got, strict=True):
                    if isinstance(body, BaseException):
                        raise body
                    found[position] = body
            for position in missing:
                self.keep(position, found[position])
        return found

    async def _get(self, position: int) -> bytes:
        async with self._gate:
            try:
                message = await self._stream.get_msg(subjects.LEDGER, seq=position, direct=True)
            except NotFoundError as error:
                asked = f"read position {position} of {subjects.LEDGER}"
                raise Unreachable(asked=asked, detail="it is not there, or not yet") from error
        body = message.data or b""
        found = _placed.decode(body).position
        if found != position:
            raise Misplaced(position, what="position", expected=position, found=found)
        return body
