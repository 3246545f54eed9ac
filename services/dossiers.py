"""
Dossiers: a file of declarations, as an agent instructeur prepares it, and what is wrong with it.

A dossier is YAML. Every value keeps its line, so that every problem is told
with file, line, and the rule it breaks. Scalars are taken as they are written:
a plain whole number is a number (underscores set its thousands apart), true and
false are booleans, and all else is text. No date, float or null is guessed.

Each command of a dossier has an id made from the dossier's instant, its name
and the command's key: importing the file again asks the same, and records
nothing twice. Changing a command that was recorded is refused by the registrar.

A fact about an entry names the command and the fact of this file that made it:
at which position it stands is known once it is recorded. A cas fictif says when
each command is sent, for whoever sets the clock of its ledger; no command carries
that, and a dossier of a real ledger may not say it.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

import msgspec
import yaml

from contracts import dates, subjects
from contracts.commands import (
    FACTS_MAX,
    REQUEST_BYTES_MAX,
    Declaration,
    Declared,
    FieldAtFault,
    field_at_fault,
)
from contracts.envelope import (
    EVENT_BYTES_MAX,
    Entry,
    Envelope,
    Instant,
    UnknownTag,
    decode_fact,
    encode,
    encode_fact,
)
from contracts.events import EVENTS
from contracts.institutions import InstitutionId
from contracts.terms import Key, Line
from services.domain import streams
from services.domain.refusals import Refused
from services.domain.streams import Proposed

DOSSIER_BYTES_MAX: Final = 4_000_000
COMMANDS_MAX: Final = 2_000
DEPTH_MAX: Final = 24
INTEGER_CHARACTERS_MAX: Final = 20
FAULTS_PER_FACT_MAX: Final = 50
PROBLEMS_MAX: Final = 1_000

T = TypeVar("T")


class Problem(msgspec.Struct, frozen=True, order=True):
    """What is wrong, where, and against which rule."""

    file: str
    line: int
    message: str
    rule: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message} ({self.rule})"


class DossierWrong(Exception):
    """Raised when a file is no dossier: *problems* are all that were found, by line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class EntryUnknown(Exception):
    """Raised when a command speaks of an entry that this file's own commands did not record."""

    def __init__(self, entry: "EntryNamed") -> None:
        super().__init__(
            f"fact {entry.number} of the command {entry.command!r} has no position of this file's making: it "
            "was refused, or recorded before by another command"
        )
        self.entry = entry


class EntryNamed(msgspec.Struct, frozen=True):
    """The fact at *index* of a command speaks of the entry that fact *number* (from 1) of *command* made."""

    index: int
    command: str
    number: int


class Command(msgspec.Struct, frozen=True):
    """
    One declaration: who asks, in which stream, and where the file says it.

    *request* has the bytes to send, but for the entries it speaks of; *sent_at*
    is when, in a cas fictif.
    """

    key: str
    stream: str
    recorded_by: str
    command_id: str
    request: bytes
    line: int
    lines: Mapping[str, int]
    sent_at: datetime | None = None
    entries: tuple[EntryNamed, ...] = ()

    @property
    def facts(self) -> int:
        """How many facts it declares."""
        return len(_decode_declaration(self.request).facts)

    def asking(self, positions: Mapping[tuple[str, int], int]) -> bytes:
        """
        The bytes to send, once *positions* tells where facts of earlier commands stand, by key and number.

        Raises EntryUnknown.
        """
        if not self.entries:
            return self.request
        declaration = _decode_declaration(self.request)
        facts = list(declaration.facts)
        for entry in self.entries:
            position = positions.get((entry.command, entry.number))
            if position is None:
                raise EntryUnknown(entry)
            data = {**msgspec.json.decode(facts[entry.index].data), "entry": position}
            facts[entry.index] = msgspec.structs.replace(
                facts[entry.index], data=msgspec.Raw(msgspec.json.encode(data))
            )
        return _encode_declaration(msgspec.structs.replace(declaration, facts=tuple(facts)))

    def line_of(self, path: str) -> int:
        """The line of the field that a refusal names ('$.facts[0].data.party'), or of what holds it."""
        return _line_of(self.lines, path, self.line)


