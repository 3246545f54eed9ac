"""
What is found in the five papers: none of their contradictions is lost, and no écart is made up.

The dossiers are read as an import reads them, and recorded by the rules of the ledger, all in one.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

import msgspec
import pytest

from contracts import dates, envelope
from contracts import events as facts
from contracts.commands import Declaration
from contracts.envelope import Entry, Envelope
from services import dossiers, pages
from services.domain import (
    amendments,
    convention,
    coverage,
    exits,
    findings,
    known,
    obligations,
    schedule,
    statement,
    streams,
)
from services.domain.book import Held, Proposed
from services.domain.findings import Finding

FOLDER = Path(__file__).parents[2] / "deploy" / "demo" / "dossiers"
TODAY = date(2026, 11, 22)
CONTRADICTIONS = {
    "convention/charte-besancon-2014": [f"s0-{number}" for number in range(1, 9)],
    "convention/pacte-chambery-2023": [f"s1-{number}" for number in range(1, 20)],
    "convention/mjc-clairs-soleils-2026": [*(f"s2-{number}" for number in range(1, 23)), "s2-f"],
    "convention/convention-departementale-2015": [f"s3-{number}" for number in range(1, 5)],
    "convention/carsat-sud-est-2014": [f"s4-{number}" for number in range(1, 9)],
}
"""The 61 numbered contradictions of the five papers, and the formula of the MJC's second acompte."""

_declaration = msgspec.json.Decoder(Declaration, dec_hook=dates.decode).decode


@cache
def recorded() -> dict[str, streams.State]:
    """Every stream of the five papers, once all of them are recorded."""
    states: dict[str, streams.State] = {}
    position = 0
    for file in sorted(FOLDER.glob("*.yaml")):
        for command in dossiers.read(file).commands:
            state = states.get(command.stream) or streams.initial(command.stream)
            asked = [
                Proposed(envelope.decode_fact(one.type, one.data), one.effective_on, one.on_behalf_of)
                for one in _declaration(command.request).facts
            ]
            for one in streams.decide(state, actor=command.recorded_by, proposed=asked):
                position += 1
                state = streams.evolve(state, entry(command, state, one, position))
            states[command.stream] = state
    return states


def entry(command: dossiers.Command, state: streams.State, one: Proposed, position: int) -> Entry:
    return Entry(
        Envelope(
            specversion="1.0",
            datacontenttype="application/json",
            id=command.command_id,
            source="registre.test",
            tag=one.fact.TYPE,
            stream=command.stream,
            recorded_at=datetime(2026, 11, 22, tzinfo=UTC),
            position=position,
            version=state.version + 1,
            ordinal=1,
            count=1,
            effective_on=one.effective_on,
            command_id=command.command_id,
            actor=command.recorded_by,
            on_behalf_of=one.on_behalf_of,
            channel="import",
            data=msgspec.Raw(envelope.encode_fact(one.fact)),
        ),
        one.fact,
    )


@cache
def found(stream: str) -> tuple[Finding, ...]:
    states = recorded()
    state = states[stream]
    assert isinstance(state, convention.State)
    beside = [states[name] for name in known.leans_on(state) if name in states]
    view = known.of(state, TODAY, beside)
    duties = obligations.of(view)
    return findings.of(
        view, schedule.of(view, duties), duties, coverage.of(view), exits.of(view), amendments.of(view)
    )


def live(stream: str) -> Iterator[Held]:
    state = recorded()[stream]
    assert isinstance(state, convention.State)
    return state.book.live()


def test_the_papers_hold_the_61_contradictions_and_the_formula() -> None:
    for stream, keys in CONTRADICTIONS.items():
        there = [held.fact.key for held in live(stream) if isinstance(held.fact, facts.ContradictionFound)]
        assert there == keys
    assert sum(map(len, CONTRADICTIONS.values())) == 61 + 1


@pytest.mark.parametrize("stream", CONTRADICTIONS)
def test_each_contradiction_raises_a_finding_or_is_settled_by_whom_and_why(stream: str) -> None:
    raised = {one.about: one for one in found(stream) if one.code == "incoherence"}
    settled = {
        held.fact.key: held.fact for held in live(stream) if isinstance(held.fact, facts.ContradictionSettled)
    }
    for held in live(stream):
        contradiction = held.fact
        if not isinstance(contradiction, facts.ContradictionFound):
            continue
        key = contradiction.key
        assert (key in raised) != (key in settled), key
        if key in settled:
            assert settled[key].by
            assert settled[key].reason
            assert settled[key].retained
        else:
            assert raised[key].positions == (held.position,)
            assert raised[key].severity == contradiction.severity
            for claim in contradiction.claims:
                assert claim.source.article is None or claim.source.article in (raised[key].article or "")
                assert claim.source.document in (raised[key].source or "")


def test_the_ten_actions_of_the_note_are_nine() -> None:
    [wrong] = [one for one in found("convention/carsat-sud-est-2014") if one.code == "total-inexact"]
    assert wrong.says.endswith("2 + 3 + 2 + 2 font 9, et non 10.")
    assert wrong.article == "III, 2"


@pytest.mark.parametrize("stream", CONTRADICTIONS)
def test_papers_that_nobody_has_signed_are_breached_by_nobody(stream: str) -> None:
    assert [one for one in found(stream) if one.nature == "ecart"] == []


def codes(stream: str) -> set[str]:
    return {one.code for one in found(stream)} - {"incoherence"}


def test_what_else_is_found_in_each_paper() -> None:
    """Read from the papers by hand: domain.md, section 6."""
    assert {"duree-inconnue", "sortie-non-prevue", "partie-sans-deliberation"} <= codes(
        "convention/charte-besancon-2014"
    )
    assert {
        "acte-en-variantes",
        "publication-trop-courte",
        "duree-inconnue",
        "pouvoir-non-etabli",
        "part-non-utilisee",
    } <= codes("convention/pacte-chambery-2023")
    assert {
        "deliberation-citee-non-tenue",
        "engagement-republicain-presume",
        "agrement-non-enregistre",
        "commencee-sans-signature",
        "partie-sans-deliberation",
        "partie-non-identifiee",
        "annexe-attendue",
        "document-manquant",
    } <= codes("convention/mjc-clairs-soleils-2026")
    assert {"promesse-sans-vote", "annexe-attendue"} <= codes("convention/carsat-sud-est-2014")
    assert "sortie-non-prevue" in codes("convention/convention-departementale-2015")


def test_the_recours_against_the_pacte_outlived_its_publication_by_a_day() -> None:
    [short] = [
        one for one in found("convention/pacte-chambery-2023") if one.code == "publication-trop-courte"
    ]
    assert "au 11 septembre 2023" in short.says
    assert "jusqu’au 12 septembre 2023 inclus" in short.says


@pytest.mark.parametrize("day", [date(2015, 6, 1), date(2024, 1, 15), date(2026, 6, 30), date(2031, 1, 1)])
@pytest.mark.parametrize("stream", CONTRADICTIONS)
def test_every_paper_is_read_on_every_page_on_any_day(stream: str, day: date) -> None:
    states = recorded()
    state = states[stream]
    assert isinstance(state, convention.State)
    beside = [states[name] for name in known.leans_on(state) if name in states]
    told = statement.of_state(state, on=day, position=1_000, beside=beside)
    assert isinstance(told, statement.ConventionStatement)
    for page in (pages.statement, pages.calendar, pages.obligations, pages.findings):
        lines = [
            "".join(text for text, _ in line)
            for line in page(told, names={}, position=1_000, known_at=None, width=100)
        ]
        assert len(lines) > 3
        assert max(map(len, lines)) <= 100
