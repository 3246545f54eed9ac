"""
A JetStream stream in which message k is put expecting last sequence k - 1: it lands at k or nowhere.

So it does not matter who sends a message, how often, or how late: where the stream
ends says what is in it. LEDGER is such a stream, and FEED.

Two families of trouble. A *Setback* passes: somebody else was faster, or the server
did not answer; read where the stream ends and go on from there. A *Halted* does not: what
is published cannot be made right by publishing more, and somebody must look.
"""

import asyncio
import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.js.api import DiscardPolicy, PersistMode, RetentionPolicy, StorageType, StreamConfig, StreamInfo
from nats.js.errors import APIError, NotFoundError, ServerError, ServiceUnavailableError

from contracts.envelope import EVENT_BYTES_MAX
from services.runtime import Bus, framed

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
_COMMIT: Final = "Nats-Batch-Commit"
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


class NotThereYet(Setback):
    """The server that answers has no such stream, and another one of several may just have made it."""

    def __init__(self, stream: str) -> None:
        super().__init__(f"the server that answers does not know of stream {stream} yet")
        self.stream = stream


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


class Batch:
    """
    Messages that a server holds, to be put right after the sequence *after*: all at once, or never.

    Whoever listens to their subjects hears each when it is handed over.
    """

    def __init__(self, *, after: int) -> None:
        self.after = after
        self.messages = 0
        self.size_bytes = 0
        """Of the bodies."""
        self._id = uuid.uuid4().hex
        self._subject = ""

    def headed(self, messages: Sequence[Message], *, are_last: bool = False) -> list[Message]:
        """*messages*, as the next ones of it; where they *are_last*, it is complete with them."""
        made = []
        for number, message in enumerate(messages, self.messages + 1):
            headers = {**message.headers, **self._place(number)}
            if number == 1:
                headers[_EXPECTED] = str(self.after)
            made.append(Message(message.subject, message.body, headers))
        if are_last:
            made[-1].headers[_COMMIT] = "1"
        self.messages += len(made)
        self.size_bytes += sum(len(message.body) for message in made)
        self._subject = made[-1].subject
        return made

    def end(self) -> Message:
        """The word that it is complete, which is not put itself (ADR-50 of NATS; a server from 2.14 on)."""
        return Message(self._subject, b"", {**self._place(self.messages + 1), _COMMIT: "eob"})

    def _place(self, number: int) -> dict[str, str]:
        return {"Nats-Batch-Id": self._id, "Nats-Batch-Sequence": str(number)}


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
        bus: Bus,
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
        self._inbox = ""
        self._tokens = itertools.count(1)
        self._answers: dict[bytes, asyncio.Future[bytes]] = {}

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

    async def send(self, messages: Sequence[Message], *, after: int) -> "Sent":
        """
        Put *messages* right after the sequence *after*: all or none. Once it is settled, they are there.

        At most BATCH_MESSAGES_LIMIT. What comes next may be sent before this is settled: it arrives after
        it, and lands nowhere where this has left a gap. Sending again what is there already is Overtaken and
        changes nothing, so a message that arrives late does no harm.
        """
        assert 0 < len(messages) <= BATCH_MESSAGES_LIMIT
        made = Batch(after=after).headed(messages, are_last=True)
        return await self._asking(
            made, {len(made) - 1: after + len(made)}, f"publish {_span(after, messages)}"
        )

    async def add(self, batch: Batch, messages: Sequence[Message]) -> None:
        """Hand *messages* over, for when *batch* is committed: BATCH_MESSAGES_LIMIT in all at most."""
        assert batch.messages + len(messages) <= BATCH_MESSAGES_LIMIT
        what = f"hand over {_span(batch.after + batch.messages, messages)}"
        await self._post(batch.headed(messages), {}, what)

    async def commit(self, batch: Batch) -> "Sent":
        """
        Have what *batch* holds put, as of send.

        A message that the server refused is not named: the batch is incomplete then. Sent once more, as one
        of those that go together, the last one is.
        """
        last = batch.after + batch.messages
        return await self._asking([batch.end()], {0: last}, f"publish sequences {batch.after + 1} to {last}")

    async def send_in_order(self, messages: Sequence[Message], *, after: int) -> "Sent":
        """
        As send, but each message by itself: all of them are put, or the first ones.

        The server is asked about the first and the last alone. One between them that it does not take has
        all after it refused, for they expect it; tried again, that one is the first.
        """
        assert 0 < len(messages) <= BATCH_MESSAGES_LIMIT
        checked = [
            msgspec.structs.replace(each, headers={**each.headers, _EXPECTED: str(before)})
            for before, each in enumerate(messages, after)
        ]
        ends = {0: after + 1, len(messages) - 1: after + len(messages)}
        return await self._asking(checked, ends, f"publish {_span(after, messages)}")

    async def _asking(self, messages: Sequence[Message], sequences: Mapping[int, int], what: str) -> "Sent":
        """Send *messages*; the server is asked about those at the places given, by their *sequences*."""
        answers: dict[int, asyncio.Future[bytes]] = {}
        replies: dict[int, str] = {}
        try:
            if not self._inbox:
                with asking(self._bus, what):
                    await self._listen()
            for place, sequence in sequences.items():
                token = next(self._tokens)
                answers[sequence] = self._awaited(token)
                replies[place] = f"{self._inbox}.{token}"
            await self._post(messages, replies, what)
        except BaseException:
            for answer in answers.values():
                answer.cancel()
            raise
        return Sent(self._bus, self.name, what, answers, seconds_max=self._answer_seconds)

    async def _post(self, messages: Sequence[Message], replies: Mapping[int, str], what: str) -> None:
        frames = [
            framed(
                each.subject.encode(), each.body, reply=replies.get(place, "").encode(), headers=each.headers
            )
            for place, each in enumerate(messages)
        ]
        if self._bus.post(frames):
            return
        with asking(self._bus, what):
            async with asyncio.timeout(SEND_SECONDS_MAX):
                for place, each in enumerate(messages):
                    reply = replies.get(place, "")
                    await self._bus.publish(each.subject, each.body, reply=reply, headers=each.headers)

    def _awaited(self, token: int) -> asyncio.Future[bytes]:
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answers[b"%d" % token] = answer
        answer.add_done_callback(lambda _: self._answers.pop(b"%d" % token))
        return answer

    async def _listen(self) -> None:
        inbox = self._bus.new_inbox()
        await self._bus.subscribe(f"{inbox}.*")
        self._bus.tap(f"{inbox}.*", self._answered)
        self._inbox = inbox

    def _answered(self, subject: bytes, _reply: bytes, body: bytes, _headers: bytes) -> bool:
        """What the server says of a message. What it says too late is for nobody."""
        answer = self._answers.get(subject.rpartition(b".")[2])
        if answer is not None and not answer.done():
            answer.set_result(body)
        return True