class Dossier(msgspec.Struct, frozen=True):
    """A file whose every fact is well formed. Whether the ledger takes it is for the registrar."""

    file: str
    name: str
    title: str
    origin: str
    commands: tuple[Command, ...]

    @property
    def facts(self) -> int:
        """How many facts it declares."""
        return sum(command.facts for command in self.commands)


_decode_declaration = msgspec.json.Decoder(Declaration, dec_hook=dates.decode).decode
_encode_declaration = msgspec.json.Encoder(enc_hook=dates.encode).encode


def read(path: Path) -> Dossier:
    """The dossier in the file at *path*. Raises DossierWrong."""
    dossier, _, problems = _read(path)
    if problems or dossier is None:
        raise DossierWrong(sorted(problems))
    return dossier


def check(paths: Sequence[Path]) -> tuple[list[Dossier], list[Problem]]:
    """
    Everything that is wrong with the files at *paths*, and the dossiers in which nothing is.

    They are judged in the order of sending by the rules of the ledger, as if each
    were recorded in an empty one of its origin: a file may go on from those before it.
    Nothing is sent and nothing written.
    """
    ledgers: dict[str, _Rehearsal] = {}
    files = [_read(path) for path in paths]
    to_play = [
        (dossier, place, command)
        for place, (dossier, rehearsed, _) in enumerate(files)
        if dossier is not None
        for command in rehearsed
    ]
    for dossier, place, rehearsed in sorted(to_play, key=lambda one: _when(one[2].command)):
        ledger = ledgers.setdefault(dossier.origin, _Rehearsal(dossier.origin))
        files[place][2].extend(ledger.play(dossier.file, rehearsed))
    problems: list[Problem] = []
    for _, _, found in files:
        problems += sorted(set(found))[: PROBLEMS_MAX - len(problems)]
    return [dossier for dossier, _, found in files if dossier is not None and not found], problems


def in_order(read: Sequence[Dossier]) -> list[tuple[Dossier, Command]]:
    """The commands in the order to send them: file after file, but cas fictifs as their time goes."""
    commands = [(dossier, command) for dossier in read for command in dossier.commands]
    return sorted(commands, key=lambda one: _when(one[1]))


def _when(command: Command) -> datetime:
    return command.sent_at or _BEFORE_ALL


_BEFORE_ALL: Final = datetime.min.replace(tzinfo=UTC)


# -- what the file says


class _CommandInFile(msgspec.Struct, forbid_unknown_fields=True):
    key: Key
    stream: str
    facts: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1, max_length=FACTS_MAX)]
    recorded_by: InstitutionId | None = None
    sent_at: Instant | None = None


class _DossierInFile(msgspec.Struct, forbid_unknown_fields=True):
    dossier: Annotated[str, msgspec.Meta(pattern=subjects.SLUG)]
    title: Line
    origin: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9./:_-]{0,119}$")]
    recorded_by: InstitutionId
    prepared_at: Instant
    commands: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1, max_length=COMMANDS_MAX)]


class _Rehearsed(msgspec.Struct, frozen=True):
    """A command's well-formed facts, each with its place in the request."""

    command: Command
    prepared_at: datetime
    proposed: tuple[tuple[int, Proposed], ...]


def _read(path: Path) -> tuple[Dossier | None, list[_Rehearsed], list[Problem]]:
    file = str(path)
    try:
        tree = _tree(path)
    except DossierWrong as error:
        return None, [], list(error.problems)
    problems: list[Problem] = []
    convert = partial(msgspec.convert, type=_DossierInFile)
    written, faults = _decoded(convert, tree.value)
    problems += (_problem(file, tree, fault) for fault in faults)
    if written is None:
        return None, [], problems
    keys: dict[str, int] = {}
    numbers: dict[str, int] = {}
    sent_at: datetime | None = None
    rehearsed = []
    for index, value in enumerate(written.commands):
        root = f"$.commands[{index}]"
        command, faults = _decoded(partial(msgspec.convert, type=_CommandInFile), value)
        problems += (_problem(file, tree, fault, root) for fault in faults)
        if command is None:
            continue
        if command.key in keys:
            message = f"the key {command.key!r} is that of the command at line {keys[command.key]} already"
            line = tree.line_of(f"{root}.key")
            problems.append(Problem(file, line, message, "a key is used once in a dossier"))
        keys.setdefault(command.key, tree.line_of(root))
        untimely = None if faults else _untimely(written, command, sent_at)
        if untimely is not None:
            problems.append(Problem(file, tree.line_of(f"{root}.sent_at"), *untimely))
        else:
            sent_at = command.sent_at or sent_at
        made, found = _command(file, tree, written, command, root, sent_at, numbers)
        problems += found
        numbers.setdefault(command.key, len(command.facts))
        if made is not None:
            rehearsed.append(made)
    commands = tuple(each.command for each in rehearsed)
    return Dossier(file, written.dossier, written.title, written.origin, commands), rehearsed, problems


