"""Every rule of findings: raised in one life, cleared in another, silent in a third that is near."""

import itertools
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given as supposing
from hypothesis import settings
from hypothesis import strategies as st

from contracts import events as facts
from contracts import terms
from contracts.terms import Delay, Due, EachYear
from services.domain import amendments, coverage, exits, findings, known, obligations, schedule
from services.domain.findings import Finding
from services.domain.findings import view as findings_view
from services.domain.findings.catalogue import CATALOGUE
from services.domain.french import euros, typeset
from services.domain.streams import State
from tests.domain.departure_cases import (
    ACTE,
    ADVANCE,
    BACK,
    BIG,
    CASES,
    CERTIFIED,
    CONTEST,
    DENIED,
    ELSEWHERE,
    FIXED,
    IDS,
    INTERESTED,
    ORDERED,
    PAID_AT,
    PLEDGED,
    PROJECT,
    RIDER,
    SECOND,
    SHORT,
    SHORT_PLAN,
    SMALL,
    SUCCEEDING,
    refused,
)
from tests.domain.departure_lives import LIVES, Life
from tests.domain.departures import (
    AGREMENTS_FROM,
    AROUND,
    AUTHORITY,
    BUDGET,
    COMMITTED,
    DECIDES_EXIT,
    DENUNCIATION,
    DRAFT,
    EXECUTOIRE,
    EXIT,
    FAULT,
    FILED,
    FIRST,
    IN_TWO_PARTS,
    MEETING,
    MJC,
    NEEDS_AGREMENT,
    OPENED,
    PARTIES,
    PAYING,
    PLAN,
    PLAN_TERM,
    PUBLISHED,
    SETTLED,
    SIGNATURES,
    SOUND,
    TERM,
    TODAY,
    UNSIGNED,
    VILLE,
    VOTE,
    Case,
    D,
    adopted,
    agrement,
    claim_adding,
    clause,
    contradicted,
    denounced,
    derogation,
    document,
    found,
    granted,
    may_sign,
    notice,
    obligation,
    opened,
    overpaid,
    party,
    pay,
    published,
    received,
    registered,
    returned,
    sent,
    standing,
    terminated,
    titre,
    view_of,
)
from tests.domain.lives import Line, avenant, given, signed, voted


def calls_in(what: Callable[[], object]) -> int:
    """How many calls *what* makes, of functions of ours and of Python's own."""
    counted = itertools.count()

    def count(_frame: object, event: str, _argument: object) -> None:
        if event in ("call", "c_call"):
            next(counted)

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        what()
    finally:
        sys.setprofile(before)
    return next(counted)


@pytest.mark.parametrize("one", CASES, ids=IDS)
def test_a_life_raises_it(one: Case) -> None:
    told = standing(found(*one.raised, on=one.on, around=one.around), one.code)
    assert any(typeset(one.says) in finding.says for finding in told), [finding.says for finding in told]


@pytest.mark.parametrize("one", CASES, ids=IDS)
def test_what_clears_it_clears_it(one: Case) -> None:
    around = one.around if one.cleared_around is None else one.cleared_around
    assert standing(found(*one.cleared, on=one.cleared_on or one.on, around=around), one.code) == []


@pytest.mark.parametrize("one", CASES, ids=IDS)
def test_a_neighbour_does_not_raise_it(one: Case) -> None:
    around = one.around if one.innocent_around is None else one.innocent_around
    told = standing(found(*one.innocent, on=one.innocent_on or one.on, around=around), one.code)
    assert told == []


def test_every_rule_of_the_catalogue_has_its_case() -> None:
    assert {one.code for one in CASES} == set(CATALOGUE)
    assert len(CATALOGUE) >= 40


# -- a sound convention, and what surrounds a finding


EVER_SAID = {"fait-non-confirme"}
"""What any life here raises: a clerk records everything, and nobody confirms."""


@pytest.mark.parametrize("on", ["2025-12-09", "2025-12-31", "2026-06-01", "2028-01-01", "2029-06-29"])
def test_a_convention_in_order_raises_nothing(on: str) -> None:
    codes = {one.code for one in found(*SOUND, on=on)} - EVER_SAID
    # Its acts may be appealed against for two months, and it is not signed before it is.
    assert codes - {"recours-possible", "executoire-non-etabli"} == set()


def test_a_year_of_payments_in_order_raises_nothing() -> None:
    lines = (*PAYING, FIRST, pay("p-2", 10_000_00, "2026-08-20", "solde"), CERTIFIED, PUBLISHED)
    assert {one.code for one in found(*lines, on="2026-12-31")} - EVER_SAID == set()


def test_nothing_is_found_where_nothing_is_recorded() -> None:
    assert found() == ()


def every_finding() -> Iterator[tuple[Case, Finding]]:
    for one in CASES:
        for finding in found(*one.raised, on=one.on, around=one.around):
            yield one, finding


def test_a_finding_says_by_what_it_is_one_and_how_it_goes_away() -> None:
    for case, finding in every_finding():
        entry = CATALOGUE[finding.code]
        assert finding.article or finding.source, finding
        assert finding.cleared_by == typeset(entry.cleared_by)
        assert finding.cleared_by.endswith(".")
        assert finding.positions, finding
        own = {at for at in finding.positions if at < AGREMENTS_FROM}
        assert own <= set(range(1, len(case.raised) + 1)), finding
        assert finding.says[0] == finding.says[0].upper()
        assert len(finding.says) <= 1_000


def test_a_finding_is_told_in_french_without_a_trace_of_the_program() -> None:
    for _, finding in every_finding():
        for wrong in (
            "None",
            "PartialDate",
            "Struct",
            "True",
            "False",
            "('",
            "['",
            "{",
            "()",
            "  ",
            " ,",
            "’ ",
        ):
            assert wrong not in finding.says, finding.says


def test_the_catalogue_is_in_french_and_every_code_a_short_name() -> None:
    titles = Counter(entry.title for entry in CATALOGUE.values())
    assert max(titles.values()) == 1
    rules = Counter(entry.rule for entry in CATALOGUE.values())
    assert max(rules.values()) == 1
    for code, entry in CATALOGUE.items():
        assert code == code.lower()
        assert set(code) <= set("abcdefghijklmnopqrstuvwxyz-")
        assert len(code) <= 40
        assert entry.title[0].isupper()
        assert not entry.title.endswith(".")


def test_an_ecart_departs_from_a_term_or_from_a_law() -> None:
    """Whatever has no source in law says by which article it is an écart."""
    for _, finding in every_finding():
        if finding.nature == "ecart" and finding.source is None:
            assert finding.article, finding


def test_the_gravest_come_first_then_by_code_then_as_it_happened() -> None:
    told = found(
        *PAYING, FIRST, SECOND, contradicted(), stream_piece("b"), stream_piece("a"), on="2027-01-01"
    )
    ranks = {"serious": 0, "notable": 1, "minor": 2}
    assert [ranks[one.severity] for one in told] == sorted(ranks[one.severity] for one in told)
    assert len({one.severity for one in told}) == 3
    for severity in ranks:
        alike = [one.code for one in told if one.severity == severity]
        assert alike == sorted(alike)
    # Recorded the other way round, and of one day: told by what they say.
    assert [one.about for one in told if one.code == "piece-manquante"] == ["a", "b"]


def test_of_two_alike_the_first_to_happen_is_told_first() -> None:
    earlier = ("2026-01-01", facts.PieceMissing(key="z", what="z"))
    told = found(*SOUND, stream_piece("a"), earlier)
    assert [one.about for one in told if one.code == "piece-manquante"] == ["z", "a"]


def test_a_contradiction_is_as_grave_as_whoever_found_it_says() -> None:
    [finding] = standing(found(*SOUND, contradicted()), "incoherence")
    assert (finding.severity, finding.article, finding.source) == ("serious", "5 ; 10, al. 1", "pacte")


def test_terms_that_not_all_have_signed_are_departed_from_by_nobody() -> None:
    owing = (*UNSIGNED, obligation())
    [unsigned] = standing(found(*owing), "document-manquant")
    [in_force] = standing(found(*owing, ("2026-01-01", facts.EntryIntoForceNoted())), "document-manquant")
    [signed_by_all] = standing(found(*owing, *SIGNATURES), "document-manquant")
    [promised] = standing(found(opened(force="promesse"), *SOUND[1:], obligation()), "document-manquant")
    assert [one.nature for one in (unsigned, in_force, signed_by_all, promised)] == [
        "attention",
        "ecart",
        "ecart",
        "attention",
    ]


def test_a_breach_of_the_law_is_one_whoever_has_signed() -> None:
    [finding] = standing(found(*UNSIGNED, BUDGET, BIG), "convention-requise")
    assert finding.nature == "ecart"


# -- derogations


LATE_BY_TWO_DAYS = (*PAYING, pay("p-1", 10_000_00, "2026-03-02", "acompte"))


@pytest.mark.parametrize(
    "granted, waived",
    [
        ((), False),
        ((derogation("7.1", "ville"),), True),
        ((derogation("7.1", "mjc"),), False),
        ((derogation("7", "ville"),), False),
        ((derogation("7.10", "ville"),), False),
        ((derogation("7.1", "ville", until="2026-03-02"),), True),
        ((derogation("7.1", "ville", until="2026-03-01"),), False),
        (
            (derogation("7.1", "ville", until="2026-03-01"), derogation("7.1", "ville", until="2026-04-01")),
            True,
        ),
        (
            (derogation("7.1", "ville", until="2026-04-01"), derogation("7.1", "ville", until="2026-03-01")),
            True,
        ),
        ((("2026-07-01", derogation("7.1", "ville")[1]),), False),
    ],
)
def test_a_derogation_waives_what_its_party_departed_from(granted: tuple[Line, ...], waived: bool) -> None:
    [finding] = [one for one in found(*LATE_BY_TWO_DAYS, *granted) if one.code == "paiement-tardif"]
    assert (finding.settled is not None) == waived
    if waived:
        assert finding.settled in range(len(LATE_BY_TWO_DAYS) + 1, len(LATE_BY_TWO_DAYS) + 3)


def test_of_two_derogations_the_one_that_reaches_furthest_is_named_and_of_two_alike_the_first() -> None:
    for untils, named in (((None, None), 0), (("2026-04-01", "2026-04-01"), 0), (("2026-04-01", None), 1)):
        granted = tuple(derogation("7.1", "ville", until) for until in untils)
        told = found(*LATE_BY_TWO_DAYS, *granted)
        [finding] = [one for one in told if one.code == "paiement-tardif"]
        assert finding.settled == len(LATE_BY_TWO_DAYS) + 1 + named


