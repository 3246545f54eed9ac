"""Who may record what, as users read it: the table, a dossier that breaks it, and files that hold no key."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contracts.events import EVENTS
from services.cli import app

DOSSIER = """
dossier: essai
title: Essai
origin: registre.demo
recorded_by: ville
prepared_at: 2026-01-01T09:00:00Z
commands:
  - key: ouverture
    stream: convention/essai
    facts:
      - type: convention.opened.v1
        effective_on: 2026-01-01
        data: {nature: pacte, title: Essai, force: engagement-ferme}
      - type: convention.party-listed.v1
        effective_on: 2026-01-01
        data: {institution: mjc}
  - key: suite
    recorded_by: mjc
    stream: convention/essai
    facts:
      - type: convention.meeting-held.v1
        effective_on: 2026-02-01
        data: {body: comite}
      - type: convention.clause-stated.v1
        effective_on: 2026-01-01
        data: {article: "1", about: objet}
"""


def registre(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


def test_the_table_has_every_fact_and_is_printed_by_rule() -> None:
    code, printed, _ = registre("authority", "--json")
    table = json.loads(printed)
    assert (code, set(table)) == (0, set(EVENTS))
    code, printed, _ = registre("authority")
    assert code == 0
    for tag, words in table.items():
        before, _, after = printed.partition(f"    {tag}\n")
        assert after, tag
        assert words == [line for line in before.splitlines() if not line.startswith(" ") and line][-1]


def test_one_asks_of_some_facts_only() -> None:
    code, printed, _ = registre("authority", "payment-made")
    assert code == 0
    assert [line for line in printed.splitlines() if line.startswith("    ")] == [
        "    convention.payment-made.v1"
    ]
    assert registre("authority", "nothing-of-the-kind")[0] == 2


def test_check_tells_what_is_not_anothers_to_record_with_its_line_and_rule(tmp_path: Path) -> None:
    file = tmp_path / "essai.yaml"
    file.write_text(DOSSIER, encoding="utf-8")
    code, printed, _ = registre("check", str(file))
    assert code == 1
    table = json.loads(registre("authority", "clause-stated", "--json")[1])
    assert printed == (
        f"{file}:{DOSSIER.splitlines().index('      - type: convention.clause-stated.v1') + 1}: "
        "convention.clause-stated.v1 is not for mjc to record in convention/essai, where it is a party "
        f"(it is for {table['convention.clause-stated.v1']})\n"
    )


@pytest.mark.parametrize("content", ["", "00" * 31, "00" * 33, "zz" * 32, "é" * 32, "SUAM" * 14])
def test_a_file_that_holds_no_key_signs_nothing(tmp_path: Path, content: str) -> None:
    file = tmp_path / "key"
    file.write_text(content, encoding="utf-8")
    code, _, said = registre("confirm", "essai", "1", "--as", "ville", "--sign", str(file))
    assert code == 1
    assert said == (
        f"registre: {file} holds no signing key: one line of 64 hexadecimal digits, as `registre keys new` "
        "writes it\n"
    )