def _untimely(
    written: _DossierInFile, command: _CommandInFile, earlier: datetime | None
) -> tuple[str, str] | None:
    """What is wrong with when a command is sent, after those sent by *earlier*, and against which rule."""
    if not subjects.is_fictional(written.origin):
        if command.sent_at is None:
            return None
        return (
            f"the ledger {written.origin} records when it is really told: leave sent_at out",
            f"only a cas fictif, whose ledger's name ends in {subjects.FICTIONAL_ENDING}, says when",
        )
    if command.sent_at is None and earlier is None:
        return (
            "the first command of a cas fictif says when it is sent: sent_at: 2026-01-05T09:00:00Z",
            "the clock of its ledger stands where it is set",
        )
    if command.sent_at is not None and earlier is not None and command.sent_at < earlier:
        message = (
            f"this command is sent at {command.sent_at.isoformat()}, and one before it at "
            f"{earlier.isoformat()}: put it in its place"
        )
        return message, "time runs forward only"
    return None


def _command(
    file: str,
    tree: "_Tree",
    written: _DossierInFile,
    command: _CommandInFile,
    root: str,
    sent_at: datetime | None,
    earlier: Mapping[str, int],
) -> tuple[_Rehearsed | None, list[Problem]]:
    """One command, *earlier* being the number of facts of those before it, by key."""
    problems: list[Problem] = []
    facts: list[Declared] = []
    entries: list[EntryNamed] = []
    proposed: list[tuple[int, Proposed]] = []
    for place, value in enumerate(command.facts):
        declared, fact, named, faults = _fact(value)
        if named is not None and named.command not in earlier:
            message = f"no command before this one has the key {named.command!r}"
            faults.append(FieldAtFault("$.entry_of", message))
        elif named is not None and named.fact > earlier[named.command]:
            message = (
                f"the command {named.command!r} has {earlier[named.command]} facts: none is fact {named.fact}"
            )
            faults.append(FieldAtFault("$.entry_of", message))
        problems += (_problem(file, tree, fault, f"{root}.facts[{place}]") for fault in faults)
        if declared is not None and fact is not None and not faults:
            if named is not None:
                entries.append(EntryNamed(len(facts), named.command, named.fact))
            facts.append(declared)
            proposed.append((place, Proposed(fact, declared.effective_on, declared.on_behalf_of)))
    try:
        subjects.parse_stream(command.stream)
    except ValueError as error:
        problems.append(
            Problem(file, tree.line_of(f"{root}.stream"), str(error), "a stream is category/name")
        )
        return None, problems
    if not facts:
        return None, problems
    command_id = _command_id(written, command.key)
    request = _encode_declaration(Declaration(command_id=command_id, facts=tuple(facts), channel="import"))
    line = tree.line_of(root)
    if len(request) > REQUEST_BYTES_MAX:
        message = f"the command {command.key!r} has {len(request)} bytes: split it in two"
        problems.append(Problem(file, line, message, f"a command has at most {REQUEST_BYTES_MAX} bytes"))
    made = Command(
        key=command.key,
        stream=command.stream,
        recorded_by=command.recorded_by or written.recorded_by,
        command_id=command_id,
        request=request,
        line=line,
        lines=tree.under(root),
        sent_at=sent_at,
        entries=tuple(entries),
    )
    return _Rehearsed(made, written.prepared_at, tuple(proposed)), problems


