"""`registre check` says what is wrong, with file, line and rule, and writes nothing."""

import json
from datetime import UTC
from pathlib import Path
from uuid import UUID

import pytest
from typer.testing import CliRunner

from contracts.commands import parse
from services import dossiers
from services.cli import app

HEAD = """\
dossier: essai
title: Un essai
origin: registre.test
recorded_by: ville
prepared_at: 2026-11-22T09:00:00Z
commands:
"""

OPENED = """\
  - key: ouverture
    stream: convention/essai
    facts:
      - {type: convention.opened.v1, effective_on: 2026-01-01,
         data: {nature: charte, title: Essai, force: engagement-ferme}}
      - {type: convention.party-listed.v1, effective_on: 2026-01-01,
         data: {institution: ville, role: financeur, signatories: [{key: maire, capacity: la Maire}]}}
      - {type: convention.party-listed.v1, effective_on: 2026-01-01, data: {institution: mjc}}
      - {type: convention.clause-stated.v1, effective_on: 2026-01-01,
         data: {article: "2", about: durée,
                term: {kind: fixed-period, starts_on: 2026-01-01, ends_on: 2026-12-31}}}
"""

SIGNED = """\
      - type: convention.signature-affixed.v1
        effective_on: 2026-01-{day}
        data: {{party: ville, signatory: maire, capacity: la Maire, basis: {{kind: unstated}}}}
"""

VOTED = """\
  - key: vote
    stream: convention/essai
    facts:
      - type: convention.subsidy-voted.v1
        effective_on: 2026-01-15
        data:
          payer: ville
          beneficiary: mjc
          exercice: 2026
          amount_cents: 81_000_00
"""

PLAN = """\
      - type: convention.clause-stated.v1
        effective_on: 2026-01-01
        data:
          article: "5"
          about: versements
          term:
            kind: instalment-plan
            payer: ville
            beneficiary: mjc
            exercices: [2026]
            instalments:
              - {key: acompte, label: acompte, due: {each_year: {month: 2}}}
              - key: solde
                label: solde
                due: {each_year: {month: 8}}
                share:
                  {numerator: 1, denominator: 2, minus: [acompte]}
"""

NOTICE = """\
      - type: convention.clause-stated.v1
        effective_on: 2026-01-01
        data:
          article: "6"
          about: dénonciation
          term:
            kind: denunciation
            form: lettre recommandée
            at_anniversary: true
            to_all_others: true
            notice:  # here
              {count: 13, unit: month, anchor: date anniversaire, direction: before}
"""

