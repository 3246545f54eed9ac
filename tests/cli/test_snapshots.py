"""Statements kept in a file, and those that other rules make others."""

import json
from datetime import date
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from services import snapshots
from services.cli import app
from services.domain import statement
from tests.cli.conftest import Demo

CHARTE = "convention/charte-besancon-2014"


def called(demo: Demo, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments], env=demo.variables)


def taken(**parts: object) -> snapshots.Taken:
    body = msgspec.json.encode({"rules": "2", "phase": "projet", "papers": [], **parts})
    return snapshots.Taken("convention/a", date(2026, 1, 1), 7, "2", msgspec.Raw(body))


# -- what differs between two


def test_the_same_statement_of_other_rules_does_not_differ() -> None:
    assert snapshots.difference(taken(), taken(rules="3")) is None


def test_what_differs_is_told_by_part_and_by_place() -> None:
    before = taken(calendar={"instalments": [{"cents": 1}, {"cents": 2}]}, phase="projet", gone=None)
    now = taken(calendar={"instalments": [{"cents": 1}, {"cents": 3}, {"cents": 4}]}, phase="signe")
    differs = snapshots.difference(before, now)
    assert differs is not None
    assert differs.parts == ("calendar", "gone", "phase")
    places = {change.path: (change.before, change.now) for change in differs.changes}
    assert {path: tuple(one and bytes(one) for one in pair) for path, pair in places.items()} == {
        "calendar.instalments[1].cents": (b"2", b"3"),
        "calendar.instalments[2]": (None, b'{"cents":4}'),
        "gone": (b"null", None),
        "phase": (b'"projet"', b'"signe"'),
    }


def test_a_value_and_a_structure_in_its_place_are_one_change() -> None:
    differs = snapshots.difference(taken(exits={"ways": []}), taken(exits=[]))
    assert differs is not None
    assert [change.path for change in differs.changes] == ["exits"]


def test_no_more_changes_are_told_than_a_reader_looks_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "CHANGES_MAX", 2)
    differs = snapshots.difference(taken(), taken(a=1, b=2, c=3))
    assert differs is not None
    assert (len(differs.changes), differs.parts) == (2, ("a", "b", "c"))


# -- the commands