def _command_id(written: _DossierInFile, key: str) -> str:
    """A UUIDv7 of the instant the dossier was prepared; its other bits say which command it is."""
    milliseconds = int(written.prepared_at.timestamp() * 1_000)
    name = f"{written.origin}\n{written.dossier}\n{key}"
    bits = int.from_bytes(sha256(name.encode()).digest()[:10])
    high = milliseconds << 16 | 0x7 << 12 | bits >> 68
    low = 0b10 << 62 | bits & (1 << 62) - 1
    return str(UUID(int=high << 64 | low))


def _fact(value: dict[str, Any]) -> tuple[Declared | None, Any, "_EntryInFile | None", list[FieldAtFault]]:
    """One fact of a command, decoded by the contracts; the entry that it names; and every fault in it."""
    data = value.get("data", {})
    if "entry_of" in value and isinstance(data, dict):
        data = {"entry": _TO_BE_KNOWN, **data}
    convert = partial(msgspec.convert, type=_DeclaredInFile, dec_hook=dates.decode)
    written, faults = _decoded(convert, value)
    tag = value.get("type")
    fact = None
    if isinstance(tag, str) and isinstance(data, dict):
        try:
            fact, more = _decoded(lambda given: decode_fact(tag, msgspec.json.encode(given)), data)
            faults += (FieldAtFault(f"$.data{fault.path[1:]}", fault.message) for fault in more)
        except UnknownTag:
            faults.append(FieldAtFault("$.type", _unknown_tag(tag)))
    if written is None or fact is None:
        return None, None, None, faults
    # As the file has it: a fact in an old shape keeps its old tag, and the registrar reads it in today's.
    raw = msgspec.Raw(msgspec.json.encode(data))
    declared = Declared(written.type, written.effective_on, raw, written.on_behalf_of)
    return declared, fact, written.entry_of, faults


_TO_BE_KNOWN: Final = 1
"""In place of a position, until the entry that is named has one."""


class _EntryInFile(msgspec.Struct, forbid_unknown_fields=True):
    """Which entry: the one that fact number *fact*, from 1, of the command with that key made."""

    command: Key
    fact: Annotated[int, msgspec.Meta(ge=1)] = 1


class _DeclaredInFile(msgspec.Struct, forbid_unknown_fields=True):
    """As contracts.commands.Declared, its data not yet looked at."""

    type: str
    effective_on: dates.PartialDate
    data: dict[str, Any] = {}
    on_behalf_of: InstitutionId | None = None
    entry_of: _EntryInFile | None = None


def _unknown_tag(tag: str) -> str:
    near = difflib.get_close_matches(tag, EVENTS, n=1, cutoff=0.6)
    return f"no fact has the type {tag!r}" + (f"; did you mean {near[0]}?" if near else "")


# -- all faults, not only the first


_UNKNOWN: Final = re.compile(r"^Object contains unknown field `(?P<name>.*)`$", re.DOTALL)
_MISSING: Final = re.compile(r"^Object missing required field `(?P<name>.*)`$", re.DOTALL)
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


def _decoded(decode: Callable[[Any], T], value: Any) -> tuple[T | None, list[FieldAtFault]]:
    """
    What *decode* makes of *value* without its faults, and every fault it finds.

    A decoder stops at its first fault: each is taken out of a copy, and the
    rest is tried again, until it will do, or lacks what was taken out (None).
    """
    faults: list[FieldAtFault] = []
    taken: set[str] = set()
    rest = _copy(value)
    while len(faults) < FAULTS_PER_FACT_MAX:
        try:
            made = decode(rest)
        except UnknownTag:
            raise
        except (msgspec.MsgspecError, ValueError, OverflowError) as error:
            fault = field_at_fault(error)
        else:
            return made, faults
        missing = _MISSING.match(fault.message)
        if missing is not None:
            name = f"{fault.path}.{missing['name']}"
            if name not in taken:
                faults.append(fault)
            # What is required cannot be done without: the rest stays unread.
            return None, faults
        faults.append(fault)
        unknown = _UNKNOWN.match(fault.message)
        path = f"{fault.path}.{unknown['name']}" if unknown else fault.path
        if not _take_out(rest, path):
            return None, faults
        taken.add(path)
    return None, faults


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(one) for key, one in value.items()}
    return [_copy(one) for one in value] if isinstance(value, list) else value


