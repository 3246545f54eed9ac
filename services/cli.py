"""
`registre`: the ledger at the command line.

What partners read is in French, what operators read in English. Results go to
stdout, progress and errors to stderr; colour only on a terminal. What can be
expected to go wrong is one sentence and exit code 1, never a traceback.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import msgspec
import structlog
import typer
from nats.aio.client import Client
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from contracts import dates, envelope
from contracts.commands import Recording, Refusal, Unchanged
from contracts.events import Event, FactConfirmed, FactContested, KeyDeclared, KeyWithdrawn
from contracts.queries import EventsQuery, ListQuery, StatementAnswer, StatementQuery
from contracts.subjects import FEED, feed_of, is_fictional, parse_stream
from eventstore import sqlite
from eventstore.store import StoreError
from services import (
    accounts,
    asking,
    credentials,
    dossiers,
    embedded_nats,
    pages,
    partners,
    processes,
    questions,
    runtime,
    signatures,
    snapshots,
)
from services.auditor import verification
from services.domain import authority, french, statement
from services.domain.findings import Finding
from services.domain.obligations import Duties
from services.domain.schedule import Calendar
from services.portal.identity import command_line

NATS_URL_DEFAULT: Final = "nats://127.0.0.1:4222"
CONNECT_SECONDS_MAX: Final = 5.0
START_SECONDS_MAX: Final = 30.0
CATCH_UP_SECONDS_MAX: Final = 30.0
ATTEMPTS_MAX: Final = 3
"""Of one command whose outcome is unknown: asking again does nothing twice, and tells."""

WIDTH_OF_A_PIPE: Final = 100
CHANGES_TOLD_MAX: Final = 8
"""Of one statement that differs; the parts are told all."""

DATA: Final = Path(".registre")
"""Where `serve` keeps its data, and the demos theirs in a folder each."""

NO_NAMES: Final[dict[str, str]] = {}
NAMES_AT_ONCE_MAX: Final = 16
DEMO: Final = Path(__file__).parents[1] / "deploy" / "demo"
NUMBER_OF_INTERRUPT: Final = 130

EXPECTED: Final = (
    asking.NoRegistrar,
    asking.OutcomeUnknown,
    asking.RefusedByRegistrar,
    credentials.SeedUnfit,
    embedded_nats.EmbeddedNatsError,
    partners.PartnersError,
    processes.ChildEnded,
    questions.NotAnswered,
    questions.ProjectorSilent,
    snapshots.NotASnapshot,
    snapshots.OtherLedgerAsked,
    signatures.KeyFileUnfit,
    runtime.BusError,
    StoreError,
    OSError,
)
"""What may go wrong in the world. Their sentences are for people."""

STYLES: Final = {
    "": "",
    "title": "bold",
    "heading": "bold cyan",
    "label": "cyan",
    "good": "green",
    "open": "yellow",
    "bad": "bold red",
    "soft": "dim",
}

app = typer.Typer(
    name="registre",
    help="A ledger of partnership commitments: who promised what to whom, and what was in force when.",
    epilog="Begin with: registre demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

NatsUrl = Annotated[
    str, typer.Option("--nats", envvar="REGISTRE_NATS_URL", metavar="URL", help="Address of the NATS server.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for a program to read.")]
OfConvention = Annotated[
    str, typer.Argument(metavar="CONVENTION", help="Its name, as `registre list` gives it.")
]
On = Annotated[
    str | None,
    typer.Option("--on", metavar="DATE", help="In force on this day, 2026-01-31. Default: today."),
]
KnownAt = Annotated[
    str | None,
    typer.Option(
        "--known-at",
        metavar="INSTANT",
        help="As the ledger knew it then, 2026-01-31T09:00:00Z. Default: all that is known.",
    ),
]
OfInstitution = Annotated[
    str, typer.Argument(metavar="INSTITUTION", help="Its name in the ledger: ville-besancon.")
]
Sign = Annotated[
    Path | None,
    typer.Option("--sign", metavar="KEYFILE", help="Sign with the key in this file (registre keys new)."),
]
Credentials = Annotated[
    Path | None,
    typer.Option(
        "--credentials", metavar="FILE", help="The seed to connect with, as `registre partners add` wrote it."
    ),
]
OneInstitution = Annotated[
    str | None, typer.Option("--institution", "-i", metavar="NAME", help="Only what concerns it.")
]


class Complaint(Exception):
    """What the command line itself has to say against what was asked."""


# -- what every command does alike


def main() -> None:
    """The entry point of the program `registre`."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(40),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
    app()


def _run(work: Coroutine[Any, Any, int | None]) -> NoReturn:
    """Run one command to its exit code."""
    try:
        code = asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(NUMBER_OF_INTERRUPT) from None
    except BrokenPipeError:
        # Whoever read us has read enough: `registre events | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except dossiers.DossierWrong as error:
        for problem in error.problems:
            typer.echo(str(problem), err=True)
        raise typer.Exit(1) from None
    except (Complaint, *EXPECTED) as error:
        typer.echo(f"registre: {error}", err=True)
        raise typer.Exit(1) from None
    raise typer.Exit(code or 0)


class _Pages(Console):
    def on_broken_pipe(self) -> None:
        # Theirs ends the process on the spot, and our children with it; ours is an error like others.
        raise  # noqa: PLE0704 - called while the error is handled


def _out() -> Console:
    return _Pages(highlight=False, markup=False, emoji=False)


def _err() -> Console:
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _width() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH_OF_A_PIPE


def _print(lines: Iterable[pages.Line]) -> None:
    console = _out()
    for line in lines:
        text = Text.assemble(*((part, STYLES[style]) for part, style in line))
        console.print(text, soft_wrap=True)


def _print_bytes(*parts: bytes) -> None:
    for part in parts:
        sys.stdout.buffer.write(part + b"\n")
    sys.stdout.buffer.flush()


@contextlib.contextmanager
def _progress(unit: str) -> Iterator[Progress]:
    console = _err()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        yield progress


@contextlib.asynccontextmanager
async def _bus(url: str, seed: Path | None = None) -> AsyncIterator[Client]:
    seed = seed or _seed(url)
    async with runtime.connected(url, "cli", seed=seed, seconds_max=CONNECT_SECONDS_MAX) as bus:
        yield bus


def _seed(url: str) -> Path | None:
    """The operator's own seed: as the environment says, or beside the data of the server at *url*."""
    data = _data_of(url)
    beside = data / "nats" / partners.LEDGER_SEED if data else None
    return runtime.seed_of(os.environ) or (beside if beside and beside.exists() else None)


def _data_of(url: str) -> Path | None:
    """Which of the usual folders has the data of the server at *url*."""
    known = [DATA, *(DATA / name for name in ("demo", "cas-fictifs"))]
    return next((data for data in known if embedded_nats.url_of(data / "nats") == url), None)