@pytest.fixture(scope="module")
def kept(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("snapshot") / "before.jsonl"
    result = called(demo, "snapshot", str(path), "--on", "2026-06-30")
    assert result.exit_code == 0, result.stderr
    return path


def test_a_snapshot_has_every_stream_of_one_day_and_one_position(demo: Demo, kept: Path) -> None:
    lines = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    assert {(one["on"], one["position"], one["rules"]) for one in lines} == {
        ("2026-06-30", lines[0]["position"], statement.RULES_VERSION)
    }
    streams = [one["stream"] for one in lines]
    assert len(streams) == len(set(streams))
    assert {stream.partition("/")[0] for stream in streams} >= {"convention", "institution"}
    shown = json.loads(called(demo, "show", CHARTE, "--on", "2026-06-30", "--json").stdout)
    assert next(one["statement"] for one in lines if one["stream"] == CHARTE) == shown["statement"]
    assert list(kept.parent.iterdir()) == [kept], "what was half written is gone"


def test_the_same_rules_make_no_difference(demo: Demo, kept: Path) -> None:
    result = called(demo, "differences", str(kept))
    count = len(kept.read_bytes().splitlines())
    assert (result.exit_code, result.stdout) == (0, f"0 of {count} statements differ\n")


def test_other_rules_are_told_by_the_statements_that_they_change(
    demo: Demo, kept: Path, tmp_path: Path
) -> None:
    """The snapshot of rules that called a phase, and gave a title, in another way."""
    other = tmp_path / "other.jsonl"
    lines = kept.read_text(encoding="utf-8").splitlines()
    for number, text in enumerate(lines):
        one = json.loads(text)
        if one["stream"] == CHARTE:
            one["rules"] = one["statement"]["rules"] = "2"
            one["statement"]["phase"] = "inconnu"
            lines[number] = json.dumps(one)
    other.write_text("\n".join(lines) + "\n", encoding="utf-8")
    result = called(demo, "differences", str(other))
    assert result.exit_code == 1
    head, change, last = result.stdout.splitlines()
    assert head.startswith(f"{CHARTE} on 2026-06-30, position ")
    assert head.endswith(f", rules 2, now {statement.RULES_VERSION}: phase")
    assert change.startswith('    phase: "inconnu" -> "')
    assert last == f"1 of {len(lines)} statements differ"
    as_json = called(demo, "differences", str(other), "--json")
    [told] = [json.loads(line) for line in as_json.stdout.splitlines()]
    assert (as_json.exit_code, told["stream"], told["parts"]) == (1, CHARTE, ["phase"])
    assert told["changes"][0]["before"] == "inconnu"


def test_a_file_that_is_no_snapshot_is_told_with_its_line(demo: Demo, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text("{}\n", encoding="utf-8")
    result = called(demo, "differences", str(path))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"registre: {path}:1: this is no line of a snapshot (")


def test_a_snapshot_of_another_ledger_is_told(demo: Demo, kept: Path, tmp_path: Path) -> None:
    path = tmp_path / "ahead.jsonl"
    first = json.loads(kept.read_text(encoding="utf-8").splitlines()[0])
    path.write_text(json.dumps({**first, "position": 1_000_000}) + "\n", encoding="utf-8")
    result = called(demo, "differences", str(path))
    assert result.exit_code == 1
    assert "the ledger has no event at position 1000000" in result.stderr


# -- one part of a statement


@pytest.mark.parametrize(
    "command, words, part",
    [
        ("calendar", "Échéancier", "calendar"),
        ("obligations", "Obligations", "duties"),
        ("findings", "Écarts et points d’attention", "findings"),
    ],
)
def test_a_part_of_a_statement_is_shown_on_a_day_and_as_known_at_an_instant(
    demo: Demo, command: str, words: str, part: str
) -> None:
    name = "mjc-clairs-soleils-2026"
    page = called(demo, command, name, "--on", "2026-06-30")
    assert page.exit_code == 0, page.stderr
    lines = page.stdout.splitlines()
    assert lines[0].startswith("Convention-cadre de partenariat 2026-2029")
    assert lines[1] == words
    assert lines[2].startswith("Telle qu’en vigueur le 30 juin 2026, telle que connue à ce jour")
    for slug in ("ville-besancon", "mjc-clairs-soleils", "None"):
        assert slug not in page.stdout
    answer = json.loads(called(demo, command, name, "--on", "2026-06-30", "--json").stdout)
    whole = json.loads(called(demo, "show", name, "--on", "2026-06-30", "--json").stdout)
    assert answer[part] == whole["statement"][part]
    assert (answer["stream"], answer["on"]) == (f"convention/{name}", "2026-06-30")
    assert (answer["position"], answer["rules"]) == (whole["position"], statement.RULES_VERSION)
    early = called(demo, command, name, "--known-at", "2020-01-01T00:00:00Z")
    assert early.exit_code == 1
    assert "nothing is recorded of" in early.stderr


def test_obligations_may_be_those_of_one_institution(demo: Demo) -> None:
    asked = ("obligations", "mjc-clairs-soleils-2026", "-i", "ccas-besancon")
    duties = json.loads(called(demo, *asked, "--json").stdout)["duties"]
    assert duties["obligations"]
    assert all("ccas-besancon" in (line["debtor"], *line["creditors"]) for line in duties["obligations"])
    page = called(demo, *asked).stdout
    assert "CCAS DE BESANÇON : ON NOUS DOIT" in page.replace("\N{NO-BREAK SPACE}", " ")
    assert "VILLE DE BESANÇON" not in page


def test_findings_of_all_conventions_stand_in_one_list(demo: Demo) -> None:
    everything = json.loads(called(demo, "findings", "--json").stdout)
    assert len(everything) == 6
    of_one = json.loads(called(demo, "findings", "charte-besancon-2014", "--json").stdout)
    assert of_one in everything
    mine = json.loads(called(demo, "findings", "-i", "mjc-palente", "--json").stdout)
    assert [part["stream"] for part in mine] == [CHARTE]
    page = called(demo, "findings").stdout
    assert page.startswith("Écarts et points d’attention de toutes les conventions\n")


def test_what_is_no_convention_has_no_calendar(demo: Demo) -> None:
    result = called(demo, "calendar", "institution/ccas-besancon")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "institution/ccas-besancon is no convention" in result.stderr
