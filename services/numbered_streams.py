"""
A JetStream stream in which message k is put expecting last sequence k - 1: it lands at k or nowhere.

So it does not matter who sends a message, how often, or how late: where the stream
ends says what is in it. LEDGER is such a stream, and FEED.

Two families of trouble. A *Setback* passes: somebody else was faster, or the server
did not answer; read where the stream ends and go on from there. A *Halted* does not: what
is published cannot be made right by publishing more, and somebody must look.
"""

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import DiscardPolicy, PersistMode, RetentionPolicy, StorageType, StreamConfig, StreamInfo
from nats.js.errors import APIError, NotFoundError, ServerError, ServiceUnavailableError

from contracts.envelope import EVENT_BYTES_MAX

HEADERS_BYTES_MAX: Final = 2_048
"""Of one message, with room: a few short headers, a digest and an origin."""

MESSAGE_BYTES_MAX: Final = EVENT_BYTES_MAX + HEADERS_BYTES_MAX
"""What the server's max_payload must allow; it counts headers too."""

BATCH_MESSAGES_LIMIT: Final = 1_000
"""The most messages that a server takes in one atomic batch."""

SEND_SECONDS_MAX: Final = 30.0
"""For a batch to leave this machine, were it the largest over a slow line."""

ANSWER_SECONDS_MAX: Final = 4.0

_EXPECTED: Final = "Nats-Expected-Last-Sequence"
_STREAM_NOT_FOUND: Final = 10059
_WRONG_LAST_SEQUENCE: Final = frozenset({10071, 10164})  # 10164: the other write is still in the pipeline
_BATCH_INCOMPLETE: Final = 10176  # a part was lost on the way, or the server restarted in between
_TOO_MANY_BATCHES: Final = 10210  # killed publishers leave theirs open until they expire


class Setback(Exception):
    """What passes: read where the stream ends and go on from there."""


class Overtaken(Setback):
    """Somebody else put a message there first."""

    def __init__(self, *, stream: str, sequence: int, detail: str) -> None:
        super().__init__(f"sequence {sequence} is not the next of {stream} any more: {detail}")
        self.stream = stream
        self.sequence = sequence
        self.detail = detail


class Unreachable(Setback):
    """No answer, or not now. What was asked may have happened all the same."""

    def __init__(self, *, asked: str, detail: str) -> None:
        super().__init__(f"{asked}: {detail}; what was asked may have happened or not")
        self.asked = asked
        self.detail = detail


class Halted(Exception):
    """Whoever publishes must not go on by itself: the message says what was found and what to do."""


class StreamIncomplete(Halted):
    """Messages are gone from a stream, so a reader would skip some."""

    def __init__(self, *, stream: str, sequence: int, messages: int, made_anew: str) -> None:
        super().__init__(
            f"stream {stream} ends at {sequence} and holds {messages} messages only: "
            f"{sequence - messages} were removed or lost. Restore the stream from a backup of the server, or "
            f"delete it and {made_anew}"
        )
        self.stream = stream
        self.sequence = sequence
        self.messages = messages


class StreamUnfit(Halted):
    """A stream is configured so that messages could be lost or batches torn."""

    def __init__(self, stream: str, faults: Sequence[str]) -> None:
        super().__init__(
            f"stream {stream} is not configured to keep all it is given: {'; '.join(faults)}. Correct its "
            "configuration with the server's own tools"
        )
        self.stream = stream
        self.faults = tuple(faults)


class StreamRefused(Halted):
    """The server refuses what is asked, for a reason that does not pass."""

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


class Message(msgspec.Struct, frozen=True, gc=False):
    """What is to be put in a stream."""

    subject: str
    body: bytes
    headers: dict[str, str]


class Last(msgspec.Struct, frozen=True):
    """The end of a stream, or of a part of it: the last sequence, 0 when empty, and the message there."""

    sequence: int
    subject: str = ""
    body: bytes = b""
    headers: dict[str, str] = {}


class _Fault(msgspec.Struct, frozen=True):
    code: int
    err_code: int = 0
    description: str = ""


class _Answer(msgspec.Struct, frozen=True):
    stream: str = ""
    seq: int = 0
    error: _Fault | None = None