@contextlib.contextmanager
def _signals() -> Iterator[asyncio.Event]:
    """An event that Ctrl-C and SIGTERM set."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    try:
        yield stopping
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _stream(named: str) -> str:
    """The stream that a command line names: 'convention/' may be left out."""
    name = named if "/" in named else f"convention/{named}"
    try:
        parse_stream(name)
    except ValueError as error:
        raise Complaint(str(error)) from error
    return name


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day: write it 2026-01-31") from None


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no instant: write it 2026-01-31T09:00:00Z") from None
    if instant.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no time zone: write it 2026-01-31T09:00:00Z, Z being UTC")
    return instant.astimezone(UTC)


async def _names(
    bus: Client,
    slugs: Iterable[str],
    titles: Iterable[str] = (),
    *,
    on: date | None,
    known_at: datetime | None,
) -> dict[str, str]:
    """What institutions and conventions are called; those the ledger does not know are left out."""
    gate = asyncio.Semaphore(NAMES_AT_ONCE_MAX)

    async def name(stream: str) -> tuple[str, str | None]:
        query = StatementQuery(stream=stream, on=on, known_at=known_at)
        async with gate:
            try:
                answer = await questions.statement_answer(bus, query)
            except questions.NotAnswered:
                return stream, None
        match statement.decode(bytes(answer.statement)):
            case statement.InstitutionStatement(name=str(called)):
                return stream.partition("/")[2], called
            case statement.ConventionStatement(title=title) if title:
                return stream, title
        return stream, None

    streams = [f"institution/{slug}" for slug in slugs] + [f"convention/{slug}" for slug in titles]
    found = await asyncio.gather(*map(name, dict.fromkeys(_possible(streams))))
    return {key: called for key, called in found if called is not None}


def _possible(streams: Iterable[str]) -> Iterator[str]:
    for stream in streams:
        with contextlib.suppress(ValueError):
            parse_stream(stream)
            yield stream


# -- show


@app.command(epilog="Example: registre show charte-besancon-2014 --on 2015-01-01")
def show(
    convention: Annotated[
        str,
        typer.Argument(
            metavar="CONVENTION",
            help="Its name, as `registre list` gives it; or any stream: institution/ville-besancon.",
        ),
    ],
    on: On = None,
    known_at: KnownAt = None,
    brief: Annotated[bool, typer.Option("--brief", help="Leave out the articles and the journal.")] = False,
    as_json: AsJson = False,
    nats: NatsUrl = NATS_URL_DEFAULT,
) -> None:
    """
    Show where a convention stands.

    Prints its parties, signatures, deliberations, money, what is due, avenants, agréments, findings,
    contradictions and journal, as in force on a day and as known at an instant.
    """
    query = StatementQuery(stream=_stream_or_exit(convention), on=_day(on), known_at=_moment(known_at))
    _run(_show(nats, query, full=not brief, as_json=as_json))


def _stream_or_exit(named: str) -> str:
    try:
        return _stream(named)
    except Complaint as error:
        raise typer.BadParameter(str(error)) from error


async def _show(url: str, query: StatementQuery, *, full: bool, as_json: bool) -> None:
    async with _bus(url) as bus:
        if as_json:
            _print_bytes(await questions.statement(bus, query))
            return
        _print(await _page(bus, query, full=full))


async def _page(bus: Client, query: StatementQuery, *, full: bool) -> list[pages.Line]:
    answer = await questions.statement_answer(bus, query)
    shown = statement.decode(bytes(answer.statement))
    return list(
        pages.statement(
            shown,
            names=await _names_of(bus, answer, shown),
            position=answer.position,
            known_at=answer.known_at,
            width=_width(),
            full=full,
        )
    )


async def _names_of(bus: Client, answer: StatementAnswer, shown: statement.Statement) -> dict[str, str]:
    """Every name that the page of a statement needs: those its own facts give, and those of institutions."""
    slugs: set[str] = set()
    told = []
    for line in (*shown.journal, *shown.cancelled):
        fact = envelope.decode_fact(line.type, line.fact)
        told.append((shown.stream, line.effective_on, fact))
        slugs |= french.institutions_in(fact) | {line.actor, *line.awaiting, *line.contested_by}
        slugs |= {line.on_behalf_of} if line.on_behalf_of else set()
    titles: list[str] = []
    match shown:
        case statement.ConventionStatement():
            titles = [slug for slug in (shown.under, shown.succeeds, shown.renewed_by) if slug]
        case statement.InstitutionStatement(succeeded_by=str(successor)):
            slugs.add(successor)
        case _:
            slugs.add(shown.stream.partition("/")[2])
    found = await _names(bus, sorted(slugs), titles, on=answer.on, known_at=answer.known_at)
    return {**french.names_from(told), **found}


# -- calendar, obligations, findings


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """One part of a convention's statement, for a program to read."""

    stream: str
    title: str
    on: date
    known_at: datetime | None
    position: int
    rules: str
    calendar: Calendar | None = None
    duties: Duties | None = None
    findings: tuple[Finding, ...] | None = None


@app.command(epilog="Example: registre calendar mjc-clairs-soleils-2026 --on 2026-06-30")
def calendar(
    convention: OfConvention,
    on: On = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
    nats: NatsUrl = NATS_URL_DEFAULT,
) -> None:
    """
    Show what is to be paid when, and what holds it back.

    Prints each instalment with its day, its amount and the formula that gives it, its conditions, what
    blocks it and who can unblock it, what was paid and what remains; as in force on a day and as known at an
    instant.
    """
    query = StatementQuery(stream=_stream_or_exit(convention), on=_day(on), known_at=_moment(known_at))
    _run(_show_part(nats, query, pages.calendar, lambda it: {"calendar": it.calendar}, as_json=as_json))


@app.command(epilog="Example: registre obligations pacte-chambery-2023 --institution ville-chambery")
def obligations(
    convention: OfConvention,
    institution: OneInstitution = None,
    on: On = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
    nats: NatsUrl = NATS_URL_DEFAULT,
) -> None:
    """
    Show who owes what by when, and who is owed it.

    Prints for each party what it has to do and what is owed to it, what presses first: documents, meetings,
    payments; due, met, late or waived; as in force on a day and as known at an instant.
    """
    query = StatementQuery(stream=_stream_or_exit(convention), on=_day(on), known_at=_moment(known_at))
    page = partial(pages.obligations, only=institution)
    _run(_show_part(nats, query, page, lambda it: {"duties": _duties_of(it, institution)}, as_json=as_json))


def _duties_of(shown: statement.ConventionStatement, institution: str | None) -> Duties:
    """All; or those *institution* owes or is owed, and the meetings that are not of others alone."""
    duties = shown.duties
    if institution is None:
        return duties
    owed = (line for line in duties.obligations if institution in (line.debtor, *line.creditors))
    held = (line for line in duties.meetings if not line.participants or institution in line.participants)
    return Duties(tuple(owed), tuple(held))


@app.command(epilog="Example: registre findings pacte-chambery-2023")
def findings(
    convention: Annotated[
        str | None,
        typer.Argument(metavar="CONVENTION", help="Only of this one. Default: of all, the worst first."),
    ] = None,
    institution: OneInstitution = None,
    on: On = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
    nats: NatsUrl = NATS_URL_DEFAULT,
) -> None:
    """
    Show where the facts depart from the terms, and what else deserves a look.

    Prints each with its article or its source in law, the facts it rests on, and how it goes away: of one
    convention, or of all of them (those of one institution, with --institution), the worst first.
    """
    day, moment = _day(on), _moment(known_at)
    if convention is not None:
        query = StatementQuery(stream=_stream_or_exit(convention), on=day, known_at=moment)
        _run(_show_part(nats, query, pages.findings, lambda it: {"findings": it.findings}, as_json=as_json))
    _run(_findings_everywhere(nats, ListQuery(institution=institution, on=day), moment, as_json=as_json))