def _take_out(value: Any, path: str) -> bool:
    """Remove the field at *path*; False where it is an item, whose place tells the lines of those after."""
    steps = [name or int(place) for name, place in _STEP.findall(path)]
    for step in steps[:-1]:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return False
    if not steps or not isinstance(value, dict) or steps[-1] not in value:
        return False
    del value[steps[-1]]
    return True


# -- a fault in words


_RULES: Final = (
    ("is no date", "a date exists, or is XXXX"),
    ("SIRET", "Code de commerce, art. R123-221"),
    ("SIREN", "Code de commerce, art. R123-221"),
    ("RNA", "arrêté du 14 octobre 2009"),
    ("ACTES", "contrôle de légalité, actesv1_1.xsd"),
    ("no fact has the type", "the types of facts are in contracts/schemas"),
)
_TYPES: Final = {
    "str": "text",
    "int": "a whole number",
    "bool": "true or false",
    "object": "a mapping",
    "array": "a list",
}


def _problem(file: str, tree: "_Tree", fault: FieldAtFault, root: str = "$") -> Problem:
    path = root + fault.path.removeprefix("$")
    unknown, missing = _UNKNOWN.match(fault.message), _MISSING.match(fault.message)
    if unknown is not None:
        line = tree.line_of(f"{path}.{unknown['name']}")
        return Problem(
            file, line, f"unknown field {unknown['name']!r}", "no field but those of contracts/schemas"
        )
    name = path.rpartition(".")[2]
    if missing is not None:
        where = "" if path == "$" else f" of {name}"
        message = f"the field {missing['name']!r}{where} is missing"
        return Problem(file, tree.line_of(path), message, "contracts/schemas says which fields there must be")
    value = tree.at(path)
    if name.endswith("_cents") and not isinstance(value, dict | list):
        message = (
            f"{name}: {value!r} is no whole number of cents"
            if type(value) is not int
            else (f"{name}: {value} is out of range: {fault.message[:1].lower()}{fault.message[1:]}")
        )
        return Problem(
            file, tree.line_of(path), message, "an amount is a whole number of cents, more than nothing"
        )
    rule = next((rule for words, rule in _RULES if words in fault.message), "contracts/schemas")
    return Problem(file, tree.line_at_fault(path, fault.message), _in_words(name, fault.message, value), rule)


def _in_words(name: str, message: str, value: Any) -> str:
    """The decoder's sentence for people: 'Expected `str`, got `int`' becomes what to write instead."""
    found = re.fullmatch(r"Expected `(?P<wanted>[a-z|` ]+)`, got `(?P<got>[a-z]+)`", message)
    if found is None:
        return f"{name}: {message.replace('`', '')}" if message.startswith("Expected") else _plain(message)
    wanted = " or ".join(
        _TYPES.get(kind, kind) for kind in re.split(r" \| |`, `", found["wanted"]) if kind != "null"
    )
    shown = f"{value!r}" if isinstance(value, str | int) else _TYPES.get(found["got"], found["got"])
    hint = f' (put it in quotes: "{value}")' if found["got"] in ("int", "bool") and "text" in wanted else ""
    return f"{name}: expected {wanted}, got {shown}{hint}"


def _plain(message: str) -> str:
    if message.startswith("a date is written as text"):
        return f'{message}: put it in quotes, "2014"'
    return message.replace("`", "'")


# -- the same rules as the registrar's, with nothing kept


