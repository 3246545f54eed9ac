"""
The LEDGER stream as the relay sees it: where it ends, and how events are put after that.

Two families of trouble. A *Setback* passes: another relay was faster, or the
server did not answer; read the tip again and go on. A *Halted* does not: what
is published cannot be made to agree with the store by publishing more, and
somebody must look.
"""

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Final

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig, StreamInfo
from nats.js.errors import APIError, NotFoundError, ServerError, ServiceUnavailableError

from contracts import subjects
from eventstore.store import BODY_BYTES_MAX, Recorded

HEADERS_BYTES_MAX: Final = 2_048
"""Of one message, with room: five short headers, a digest and an origin."""

MESSAGE_BYTES_MAX: Final = BODY_BYTES_MAX + HEADERS_BYTES_MAX
"""What the server's max_payload must allow; it counts headers too."""

BATCH_EVENTS_LIMIT: Final = 1_000
"""The most messages that a server takes in one atomic batch."""

SEND_SECONDS_MAX: Final = 30.0
"""For a batch to leave this machine, were it the largest command over a slow line."""

_STREAM_NOT_FOUND: Final = 10059
_WRONG_LAST_SEQUENCE: Final = frozenset({10071, 10164})  # 10164: the other write is still in the pipeline
_BATCH_INCOMPLETE: Final = 10176  # a part was lost on the way, or the server restarted in between
_TOO_MANY_BATCHES: Final = 10210  # killed relays leave theirs open until they expire


class Setback(Exception):
    """What passes: read the tip again and go on from there."""


class Overtaken(Setback):
    """Somebody else put these events there first."""

    def __init__(self, *, position: int, detail: str) -> None:
        super().__init__(f"position {position} is not the next of {subjects.LEDGER} any more: {detail}")
        self.position = position
        self.detail = detail


class Unreachable(Setback):
    """No answer, or not now. What was asked may have happened all the same."""

    def __init__(self, *, asked: str, detail: str) -> None:
        super().__init__(f"{asked}: {detail}; what was asked may have happened or not")
        self.asked = asked
        self.detail = detail


class Halted(Exception):
    """The relay must not go on by itself: its message says what was found and what to do."""


class LedgerMissing(Halted):
    """The store has events and LEDGER does not exist."""

    def __init__(self, *, position: int) -> None:
        super().__init__(
            f"stream {subjects.LEDGER} does not exist, and the store has {position} events: it was lost, or "
            "this is the wrong server. If it is lost for good, create it anew with "
            "'python -m services.relay --create' and start the relay again: it publishes everything from "
            "position 1"
        )
        self.position = position


class LedgerExists(Halted):
    """Asked to create LEDGER, where there is one."""

    def __init__(self, *, sequence: int) -> None:
        super().__init__(
            f"stream {subjects.LEDGER} exists already, with {sequence} events: nothing was created; start "
            "the relay without --create"
        )
        self.sequence = sequence


class LedgerDiffers(Halted):
    """LEDGER and the store tell two histories."""

    def __init__(self, *, position: int, published: str, stored: str) -> None:
        super().__init__(
            f"stream {subjects.LEDGER} differs from the store at or before position {position}: the digest "
            f"published is {published}, the digest stored is {stored}. One of the two is not the ledger that "
            "partners were shown: stop the registrar, find the first difference with 'registre verify', and "
            "bring back the true copy"
        )
        self.position = position
        self.published = published
        self.stored = stored


class LedgerOfAnother(Halted):
    """LEDGER holds the events of another ledger."""

    def __init__(self, *, position: int, published: str, stored: str) -> None:
        super().__init__(
            f"stream {subjects.LEDGER} belongs to the ledger {published!r} (read at position {position}), "
            f"the store to {stored!r}: check the address of the server and the path of the store"
        )
        self.position = position
        self.published = published
        self.stored = stored


class LedgerAhead(Halted):
    """LEDGER has events that the store has not: the store is an older copy."""

    def __init__(self, *, sequence: int, published: str, position: int, stored: str) -> None:
        super().__init__(
            f"stream {subjects.LEDGER} is ahead of the store: it ends at {sequence} with digest {published}, "
            f"the store at position {position} with digest {stored}. The store is an older copy, or another: "
            "stop the registrar, and bring back the newest copy, or the missing events from the stream"
        )
        self.sequence = sequence
        self.published = published
        self.position = position
        self.stored = stored