async def _findings_everywhere(
    url: str, query: ListQuery, known_at: datetime | None, *, as_json: bool
) -> None:
    parts: list[Part] = []
    async with _bus(url) as bus:
        listed = await questions.list_conventions(bus, query)
        with _progress("conventions") as progress:
            for row in progress.track(listed.rows, description="findings"):
                asked = StatementQuery(stream=row.stream, on=listed.on, known_at=known_at)
                try:
                    answer, shown = await _convention(bus, asked)
                except questions.NotAnswered as error:
                    if error.code != "unknown_stream":
                        raise
                    continue  # it was not known then
                parts.append(_part(answer, shown, findings=shown.findings))
    if as_json:
        _print_bytes(_encode_part(parts))
        return
    found = [(part.stream, one) for part in parts for one in part.findings or ()]
    titles = {part.stream: part.title for part in parts}
    _print(pages.findings_everywhere(found, titles=titles, on=listed.on, width=_width()))


async def _show_part(
    url: str,
    query: StatementQuery,
    page: Callable[..., Iterator[pages.Line]],
    part: Callable[[statement.ConventionStatement], dict[str, Any]],
    *,
    as_json: bool,
) -> None:
    """Print a page of a convention's statement, or a part of it as JSON."""
    async with _bus(url) as bus:
        answer, shown = await _convention(bus, query)
        if as_json:
            _print_bytes(_encode_part(_part(answer, shown, **part(shown))))
            return
        names = await _names_of(bus, answer, shown)
        _print(page(shown, names=names, position=answer.position, known_at=answer.known_at, width=_width()))


async def _convention(
    bus: Client, query: StatementQuery
) -> tuple[StatementAnswer, statement.ConventionStatement]:
    answer = await questions.statement_answer(bus, query)
    shown = statement.decode(bytes(answer.statement))
    if not isinstance(shown, statement.ConventionStatement):
        raise Complaint(f"{query.stream} is no convention: `registre show {query.stream}` tells about it")
    return answer, shown


def _part(answer: StatementAnswer, shown: statement.ConventionStatement, **part: Any) -> Part:
    return Part(shown.stream, shown.title, shown.on, answer.known_at, answer.position, shown.rules, **part)


_encode_part: Final = msgspec.json.Encoder(enc_hook=dates.encode, order="sorted").encode


# -- list


@app.command("list", epilog="Example: registre list --institution ville-besancon")
def list_(
    institution: Annotated[
        str | None,
        typer.Option("--institution", "-i", metavar="NAME", help="Only the conventions it is party to."),
    ] = None,
    on: Annotated[
        str | None, typer.Option("--on", metavar="DATE", help="As in force on this day. Default: today.")
    ] = None,
    as_json: AsJson = False,
    nats: NatsUrl = NATS_URL_DEFAULT,
) -> None:
    """
    List conventions, with their state on a day.

    The reference on the last line of each is the name that `registre show` takes.
    """
    _run(_list(nats, ListQuery(institution=institution, on=_day(on)), as_json=as_json))


async def _list(url: str, query: ListQuery, *, as_json: bool) -> None:
    async with _bus(url) as bus:
        answer = await questions.list_conventions(bus, query)
        if as_json:
            _print_bytes(msgspec.json.encode(answer, enc_hook=dates.encode, order="sorted"))
            return
        slugs = sorted({party for row in answer.rows for party in row.parties})
        names = await _names(bus, slugs, on=answer.on, known_at=None)
        _print(pages.conventions(answer.rows, names=names, on=answer.on, width=_width()))


# -- events


@app.command(epilog="Example: registre events charte-besancon-2014 --json")
def events(
    convention: Annotated[
        str | None,
        typer.Argument(
            metavar="CONVENTION", help="Of this convention, or any stream. Default: the whole ledger."
        ),
    ] = None,
    after: Annotated[
        int, typer.Option("--after", metavar="POSITION", min=0, help="Only those after this position.")
    ] = 0,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones as they come.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Each event's own bytes as they are kept, one a line.")
    ] = False,
    nats: NatsUrl = NATS_URL_DEFAULT,
) -> None:
    """
    Print events in the order in which they were recorded.
    """
    stream = None if convention is None else _stream_or_exit(convention)
    _run(_events(nats, stream, after, follow=follow, as_json=as_json))


async def _events(url: str, stream: str | None, after: int, *, follow: bool, as_json: bool) -> None:
    async with _bus(url) as bus:

        async def tell(bodies: Sequence[bytes]) -> None:
            if as_json:
                _print_bytes(*bodies)
                return
            entries = [envelope.decode(body) for body in bodies]
            # A key has a meaning within its stream only, so each stream has names of its own.
            names = {one.envelope.stream: NO_NAMES for one in entries}
            for name in names:
                answer = await questions.statement_answer(bus, StatementQuery(stream=name))
                names[name] = await _names_of(bus, answer, statement.decode(bytes(answer.statement)))
            for one in entries:
                _print(pages.event(one, names=names[one.envelope.stream], width=_width()))

        if not follow:
            more = True
            while more:
                page = await questions.events(bus, EventsQuery(stream=stream, after=after))
                await tell([bytes(event) for event in page.events])
                after, more = page.last_position, page.more
            return
        await _interruptible(_follow(bus, stream, after, tell))


async def _follow(bus: Client, stream: str | None, after: int, tell: Any) -> None:
    async for body in questions.follow(bus, stream=stream, after=after):
        await tell([body])


# -- check, import


