"""
Nothing is recorded over a past that partners were shown and the store has not.

A store brought back from a backup is a beginning of LEDGER, or worse, goes on
otherwise. An append would then give a position twice, to two events. So the
store is held against LEDGER at start, after each reconnection and regularly;
while LEDGER has more, or other, and while nobody can tell, commands are refused.
"""

import asyncio
from typing import Final

import nats.errors
import structlog
from nats.aio.client import Client
from nats.js.errors import APIError, NotFoundError

from contracts import subjects
from contracts.commands import Refusal
from eventstore.store import EventStore

ANSWER_SECONDS_MAX: Final = 2.0
"""How long JetStream may take to say where LEDGER ends."""

CHECK_SECONDS: Final = 30.0
"""Between two comparisons while all is well."""

RETRY_SECONDS: Final = 1.0
"""Between two comparisons while commands are refused."""

STREAM_NOT_FOUND: Final = 10059

log = structlog.get_logger()


class LedgerGuard:
    """Compares *store* with LEDGER on *bus*. Until the first comparison, nothing may be recorded."""

    def __init__(self, store: EventStore, bus: Client) -> None:
        self._store = store
        self._bus = bus
        self._stream = bus.jetstream(timeout=ANSWER_SECONDS_MAX)
        self._comparing = asyncio.Lock()
        self._connections = -1
        self._reason: Refusal | None = _unknown("it was not compared with the store yet")

    def is_clear(self) -> bool:
        """Whether nothing bars recording, as far as is known without waiting."""
        return self._reason is None and self._connections == self._bus.stats["reconnects"]

    async def reason(self) -> Refusal | None:
        """
        Why nothing may be recorded now; None when all is well.

        Compares first where the connection is a new one.
        """
        if self._connections != self._bus.stats["reconnects"]:
            async with self._comparing:
                if self._connections != self._bus.stats["reconnects"]:
                    await self._compare()
        return self._reason

    async def watch(self) -> None:
        """Compare again and again, until cancelled."""
        while True:
            async with self._comparing:
                await self._compare()
            await asyncio.sleep(CHECK_SECONDS if self._reason is None else RETRY_SECONDS)

    async def _compare(self) -> None:
        connections = self._bus.stats["reconnects"]
        before = self._reason
        try:
            self._reason = await self._difference()
        except nats.errors.TimeoutError:
            self._reason = _unknown(f"no answer within {ANSWER_SECONDS_MAX:g} seconds")
        except APIError as error:
            self._reason = _unknown(error.description or "JetStream does not answer")
        except nats.errors.Error as error:
            self._reason = _unknown(str(error))
        self._connections = connections
        if self._reason is None and before is not None:
            log.info("ledger.agrees")
        elif self._reason is not None and self._reason != before:
            log.error("ledger.bars", code=self._reason.code, reason=self._reason.message)

    async def _difference(self) -> Refusal | None:
        try:
            info = await self._stream.stream_info(subjects.LEDGER)
        except NotFoundError as error:
            if error.err_code == STREAM_NOT_FOUND:
                return None  # nothing was published: the store cannot be behind
            raise
        published = info.state.last_seq
        # Read after LEDGER's end: whatever was published was in the store before.
        position = (await self._store.head()).position
        if published > position:
            return Refusal(
                "ledger_ahead",
                f"the stream {subjects.LEDGER} ends at position {published}, the store at {position}: the "
                f"store is an older copy. Nothing is recorded until it has the missing events, or the newest "
                f"copy is back",
            )
        if published == 0:
            return None
        last = await self._stream.get_msg(subjects.LEDGER, seq=published)
        digest = (last.headers or {}).get(subjects.DIGEST_HEADER, "absent")
        stored = (await self._store.digest_at(published)).hex()
        if digest != stored:
            return Refusal(
                "ledger_differs",
                f"the stream {subjects.LEDGER} and the store tell two histories up to position {published}: "
                f"the digest published is {digest}, the digest stored is {stored}. Nothing is recorded until "
                f"the true copy is back",
            )
        return None


def _unknown(detail: str) -> Refusal:
    return Refusal(
        "ledger_unknown",
        f"whether the store has all that the stream {subjects.LEDGER} has is not known ({detail}): nothing "
        f"is recorded until it is. Ask again with the same command id",
    )