class _Rehearsal:
    """An empty ledger of one origin, into which commands are played to see what would be refused."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._position = 0
        self._states: dict[str, streams.State] = {}
        self._positions: dict[str, dict[tuple[str, int], int]] = {}

    def play(self, file: str, rehearsed: _Rehearsed) -> Iterator[Problem]:
        """The problems of one command. What is refused is left out, and the rest is judged without it."""
        command = rehearsed.command
        state = self._states.get(command.stream) or streams.initial(command.stream)
        positions = self._positions.setdefault(file, {})
        found = dict(enumerate(rehearsed.proposed))
        for named in command.entries:
            place, one = found.pop(named.index)
            position = positions.get((named.command, named.number))
            if position is None:
                line = command.line_of(f"$.facts[{place}].entry_of")
                yield Problem(file, line, str(EntryUnknown(named)), "an entry is one that this file made")
                continue
            fact = msgspec.structs.replace(one.fact, entry=position)
            found[named.index] = (place, msgspec.structs.replace(one, fact=fact))
        left = [found[index] for index in sorted(found)]
        decided: Sequence[Proposed] = ()
        while left:
            try:
                decided = streams.decide(state, actor=command.recorded_by, proposed=[one for _, one in left])
            except Refused as refused:
                place, _ = left.pop(refused.fact)
                path = f"$.facts[{place}]" + (f".{refused.field}" if refused.field else "")
                rule = refused.rule or refused.code.replace("_", " ")
                yield Problem(file, command.line_of(path), refused.message, rule)
            else:
                break
        for ordinal, one in enumerate(decided, 1):
            self._position += 1
            place = next(place for place, other in left if other is one)
            positions[command.key, place + 1] = self._position
            entry = self._entry(rehearsed, state, one, ordinal=ordinal, count=len(decided))
            size_bytes = len(encode(entry.envelope))
            if size_bytes > EVENT_BYTES_MAX:
                message = f"this fact makes an event of {size_bytes} bytes: say it in several facts"
                rule = f"an event has at most {EVENT_BYTES_MAX} bytes"
                yield Problem(file, command.line_of(f"$.facts[{place}]"), message, rule)
            state = streams.evolve(state, entry)
        self._states[command.stream] = state

    def _entry(
        self, rehearsed: _Rehearsed, state: streams.State, one: Proposed, *, ordinal: int, count: int
    ) -> Entry:
        command = rehearsed.command
        envelope = Envelope(
            specversion="1.0",
            datacontenttype="application/json",
            id=command.command_id,
            source=self._origin,
            tag=one.fact.TYPE,
            stream=command.stream,
            recorded_at=rehearsed.prepared_at.astimezone(UTC),
            position=self._position,
            version=state.version + 1,
            ordinal=ordinal,
            count=count,
            effective_on=one.effective_on,
            command_id=command.command_id,
            actor=command.recorded_by,
            channel="import",
            data=msgspec.Raw(encode_fact(one.fact)),
            on_behalf_of=one.on_behalf_of,
        )
        return Entry(envelope, one.fact)


# -- YAML, with lines


class _Tree(msgspec.Struct, frozen=True):
    """The values of a file, and the line of each by its path ('$.commands[0].key')."""

    value: Any
    lines: dict[str, int]

    def line_of(self, path: str) -> int:
        """The line of the value at *path*, or of what holds it."""
        return _line_of(self.lines, path, 1)

    def under(self, root: str) -> dict[str, int]:
        """The lines of what is under *root*, their paths counted from there."""
        return {
            f"${path[len(root) :]}": line for path, line in self.lines.items() if path.startswith(f"{root}.")
        }

    def line_at_fault(self, path: str, message: str) -> int:
        """The line of the value under *path* that *message* quotes, where it quotes one."""
        value = self.at(path)
        if isinstance(value, dict):
            for name, one in value.items():
                if isinstance(one, str | int) and len(str(one)) > 2 and str(one) in message:
                    return self.line_of(f"{path}.{name}")
        return self.line_of(path)

    def at(self, path: str) -> Any:
        """The value at *path*, None where there is none."""
        value = self.value
        for name, place in _STEP.findall(path):
            try:
                value = value[name or int(place)]
            except (KeyError, IndexError, TypeError):
                return None
        return value


def _line_of(lines: Mapping[str, int], path: str, otherwise: int) -> int:
    while path not in lines:
        cut = max(path.rfind("."), path.rfind("["))
        if cut <= 0:
            return otherwise
        path = path[:cut]
    return lines[path]


class _Fault(Exception):
    """What YAML allows and a dossier does not. Raised where the reading cannot go on, noted elsewhere."""

    def __init__(self, line: int, message: str, rule: str) -> None:
        super().__init__(message)
        self.line = line
        self.rule = rule


def _tree(path: Path) -> _Tree:
    file = str(path)
    try:
        with path.open("rb") as opened:
            content = opened.read(DOSSIER_BYTES_MAX + 1)
    except OSError as error:
        message = f"the file cannot be read: {error.strerror or error}"
        raise DossierWrong([Problem(file, 1, message, "a dossier is a file")]) from error
    try:
        reader = _Reader(_text(content))
        tree = reader.tree()
    except _Fault as fault:
        raise DossierWrong([Problem(file, fault.line, str(fault), fault.rule)]) from fault
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        context = f" ({error.context})" if error.context else ""
        problem = Problem(
            file, mark.line + 1 if mark else 1, f"{error.problem}{context}", "a dossier is YAML"
        )
        raise DossierWrong([problem]) from error
    except yaml.YAMLError as error:
        problem = Problem(file, 1, str(error).replace("\n", " "), "a dossier is YAML")
        raise DossierWrong([problem]) from error
    if reader.faults:
        raise DossierWrong([Problem(file, fault.line, str(fault), fault.rule) for fault in reader.faults])
    return tree


def _text(content: bytes) -> str:
    if len(content) > DOSSIER_BYTES_MAX:
        raise _Fault(1, f"the file has more than {DOSSIER_BYTES_MAX} bytes: split it", "a file has a bound")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _Fault(
            line, "these bytes are no UTF-8: save the file as UTF-8", "a dossier is UTF-8"
        ) from error


_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]*(_[0-9]+)*)")
_LOADER: Final = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class _Reader:
    """One pass over the events of a YAML text: no alias, no tag, no second document, no key twice."""

    def __init__(self, text: str) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=_LOADER)
        self._lines: dict[str, int] = {}
        self.faults: list[_Fault] = []

    def tree(self) -> _Tree:
        value: Any = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Fault(_at(event), "a second document begins here", "a file is one dossier")
                value = self._value(next(self._events), "$", 0)
        if not isinstance(value, dict):
            raise _Fault(1, "the file has no fields", "a dossier is a mapping")
        return _Tree(value, self._lines)

    def _value(self, event: yaml.Event, path: str, depth: int) -> Any:
        at = _at(event)
        if depth > DEPTH_MAX:
            raise _Fault(at, "values are nested too deeply", f"at most {DEPTH_MAX} levels")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            self._note(
                at, "anchors and aliases are not read: write the value out", "a value stands by itself"
            )
        tag = getattr(event, "tag", None)
        if tag:
            self._note(at, f"the tag {tag} is not read", "a value is text, a whole number, true or false")
        match event:
            case yaml.MappingStartEvent():
                return self._mapping(path, depth)
            case yaml.SequenceStartEvent():
                return self._sequence(path, depth)
            case yaml.ScalarEvent():
                return self._scalar(event)
            case _:
                return None  # an alias, noted above

    def _note(self, line: int, message: str, rule: str) -> None:
        self.faults.append(_Fault(line, message, rule))

    def _mapping(self, path: str, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise _Fault(_at(event), "a field has a name", "the names of fields are text")
            name = str(event.value)
            here = f"{path}.{name}"
            if name in made:
                message = f"the field {name!r} stands at line {self._lines[here]} already"
                self._note(_at(event), message, "a field is given once")
            self._lines[here] = _at(event)
            made[name] = self._value(next(self._events), here, depth + 1)
        return made

    def _sequence(self, path: str, depth: int) -> list[Any]:
        made: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            here = f"{path}[{len(made)}]"
            self._lines[here] = _at(event)
            made.append(self._value(event, here, depth + 1))
        return made

    def _scalar(self, event: yaml.ScalarEvent) -> str | int | bool:
        text = str(event.value)
        if event.style:  # quoted, or a block: text, whatever it looks like
            return text
        if text in ("", "~", "null"):
            self._note(
                _at(event), "a field has no value: leave its line out", "what is unknown is not written"
            )
        if text in ("true", "false"):
            return text == "true"
        # More digits than any field takes stay text, and are refused as such.
        return int(text) if _INTEGER.fullmatch(text) and len(text) <= INTEGER_CHARACTERS_MAX else text


def _at(event: yaml.Event) -> int:
    mark = event.start_mark
    assert mark is not None, event
    return mark.line + 1