BAD = {
    "an unknown field": (
        OPENED + VOTED.replace("exercice: 2026\n", "exercice: 2026\n          couleur: rouge  # here\n"),
        "unknown field 'couleur' (no field but those of contracts/schemas)",
    ),
    "an unknown party": (
        OPENED + VOTED.replace("beneficiary: mjc", "beneficiary: inconnue  # here"),
        "inconnue is no party to convention/essai; its parties are ville, mjc (not a party)",
    ),
    "a date that does not exist": (
        OPENED + VOTED.replace("effective_on: 2026-01-15", "effective_on: 2026-02-30  # here"),
        "'2026-02-30' is no date: that day does not exist (a date exists, or is XXXX)",
    ),
    "a year without quotes": (
        OPENED + VOTED.replace("effective_on: 2026-01-15", "effective_on: 2026  # here"),
        'a date is written as text, got the number 2026: put it in quotes, "2014" (contracts/schemas)',
    ),
    "an amount that is no whole number of cents": (
        OPENED + VOTED.replace("81_000_00", "81000.50  # here"),
        (
            "amount_cents: '81000.50' is no whole number of cents "
            "(an amount is a whole number of cents, more than nothing)"
        ),
    ),
    "a negative amount": (
        OPENED + VOTED.replace("81_000_00", "-1  # here"),
        (
            "amount_cents: -1 is out of range: expected `int` >= 1 "
            "(an amount is a whole number of cents, more than nothing)"
        ),
    ),
    "a SIRET that fails its key": (
        """\
  - key: ville
    stream: institution/ville
    facts:
      - type: institution.registered.v1
        effective_on: XXXX
        data:
          name: Ville
          kind: commune
          siret: "21250056500017"  # here
""",
        "SIRET 21250056500017 fails its key: a digit is wrong (Code de commerce, art. R123-221)",
    ),
    "a second signature of the same person for a party": (
        OPENED
        + SIGNED.format(day="10")
        + SIGNED.format(day="11").replace("signature-affixed.v1", "signature-affixed.v1  # here"),
        None,
    ),
    "an avenant dated after the end": (
        OPENED
        + """\
      - type: convention.avenant-concluded.v1
        effective_on: 2027-01-01  # here
        data:
          number: "1"
          binds: [ville, mjc]
          rationale: prolonger
          changes: [{kind: prorogation, ends_on: 2028-12-31}]
""",
        None,
    ),
    "a formula that refers to itself": (
        OPENED
        + PLAN.replace("minus: [acompte]", "minus: [solde]").replace("key: solde", "key: solde  # here"),
        None,
    ),
    "a formula that refers to an exercice that nothing states": (
        OPENED + PLAN.replace("minus: [acompte]", "exercice_offset: -1").replace("share:", "share:  # here"),
        (
            "in convention/essai, the instalment solde of article 5 is a share of the subsidy of 2025, "
            "which no fact states, and the instrument lasts from 2026-01-01 to 2026-12-31 (article 2): "
            "record that subsidy first, or leave the exercices of the plan out (the clauses of a text hold "
            "together)"
        ),
    ),
    "a plan for an exercice after the end": (
        OPENED + PLAN.replace("exercices: [2026]", "exercices: [2027]  # here"),
        (
            "in convention/essai, the plan of article 5 is for the exercice 2027, but the instrument lasts "
            "from 2026-01-01 to 2026-12-31 (article 2): correct the exercices of the plan, or the period "
            "(the clauses of a text hold together)"
        ),
    ),
    "a period that ends before it starts": (
        OPENED.replace("ends_on: 2026-12-31}}}", "ends_on: 2025-12-31}}}  # here"),
        "the period ends on 2025-12-31, before it starts on 2026-01-01 (contracts/schemas)",
    ),
    "a quorum larger than the persons": (
        OPENED.replace("capacity: la Maire}]}}", "capacity: la Maire}], quorum: 2}}  # here"),
        ("quorum of 2 for ville, which has 1 signatories: lower it, or list the others (contracts/schemas)"),
    ),
    "a notice longer than the term": (
        OPENED + NOTICE,
        (
            "in convention/essai, the notice of article 6, 13 months, is longer than the term, 365 days at "
            "most (article 2): nobody could give it in time; correct the notice, or the period (the "
            "clauses of a text hold together)"
        ),
    ),
    "two clauses with one number": (
        OPENED
        + """\
      - type: convention.clause-stated.v1
        effective_on: 2026-01-01
        data:
          about: reconduction
          article: "2"  # here
""",
        (
            "the clause 2 is recorded already in convention/essai: number each by its paragraph (“2, al. "
            "1”), cancel the first if it was a mistake of entry, or record the avenant if the parties "
            "changed it (an instrument states an article once)"
        ),
    ),
    "an unknown type of fact": (
        OPENED + VOTED.replace("subsidy-voted.v1", "subsidy-votd.v1  # here"),
        (
            "no fact has the type 'convention.subsidy-votd.v1'; did you mean convention.subsidy-voted.v1? "
            "(the types of facts are in contracts/schemas)"
        ),
    ),
    "a missing field": (
        OPENED + VOTED.replace("          payer: ville\n", "").replace("data:", "data:  # here"),
        "the field 'payer' of data is missing (contracts/schemas says which fields there must be)",
    ),
    "a stream of no category": (
        OPENED + VOTED.replace("stream: convention/essai", "stream: contrat/essai  # here"),
        "category 'contrat' is none of agrement, convention, institution (a stream is category/name)",
    ),
    "a field given twice": (
        OPENED + VOTED.replace("payer: ville\n", "payer: ville\n          payer: mjc  # here\n"),
        None,
    ),
    "a field without a value": (
        OPENED + VOTED.replace("payer: ville", "payer:  # here"),
        "a field has no value: leave its line out (what is unknown is not written)",
    ),
    "an alias": (
        OPENED + VOTED.replace("payer: ville", "payer: *qui  # here"),
        "anchors and aliases are not read: write the value out (a value stands by itself)",
    ),
    "a key used twice": (
        OPENED + VOTED.replace("key: vote", "key: ouverture  # here"),
        "the key 'ouverture' is that of the command at line 7 already (a key is used once in a dossier)",
    ),
    "broken YAML": (OPENED + VOTED + "      - [  # here\n", None),
    "an event over 60 000 bytes": (
        OPENED
        + "      - type: convention.indicators-declared.v1  # here\n"
        + "        effective_on: 2026-01-15\n"
        + "        on_behalf_of: mjc\n"
        + "        data: "
        + json.dumps(
            {
                "party": "mjc",
                "exercice": 2026,
                "indicators": [{"name": "é" * 200, "value": 1, "unit": "units"}] * 120,
                "pieces": [{"digest": "a" * 64, "media_type": "é" * 200, "size_bytes": 1, "what": "é" * 200}]
                * 20,
            },
            ensure_ascii=False,
        )
        + "\n",
        None,
    ),
}


