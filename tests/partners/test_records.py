"""A partner's day at the command line: it records, signs and confirms in its own name, and nobody for it."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from contracts.commands import Declared
from contracts.events import (
    Claim,
    ContradictionFound,
    FactConfirmed,
    FactContested,
    KeyDeclared,
    KeyWithdrawn,
    Source,
)
from services import asking, signatures
from services.cli import app
from tests.cli.conftest import Demo
from tests.partners.conftest import Partner

DOSSIER = Path("deploy/demo/dossiers/charte-besancon-2014.yaml")
TOWN, CAF, STRANGER = "ville-besancon", "caf-doubs", "carsat-sud-est"
CHARTER = "convention/charte-besancon-2014"

OWN = f"""
dossier: bilan-de-la-ville
title: Ce que la Ville déclare elle-même
origin: registre.demo
recorded_by: {TOWN}
prepared_at: 2026-11-22T10:00:00Z
commands:
  - key: reunion
    stream: {CHARTER}
    facts:
      - type: convention.meeting-convened.v1
        effective_on: 2026-11-20
        data: {{body: partenaires, by: {TOWN}, meeting_on: 2026-12-10}}
      - type: convention.meeting-held.v1
        effective_on: 2026-12-10
        data: {{body: partenaires, attended_by: [{TOWN}, {CAF}]}}
"""


class Set:
    """The demo, and the credentials of three institutions."""

    def __init__(self, demo: Demo, folder: Path) -> None:
        self.demo, self.folder = demo, folder
        for institution in (TOWN, CAF, STRANGER):
            command = [
                "partners",
                "add",
                institution,
                "--data",
                str(demo.data),
                "--to",
                str(self.seed(institution)),
            ]
            added = CliRunner().invoke(app, command, env=demo.variables)
            assert added.exit_code == 0, added.stderr

    def seed(self, institution: str) -> Path:
        return self.folder / f"{institution}.nk"

    def as_(self, institution: str, *command: str) -> Result:
        """What the partner's own machine prints: it has the address, its credentials, and nothing else."""
        credentials = ["--credentials", str(self.seed(institution))]
        return CliRunner().invoke(app, [*command, *credentials], env={"REGISTRE_NATS_URL": self.demo.url})

    def operator(self, *command: str) -> Result:
        return CliRunner().invoke(app, [*command], env=self.demo.variables)

    def events(self) -> list[dict[str, object]]:
        told = self.operator("events", CHARTER, "--json")
        return [json.loads(line) for line in told.stdout.splitlines()]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Set]:
    folder = tmp_path_factory.mktemp("records")
    (folder / "dossiers").mkdir()
    shutil.copy(DOSSIER, folder / "dossiers")
    running = Demo(folder / "data", "--dossiers", str(folder / "dossiers"))
    yield Set(running, folder)
    assert running.stop() == 0