def test_a_derogation_from_an_article_covers_its_paragraphs() -> None:
    plan = clause("7.1, al. 4", PLAN_TERM)
    lines = (*SOUND, plan, BUDGET, VOTE, pay("p-1", 10_000_00, "2026-03-02", "acompte"))
    [finding] = [one for one in found(*lines, derogation("7.1", "ville")) if one.code == "paiement-tardif"]
    assert finding.settled == len(lines) + 1


@pytest.mark.parametrize(
    "granted, waived", [("7.1, al. 4, 1°", True), ("7.1, al. 4", True), ("7.1, al. 5", False)]
)
def test_a_derogation_from_a_paragraph_covers_what_is_in_it_alone(granted: str, waived: bool) -> None:
    plan = clause("7.1, al. 4, 1°", PLAN_TERM)
    lines = (*SOUND, plan, BUDGET, VOTE, pay("p-1", 10_000_00, "2026-03-02", "acompte"))
    [finding] = [one for one in found(*lines, derogation(granted, "ville")) if one.code == "paiement-tardif"]
    assert (finding.settled is not None) == waived


DEPARTED = [
    ("paiement-anticipe", "ville", "2026-01-31"),
    ("paiement-tardif", "ville", "2026-03-02"),
    ("acompte-impaye", "ville", "2026-02-28"),
    ("paiement-en-double", "ville", "2026-03-10"),
    ("paiement-document-manquant", "ville", "2026-02-10"),
    ("paiement-sans-agrement", "ville", "2026-02-10"),
    ("compte-rendu-financier", "mjc", "2027-06-30"),
    ("adhesion-sans-agrement", "bregille", "2026-03-01"),
    ("document-tardif", "mjc", "2026-03-31"),
    ("document-manquant", "mjc", "2027-07-15"),
    ("obligation-non-tenue", "mjc", "2026-03-31"),
    ("agrement-interrompu", "mjc", "2026-03-01"),
    ("resiliation-prematuree", "ville", "2026-03-17"),
    ("resiliation-sans-mise-en-demeure", "ville", "2026-04-20"),
    ("resiliation-non-deliberee", "ville", None),
    ("denonciation-tardive", "mjc", "2026-10-02"),
    ("denonciation-incomplete", "mjc", None),
]
"""Who departed from the article, in the first life in which there is one, and on which day, if on one."""


@pytest.mark.parametrize("code, who, last_day", DEPARTED, ids=[code for code, _, _ in DEPARTED])
def test_a_derogation_waives_what_its_own_party_did_by_its_last_day(
    code: str, who: str, last_day: str | None
) -> None:
    lives = [Life(code, one.raised, one.on, one.around) for one in CASES if one.code == code]
    life, breached = next(
        (life, finding)
        for life in (*lives, *LIVES)
        for finding in found(*life.lines, on=life.on, around=life.around)
        if finding.code == code and finding.nature == "ecart" and finding.article
    )
    article = breached.article or ""

    def settled(to: str, until: str | None) -> int | None:
        told = found(*life.lines, derogation(article, to, until), on=life.on, around=life.around)
        same = (one for one in told if one.code == code and one.positions == breached.positions)
        return next((one.settled for one in same), None)

    assert settled(who, last_day) == len(life.lines) + 1
    assert settled("ville" if who == "mjc" else "mjc", None) is None
    if last_day is not None:
        assert settled(who, str(date.fromisoformat(last_day) - timedelta(days=1))) is None


def test_a_derogation_waives_no_point_of_attention() -> None:
    told = found(*SOUND, contradicted(), derogation("5 ; 10, al. 1", ""))
    assert [one.settled for one in told if one.code == "incoherence"] == [None]


# -- two clocks, any order, the same bytes


def stream_piece(key: str) -> Line:
    return "2026-01-05", facts.PieceMissing(key=key, what=key)


LIVELY = (
    *PAYING,
    FIRST,
    SECOND,
    obligation(gates_payments=True),
    NEEDS_AGREMENT,
    MEETING,
    contradicted(),
    notice(),
    overpaid(1_000_00),
    CONTEST,
    derogation("7.1", "ville"),
    avenant(1, "2026-03-01", facts.Prorogation(D("2030-12-31"))),
    signed("ville", "maire", "2026-03-01", 1),
    refused(),
    PLEDGED,
    INTERESTED,
)
TO_COME: tuple[Line, ...] = (
    ("2026-06-02", SECOND[1]),
    ("2027-01-01", facts.PaymentRejected(payer="ville", payment="p-1", reason="compte clos")),
    ("2026-06-02", returned(1_000_00)[1]),
    ("2026-06-02", titre(1_000_00)[1]),
    (
        "2026-06-02",
        facts.SubsidyChanged(
            payer="ville", beneficiary="mjc", exercice=2026, amount_cents=1, reason="budget"
        ),
    ),
    ("2026-06-02", facts.ContradictionSettled(key="s-1", retained="deux ans", reason="titre", by="ville")),
    ("2026-06-02", document("2026-06-02")[1]),
    ("2026-06-02", facts.NoticeSatisfied(key="med", by="ville")),
    ("2026-06-02", signed("mjc", "president", "2026-06-02", 1)[1]),
    ("2026-06-02", derogation("6.3", "mjc")[1]),
    ("2026-06-02", AUTHORITY[1][1]),
    ("2026-06-02", adopted("d-9", "2026-06-02")[1]),
    ("2026-06-02", facts.InstrumentClosed()),
    ("2026-06-02", terminated("2026-06-02")[1]),
    ("2026-06-02", facts.SuspensionLifted(key="s", by="ville", decided_by="le Maire", reason="reçu")),
    ("2026-06-02", facts.FactContested(entry=len(PAYING) + 1, by="mjc", reason="rien reçu")),
    ("2026-06-02", facts.FactConfirmed(entry=len(PAYING) + 1, by="mjc")),
    ("2026-06-02", facts.PartyWithdrew(party="mjc")),
    ("2026-06-02", facts.PieceMissing(key="z", what="z")),
)


def told_of(*lines: Line, on: str = TODAY) -> bytes:
    return msgspec.json.encode(found(*lines, on=on))


@supposing(st.sets(st.sampled_from(range(len(TO_COME))), min_size=1))
@settings(max_examples=60, deadline=None)
def test_what_is_to_come_changes_nothing_of_today(which: set[int]) -> None:
    later = [TO_COME[index] for index in sorted(which)]
    assert told_of(*LIVELY, *later) == told_of(*LIVELY)


def test_an_entry_into_force_to_come_makes_no_term_binding_today() -> None:
    owing = (*UNSIGNED, obligation())
    assert told_of(*owing, ("2026-06-02", facts.EntryIntoForceNoted())) == told_of(*owing)


def test_each_of_what_is_to_come_would_change_something_once_it_has_come() -> None:
    silent = [
        line[1]
        for line in TO_COME
        if found(*LIVELY, line, on="2027-06-01") == found(*LIVELY, on="2027-06-01")
    ]
    assert silent == []


def same_facts(told: tuple[Finding, ...], order: list[int]) -> set[tuple[Any, ...]]:
    """What was found, its positions put back to those of the first order."""
    first = dict(enumerate(order, 1))
    return {
        (one.code, one.severity, one.nature, one.article, tuple(sorted(first[at] for at in one.positions)))
        for one in told
    }