def made(tmp_path: Path, commands: str, *, name: str = "dossier.yaml", head: str = HEAD) -> Path:
    path = tmp_path / name
    path.write_text(head + commands, encoding="utf-8")
    return path


def line_marked(path: Path) -> int:
    lines = path.read_text(encoding="utf-8").splitlines()
    [line] = [number for number, text in enumerate(lines, 1) if text.endswith("# here")]
    return line


@pytest.mark.parametrize("name", BAD)
def test_each_fault_is_told_with_file_line_and_rule(tmp_path: Path, name: str) -> None:
    commands, told = BAD[name]
    path = made(tmp_path, commands)
    result = CliRunner().invoke(app, ["check", str(path)])
    assert result.exit_code == 1
    [problem, *more] = result.stdout.splitlines()
    assert more == []
    if name == "broken YAML":
        assert problem.startswith(f"{path}:{line_marked(path) + 1}: ")
    else:
        assert problem.startswith(f"{path}:{line_marked(path)}: ")
    assert problem.endswith(")")
    assert told is None or problem.partition(f":{line_marked(path)}: ")[2] == told
    assert "1 problem found; nothing was written" in result.stderr
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "name, words",
    [
        ("a second signature of the same person for a party", "recorded already"),
        ("a formula that refers to itself", "instalment solde: its formula refers to itself"),
        ("an avenant dated after the end", "after convention/essai ended on 2026-12-31"),
        ("a field given twice", "the field 'payer' stands at line"),
        ("an event over 60 000 bytes", "at most 60000 bytes"),
        ("broken YAML", "a dossier is YAML"),
    ],
)
def test_the_sentence_names_the_cause(tmp_path: Path, name: str, words: str) -> None:
    result = CliRunner().invoke(app, ["check", str(made(tmp_path, BAD[name][0]))])
    assert words in result.stdout


def test_a_command_of_two_mebibytes_is_told(tmp_path: Path) -> None:
    piece = {"digest": "a" * 64, "media_type": "é" * 200, "size_bytes": 1, "what": "é" * 200}
    data = json.dumps({"says": "dit", "about": "objet", "pieces": [piece] * 12}, ensure_ascii=False)
    fact = f"      - {{type: convention.mentioned.v1, effective_on: 2026-01-15, data: {data}}}\n"
    path = made(tmp_path, OPENED + fact * 190)
    assert path.stat().st_size > 2 * 1024 * 1024
    result = CliRunner().invoke(app, ["check", str(path)])
    assert result.exit_code == 1
    [problem] = result.stdout.splitlines()
    assert problem.startswith(f"{path}:7: the command 'ouverture' has ")
    assert problem.endswith("split it in two (a command has at most 1000000 bytes)")


def test_all_problems_are_told_and_not_only_the_first(tmp_path: Path) -> None:
    faults = {
        "effective_on: 2026-01-15": "effective_on: 2026-02-30  # here",
        "exercice: 2026": 'exercice: "2026"  # here\n          couleur: rouge  # here',
        "81_000_00": "0  # here",
    }
    bad = VOTED
    for right, wrong in faults.items():
        bad = bad.replace(right, wrong)
    then = VOTED.replace("key: vote", "key: vote-2").replace("mjc", "inconnue  # here")
    path = made(tmp_path, OPENED + bad + then)
    result = CliRunner().invoke(app, ["check", str(path)])
    lines = path.read_text(encoding="utf-8").splitlines()
    marked = [number for number, text in enumerate(lines, 1) if text.endswith("# here")]
    told = [int(line.removeprefix(f"{path}:").partition(":")[0]) for line in result.stdout.splitlines()]
    assert len(marked) == 5
    assert told == marked
    assert "5 problems found; nothing was written" in result.stderr


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["check", str(tmp_path / "absent.yaml")])
    assert result.exit_code == 1
    assert result.stdout == (
        f"{tmp_path / 'absent.yaml'}:1: the file cannot be read: No such file or directory "
        "(a dossier is a file)\n"
    )


def test_bytes_that_are_no_utf_8_are_told_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"dossier: essai\ntitle: \xe9t\xe9\n")
    result = CliRunner().invoke(app, ["check", str(path)])
    assert result.stdout.startswith(f"{path}:2: these bytes are no UTF-8")


