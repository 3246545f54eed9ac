"""
One command, one atomic append, one answer.

Three rules hold whatever happens. A command whose id was spent is answered as
it was the first time, whatever became of the stream since. A refusal is never
given from a stale state: the store confirms the version before. And once the
events are kept the answer says so, whatever fails after.
"""

import asyncio
import contextlib
import logging
from asyncio import Future
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Final

import msgspec
import structlog

from contracts import commands, envelope, subjects
from contracts.commands import FieldAtFault, Malformed, Recording, Refusal, Request, Unchanged
from eventstore.store import (
    Appended,
    BodyTooLarge,
    Command,
    CommandReused,
    EventStore,
    OutcomeUnknown,
    StoreCorrupted,
    StoreError,
    WrongVersion,
)
from services.domain import institution, streams
from services.domain.refusals import Refused
from services.domain.streams import Proposed, State
from services.registrar.sealing import Draft, drafts, kept
from services.registrar.signed import PartlyKnown, SignatureRefused, check
from services.registrar.states import States
from services.registrar.turns import Turns
from services.runtime import Asked, Begun

ATTEMPTS_MAX: Final = 5
"""Of one command on a stream that others write too. Then contention is a fact, not a secret."""

MESSAGE_CHARACTERS_MAX: Final = 2_000
FIELDS_MAX: Final = 20
"""Fields at fault named in one refusal: it may quote what was sent, and must fit in a message."""

FIELD_CHARACTERS_MAX: Final = 500

log = structlog.get_logger()
_encode = msgspec.json.Encoder().encode


class WrongSubject(Exception):
    """Raised when a command comes on a subject that names no institution or no stream."""


class WrongVersionAsked(Exception):
    """Raised when the stream is not at the version that the request expects."""

    def __init__(self, stream: str, *, expected: int, actual: int) -> None:
        super().__init__(
            f"the request expects {stream} at version {expected}, it is at {actual}: read what was recorded "
            f"since, then ask anew"
        )
        self.stream = stream
        self.expected = expected
        self.actual = actual


class Contended(Exception):
    """Raised when others wrote the stream during each of *attempts* attempts."""

    def __init__(self, stream: str, *, attempts: int) -> None:
        super().__init__(
            f"{stream} was written by others during each of {attempts} attempts: nothing was recorded, ask "
            f"again with the same command id"
        )
        self.stream = stream
        self.attempts = attempts


class Line(msgspec.Struct):
    """What the log says of one command, filled in as it becomes known."""

    actor: str = ""
    stream: str = ""
    attempts: int = 0


async def _nothing_bars() -> Refusal | None:
    return None