@supposing(st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_the_order_of_arrival_does_not_matter(chance: random.Random) -> None:
    # Entries that name others by their position stay where they are: they have none to be confused with.
    lines = [line for line in LIVELY if not isinstance(line[1], facts.EntryCancelled)]
    order = list(range(1, len(lines) + 1))
    chance.shuffle(order)
    shuffled = found(*(lines[place - 1] for place in order))
    assert same_facts(shuffled, order) == same_facts(found(*lines), list(range(1, len(lines) + 1)))


def test_the_same_facts_give_the_same_bytes() -> None:
    assert told_of(*LIVELY) == told_of(*LIVELY)


def test_a_hundred_payments_and_documents_cost_little_more_than_ten_each() -> None:
    """Counted in the steps of the interpreter, not in seconds: ten times the facts, not a hundred times "
    "the work."""

    def life(many: int) -> known.Known:
        owed = [obligation(f"d-{index}", f"6.{index}", gates_payments=True) for index in range(many)]
        paid = [pay(f"p-{index}", 1_00 + index, f"2026-04-{1 + index % 28:02}") for index in range(many)]
        votes = [("2026-01-20", voted(1_000_00 + index)[1]) for index in range(many)]
        found_wrong = [
            ("2026-01-02", msgspec.structs.replace(contradicted()[1], key=f"s-{index}"))
            for index in range(many)
        ]
        lines = (*SOUND, *owed, *paid, *votes, *found_wrong)
        return view_of(*lines)

    def steps(view: known.Known) -> int:
        duties = obligations.of(view)
        beside = (schedule.of(view, duties), duties, coverage.of(view), exits.of(view), amendments.of(view))
        return calls_in(lambda: findings.of(view, *beside))

    assert steps(life(100)) < 14 * steps(life(10))


# -- what covers a day


def test_a_span_covers_its_first_and_its_last_day_and_those_of_its_owner_alone() -> None:
    first, last = date(2026, 3, 2), date(2026, 3, 4)
    asked = [(who, date(2026, 3, day)) for who in ("ville", "mjc") for day in range(1, 6)]
    told = findings_view.covering([("ville", first, last, "a")], asked)
    assert told == {("ville", date(2026, 3, day)): ("a",) for day in (2, 3, 4)}


@pytest.mark.parametrize("day", [date(2026, 3, 2), date.max])
def test_a_span_of_one_day_covers_it_be_it_the_last_there_is(day: date) -> None:
    asked = [("ville", day), ("ville", date(2026, 3, 3))]
    assert findings_view.covering([("ville", day, day, "a")], asked) == {("ville", day): ("a",)}


def test_an_open_span_covers_for_ever_and_an_empty_one_never() -> None:
    day = date(2026, 3, 2)
    spans = [("ville", day, None, "open"), ("ville", day, date(2026, 3, 1), "empty")]
    assert findings_view.covering(spans, [("ville", date(2099, 1, 1)), ("ville", day)]) == {
        ("ville", date(2099, 1, 1)): ("open",),
        ("ville", day): ("open",),
    }


def test_no_more_spans_are_named_than_a_sentence_holds() -> None:
    day = date(2026, 3, 2)
    spans = [("ville", day, None, index) for index in range(9)]
    assert findings_view.covering(spans, [("ville", day)]) == {("ville", day): (0, 1, 2)}
    assert findings_view.some(["a", "b", "c", "a"]) == "a, b et c"
    assert findings_view.some(["a", "b", "c", "d", "e"]) == "a, b, c et 2 autres"
    assert findings_view.some(["a", "b", "c", "d"]) == "a, b, c et 1 autre"


@supposing(st.data())
@settings(max_examples=50, deadline=None)
def test_what_covers_a_day_is_what_a_search_one_by_one_finds(data: st.DataObject) -> None:
    days = st.dates(date(2026, 1, 1), date(2026, 1, 20))
    who = st.sampled_from(["ville", "mjc"])
    spans = data.draw(st.lists(st.tuples(who, days, st.none() | days), max_size=3))
    asked = data.draw(st.lists(st.tuples(who, days), max_size=6))
    told = findings_view.covering(
        [(whose, first, last, place) for place, (whose, first, last) in enumerate(spans)], asked
    )
    for whose, day in asked:
        one_by_one = {
            place
            for place, (owner, first, last) in enumerate(spans)
            if owner == whose and first <= day and (last is None or day <= last)
        }
        assert set(told.get((whose, day), ())) == one_by_one


# -- neighbours that a table of one each does not hold


def codes_of(*lines: Line, on: str = TODAY, around: tuple[State, ...] = AROUND) -> set[str]:
    return {one.code for one in found(*lines, on=on, around=around)}


FOR_THE_CCAS: Line = ("2026-01-20", msgspec.structs.replace(PROJECT[1], beneficiary="ccas"))
FLAT_TERM = terms.LumpSum(payer="ville", per="centre", amount_cents=500_00, from_exercice=2026)
FLAT = clause("9", FLAT_TERM)
FLAT_LATER = clause("9.1", msgspec.structs.replace(FLAT_TERM, from_exercice=2028))
TO_CCAS = clause("7.9", msgspec.structs.replace(PLAN_TERM, beneficiary="ccas"))
OF_2026 = clause("7.1", msgspec.structs.replace(PLAN_TERM, exercices=(2026,)))
AGAIN_IN_FEBRUARY = (
    pay("p-2", 10_000_00, "2026-02", "acompte"),
    pay("p-3", 1_00, "2026-02-05", "acompte"),
)


def test_a_payment_of_an_exercice_before_the_convention_needs_no_signature_of_it() -> None:
    before = pay("p-0", 500_00, "2025-08-20", exercice=2025)
    assert "paiement-avant-signature" not in codes_of(*SOUND, before)
    assert "paiement-avant-signature" in codes_of(*SOUND, ("2025-08-20", FIRST[1]))


ENOUGH: Line = (
    "2026-02-01",
    facts.FundsCommitted(payer="ville", beneficiary="mjc", number="E", exercice=2026, amount_cents=10_000_00),
)


def test_what_came_back_and_is_ordered_again_is_ordered_once() -> None:
    again = msgspec.structs.replace(ORDERED[1], number="9")
    lines = (*PAYING, ENOUGH, ORDERED, FIRST, ("2026-02-20", again))
    assert "mandats-au-dela-de-l-engagement" in codes_of(*lines)
    assert "mandats-au-dela-de-l-engagement" not in codes_of(*lines, BACK)


def test_a_contested_payment_that_came_back_is_contested_no_more() -> None:
    assert "fait-conteste" in codes_of(*PAYING, FIRST, DENIED)
    assert "fait-conteste" not in codes_of(*PAYING, FIRST, DENIED, BACK)


def test_the_last_word_is_the_one_that_stands() -> None:
    confirmed: Line = ("2026-02-15", facts.FactConfirmed(entry=PAID_AT, by="mjc"), None)
    assert "fait-conteste" in codes_of(*PAYING, FIRST, confirmed, DENIED)
    assert "fait-conteste" not in codes_of(*PAYING, FIRST, DENIED, confirmed)


def test_a_late_payment_that_a_missing_document_held_back_is_nobodys_fault() -> None:
    """Art. 7.1 al. 5 of the MJC convention: no document in time, no payment in time."""
    late = pay("p-1", 10_000_00, "2026-03-02", "acompte")
    gate = obligation(gates_payments=True, due=Due(on=D("2026-01-31")))
    assert "paiement-tardif" in codes_of(*PAYING, late)
    assert "paiement-tardif" not in codes_of(*PAYING, late, gate, document("2026-03-01"))
    assert "paiement-tardif" in codes_of(*PAYING, late, gate, document("2026-02-28"))
    assert "paiement-tardif" in codes_of(*PAYING, late, gate, document("2026-01-31"))


def test_two_payments_of_one_amount_for_two_instalments_are_two() -> None:
    assert "paiement-en-double" not in codes_of(*PAYING, FIRST, pay("p-2", 10_000_00, "2026-05-10", "solde"))
    assert "paiement-en-double" not in codes_of(
        *PAYING, FIRST, pay("p-2", 10_000_00, "2027-02-10", "acompte", exercice=2027), on="2027-06-01"
    )


def test_one_mandat_pays_once() -> None:
    first = pay("p-1", 10_000_00, "2026-02-10", "acompte", mandat="7")
    assert "paiement-en-double" in codes_of(
        *PAYING, first, pay("p-2", 1_00, "2026-05-10", "solde", mandat="7")
    )
    assert "paiement-en-double" not in codes_of(
        *PAYING, first, pay("p-2", 1_00, "2026-05-10", "solde", mandat="8")
    )


@pytest.mark.parametrize("answer", [overpaid(10_000_00), returned(10_000_00), BACK])
def test_a_second_payment_that_is_being_put_right_is_told_elsewhere(answer: Line) -> None:
    assert "paiement-en-double" not in codes_of(*PAYING, FIRST, SECOND, answer)


def test_payments_in_order_hide_none_that_are_not() -> None:
    twice = [pay(key, 5_000_00, "2027-02-10", "acompte", exercice=2027) for key in ("p-8", "p-9")]
    for before in ((), (FIRST,), (FIRST, SECOND, returned(10_000_00))):
        assert "paiement-en-double" in codes_of(*PAYING, *before, *twice, on="2027-06-01"), before
    short = ("2027-01-20", msgspec.structs.replace(voted(10_000_01)[1], exercice=2027))
    even = ("2026-01-20", voted(10_000_00)[1])
    uneven = ("2026-01-20", voted(10_000_02)[1])
    unsure = ("XXXX", pay("p-7", 1_00, "2026-02-10", "acompte")[1])
    for votes in ((short,), (even, short), (uneven, unsure, short)):
        assert "acomptes-discordants" in codes_of(*SOUND, SHORT_PLAN, BUDGET, *votes, on="2027-06-01"), votes


def test_a_payment_foreseen_after_the_term_is_not_after_the_end() -> None:
    """The solde of the last exercice may be due once the term has passed; after a résiliation nothing is."""
    plan = msgspec.structs.replace(
        PLAN_TERM,
        instalments=(
            terms.Instalment(key="solde", label="solde", due=Due(each_year=EachYear(month=3, of_exercice=1))),
        ),
    )
    vote = msgspec.structs.replace(VOTE[1], exercice=2029)
    lines = (*SOUND, clause("7.1", plan), BUDGET, ("2029-01-20", vote))
    last = pay("p-1", 20_000_00, "2030-03-10", "solde", exercice=2029)
    assert "paiement-apres-fin" not in codes_of(*lines, last, on="2030-06-01")
    late = pay("p-1", 20_000_00, "2030-04-10", "solde", exercice=2029)
    assert "paiement-apres-fin" in codes_of(*lines, late, on="2030-06-01")


@pytest.mark.parametrize(
    "days, over",
    [
        (("2025-06-02", "2026-06-01"), True),
        (("2025-06-01", "2026-06-01"), False),
        (("2025-05-31", "2026-06-01"), False),
        (("2024-02-29", "2025-02-28"), True),
        (("2024-02-28", "2025-02-28"), False),
    ],
)
def test_twelve_months_end_on_the_day_of_the_last_award(days: tuple[str, str], over: bool) -> None:
    """Décret 2017-779 and CADA conseil 20224387: over the last twelve months, together."""
    lines = [(day, voted(12_000_00, exercice=exercice)[1]) for exercice, day in enumerate(days, 2024)]
    assert ("convention-requise" in codes_of(*UNSIGNED, *lines)) == over


@pytest.mark.parametrize(
    "cents, over", [((23_000_00,), False), ((23_000_01,), True), ((11_500_00, 11_500_01), True)]
)
def test_the_threshold_itself_is_not_above_it(cents: tuple[int, ...], over: bool) -> None:
    lines = [("2026-01-20", voted(one, exercice=2026 + place)[1]) for place, one in enumerate(cents)]
    assert ("convention-requise" in codes_of(*UNSIGNED, *lines)) == over


def test_what_is_older_than_twelve_months_is_left_out_one_by_one() -> None:
    """500 + 500 in January 2025 are out on 1 June 2026, 12 000 + 11 000,01 of its twelve months are not."""
    days = (
        ("2025-01-10", 500_00),
        ("2025-01-11", 500_00),
        ("2025-06-02", 12_000_00),
        ("2026-06-01", 11_000_01),
    )
    lines = [(day, voted(cents, exercice=2020 + place)[1]) for place, (day, cents) in enumerate(days)]
    [finding] = standing(found(*UNSIGNED, *lines), "convention-requise")
    assert finding.positions == (len(UNSIGNED) + 3, len(UNSIGNED) + 4)


@pytest.mark.parametrize(
    "code, lines, on",
    [
        ("vote-non-verse", (*PAYING, FIRST, pay("p-2", 9_999_99, "2026-08-20", "solde")), "2027-01-01"),
        ("titre-impaye", (*PAYING, FIRST, titre(1_000_00), returned(999_99)), TODAY),
        ("trop-percu-sans-titre", (*PAYING, FIRST, overpaid(1_000_00), titre(999_99)), TODAY),
        ("fin-non-soldee", (*PAYING, FIRST, pay("p-2", 9_999_99, "2026-08-20", "solde")), "2030-02-01"),
        (
            "fin-non-soldee",
            (
                *PAYING,
                FIRST,
                pay("p-2", 10_000_00, "2026-08-20", "solde"),
                overpaid(1_000_00),
                returned(999_99),
            ),
            "2030-02-01",
        ),
        ("acomptes-discordants", (*SOUND, SHORT_PLAN, BUDGET, ("2026-01-20", voted(10_000_01)[1])), TODAY),
        ("mandats-au-dela-de-l-engagement", (*PAYING, SMALL, ORDERED), TODAY),
    ],
)
def test_one_cent_is_told(code: str, lines: tuple[Line, ...], on: str) -> None:
    [finding] = standing(found(*lines, on=on), code)
    assert euros(1) in finding.says or code == "mandats-au-dela-de-l-engagement"


def changed(cents: int, on: str, exercice: int = 2026) -> Line:
    return on, facts.SubsidyChanged(
        payer="ville", beneficiary="mjc", exercice=exercice, amount_cents=cents, reason="budget"
    )


@pytest.mark.parametrize(
    "lines, over",
    [
        # As last fixed: 24 000 lowered to 20 000, and 20 000 raised to 24 000.
        ((BIG, changed(20_000_00, "2026-03-01")), False),
        ((VOTE, changed(24_000_00, "2026-03-01")), True),
        ((("2026-03-01", BIG[1]), changed(20_000_00, "2026-01-20")), True),
        # On the day it was first given: 1 May 2025 is out of the twelve months that end on 1 June 2026.
        (
            (
                ("2025-05-01", voted(9_000_00, exercice=2025)[1]),
                changed(12_000_00, "2026-05-20", 2025),
                ("2026-06-01", voted(12_000_00)[1]),
            ),
            False,
        ),
        # An avenant sets the subsidy that was voted, and no second one: 20 000, not 40 000.
        ((VOTE, avenant(1, "2026-03-01", facts.SubsidySet("ville", "mjc", 2026, 20_000_00))), False),
        ((VOTE, avenant(1, "2026-03-01", facts.SubsidySet("ville", "mjc", 2027, 3_000_01))), True),
        # A subsidy for a project is another than that of fonctionnement: 20 000 + 9 000.
        ((VOTE, PROJECT), True),
        # Votes of two exercices are two: 20 000 + 20 000, within a month.
        ((VOTE, ("2026-02-20", voted(20_000_00, exercice=2027)[1])), True),
        # What is voted tomorrow is not given yet.
        ((VOTE, ("2026-06-02", voted(20_000_00, exercice=2027)[1])), False),
        # To another beneficiary is another award.
        ((VOTE, ("2026-02-20", msgspec.structs.replace(VOTE[1], beneficiary="amis"))), False),
    ],
)
def test_a_subsidy_counts_once_as_last_fixed_on_the_day_it_was_first_given(
    lines: tuple[Line, ...], over: bool
) -> None:
    around = (*AROUND, registered("amis", "association", "Amis"))
    assert ("convention-requise" in codes_of(*UNSIGNED, BUDGET, *lines, around=around)) == over


def test_aid_in_kind_counts_and_adds_up() -> None:
    premises: Line = (
        "2026-02-01",
        facts.AidInKindValued(
            giver="ville", beneficiary="mjc", exercice=2026, what="locaux", value_cents=2_000_00
        ),
    )
    assert "convention-requise" not in codes_of(*UNSIGNED, BUDGET, VOTE, premises)
    assert "convention-requise" in codes_of(*UNSIGNED, BUDGET, VOTE, premises, ("2026-02-02", premises[1]))


def test_aid_in_kind_makes_no_accounts_due() -> None:
    """Code de commerce, L612-4: subsidies «en numéraire»."""
    money = ("2026-01-20", voted(153_000_00)[1])
    premises = facts.AidInKindValued(
        giver="ville", beneficiary="mjc", exercice=2026, what="locaux", value_cents=90_000_00
    )
    assert "comptes-annuels-requis" not in codes_of(*SOUND, BUDGET, money, ("2026-02-01", premises))


def test_the_state_has_no_assembly_and_transmits_nothing() -> None:
    state = (registered("ville", "etat", "État"), MJC)
    codes = codes_of(*DRAFT, *AUTHORITY, *SIGNATURES, COMMITTED, BUDGET, BIG, around=state)
    assert not codes & {"partie-sans-deliberation", "executoire-non-etabli", "attribution-non-deliberee"}
    assert "convention-requise" in codes_of(*UNSIGNED, BUDGET, BIG, around=state)


def test_only_a_public_assembly_is_held_to_the_law_of_interested_members() -> None:
    for who, held_to_it in (("ville", True), ("ccas", True), ("mjc", False), ("caf", False)):
        decided = adopted("d-2", "2026-02-02", who, interested=("qui préside",), withdrew=())
        assert ("membre-interesse" in codes_of(*SOUND, decided)) == held_to_it


def test_an_avenant_that_waits_for_a_signature_gives_nothing_yet() -> None:
    one = avenant(1, "2026-03-01", facts.SubsidySet("ville", "mjc", 2026, 30_000_00))
    half = signed("ville", "maire", "2026-03-01", 1)
    assert "convention-requise" in codes_of(*UNSIGNED, one)
    assert "convention-requise" not in codes_of(*UNSIGNED, one, half)
    assert "convention-requise" in codes_of(*UNSIGNED, one, half, signed("mjc", "president", "2026-03-02", 1))


def test_thresholds_are_for_persons_of_private_law_and_money_of_authorities() -> None:
    public = (VILLE, registered("mjc", "ccas", "CCAS", siren="262500564"))
    private = (registered("ville", "association", "Amis"), MJC)
    assert "convention-requise" in codes_of(*UNSIGNED, BUDGET, BIG)
    assert "convention-requise" not in codes_of(*UNSIGNED, BUDGET, BIG, around=public)
    assert "convention-requise" not in codes_of(*UNSIGNED, BUDGET, BIG, around=private)
    assert "convention-requise" not in codes_of(*UNSIGNED, BUDGET, BIG, around=())


def test_essential_data_are_awaited_from_the_day_the_threshold_is_passed() -> None:
    """1 000 in January and 30 000 on 15 May: nothing was to be published before, of either."""
    lines = (*SOUND, ("2026-01-05", voted(1_000_00)[1]), ("2026-05-15", voted(30_000_00, exercice=2027)[1]))
    assert "donnees-essentielles-en-retard" not in codes_of(*lines, on="2026-08-15")
    told = standing(found(*lines, on="2026-08-16"), "donnees-essentielles-en-retard")
    assert [one.about for one in told] == ["2026", "2027"]
    assert all("au plus tard le 15 août 2026" in one.says for one in told)


@pytest.mark.parametrize(
    "quorum, signatures, early",
    [
        # One of two is enough: bound on 18 December, by the first.
        (1, (("a", "2025-12-18"), ("b", "2026-02-11")), False),
        # Both are wanted: bound on 11 February, the day after the payment.
        (2, (("a", "2025-12-18"), ("b", "2026-02-11")), True),
        (None, (("a", "2025-12-18"), ("b", "2026-02-11")), True),
        # One who signs twice signed on the first day, and is one.
        (2, (("a", "2025-12-18"), ("a", "2026-02-11"), ("b", "2026-02-09")), False),
        (2, (("a", "2025-12-18"), ("a", "2026-02-09"), ("b", "2026-02-11")), True),
    ],
)
def test_a_party_is_bound_on_the_day_the_last_signature_it_needs_was_affixed(
    quorum: int | None, signatures: tuple[tuple[str, str], ...], early: bool
) -> None:
    two = party("mjc", "beneficiaire", "a", "b", quorum=quorum)
    lines = (OPENED, PARTIES[0], two, PLAN, SIGNATURES[0], *(signed("mjc", *one) for one in signatures))
    assert ("paiement-avant-signature" in codes_of(*lines, BUDGET, VOTE, FIRST)) == early


def test_essential_data_published_late_are_late_by_so_many_days() -> None:
    [finding] = standing(
        found(*SOUND, BUDGET, BIG, ("2026-04-23", PUBLISHED[1])), "donnees-essentielles-en-retard"
    )
    assert "sont publiées le 23 avril 2026, 3 jours après" in finding.says
    assert finding.severity == "minor"


def test_an_act_known_to_have_been_received_was_transmitted() -> None:
    """The préfecture's receipt proves the transmission, on that day at the latest (CGCT L2131-1)."""
    acts = (adopted("d-1", "2025-12-04"), sent("d-1", "XXXX"), published("d-1", "2025-12-05"))
    signature = signed("ville", "maire", "2025-12-07")
    assert "executoire-non-etabli" in codes_of(*DRAFT, *acts, signature)
    on_time, late = received("d-1", "2025-12-07"), received("d-1", "2025-12-08")
    assert codes_of(*DRAFT, *acts, signature, on_time).isdisjoint(
        {"executoire-non-etabli", "signature-avant-executoire"}
    )
    # When it was sent is not known: perhaps before. It is no breach, and it is not established.
    assert "signature-avant-executoire" not in codes_of(*DRAFT, *acts, signature, late)
    assert "executoire-non-etabli" in codes_of(*DRAFT, *acts, signature, late)
    assert "signature-avant-executoire" in codes_of(*DRAFT, acts[0], acts[2], late, signature)


def test_of_two_deliberations_the_first_executoire_authorises() -> None:
    second = (adopted("d-2", "2025-12-01"), sent("d-2", "2025-12-02"), published("d-2", "2025-12-03"))
    early = signed("ville", "maire", "2025-12-05")
    assert "signature-avant-executoire" in codes_of(*DRAFT, *EXECUTOIRE, early)
    assert "signature-avant-executoire" not in codes_of(*DRAFT, *EXECUTOIRE, *second, early)


def test_an_article_is_there_when_a_paragraph_of_it_is() -> None:
    for stated in ("6.9", "6.9, al. 1", "6.9, 2e tiret"):
        assert "renvoi-rompu" not in codes_of(*SOUND, clause("6.2", None), clause(stated, None), RIDER)
    for stated in ("6.90", "6", "9"):
        assert "renvoi-rompu" in codes_of(*SOUND, clause("6.2", None), clause(stated, None), RIDER)


@pytest.mark.parametrize(
    "line",
    [
        notice(article="99"),
        (
            "2026-03-02",
            facts.PaymentsSuspended(
                key="s", by="ville", decided_by="le Maire", reason="x", article="99, al. 2"
            ),
        ),
        derogation("99", "mjc"),
        terminated("2026-04-20", None, "99"),
        clause("13", terms.Amending(by_avenant=True, bipartite_for=("99",))),
    ],
)
def test_whatever_names_an_article_that_is_not_there_is_told(line: Line) -> None:
    told = standing(found(*SOUND, line), "renvoi-rompu")
    assert [one.about.partition(",")[0] for one in told] == ["99"]


OF_THE_PAPER = {
    "acte-discordant",
    "acte-en-variantes",
    "acte-mal-forme",
    "annexe-attendue",
    "deliberation-citee-non-tenue",
    "engagement-republicain-presume",
    "fait-conteste",
    "fait-non-confirme",
    "incoherence",
    "piece-annoncee",
    "piece-manquante",
    "pouvoir-non-etabli",
    "signature-non-datee",
    "total-inexact",
}
"""What a paper says of itself is found in it whether it is dated or not."""

BY_ITS_ABSENCE = {
    "acompte-impaye",
    "assurance-non-justifiee",
    "avenant-non-signe",
    "commencee-sans-signature",
    "denonciation-incomplete",
    "document-manquant",
    "duree-inconnue",
    "executoire-non-etabli",
    "obligation-non-tenue",
    "partie-sans-deliberation",
    "recours-possible",
    "resiliation-non-deliberee",
    "reunion-manquante",
    "signatures-insuffisantes",
    "suite-a-prevoir",
}
"""Raised by what is not there: the last line of the life is only what stands around it."""

UNDATED_PARTS = (facts.ClauseStated, facts.PartyListed)
"""The text and its parties are as they are from the first day, dated or not."""


def undated(*lines: Line) -> tuple[Line, ...]:
    return tuple(("XXXX", *line[1:]) for line in lines)


@pytest.mark.parametrize("one", CASES, ids=IDS)
def test_what_happened_on_an_unknown_day_raises_nothing(one: Case) -> None:
    """It is not taken as come."""
    last = one.raised[-1]
    if one.code in OF_THE_PAPER | BY_ITS_ABSENCE or isinstance(last[1], UNDATED_PARTS):
        return
    assert standing(found(*one.raised[:-1], *undated(last), on=one.on, around=one.around), one.code) == []


@pytest.mark.parametrize("one", CASES, ids=IDS)
def test_what_puts_it_right_on_an_unknown_day_may_have_put_it_right(one: Case) -> None:
    """It is not taken as not come."""
    added = one.cleared[len(one.raised) :]
    if one.cleared[: len(one.raised)] != one.raised or one.code == "acompte-impaye":
        return
    around = one.around if one.cleared_around is None else one.cleared_around
    told = standing(
        found(*one.raised, *undated(*added), on=one.cleared_on or one.on, around=around), one.code
    )
    assert told == []


def test_nothing_is_told_of_what_has_no_day() -> None:
    """What is undated is neither taken as come nor as not: it breaches nothing, and may have put it right."""
    undated_payment = pay("p-1", 10_000_00, "XXXX", "acompte")
    assert codes_of(*PAYING, undated_payment).isdisjoint(
        {"paiement-tardif", "paiement-anticipe", "paiement-en-double", "paiement-avant-signature"}
    )
    assert "rejet-non-remplace" not in codes_of(*PAYING, FIRST)
    assert "promesse-sans-vote" not in codes_of(*SOUND, PLEDGED, ("XXXX", VOTE[1]))
    assert "incoherence" not in codes_of(*SOUND, contradicted(), ("XXXX", SETTLED[1]))
    assert "piece-annoncee" not in codes_of(
        *SOUND, ("2026-01-05", facts.PieceAnnounced(key="b", what="bordereau")), ("XXXX", FILED[1])
    )


@pytest.mark.parametrize(
    "received_on, refused_on, answered",
    [
        ("2026-03-20", "2026-03-20", False),
        ("2026-03-21", "2026-03-20", True),
        ("2026-03-19", "2026-03-20", False),
    ],
)
def test_a_document_that_came_by_the_refusal_is_the_one_refused(
    received_on: str, refused_on: str, answered: bool
) -> None:
    told = found(*SOUND, document(received_on, exercice=2025), refused(refused_on))
    assert (standing(told, "document-refuse") == []) == answered


def test_a_refused_document_that_is_dispensed_is_owed_no_more() -> None:
    dispensed = facts.DocumentDispensed(
        by="ville", debtor="mjc", document="bilan", reason="accord", exercice=2025
    )
    lines = (*SOUND, document("2026-03-02", exercice=2025), refused())
    [finding] = standing(found(*lines), "document-refuse")
    assert ", exercice 2025, refusé par la Ville de Besançon" in finding.says
    assert "document-refuse" not in codes_of(*lines, ("2026-04-01", dispensed))
    other_year = msgspec.structs.replace(dispensed, exercice=2024)
    assert "document-refuse" in codes_of(*lines, ("2026-04-01", other_year))


def test_a_gap_that_lasts_is_graver_than_one_that_is_over_and_one_to_come_is_none() -> None:
    lines = (*SOUND, NEEDS_AGREMENT)
    short = (VILLE, MJC, agrement(granted("2025-01-01", "2026-05-31", "2024-12-01")))
    parted = (VILLE, MJC, agrement(*IN_TWO_PARTS))
    [open_still] = standing(found(*lines, on="2026-06-01", around=short), "agrement-interrompu")
    assert "l’agrément est arrivé à son terme, depuis le 1er juin 2026" in open_still.says
    assert open_still.severity == "serious"
    assert standing(found(*lines, on="2026-05-31", around=short), "agrement-interrompu") == []
    [last_day] = standing(found(*lines, on="2026-03-31", around=parted), "agrement-interrompu")
    assert (last_day.severity, "depuis le 1er mars 2026" in last_day.says) == ("serious", True)
    [over] = standing(found(*lines, on="2026-04-01", around=parted), "agrement-interrompu")
    assert (over.severity, "du 1er mars 2026 au 31 mars 2026" in over.says) == ("notable", True)


def test_an_agrement_that_has_yet_to_begin_is_recorded_all_the_same() -> None:
    later = (VILLE, MJC, agrement(granted("2026-09-01", "2029-12-31", "2026-05-01")))
    assert "agrement-non-enregistre" not in codes_of(*SOUND, NEEDS_AGREMENT, around=later)


def test_an_agrement_is_as_long_as_the_convention_until_an_avenant_that_all_have_signed_prolongs_it() -> None:
    prolonged = avenant(1, "2026-03-01", facts.Prorogation(D("2030-12-31")))
    ville, mjc = signed("ville", "maire", "2026-03-01", 1), signed("mjc", "president", "2026-05-01", 1)
    lines = (*SOUND, NEEDS_AGREMENT, prolonged, ville, mjc)
    assert "agrement-plus-court" not in codes_of(*lines, on="2026-04-30")
    assert "agrement-plus-court" in codes_of(*lines, on="2026-05-01")


def test_an_agrement_asked_for_is_none_yet() -> None:
    asked: Line = ("2026-01-10", facts.AgrementRequested(services=("AGC",), to="caf"))
    told = found(*SOUND, NEEDS_AGREMENT, around=(VILLE, MJC, agrement(asked)))
    [finding] = standing(told, "agrement-non-enregistre")
    assert finding.says.endswith("une demande est enregistrée.")


def test_the_last_period_tells_whether_the_agrement_ends_first() -> None:
    periods = (
        granted("2025-01-01", "2026-12-31", "2024-12-01"),
        granted("2027-01-01", "2028-06-30", "2026-05-01"),
    )
    told = found(*SOUND, NEEDS_AGREMENT, around=(VILLE, MJC, agrement(*periods)))
    [finding] = standing(told, "agrement-plus-court")
    assert "finit le 30 juin 2028" in finding.says


@pytest.mark.parametrize("on, missing", [("2022-01-01", False), ("2022-01-02", True)])
def test_a_commitment_is_wanted_since_the_decree(on: str, missing: bool) -> None:
    """Décret 2021-1947: for what is asked for from 2 January 2022."""
    lines = tuple(line for line in SOUND if line is not COMMITTED)
    vote = (on, voted(1_000_00, exercice=2022)[1])
    assert ("engagement-republicain-absent" in codes_of(*lines, vote)) == missing
    public = (VILLE, registered("mjc", "ccas", "CCAS", siren="262500564"))
    assert "engagement-republicain-absent" not in codes_of(*lines, vote, around=public)


def test_a_pledge_to_nobody_in_particular_is_answered_by_any_vote_of_the_year() -> None:
    pledged = ("2025-10-24", msgspec.structs.replace(PLEDGED[1], beneficiary=None))
    assert "promesse-sans-vote" in codes_of(*SOUND, pledged)
    assert "promesse-sans-vote" not in codes_of(*SOUND, pledged, BUDGET, VOTE)
    assert "promesse-sans-vote" in codes_of(*SOUND, pledged, ("2026-01-20", voted(1, exercice=2027)[1]))
    assert "promesse-sans-vote" not in codes_of(*SOUND, pledged, on="2025-12-31")


def test_a_pledge_to_one_is_not_answered_by_a_vote_for_another() -> None:
    for_the_ccas = ("2026-01-20", msgspec.structs.replace(VOTE[1], beneficiary="ccas"))
    assert "promesse-sans-vote" in codes_of(*SOUND, PLEDGED, BUDGET, for_the_ccas)


def test_a_vote_of_before_the_convention_is_not_paid_under_it() -> None:
    earlier = ("2025-03-20", voted(1, exercice=2025)[1])
    of_its_own = ("2026-03-20", voted(1, exercice=2026)[1])
    assert "vote-non-verse" not in codes_of(*SOUND, earlier, on="2027-06-01")
    assert "vote-non-verse" in codes_of(*SOUND, of_its_own, on="2027-06-01")


def test_what_a_resiliation_cut_short_is_owed_no_more() -> None:
    lines = (*PAYING, FIRST, notice(), terminated("2026-04-20"))
    assert codes_of(*lines, on="2027-06-01").isdisjoint({"vote-non-verse", "fin-non-soldee"})
    assert "fin-non-soldee" in codes_of(*lines, overpaid(1_00), on="2027-06-01")
    assert "fin-non-soldee" not in codes_of(*lines, overpaid(1_00), returned(1_00), on="2027-06-01")


def test_a_threshold_is_told_with_the_sum_of_its_exercice_and_the_votes_it_rests_on() -> None:
    lines = (*UNSIGNED, BUDGET, BIG, ("2026-02-20", voted(3_000_00, exercice=2027)[1]))
    [finding] = standing(found(*lines), "convention-requise")
    assert f"({euros(24_000_00)} pour l’exercice 2026)" in finding.says
    assert finding.positions == (len(UNSIGNED) + 2, len(UNSIGNED) + 3)


def test_accounts_that_came_are_asked_for_no_more() -> None:
    lines = (*SOUND, BUDGET, ("2026-01-20", voted(154_000_00)[1]))
    assert "comptes-annuels-requis" in codes_of(*lines)
    assert "comptes-annuels-requis" in codes_of(*lines, document("2026-05-01", "bilan", 2026))
    assert "comptes-annuels-requis" in codes_of(*lines, document("2026-05-01", "comptes-annuels", 2025))
    assert "comptes-annuels-requis" not in codes_of(*lines, document("2026-05-01", "comptes-annuels", 2026))


@pytest.mark.parametrize(
    "change", [facts.Prorogation(D("2030-12-31")), facts.Admission("ccas", "partenaire")]
)
def test_an_avenant_between_some_that_changes_no_article_is_told_without_one(change: facts.AnyChange) -> None:
    alone = clause("13", terms.Amending(by_avenant=True, bipartite_for=("7.4",)))
    lines = (*SOUND, party("caf", "partenaire"), alone, avenant(1, "2026-03-01", change))
    [finding] = standing(found(*lines), "avenant-sans-les-autres")
    assert finding.says.startswith(
        typeset("L’avenant n° 1 ne lie que la Ville de Besançon et la MJC Palente ;")
    )


def test_a_resiliation_on_an_article_without_a_cure_needs_no_mise_en_demeure() -> None:
    """Art. 11.2: there is nothing to put right in a ground of general interest."""
    at_once = msgspec.structs.replace(FAULT, cure=Delay(count=0, unit="day", anchor="envoi"))
    in_a_day = msgspec.structs.replace(FAULT, cure=Delay(count=1, unit="day", anchor="envoi"))
    lines = (*SOUND, clause("11.3", at_once), clause("11.4", in_a_day))
    assert "resiliation-sans-mise-en-demeure" not in codes_of(*lines, terminated("2026-04-20", None, "11.3"))
    assert "resiliation-sans-mise-en-demeure" in codes_of(*lines, terminated("2026-04-20", None, "11.1"))
    assert "resiliation-sans-mise-en-demeure" in codes_of(*lines, terminated("2026-04-20", None, "11.4"))


def test_two_identifiers_of_one_act_disagree() -> None:
    other = ACTE.replace("D12", "D13")
    lines = (*DRAFT, EXECUTOIRE[0], sent("d-1", "2025-12-05", acte=ACTE))
    [finding] = standing(found(*lines, received("d-1", "2025-12-05", acte=other)), "acte-discordant")
    assert f"un autre est enregistré : {ACTE}" in finding.says.replace("\N{NO-BREAK SPACE}", " ")
    assert "acte-discordant" not in codes_of(*lines, received("d-1", "2025-12-05", acte=ACTE))


def test_a_siren_is_known_by_the_siret_too_and_the_last_recorded_one_counts() -> None:
    siret: Line = ("XXXX", facts.InstitutionRegistered(name="Ville", kind="commune", siret="21250056500016"))
    lines = (*DRAFT, EXECUTOIRE[0], sent("d-1", "2025-12-05", acte=ACTE))
    changed: Line = ("2026-01-02", facts.IdentifierRecorded(scheme="siren", value="262500564"))
    to_come: Line = ("2026-07-02", facts.IdentifierRecorded(scheme="siren", value="262500564"))
    rna: Line = ("2026-01-02", facts.IdentifierRecorded(scheme="rna", value="W251000009"))
    other_office: Line = ("2026-01-02", facts.IdentifierRecorded(scheme="siret", value="21250056500008"))
    for identified, disagrees in (
        ((siret,), False),
        ((siret, changed), True),
        ((siret, to_come), False),
        ((siret, rna), False),
        ((siret, other_office), False),
    ):
        around = (given(*identified, stream="institution/ville"), MJC)
        assert ("acte-discordant" in codes_of(*lines, around=around)) == disagrees


def test_who_joins_may_need_an_agrement_by_a_condition_on_it_alone() -> None:
    needed = clause(
        "14", terms.Condition(of="membership", requires="agrement", holder="bregille", words="agrément")
    )
    joined: Line = ("2026-03-01", facts.PartyJoined(institution="bregille"))
    assert "adhesion-sans-agrement" in codes_of(*SOUND, needed, joined)
    assert "adhesion-sans-agrement" not in codes_of(
        *SOUND, needed, ("2026-03-01", facts.PartyJoined(institution="autre"))
    )
    holder = agrement(granted("2026-01-01", "2029-12-31", "2025-12-01"), holder="bregille")
    assert "adhesion-sans-agrement" not in codes_of(*SOUND, needed, joined, around=(*AROUND, holder))


@pytest.mark.parametrize(
    "of, requires, holder, period, told",
    [
        ("membership", "agrement", "bregille", None, True),
        # What the partnership depends on, or a deliberation, or another's agrément, keeps nobody out.
        ("partnership", "agrement", "bregille", None, False),
        ("membership", "deliberation", "bregille", None, False),
        ("membership", "agrement", "autre", None, False),
        ("membership", "agrement", "bregille", ("2026-03-01", "2029-12-31"), False),
        ("membership", "agrement", "bregille", ("2026-03-02", "2029-12-31"), True),
        # Whether it had begun by 1 March is not known.
        ("membership", "agrement", "bregille", ("2026", "2029-12-31"), False),
    ],
)
def test_who_joins_by_a_condition_on_its_agrement_holds_one_on_that_day(
    of: Any, requires: Any, holder: str, period: tuple[str, str] | None, told: bool
) -> None:
    needed = clause("14", terms.Condition(of=of, requires=requires, holder=holder, words="agrément"))
    periods = () if period is None else (granted(*period, "2026-01-01"),)
    around = (*AROUND, agrement(*periods, holder="bregille"))
    joined: Line = ("2026-03-01", facts.PartyJoined(institution="bregille"))
    assert ("adhesion-sans-agrement" in codes_of(*SOUND, needed, joined, around=around)) == told


def test_a_payment_is_rightly_made_to_whoever_asked_or_was_promised() -> None:
    ccas = party("ccas", "partenaire")
    to_ccas = pay("p-9", 500_00, "2026-03-10", beneficiary="ccas")
    asked: Line = ("2026-01-02", facts.SubsidyRequested(beneficiary="ccas", payer="ville", exercice=2026))
    promised = ("2026-01-02", msgspec.structs.replace(PLEDGED[1], beneficiary="ccas"))
    assert "paiement-hors-beneficiaire" in codes_of(*PAYING, ccas, to_ccas)
    for line in (asked, promised):
        assert "paiement-hors-beneficiaire" not in codes_of(*PAYING, ccas, to_ccas, line)
        assert "paiement-hors-beneficiaire" not in codes_of(*PAYING, ccas, to_ccas, *undated(line))


def test_the_sixtieth_day_is_in_time() -> None:
    lines = (*SOUND, BUDGET, VOTE)
    assert "delai-de-soixante-jours" not in codes_of(*lines, on="2026-03-21")
    assert "delai-de-soixante-jours" in codes_of(*lines, on="2026-03-22")
    assert "delai-de-soixante-jours" in codes_of(*lines, pay("p-1", 20_000_00, "2026-03-22"))
    assert "delai-de-soixante-jours" in codes_of(*lines, pay("p-1", 19_999_99, "2026-03-21"))


def test_no_more_than_was_voted_is_not_too_much() -> None:
    lines = (*PAYING, FIRST, pay("p-2", 10_000_01, "2026-05-10", "solde"))
    assert "paiement-excessif" in codes_of(*lines)
    assert "paiement-excessif" not in codes_of(*lines, returned(1))


@pytest.mark.parametrize(
    "line, code",
    [
        (contradicted(), "incoherence"),
        (claim_adding(2, 3, stated=6), "total-inexact"),
        (("2026-01-05", facts.AnnexPending(name="projet")), "annexe-attendue"),
        (stream_piece("b"), "piece-manquante"),
        (may_sign("ccas", established=False), "pouvoir-non-etabli"),
        (
            ("2026-01-02", facts.RepublicanCommitmentNoted(party="ccas", manner="repute-satisfait")),
            "engagement-republicain-presume",
        ),
    ],
)
def test_what_a_paper_says_of_itself_is_told_undated_too(line: Line, code: str) -> None:
    assert code in codes_of(*SOUND, *undated(line))


def test_what_became_of_unspent_money_was_not_asked_before_the_law_of_2021() -> None:
    start = clause("10", terms.FixedPeriod(D("2021-01-01"), D("2029-12-31")))
    paper = (OPENED, *PARTIES, start, EXIT, PLAN)
    for day, asked in (("2021-07-02", False), ("2021-07-03", True)):
        signatures = (signed("ville", "maire", day), signed("mjc", "president", day))
        assert ("part-non-utilisee" in codes_of(*paper, *signatures)) == asked


def test_a_predecessor_that_was_terminated_overlaps_no_more() -> None:
    term = clause("10", terms.FixedPeriod(D("2023-01-01"), D("2026-12-31")), on="2023-01-01")
    for ended, overlaps in (("2025-12-31", False), ("2026-01-01", True), ("2026-07-01", True)):
        before = given(
            opened("2023-01-01"),
            *PARTIES,
            term,
            (ended, facts.InstrumentExpired()),
            stream="convention/avant",
        )
        assert ("chevauchement" in codes_of(*SUCCEEDING, around=(*AROUND, before))) == overlaps


OF_2023 = clause("10", terms.FixedPeriod(D("2023-01-01"), D("2026-03-31")), on="2023-01-01")
TO_2025 = clause("10", terms.FixedPeriod(D("2023-01-01"), D("2025-12-31")), on="2023-01-01")
PROLONGED = avenant(1, "2025-11-01", facts.Prorogation(D("2026-12-31")))
PRONOUNCED: Line = (
    "2025-10-01",
    facts.ResiliationPronounced(
        by=("ville",), article="11.1", ground="accord", takes_effect_on=D("2025-12-31")
    ),
)


@pytest.mark.parametrize(
    "before, overlaps",
    [
        ((OF_2023,), True),
        ((OF_2023, ("2025-12-31", facts.InstrumentExpired())), False),
        ((OF_2023, ("2025-12-31", facts.InstrumentClosed())), False),
        ((OF_2023, PRONOUNCED, ("2025-12-31", facts.ResiliationTookEffect())), False),
        # That it came into force, or that another was to follow, ended nothing.
        ((OF_2023, ("2023-02-01", facts.EntryIntoForceNoted())), True),
        ((OF_2023, ("2025-10-01", facts.RenewalDecided(successor="mjc-fictive"))), True),
        # Noted in February, it had ended with its term in December all the same.
        (
            (TO_2025, ("2026-02-01", facts.InstrumentExpired())),
            False,
        ),
        # What prolonged it counts once all have signed.
        ((TO_2025, PROLONGED, signed("ville", "maire", "2025-11-01", 1)), False),
        (
            (
                TO_2025,
                PROLONGED,
                signed("ville", "maire", "2025-11-01", 1),
                signed("mjc", "president", "2025-11-02", 1),
            ),
            True,
        ),
        # How long it lasts is not known.
        ((), False),
    ],
)
def test_the_one_before_ends_with_its_term_or_before_it(before: tuple[Line, ...], overlaps: bool) -> None:
    predecessor = given(opened("2023-01-01"), *PARTIES, EXIT, *before, stream="convention/avant")
    codes = codes_of(*SUCCEEDING, around=(*AROUND, predecessor))
    assert ("chevauchement" in codes) == overlaps
    undated_start = (opened(succeeds="avant"), *PARTIES, EXIT)
    assert "chevauchement" not in codes_of(*undated_start, around=(*AROUND, predecessor))


@pytest.mark.parametrize(
    "named, there",
    [
        ("11.1", True),
        ("11", True),
        ("11.1, al. 2", True),
        ("11.1, al. 2, 3°", True),
        ("7.4.1, al. 1", True),
        ("7.4", True),
        ("7", True),
        ("11.2", False),
        ("1", False),
        ("7.4.2", False),
    ],
)
def test_a_reference_to_a_part_of_an_article_or_to_what_holds_it_is_whole(named: str, there: bool) -> None:
    terms_of_it = (TERM, EXIT, clause("7.4.1, al. 1, 2°", terms.NoPassingOn(beneficiary="mjc")))
    lines = (OPENED, *PARTIES, *terms_of_it, derogation(named, "mjc"))
    assert ("renvoi-rompu" not in codes_of(*lines)) == there


@pytest.mark.parametrize(
    "code, lines, on",
    [
        # Said to be missing, it is not awaited any more.
        (
            "piece-annoncee",
            (
                *SOUND,
                ("2026-01-05", facts.PieceAnnounced(key="b", what="bordereau")),
                ("2026-01-06", facts.PieceMissing(key="b", what="bordereau")),
            ),
            TODAY,
        ),
        # Nothing stated yet, or a promise: nothing that the text leaves out.
        ("sortie-non-prevue", (OPENED, *PARTIES), TODAY),
        ("sortie-non-prevue", (TERM,), TODAY),
        ("sortie-non-prevue", (opened(force="promesse"), *PARTIES, TERM), TODAY),
        ("sortie-non-prevue", (*SOUND, DENUNCIATION), TODAY),
        ("commencee-sans-signature", (opened(force="promesse"), *PARTIES, TERM), TODAY),
        ("part-non-utilisee", (opened(force="promesse"), *PARTIES, TERM, PLAN), TODAY),
        ("part-non-utilisee", (TERM, PLAN), TODAY),
        (
            "duree-inconnue",
            (OPENED, *PARTIES, clause("5", terms.PeriodOf("la COG", D("2026-01-01"), D("2027-12-31")))),
            TODAY,
        ),
        ("suite-a-prevoir", (*SOUND, notice(), terminated("2026-04-20")), "2029-06-30"),
        ("suite-a-prevoir", (OPENED, *PARTIES), TODAY),
        # Of a term in some month of 2029, six months before are not known.
        (
            "suite-a-prevoir",
            (OPENED, *PARTIES, clause("10", terms.FixedPeriod(D("2026-01-01"), D("2029")))),
            "2029-06-30",
        ),
        # Of the one before, nothing is recorded.
        ("chevauchement", SUCCEEDING, TODAY),
        # Who left before it is not told of a dénonciation.
        (
            "denonciation-incomplete",
            (
                *SOUND,
                party("ccas", "partenaire"),
                ("2026-01-10", facts.PartyWithdrew(party="ccas")),
                DENUNCIATION,
                denounced("2026-05-02"),
            ),
            TODAY,
        ),
        # Of what is to come, nothing is told: neither the end of a publication nor that it was too early.
        ("publication-trop-courte", (*SOUND, published("d-1", "2026-05-10", until=D("2026-06-15"))), TODAY),
        # An account of its use is owed by persons of private law.
        ("compte-rendu-financier", (*SOUND, BUDGET, FOR_THE_CCAS), "2027-07-01"),
    ],
)
def test_what_the_text_or_the_law_does_not_want_is_not_missed(
    code: str, lines: tuple[Line, ...], on: str
) -> None:
    assert code not in codes_of(*lines, on=on)


@pytest.mark.parametrize(
    "plans",
    [(PLAN,), (ADVANCE,), (FLAT,), (PLAN, ADVANCE), (PLAN, FLAT), (ADVANCE, FLAT), (BUDGET, VOTE)],
)
def test_whatever_it_pays_by_a_convention_that_pays_says_what_becomes_of_the_rest(
    plans: tuple[Line, ...],
) -> None:
    assert {"part-non-utilisee", "reversement-non-traite"} <= codes_of(OPENED, *PARTIES, TERM, *plans)
    assert {"part-non-utilisee", "reversement-non-traite"}.isdisjoint(codes_of(OPENED, *PARTIES, TERM))


def test_what_an_avenant_of_another_convention_set_counts_once_it_is_signed() -> None:
    one = avenant(1, "2026-02-01", facts.SubsidySet("ville", "mjc", 2026, 4_000_00))
    half = signed("ville", "maire", "2026-02-01", 1)
    other = (opened("2025-09-01"), *PARTIES, one)
    for lines, counts in (
        ((), True),
        ((half,), False),
        ((half, signed("mjc", "president", "2026-02-02", 1)), True),
    ):
        beside = given(*other, *lines, stream="convention/autre")
        codes = codes_of(*UNSIGNED, BUDGET, VOTE, around=(*AROUND, beside))
        assert ("convention-requise" in codes) == counts


@pytest.mark.parametrize(
    "told_of_it, unidentified",
    [
        ((("XXXX", facts.InstitutionRegistered(name="Grand Besançon", kind="epci")),), True),
        (
            (
                ("XXXX", facts.InstitutionRegistered(name="Grand Besançon", kind="epci")),
                ("2026-07-05", facts.IdentifierRecorded(scheme="siren", value="242500361")),
            ),
            True,
        ),
        (
            (
                ("XXXX", facts.InstitutionRegistered(name="Grand Besançon", kind="epci")),
                ("XXXX", facts.IdentifierRecorded(scheme="siren", value="242500361")),
            ),
            False,
        ),
        # Of one that is not entered yet, nothing is said.
        ((("2026-01-05", facts.AliasRecorded(alias="GBM")),), False),
    ],
)
def test_who_has_no_identifier_by_the_day_is_told(told_of_it: tuple[Line, ...], unidentified: bool) -> None:
    around = (*AROUND, given(*told_of_it, stream="institution/gbm"))
    codes = codes_of(*SOUND, party("gbm", "partenaire"), around=around)
    assert ("partie-non-identifiee" in codes) == unidentified


def test_what_a_titre_claims_is_still_to_be_settled_at_the_end() -> None:
    lines = (*PAYING, FIRST, pay("p-2", 10_000_00, "2026-08-20", "solde"))
    asked = ("2029-05-12", titre(1_000_00)[1])
    told = standing(found(*lines, asked, on="2030-02-01"), "fin-non-soldee")
    assert [f"{euros(1_000_00)} à rendre à la Ville" in one.says for one in told] == [True]
    back = ("2029-06-12", returned(1_000_00)[1])
    assert standing(found(*lines, asked, back, on="2030-02-01"), "fin-non-soldee") == []


def test_an_advance_is_no_more_money_than_the_subsidy_it_is_a_part_of() -> None:
    advance = msgspec.structs.replace(VOTE[1], purpose="avance", amount_cents=6_000_00)
    assert "convention-requise" not in codes_of(*UNSIGNED, BUDGET, VOTE, ("2026-01-05", advance))


def test_a_finding_rests_on_facts_of_its_own_convention() -> None:
    [finding] = standing(found(*UNSIGNED, BUDGET, VOTE, around=(*AROUND, ELSEWHERE)), "convention-requise")
    assert finding.positions == (len(UNSIGNED) + 2,)


def test_a_deliberation_on_leaving_or_on_an_avenant_authorises_no_signature_of_the_instrument() -> None:
    of_an_avenant = adopted("d-a", "2025-12-03", avenant="1")
    rejected = adopted("d-r", "2025-12-03", outcome="rejected")
    for other in (DECIDES_EXIT, of_an_avenant, rejected):
        lines = (*DRAFT, *AUTHORITY, *SIGNATURES, COMMITTED, other)
        assert "partie-sans-deliberation" in codes_of(*lines)
        assert "executoire-non-etabli" not in codes_of(*lines)


def test_half_of_the_members_is_no_quorum_and_one_more_is() -> None:
    """CGCT L2121-17: the majority of the members in office, present."""
    for present, in_office, missed in ((22, 44, True), (23, 44, False), (22, 45, True), (23, 45, False)):
        votes = facts.Votes(in_office=in_office, present=present)
        assert ("quorum-non-atteint" in codes_of(*SOUND, adopted("d-2", "2026-02-02", votes=votes))) == missed


@pytest.mark.parametrize(
    "votes, wrong",
    [
        (facts.Votes(present=10, proxies=2, votes_for=12), False),
        (facts.Votes(present=10, proxies=2, votes_for=13), True),
        (facts.Votes(present=10, votes_for=9, votes_against=1), False),
        (facts.Votes(present=10, votes_for=9, votes_against=2), True),
        (facts.Votes(present=10, votes_against=9, abstentions=2), True),
        (facts.Votes(present=10, abstentions=11), True),
        (facts.Votes(in_office=12, present=10, proxies=2), False),
        (facts.Votes(in_office=12, present=10, proxies=3), True),
        (facts.Votes(in_office=12, votes_for=99), False),
    ],
)
def test_no_more_vote_than_are_there_or_represented(votes: facts.Votes, wrong: bool) -> None:
    assert ("voix-discordantes" in codes_of(*SOUND, adopted("d-2", "2026-02-02", votes=votes))) == wrong


def test_a_signature_that_says_its_ground_needs_no_other_proof() -> None:
    unstated = signed("ville", "maire", "2025-12-15")
    stated = msgspec.structs.replace(unstated[1], basis=facts.Basis(kind="arrete-de-delegation"))
    assert "pouvoir-non-etabli" in codes_of(*DRAFT, unstated)
    assert "pouvoir-non-etabli" in codes_of(*DRAFT, *undated(unstated))
    assert "pouvoir-non-etabli" not in codes_of(*DRAFT, (unstated[0], stated))


@pytest.mark.parametrize(
    "code, lines",
    [
        # What was given back on a day that nobody knows may be what was paid twice.
        ("paiement-en-double", (*PAYING, FIRST, SECOND, ("XXXX", returned(10_000_00)[1]))),
        # A document that payments do not depend on holds none of them up.
        ("paiement-document-manquant", (*PAYING, obligation(due=Due(on=D("2026-01-31"))), FIRST)),
        # A mandat that is not named is none that is unknown; and where none is recorded, none is missed.
        ("mandat-inconnu", (*PAYING, ORDERED, FIRST)),
        ("mandat-inconnu", (*PAYING, pay("p-1", 10_000_00, "2026-02-10", "acompte", mandat="8"))),
        # A party by its role, or by a plan; anybody, where an advance or a flat sum names nobody.
        ("paiement-hors-beneficiaire", (*SOUND, pay("p-1", 500_00, "2026-03-02"))),
        (
            "paiement-hors-beneficiaire",
            (*SOUND, TO_CCAS, pay("p-1", 500_00, "2026-03-02", beneficiary="ccas")),
        ),
        (
            "paiement-hors-beneficiaire",
            (*SOUND, ADVANCE, FLAT, pay("p-1", 500_00, "2026-03-02", beneficiary="ccas")),
        ),
        # The exercices that a plan names, any with an advance, those from a flat sum's first.
        ("paiement-sans-fondement", (*SOUND, ADVANCE, pay("p-1", 500_00, "2026-03-02"))),
        ("paiement-sans-fondement", (*SOUND, OF_2026, pay("p-1", 500_00, "2026-03-02"))),
        ("paiement-sans-fondement", (*SOUND, FLAT, FLAT_LATER, pay("p-1", 500_00, "2026-03-02"))),
        # Made again by another name, in a month that may be after it came back, or for an instalment.
        ("rejet-non-remplace", (*PAYING, FIRST, BACK, *AGAIN_IN_FEBRUARY)),
        (
            "rejet-non-remplace",
            (*PAYING, pay("p-1", 1_00, "2026-02-10"), BACK, pay("p-2", 1_00, "2026-02-13", "solde")),
        ),
    ],
)
def test_a_payment_that_may_be_right_is_not_found_at_fault(code: str, lines: tuple[Line, ...]) -> None:
    assert code not in codes_of(*lines)


@pytest.mark.parametrize(
    "end, ended",
    [
        (("2026-03-01", facts.InstrumentClosed()), True),
        (("2026-03-01", facts.InstrumentExpired()), True),
        (("2026-03-10", facts.InstrumentExpired()), False),
        (("2026-03-01", facts.EntryIntoForceNoted()), False),
    ],
)
def test_a_payment_after_the_day_it_was_closed_or_noted_as_over_is_after_the_end(
    end: Line, ended: bool
) -> None:
    paid = pay("p-1", 10_000_00, "2026-03-10")
    assert ("paiement-apres-fin" in codes_of(*SOUND, BUDGET, VOTE, end, paid)) == ended


def test_a_party_with_no_signatory_named_is_bound_by_one_signature() -> None:
    anybody = (OPENED, PARTIES[0], party("mjc", "beneficiaire"), PLAN, SIGNATURES[0], BUDGET, VOTE)
    late = signed("mjc", "qui préside", "2026-02-11")
    [early] = standing(found(*anybody, FIRST, late), "paiement-avant-signature")
    assert "avant la dernière signature (le 11 février 2026)" in early.says
    assert "paiement-avant-signature" not in codes_of(
        *anybody, FIRST, signed("mjc", "qui préside", "2026-02-10")
    )


def test_an_avenant_that_waits_for_a_signature_needs_no_vote_yet() -> None:
    half = signed("ville", "maire", "2026-05-01", 1)
    assert "attribution-non-deliberee" in codes_of(*SOUND, FIXED)
    assert "attribution-non-deliberee" not in codes_of(*SOUND, FIXED, half)


def test_a_document_that_came_in_a_month_may_have_come_after_the_refusal() -> None:
    came = (document("2026-03", exercice=2025), document("2026-03-10", exercice=2025))
    assert "document-refuse" not in codes_of(*SOUND, *came, refused("2026-03-20"))


@pytest.mark.parametrize(
    "periods",
    [
        # None granted; one whose first day is not known; one that ends after the day asked about.
        (),
        (granted("2026-01", "2029-12-31", "2025-12-01"),),
        (granted("2025-01-01", "2026-06-01", "2024-12-01"),),
    ],
)
def test_days_that_may_be_covered_are_no_gap(periods: tuple[Line, ...]) -> None:
    around = (VILLE, MJC, agrement(*periods))
    assert "agrement-interrompu" not in codes_of(*SOUND, NEEDS_AGREMENT, on="2026-06-01", around=around)


def test_an_advance_is_not_awaited_before_its_exercice_is_over() -> None:
    paid = pay("a-1", 6_000_00, "2027-01-15", exercice=2027)
    asked: Line = (
        "2026-12-01",
        facts.SubsidyRequested(
            beneficiary="mjc", payer="ville", exercice=2027, purpose="avance", amount_cents=6_000_00
        ),
    )
    lines = (*SOUND, ADVANCE, BUDGET, VOTE, asked, paid)
    assert "avance-non-imputee" not in codes_of(*lines, on="2027-12-31")
    assert "avance-non-imputee" in codes_of(*lines, on="2028-01-01")


def test_a_flat_sum_may_be_paid_after_the_term_and_not_after_a_resiliation() -> None:
    vote = voted(500_00, exercice=2029, on="2029-01-20")
    late = pay("p-1", 500_00, "2030-03-02", exercice=2029)
    assert "paiement-apres-fin" not in codes_of(*SOUND, FLAT, vote, late, on="2030-06-01")
    expired: Line = ("2029-12-31", facts.InstrumentExpired())
    assert "paiement-apres-fin" not in codes_of(*SOUND, FLAT, vote, expired, late, on="2030-06-01")
    cut_short = (*SOUND, FLAT, voted(500_00), notice(), terminated("2026-04-20"))
    assert "paiement-apres-fin" in codes_of(*cut_short, pay("p-1", 500_00, "2026-05-02"))


@pytest.mark.parametrize(
    "depends, period, found_at_fault",
    [
        ("payments", ("2023-01-01", "2026-02-09"), True),
        # Who may join, and who is paid, are two things.
        ("membership", ("2023-01-01", "2026-02-09"), False),
        # Whether it had begun by 10 February is not known.
        ("payments", ("2026", "2029-12-31"), False),
        # None was ever granted: that is told of the convention, not of each payment.
        ("payments", None, False),
    ],
)
def test_a_payment_without_agrement_is_one_on_a_day_that_a_granted_one_does_not_cover(
    depends: Any, period: tuple[str, str] | None, found_at_fault: bool
) -> None:
    on = clause("3", terms.Condition(of=depends, requires="agrement", holder="mjc", words="agrément"))
    around = (VILLE, MJC, agrement(*(() if period is None else (granted(*period, "2022-12-01"),))))
    assert ("paiement-sans-agrement" in codes_of(*PAYING, on, FIRST, around=around)) == found_at_fault


def test_payments_alike_are_told_once_and_waived_by_the_day_of_the_last() -> None:
    same = [
        pay(f"p-{place}", 10_000_00, on, "acompte", mandat="7")
        for place, on in enumerate(("2026-02-10", "2026-02-11", "2026-02-12"))
    ]
    lines = (*PAYING, pay("p-9", 1_00, "2026-02-01", "solde"), *same)
    [finding] = standing(found(*lines), "paiement-en-double")
    assert finding.positions == tuple(range(len(PAYING) + 2, len(PAYING) + 5))
    for until, waived in (("2026-02-11", False), ("2026-02-12", True)):
        told = found(*lines, derogation("7.1", "ville", until))
        assert (standing(told, "paiement-en-double") == []) == waived


def test_two_conditions_on_one_agrement_are_one_fault_of_a_payment() -> None:
    needed = terms.Condition(of="partnership", requires="agrement", holder="mjc", words="agrément")
    again = (clause("3", needed), clause("4", needed))
    told = found(*PAYING, *again, FIRST, around=(VILLE, MJC, SHORT))
    assert [one.article for one in standing(told, "paiement-sans-agrement")] == ["3"]


def test_a_payment_made_again_on_the_day_it_came_back_replaces_it() -> None:
    for day, replaced in (("2026-02-11", False), ("2026-02-12", True), ("2026-02-13", True)):
        again = pay("p-2", 10_000_00, day, "acompte")
        assert ("rejet-non-remplace" not in codes_of(*PAYING, FIRST, BACK, again)) == replaced
    other = pay("p-2", 10_000_00, "2026-02-13", "solde")
    assert "rejet-non-remplace" in codes_of(*PAYING, FIRST, BACK, other)


def test_the_day_after_its_last_a_document_is_missing() -> None:
    gate = obligation(gates_payments=True, due=Due(on=D("2026-02-09")))
    for day, missing in (("2026-02-09", False), ("2026-02-10", True)):
        lines = (*PAYING, gate, pay("p-1", 10_000_00, day, "acompte"))
        assert ("paiement-document-manquant" in codes_of(*lines)) == missing
    waived: Line = (
        "2026-02-20",
        facts.DocumentDispensed(by="ville", debtor="mjc", document="bilan", reason="accord"),
    )
    assert "paiement-document-manquant" not in codes_of(*PAYING, gate, FIRST, waived)


def test_a_lump_sum_provides_for_the_years_from_its_first_on() -> None:
    for first, covered in ((2025, True), (2026, True), (2027, False)):
        term = terms.LumpSum(payer="ville", per="centre", amount_cents=500_00, from_exercice=first)
        lines = (*SOUND, clause("9", term), pay("p-1", 500_00, "2026-03-02"))
        assert ("paiement-sans-fondement" not in codes_of(*lines)) == covered


def test_a_changed_subsidy_is_a_ground_as_a_voted_one_is_dated_or_not() -> None:
    changed: Line = (
        "2026-01-20",
        facts.SubsidyChanged(payer="ville", beneficiary="mjc", exercice=2026, amount_cents=9, reason="x"),
    )
    lines = (*SOUND, pay("p-1", 500_00, "2026-03-02"))
    assert "paiement-sans-fondement" not in codes_of(*lines, changed)
    assert "paiement-sans-fondement" not in codes_of(*lines, *undated(changed))
