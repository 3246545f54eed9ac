"""What holds whatever is recorded, in whatever order: the promises of the design, each as a property."""

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from datetime import date
from functools import reduce
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.envelope import Entry
from contracts.events import EVENTS, Event, stream_category
from services.domain import convention, statement, streams
from services.domain.book import Held, Proposed
from services.domain.refusals import Refused
from services.domain.statement import ConventionStatement
from tests.contracts.strategies import DAYS, any_facts, facts_of, partial_dates
from tests.domain.lives import (
    CLERK,
    CONVENTION,
    OPEN,
    Line,
    author,
    avenant,
    entries,
    paid,
    signed,
    voted,
)
from tests.domain.lives import given as after

STREAMS = (CONVENTION, "agrement/mjc", "institution/mjc")
D = PartialDate


def told(lines: Sequence[Line], on: date, stream: str = CONVENTION) -> statement.Statement:
    return statement.of(entries(*lines, stream=stream), stream=stream, on=on)


# -- the order of arrival


PLACES = {
    *("position", "positions", "cancelled_by", "last_position", "followed_by", "settled"),
    *("met_by", "waived_at", "refused_at", "held", "payments", "derogations", "recorded_at"),
}
"""The fields that name entries by their place in the ledger, or the instant they came."""


def timeless(one: Any) -> Any:
    """A statement without the places and instants of recording, which the order of arrival decides."""
    if isinstance(one, dict):
        return {name: timeless(value) for name, value in one.items() if name not in PLACES}
    return [timeless(value) for value in one] if isinstance(one, list) else one


def plain(one: statement.Statement) -> Any:
    return timeless(msgspec.json.decode(statement.encode(one)))


NOTICED: Line = (
    "2026-11-05",
    facts.NoticeSent(key="lrar-1", by="ville", to="mjc", article="9", grievance="bilan absent", form="LRAR"),
)
REQUESTED: Line = (
    "2026-02-10",
    facts.SubsidyRequested(payer="ville", beneficiary="mjc", exercice=2026, amount_cents=9),
)
LIFE: tuple[Line, ...] = (
    signed("ville", "maire", "2025-12-15"),
    signed("mjc", "president", "2025-12-18"),
    avenant(1, "2027-03-01", facts.Prorogation(D("2031-12-31")), facts.ClauseChanged("10", "durée")),
    avenant(2, "2027-05-01", facts.Admission("agglo"), facts.SubsidySet("ville", "mjc", 2026, 70)),
    voted(100),
    ("2028-06-30", facts.PartyWithdrew(party="ville")),
)
LATER: tuple[Line, ...] = (
    REQUESTED,
    NOTICED,
    paid("p-1", 60, "2026-04-01"),
    paid("p-2", 5, "2026-05"),
    (
        "2028-02-01",
        facts.SubsidyChanged(payer="ville", beneficiary="mjc", exercice=2026, amount_cents=80, reason="gel"),
    ),
    ("2028-03-01", facts.PartyJoined(institution="caf")),
    ("2026-02-02", facts.DeliberationAdopted(institution="mjc", organ="ca", key="d", about="convention")),
    (
        "2028-12-31",
        facts.ResiliationPronounced(by=("mjc",), article="9", ground="x", takes_effect_on=D("2029-06")),
    ),
    ("2026-07-01", facts.PieceAnnounced(key="bilan", what="bilan")),
    ("2026-08-01", facts.PieceMissing(key="bilan", what="bilan introuvable")),
    ("2025-12-10", facts.ClauseStated(article="5", about="argent")),
    ("2028-05-05", facts.EntryIntoForceNoted()),
)
ON = [
    date(2025, 12, 16),
    date(2026, 5, 5),
    date(2027, 4, 1),
    date(2028, 7, 1),
    date(2029, 6, 15),
    date(2032, 1, 1),
]


def test_every_order_of_arrival_gives_one_statement() -> None:
    """All 720 orders of six facts, on every day that matters."""
    for on in (ON[2], ON[3]):
        expected = plain(told((*OPEN, *LIFE), on))
        for order in itertools.permutations(LIFE):
            assert plain(told((*OPEN, *order), on)) == expected, [fact.TYPE for _, fact, *_ in order]


