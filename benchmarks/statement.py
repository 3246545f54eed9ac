"""
What a statement costs on one core, with its calendar, obligations, coverage, exits, avenants and findings.

Run as `python -m benchmarks.statement`. The stream has 200 events: the terms and the
facts of the dossier of the MJC, then five years of it (signatures, votes, mandats,
payments, documents, meetings), beside the agrément, the institutions and the convention
that came before. The figure that counts is what folding the stream and computing the
statement cost in the best of the rounds, which is what they need: all above it is the cost
of whatever else the machine runs, and on a shared one that is as much again at times. The
median is told too. Above the target is exit code 1. Decoding the events and encoding the
answer are told beside it. --profile prints where the time goes.
"""

import argparse
import cProfile
import pstats
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from contracts import dates, envelope, events
from contracts.envelope import Entry, Envelope
from contracts.events import Event
from services import dossiers, runtime
from services.domain import convention, known, statement

DOSSIER = Path(__file__).parents[1] / "deploy" / "demo" / "dossiers" / "mjc-clairs-soleils-2026.yaml"
STREAM = "convention/mjc-clairs-soleils-2026"
EVENTS = 200
ROUNDS = 200
TARGET_MS = 10.0
DAY = date(2029, 10, 15)
START = datetime(2026, 1, 1, tzinfo=UTC)
VILLE, MJC = "ville-besancon", "mjc-clairs-soleils"
PARTIES = (VILLE, "ccas-besancon", "grand-besancon-metropole", MJC)
DOCUMENTS = ("rapport-activite", "projet-associatif", "rapport-financier", "rapport-cac")

Told = tuple[str, Event]
"""When it took effect, and what happened."""


def told() -> dict[str, list[Told]]:
    """The facts of the dossier by stream, and those of the years after."""
    found: dict[str, list[Told]] = {}
    for command in dossiers.read(DOSSIER).commands:
        declaration = msgspec.json.decode(command.request, type=_Asked, dec_hook=dates.decode)
        for one in declaration.facts:
            fact = envelope.decode_fact(one.type, one.data)
            found.setdefault(command.stream, []).append((one.effective_on, fact))
    found["agrement/" + MJC] = [
        (
            "2024-12-16",
            events.AgrementGranted(
                services=("AGC", "ACF"),
                granted_by="caf-doubs",
                starts_on=dates.parse("2025-01-01"),
                ends_on=dates.parse("2028-12-31"),
            ),
        )
    ]
    years = list(life())
    found[STREAM] = (found[STREAM] + years)[:EVENTS]
    assert len(found[STREAM]) == EVENTS, len(found[STREAM])
    return found


class _Fact(msgspec.Struct):
    type: str
    effective_on: str
    data: msgspec.Raw


class _Asked(msgspec.Struct):
    facts: tuple[_Fact, ...]


def life() -> Iterator[Told]:
    """Signed by all, then year by year: voted, ordered, paid in three parts, reported on, met about."""
    for party in PARTIES:
        yield (
            "2024-12-20",
            events.SignatureAffixed(
                party=party,
                signatory="signataire",
                capacity="la personne habilitée",
                basis=events.Basis(kind="deliberation"),
            ),
        )
    for year in range(2025, 2030):
        whose: dict[str, Any] = {"payer": VILLE, "beneficiary": MJC, "exercice": year}
        yield f"{year}-03-28", events.SubsidyVoted(**whose, amount_cents=24_000_000 + year)
        for month, instalment, cents in ((1, "acompte-1", 8_100_000), (5, "acompte-2", 8_000_000)):
            yield (
                f"{year}-{month:02}-20",
                events.PaymentMade(
                    **whose, key=f"{instalment}-{year}", amount_cents=cents, instalment=instalment
                ),
            )
        for number, document in enumerate(DOCUMENTS):
            yield (
                f"{year}-07-{10 + 3 * number}",
                events.DocumentReceived(
                    sent_by=MJC, received_by=VILLE, document=document, what=document, exercice=year - 1
                ),
            )
        yield (
            f"{year}-08-20",
            events.PaymentMade(
                **whose, key=f"solde-{year}", amount_cents=7_900_000 + year, instalment="solde"
            ),
        )
        yield f"{year}-11-12", events.MeetingHeld(body="commission-de-suivi", attended_by=PARTIES)
        yield (
            f"{year}-12-01",
            events.SubsidyRequested(
                payer=VILLE, beneficiary=MJC, exercice=min(year + 1, 2029), amount_cents=24_500_000
            ),
        )
    for number in range(EVENTS):
        yield (
            f"2029-{1 + number % 9:02}-05",
            events.IndicatorsDeclared(
                party=MJC, exercice=2028, indicators=(events.Indicator("usagers", 100 + number, "persons"),)
            ),
        )