class LedgerIncomplete(Halted):
    """Messages are gone from LEDGER, so a reader would skip events."""

    def __init__(self, *, sequence: int, messages: int) -> None:
        super().__init__(
            f"stream {subjects.LEDGER} ends at {sequence} and holds {messages} messages only: "
            f"{sequence - messages} events were removed or lost. Restore the stream from a backup of the "
            "server, or delete it and create it anew with 'python -m services.relay --create'"
        )
        self.sequence = sequence
        self.messages = messages


class LedgerUnfit(Halted):
    """LEDGER is configured so that events could be lost or batches torn."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__(
            f"stream {subjects.LEDGER} is not configured as a ledger: {'; '.join(faults)}. Correct its "
            "configuration with the server's own tools"
        )
        self.faults = tuple(faults)


class LedgerRefused(Halted):
    """The server refuses what the relay asks, for a reason that does not pass."""

    def __init__(self, *, asked: str, code: int | None, detail: str) -> None:
        super().__init__(f"the server refuses to {asked}: {detail} (code {code}); see its log and its limits")
        self.asked = asked
        self.code = code
        self.detail = detail


class PayloadTooSmall(Halted):
    """The server would refuse the largest event."""

    def __init__(self, *, allowed_bytes: int) -> None:
        super().__init__(
            f"the server takes messages of {allowed_bytes} bytes, an event with its headers may have "
            f"{MESSAGE_BYTES_MAX}: raise max_payload in its configuration"
        )
        self.allowed_bytes = allowed_bytes


class Tip(msgspec.Struct, frozen=True):
    """The end of LEDGER: its last sequence, 0 when empty, with the digest and origin its message names."""

    sequence: int
    digest: str = ""
    origin: str = ""


class _Fault(msgspec.Struct, frozen=True):
    code: int
    err_code: int = 0
    description: str = ""


class _Answer(msgspec.Struct, frozen=True):
    stream: str = ""
    seq: int = 0
    error: _Fault | None = None


_answers = msgspec.json.Decoder(_Answer)


def configuration(replicas: int) -> StreamConfig:
    """
    What makes the stream a ledger: nothing in it expires, is removed or gives way to newer messages.

    No message ids are used, so the window of duplicates is as short as it may be.
    """
    return StreamConfig(
        name=subjects.LEDGER,
        description="Every event of the ledger; the sequence of a message is the position of its event.",
        subjects=[subjects.LEDGER_SUBJECTS],
        storage=StorageType.FILE,
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.NEW,
        deny_delete=True,
        deny_purge=True,
        allow_atomic=True,
        allow_direct=True,
        duplicate_window=1,
        num_replicas=replicas,
    )


def faults(found: StreamConfig) -> list[str]:
    """What in the configuration *found* would let events be lost or torn apart; nothing when it is fit."""
    wanted = configuration(found.num_replicas or 1)
    exact = ("subjects", "storage", "retention", "discard", "deny_delete", "deny_purge", "allow_atomic")
    wrong = [
        f"{name} is {_plain(getattr(found, name))}, not {_plain(getattr(wanted, name))}"
        for name in exact
        if getattr(found, name) != getattr(wanted, name)
    ]
    unlimited = ("max_msgs", "max_bytes", "max_age", "max_msgs_per_subject")
    wrong += [f"{name} limits it" for name in unlimited if (getattr(found, name) or 0) > 0]
    return wrong


class Ledger:
    """
    The LEDGER stream of *bus*, written for the ledger called *origin*.

    Every answer is awaited for *answer_seconds* at most; then, as with all that goes wrong, a Setback or a
    Halted is raised.
    """

    def __init__(self, bus: Client, origin: str, *, replicas: int = 1, answer_seconds: float = 4.0) -> None:
        self.origin = origin
        self._bus = bus
        self._replicas = replicas
        self._answer_seconds = answer_seconds
        self._stream = bus.jetstream(timeout=answer_seconds)

    @property
    def connections(self) -> int:
        """How often the connection was made anew: a change says that the server may be another one."""
        return self._bus.stats["reconnects"]

    async def create(self) -> None:
        """Make the stream, empty. Where it exists with this very configuration, nothing changes."""
        with self._asking("create the stream"):
            await self._stream.add_stream(configuration(self._replicas))

    async def tip(self) -> Tip | None:
        """
        Where the stream ends, as its leader says; None when there is no stream.

        Raises LedgerUnfit, LedgerIncomplete, PayloadTooSmall.
        """
        with self._asking("read where the stream ends"):
            if self._bus.max_payload < MESSAGE_BYTES_MAX:
                raise PayloadTooSmall(allowed_bytes=self._bus.max_payload)
            try:
                info = await self._stream.stream_info(subjects.LEDGER)
                _sound(info)
                if info.state.last_seq == 0:
                    return Tip(0)
                last = await self._stream.get_msg(subjects.LEDGER, seq=info.state.last_seq)
            except NotFoundError as error:
                if error.err_code != _STREAM_NOT_FOUND:
                    raise
                return None
        headers = last.headers or {}
        return Tip(
            info.state.last_seq,
            digest=headers.get(subjects.DIGEST_HEADER, "absent"),
            origin=headers.get(subjects.ORIGIN_HEADER, "absent"),
        )

    async def append(self, events: Sequence[Recorded]) -> None:
        """
        Put *events* right after the position before them: all or none, sequence = position for each.

        They must be consecutive and at most BATCH_EVENTS_LIMIT. Sending again
        what is there already raises Overtaken and changes nothing, so a
        message that arrives late does no harm.
        """
        first, last = events[0], events[-1]
        assert last.position - first.position + 1 == len(events) <= BATCH_EVENTS_LIMIT
        with self._asking(f"publish positions {first.position} to {last.position}"):
            *before, (subject, body, headers) = self._messages(events)
            async with asyncio.timeout(SEND_SECONDS_MAX + self._answer_seconds):
                for earlier in before:
                    await self._bus.publish(earlier[0], earlier[1], headers=earlier[2])
                reply = await self._bus.request(subject, body, timeout=self._answer_seconds, headers=headers)
            answer = _answers.decode(reply.data)
            if answer.error is not None:
                if answer.error.err_code in _WRONG_LAST_SEQUENCE:
                    raise Overtaken(position=first.position, detail=answer.error.description)
                raise APIError.from_error(msgspec.to_builtins(answer.error))
        # Another stream that listens to our subjects would answer too.
        assert (answer.stream, answer.seq) == (subjects.LEDGER, last.position), answer

    def _messages(self, events: Sequence[Recorded]) -> list[tuple[str, bytes, dict[str, str]]]:
        """One event is one checked message; several are an atomic batch whose first message is checked."""
        messages = [
            (
                _subject(event.stream),
                event.body,
                {subjects.DIGEST_HEADER: event.digest.hex(), subjects.ORIGIN_HEADER: self.origin},
            )
            for event in events
        ]
        messages[0][2]["Nats-Expected-Last-Sequence"] = str(events[0].position - 1)
        if len(messages) > 1:
            batch = uuid.uuid4().hex
            for number, (_, _, headers) in enumerate(messages, 1):
                headers["Nats-Batch-Id"] = batch
                headers["Nats-Batch-Sequence"] = str(number)
            messages[-1][2]["Nats-Batch-Commit"] = "1"
        return messages

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Tell what passes from what does not, in the words of this module."""
        if not self._bus.is_connected and not self._bus.is_closed:
            # The client would keep the message and send it whenever it is connected again.
            raise Unreachable(asked=what, detail="not connected")
        try:
            yield
        except (TimeoutError, nats.errors.NoRespondersError) as error:
            raise Unreachable(asked=what, detail="no answer") from error
        except (OSError, nats.errors.OutboundBufferLimitError) as error:
            raise Unreachable(asked=what, detail="the connection was lost") from error
        except (ServiceUnavailableError, ServerError) as error:
            raise Unreachable(
                asked=what, detail=error.description or "the server has no leader yet"
            ) from error
        except APIError as error:
            if error.err_code in {_BATCH_INCOMPLETE, _TOO_MANY_BATCHES}:
                raise Unreachable(asked=what, detail=str(error.description)) from error
            raise LedgerRefused(asked=what, code=error.err_code, detail=str(error.description)) from error


def _sound(info: StreamInfo) -> None:
    if wrong := faults(info.config):
        raise LedgerUnfit(wrong)
    if info.state.messages != info.state.last_seq:
        raise LedgerIncomplete(sequence=info.state.last_seq, messages=info.state.messages)


@lru_cache(maxsize=64)
def _subject_of(category: str) -> str:
    return subjects.ledger(category)


def _subject(stream: str) -> str:
    return _subject_of(stream.partition("/")[0])


def _plain(value: object) -> object:
    return getattr(value, "value", value)