COMING: tuple[Line, ...] = (
    avenant(1, "2027-05-01", facts.Admission("agglo", "financeur"), binds=("ville", "agglo")),
    ("2028-01-01", facts.PartyJoined(institution="agglo", role="beneficiaire")),
    (
        "2025-12-12",
        facts.PartyListed(
            institution="agglo", signatories=(facts.Signatory("presidente", "Pdte"),), quorum=1
        ),
    ),
    ("2029-01-01", facts.PartyWithdrew(party="agglo")),
    ("2030-01-01", facts.PartyJoined(institution="agglo")),
)


def test_who_joins_is_listed_leaves_and_comes_back_is_told_so_in_every_order() -> None:
    for on in (date(2027, 6, 1), date(2029, 6, 1), date(2030, 6, 1)):
        expected = plain(told((*OPEN, *COMING), on))
        assert [party["institution"] for party in expected["parties"]] == ["ville", "mjc", "agglo", "agglo"]
        for order in itertools.permutations(COMING):
            assert plain(told((*OPEN, *order), on)) == expected, [fact.TYPE for _, fact, *_ in order]


@settings(max_examples=40)
@given(st.permutations([*OPEN[1:], *LIFE, *LATER]), st.sampled_from(ON))
def test_a_late_scan_lands_where_it_belongs(order: list[Line], on: date) -> None:
    dated = {id(line): f"2025-12-{1 + place:02}" for place, line in enumerate(OPEN[1:])}
    order = [(dated.get(id(line), line[0]), *line[1:]) for line in order]
    expected = sorted(order, key=lambda line: (D(line[0]).sort_key, line[1].TYPE))
    assert plain(told((OPEN[0], *order), on)) == plain(told((OPEN[0], *expected), on))


@given(st.randoms(use_true_random=False), DAYS)
def test_an_agrement_and_an_institution_do_not_mind_the_order_either(rng: random.Random, on: date) -> None:
    granted: dict[str, Any] = {"services": ("AGC",), "granted_by": "caf"}
    lives: dict[str, list[Line]] = {
        "agrement/mjc": [
            (
                "2021-12-01",
                facts.AgrementGranted(starts_on=D("2022-01-01"), ends_on=D("2025-12-31"), **granted),
            ),
            ("2025-12-01", facts.AgrementRenewed(starts_on=D("2026-01-01"), ends_on=D("2028"), **granted)),
            ("2024-02-01", facts.AgrementSuspended(by="caf", reason="contrôle")),
            ("2024-06-01", facts.AgrementSuspensionLifted(by="caf", reason="régularisé")),
            ("2025-06-01", facts.AgrementSuspended(by="caf", reason="direction vacante")),
            ("2026-02-01", facts.AgrementSuspended(by="caf", reason="direction vacante")),
            ("2026-03-01", facts.AgrementSuspensionLifted(by="caf", reason="direction pourvue")),
            ("2027", facts.AgrementWithdrawn(by="caf", reason="contrôle")),
            ("2021-06-01", facts.AgrementRequested(services=("AGC",), to="caf")),
        ],
        "institution/mjc": [
            ("1990", facts.InstitutionRegistered(name="MJC", kind="association")),
            ("2020-02-01", facts.NameChanged(name="Maison A")),
            ("2026-03-01", facts.NameChanged(name="Maison B")),
            ("2022", facts.AliasRecorded(alias="la MJC")),
            ("2023", facts.AliasRecorded(alias="la Maison")),
            ("2025", facts.IdentifierRecorded(scheme="rna", value="W251000001")),
            ("2027", facts.IdentifierRecorded(scheme="rna", value="W251000002")),
            ("2028-01-01", facts.Succeeded(successor="centre", manner="fusion")),
        ],
    }
    for stream, life in lives.items():
        expected = plain(told(life, on, stream))
        assert plain(told(rng.sample(life, len(life)), on, stream)) == expected


# -- the future