@app.command(epilog="Example: registre check my-dossier.yaml")
def check(
    dossier: Annotated[
        list[Path], typer.Argument(metavar="DOSSIER", help="Files; each may go on from those before it.")
    ],
) -> None:
    """
    Say what is wrong with a dossier, and write nothing.

    The file is read and played through the ledger's own rules, as into an empty ledger. Each problem is
    printed with file, line and the rule it breaks. Needs no server. Exit code 1 when there is a problem.
    """
    sound, problems = dossiers.check(dossier)
    for problem in problems:
        typer.echo(str(problem))
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        typer.echo(f"registre: {count} found; nothing was written", err=True)
        raise typer.Exit(1)
    for one in sound:
        typer.echo(f"{one.file}: {one.facts} facts in {len(one.commands)} commands, nothing wrong")


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one command of a dossier."""

    file: str
    line: int
    command: str
    stream: str
    outcome: str
    first_position: int | None = None
    last_position: int | None = None
    message: str | None = None


@app.command("import", epilog="Example: registre import my-dossier.yaml")
def import_(
    file: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Dossiers, in the order to record them in.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a command.")] = False,
    sign: Sign = None,
    seed: Credentials = None,
    nats: NatsUrl = NATS_URL_DEFAULT,
) -> None:
    """
    Record the facts of dossiers.

    Every file is read first: if one is badly written, nothing of any is sent. Commands go one by one,
    each all or nothing; importing again adds nothing twice. At a refusal the rest of that file is not sent,
    and the exit code is 1. With --sign each is signed for who records it, and holds in the ledger that the
    file names.
    """
    _run(_import(nats, file, sign, seed, as_json=as_json))


async def _import(
    url: str, files: Sequence[Path], sign: Path | None, seed: Path | None, *, as_json: bool
) -> int:
    read = [dossiers.read(file) for file in files]
    signer = signatures.read(sign) if sign else None
    refused = False
    async with _bus(url, seed) as bus:
        # What is signed for one ledger is refused by another; and a partner's account reaches no INFO.
        if signer is None:
            await _check_origin(bus, read)
        async for dossier, outcomes in _brought_in(bus, read, signer):
            refused = refused or any(one.outcome == "refused" for one in outcomes)
            if as_json:
                _print_bytes(*map(msgspec.json.encode, outcomes))
            else:
                _tell_outcomes(dossier, outcomes)
    return 1 if refused else 0


async def _check_origin(bus: Client, read: Sequence[dossiers.Dossier]) -> None:
    """Raises Complaint where a dossier is for another ledger than this one, which may be empty."""
    origin = await asking.origin(bus)
    for dossier in read:
        if dossier.origin != origin:
            raise Complaint(
                f"{dossier.file} is for the ledger {dossier.origin}, and this one is {origin}: "
                "nothing was sent; check the address of the server"
            )


async def _brought_in(
    bus: Client, read: Sequence[dossiers.Dossier], signer: signatures.Signer | None = None
) -> AsyncIterator[tuple[dossiers.Dossier, list[Outcome]]]:
    """Each dossier with what became of its commands: one file after the other, made-up lives all together."""
    timed = any(command.sent_at for dossier in read for command in dossier.commands)
    for together in [read] if timed else [[dossier] for dossier in read]:
        for told in zip(together, await _bring_in(bus, together, signer), strict=True):
            yield told


async def _bring_in(
    bus: Client, read: Sequence[dossiers.Dossier], signer: signatures.Signer | None
) -> list[list[Outcome]]:
    """What became of the commands of each dossier, sent in the order of their time; up to a refusal in it."""
    outcomes: dict[str, list[Outcome]] = {dossier.file: [] for dossier in read}
    positions: dict[str, dict[tuple[str, int], int]] = {dossier.file: {} for dossier in read}
    clock: datetime | None = None
    with _progress("commands") as progress:
        name = ", ".join(dossier.name for dossier in read)
        for dossier, command in progress.track(dossiers.in_order(read), description=name):
            told = outcomes[dossier.file]
            if told and told[-1].outcome == "refused":
                continue
            if command.sent_at is not None and command.sent_at != clock:
                clock = await asking.set_clock(bus, command.sent_at)
            told.append(await _bring_in_one(bus, dossier, command, positions[dossier.file], signer))
            positions[dossier.file].update(_positions(command, told[-1]))
    return [outcomes[dossier.file] for dossier in read]


def _positions(command: dossiers.Command, outcome: Outcome) -> dict[tuple[str, int], int]:
    """Where each fact of *command* stands; nothing where that cannot be told: some were known before."""
    first, last = outcome.first_position, outcome.last_position
    if first is None or last is None or last - first + 1 != command.facts:
        return {}
    return {(command.key, number): first + number - 1 for number in range(1, command.facts + 1)}


async def _bring_in_one(
    bus: Client,
    dossier: dossiers.Dossier,
    command: dossiers.Command,
    positions: Mapping[tuple[str, int], int],
    signer: signatures.Signer | None,
) -> Outcome:
    file = dossier.file
    try:
        request = command.asking(positions)
        if signer is not None:
            request = signer.sign(
                request, origin=dossier.origin, institution=command.recorded_by, stream=command.stream
            )
        answer = await _asked(bus, command.recorded_by, command.stream, request)
    except dossiers.EntryUnknown as error:
        return Outcome(file, command.line, command.key, command.stream, "refused", message=str(error))
    except asking.RefusedByRegistrar as error:
        path = error.refusal.fields[0].path if error.refusal.fields else "$"
        line = command.line_of(path)
        return Outcome(
            file, line, command.key, command.stream, "refused", message=_without_internals(error.refusal)
        )
    match answer:
        case Recording():
            outcome = "repeated" if answer.repeated else "recorded"
            return Outcome(
                file,
                command.line,
                command.key,
                command.stream,
                outcome,
                first_position=answer.first_position,
                last_position=answer.last_position,
            )
        case Unchanged():
            return Outcome(file, command.line, command.key, command.stream, "unchanged")


def _without_internals(refusal: Refusal) -> str:
    return f"{refusal.message} ({refusal.code})"


async def _asked(bus: Client, institution: str, stream: str, request: bytes) -> Recording | Unchanged:
    """The registrar's answer; asked again with the same id where the outcome is unknown."""
    for attempt in range(1, ATTEMPTS_MAX + 1):
        try:
            return await asking.ask(bus, institution, stream, request)
        except asking.OutcomeUnknown:
            if attempt == ATTEMPTS_MAX:
                raise
    raise AssertionError("unreachable")


def _tell_outcomes(dossier: dossiers.Dossier, outcomes: Sequence[Outcome]) -> None:
    new = sum(
        one.last_position - one.first_position + 1
        for one in outcomes
        if one.outcome == "recorded" and one.last_position is not None and one.first_position is not None
    )
    again = sum(one.outcome in ("repeated", "unchanged") for one in outcomes)
    said = [f"{_counted(new, 'fact')} recorded"] if new else []
    said += [f"{again} of {len(dossier.commands)} commands said nothing new"] if again else []
    said += ["nothing added"] if not new else []
    refused = [one for one in outcomes if one.outcome == "refused"]
    left = len(dossier.commands) - len(outcomes)
    if refused:
        said.append(f"refused at line {refused[0].line}")
        said += [f"{_counted(left, 'command')} after it not sent"] if left else []
    typer.echo(f"{dossier.name}: {', '.join(said)}")
    for one in refused:
        typer.echo(f"{one.file}:{one.line}: {one.message}", err=True)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


# -- who may record what; keys; a word on an entry


