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
from tests.cli.conftest import Demo, registre
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
        async with runtime.connected(demo.url, "test") as bus:
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
    options = ("demo", "--cas-fictifs", "--once", "--port", "0", "--data", str(tmp_path / "data"))
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


def test_importing_again_where_the_clock_has_gone_on_adds_nothing(lived: Demo) -> None:
    files = map(str, sorted(FOLDER.glob("*.yaml")))
    position = len(events(lived))
    result = registre("import", *files, "--nats", lived.url)
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