def test_a_day_at_the_command_line(ledger: Set) -> None:
    key, own = ledger.folder / "ville.key", ledger.folder / "own.yaml"
    own.write_text(OWN, encoding="utf-8")
    made = ledger.operator("keys", "new", str(key))
    public = made.stdout.strip()
    assert (made.exit_code, len(public), key.stat().st_mode & 0o777) == (0, 64, 0o600)
    assert ledger.operator("keys", "new", str(key)).exit_code == 1

    early = ledger.as_(TOWN, "import", str(own), "--sign", str(key))
    assert early.exit_code == 1
    assert f"{TOWN} has declared no key {public}" in early.stderr

    declared = ledger.as_(TOWN, "keys", "declare", TOWN, str(key))
    assert declared.stdout.startswith(f"{TOWN} signs with {public}: position "), declared.stderr
    recorded = ledger.as_(TOWN, "import", str(own), "--sign", str(key))
    assert recorded.stdout == "bilan-de-la-ville: 2 facts recorded\n", recorded.stderr

    adopted = next(
        event for event in ledger.events() if event["type"] == "convention.deliberation-adopted.v1"
    )
    assert adopted["onbehalfof"] == TOWN
    position = str(adopted["position"])
    shown = ledger.operator("show", CHARTER).stdout
    assert "non confirmé par la Ville de Besançon" in " ".join(shown.split())
    word = ("confirm", CHARTER, position, "--as", TOWN, "--sign", str(key))
    unnamed = ledger.as_(TOWN, *word)
    assert unnamed.exit_code == 1
    assert "give its name with --ledger" in unnamed.stderr
    confirmed = ledger.as_(TOWN, *word, "--ledger", "registre.demo")
    assert confirmed.stdout.startswith(f"entry {position} of {CHARTER} is confirmed by {TOWN}: position ")
    # Which waits until the projector has come to the last event.
    verified = ledger.operator("verify", "--store", str(ledger.demo.data / "ledger.db"))
    assert "verified: store, signatures, ledger, feed, statements" in verified.stdout, verified.stderr
    shown = ledger.operator("show", CHARTER).stdout
    assert "non confirmé par la Ville de Besançon" not in " ".join(shown.split())

    signed = [event for event in ledger.events() if event.get("signingkey") == public]
    assert [event["type"] for event in signed] == [
        "convention.meeting-convened.v1",
        "convention.meeting-held.v1",
        "entry.confirmed.v1",
    ]
    assert {event["actor"] for event in signed} == {TOWN}

    contested = ledger.as_(TOWN, "contest", CHARTER, position, "--as", TOWN, "--reason", "mauvaise séance")
    assert f"entry {position} of {CHARTER} is contested by {TOWN}" in contested.stdout, contested.stderr
    withdrawn = ledger.as_(TOWN, "keys", "withdraw", TOWN, public, "--reason", "poste volé")
    assert withdrawn.stdout.startswith(f"{TOWN} signs with {public} no more: position ")
    late = ledger.as_(TOWN, *word, "--ledger", "registre.demo")
    assert f"{TOWN} has withdrawn the key {public}" in late.stderr


async def test_nobody_speaks_in_the_name_of_another(ledger: Set) -> None:
    adopted = next(
        event for event in await asyncio.to_thread(ledger.events) if event.get("onbehalfof") == TOWN
    )
    entry = adopted["position"]
    assert isinstance(entry, int)
    for institution in (CAF, STRANGER):
        partner = Partner(institution)
        await partner.connect(ledger.demo.url, ledger.seed(institution))

        async def refused(stream: str, *facts: Declared, partner: Partner = partner) -> str:
            body = asking.declaration(facts, command_id=asking.new_command_id())
            # On another's subject nobody is there to answer: it leads nowhere from this account.
            with pytest.raises(asking.NoRegistrar):
                await asking.ask(partner.client, TOWN, stream, body)
            with pytest.raises(asking.RefusedByRegistrar) as error:
                await asking.ask(partner.client, partner.institution, stream, body)
            return error.value.refusal.code

        confirming = FactConfirmed(entry=entry, by=TOWN)
        contesting = FactContested(entry=entry, by=TOWN, reason="non")
        for word in (confirming, contesting):
            for whose in (None, TOWN):
                said = asking.declared(word, "2026", on_behalf_of=whose)
                assert await refused(CHARTER, said) in {"not_authorised", "in_anothers_name"}
        own = asking.declared(FactConfirmed(entry=entry, by=institution), "2026")
        assert await refused(CHARTER, own) == ("not_yours" if institution == CAF else "not_authorised")
        key = signatures.Signer(bytes(32)).key
        for fact in (KeyDeclared(key=key), KeyWithdrawn(key=key, reason="non")):
            assert await refused(f"institution/{TOWN}", asking.declared(fact, "2026")) == "not_authorised"
        await partner.client.close()


async def test_a_stranger_writes_nothing_and_reads_nothing_from_its_refusals(ledger: Set) -> None:
    stranger = Partner(STRANGER)
    await stranger.connect(ledger.demo.url, ledger.seed(STRANGER))
    claim = Claim(says="autre chose", source=Source(document="un papier"))
    found = ContradictionFound(key="essai", about="durée", claims=(claim,))
    for version in (None, 1):
        body = asking.declaration(
            [asking.declared(found, "2026")], command_id=asking.new_command_id(), expected_version=version
        )
        with pytest.raises(asking.RefusedByRegistrar) as error:
            await asking.ask(stranger.client, STRANGER, CHARTER, body)
        assert error.value.refusal.code == "not_authorised"
        assert "it is for whoever has a part in the stream" in error.value.refusal.message
        assert not [
            name for name in (TOWN, CAF, "Charte", "registre-instruction") if name in str(error.value)
        ]
    await stranger.client.close()
