"""
What every process does alike: log, connect, answer, ask, and stop.

    run(main, service="relay")          a process, from its first line to its exit code
    connected(url, "relay")             the bus, as long as the block lasts
    answering(bus, endpoints=...)       questions from the bus, each in a task of its own
    ask(bus, subject, body)             the other end of that

A refusal (contracts.commands.Refusal) is an answer like any other: a code for
programs, a sentence for people, the fields at fault. Whatever else goes wrong
in a handler is ours: who asked reads "internal", and our log has the rest.
"""

import asyncio
import contextlib
import gc
import logging
import os
import re
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NoReturn

import msgspec
import nats
import nats.micro
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError, NoRespondersError
from nats.micro.request import ERROR_CODE_HEADER, ERROR_HEADER
from nats.micro.request import Request as MicroRequest
from nats.micro.service import EndpointStats
from nats.protocol.parser import Parser

from contracts.commands import Refusal
from services import credentials

if not __debug__:
    raise SystemExit("the ledger does not run without its assertions: start python without -O")

EXIT_FAILED = 1
EXIT_NOT_DRAINED = 75

CUT_OFF_SECONDS = 8.0
"""After a signal, how long main may take to end by itself before it is cancelled."""

DRAIN_SECONDS_MAX = 10.0
"""After a signal, how long until the process ends whatever it is doing."""

SWITCH_INTERVAL_SECONDS = 0.002
"""
How long a busy thread keeps the interpreter from another that wants it.

Python's 5 ms are long for a commit that waits for a busy event loop; at 0.2 a projector that is
far behind lost a twentieth of its time to going back and forth.
"""

GARBAGE_THRESHOLDS: Final = (50_000, 20, 100)
"""Allocations between two searches for cycles, then how many of those to one that looks further."""

REFUSED_CONNECTION = "Authorization Violation"
"""What the server calls it."""

REFUSALS_MAX = 3
"""
So often in a row a server has to refuse us to be believed, with 0.25 s between.

While it reads its configuration anew it knows none of its users for some milliseconds, and refuses all
who come in then.
"""

CONNECT_SECONDS_MAX = 10.0
CLOSE_SECONDS_MAX = 3.0
ASK_SECONDS_MAX = 15.0
"""Outlasts the election of a new leader in a cluster of three (some 9 seconds)."""

AT_ONCE_MAX = 256
"""Requests that one endpoint works on; more wait their turn."""

ERROR_HEADER_CHARACTERS_MAX = 500

ERROR_STATUSES: Final = {
    "wrong_version": "409",
    "contention": "409",
    "command_reused": "409",
    "internal": "500",
    "outcome_unknown": "503",
    "store_unavailable": "503",
    "ledger_ahead": "503",
    "ledger_differs": "503",
    "ledger_unknown": "503",
    "stopped": "503",
    "unavailable": "503",
}
"""What a refusal's code is on the wire, for programs that know statuses only: ask anew, or ask again."""

REFUSED_STATUS: Final = "400"
"""Of every other code: asking the same again gets the same answer."""

log = structlog.get_logger()


# -- the process --------------------------------------------------------------


def run(
    main: Callable[[asyncio.Event], Coroutine[Any, Any, None]],
    *,
    service: str = "registre",
    is_debugging: bool = False,
) -> NoReturn:
    """
    Run *main* as this process, and exit with its code. *is_debugging* as of configure_logging.

    SIGTERM and SIGINT set the event that main was given. Main then has
    CUT_OFF_SECONDS to return (exit code 0); it is cancelled after that, and
    the process ends DRAIN_SECONDS_MAX after the signal, with
    EXIT_NOT_DRAINED. When main raises, the log says why, and the code is
    EXIT_FAILED.
    """
    configure_logging(service, is_debugging=is_debugging)
    settle()
    try:
        raise SystemExit(asyncio.run(_supervised(main)))
    finally:
        _lines.write_out()


def settle() -> None:
    """Set the interpreter as every process of ours has it: for run, and for what measures a process."""
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    # Whoever is woken by a message waits its turn, which is short. By default it takes the place of whoever
    # is at work, that one's caches grow cold, and two busy cores do a fifth less.
    if sys.platform == "linux":
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    # What the imports made stays to the end, and what a process holds of the ledger has no cycles: looked
    # through as often as Python does by default, they cost up to a seventh of a busy process's time.
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


