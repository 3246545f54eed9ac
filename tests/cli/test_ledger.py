"""The commands against a running ledger."""

import asyncio
import contextlib
import json
import sqlite3
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import groupby
from pathlib import Path
from uuid import UUID

import pytest
from typer.testing import CliRunner, Result

from contracts.queries import StatementQuery
from eventstore import sqlite
from eventstore.store import Command, Recorded
from services import questions, runtime
from services.auditor import verification
from services.cli import app
from services.registrar.service import attend
from tests.cli.conftest import Demo, environment, registre
from tests.conftest import NatsServer
from tests.projector import ledgers

NOTE = "carsat-sud-est-2014"


def called(demo: Demo, *arguments: str) -> Result:
    """One command in this process, asked of the demo."""
    return CliRunner().invoke(app, [*arguments], env=demo.variables)


@pytest.fixture(scope="module")
def kept(demo: Demo) -> list[Recorded]:
    """Every event of the demo's store."""

    async def read() -> list[Recorded]:
        async with sqlite.reading(demo.data / "ledger.db") as store:
            return await store.read_all(after=0, events_max=100_000)

    return asyncio.run(read())


def test_the_demo_prints_a_statement_a_convention_and_says_where_it_answers(demo: Demo) -> None:
    for words in ("Charte des centres sociaux bisontins", "Telle qu’en vigueur le", "PARTIES ET SIGNATURES"):
        assert words in demo.printed
    assert demo.printed.count("Page abrégée") == 6
    assert (
        f"    export REGISTRE_NATS_URL={demo.url}\n    export REGISTRE_NATS_SEED={demo.seed}\n" in demo.said
    )


def test_importing_again_adds_nothing(demo: Demo, kept: list[Recorded]) -> None:
    result = called(demo, "import", "deploy/demo/dossiers/carsat-sud-est-2014.yaml", "--json")
    outcomes = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert {one["outcome"] for one in outcomes} == {"repeated"}
    plain = called(demo, "import", "deploy/demo/dossiers/carsat-sud-est-2014.yaml")
    assert plain.stdout == "carsat-sud-est-2014: 9 of 9 commands said nothing new, nothing added\n"
    after = called(demo, "events", "--after", str(kept[-1].position), "--json")
    assert (after.exit_code, after.stdout) == (0, "")