class Sent:
    """
    Messages on their way to *stream*, until the server says what became of them.

    *answers* are the server's, by the sequence that the message is to have which it is asked about.
    """

    def __init__(
        self,
        bus: Client,
        stream: str,
        what: str,
        answers: Mapping[int, asyncio.Future[bytes]],
        *,
        seconds_max: float,
    ) -> None:
        self._bus = bus
        self._stream = stream
        self._what = what
        self._answers = answers
        self._until = asyncio.get_running_loop().time() + seconds_max

    @property
    def is_over(self) -> bool:
        """Whether settled would not wait: all is answered, or it is too late for that."""
        is_late = asyncio.get_running_loop().time() >= self._until
        return is_late or all(answer.done() for answer in self._answers.values())

    def when_answered(self, then: Callable[[], None]) -> None:
        """Call *then* at each answer."""
        for answer in self._answers.values():
            answer.add_done_callback(lambda _: then())

    async def settled(self) -> None:
        """Returns once they are in the stream; a Setback or a Halted is raised where they are not."""
        try:
            with asking(self._bus, self._what):
                # All come to their end before one is looked at. What is answered is so, however late we look.
                seconds_left = max(self._until - asyncio.get_running_loop().time(), 0)
                _, missing = await asyncio.wait(self._answers.values(), timeout=seconds_left)
                if missing:
                    raise TimeoutError
                for sequence, answer in self._answers.items():
                    self._look_at(answer.result(), sequence)
        finally:
            self.forget()

    def forget(self) -> None:
        """Wait for no answer any more."""
        for answer in self._answers.values():
            answer.cancel()

    def _look_at(self, body: bytes, sequence: int) -> None:
        if not body:  # the server's word that nobody listens
            raise nats.errors.NoRespondersError
        told = _answers.decode(body)
        if told.error is not None:
            if told.error.err_code in _WRONG_LAST_SEQUENCE:
                raise Overtaken(stream=self._stream, sequence=sequence, detail=told.error.description)
            raise APIError.from_error(msgspec.to_builtins(told.error))
        # Another stream that listens to our subjects would answer too.
        assert (told.stream, told.seq) == (self._stream, sequence), told


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


def _span(after: int, messages: Sequence[Message]) -> str:
    return f"sequences {after + 1} to {after + len(messages)}"


def _plain(value: object) -> object:
    return getattr(value, "value", value)