@app.command("authority", epilog="Example: registre authority payment-made")
def authority_(
    fact: Annotated[
        str | None, typer.Argument(metavar="FACT", help="Only the facts whose type has this in it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """
    Say who may record what, for each type of fact.

    It is the table that the ledger itself goes by: a refusal with the code not_authorised quotes it.
    """
    told = {kind.TYPE: rule.words for kind, rule in authority.RULES.items() if (fact or "") in kind.TYPE}
    if not told:
        raise typer.BadParameter(f"no type of fact has {fact!r} in it")
    if as_json:
        _print_bytes(msgspec.json.encode(told))
        return
    by_rule: dict[str, list[str]] = {}
    for tag, words in told.items():
        by_rule.setdefault(words, []).append(tag)
    for words, tags in by_rule.items():
        typer.echo(f"{words}\n" + "".join(f"    {tag}\n" for tag in tags))
    typer.echo(authority.FOR_OTHERS)


_keys = typer.Typer(
    help="The keys that institutions sign their commands with.",
    epilog="Example: registre keys new ville-besancon.key",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
app.add_typer(_keys, name="keys")

KeyFile = Annotated[Path, typer.Argument(metavar="KEYFILE", help="The file of the private key.")]
TheReason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why: it is read by partners.")]
AsInstitution = Annotated[
    str, typer.Option("--as", metavar="INSTITUTION", help="Whose word it is: ville-besancon.")
]
Ledger = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        envvar="REGISTRE_ORIGIN",
        metavar="NAME",
        help="The ledger to sign for, as the source of its events says. Default: the server is asked.",
    ),
]
EntryPosition = Annotated[
    int, typer.Argument(metavar="POSITION", min=1, help="Of the entry, as `registre show` gives it.")
]


@_keys.command("new", epilog="Example: registre keys new ville-besancon.key")
def keys_new(file: KeyFile) -> None:
    """Write a new signing key to a file that its owner alone may read, and print the public key."""
    try:
        signer = signatures.make(file)
    except OSError as error:
        typer.echo(f"registre: {file}: {error.strerror}", err=True)
        raise typer.Exit(1) from error
    typer.echo(signer.key)


@_keys.command("declare", epilog="Example: registre keys declare ville-besancon ville-besancon.key")
def keys_declare(
    institution: OfInstitution,
    file: KeyFile,
    seed: Credentials = None,
    nats: NatsUrl = NATS_URL_DEFAULT,
) -> None:
    """Record that an institution signs with the key in a file, in its own name."""
    _run(_declare_key(nats, institution, file, seed))


async def _declare_key(url: str, institution: str, file: Path, seed: Path | None) -> None:
    key = signatures.read(file).key
    stream = _stream(f"institution/{institution}")
    told = await _record(url, institution, stream, KeyDeclared(key=key), seed)
    typer.echo(f"{institution} signs with {key}: position {told}")


@_keys.command("withdraw", epilog="Example: registre keys withdraw ville-besancon KEY --reason 'poste volé'")
def keys_withdraw(
    institution: OfInstitution,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The public key, as `keys new` printed it.")],
    reason: TheReason,
    seed: Credentials = None,
    nats: NatsUrl = NATS_URL_DEFAULT,
) -> None:
    """Record that an institution signs with a key no more. What was signed before keeps its signature."""
    _run(_withdraw_key(nats, institution, key, reason, seed))


async def _withdraw_key(url: str, institution: str, key: str, reason: str, seed: Path | None) -> None:
    stream = _stream(f"institution/{institution}")
    told = await _record(url, institution, stream, KeyWithdrawn(key=key, reason=reason), seed)
    typer.echo(f"{institution} signs with {key} no more: position {told}")


@app.command(epilog="Example: registre confirm mjc-clairs-soleils-2026 150 --as ville-besancon")
def confirm(
    of: OfConvention,
    position: EntryPosition,
    by: AsInstitution,
    sign: Sign = None,
    ledger: Ledger = None,
    seed: Credentials = None,
    nats: NatsUrl = NATS_URL_DEFAULT,
) -> None:
    """Stand by an entry that was recorded for an institution, or of which it is the counterparty."""
    word = FactConfirmed(entry=position, by=by)
    _run(_say_of(nats, _stream(of), word, "confirmed", by, sign, ledger, seed))


@app.command(
    epilog="Example: registre contest mjc-clairs-soleils-2026 150 --as ville-besancon --reason 'non reçu'"
)
def contest(
    of: OfConvention,
    position: EntryPosition,
    by: AsInstitution,
    reason: TheReason,
    sign: Sign = None,
    ledger: Ledger = None,
    seed: Credentials = None,
    nats: NatsUrl = NATS_URL_DEFAULT,
) -> None:
    """Deny an entry that was recorded for an institution, or of which it is the counterparty."""
    word = FactContested(entry=position, by=by, reason=reason)
    _run(_say_of(nats, _stream(of), word, "contested", by, sign, ledger, seed))


async def _say_of(
    url: str,
    stream: str,
    word: FactConfirmed | FactContested,
    verb: str,
    by: str,
    sign: Path | None,
    ledger: str | None,
    seed: Path | None,
) -> None:
    signer = signatures.read(sign) if sign else None
    told = await _record(url, by, stream, word, seed, signer, ledger)
    typer.echo(f"entry {word.entry} of {stream} is {verb} by {by}: position {told}")


async def _record(
    url: str,
    institution: str,
    stream: str,
    fact: Event,
    seed: Path | None,
    signer: signatures.Signer | None = None,
    ledger: str | None = None,
) -> int | str:
    """The position of *fact*, effective today, that *institution* records; signed by *signer*."""
    today = datetime.now(UTC).date().isoformat()
    asked = asking.declaration(
        [asking.declared(fact, today)], command_id=asking.new_command_id(), channel="cli"
    )
    async with _bus(url, seed) as bus:
        if signer is not None:
            origin = ledger or await _origin(bus)
            asked = signer.sign(asked, origin=origin, institution=institution, stream=stream)
        answer = await _asked(bus, institution, stream, asked)
    return answer.first_position if isinstance(answer, Recording) else "recorded before"


async def _origin(bus: Client) -> str:
    try:
        return await asking.origin(bus)
    except (asking.NoRegistrar, runtime.BusError) as error:
        raise Complaint(
            "which ledger this is cannot be asked with these credentials: give its name with --ledger, as "
            "the source of its events says"
        ) from error


# -- rebuild, verify


@app.command(epilog="Example: registre rebuild")
def rebuild(nats: NatsUrl = NATS_URL_DEFAULT) -> None:
    """
    Make the read models anew from the events, beside those that answer.

    Questions are answered all the while; the new ones take over at the end, in one step.
    """
    _run(_rebuild(nats))


async def _rebuild(url: str) -> None:
    last = None
    async with _bus(url) as bus:
        with _progress("events") as progress:
            task = progress.add_task("rebuild", total=None)
            async for last in questions.rebuild(bus):
                progress.update(task, completed=last.position, total=max(last.target, 1))
    if last is not None:
        typer.echo(f"rebuilt up to position {last.position} in {last.seconds:.1f} s; it answers from now on")


@app.command(epilog="Example: registre verify --store .registre/demo/ledger.db")
def verify(
    store: Annotated[
        Path,
        typer.Option(
            "--store", envvar="REGISTRE_STORE", metavar="FILE", help="The file of the ledger's store."
        ),
    ] = Path(".registre/demo/ledger.db"),
    offline: Annotated[
        bool, typer.Option("--offline", help="Only the store's file; no server is asked.")
    ] = False,
    as_json: AsJson = False,
    nats: NatsUrl = NATS_URL_DEFAULT,
) -> None:
    """
    Go over everything again, and name the first difference.

    Recomputes every digest of the store, verifies every signed command, compares LEDGER with the store
    message by message, FEED with what the events make it for each institution, and the statements that the
    projector gives with a fresh replay.
    Writes nothing. Exit code 1 at a difference.
    """
    _run(_verify(store, nats, offline=offline, as_json=as_json))


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was verified, up to which position, and the first difference, if there is one."""

    ok: bool
    store: str
    origin: str
    position: int
    digest: str
    passes: tuple[str, ...]
    difference: dict[str, Any] | None = None


async def _verify(path: Path, url: str, *, offline: bool, as_json: bool) -> int:
    passes: list[str] = []
    difference: verification.Difference | None = None
    async with contextlib.AsyncExitStack() as stack:
        reader = await stack.enter_async_context(sqlite.reading(path))
        bus = None if offline else await stack.enter_async_context(_bus(url))
        position, digest = 0, ""
        try:
            await _pass("store", "events", verification.store(reader))
            passes.append("store")
            head = await reader.head()
            position, digest = head.position, head.digest.hex()
            await _pass("signatures", "events", verification.signatures(reader, head=head))
            passes.append("signatures")
            if bus is not None:
                await _pass("LEDGER", "events", verification.ledger(reader, bus, head=head))
                passes.append("ledger")
                await _pass("FEED", "events", verification.feed(reader, bus, head=head))
                passes.append("feed")
                ask = _asker(bus)
                today = datetime.now(UTC).date()
                await _pass(
                    "statements", "streams", verification.statements(reader, ask, head=head, on=today)
                )
                passes.append("statements")
        except verification.Difference as error:
            difference = error
        origin = reader.origin
    if as_json:
        facts = None if difference is None else _as_builtins(difference)
        verdict = Verdict(difference is None, str(path), origin, position, digest, tuple(passes), facts)
        _print_bytes(msgspec.json.encode(verdict))
    elif difference is None:
        typer.echo(f"{path}: {position} events of {origin}, verified: {', '.join(passes)}")
        typer.echo(f"running digest at position {position}: {digest}")
    else:
        typer.echo(f"registre: difference in {difference}", err=True)
    return 0 if difference is None else 1


def _as_builtins(difference: verification.Difference) -> dict[str, Any]:
    return {
        "pass": difference.where,
        "what": difference.what,
        "position": difference.position,
        "stream": difference.stream,
        "sequence": difference.sequence,
        "expected": difference.expected,
        "found": difference.found,
    }


def _asker(bus: Client) -> verification.Ask:
    async def ask(stream: str, on: date, position: int) -> verification.Answered:
        query = StatementQuery(stream=stream, on=on, at_least_position=position)
        answer = await questions.statement_answer(bus, query)
        return verification.Answered(bytes(answer.statement), answer.position)

    return ask


async def _pass(name: str, unit: str, steps: AsyncIterator[verification.Step]) -> None:
    with _progress(unit) as progress:
        task = progress.add_task(name, total=None)
        async for step in steps:
            progress.update(task, completed=step.done, total=max(step.total, 1))


# -- snapshot, differences


@app.command(epilog="Example: registre snapshot before.jsonl --on 2026-12-31")
def snapshot(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; replaced if it is there.")],
    on: On = None,
    nats: NatsUrl = NATS_URL_DEFAULT,
) -> None:
    """
    Keep every statement in a file, to compare with after a change of rules.

    Writes a line of JSON a stream: its statement on a day, the position it was computed from and the version
    of the rules. All are of one instant: what is recorded meanwhile is in none of them.
    """
    _run(_snapshot(nats, file, _day(on)))


async def _snapshot(url: str, file: Path, on: date | None) -> None:
    fresh = file.with_name(f"{file.name}.new")
    async with _bus(url) as bus:
        names, known_at = await snapshots.streams(bus)
        with fresh.open("wb") as written, _progress("statements") as progress:
            task = progress.add_task("snapshot", total=max(len(names), 1))
            async for one in snapshots.taken(bus, names, on=on, known_at=known_at):
                written.write(snapshots.line(one) + b"\n")
                progress.advance(task)
    fresh.replace(file)
    typer.echo(f"{file}: {_counted(len(names), 'statement')}")


@app.command(epilog="Example: registre differences before.jsonl")
def differences(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `registre snapshot` wrote.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a statement that differs.")
    ] = False,
    nats: NatsUrl = NATS_URL_DEFAULT,
) -> None:
    """
    List every statement that the present rules make another.

    Asks for each statement of a snapshot again, of the same day and from the same position of the ledger, and
    prints those that differ, in which parts and how. Writes nothing. Exit code 1 when one differs.
    """
    _run(_differences(nats, file, as_json=as_json))


async def _differences(url: str, file: Path, *, as_json: bool) -> int:
    before = snapshots.read(file)
    differing = []
    async with _bus(url) as bus:
        with _progress("statements") as progress:
            task = progress.add_task("differences", total=max(len(before), 1))
            async for one in snapshots.differing(bus, before):
                progress.advance(task)
                if one is not None:
                    differing.append(one)
    for one in differing:
        if as_json:
            _print_bytes(_encode_part(one))
        else:
            _tell_difference(one)
    if not as_json:
        typer.echo(f"{len(differing)} of {_counted(len(before), 'statement')} differ")
    return 1 if differing else 0


def _tell_difference(one: snapshots.Differs) -> None:
    rules = f"rules {one.rules_before}, now {one.rules_now}"
    parts = ", ".join(one.parts)
    typer.echo(f"{one.stream} on {one.on}, position {one.position}, {rules}: {parts}")
    for change in one.changes[:CHANGES_TOLD_MAX]:
        typer.echo(f"    {change.path}: {snapshots.shown(change.before)} -> {snapshots.shown(change.now)}")
    left = len(one.changes) - CHANGES_TOLD_MAX
    if left > 0:
        typer.echo(f"    and {_counted(left, 'more change')}; --json tells them")


# -- serve


WebsocketPort = Annotated[
    int,
    typer.Option(
        "--websocket",
        min=0,
        max=65_535,
        help="The port of NATS over WebSocket; a free one where it is taken.",
    ),
]


@app.command(epilog="Example: registre serve nats registrar relay feeder projector portal")
def serve(
    service: Annotated[
        list[str],
        typer.Argument(metavar="SERVICE", help="Any of: nats, registrar, relay, feeder, projector, portal."),
    ],
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            envvar="REGISTRE_DATA",
            metavar="DIR",
            help="Where the store, the read models and NATS keep theirs.",
        ),
    ] = DATA,
    origin: Annotated[
        str,
        typer.Option("--origin", envvar="REGISTRE_ORIGIN", metavar="NAME", help="The name of this ledger."),
    ] = "registre",
    nats: NatsUrl = NATS_URL_DEFAULT,
    listen: Annotated[
        str,
        typer.Option(
            "--listen",
            envvar="REGISTRE_NATS_LISTEN",
            metavar="ADDRESS",
            help="On which NATS listens, at the port of --nats; 0.0.0.0 is every address.",
        ),
    ] = embedded_nats.HOST_DEFAULT,
    websocket: WebsocketPort = embedded_nats.WEBSOCKET_PORT_DEFAULT,
    certificate: Annotated[
        Path | None,
        typer.Option(
            "--certificate",
            envvar="REGISTRE_NATS_CERTIFICATE",
            metavar="FILE",
            help="PEM, for NATS over WebSocket: with it and --key, wss:// on the address of --listen; "
            "without, ws:// on this machine only.",
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            "--key", envvar="REGISTRE_NATS_KEY", metavar="FILE", help="The private key of --certificate."
        ),
    ] = None,
) -> None:
    """
    Run services until Ctrl-C or SIGTERM.

    Each runs in a process of its own. When one ends by itself, all stop and the exit code is 1, for whatever
    supervises them to start them again. REGISTRE_STORE, REGISTRE_VIEWS, REGISTRE_PIECES and REGISTRE_PERSONS
    come before --data. The portal listens at REGISTRE_HTTP_ADDRESS.
    """
    known = ("nats", *processes.SERVICES)
    for name in service:
        if name not in known:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(known)}")
    if (certificate is None) != (key is None):
        raise typer.BadParameter("--certificate and --key go together")
    listening = Listening(listen, embedded_nats.Websocket(websocket, certificate, key))
    _run(_interruptible(_serve(tuple(dict.fromkeys(service)), data, origin, nats, listening)))