def bodies(told: dict[str, list[Told]]) -> dict[str, list[bytes]]:
    """The bytes of the events, one command each, by stream."""
    made: dict[str, list[bytes]] = {}
    position = 0
    for stream, facts in told.items():
        for version, (effective_on, fact) in enumerate(facts, 1):
            position += 1
            meta = Envelope(
                specversion="1.0",
                datacontenttype="application/json",
                id=str(uuid.UUID(int=position, version=4)),
                source="ledger.example/benchmark",
                tag=fact.TYPE,
                stream=stream,
                recorded_at=START + timedelta(seconds=position),
                position=position,
                version=version,
                ordinal=1,
                count=1,
                effective_on=dates.parse(effective_on),
                command_id=str(uuid.UUID(int=position, version=4)),
                actor="registre-instruction",
                channel="api",
                data=msgspec.Raw(envelope.encode_fact(fact)),
            )
            made.setdefault(stream, []).append(envelope.encode(meta))
    return made


class Cost(msgspec.Struct, frozen=True):
    """Milliseconds on the processor: the median, and the best, which nothing else that runs made slower."""

    median: float
    best: float

    def __str__(self) -> str:
        return f"{self.best:6.2f} ms (median {self.median:5.2f})"


def cost(work: Callable[[], object]) -> Cost:
    """What *work* costs, over ROUNDS."""
    times = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        times.append(1_000 * (time.process_time() - started))
    return Cost(median(times), min(times))


def main(*, profile: bool) -> int:
    """Print the costs; 0 when the target is met."""
    runtime.settle()
    kept = bodies(told())
    entries: dict[str, list[Entry]] = {
        stream: [envelope.decode(body) for body in some] for stream, some in kept.items()
    }
    state = statement.folded(STREAM, entries[STREAM])
    assert isinstance(state, convention.State)
    beside = [statement.folded(name, entries[name]) for name in known.leans_on(state) if name in entries]
    position = entries[STREAM][-1].position

    def compute() -> statement.Statement:
        return statement.of_state(state, on=DAY, position=position, beside=beside)

    shown = compute()
    assert isinstance(shown, statement.ConventionStatement)
    if profile:
        running = cProfile.Profile()
        running.runcall(lambda: [compute() for _ in range(20)])
        pstats.Stats(running).sort_stats("tottime").print_stats(45)
        return 0
    decoding = cost(lambda: [envelope.decode(body) for body in kept[STREAM]])
    folding = cost(lambda: statement.folded(STREAM, entries[STREAM]))
    computing = cost(compute)
    encoding = cost(lambda: statement.encode(shown))
    parts = (
        f"{len(shown.calendar.instalments)} instalments, {len(shown.duties.obligations)} obligations, "
        f"{len(shown.findings)} findings"
    )
    print(f"{EVENTS} events beside {len(beside)} streams: {parts}; best of {ROUNDS}")
    print(f"decoding the events {decoding}")
    print(f"folding them        {folding}")
    print(f"the statement       {computing}")
    print(f"encoding it         {encoding}, {len(statement.encode(shown)) // 1024} KiB")
    total = folding.best + computing.best
    met = total < TARGET_MS
    print(f"folding and statement: {total:.2f} ms (target < {TARGET_MS:g} ms, {'met' if met else 'MISSED'})")
    return 0 if met else 1


if __name__ == "__main__":
    asked = argparse.ArgumentParser(prog="python -m benchmarks.statement", description=__doc__)
    asked.add_argument("--profile", action="store_true", help="print where the time goes instead")
    sys.exit(main(profile=asked.parse_args().profile))