TELLS_OF_THE_PAST = {
    # The text of the instrument and who is in it from the start; the day it began.
    "convention.opened.v1",
    "convention.party-listed.v1",
    "convention.clause-stated.v1",
    "convention.entry-into-force-noted.v1",
    # It has an effective date of its own.
    "convention.resiliation-pronounced.v1",
}
OF_A_CONVENTION = ("convention", "contradiction", "piece")
FUTURE = [
    tag for tag in sorted(EVENTS) if tag.split(".")[0] in OF_A_CONVENTION and tag not in TELLS_OF_THE_PAST
]


@pytest.mark.parametrize("tag", FUTURE)
@settings(max_examples=8)
@given(data=st.data())
def test_a_fact_to_come_changes_nothing_on_a_day_before_it(tag: str, data: st.DataObject) -> None:
    """It may only add lines that are marked as still to come."""
    on = date(2028, 1, 1)
    fact = data.draw(facts_of(EVENTS[tag]))
    day = data.draw(st.sampled_from(("2028-01-02", "2028-02", "2028-36", "2029")))
    life = (*OPEN, *LIFE, *LATER)
    before, later = told(life, on), told((*life, (day, fact)), on)
    assert isinstance(before, ConventionStatement)
    assert isinstance(later, ConventionStatement)
    to_come: dict[str, list[Any]] = {
        "journal": [line for line in later.journal if line.position == len(life) + 1],
        "avenants": [line for line in later.avenants if line not in before.avenants],
        "parties": [line for line in later.parties if line not in before.parties],
    }
    assert all(line.come == "no" for line in (*to_come["journal"], *to_come["avenants"]))
    assert all(line.is_party == "no" for line in to_come["parties"])
    kept: dict[str, Any] = {
        name: tuple(line for line in getattr(later, name) if line not in lines)
        for name, lines in to_come.items()
    }
    later = msgspec.structs.replace(later, position=before.position, version=before.version, **kept)
    assert later == before


# -- any fact at all


def recorded(lines: Sequence[Line], stream: str) -> tuple[streams.State, list[Entry]]:
    """The state and the entries that declaring *lines* one by one leaves; what is refused is not recorded."""
    state, made = streams.initial(stream), list[Entry]()
    for on, fact, *whose in lines:
        proposed = Proposed(fact, D(on), whose[0] if whose else author(fact))
        try:
            taken = streams.decide(state, actor=CLERK, proposed=[proposed])
        except Refused:
            continue
        for one in taken:
            place = len(made) + 1
            entry = entries(
                (str(one.effective_on), one.fact, one.on_behalf_of), stream=stream, first_position=place
            )[0]
            entry = msgspec.structs.replace(
                entry, envelope=msgspec.structs.replace(entry.envelope, version=place)
            )
            made.append(entry)
            state = streams.evolve(state, entry)
            assert state.version == place
    return state, made


SLUGS = st.sampled_from(("ville", "mjc", "agglo"))


@st.composite
def lines(draw: st.DrawFn) -> Line:
    """A fact of any type between few parties and of few names, so that many are taken."""
    fact = draw(any_facts())
    given_: dict[str, Any] = {
        path: draw(SLUGS) for path, _ in convention.parties_named(fact) if path in fact.__struct_fields__
    }
    given_ |= {
        name: draw(st.sampled_from(("k-1", "k-2")))
        for name in ("key", "payment", "deliberation")
        if isinstance(getattr(fact, name, None), str)
    }
    if hasattr(fact, "entry"):
        given_["entry"] = draw(st.integers(1, 12))
    if fact.AUTHOR in ("institution", "by"):
        given_[fact.AUTHOR] = draw(SLUGS)
    fact = msgspec.structs.replace(fact, **given_)
    return draw(partial_dates()).text, fact, draw(st.sampled_from((author(fact), author(fact), None)))