class Listening(msgspec.Struct, frozen=True):
    """Where a NATS server of ours listens, besides its port."""

    host: str
    websocket: embedded_nats.Websocket


async def _serve(names: tuple[str, ...], data: Path, origin: str, url: str, listening: Listening) -> None:
    async with contextlib.AsyncExitStack() as stack:
        data.mkdir(parents=True, exist_ok=True)
        seed = _seed(url)
        if "nats" in names:
            url, seed = await _nats(stack, data, _port(url), listening, runtime.seed_of(os.environ))
        environment = {
            **_kept_in(data),
            **os.environ,
            "REGISTRE_ORIGIN": origin,
            "REGISTRE_NATS_URL": url,
        }
        ours = [name for name in processes.SERVICES if name in names]
        services = processes.running(ours, _each(environment, seed), ready=_answers(url, seed))
        await stack.enter_async_context(services)
        _say(f"{', '.join(names)}: at work; NATS at {url}")
        await asyncio.Event().wait()


async def _nats(
    stack: contextlib.AsyncExitStack,
    data: Path,
    port: int,
    listening: Listening,
    seed: Path | None = None,
) -> tuple[str, Path]:
    """A NATS server of our own for as long as *stack* lives: its address, and the seed of who runs it."""
    seed = await partners.prepare(data / "nats", seed)
    server = await stack.enter_async_context(
        embedded_nats.running(data / "nats", port=port, host=listening.host, websocket=listening.websocket)
    )
    await stack.enter_async_context(processes.watched(server.ended()))
    _say(f"NATS over WebSocket at {server.websocket_url}")
    return server.url, seed