async def _supervised(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    work = asyncio.create_task(main(stopping))

    def stop(signal_number: signal.Signals) -> None:
        if stopping.is_set():
            return
        log.info("process.stopping", signal=signal_number.name)
        stopping.set()
        loop.call_later(CUT_OFF_SECONDS, work.cancel)
        # A thread, for the case that the event loop is what does not stop.
        last_resort = threading.Timer(DRAIN_SECONDS_MAX, _give_up)
        last_resort.daemon = True
        last_resort.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    try:
        await work
    except asyncio.CancelledError:
        if not stopping.is_set():
            raise
        _log_not_drained(CUT_OFF_SECONDS)
        return EXIT_NOT_DRAINED
    except Exception as error:  # noqa: BLE001 - whatever it is, it is logged and ends the process
        _log_failed(error)
        return EXIT_FAILED
    return 0


def _give_up() -> None:
    _log_not_drained(DRAIN_SECONDS_MAX)
    sys.stderr.flush()
    os._exit(EXIT_NOT_DRAINED)


def _log_not_drained(seconds: float) -> None:
    log.error("process.not_drained", detail=f"still at work {seconds:g} s after the signal: cut off")


def _log_failed(error: Exception) -> None:
    for cause in _causes(error):
        # Our own errors are sentences; what nobody foresaw is told with its place.
        log.error(
            "process.failed",
            error=type(cause).__name__,
            detail=str(cause),
            exc_info=None if _speaks_for_itself(cause) else cause,
        )


def _causes(error: Exception) -> Iterator[Exception]:
    if isinstance(error, ExceptionGroup):
        for each in error.exceptions:
            yield from _causes(each)
    else:
        yield error


def _speaks_for_itself(error: Exception) -> bool:
    ours = type(error).__module__.partition(".")[0] in ("contracts", "eventstore", "services")
    return ours or isinstance(error, OSError)


def configure_logging(service: str, *, is_debugging: bool = False) -> None:
    """
    Log to stderr: for people where it is a terminal, elsewhere one JSON object a line.

    *is_debugging* brings the lines that only whoever looks into something wants.
    """
    level = logging.DEBUG if is_debugging else logging.INFO

    def signed(_: object, level: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["service"] = service
        event["level"] = level
        event["timestamp"] = datetime.now(UTC)
        return event

    if sys.stderr.isatty():
        rendered: list[structlog.typing.Processor] = [
            signed,
            _readable_time,
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        ]
        of_libraries = rendered
        factory: Callable[..., object] = structlog.WriteLoggerFactory(file=sys.stderr)
        handler: logging.Handler = logging.StreamHandler(sys.stderr)
    else:
        rendered = [signed, _json]
        of_libraries = [*rendered, _text]
        factory = _the_lines
        handler = _OfLibraries()
    structlog.configure(
        processors=rendered,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    # What the libraries say goes the same way.
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *of_libraries],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


class _Lines:
    """
    The lines of a log, written together at the end of each turn of the event loop.

    A line is cheap, the system call that writes it is not: a busy registrar
    logs dozens in one turn. Off the event loop each is written at once.
    """

    def __init__(self) -> None:
        self._gathered: deque[bytes] = deque()

    def msg(self, line: bytes) -> None:
        """Take one line in."""
        self._gathered.append(line + b"\n")
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.write_out()
        else:
            if len(self._gathered) == 1:
                loop.call_soon(self.write_out)

    debug = info = warning = error = critical = msg

    def write_out(self) -> None:
        """Write what was gathered."""
        lines = []
        with contextlib.suppress(IndexError):  # any thread may take from it, so none asks first
            while True:
                lines.append(self._gathered.popleft())
        # Where nobody reads the log any more there is nobody to tell, and the ledger goes on. Nothing is
        # left in a buffer, either: the interpreter would fail to write it out as it ends, and exit with 120.
        left = b"".join(lines)
        with contextlib.suppress(OSError):
            while left:
                left = left[os.write(sys.stderr.fileno(), left) :]


_lines = _Lines()


def _the_lines(*_: object) -> _Lines:
    return _lines


class _OfLibraries(logging.Handler):
    """What the libraries say, between our own lines."""

    def emit(self, record: logging.LogRecord) -> None:
        _lines.msg(self.format(record).encode())


def _readable_time(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event["timestamp"] = event["timestamp"].isoformat()
    return event


_line = msgspec.json.Encoder(enc_hook=str)


def _json(logger: object, level: str, event: structlog.typing.EventDict) -> bytes:
    if "exc_info" in event:
        event = structlog.processors.format_exc_info(logger, level, event)
    return _line.encode(event)


def _text(_: object, __: str, line: Any) -> str:
    return bytes(line).decode()


# -- the bus ------------------------------------------------------------------


class BusError(RuntimeError):
    """Trouble on the way to another service; the sentence says whether the outcome is known."""


class BusUnreachable(BusError):
    """No server answered at *url* in time."""

    def __init__(self, url: str, *, seconds: float, reason: str) -> None:
        super().__init__(
            f"no NATS server answered at {url} within {seconds:g} s ({reason}): "
            "is it started, is the address right?"
        )
        self.url = url
        self.reason = reason


class BusClosed(BusError):
    """The server closed the connection for good, which it does when it withdraws our credentials."""

    def __init__(self, url: str, *, reason: str) -> None:
        super().__init__(f"the NATS server at {url} closed the connection for good: {reason}")
        self.url = url
        self.reason = reason


class NotAllowed(BusError):
    """The server does not know who we are: there is no connection."""

    def __init__(self, url: str, *, seed: Path | None) -> None:
        who = "a connection without a key" if seed is None else f"the key of {seed}"
        super().__init__(
            f"the NATS server at {url} refuses {who}: let {SEED} be the path of a seed that it takes; "
            "that of a server of ours is nats/ledger.nk in its data folder"
        )
        self.url = url
        self.seed = seed


class NobodyAnswers(BusError):
    """No service listens on *subject*: nothing was done."""

    def __init__(self, subject: str) -> None:
        super().__init__(f"no service answers on {subject}, so nothing was done: is the service started?")
        self.subject = subject


class NoAnswerInTime(BusError):
    """The outcome is unknown: the request may have been carried out."""

    def __init__(self, subject: str, *, seconds: float) -> None:
        super().__init__(
            f"no answer on {subject} within {seconds:g} s: the outcome is unknown; "
            "ask again with the same id, it does nothing twice"
        )
        self.subject = subject
        self.seconds = seconds


class RequestTooLarge(BusError):
    """The server carries no message of this size: nothing was sent."""

    def __init__(self, subject: str, *, size_bytes: int, bytes_max: int) -> None:
        super().__init__(
            f"the request for {subject} has {size_bytes} bytes, the server carries at most {bytes_max}: "
            "nothing was sent; split it"
        )
        self.subject = subject
        self.size_bytes = size_bytes
        self.bytes_max = bytes_max


Taker = Callable[[bytes, bytes, bytes, bytes], bool]
"""
Is shown a message: its subject, its reply subject, its data, and its headers as they came (b'' for none).

Says whether it took it; else it goes the library's way. It must neither wait nor raise.
"""


class _Frames(Parser):
    """
    The library's parser, handed one whole frame at a time, and none of those that are taken.

    It looks for each kind of frame in turn, and moves all that is still to come for each it has
    read: three quarters of its time.
    """

    def __init__(self, bus: "Bus", takers: Mapping[bytes, Taker]) -> None:
        super().__init__(bus)
        self._takers = takers

    async def parse(self, data: bytes = b"") -> None:
        """Take in what the connection read; what has not come whole waits. Raises ProtocolError."""
        data = bytes(self.buf) + data
        self.buf.clear()
        at = 0
        while True:
            # A message is its line, its headers and its data; others are a line.
            found = _MESSAGE.match(data, at)
            if found is None:
                end = data.find(b"\r\n", at)
                if end < 0:
                    break
                is_taken = False
            else:
                _, subject, subscription, reply, headers_bytes, size_bytes = found.groups(b"")
                start = found.end()
                end = start + int(size_bytes)
                if len(data) < end + 2:
                    break
                take = self._takers.get(subscription)
                content = start + int(headers_bytes or 0)
                is_taken = take is not None and take(subject, reply, data[content:end], data[start:content])
            if not is_taken:
                await super().parse(data[at : end + 2])
            at = end + 2
        self.buf += data[at:]


_MESSAGE: Final = re.compile(rb"(H)?MSG (\S+) (\S+)(?: (\S+))?(?(1) (\d+)) (\d+)\r\n")
"""The first line of one: subject, subscription, where to reply, bytes of headers, bytes in all."""


def _number(subscription: int) -> bytes:
    return str(subscription).encode()


def framed(
    subject: bytes, payload: bytes, *, reply: bytes = b"", headers: Mapping[str, str] | None = None
) -> bytes:
    """
    A message as the protocol of NATS has it, for Bus.post.

    Subjects and headers are such as we made, or the server gave us: nothing in them is looked at again.
    """
    if headers is None:
        return b"PUB %b %b %d\r\n%b\r\n" % (subject, reply, len(payload), payload)
    lines = "".join([f"{name}: {text}\r\n" for name, text in headers.items()]).encode()
    head_bytes = len(_HEAD) + len(lines) + 2
    return b"HPUB %b %b %d %d\r\n%b%b\r\n%b\r\n" % (
        subject,
        reply,
        head_bytes,
        head_bytes + len(payload),
        _HEAD,
        lines,
        payload,
    )


_HEAD: Final = b"NATS/1.0\r\n"


class Bus(Client):
    """
    The library's client, and a shorter way in for messages that come by the thousand.

    Of the time it takes for a message, more than half goes to each of its headers, to a queue
    and to a task. What is tapped is shown to its taker first, straight from the connection. Where
    they part, the library's code is its own affair: hence the bounds on its version.
    """

    def __init__(self) -> None:
        super().__init__()
        self._takers: dict[bytes, Taker] = {}
        self._ps = _Frames(self, self._takers)

    @contextlib.asynccontextmanager
    async def tapped(self, subject: str, take: Taker) -> AsyncIterator[None]:
        """Show every message on *subject* to *take* while the block lasts; it takes them all."""
        subscription = await self.subscribe(subject)
        self.tap(subject, take)
        try:
            yield
        finally:
            with contextlib.suppress(NatsError):
                await subscription.unsubscribe()

    def tap(self, subject: str, take: Taker) -> None:
        """Show every message of the subscriptions to *subject* to *take* first, as long as they last."""
        self._takers |= {_number(sid): take for sid, sub in self._subs.items() if sub.subject == subject}

    def post(self, frames: Sequence[bytes]) -> bool:
        """
        Send messages, made by framed, as publish does and without waiting.

        False, and nothing done, where that would wait, or where one is larger than it may be.
        """
        more_bytes = sum(map(len, frames))
        pending_bytes = self._pending_data_size + more_bytes
        if (
            not self.is_connected
            or self.is_draining_pubs
            or max(map(len, frames)) > self._max_payload
            or pending_bytes > self._max_pending_size
            or self._flush_queue is None
        ):
            return False
        self._pending += frames
        self._pending_data_size = pending_bytes
        self.stats["out_msgs"] += len(frames)
        self.stats["out_bytes"] += more_bytes
        if self._flush_queue.empty():
            self._flush_queue.put_nowait(asyncio.get_running_loop().create_future())
        return True

    def _remove_sub(self, sid: int, max_msgs: int = 0) -> None:
        self._takers.pop(_number(sid), None)
        super()._remove_sub(sid, max_msgs)


SEED: Final = "REGISTRE_NATS_SEED"
"""The variable with the path of the seed that a process connects with; none for a server that lets all in."""


def seed_of(environment: Mapping[str, str]) -> Path | None:
    """The file whose key a process of ours connects with."""
    path = environment.get(SEED)
    return Path(path) if path else None


@contextlib.asynccontextmanager
async def connected(
    url: str,
    name: str,
    *,
    seed: Path | None = None,
    seconds_max: float = CONNECT_SECONDS_MAX,
) -> AsyncIterator[Bus]:
    """
    A connection that comes back by itself, drained when the block ends.

    *seed* is the file of the nkey that says who we are; answers come to inboxes that begin with
    _INBOX.*name*, which is all of them that a service may hear. Waits for the server up to *seconds_max*,
    then raises BusUnreachable; raises NotAllowed where it refuses us, SeedUnfit or an OSError where
    the file is none, and BusClosed in the block when the server closes the connection for good.
    """
    if seed is not None:
        credentials.key_of(seed)
    block = asyncio.current_task()
    assert block is not None
    client = Bus()
    leaving = was_connected = False
    refusals = 0
    last_error = "nothing listens there"

    async def on_error(error: Exception) -> None:
        nonlocal last_error, refusals
        last_error = str(error) or type(error).__name__
        if not was_connected:
            refusals = refusals + 1 if REFUSED_CONNECTION in last_error else 0
            if refusals == REFUSALS_MAX:
                raise NotAllowed(url, seed=seed)
        if client.is_connected:
            log.warning("bus.error", error=type(error).__name__, detail=last_error)

    async def on_disconnected() -> None:
        if not leaving:
            log.warning("bus.disconnected", url=url)

    async def on_reconnected() -> None:
        log.info("bus.reconnected", url=url)

    async def on_closed() -> None:
        if not leaving:
            block.cancel()

    try:
        async with asyncio.timeout(seconds_max):
            await client.connect(
                url,
                name=name,
                error_cb=on_error,
                disconnected_cb=on_disconnected,
                reconnected_cb=on_reconnected,
                closed_cb=on_closed,
                # With the defaults a client hangs for minutes when the server's address changes.
                ping_interval=2,
                max_outstanding_pings=2,
                max_reconnect_attempts=-1,
                reconnect_time_wait=0.25,  # type: ignore[arg-type]  # declared int, used as seconds to sleep
                drain_timeout=CLOSE_SECONDS_MAX,  # type: ignore[arg-type]  # as above
                inbox_prefix=f"_INBOX.{name}",
                nkeys_seed=None if seed is None else str(seed),
            )
    except (TimeoutError, NotAllowed) as error:
        leaving = True
        await _close(client)
        if isinstance(error, NotAllowed):
            raise error from None
        raise BusUnreachable(url, seconds=seconds_max, reason=last_error) from None
    was_connected = True
    try:
        yield client
    except asyncio.CancelledError:
        if client.is_closed and not leaving:
            block.uncancel()
            raise BusClosed(url, reason=last_error) from None
        raise
    finally:
        leaving = True
        await _close(client)


async def _close(client: Client) -> None:
    """Whatever the state of the connection: who leaves is not to fail for a server that left first."""
    if client.is_connected:
        await _left("bus.not_drained", client.drain())
    await _left("bus.not_closed", client.close())


async def _left(event: str, leaving: Awaitable[None]) -> None:
    """Wait for *leaving*, not for ever; where it fails for want of a server, log *event* and go on."""
    us = asyncio.current_task()
    assert us is not None
    asked_to_end = us.cancelling()
    try:
        async with asyncio.timeout(CLOSE_SECONDS_MAX):
            await leaving
    except (TimeoutError, NatsError, OSError) as error:
        log.warning(event, error=type(error).__name__, detail=str(error))
    except asyncio.CancelledError as error:
        # A task of the library that is cancelled while the connection breaks takes with it what it awaits,
        # which we await, too. That is not us.
        if us.cancelling() > asked_to_end:
            raise
        log.warning(event, error=type(error).__name__, detail="the connection broke meanwhile")


# -- answers ------------------------------------------------------------------


class Asked(msgspec.Struct, frozen=True):
    """One request as it came. The *subject* is the server's word, the *body* is whoever asks'."""

    subject: str
    body: bytes
    headers: Mapping[str, str]


Handler = Callable[[Asked], Awaitable[bytes | Refusal]]
"""Answers one request: with the bytes of a JSON value, or with a refusal."""


class Begun(msgspec.Struct, frozen=True, gc=False):
    """
    An answer on its way that needs no task: *conclude* gives it once *waits_for* is done.

    Where it gives None, the handler is asked after all.
    """

    waits_for: asyncio.Future[Any]
    conclude: Callable[[], bytes | Refusal | None]


Beginner = Callable[[Sequence[Asked]], Sequence[Begun | None]]
"""Begins what it can of some requests, in their order."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """
    Where one kind of question is answered, by whom, and how many at once.

    *begin*, where there is one, is asked first, for all requests that the connection hands over
    together; what it gives None for, and what has headers, goes to the handler. It must not
    wait: the common case then costs neither a task nor its switches.
    """

    name: str
    subject: str
    handler: Handler
    begin: Beginner | None = None
    at_once_max: int = AT_ONCE_MAX


@contextlib.asynccontextmanager
async def answering(
    bus: Bus,
    *,
    name: str,
    description: str,
    endpoints: Sequence[Endpoint],
    version: str = "1.0.0",
    metadata: Mapping[str, str] | None = None,
    fatal: Mapping[type[Exception], str] | None = None,
) -> AsyncIterator[None]:
    """
    A NATS micro service, discoverable by PING, INFO and STATS, while the block lasts.

    *metadata* is what it says of itself in INFO, besides how many endpoints it has.

    Each request runs in a task of its own, but for those that an endpoint's
    begin takes. An exception in a handler is logged and answered with the code
    "internal". Where it is one of *fatal* (checked in order), who asked gets the
    code given there and the error's own sentence, and then the exception ends the
    block; a failed assertion always does. At the end of the block, requests in hand are answered first.
    """
    desks = {endpoint.name: _Desk(endpoint, fatal or {}) for endpoint in endpoints}
    assert len(desks) == len(endpoints), "two endpoints of one name"

    def stats(of: EndpointStats) -> dict[str, int]:
        return desks[of.name].report(of)

    try:
        async with asyncio.TaskGroup() as tasks:
            service = await nats.micro.add_service(
                bus,
                name=name,
                version=version,
                description=description,
                metadata={ENDPOINTS: str(len(endpoints)), **(metadata or {})},
                stats_handler=stats,
            )
            try:
                for desk in desks.values():
                    await service.add_endpoint(
                        name=desk.endpoint.name,
                        subject=desk.endpoint.subject,
                        handler=partial(desk.take, tasks),
                        metadata={},
                    )
                    if desk.endpoint.begin is not None:
                        tasks.create_task(desk.send())
                        bus.tap(desk.endpoint.subject, partial(desk.offered, bus, tasks, desk.endpoint.begin))
                # The library writes its PING ahead of what is still pending: the first round sends the
                # subscriptions on their way, the second comes back after the server has them.
                await bus.flush()
                await bus.flush()
                yield
            finally:
                for desk in desks.values():
                    desk.close()
                if not bus.is_closed:
                    await _left("service.not_withdrawn", service.stop())
    except BaseExceptionGroup as group:
        # One trouble, one exception: who uses the block need not know of the task group.
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise


_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class _Done(msgspec.Struct, frozen=True, gc=False):
    """An answer that is to be sent; *failure* is what the handler raised in place of one."""

    request: MicroRequest
    answer: bytes | Refusal
    started_ns: int
    failure: Exception | None = None


_Waiting = tuple[Begun, bytes, Asked]
"""What was begun, where its answer goes, and the request."""


def _request(bus: Bus, reply: bytes, asked: Asked) -> MicroRequest:
    """The request that the connection handed over, as the library has it."""
    return MicroRequest(Msg(bus, asked.subject, reply.decode(), asked.body))


class _Desk:
    """One endpoint at work, and its figures."""

    def __init__(self, endpoint: Endpoint, fatal: Mapping[type[Exception], str]) -> None:
        self.endpoint = endpoint
        self._is_open = True
        self._codes = fatal
        self._fatal: tuple[type[Exception], ...] = (AssertionError, *fatal)
        self._in_hand = 0
        self._room = asyncio.Event()
        self._room.set()
        self._offered: list[tuple[bytes, Asked]] = []
        self._outbox: list[_Done] = []
        self._to_send = asyncio.Event()
        self._asked = self._answered = self._errors = self._elapsed_ns = 0
        self._last_error = ""

    def offered(
        self,
        bus: Bus,
        tasks: asyncio.TaskGroup,
        begin: Beginner,
        subject: bytes,
        reply: bytes,
        data: bytes,
        headers: bytes,
    ) -> bool:
        """Take a message as the connection hands it over; False where it is for take."""
        if headers or not reply or not self._is_open or not self._room.is_set():
            return False
        self._asked += 1
        self._take_in_hand()
        if not self._offered:
            asyncio.get_running_loop().call_soon(self._begin, bus, tasks, begin)
        self._offered.append((reply, Asked(subject.decode(), data, _NO_HEADERS)))
        return True

    def _begin(self, bus: Bus, tasks: asyncio.TaskGroup, begin: Beginner) -> None:
        started_ns = time.perf_counter_ns()
        offered, self._offered = self._offered, []
        batch = [asked for _, asked in offered]
        begun: Sequence[Begun | None]
        try:
            begun = begin(batch)
        except Exception:
            # The handler meets it too, and has somebody to tell.
            log.exception("begin.failed", endpoint=self.endpoint.name)
            begun = [None] * len(batch)
        waiting: list[_Waiting] = []
        for (reply, asked), each in zip(offered, begun, strict=True):
            if each is None:
                tasks.create_task(self._answer(_request(bus, reply, asked), asked, started_ns))
            else:
                waiting.append((each, reply, asked))
        self._wait(bus, tasks, waiting, started_ns)

    async def take(self, tasks: asyncio.TaskGroup, request: MicroRequest) -> None:
        """Returns at once while there is room: the library hands over requests one at a time."""
        self._asked += 1
        if not self._room.is_set():
            await self._room.wait()
        if not self._is_open:
            await self._respond(request, Refusal("unavailable", "the service is stopping: nothing was done"))
            return
        self._take_in_hand()
        asked = Asked(request.subject, request.data, request.headers or _NO_HEADERS)
        tasks.create_task(self._answer(request, asked, time.perf_counter_ns()))

    def _take_in_hand(self) -> None:
        self._in_hand += 1
        if self._in_hand == self.endpoint.at_once_max:
            self._room.clear()

    async def _answer(self, request: MicroRequest, asked: Asked, started_ns: int) -> None:
        try:
            answer = await self.endpoint.handler(asked)
        except Exception as error:  # noqa: BLE001 - logged and answered, and raised where it is fatal
            await self._finish(self._failed(request, started_ns, error))
        else:
            await self._finish(_Done(request, answer, started_ns))

    def _wait(self, bus: Bus, tasks: asyncio.TaskGroup, waiting: list[_Waiting], started_ns: int) -> None:
        if waiting:
            # What is begun together mostly ends together, the last one last: a callback each would cost
            # a turn of the loop each.
            then = partial(self._conclude, bus, tasks, waiting, started_ns)
            waiting[-1][0].waits_for.add_done_callback(then)

    def _conclude(
        self,
        bus: Bus,
        tasks: asyncio.TaskGroup,
        waiting: list[_Waiting],
        started_ns: int,
        _: asyncio.Future[Any],
    ) -> None:
        """Answer those of *waiting* that are done, and wait for the others."""
        later: list[_Waiting] = []
        answers: list[tuple[bytes, bytes]] = []
        for one in waiting:
            begun, reply, asked = one
            if not begun.waits_for.done():
                later.append(one)
                continue
            try:
                answer = begun.conclude()
            except Exception as error:  # noqa: BLE001 - as in _answer
                self._put_out(self._failed(_request(bus, reply, asked), started_ns, error))
                continue
            if isinstance(answer, bytes):
                answers.append((reply, answer))
            elif answer is None:
                tasks.create_task(self._answer(_request(bus, reply, asked), asked, started_ns))
            else:
                self._put_out(_Done(_request(bus, reply, asked), answer, started_ns))
        if answers and bus.post([framed(reply, answer) for reply, answer in answers]):
            self._count(len(answers), started_ns)
        else:
            subject = self.endpoint.subject
            for reply, answer in answers:
                request = _request(bus, reply, Asked(subject, b"", _NO_HEADERS))
                self._put_out(_Done(request, answer, started_ns))
        self._wait(bus, tasks, later, started_ns)

    def _put_out(self, done: _Done) -> None:
        self._outbox.append(done)
        self._to_send.set()

    async def send(self) -> None:
        """Send what was concluded and takes waiting, until closed and with nothing in hand."""
        while self._is_open or self._in_hand:
            await self._to_send.wait()
            self._to_send.clear()
            outbox, self._outbox = self._outbox, []
            for done in outbox:
                await self._finish(done)

    def close(self) -> None:
        """Take no more requests; send ends once those in hand are answered."""
        self._is_open = False
        self._to_send.set()

    async def _finish(self, done: _Done) -> None:
        await self._respond(done.request, done.answer)
        self._count(1, done.started_ns)
        if done.failure is not None and isinstance(done.failure, self._fatal):
            self._is_open = False
            raise done.failure

    def _count(self, answers: int, started_ns: int) -> None:
        self._in_hand -= answers
        if self._in_hand < self.endpoint.at_once_max:
            self._room.set()
        self._answered += answers
        self._elapsed_ns += answers * (time.perf_counter_ns() - started_ns)
        if not self._is_open:
            self._to_send.set()

    def _failed(self, request: MicroRequest, started_ns: int, error: Exception) -> _Done:
        log.error("answer.failed", subject=request.subject, endpoint=self.endpoint.name, exc_info=error)
        return _Done(request, self._internal(error), started_ns, error)

    def _internal(self, error: Exception) -> Refusal:
        for kind, code in self._codes.items():
            if isinstance(error, kind):
                return Refusal(code, str(error))
        return Refusal(
            "internal",
            "the service met an error of its own; asking again with the same id does nothing twice",
        )

    async def _respond(self, request: MicroRequest, answer: bytes | Refusal) -> None:
        try:
            if isinstance(answer, bytes):
                await request.respond(answer)
            else:
                self._errors += 1
                self._last_error = answer.code
                await request.respond_error(
                    ERROR_STATUSES.get(answer.code, REFUSED_STATUS),
                    " ".join(answer.message.split())[:ERROR_HEADER_CHARACTERS_MAX],
                    msgspec.json.encode(answer),
                )
        except MaxPayloadError:
            assert isinstance(answer, bytes), "a refusal of more than a message"
            too_large = (
                f"the answer has {len(answer)} bytes, more than a message may have: ask for less at once"
            )
            await self._respond(request, Refusal("answer-too-large", too_large))
        except (NatsError, ValueError) as error:  # ValueError: nobody waits for an answer
            log.warning("answer.lost", subject=request.subject, detail=str(error))

    def report(self, stats: EndpointStats) -> dict[str, int]:
        """Put our figures into *stats*: the library measures only how fast requests are taken in."""
        stats.num_requests = self._asked
        stats.num_errors = self._errors
        stats.last_error = self._last_error
        stats.processing_time = self._elapsed_ns
        stats.average_processing_time = self._elapsed_ns // max(self._answered, 1)
        return {"in_hand": self._asked - self._answered}


async def ask(
    bus: Client, subject: str, body: bytes = b"", *, seconds_max: float = ASK_SECONDS_MAX
) -> bytes | Refusal:
    """
    The answer to *body* on *subject*.

    Raises NobodyAnswers and RequestTooLarge when nothing was done,
    NoAnswerInTime when that is not known, and BusError.
    """
    try:
        reply = await bus.request(subject, body, timeout=seconds_max)
    except NoRespondersError:
        raise NobodyAnswers(subject) from None
    except MaxPayloadError:
        raise RequestTooLarge(subject, size_bytes=len(body), bytes_max=bus.max_payload) from None
    except TimeoutError:
        raise NoAnswerInTime(subject, seconds=seconds_max) from None
    except NatsError as error:
        raise BusError(f"the request for {subject} was not sent: {error}") from error
    headers = reply.headers or {}
    if ERROR_CODE_HEADER not in headers:
        return reply.data
    try:
        return msgspec.json.decode(reply.data, type=Refusal)
    except msgspec.DecodeError:  # another program's error
        return Refusal(headers[ERROR_CODE_HEADER], headers.get(ERROR_HEADER, ""))


ENDPOINTS: Final = "endpoints"
"""How many endpoints a service has once it is ready, in its own metadata."""

URL: Final = "url"
"""Where a service that speaks HTTP too answers it, in the same place."""


class _Info(msgspec.Struct):
    metadata: dict[str, str] = {}
    endpoints: list[dict[str, Any]] = []


async def answers(bus: Client, name: str, *, seconds_max: float = CONNECT_SECONDS_MAX) -> Mapping[str, str]:
    """
    What service *name* says of itself, once it answers at every endpoint.

    Raises NobodyAnswers after *seconds_max*.
    """
    subject = f"$SRV.INFO.{name}"
    try:
        async with asyncio.timeout(seconds_max):
            while True:
                with contextlib.suppress(NoRespondersError):
                    # It answers to its name before its endpoints are there: they are counted.
                    reply = await bus.request(subject, timeout=seconds_max)
                    info = msgspec.json.decode(reply.data, type=_Info)
                    if len(info.endpoints) >= int(info.metadata.get(ENDPOINTS, "1")):
                        return info.metadata
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise NobodyAnswers(subject) from None
