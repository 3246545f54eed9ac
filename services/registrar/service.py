"""The registrar on the bus: a discoverable service, a nudge after appends, and the reasons to stop."""

import asyncio
from collections.abc import Awaitable
from functools import partial
from typing import Final

from contracts import subjects
from eventstore.clock import SettableClock
from eventstore.store import EventStore, StoreError
from services import runtime
from services.registrar import made_up_time
from services.registrar.ledger_guard import LedgerGuard
from services.registrar.registrar import Registrar

NAME: Final = "registrar"

AT_ONCE_MAX: Final = 256
"""Commands in hand; more wait their turn. Four times the clients that one group commit was measured with."""


async def attend(
    store: EventStore, bus: runtime.Bus, stopping: asyncio.Event, *, clock: SettableClock | None = None
) -> None:
    """
    Answer commands from *store* on *bus* until *stopping* is set; what is in hand is answered first.

    *clock*, where the store was given one, is what an operator may set in a ledger of made-up cases.
    Raises the StoreError for which the process must end, once everybody in hand was told.
    """
    guard = LedgerGuard(store, bus)
    appended = asyncio.Event()
    registrar = Registrar(store, bar=guard.reason, is_clear=guard.is_clear, appended=appended.set)
    endpoints = [
        runtime.Endpoint(
            name="command",
            subject=subjects.COMMANDS,
            handler=registrar.handle,
            begin=registrar.begin,
            at_once_max=AT_ONCE_MAX,
        ),
        runtime.Endpoint(
            name=made_up_time.VERB,
            subject=subjects.admin(NAME, made_up_time.VERB),
            handler=partial(made_up_time.set_clock, store.origin, clock),
        ),
    ]
    async with asyncio.TaskGroup() as tasks:
        beside = [tasks.create_task(guard.watch()), tasks.create_task(_nudge(bus, appended))]
        try:
            async with runtime.answering(
                bus,
                name=NAME,
                description="Takes declarations of facts, and records them or says why not.",
                endpoints=endpoints,
                metadata={subjects.ORIGIN_HEADER: store.origin},
            ):
                broken = await _until(stopping, registrar.broken, store.failed())
        finally:
            for task in beside:
                task.cancel()
    if broken is not None:
        raise broken


async def _nudge(bus: runtime.Bus, appended: asyncio.Event) -> None:
    """Say that there are new events: once for all that came since the last time, and never in the way."""
    nudge = [runtime.framed(subjects.APPENDED.encode(), b"")]
    while True:
        await appended.wait()
        appended.clear()
        # It leaves with the answers to those who appended. Where it would have to wait it is not sent: who
        # follows looks by itself before long, and one that waited for a new connection would tell nothing.
        bus.post(nudge)


async def _until(stopping: asyncio.Event, *failures: Awaitable[StoreError]) -> StoreError | None:
    """Wait for *stopping* (None) or the first of *failures*."""
    stopped = asyncio.ensure_future(stopping.wait())
    failing = [asyncio.ensure_future(failure) for failure in failures]
    try:
        done, _ = await asyncio.wait([stopped, *failing], return_when=asyncio.FIRST_COMPLETED)
        return next((failed.result() for failed in failing if failed in done), None)
    finally:
        for future in (stopped, *failing):
            future.cancel()