def test_a_sound_dossier_is_one_line_and_exit_code_0(tmp_path: Path) -> None:
    path = made(tmp_path, OPENED + VOTED)
    result = CliRunner().invoke(app, ["check", str(path)])
    assert result.exit_code == 0
    assert result.stdout == f"{path}: 5 facts in 2 commands, nothing wrong\n"
    assert result.stderr == ""


def test_a_file_may_go_on_from_the_one_before_it(tmp_path: Path) -> None:
    first = made(tmp_path, OPENED)
    then = made(tmp_path, VOTED, name="suite.yaml", head=HEAD.replace("essai", "suite"))
    assert CliRunner().invoke(app, ["check", str(then)]).exit_code == 1
    assert CliRunner().invoke(app, ["check", str(first), str(then)]).exit_code == 0


def test_a_command_id_is_a_uuid_of_the_dossiers_instant_and_of_nothing_that_changes(tmp_path: Path) -> None:
    first = dossiers.read(made(tmp_path, OPENED + VOTED)).commands
    again = dossiers.read(made(tmp_path, "# un commentaire\n" + OPENED + VOTED, name="autre.yaml")).commands
    other = dossiers.read(
        made(
            tmp_path, OPENED + VOTED, name="tiers.yaml", head=HEAD.replace("dossier: essai", "dossier: tiers")
        )
    ).commands
    assert [one.command_id for one in first] == [one.command_id for one in again]
    assert len({one.command_id for one in (*first, *other)}) == 4
    for command in first:
        made_id = UUID(command.command_id)
        assert made_id.version == 7
        assert made_id.int >> 80 == 1_795_338_000_000


def test_scalars_are_numbers_booleans_or_text_and_nothing_is_guessed(tmp_path: Path) -> None:
    commands = OPENED.replace("title: Essai", "title: 0042").replace("2026-12-31", "1.5e3")
    result = CliRunner().invoke(app, ["check", str(made(tmp_path, commands))])
    assert "'1.5e3' is no date" in result.stdout
    [command] = dossiers.read(made(tmp_path, OPENED.replace("title: Essai", "title: 0042"))).commands
    request = parse(command.request, stream=command.stream)
    assert getattr(request.facts[0], "title", None) == "0042"
    assert request.declaration.channel == "import"


# -- cas fictifs: when each command is sent

FICTIONAL = HEAD.replace("origin: registre.test", "origin: registre.cas-fictifs")


def at(commands: str, *instants: str) -> str:
    """*commands*, the first of them sent at the first of *instants*, and so on."""
    for instant in instants:
        commands = commands.replace(
            "    stream: convention", f"    sent_at: {instant}\n    Stream: convention", 1
        )
    return commands.replace("    Stream: ", "    stream: ")


UNTIMELY = {
    "a real dossier that says when it was told": (
        HEAD,
        at(OPENED, "2026-01-05T09:00:00Z  # here"),
        (
            "the ledger registre.test records when it is really told: leave sent_at out (only a cas fictif, "
            "whose "
            "ledger's name ends in .cas-fictifs, says when)"
        ),
    ),
    "a cas fictif that does not": (
        FICTIONAL,
        OPENED.replace("key: ouverture", "key: ouverture  # here"),
        (
            "the first command of a cas fictif says when it is sent: sent_at: 2026-01-05T09:00:00Z (the "
            "clock of its ledger stands where it is set)"
        ),
    ),
    "a command sent before the one above it": (
        FICTIONAL,
        at(OPENED + VOTED, "2026-01-05T09:00:00Z", "2026-01-04T09:00:00Z  # here"),
        (
            "this command is sent at 2026-01-04T09:00:00+00:00, and one before it at "
            "2026-01-05T09:00:00+00:00: put it "
            "in its place (time runs forward only)"
        ),
    ),
    "an instant without a zone": (FICTIONAL, at(OPENED, "2026-01-05T09:00:00  # here"), None),
}


@pytest.mark.parametrize("name", UNTIMELY)
def test_when_a_command_is_sent_is_said_in_a_cas_fictif_and_nowhere_else(tmp_path: Path, name: str) -> None:
    head, commands, told = UNTIMELY[name]
    path = made(tmp_path, commands, head=head)
    result = CliRunner().invoke(app, ["check", str(path)])
    assert result.exit_code == 1
    [problem] = result.stdout.splitlines()
    assert problem.startswith(f"{path}:{line_marked(path)}: ")
    assert told is None or problem == f"{path}:{line_marked(path)}: {told}"