@settings(max_examples=60)
@given(st.sampled_from(STREAMS), st.lists(lines(), max_size=8), DAYS)
def test_what_is_accepted_is_held_told_and_told_again_in_the_same_bytes(
    stream: str, asked: list[Line], on: date
) -> None:
    opening = {"convention": OPEN, "agrement": (), "institution": ()}[stream.split("/", maxsplit=1)[0]]
    state, made = recorded((*opening, *asked), stream)
    one = statement.of(made, stream=stream, on=on)
    body = statement.encode(one)
    assert statement.encode(statement.of(made, stream=stream, on=on)) == body
    assert statement.encode(statement.decode(body)) == body
    assert [line.position for line in one.journal] == sorted(
        (entry.position for entry in made if entry.position not in state.book.cancelled),
        key=lambda position: (made[position - 1].effective_on.sort_key, position),
    )
    assert [line.position for line in one.cancelled] == sorted(state.book.cancelled)
    assert (one.position, one.version) == (len(made), len(made))
    if isinstance(state, convention.State):
        names = Counter((signed.party, signed.signatory, signed.avenant) for signed in state.life.signed)
        assert all(times == 1 for times in names.values()), "nobody signs twice"
        assert state.life.version == len(made)
        parties = {join.institution for join in state.life.joins}
        cited = {who for held in state.book.live() for _, who in convention.parties_named(held.fact)}
        if not state.book.cancelled:
            admitted = {
                change.institution
                for held in state.book.live()
                if isinstance(held.fact, facts.AvenantConcluded)
                for change in held.fact.changes
                if isinstance(change, facts.Admission)
            }
            assert cited <= parties | admitted, "nobody but a party is named as one"


@pytest.mark.parametrize("tag", sorted(EVENTS))
@settings(max_examples=2)
@given(data=st.data())
def test_no_fact_is_left_out_of_its_statement(tag: str, data: st.DataObject) -> None:
    category = stream_category(tag) or "convention"
    stream = f"{category}/mjc"
    fact = data.draw(facts_of(EVENTS[tag]))
    if hasattr(fact, "entry"):
        fact = msgspec.structs.replace(fact, entry=1)
    one = told([OPEN[0], ("2026-01-01", fact)], date(2026, 6, 1), stream)
    group = tag.split(".", maxsplit=1)[0]
    line = next(line for line in one.journal if line.position == 2)
    assert (line.type, line.come) == (tag, "yes")
    of_group = {"entry": "saisies", "piece": "pieces", "contradiction": "contradictions"}
    if group == "convention":
        assert line.section not in {*of_group.values(), "agrement", "institution"}
    else:
        assert line.section == of_group.get(group, group)


# -- who is named


def read(value: Any, kind: Any, path: str) -> list[tuple[str, str]]:
    """The parties in *value* by path, from msgspec's own account of its type."""
    match kind:
        case inspect.Metadata(extra={"role": "party"}) if value is not None:
            return [(path, value)]
        case inspect.Metadata(type=inner):
            return read(value, inner, path)
        case inspect.UnionType(types=types) if not isinstance(value, msgspec.Struct):
            return [found for one in types for found in read(value, one, path)]
        case inspect.VarTupleType(item_type=item) if isinstance(value, tuple):
            return [found for place, one in enumerate(value) for found in read(one, item, f"{path}[{place}]")]
        case _ if isinstance(value, msgspec.Struct):
            fields = inspect.type_info(type(value)).fields  # type: ignore[attr-defined]
            where = {field.name: f"{path}.{field.name}" if path else field.name for field in fields}
            return [
                found
                for field in fields
                for found in read(getattr(value, field.name), field.type, where[field.name])
            ]
        case _:
            return []


@settings(max_examples=100)
@given(any_facts() | facts_of(facts.ClauseStated) | facts_of(facts.AvenantConcluded))
def test_every_party_a_fact_names_is_found_however_deep(fact: Event) -> None:
    convention._fields.cache_clear()
    found = list(convention.parties_named(fact))
    assert sorted(found) == sorted(read(fact, None, ""))


# -- money, by another hand