def test_a_refusal_is_told_with_file_and_line_and_what_was_not_sent(demo: Demo, tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(
        f"""\
dossier: suite
title: Suite
origin: registre.demo
recorded_by: registre-instruction
prepared_at: 2026-11-22T09:00:00Z
commands:
  - key: un
    stream: convention/{NOTE}
    facts:
      - type: convention.party-withdrew.v1
        effective_on: "2016"
        on_behalf_of: inconnue
        data: {{party: inconnue}}
  - key: deux
    stream: convention/{NOTE}
    facts:
      - {{type: convention.closed.v1, effective_on: "2016", data: {{}}}}
""",
        encoding="utf-8",
    )
    result = called(demo, "import", str(path))
    assert result.exit_code == 1
    assert result.stdout == "suite: nothing added, refused at line 13, 1 command after it not sent\n"
    assert result.stderr.startswith(f"{path}:13: inconnue is no party to convention/{NOTE}")
    status = called(demo, "show", NOTE, "--json")
    assert json.loads(status.stdout)["statement"]["phase"] == "projet"


def test_a_badly_written_file_stops_the_import_of_all(demo: Demo, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("dossier: x\n", encoding="utf-8")
    result = called(demo, "import", "deploy/demo/dossiers/carsat-sud-est-2014.yaml", str(bad))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert f"{bad}:1: the field 'title' is missing" in result.stderr


def test_a_dossier_for_another_ledger_is_not_sent(demo: Demo) -> None:
    result = called(demo, "import", "deploy/demo/cas-fictifs/mjc-cas-fictif.yaml")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "is for the ledger registre.cas-fictifs, and this one is registre.demo" in result.stderr


async def test_a_dossier_for_another_ledger_is_not_sent_to_an_empty_one(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    """No event tells yet which ledger it is, and no projector runs: the registrar says so itself."""
    dossier = "deploy/demo/dossiers/carsat-sud-est-2014.yaml"
    stopping = asyncio.Event()
    async with (
        sqlite.opened(tmp_path / "ledger.db", origin="registre.autre") as store,
        runtime.connected(nats_server.url, "registrar") as bus,
    ):
        attending = asyncio.create_task(attend(store, bus, stopping))
        await runtime.answers(bus, "registrar")
        result = await asyncio.to_thread(registre, "import", dossier, "--nats", nats_server.url)
        stopping.set()
        await attending
        position = (await store.head()).position
    assert (result.returncode, result.stdout, position) == (1, "", 0)
    assert result.stderr == (
        f"registre: {dossier} is for the ledger registre.demo, and this one is registre.autre: "
        "nothing was sent; check the address of the server\n"
    )


async def test_without_a_registrar_nothing_is_sent(nats_server: NatsServer) -> None:
    dossier = "deploy/demo/dossiers/carsat-sud-est-2014.yaml"
    result = await asyncio.to_thread(registre, "import", dossier, "--nats", nats_server.url)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("registre: no registrar answers on ")


@pytest.mark.parametrize("options", [[], ["--follow"], ["--follow", "--json"]])
def test_a_reader_that_has_read_enough_is_no_error(demo: Demo, options: list[str]) -> None:
    command = [sys.executable, "-m", "services.cli", "events", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(**demo.variables)
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(10) == 0


def test_events_as_json_are_the_stores_own_bytes(demo: Demo, kept: list[Recorded]) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "services.cli", "events", "--json"],
        capture_output=True,
        env=environment(**demo.variables),
        check=True,
    )
    assert run.stdout == b"".join(event.body + b"\n" for event in kept)
    one = called(demo, "events", NOTE, "--after", "20", "--json")
    expected = [event.body for event in kept if event.stream == f"convention/{NOTE}" and event.position > 20]
    assert one.stdout_bytes == b"".join(body + b"\n" for body in expected)


def test_events_for_people_name_institutions_and_the_instant(demo: Demo) -> None:
    result = called(demo, "events", NOTE)
    assert "Subvention envisagée par la Carsat Sud-Est" in result.stdout.replace("\n", " ").replace("  ", "")
    assert "enregistré le" in result.stdout
    assert "carsat-sud-est:" not in result.stdout


def test_following_gives_what_is_there_and_ends_with_a_signal(demo: Demo, kept: list[Recorded]) -> None:
    after = kept[-1].position - 3
    command = [sys.executable, "-m", "services.cli", "events", "--after", str(after), "--follow", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(**demo.variables)) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        process.terminate()
        assert process.wait(10) == 0
    assert lines == [event.body + b"\n" for event in kept[-3:]]


def test_show_is_computed_for_the_day_that_is_asked(demo: Demo) -> None:
    result = called(demo, "show", "convention-departementale-2015", "--on", "2016-06-30", "--json")
    assert json.loads(result.stdout)["on"] == "2016-06-30"
    before = called(demo, "show", "convention-departementale-2015", "--on", "2016-06-30")
    later = called(demo, "show", "convention-departementale-2015", "--on", "2018-01-01")
    assert "Telle qu’en vigueur le 30 juin 2016, telle que connue à ce jour" in before.stdout
    assert "Terme atteint" not in before.stdout
    assert "Terme atteint" in later.stdout


def test_show_as_known_at_an_instant_knows_nothing_that_came_later(demo: Demo, kept: list[Recorded]) -> None:
    mine = [event for event in kept if event.stream == f"convention/{NOTE}"]
    opened = datetime.fromisoformat(json.loads(mine[0].body)["time"])
    result = called(demo, "show", NOTE, "--known-at", opened.isoformat(), "--json")
    answer = json.loads(result.stdout)
    known = [event for event in mine if datetime.fromisoformat(json.loads(event.body)["time"]) <= opened]
    assert len(known) < len(mine)
    assert len(answer["statement"]["journal"]) == len(known)
    page = called(demo, "show", NOTE, "--known-at", opened.isoformat())
    assert f"telle que connue le {opened.day} " in page.stdout
    too_early = called(demo, "show", NOTE, "--known-at", (opened - timedelta(days=1)).isoformat())
    assert too_early.exit_code == 1
    assert too_early.stderr.startswith("registre: nothing is recorded of 'convention/carsat-sud-est-2014'")


def test_a_page_has_names_and_no_slug_that_the_ledger_can_name(demo: Demo) -> None:
    page = called(demo, "show", "charte-besancon-2014").stdout
    assert "Ville de Besançon" in page
    for slug in ("ville-besancon", "ccas-besancon", "mjc-clairs-soleils", "registre-instruction", "None"):
        assert slug not in page


def test_other_streams_can_be_shown_too(demo: Demo) -> None:
    page = called(demo, "show", "institution/ccas-besancon").stdout
    assert page.splitlines()[0] == "CCAS de Besançon"
    assert "262500564" in page


def test_the_list_is_of_one_institution_when_it_is_named(demo: Demo) -> None:
    every = json.loads(called(demo, "list", "--json").stdout)
    mine = json.loads(called(demo, "list", "--institution", "mjc-palente", "--json").stdout)
    assert len(every["rows"]) == 6
    assert [row["stream"] for row in mine["rows"]] == ["convention/charte-besancon-2014"]
    page = called(demo, "list", "-i", "mjc-palente").stdout
    assert "Charte des centres sociaux bisontins" in page
    assert "convention/charte-besancon-2014" in page
    assert "Pacte" not in page


def test_a_rebuild_ends_at_the_last_position(demo: Demo, kept: list[Recorded]) -> None:
    result = called(demo, "rebuild")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"rebuilt up to position {kept[-1].position} in ")


def test_nothing_is_coloured_when_piped_and_lines_are_of_a_sensible_width(demo: Demo) -> None:
    run = registre("show", "mjc-clairs-soleils-2026", **demo.variables, TERM="xterm-256color")
    assert "\x1b" not in run.stdout + run.stderr
    assert max(map(len, run.stdout.splitlines())) <= 110
    assert not [line for line in run.stdout.splitlines() if line != line.rstrip(" ")]


# -- verify


def test_verify_finds_nothing_where_nothing_is_wrong(demo: Demo, kept: list[Recorded]) -> None:
    store = demo.data / "ledger.db"
    result = called(demo, "verify", "--store", str(store))
    assert result.exit_code == 0, result.stderr
    assert result.stdout == (
        f"{store}: {len(kept)} events of registre.demo, "
        "verified: store, signatures, ledger, feed, statements\n"
        f"running digest at position {kept[-1].position}: {kept[-1].digest.hex()}\n"
    )
    verdict = json.loads(called(demo, "verify", "--store", str(store), "--json").stdout)
    assert verdict == {
        "ok": True,
        "store": str(store),
        "origin": "registre.demo",
        "position": len(kept),
        "digest": kept[-1].digest.hex(),
        "passes": ["store", "signatures", "ledger", "feed", "statements"],
    }


def test_verify_names_the_row_in_which_one_byte_was_flipped(demo: Demo, tmp_path: Path) -> None:
    copy = tmp_path / "ledger.db"
    with (
        contextlib.closing(sqlite3.connect(demo.data / "ledger.db")) as source,
        contextlib.closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    content = copy.read_bytes()
    assert content.count(b'"position":30,') == 1
    copy.write_bytes(content.replace(b'"position":30,', b'"qosition":30,'))
    result = CliRunner().invoke(app, ["verify", "--offline", "--store", str(copy)])
    assert result.exit_code == 1
    assert result.stderr.startswith("registre: difference in store: position 30: ")
    as_json = CliRunner().invoke(app, ["verify", "--offline", "--store", str(copy), "--json"])
    assert as_json.exit_code == 1
    verdict = json.loads(as_json.stdout)
    assert (verdict["ok"], verdict["difference"]["position"], verdict["passes"]) == (False, 30, [])


async def forged(path: Path, kept: list[Recorded], *, position: int, before: bytes, after: bytes) -> None:
    """A store whose digests are right and that tells another history from *position* on."""
    async with sqlite.opened(path, origin="registre.demo") as store:
        for first, group in groupby(kept, key=lambda event: event.position - event.ordinal):
            events = list(group)
            bodies = [
                event.body.replace(before, after) if event.position == position else event.body
                for event in events
            ]
            command = Command("forger", UUID(int=first).bytes, bytes(32))
            await store.append(
                events[0].stream,
                [partial(_said, body) for body in bodies],
                expected=events[0].version - 1,
                command=command,
            )


def _said(body: bytes, position: int, version: int, recorded_at: datetime) -> bytes:
    return body


async def test_verify_names_the_first_message_of_ledger_that_differs(
    demo: Demo, kept: list[Recorded], tmp_path: Path
) -> None:
    copy = tmp_path / "ledger.db"
    await forged(copy, kept, position=40, before=b"carsat", after=b"Carsat")
    result = registre("verify", "--store", str(copy), **demo.variables)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith(
        f"registre: difference in ledger: position 40 ({kept[39].stream}): the bytes of its message; expected"
    )


@pytest.mark.parametrize(
    "header, value, what",
    [
        ("Registre-Digest", "0" * 64, "the digest header of its message"),
        ("Registre-Digest", "none", "the digest header of its message"),
        ("Registre-Origin", "registre.autre", "the origin header of its message"),
    ],
    ids=["another digest", "no digest", "another origin"],
)
async def test_verify_names_the_message_whose_bytes_agree_and_whose_label_does_not(
    kept: list[Recorded], nats_server: NatsServer, tmp_path: Path, header: str, value: str, what: str
) -> None:
    copy = tmp_path / "ledger.db"
    end = next(event.position for event in kept if event.position > 2 and event.ends_command)
    await forged(copy, kept[:end], position=0, before=b"", after=b"")
    labels = [
        {"Registre-Digest": event.digest.hex(), "Registre-Origin": "registre.demo"} for event in kept[:end]
    ]
    right = labels[1].pop(header)
    if value != "none":
        labels[1][header] = value
    async with runtime.connected(nats_server.url, "forger") as bus:
        await ledgers.create(bus)
        for event, headers in zip(kept[:end], labels, strict=True):
            category = event.stream.partition("/")[0]
            await bus.jetstream().publish(f"ledger.{category}", event.body, headers=headers)
    result = await asyncio.to_thread(registre, "verify", "--store", str(copy), "--nats", nats_server.url)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"registre: difference in ledger: position 2 ({kept[1].stream}): {what}; "
        f"expected {right}, found {value}\n"
    )


async def test_verify_tells_when_ledger_has_more_than_the_store(
    demo: Demo, kept: list[Recorded], tmp_path: Path
) -> None:
    copy = tmp_path / "ledger.db"
    end = next(event.position for event in reversed(kept[:-1]) if event.ends_command)
    await forged(copy, kept[:end], position=0, before=b"", after=b"")
    result = registre("verify", "--store", str(copy), **demo.variables)
    assert result.returncode == 1
    assert f"position {end + 1}: LEDGER has events that the store has not" in result.stderr


async def test_verify_names_the_statement_that_is_not_the_replays(demo: Demo) -> None:
    today = datetime.now(UTC).date()
    async with (
        sqlite.reading(demo.data / "ledger.db") as reader,
        runtime.connected(demo.url, "auditor", seed=demo.seed) as bus,
    ):
        head = await reader.head()

        async def answers(stream: str, on: date, position: int) -> verification.Answered:
            query = StatementQuery(stream, on=on, at_least_position=position)
            body = bytes((await questions.statement_answer(bus, query)).statement)
            if stream == f"convention/{NOTE}":
                body = body.replace(b'"phase":"projet"', b'"phase":"en-vigueur"')
            return verification.Answered(body, position)

        with pytest.raises(verification.Difference) as found:
            async for _ in verification.statements(reader, answers, head=head, on=today):
                pass
    assert found.value.stream == f"convention/{NOTE}"
    assert '"phase":"projet"' in found.value.expected
    assert '"phase":"en-vigueur"' in found.value.found


def test_a_store_that_is_not_there_is_told(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["verify", "--offline", "--store", str(tmp_path / "none.db")])
    assert result.exit_code == 1
    assert "there is no store here yet" in result.stderr
    assert list(tmp_path.iterdir()) == []