def test_a_command_is_sent_when_the_one_before_it_is_unless_it_says_so(tmp_path: Path) -> None:
    later = VOTED.replace("key: vote", "key: vote-2").replace("exercice: 2026", "exercice: 2025")
    instants = ("2026-01-05T09:00:00Z", "2026-02-01T10:30:00+01:00")
    path = made(tmp_path, at(OPENED, *instants) + VOTED + at(later, instants[1]), head=FICTIONAL)
    assert CliRunner().invoke(app, ["check", str(path)]).exit_code == 0
    sent = [command.sent_at for command in dossiers.read(path).commands]
    assert [one and one.astimezone(UTC).isoformat() for one in sent] == [
        "2026-01-05T09:00:00+00:00",
        "2026-01-05T09:00:00+00:00",
        "2026-02-01T09:30:00+00:00",
    ]


def test_cas_fictifs_are_played_in_the_order_of_their_time_whatever_their_file(tmp_path: Path) -> None:
    first = made(tmp_path, at(OPENED, "2026-01-05T09:00:00Z"), head=FICTIONAL)
    head = FICTIONAL.replace("essai", "suite")
    then = made(tmp_path, at(VOTED, "2026-02-01T09:00:00Z"), name="suite.yaml", head=head)
    assert CliRunner().invoke(app, ["check", str(then), str(first)]).exit_code == 0
    before = made(tmp_path, at(VOTED, "2026-01-04T09:00:00Z"), name="avant.yaml", head=head)
    result = CliRunner().invoke(app, ["check", str(first), str(before)])
    assert "nothing opened convention/essai" in result.stdout


# -- a fact about an entry

CANCELLED = """\
  - key: annulation
    stream: convention/essai
    facts:
      - type: entry.cancelled.v1
        effective_on: 2026-01-20
        entry_of: {command: vote}
        data: {reason: saisi deux fois}
"""

WRONG_ENTRIES = {
    "a command that comes later, or not at all": (
        OPENED + CANCELLED.replace("command: vote}", "command: vote}  # here"),
        "no command before this one has the key 'vote' (contracts/schemas)",
    ),
    "a fact that the command has not": (
        OPENED + VOTED + CANCELLED.replace("command: vote}", "command: vote, fact: 2}  # here"),
        "the command 'vote' has 1 facts: none is fact 2 (contracts/schemas)",
    ),
    "a fact that is about no entry": (
        OPENED + VOTED + VOTED.replace("key: vote", "key: encore").replace(
            "        data:", "        entry_of: {command: vote}\n        data:  # here"
        ),
        "unknown field 'entry' (no field but those of contracts/schemas)",
    ),
    "a fact of another stream": (
        OPENED + VOTED + CANCELLED.replace("convention/essai", "institution/ville").replace(
            "command: vote}", "command: vote}  # here"
        ),
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_ENTRIES)
def test_an_entry_that_is_none_is_told_with_its_line(tmp_path: Path, name: str) -> None:
    commands, told = WRONG_ENTRIES[name]
    path = made(tmp_path, commands)
    result = CliRunner().invoke(app, ["check", str(path)])
    assert result.exit_code == 1
    [problem] = result.stdout.splitlines()
    assert told is None or problem == f"{path}:{line_marked(path)}: {told}"
    assert told is not None or "stands in institution/ville" in problem


def test_a_fact_about_an_entry_that_was_refused_is_told_too(tmp_path: Path) -> None:
    refused = VOTED.replace("beneficiary: mjc", "beneficiary: inconnue")
    path = made(tmp_path, OPENED + refused + CANCELLED)
    result = CliRunner().invoke(app, ["check", str(path)])
    first, second = result.stdout.splitlines()
    assert "inconnue is no party" in first
    assert second.endswith(
        "fact 1 of the command 'vote' has no position of this file's making: it was refused, or recorded "
        "before by another command (an entry is one that this file made)"
    )


def test_an_entry_named_by_its_command_is_sent_with_its_position(tmp_path: Path) -> None:
    path = made(tmp_path, OPENED + VOTED + CANCELLED)
    assert CliRunner().invoke(app, ["check", str(path)]).exit_code == 0
    *_, cancelling = dossiers.read(path).commands
    sent = json.loads(cancelling.asking({("vote", 1): 41, ("ouverture", 1): 7}))
    assert sent["facts"][0]["data"] == {"entry": 41, "reason": "saisi deux fois"}
    assert sent["command_id"] == cancelling.command_id
    with pytest.raises(dossiers.EntryUnknown, match="fact 1 of the command 'vote' has no position"):
        cancelling.asking({})