class Registrar:
    """
    Answers commands from *store*.

    *bar* gives the reason why nothing may be recorded at present, or None, and
    *is_clear* whether that is known to be None without waiting; *appended* is called
    after each append, and must not wait. Commands on one stream take turns; those on
    several streams share the store's commits.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        bar: Callable[[], Awaitable[Refusal | None]] = _nothing_bars,
        is_clear: Callable[[], bool] = lambda: True,
        appended: Callable[[], None] = lambda: None,
        states: States | None = None,
    ) -> None:
        self.broken: asyncio.Future[StoreError] = asyncio.get_running_loop().create_future()
        """Why the process must end, once it must."""
        self._store = store
        self._bar = bar
        self._is_clear = is_clear
        self._appended = appended
        self._states = States() if states is None else states
        self._turns = Turns()
        self._log = log.bind()  # looked up once, not for each command
        self._tells_each = self._log.is_enabled_for(logging.DEBUG)

    async def handle(self, asked: Asked) -> bytes | Refusal:
        """The answer to one request of the bus, as runtime.answering wants it."""
        answer = await self.answer(asked.subject, asked.body)
        return answer if isinstance(answer, Refusal) else _encode(answer)

    def begin(self, batch: Sequence[Asked]) -> list[Begun | None]:
        """
        Record without a task what is plain: allowed, on a stream that is at hand and that nobody holds.

        None for all else, and then nothing was done: handle says why not, or waits for what it must.
        Step by step for the whole batch: the same few lines stay in the processor's cache.
        """
        if not self._is_clear():
            return [None] * len(batch)
        started = perf_counter()
        read = [self._read(asked) for asked in batch]
        plain = [each and self._plain(*each) for each in read]
        return [each and self._begun(*each, started) for each in plain]

    def _read(self, asked: Asked) -> tuple[State, str, Request] | None:
        try:
            actor, stream = subjects.parse_command(asked.subject)
            state = self._states.get(stream)
            if state is None:
                return None
            request = commands.parse(asked.body, stream=stream)
        except (ValueError, Malformed):
            return None
        # Whose key it is stands in another stream, which has to be held meanwhile.
        return (state, actor, request) if request.declaration.signature is None else None

    def _plain(
        self, state: State, actor: str, request: Request
    ) -> tuple[State, str, Request, list[Draft]] | None:
        if not self._turns.take_free(state.stream):
            return None
        try:
            if events := self._decided(state, actor, request):
                return state, actor, request, events
        except Exception:  # noqa: BLE001, S110 - handle meets it too, and says what it is
            pass
        self._turns.leave(state.stream)
        return None

    def _begun(
        self, state: State, actor: str, request: Request, events: list[Draft], started: float
    ) -> Begun | None:
        try:
            appended = self._append(state, actor, request, events)
        except Exception:  # noqa: BLE001 - as above
            self._turns.leave(state.stream)
            return None
        return Begun(appended, partial(self._conclude, state, actor, events, appended, started))

    def _conclude(
        self, state: State, actor: str, events: list[Draft], appending: Future[Appended], started: float
    ) -> bytes | Refusal | None:
        """The answer to what was begun; None where it has to be decided again."""
        answer: Recording | Refusal
        try:
            answer = self._kept(state, events, appending.result())
        except AssertionError:
            raise
        except WrongVersion:
            self._states.forget(state.stream)
            return None
        except Exception as error:  # noqa: BLE001 - each is answered; ours are logged too
            answer = self._refused(error, Line(actor, state.stream, 1))
        finally:
            self._turns.leave(state.stream)
        if self._tells(answer):
            self._tell(answer, Line(actor, state.stream, 1), started)
        return answer if isinstance(answer, Refusal) else _encode(answer)

    async def answer(self, subject: str, body: bytes) -> Recording | Unchanged | Refusal:
        """
        What becomes of the declaration in *body*, asked on *subject*.

        Raises AssertionError, where a rule of ours is broken and the process must end.
        """
        started = perf_counter()
        line = Line()
        answer: Recording | Unchanged | Refusal
        try:
            answer = await self._answer(subject, body, line)
        except AssertionError:
            raise
        except Exception as error:  # noqa: BLE001 - each is answered; ours are logged too
            answer = self._refused(error, line)
        if self._tells(answer):
            self._tell(answer, line, started)
        return answer

    def _refused(self, error: Exception, line: Line) -> Refusal:
        refusal = _bounded(_refusal(error))
        if refusal.code == "internal":
            log.error("command.failed", actor=line.actor, stream=line.stream, exc_info=error)
        if isinstance(error, OutcomeUnknown | StoreCorrupted) and not self.broken.done():
            self.broken.set_result(error)
        return refusal

    def _tells(self, answer: Recording | Unchanged | Refusal) -> bool:
        # The event itself says who, when and what: a line beside each is for looking into something.
        return self._tells_each or not _is_new(answer)

    def _tell(self, answer: Recording | Unchanged | Refusal, line: Line, started: float) -> None:
        tell = self._log.debug if _is_new(answer) else self._log.info
        tell(
            "command",
            actor=line.actor,
            stream=line.stream,
            attempts=line.attempts,
            ms=round((perf_counter() - started) * 1_000, 2),
            **_told(answer),
        )

    async def _answer(self, subject: str, body: bytes, line: Line) -> Recording | Unchanged | Refusal:
        try:
            line.actor, line.stream = subjects.parse_command(subject)
        except ValueError as error:
            raise WrongSubject(str(error)) from error
        if (barred := await self._bar()) is not None:
            return barred
        request = commands.parse(body, stream=line.stream)
        held = {line.stream}
        if request.declaration.signature is not None:
            held.add(_particulars(line.actor))
        async with contextlib.AsyncExitStack() as turns:
            # In one order, so that no two wait for each other.
            for stream in sorted(held):
                await self._turns.take(stream)
                turns.callback(self._turns.leave, stream)
            return await self._record(request, line)

    async def _record(self, request: Request, line: Line) -> Recording | Unchanged:
        """Decide, and append what was decided; again, as long as the stream moves meanwhile."""
        for line.attempts in range(1, ATTEMPTS_MAX + 1):
            state = await self._state(line.stream)
            refused: Exception | None = None
            events: list[Draft] = []
            try:
                if request.declaration.signature is not None:
                    await self._check_signature(request, line)
                events = self._decided(state, line.actor, request)
            except (Refused, SignatureRefused, WrongVersionAsked) as error:
                refused = error
            if not events:
                if (spent := await self._spent(_command(line.actor, request), line.stream)) is not None:
                    return spent
                if not await self._is_current(state):
                    continue
                if refused is not None:
                    raise refused
                return Unchanged(line.stream, state.version)
            try:
                return self._kept(state, events, await self._append(state, line.actor, request, events))
            except WrongVersion:
                self._states.forget(line.stream)
        raise Contended(line.stream, attempts=ATTEMPTS_MAX)

    def _decided(self, state: State, actor: str, request: Request) -> list[Draft]:
        """The events to add for *request*, none where it says nothing new. Raises what refuses it."""
        proposed = [
            Proposed(fact, declared.effective_on, declared.on_behalf_of)
            for fact, declared in zip(request.facts, request.declaration.facts, strict=True)
        ]
        expected = request.declaration.expected_version
        if expected is not None and expected != state.version:
            # Who has no part in a stream is not told how long it is.
            streams.check_authority(state, actor=actor, proposed=proposed)
            raise WrongVersionAsked(state.stream, expected=expected, actual=state.version)
        decided = streams.decide(state, actor=actor, proposed=proposed)
        if request.declaration.signature is not None and 0 < len(decided) < len(proposed):
            raise PartlyKnown(new=len(decided), declared=len(proposed))
        return drafts(request, proposed, decided, source=self._store.origin, stream=state.stream, actor=actor)

    async def _check_signature(self, request: Request, line: Line) -> None:
        """Refuse a signature that does not hold by a key that stands now. Raises SignatureRefused."""
        own = _particulars(line.actor)
        state = await self._state(own)
        if not await self._is_current(state):
            state = await self._state(own)
        assert isinstance(state, institution.State), state
        check(request, origin=self._store.origin, actor=line.actor, stream=line.stream, particulars=state)

    def _append(
        self, state: State, actor: str, request: Request, events: Sequence[Draft]
    ) -> Future[Appended]:
        return self._store.append(
            state.stream,
            [draft.seal for draft in events],
            expected=state.version,
            command=_command(actor, request),
        )

    def _kept(self, state: State, events: Sequence[Draft], appended: Appended) -> Recording:
        if not appended.repeated:
            self._appended()
            self._advance(state, events, appended)
        return _recording(state.stream, appended)

    async def _state(self, stream: str) -> State:
        """The state of *stream*: the one at hand, or the fold of what the store has."""
        state = self._states.get(stream)
        if state is None:
            state = streams.initial(stream)
            event_bytes = 0
            for recorded in await self._store.read(stream):
                try:
                    entry = envelope.decode(recorded.body)
                except (msgspec.MsgspecError, ValueError) as error:
                    raise StoreCorrupted(recorded.position, f"its bytes are no event ({error})") from error
                if (entry.position, entry.envelope.version) != (recorded.position, recorded.version):
                    raise StoreCorrupted(recorded.position, f"its bytes say position {entry.position}")
                state = streams.evolve(state, entry)
                event_bytes += len(recorded.body)
            self._states.keep(state, event_bytes=event_bytes)
        return state

    async def _is_current(self, state: State) -> bool:
        """Whether *state* knows all that the store has of its stream; if not, forget it."""
        if await self._store.version(state.stream) == state.version:
            return True
        self._states.forget(state.stream)
        return False

    async def _spent(self, command: Command, stream: str) -> Recording | None:
        """What was answered when *command* was recorded; None if it never was. Raises CommandReused."""
        found = await self._store.find(command.owner, command.command_id)
        if found is None:
            return None
        appended, body_digest = found
        if body_digest != command.body_digest:
            raise CommandReused(command.owner, command.command_id, position=appended.first_position)
        return _recording(stream, appended)

    def _advance(self, state: State, events: Sequence[Draft], appended: Appended) -> None:
        """Fold what was just recorded. It is kept: no failure here may turn the answer into an error."""
        try:
            assert appended.version == state.version + len(events), (appended.version, state.version)
            for held in kept(events, appended):
                state = streams.advance(state, held)
        except Exception:
            log.exception("command.fold_failed", stream=state.stream, position=appended.first_position)
            self._states.forget(state.stream)
        else:
            self._states.advance(state, more_bytes=sum([draft.about_bytes for draft in events]))


def _particulars(actor: str) -> str:
    return subjects.stream("institution", actor)


def _command(actor: str, request: Request) -> Command:
    command_id = bytes.fromhex(request.declaration.command_id.replace("-", ""))
    return Command(actor, command_id, request.digest)


def _recording(stream: str, appended: Appended) -> Recording:
    return Recording(
        stream,
        appended.first_position,
        appended.last_position,
        appended.version,
        appended.recorded_at,
        appended.repeated,
    )


def _is_new(answer: Recording | Unchanged | Refusal) -> bool:
    """Whether events were recorded for it, and not once before."""
    return isinstance(answer, Recording) and not answer.repeated


def _told(answer: Recording | Unchanged | Refusal) -> dict[str, object]:
    """*answer* as the log tells it."""
    match answer:
        case Recording():
            return {
                "outcome": "repeated" if answer.repeated else "recorded",
                "first": answer.first_position,
                "last": answer.last_position,
                "version": answer.version,
            }
        case Unchanged():
            return {"outcome": "unchanged", "version": answer.version}
        case Refusal():
            return {"outcome": answer.code, "reason": answer.message}


def _refusal(error: Exception) -> Refusal:
    """*error* as it is answered. What is none of those foreseen is a fault of ours, and stays in our log."""
    match error:
        case Malformed():
            return Refusal("malformed", str(error), error.fields)
        case Refused():
            message = f"{error.message} ({error.rule})" if error.rule else error.message
            return Refusal(error.code, message, (FieldAtFault(error.path, error.message),))
        case SignatureRefused():
            return Refusal(error.code, str(error), (FieldAtFault(error.path, str(error)),))
        case WrongSubject():
            return Refusal("wrong_subject", str(error))
        case WrongVersionAsked():
            return Refusal("wrong_version", str(error), (FieldAtFault("$.expected_version", str(error)),))
        case Contended():
            return Refusal("contention", str(error))
        case CommandReused():
            message = (
                f"this command id was spent on another request, recorded at position {error.position}: a new "
                f"request needs a new id"
            )
            return Refusal("command_reused", message, (FieldAtFault("$.command_id", message),))
        case BodyTooLarge():
            return Refusal("too_large", str(error))
        case OutcomeUnknown():
            return Refusal(
                "outcome_unknown",
                "the outcome is unknown: the store failed while it recorded this, and the facts may be kept "
                "or not. Ask again with the same command id; the answer tells",
            )
        case StoreError():
            return Refusal("store_unavailable", str(error))
        case _:
            return Refusal(
                "internal",
                "the outcome is unknown: the registrar failed on this request, and its log says why. Ask "
                "again with the same command id; the answer tells",
            )


def _bounded(refusal: Refusal) -> Refusal:
    """*refusal*, quoting no more of what was sent than a message can carry."""
    return Refusal(
        refusal.code,
        _cut(refusal.message, MESSAGE_CHARACTERS_MAX),
        tuple(
            FieldAtFault(_cut(field.path, FIELD_CHARACTERS_MAX), _cut(field.message, FIELD_CHARACTERS_MAX))
            for field in refusal.fields[:FIELDS_MAX]
        ),
    )


def _cut(text: str, characters_max: int) -> str:
    return text if len(text) <= characters_max else f"{text[: characters_max - 1]}…"
