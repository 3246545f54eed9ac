"""
Lives of years in a ledger of their own: what it recorded when, and what it knew of a day on another.
"""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from contracts import envelope
from contracts.dates import PartialDate
from contracts.queries import StatementQuery
from eventstore import sqlite
from services import dossiers, questions, runtime
from services.domain import statement
from services.domain.statement import ConventionStatement, Statement
from services.registrar.service import attend
from tests.cli.conftest import FREE_PORTS, Demo, registre
from tests.conftest import NatsServer

FOLDER = Path("deploy/demo/cas-fictifs")
MJC, AGREMENT = "convention/mjc-cas-fictif", "agrement/mjc-fictive"
DEPARTEMENT = "convention/departement-cas-fictif"


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Both lives, told through every process; it stays up for the tests of this module to ask."""
    running = Demo(tmp_path_factory.mktemp("fictifs") / "data", "--cas-fictifs")
    yield running
    assert running.stop() == 0


def asked(demo: Demo, *queries: StatementQuery) -> list[Statement]:
    async def ask() -> list[Statement]:
        async with runtime.connected(demo.url, "test", seed=demo.seed) as bus:
            return [
                statement.decode(bytes((await questions.statement_answer(bus, query)).statement))
                for query in queries
            ]

    return asyncio.run(ask())


async def _events(store: Path) -> list[envelope.Envelope]:
    async with sqlite.reading(store) as reader:
        return [envelope.decode(event.body).envelope for event in await reader.read_all(after=0)]


def events(demo: Demo) -> list[envelope.Envelope]:
    return asyncio.run(_events(demo.data / "ledger.db"))


# -- when it was recorded


def test_every_event_was_recorded_at_the_instant_at_which_its_command_was_sent(lived: Demo) -> None:
    read, problems = dossiers.check(sorted(FOLDER.glob("*.yaml")))
    assert problems == []
    commands = [command for _, command in dossiers.in_order(read)]
    sent = {command.command_id: command.sent_at for command in commands}
    recorded = events(lived)
    assert [event.recorded_at for event in recorded] == [sent[event.command_id] for event in recorded]
    assert {event.source for event in recorded} == {"registre.cas-fictifs"}
    # Two lives of several years each, one among the other: as time went, not file after file.
    assert [event.recorded_at for event in recorded] == sorted(event.recorded_at for event in recorded)
    assert recorded[-1].recorded_at - recorded[0].recorded_at > timedelta(days=18 * 365)
    # Who is in both files is told once.
    told = {event.command_id for event in recorded}
    assert {command.key for command in commands if command.command_id not in told} == {
        "registre-instruction",
        "caf-fictive",
        "departement-fictif",
        "federation-fictive",
    }


def test_no_command_says_when_it_was_recorded() -> None:
    for path in sorted(FOLDER.glob("*.yaml")):
        for command in dossiers.read(path).commands:
            declaration = json.loads(command.request)
            assert set(declaration) == {"command_id", "facts", "channel"}
            assert all("sent_at" not in fact for fact in declaration["facts"])


def test_nothing_is_told_before_it_happened(lived: Demo) -> None:
    for event in events(lived):
        assert event.effective_on.after(event.recorded_at.date()) is not True, event


def test_a_second_time_it_finds_its_data_and_adds_nothing(tmp_path: Path) -> None:
    options = ("demo", "--cas-fictifs", "--once", *FREE_PORTS, "--data", str(tmp_path / "data"))
    first, second = registre(*options), registre(*options)
    assert (first.returncode, second.returncode) == (0, 0), second.stderr
    assert re.findall(r"^(\S+): \d+ facts recorded", first.stdout, re.MULTILINE) == [
        "departement-cas-fictif",
        "mjc-cas-fictif",
    ]
    assert [line for line in second.stdout.splitlines() if "nothing added" in line] == [
        line for line in second.stdout.splitlines() if re.match(r"\S+-cas-fictif: ", line)
    ]
    assert first.stdout.partition("\n\n")[2] == second.stdout.partition("\n\n")[2]


def test_a_life_that_was_interrupted_goes_on_where_it_was(tmp_path: Path) -> None:
    folder, data = tmp_path / "dossiers", tmp_path / "data"
    folder.mkdir()
    whole = (FOLDER / "departement-cas-fictif.yaml").read_text(encoding="utf-8")
    told = folder / "departement-cas-fictif.yaml"
    options = ("demo", "--once", *FREE_PORTS, "--data", str(data), "--dossiers", str(folder))
    told.write_text(whole[: whole.index("  - key: avenant-2\n")], encoding="utf-8")
    first = registre(*options)
    begun = asyncio.run(_events(data / "ledger.db"))
    told.write_text(whole, encoding="utf-8")
    second = registre(*options)
    assert (first.returncode, second.returncode) == (0, 0), second.stderr
    recorded = asyncio.run(_events(data / "ledger.db"))
    assert 0 < len(begun) < len(recorded)
    assert recorded[: len(begun)] == begun
    sent = {command.command_id: command.sent_at for command in dossiers.read(told).commands}
    assert [event.recorded_at for event in recorded] == [sent[event.command_id] for event in recorded]


def test_everything_of_it_is_verified(lived: Demo) -> None:
    result = registre("verify", "--store", str(lived.data / "ledger.db"), **lived.variables)
    assert result.returncode == 0, result.stderr
    verified = "verified: store, signatures, ledger, feed, statements"
    assert f"events of registre.cas-fictifs, {verified}" in result.stdout


def test_each_life_is_shown_as_it_stands_in_the_end(lived: Demo) -> None:
    titles = [line for line in lived.printed.splitlines() if "(cas fictif)" in line and line[0] != " "]
    assert len(titles) == 5
    shown = [line for line in lived.printed.splitlines() if line.startswith("Telle qu")]
    assert len(shown) == 5
    assert all("22 janvier 2029" in line for line in shown)


def test_importing_again_where_the_clock_has_gone_on_adds_nothing(lived: Demo) -> None:
    files = map(str, sorted(FOLDER.glob("*.yaml")))
    position = len(events(lived))
    result = registre("import", *files, **lived.variables)
    assert (result.returncode, result.stderr) == (0, "")
    assert [line.rpartition(", ")[2] for line in result.stdout.splitlines()] == ["nothing added"] * 2
    assert len(events(lived)) == position


async def test_a_ledger_that_keeps_the_machines_time_takes_no_life_of_years(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    stopping = asyncio.Event()
    async with (
        sqlite.opened(tmp_path / "ledger.db", origin="registre.cas-fictifs") as store,
        runtime.connected(nats_server.url, "registrar") as bus,
    ):
        attending = asyncio.create_task(attend(store, bus, stopping))
        await runtime.answers(bus, "registrar")
        file = str(FOLDER / "mjc-cas-fictif.yaml")
        result = await asyncio.to_thread(registre, "import", file, "--nats", nats_server.url)
        stopping.set()
        await attending
        assert (await store.head()).position == 0
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        "registre: the clock of the ledger registre.cas-fictifs cannot be set: this registrar was started "
        "without a clock that can be set (REGISTRE_CLOCK)\n"
    )


# -- what was known when


def money(exercice: int, column: str) -> Callable[[Statement], object]:
    def of(shown: Statement) -> object:
        assert isinstance(shown, ConventionStatement)
        [line] = [
            line
            for line in shown.money
            if (line.payer, line.exercice) in {("ville-fictive", exercice), ("caf-fictive", exercice)}
        ]
        return getattr(line, f"{column}_cents")

    return of


def field(name: str) -> Callable[[Statement], object]:
    return lambda shown: getattr(shown, name)


def notices(shown: Statement) -> object:
    assert isinstance(shown, ConventionStatement)
    return shown.notices_pending


def parties(shown: Statement) -> object:
    assert isinstance(shown, ConventionStatement)
    return len(shown.parties)


def contested(shown: Statement) -> object:
    return [line.position for line in shown.journal if line.contested_by] != []


class Known(NamedTuple):
    """Of a day, what the ledger knew on *then*, and what it knows in the end."""

    claim: str
    stream: str
    on: str
    then: str
    asked: Callable[[Statement], object]
    knew: object
    knows: object


KNOWN = (
    Known(
        "the solde was typed twice, until the entry was cancelled",
        MJC,
        "2026-09-10",
        "2026-09-10",
        money(2026, "paid"),
        326_500_00,
        246_000_00,
    ),
    Known(
        "the same, on the day of the payment itself",
        MJC,
        "2026-08-27",
        "2026-09-13",
        money(2026, "paid"),
        326_500_00,
        246_000_00,
    ),
    Known(
        "cancelled it is, on that day and ever after",
        MJC,
        "2026-09-10",
        "2026-09-14",
        money(2026, "paid"),
        246_000_00,
        246_000_00,
    ),
    Known(
        "the avenant that prolonged it came five weeks late",
        MJC,
        "2027-02-15",
        "2027-03-07",
        field("ends_on"),
        PartialDate("2028-12-31"),
        PartialDate("2029-12-31"),
    ),
    Known(
        "and does not reach back before its day",
        MJC,
        "2027-01-31",
        "2029-02-01",
        field("ends_on"),
        PartialDate("2028-12-31"),
        PartialDate("2028-12-31"),
    ),
    Known(
        "the payment had come back before anybody told",
        MJC,
        "2027-05-27",
        "2027-06-01",
        money(2027, "paid"),
        161_000_00,
        82_000_00,
    ),
    Known(
        "who should have received it contests, and that stays",
        MJC,
        "2027-05-27",
        "2027-05-27",
        contested,
        False,
        True,
    ),
    Known(
        "the agrément was withdrawn ten days before the ledger knew",
        AGREMENT,
        "2027-10-20",
        "2027-10-20",
        field("standing"),
        "granted",
        "withdrawn",
    ),
    Known(
        "the mise en demeure was sent before it was told",
        MJC,
        "2028-02-15",
        "2028-02-15",
        notices,
        (),
        ("mise-en-demeure-3",),
    ),
    Known(
        "the résiliation had been pronounced the day before",
        MJC,
        "2028-07-01",
        "2028-05-29",
        field("phase"),
        "en-vigueur",
        "resilie",
    ),
    Known(
        "the commune had not signed the second prolongation yet",
        DEPARTEMENT,
        "2014-02-01",
        "2014-02-01",
        field("ends_on"),
        PartialDate("2013-12-31"),
        PartialDate("2014-12-31"),
    ),
    Known(
        "the caisse had joined before the ledger knew",
        DEPARTEMENT,
        "2013-09-25",
        "2013-09-25",
        parties,
        4,
        5,
    ),
)


@pytest.mark.parametrize("row", KNOWN, ids=[row.claim for row in KNOWN])
def test_a_day_as_known_then_and_as_known_now(lived: Demo, row: Known) -> None:
    on = date.fromisoformat(row.on)
    then = datetime.fromisoformat(f"{row.then}T23:00:00+00:00").astimezone(UTC)
    knew, knows = asked(
        lived, StatementQuery(row.stream, on=on, known_at=then), StatementQuery(row.stream, on=on)
    )
    assert (row.asked(knew), row.asked(knows)) == (row.knew, row.knows)


# -- what shows of each life, to the cent and to the day


def instalment(exercice: int, key: str, *names: str) -> Callable[[ConventionStatement], object]:
    def of(shown: ConventionStatement) -> object:
        [line] = [line for line in shown.calendar.instalments if (line.exercice, line.key) == (exercice, key)]
        return tuple(getattr(line, name) for name in names)

    return of


def blocked(exercice: int, key: str) -> Callable[[ConventionStatement], object]:
    def of(shown: ConventionStatement) -> object:
        [line] = [line for line in shown.calendar.instalments if (line.exercice, line.key) == (exercice, key)]
        return line.state, [(block.kind, block.article, block.unblocked_by) for block in line.blocked_by]

    return of


def obligation(key: str, exercice: int, *names: str) -> Callable[[ConventionStatement], object]:
    def of(shown: ConventionStatement) -> object:
        [line] = [line for line in shown.duties.obligations if (line.key, line.exercice) == (key, exercice)]
        return tuple(getattr(line, name) for name in names)

    return of


def bodies(year: int) -> Callable[[ConventionStatement], object]:
    return lambda shown: [
        (line.state, len(line.held), line.at_least) for line in shown.duties.meetings if line.year == year
    ]


def gaps(shown: ConventionStatement) -> object:
    [coverage] = shown.coverage
    return [(str(gap.first), str(gap.last), gap.because) for gap in coverage.gaps], coverage.right_article


def courses(shown: ConventionStatement) -> object:
    return [(notice.key, str(notice.ends_on), notice.state) for notice in shown.exits.notices]


def ends(shown: ConventionStatement) -> object:
    return [(end.kind, end.on.text, end.reached) for end in shown.exits.ends]


def restitution(exercice: int, ground: str) -> Callable[[ConventionStatement], object]:
    def of(shown: ConventionStatement) -> object:
        [line] = [
            line for line in shown.exits.restitutions if (line.exercice, line.ground) == (exercice, ground)
        ]
        return line.owed_cents, line.returned_cents, line.remaining_cents

    return of


def told(*codes: str) -> Callable[[ConventionStatement], object]:
    """Which of *codes* stand among the findings."""
    return lambda shown: {finding.code for finding in shown.findings} & set(codes)


TWICE = ("paiement-en-double", "paiement-excessif")
SUSPENDED = ("2026-10-01", "2026-11-01", "suspended")

SHOWN: tuple[tuple[str, str, str, str | None, Callable[[ConventionStatement], object], object], ...] = (
    (
        "a third of last year's subsidy, 243 000 euros",
        MJC,
        "2026-02-01",
        None,
        instalment(2026, "acompte-1", "amount_cents", "due_on"),
        (81_000_00, date(2026, 2, 28)),
    ),
    (
        "half of what remains: (250 000 - 81 000) / 2",
        MJC,
        "2026-05-28",
        None,
        instalment(2026, "acompte-2", "amount_cents", "state"),
        (84_500_00, "paid"),
    ),
    (
        "the rest, of the subsidy as it was changed: 246 000 - 81 000 - 84 500",
        MJC,
        "2026-08-31",
        None,
        instalment(2026, "solde", "amount_cents", "state"),
        (80_500_00, "paid"),
    ),
    (
        "trop-perçu, as long as the solde stands there twice",
        MJC,
        "2026-09-10",
        "2026-09-10",
        instalment(2026, "solde", "state", "overpaid_cents"),
        ("overpaid", 80_500_00),
    ),
    (
        "and none any more",
        MJC,
        "2026-09-10",
        None,
        instalment(2026, "solde", "state", "overpaid_cents"),
        ("paid", 0),
    ),
    (
        "which is a finding, and for too much money",
        MJC,
        "2026-09-10",
        "2026-09-10",
        told(*TWICE),
        set(TWICE),
    ),
    (
        "that the cancellation clears, for whoever asks now",
        MJC,
        "2026-09-10",
        None,
        told(*TWICE),
        set(),
    ),
    (
        "the beneficiary contests what it is said to have received",
        MJC,
        "2027-06-01",
        "2027-06-01",
        told("fait-conteste"),
        {"fait-conteste"},
    ),
    (
        "until it is known that the money had come back",
        MJC,
        "2027-06-01",
        None,
        told("fait-conteste"),
        set(),
    ),
    (
        "a late report is missing, then late",
        MJC,
        "2027-08-20",
        None,
        told("document-manquant", "document-tardif"),
        {"document-manquant"},
    ),
    (
        "and late for ever",
        MJC,
        "2027-09-21",
        None,
        told("document-manquant", "document-tardif"),
        {"document-tardif"},
    ),
    (
        "a lost agrément and a mise en demeure that ran out",
        MJC,
        "2027-11-15",
        None,
        told("agrement-interrompu", "mise-en-demeure-echue"),
        {"agrement-interrompu", "mise-en-demeure-echue"},
    ),
    (
        "a payment after the end",
        MJC,
        "2028-07-10",
        None,
        told("paiement-apres-fin", "reunion-manquante"),
        {"paiement-apres-fin", "reunion-manquante"},
    ),
    (
        "the report that is late blocks the solde of August",
        MJC,
        "2027-09-05",
        None,
        blocked(2027, "solde"),
        ("blocked", [("document", "4.1", ("mjc-fictive", "ville-fictive"))]),
    ),
    (
        "until it comes",
        MJC,
        "2027-09-06",
        None,
        blocked(2027, "solde"),
        ("overdue", []),
    ),
    (
        "53 days late, of which 15 July to 6 September tells",
        MJC,
        "2027-09-06",
        None,
        obligation("rapport-activite", 2026, "state", "days_late"),
        ("met-late", 53),
    ),
    (
        "an odd cent is rounded up in the second instalment: 156 401.55 / 2",
        MJC,
        "2028-05-31",
        None,
        instalment(2028, "acompte-2", "amount_cents"),
        (78_200_78,),
    ),
    (
        "and the last one takes what is left",
        MJC,
        "2028-05-31",
        None,
        instalment(2028, "solde", "amount_cents"),
        (78_200_77,),
    ),
    (
        "the agrément is lost, which opens a right and ends nothing",
        MJC,
        "2027-11-15",
        None,
        gaps,
        ([SUSPENDED, ("2027-10-15", "2029-12-31", "withdrawn")], "8.2"),
    ),
    (
        "the agrément is found again, until a year before the term",
        MJC,
        "2028-01-20",
        None,
        gaps,
        ([SUSPENDED, ("2027-10-15", "2027-12-31", "withdrawn"), ("2029-01-01", "2029-12-31", "after")], None),
    ),
    (
        "two mises en demeure are satisfied, the third runs out",
        MJC,
        "2028-05-15",
        None,
        courses,
        [
            ("mise-en-demeure-1", "None", "satisfied"),
            ("mise-en-demeure-2", "2027-11-09", "satisfied"),
            ("mise-en-demeure-3", "2028-05-14", "run-out"),
        ],
    ),
    (
        "one meeting was held of the two that the avenant wants",
        MJC,
        "2028-01-01",
        None,
        bodies(2027),
        [("missing", 1, 2)],
    ),
    (
        "what was paid after the end is undue, found or not",
        MJC,
        "2028-07-10",
        None,
        restitution(2028, "undue"),
        (78_200_78, 0, 78_200_78),
    ),
    (
        "what was not used comes back in two parts",
        MJC,
        "2028-11-30",
        None,
        restitution(2028, "unused"),
        (12_345_67, 5_000_00, 7_345_67),
    ),
    (
        "and nothing remains to be returned",
        MJC,
        "2029-01-22",
        None,
        restitution(2028, "unused"),
        (12_345_67, 12_345_67, 0),
    ),
    (
        "the file is closed",
        MJC,
        "2029-01-22",
        None,
        lambda shown: shown.phase,
        "clos",
    ),
    (
        "prolonged twice, renewed, at its term, closed",
        DEPARTEMENT,
        "2015-06-30",
        None,
        ends,
        [
            ("prorogation", "2012-12-14", True),
            ("prorogation", "2013-12-19", True),
            ("renewal", "2014-11-20", True),
            ("expiry", "2014-12-31", True),
            ("closing", "2015-06-26", True),
        ],
    ),
    (
        "no prolongation before the last has signed it",
        DEPARTEMENT,
        "2014-01-29",
        None,
        lambda shown: (shown.ends_on, shown.phase),
        (PartialDate("2013-12-31"), "echu"),
    ),
    (
        "then it is in force again",
        DEPARTEMENT,
        "2014-01-30",
        None,
        lambda shown: (shown.ends_on, shown.phase),
        (PartialDate("2014-12-31"), "en-vigueur"),
    ),
    (
        "a caisse has joined",
        DEPARTEMENT,
        "2013-09-23",
        None,
        lambda shown: [party.institution for party in shown.parties][-1],
        "msa-fictive",
    ),
    (
        "the bilan that was seventeen days late",
        DEPARTEMENT,
        "2013-12-31",
        None,
        obligation("bilan-annuel", 2012, "state", "days_late"),
        ("met-late", 17),
    ),
    (
        "the one that takes over names it",
        "convention/departement-suivant-cas-fictif",
        "2015-01-01",
        None,
        lambda shown: (shown.phase, shown.succeeds),
        ("en-vigueur", "departement-cas-fictif"),
    ),
)


@pytest.mark.parametrize("row", SHOWN, ids=[row[0] for row in SHOWN])
def test_what_a_life_shows_on_a_day(
    lived: Demo,
    row: tuple[str, str, str, str | None, Callable[[ConventionStatement], object], object],
) -> None:
    _, stream, on, known, of, expected = row
    known_at = None if known is None else datetime.fromisoformat(f"{known}T23:00:00+00:00")
    [shown] = asked(lived, StatementQuery(stream, on=date.fromisoformat(on), known_at=known_at))
    assert isinstance(shown, ConventionStatement)
    assert of(shown) == expected