AMOUNTS: dict[str, Any] = {
    "pledged_cents": lambda who, n, cents: facts.SubsidyPledged(
        payer=who[0], to="x", beneficiary=who[1], exercice=who[2], amount_cents=cents
    ),
    "requested_cents": lambda who, n, cents: facts.SubsidyRequested(
        payer=who[0], beneficiary=who[1], exercice=who[2], amount_cents=cents
    ),
    "voted_cents": lambda who, n, cents: facts.SubsidyVoted(
        payer=who[0], beneficiary=who[1], exercice=who[2], amount_cents=cents
    ),
    "committed_cents": lambda who, n, cents: facts.FundsCommitted(
        payer=who[0], beneficiary=who[1], exercice=who[2], amount_cents=cents, number=n
    ),
    "ordered_cents": lambda who, n, cents: facts.PaymentOrdered(
        payer=who[0], beneficiary=who[1], exercice=who[2], amount_cents=cents, number=n
    ),
    "paid_cents": lambda who, n, cents: facts.PaymentMade(
        payer=who[0], beneficiary=who[1], exercice=who[2], amount_cents=cents, key=n
    ),
    "returned_cents": lambda who, n, cents: facts.RestitutionReceived(
        payer=who[0], beneficiary=who[1], exercice=who[2], amount_cents=cents
    ),
    "in_kind_cents": lambda who, n, cents: facts.AidInKindValued(
        giver=who[0], beneficiary=who[1], exercice=who[2], value_cents=cents, what="locaux"
    ),
}
LAST = {"requested_cents", "voted_cents"}
MOVES = st.lists(
    st.tuples(
        st.sampled_from(sorted(AMOUNTS)),
        st.sampled_from((("ville", "mjc", 2026), ("ville", "mjc", 2027), ("agglo", "mjc", 2026))),
        st.integers(1, 10**12),
        st.dates(date(2026, 1, 1), date(2026, 12, 31)),
        st.none() | st.dates(date(2026, 1, 1), date(2026, 12, 31)),
    ),
    max_size=25,
)


@given(MOVES, st.dates(date(2026, 1, 1), date(2026, 12, 31)))
def test_money_is_counted_as_a_child_would_count_it(moves: list[Any], on: date) -> None:
    """Column by column, with a dictionary; a payment that came back moves to the column of those."""
    declared: list[Line] = []
    columns: Counter[tuple[Any, str]] = Counter()
    last: dict[tuple[Any, str], tuple[date, int, int]] = {}
    for place, (column, who, cents, day, back) in enumerate(moves):
        declared.append((day.isoformat(), AMOUNTS[column](who, f"n-{place}", cents)))
        if column in LAST:
            if day <= on:
                last[who, column] = max(last.get((who, column), (date.min, 0, 0)), (day, place, cents))
            continue
        comes_back = column == "paid_cents" and back is not None and back >= day
        if comes_back:
            rejection = facts.PaymentRejected(payer=who[0], payment=f"n-{place}", reason="RIB")
            declared.append((back.isoformat(), rejection))
        if comes_back and back <= on:
            columns[who, "rejected_cents"] += cents
        elif day <= on:
            columns[who, column] += cents
    columns.update({key: cents for key, (_, _, cents) in last.items()})
    statement_ = told((*OPEN, *declared), on)
    assert isinstance(statement_, ConventionStatement)
    counted = {
        ((line.payer, line.beneficiary, line.exercice), column): getattr(line, column)
        for line in statement_.money
        for column in line.__struct_fields__
        if column.endswith("_cents") and getattr(line, column)
    }
    assert counted == {key: cents for key, cents in columns.items() if cents}


def test_a_held_fact_knows_its_entry() -> None:
    entry = entries(OPEN[1])[0]
    held = Held.of(entry)
    assert (held.position, held.effective_on, held.actor) == (1, entry.effective_on, CLERK)
    assert (held.on_behalf_of, held.fact, held.recorded_at) == (None, entry.fact, entry.recorded_at)
    state = reduce(streams.evolve, entries(*OPEN), streams.initial(CONVENTION))
    assert state == after(*OPEN)
    kinds: set[type[Event]] = {type(one.fact) for one in state.book.live()}
    assert kinds == {facts.InstrumentOpened, facts.PartyListed, facts.ClauseStated}