def _each(environment: Mapping[str, str], seed: Path | None) -> Callable[[str], Mapping[str, str]]:
    """The environment of each service: with its own seed, where the operator's is *seed*."""

    def of(name: str) -> Mapping[str, str]:
        if seed is None:
            return environment
        return {**environment, runtime.SEED: str(partners.seed_of_service(name, seed))}

    return of


def _answers(url: str, seed: Path | None) -> processes.Ready:
    async def ready(name: str) -> None:
        own = None if seed is None else partners.seed_of_service(name, seed)
        async with runtime.connected(url, accounts.HEALTH, seed=own) as bus:
            await runtime.answers(bus, name, seconds_max=START_SECONDS_MAX)

    return ready


def _port(url: str) -> int:
    port = url.rpartition(":")[2]
    return int(port) if port.isdigit() else embedded_nats.PORT_DEFAULT


async def _interruptible(work: Coroutine[Any, Any, None]) -> None:
    """Do *work* until it is done, or until Ctrl-C or SIGTERM, which let it put things in order."""
    with _signals() as stopping:
        task = asyncio.create_task(work)
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if task.done():
            task.result()
            return
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


# -- demo


HTTP_PORT_DEFAULT: Final = 8080


@app.command(epilog="Example: registre demo --once")
def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop after printing, instead of staying up.")] = False,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Where its data are kept. Default: .registre/demo"),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--dossiers", metavar="DIR", help="Other dossiers than the five of the demo."),
    ] = None,
    fictive: Annotated[
        bool, typer.Option("--cas-fictifs", help="The made-up cases instead, in a ledger of their own.")
    ] = False,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, help="Of NATS; a free one where it is taken.")
    ] = embedded_nats.PORT_DEFAULT,
    http: Annotated[
        int, typer.Option("--http", min=0, max=65_535, help="Of the portal; a free one where it is taken.")
    ] = HTTP_PORT_DEFAULT,
    websocket: WebsocketPort = embedded_nats.WEBSOCKET_PORT_DEFAULT,
) -> None:
    """
    Start everything, bring the dossiers in, and print where each convention stands.

    Starts a NATS server and the services, sends the dossiers through the ledger's own door, prints a
    statement a convention, and stays up until Ctrl-C. The second time it finds its data and adds nothing.
    """
    folder = folder or DEMO / ("cas-fictifs" if fictive else "dossiers")
    data = data or DATA / ("cas-fictifs" if fictive else "demo")
    _run(_interruptible(_demo(data, folder, port, websocket, http, once=once)))


async def _demo(data: Path, folder: Path, port: int, websocket: int, http: int, *, once: bool) -> None:
    read = _demo_dossiers(folder)
    async with contextlib.AsyncExitStack() as stack:
        data.mkdir(parents=True, exist_ok=True)
        host = embedded_nats.HOST_DEFAULT
        listening = Listening(host, embedded_nats.Websocket(websocket))
        url, seed = await _nats(stack, data, port, listening)
        environment = {
            **os.environ,
            **_kept_in(data),
            "REGISTRE_HTTP_ADDRESS": f"{host}:{http if embedded_nats.is_free(http, host) else 0}",
            "REGISTRE_ORIGIN": read[0].origin,
            "REGISTRE_NATS_URL": url,
            **_made_up_time(read),
        }
        services = processes.running(
            processes.SERVICES, _each(environment, seed), ready=_answers(url, seed), logs=data / "logs"
        )
        await stack.enter_async_context(services)
        _say(f"{', '.join(processes.SERVICES)} are at work; NATS at {url}; the data are in {data}")
        await _demonstrate(url, seed, read)
        if not once:
            await _tell_where(url, seed, data, is_fictional(read[0].origin))
            await asyncio.Event().wait()


def _made_up_time(read: Sequence[dossiers.Dossier]) -> dict[str, str]:
    """Where the clock of a ledger of made-up cases stands at first; nothing for any other."""
    if not is_fictional(read[0].origin):
        return {}
    sent = [command.sent_at for dossier in read for command in dossier.commands if command.sent_at]
    return {"REGISTRE_CLOCK": min(sent).isoformat()}


def _demo_dossiers(folder: Path) -> list[dossiers.Dossier]:
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise Complaint(f"there is no dossier (*.yaml) in {folder}: name another folder with --dossiers")
    sound, problems = dossiers.check(files)
    if problems:
        raise dossiers.DossierWrong(problems)
    origins = sorted({dossier.origin for dossier in sound})
    if len(origins) > 1:
        raise Complaint(f"the dossiers in {folder} are for several ledgers: {', '.join(origins)}")
    return sound


async def _demonstrate(url: str, seed: Path, read: Sequence[dossiers.Dossier]) -> None:
    async with _bus(url, seed) as bus:
        position = 0
        async for dossier, outcomes in _brought_in(bus, read):
            _tell_outcomes(dossier, outcomes)
            if any(one.outcome == "refused" for one in outcomes):
                raise Complaint(f"{dossier.file} was refused")
            position = max(position, *(one.last_position or 0 for one in outcomes))
        answer = await _caught_up(bus, position)
        for row in answer.rows:
            _print([pages.EMPTY, (("─" * min(_width(), pages.WIDTH_MAX), "soft"),), pages.EMPTY])
            query = StatementQuery(stream=row.stream, on=_last_day(read), at_least_position=position)
            _print(await _page(bus, query, full=False))
        sys.stdout.flush()


def _last_day(read: Sequence[dossiers.Dossier]) -> date | None:
    """The day on which made-up lives end, whatever the day is here; None for any other dossier: today."""
    sent = [command.sent_at for dossier in read for command in dossier.commands if command.sent_at]
    return max(sent).date() if sent else None


async def _caught_up(bus: Client, position: int) -> questions.Listing:
    """The list, once the projector knows what was just recorded."""
    query = ListQuery(at_least_position=position)
    async with asyncio.timeout(CATCH_UP_SECONDS_MAX):
        while True:
            try:
                return await questions.list_conventions(bus, query)
            except questions.NotAnswered as error:
                if error.code != questions.BEHIND:
                    raise


SHOWN: Final = "mjc-clairs-soleils-2026 --on 2026-06-30"
SHOWN_OF_MADE_UP: Final = "mjc-cas-fictif --on 2026-09-10 --known-at 2026-09-10T12:00:00Z"
"""A day on which the ledger had a payment twice, and did not know it yet."""


def _kept_in(data: Path) -> dict[str, str]:
    """Where services keep what is theirs."""
    return {
        "REGISTRE_STORE": str(data / "ledger.db"),
        "REGISTRE_VIEWS": str(data / "views"),
        "REGISTRE_PIECES": str(data / "pieces"),
        "REGISTRE_PERSONS": str(data / "persons.db"),
    }


async def _tell_where(url: str, seed: Path, data: Path, fictional: bool) -> None:
    async with _bus(url, seed) as bus:
        portal = (await runtime.answers(bus, "portal"))[runtime.URL]
    # As it was called: `make demo` runs the one in .venv/bin, which is on nobody's PATH.
    program = sys.argv[0] if Path(sys.argv[0]).name == "registre" else "registre"
    by = "" if _data_of(url) == data else f"    export {runtime.SEED}={seed}\n"
    _say(
        f"""
The ledger answers at {url}. In another terminal:

    export REGISTRE_NATS_URL={url}
{by}    {program} list
    {program} show {SHOWN_OF_MADE_UP if fictional else SHOWN}
    {program} verify --store {data / "ledger.db"}

The portal answers at {portal}, its API is described at {portal}/api/openapi.json.

Ctrl-C stops it; the data stay."""
    )


# -- partners