_answers = msgspec.json.Decoder(_Answer)


def configuration(name: str, *, subjects: str, description: str, replicas: int) -> StreamConfig:
    """
    What makes a stream keep all it is given: nothing expires, is removed or gives way to newer messages.

    No message ids are used, so the window of duplicates is as short as it may be.
    """
    return StreamConfig(
        name=name,
        description=description,
        subjects=[subjects],
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


def faults(found: StreamConfig, wanted: StreamConfig) -> list[str]:
    """What in the configuration *found* would let messages be lost or torn apart; nothing when it is fit."""
    exact = ["subjects", "storage", "retention", "discard", "deny_delete", "deny_purge"]
    if wanted.allow_atomic:
        exact.append("allow_atomic")
    if wanted.persist_mode is not PersistMode.ASYNC:
        exact.append("persist_mode")
    wrong = [
        f"{name} is {_plain(getattr(found, name))}, not {_plain(getattr(wanted, name))}"
        for name in exact
        if getattr(found, name) != getattr(wanted, name)
    ]
    unlimited = ("max_msgs", "max_bytes", "max_age", "max_msgs_per_subject")
    wrong += [f"{name} limits it" for name in unlimited if (getattr(found, name) or 0) > 0]
    return wrong


class NumberedStream:
    """
    The stream that *wanted* describes, on *bus*.

    *made_anew* says, for an operator, how it comes back once it is deleted. Every answer is awaited for
    *answer_seconds* at most; then, as with all that goes wrong, a Setback or a Halted is raised.
    """

    def __init__(
        self,
        bus: Client,
        wanted: StreamConfig,
        *,
        made_anew: str,
        answer_seconds: float = ANSWER_SECONDS_MAX,
    ) -> None:
        assert wanted.name is not None
        self.name = wanted.name
        self._bus = bus
        self._wanted = wanted
        self._made_anew = made_anew
        self._answer_seconds = answer_seconds
        self._stream = bus.jetstream(timeout=answer_seconds)

    @property
    def connections(self) -> int:
        """How often the connection was made anew: a change says that the server may be another one."""
        return self._bus.stats["reconnects"]

    async def create(self) -> None:
        """Make the stream, empty. Where it exists with this very configuration, nothing changes."""
        with asking(self._bus, "create the stream"):
            await self._stream.add_stream(self._wanted)

    async def last(self) -> Last | None:
        """
        Where the stream ends, as its leader says; None when there is no stream.

        Raises StreamUnfit, StreamIncomplete, PayloadTooSmall.
        """
        with asking(self._bus, "read where the stream ends"):
            if self._bus.max_payload < MESSAGE_BYTES_MAX:
                raise PayloadTooSmall(allowed_bytes=self._bus.max_payload)
            try:
                info = await self._stream.stream_info(self.name)
                self._check(info)
                if info.state.last_seq == 0:
                    return Last(0)
                return await self._got(info.state.last_seq)
            except NotFoundError as error:
                if error.err_code != _STREAM_NOT_FOUND:
                    raise
                return None

    async def at(self, sequence: int) -> Last:
        """The message there as its leader has it, which must be one that was put."""
        with asking(self._bus, f"read sequence {sequence} of {self.name}"):
            return await self._got(sequence)

    async def _got(self, sequence: int) -> Last:
        found = await self._stream.get_msg(self.name, seq=sequence)
        return Last(sequence, found.subject or "", found.data or b"", found.headers or {})

    def _check(self, info: StreamInfo) -> None:
        if wrong := faults(info.config, self._wanted):
            raise StreamUnfit(self.name, wrong)
        if info.state.messages != info.state.last_seq:
            raise StreamIncomplete(
                stream=self.name,
                sequence=info.state.last_seq,
                messages=info.state.messages,
                made_anew=self._made_anew,
            )

    async def append(self, messages: Sequence[Message], *, after: int) -> None:
        """
        Put *messages* right after the sequence *after*: all or none.

        At most BATCH_MESSAGES_LIMIT. Sending again what is there already raises Overtaken and changes
        nothing, so a message that arrives late does no harm.
        """
        assert 0 < len(messages) <= BATCH_MESSAGES_LIMIT
        with asking(self._bus, f"publish {_span(after, messages)}"):
            *before, final = _checked(messages, after)
            async with asyncio.timeout(SEND_SECONDS_MAX + self._answer_seconds):
                for each in before:
                    await self._bus.publish(each.subject, each.body, headers=each.headers)
                reply = await self._request(final)
            self._settle(reply, first=after + 1, sequence=after + len(messages))

    async def append_in_order(self, messages: Sequence[Message], *, after: int) -> None:
        """
        As append, each message by itself: all of them are put, or the first ones.

        The server is asked about the first and the last alone. One between them that it does not take has
        all after it refused, for they expect it; tried again, that one is the first.
        """
        assert 0 < len(messages) <= BATCH_MESSAGES_LIMIT
        checked = [
            msgspec.structs.replace(each, headers={**each.headers, _EXPECTED: str(before)})
            for before, each in enumerate(messages, after)
        ]

        async def rest() -> Msg:
            for each in checked[1:-1]:
                await self._bus.publish(each.subject, each.body, headers=each.headers)
            return await self._request(checked[-1])

        with asking(self._bus, f"publish {_span(after, messages)}"):
            asked = {after + 1: self._request(checked[0])}
            if len(checked) > 1:
                asked[after + len(checked)] = rest()
            # Both come to their end before one is looked at: none is left alone in the background.
            replies = await asyncio.gather(*asked.values(), return_exceptions=True)
            for sequence, reply in zip(asked, replies, strict=True):
                if isinstance(reply, BaseException):
                    raise reply
                self._settle(reply, first=sequence, sequence=sequence)

    async def _request(self, message: Message) -> Msg:
        return await self._bus.request(
            message.subject, message.body, timeout=self._answer_seconds, headers=message.headers
        )

    def _settle(self, reply: Msg, *, first: int, sequence: int) -> None:
        answer = _answers.decode(reply.data)
        if answer.error is not None:
            if answer.error.err_code in _WRONG_LAST_SEQUENCE:
                raise Overtaken(stream=self.name, sequence=first, detail=answer.error.description)
            raise APIError.from_error(msgspec.to_builtins(answer.error))
        # Another stream that listens to our subjects would answer too.
        assert (answer.stream, answer.seq) == (self.name, sequence), answer


@contextmanager
def asking(bus: Client, what: str) -> Iterator[None]:
    """A block that asks *what* of *bus*: what goes wrong there becomes a Setback or a Halted."""
    if not bus.is_connected and not bus.is_closed:
        # The client would keep the message and send it whenever it is connected again.
        raise Unreachable(asked=what, detail="not connected")
    try:
        yield
    except (TimeoutError, nats.errors.NoRespondersError) as error:
        raise Unreachable(asked=what, detail="no answer") from error
    except (OSError, nats.errors.OutboundBufferLimitError) as error:
        raise Unreachable(asked=what, detail="the connection was lost") from error
    except (ServiceUnavailableError, ServerError) as error:
        raise Unreachable(asked=what, detail=error.description or "the server has no leader yet") from error
    except APIError as error:
        if error.err_code in {_BATCH_INCOMPLETE, _TOO_MANY_BATCHES}:
            raise Unreachable(asked=what, detail=str(error.description)) from error
        raise StreamRefused(asked=what, code=error.err_code, detail=str(error.description)) from error


def _checked(messages: Sequence[Message], after: int) -> list[Message]:
    """One is a checked message; several are an atomic batch whose first message is checked."""
    batch = uuid.uuid4().hex
    made = []
    for number, message in enumerate(messages, 1):
        headers = dict(message.headers)
        if number == 1:
            headers[_EXPECTED] = str(after)
        if len(messages) > 1:
            headers["Nats-Batch-Id"] = batch
            headers["Nats-Batch-Sequence"] = str(number)
        if number == len(messages) > 1:
            headers["Nats-Batch-Commit"] = "1"
        made.append(Message(message.subject, message.body, headers))
    return made


def _span(after: int, messages: Sequence[Message]) -> str:
    return f"sequences {after + 1} to {after + len(messages)}"


def _plain(value: object) -> object:
    return getattr(value, "value", value)