_partners = typer.Typer(
    help="Say which institutions may connect, and give them their credentials.",
    epilog="Example: registre partners add ville-besancon",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
app.add_typer(_partners, name="partners")
app.add_typer(command_line.persons, name="persons")
app.add_typer(command_line.tokens_, name="tokens")
app.add_typer(command_line.mandates_, name="mandates")

DataOfServer = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="REGISTRE_DATA",
        metavar="DIR",
        help="The data folder of the NATS server; its configuration is in DIR/nats. Default: that of the "
        "server at --nats, where `registre demo` or `registre serve` started it here.",
    ),
]
NewCredentials = Annotated[
    Path | None,
    typer.Option("--to", metavar="FILE", help="The file for its credentials. Default: INSTITUTION.nk, here."),
]
Wait = Annotated[
    float,
    typer.Option(
        "--wait",
        metavar="SECONDS",
        min=1,
        max=3600,
        help="How long you may take to signal a server that is not ours to signal.",
    ),
]
WAIT_SECONDS: Final = 120.0


@_partners.command("add", epilog="Example: registre partners add ville-besancon")
def partners_add(
    institution: OfInstitution,
    to: NewCredentials = None,
    data: DataOfServer = None,
    wait: Wait = WAIT_SECONDS,
    nats: NatsUrl = NATS_URL_DEFAULT,
) -> None:
    """
    Let an institution read its feed and send commands under its own name.

    Makes a key pair and writes its seed to a file that only you can read: hand it over, and delete it, for
    the server keeps the public key alone. Makes the consumer of its feed, has the server read its new
    accounts without a restart, and connects as the institution before it says that it is done.
    """
    office, file = _office(institution, to, data, wait, nats)
    _run(_add_partner(office, institution, file, nats))


async def _add_partner(office: partners.Office, institution: str, file: Path, url: str) -> None:
    await partners.add(office, institution, file)
    typer.echo(
        f"{institution} may connect: it was tried, with the credentials in {file}. Hand that file over by a "
        f"safe way and delete it here; there is no other copy.\n"
        f"It connects to {url}, asks JetStream with the prefix {accounts.API_PREFIX}, and reads the stream "
        f"{FEED} by the consumer {institution}."
    )


@_partners.command("list", epilog="Example: registre partners list --json")
def partners_list(
    data: DataOfServer = None, as_json: AsJson = False, nats: NatsUrl = NATS_URL_DEFAULT
) -> None:
    """
    List the institutions that may connect, and those that no longer may.

    Prints for each its public key, since when it may, and when its credentials were last replaced or revoked.
    """
    _run(_list_partners(_server_folder(data, nats), as_json=as_json))


async def _list_partners(folder: Path, *, as_json: bool) -> None:
    known = partners.register(folder)
    if as_json:
        _print_bytes(msgspec.json.encode(known))
        return
    for it in known:
        parts = [it.institution, it.key, f"since {it.added_at:%Y-%m-%d %H:%M} UTC"]
        parts += [f"new credentials {it.rotated_at:%Y-%m-%d %H:%M} UTC"] if it.rotated_at else []
        parts += [f"revoked {it.revoked_at:%Y-%m-%d %H:%M} UTC"] if it.revoked_at else []
        typer.echo("  ".join(parts))
    _say(f"{_counted(sum(it.revoked_at is None for it in known), 'partner')} may connect")


@_partners.command("rotate", epilog="Example: registre partners rotate ville-besancon")
def partners_rotate(
    institution: OfInstitution,
    to: NewCredentials = None,
    data: DataOfServer = None,
    wait: Wait = WAIT_SECONDS,
    nats: NatsUrl = NATS_URL_DEFAULT,
) -> None:
    """
    Give an institution new credentials in place of its old ones.

    The old ones end at once, and the connections made by them; what it has read stays read. Connects with
    the new ones before it says that it is done, and where the file still has the old ones, tries that these
    are refused, and replaces them.
    """
    office, file = _office(institution, to, data, wait, nats)
    _run(_rotate_partner(office, institution, file))


async def _rotate_partner(office: partners.Office, institution: str, file: Path) -> None:
    was_tried = await partners.rotate(office, institution, file)
    old = "the old ones were tried and are refused" if was_tried else "the old ones are dropped"
    typer.echo(f"{institution} has new credentials in {file}: they were tried and work, {old}.")


@_partners.command("revoke", epilog="Example: registre partners revoke ville-besancon")
def partners_revoke(
    institution: OfInstitution,
    old: Annotated[
        Path | None,
        typer.Option(
            "--old",
            metavar="FILE",
            help="Its credentials, to try that they are refused. Default: INSTITUTION.nk, where it is here.",
        ),
    ] = None,
    data: DataOfServer = None,
    wait: Wait = WAIT_SECONDS,
    nats: NatsUrl = NATS_URL_DEFAULT,
) -> None:
    """
    Let an institution connect no more.

    Its open connections end, and how far it had read is forgotten: should it be added again, it reads its
    feed from the beginning. What it has recorded stays in the ledger.
    """
    office, file = _office(institution, old, data, wait, nats)
    _run(_revoke_partner(office, institution, file))


async def _revoke_partner(office: partners.Office, institution: str, old: Path) -> None:
    was_tried = await partners.revoke(office, institution, old)
    how = (
        f"{old} was tried and is refused" if was_tried else "the server says that it has dropped its account"
    )
    typer.echo(f"{institution} may connect no more: {how}.")


@_partners.command("restore", epilog="Example: registre partners restore")
def partners_restore(data: DataOfServer = None, nats: NatsUrl = NATS_URL_DEFAULT) -> None:
    """
    Make the consumers of all partners again, after the stream FEED was made anew.

    Those that are there stay as they are; a new one begins at the first message. Credentials stay good.
    """
    _run(_restore_partners(_office_of(_server_folder(data, nats), WAIT_SECONDS, nats)))


async def _restore_partners(office: partners.Office) -> None:
    names = await partners.restore(office)
    typer.echo(f"{_counted(len(names), 'partner')} with a consumer: {', '.join(names)}")


def _office(
    institution: str, file: Path | None, data: Path | None, wait_seconds: float, url: str
) -> tuple[partners.Office, Path]:
    """What a change of partners needs, and the file of the credentials."""
    try:
        feed_of(institution)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return _office_of(_server_folder(data, url), wait_seconds, url), file or Path(f"{institution}.nk")


def _office_of(folder: Path, wait_seconds: float, url: str) -> partners.Office:
    def connect(seed: Path) -> contextlib.AbstractAsyncContextManager[Client]:
        return _bus(url, seed)

    return partners.Office(
        folder=folder,
        ledger_seed=runtime.seed_of(os.environ) or folder / partners.LEDGER_SEED,
        connect=connect,
        tell=_say,
        wait_seconds_max=wait_seconds,
    )


def _server_folder(data: Path | None, url: str) -> Path:
    data = data or _data_of(url)
    if data is None:
        raise typer.BadParameter(f"no server of ours is known at {url}: name its data folder with --data")
    return data / "nats"


# -- the program itself


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"registre {version('registre')}")
        raise typer.Exit


@app.callback()
def _program(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


# In the help, in the order in which somebody new meets them.
_ORDER: Final = (
    "demo",
    "list",
    "show",
    "calendar",
    "obligations",
    "findings",
    "events",
    "check",
    "import",
    "confirm",
    "contest",
    "authority",
    "verify",
    "snapshot",
    "differences",
    "rebuild",
    "serve",
)
app.registered_commands.sort(
    key=lambda command: _ORDER.index(command.name or getattr(command.callback, "__name__", ""))
)


if __name__ == "__main__":
    main()
