"""Clauses that cannot stand together are refused, whichever of them is told last."""

import pytest

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.terms import (
    AnyTerm,
    Delay,
    Denunciation,
    Due,
    FixedPeriod,
    Instalment,
    InstalmentPlan,
    LumpSum,
    NoPeriod,
    OtherReading,
    PeriodFrom,
    PeriodOf,
    Share,
)
from services.domain.consistency import TermsDisagree
from services.domain.convention import SecondClause
from tests.domain.lives import CONVENTION, MJC, OPENED, VILLE, Line, given, voted, when

D = PartialDate
BEGUN = (OPENED, VILLE, MJC)
AT_ONCE = Due(words="sans délai")
THREE_YEARS = FixedPeriod(D("2026-01-01"), D("2028-12-31"))
LAST_YEARS_THIRD = Share(1, 3, exercice_offset=-1)


def clause(article: str, term: AnyTerm | None) -> Line:
    return "2025-12-11", facts.ClauseStated(article=article, about="une clause", term=term)


def plan(*exercices: int, **amount: Share | OtherReading) -> InstalmentPlan:
    instalment = Instalment(key="acompte", label="acompte", due=AT_ONCE, **amount)  # type: ignore[arg-type]
    return InstalmentPlan(payer="ville", beneficiary="mjc", instalments=(instalment,), exercices=exercices)


def lump_sum(from_exercice: int) -> LumpSum:
    return LumpSum(payer="ville", per="centre", amount_cents=1, from_exercice=from_exercice)


def notice(count: int, unit: str) -> Denunciation:
    delay = Delay(count=count, unit=unit, anchor="anniversaire", direction="before")  # type: ignore[arg-type]
    return Denunciation(form="LRAR", notice=delay, at_anniversary=True, to_all_others=True)


DISAGREE: list[tuple[str, AnyTerm, AnyTerm, str, str]] = [
    (
        "an exercice after the end",
        THREE_YEARS,
        plan(2028, 2029),
        "data.term.exercices[1]",
        (
            "the plan of article 5 is for the exercice 2029, but the instrument lasts from 2026-01-01 to "
            "2028-12-31 (article 2): correct the exercices of the plan, or the period"
        ),
    ),
    (
        "an exercice before the beginning",
        FixedPeriod(D("2026"), D("XXXX")),
        plan(2025),
        "data.term.exercices[0]",
        "lasts from 2026-01-01 to an open day (article 2)",
    ),
    (
        "an exercice after what the instrument lasts as long as",
        PeriodOf("COG", ends_on=D("2017")),
        plan(2018),
        "data.term.exercices[0]",
        "lasts from an open day to 2017-12-31 (article 2)",
    ),
    (
        "a share of the subsidy of a year that nothing states",
        THREE_YEARS,
        plan(2026, 2027, share=LAST_YEARS_THIRD),
        "data.term.instalments[0].share",
        (
            "the instalment acompte of article 5 is a share of the subsidy of 2025, which no fact states, "
            "and the instrument lasts from 2026-01-01 to 2028-12-31 (article 2): record that subsidy first, "
            "or leave the exercices of the plan out"
        ),
    ),
    (
        "the same, as what is paid until the vote",
        THREE_YEARS,
        plan(2026, fallback=LAST_YEARS_THIRD),
        "data.term.instalments[0].fallback",
        "a share of the subsidy of 2025",
    ),
    (
        "the same, in another reading",
        THREE_YEARS,
        plan(2026, other_reading=OtherReading("lecture B", LAST_YEARS_THIRD, "lectures")),
        "data.term.instalments[0].other_reading.share",
        "a share of the subsidy of 2025",
    ),
    (
        "a flat sum that begins after the end",
        THREE_YEARS,
        lump_sum(2029),
        "data.term.from_exercice",
        (
            "the sum of article 5 is paid from the exercice 2029, but the instrument lasts from 2026-01-01 "
            "to 2028-12-31 (article 2): correct the exercice, or the period"
        ),
    ),
    (
        "a notice of more months than the term has",
        PeriodFrom("last-signature", 24),
        notice(25, "month"),
        "data.term.notice",
        (
            "the notice of article 5, 25 months, is longer than the term, 731 days at most (article 2): "
            "nobody could give it in time; correct the notice, or the period"
        ),
    ),
    (
        "a notice of more years",
        THREE_YEARS,
        notice(4, "year"),
        "data.term.notice",
        "the notice of article 5, 4 years, is longer than the term, 1096 days at most",
    ),
    (
        "a notice of one day more",
        FixedPeriod(D("2026-01-01"), D("2026-12-31")),
        notice(366, "day"),
        "data.term.notice",
        "longer than the term, 365 days at most",
    ),
    (
        "a notice of a year, where the term is a little less",
        FixedPeriod(D("2026-01-01"), D("2026-12-01")),
        notice(1, "year"),
        "data.term.notice",
        "longer than the term, 335 days at most",
    ),
    (
        "a notice beyond the calendar",
        THREE_YEARS,
        notice(10_000, "year"),
        "data.term.notice",
        "10000 years, is longer than the term",
    ),
    (
        "a notice of one month more",
        PeriodFrom("entry-into-force", 1),
        notice(2, "month"),
        "data.term.notice",
        "longer than the term, 31 days at most",
    ),
]


@pytest.mark.parametrize(
    "period, other, field, words", [row[1:] for row in DISAGREE], ids=[r[0] for r in DISAGREE]
)
def test_what_disagrees_with_the_period_is_refused_in_either_order(
    period: AnyTerm, other: AnyTerm, field: str, words: str
) -> None:
    first, second = clause("2", period), clause("5", other)
    with pytest.raises(TermsDisagree) as after:
        when(given(*BEGUN, first), second)
    with pytest.raises(TermsDisagree) as before:
        when(given(*BEGUN, second), first)
    assert after.value.message == before.value.message
    assert after.value.message.startswith(f"in {CONVENTION}, the ")
    assert words in after.value.message
    assert (after.value.field, before.value.field) == (field, "data.term")
    assert after.value.rule == "the clauses of a text hold together"


def test_the_sentence_names_every_article_that_tells_the_duration() -> None:
    past = (*BEGUN, clause("2", THREE_YEARS), clause("3", FixedPeriod(D("2020"), D("2025"))))
    with pytest.raises(TermsDisagree, match=r"from 2020-01-01 to 2028-12-31 \(article 2, article 3\): "):
        when(given(*past), clause("5", plan(2029)))


AGREE: list[tuple[str, tuple[AnyTerm, ...]]] = [
    ("the exercices of the period", (THREE_YEARS, plan(2026, 2028))),
    ("any exercice, while nothing says how long", (plan(1999),)),
    ("any exercice of an instrument without a term", (NoPeriod(), plan(2099))),
    ("any exercice, where the end is open", (FixedPeriod(D("2026"), D("XXXX")), plan(2099))),
    (
        "a year that two texts of the duration reach together",
        (THREE_YEARS, FixedPeriod(D("2029"), D("2030")), plan(2030)),
    ),
    (
        "a year that the earlier of two texts names",
        (THREE_YEARS, FixedPeriod(D("2020"), D("2025")), plan(2020)),
    ),
    (
        "an early year, where one of two texts is open",
        (THREE_YEARS, PeriodOf("COG", ends_on=D("2028")), plan(2020)),
    ),
    (
        "a notice shorter than the longer of two terms",
        (PeriodFrom("last-signature", 1), THREE_YEARS, notice(2, "month")),
    ),
    ("any notice, where one of two texts is open", (THREE_YEARS, NoPeriod(), notice(99, "year"))),
    (
        "a notice of one month in February",
        (FixedPeriod(D("2026-02-01"), D("2026-02-28")), notice(1, "month")),
    ),
    ("a year, where one of two texts is open", (THREE_YEARS, PeriodOf("COG"), plan(2099))),
    ("last year's share, where the exercices are left open", (THREE_YEARS, plan(share=LAST_YEARS_THIRD))),
    ("last year's share of a year in the period", (THREE_YEARS, plan(2027, share=LAST_YEARS_THIRD))),
    (
        "last year's share, where nothing says since when",
        (PeriodOf("COG", ends_on=D("2028")), plan(2026, share=LAST_YEARS_THIRD)),
    ),
    ("a share of this year's subsidy", (THREE_YEARS, plan(2026, share=Share(1, 3)))),
    ("a flat sum from before the beginning", (THREE_YEARS, lump_sum(2020))),
    ("a flat sum from the last year", (THREE_YEARS, lump_sum(2028))),
    ("a notice as long as the term", (PeriodFrom("last-signature", 24), notice(2, "year"))),
    (
        "a notice in days as long as the term may be",
        (PeriodFrom("last-signature", 24), notice(731, "calendar-day")),
    ),
    ("any notice without a term", (NoPeriod(), notice(99, "year"))),
    (
        "any notice of an instrument that begins on an open day",
        (FixedPeriod(D("XXXX"), D("2028")), notice(99, "year")),
    ),
    ("a notice beyond the calendar, where nothing says how long", (notice(10_000, "year"),)),
]


@pytest.mark.parametrize("terms", [row[1] for row in AGREE], ids=[row[0] for row in AGREE])
def test_what_may_hold_is_recorded(terms: tuple[AnyTerm, ...]) -> None:
    stated = [clause(str(number), term) for number, term in enumerate(terms, 1)]
    assert len(when(given(*BEGUN), *stated)) == len(stated)
    assert len(when(given(*BEGUN), *reversed(stated))) == len(stated)


@pytest.mark.parametrize(
    "stating",
    [
        voted(1, exercice=2025),
        (
            "2025-01-15",
            facts.SubsidyPledged(
                payer="ville", to="la MJC", beneficiary="mjc", exercice=2025, amount_cents=1
            ),
        ),
        (
            "2026-01-15",
            facts.AvenantConcluded(
                number="1",
                binds=("ville", "mjc"),
                rationale="fixer la base",
                changes=(facts.SubsidySet(payer="ville", beneficiary="mjc", exercice=2025, amount_cents=1),),
            ),
        ),
    ],
)
def test_a_subsidy_that_some_fact_states_may_be_shared(stating: Line) -> None:
    shared = clause("5", plan(2026, share=LAST_YEARS_THIRD))
    assert when(given(*BEGUN, clause("2", THREE_YEARS), stating), shared)
    with pytest.raises(TermsDisagree, match="the subsidy of 2025"):
        when(given(*BEGUN, clause("2", THREE_YEARS), voted(1, exercice=2024)), shared)


def test_a_subsidy_of_other_parties_is_another_one() -> None:
    other = (
        "2025-01-15",
        facts.SubsidyVoted(payer="mjc", beneficiary="ville", exercice=2025, amount_cents=1),
    )
    with pytest.raises(TermsDisagree, match="the subsidy of 2025"):
        when(given(*BEGUN, clause("2", THREE_YEARS), other), clause("5", plan(2026, share=LAST_YEARS_THIRD)))


def prolonged(ends_on: str) -> Line:
    change = facts.Prorogation(D(ends_on))
    return "2026-06-01", facts.AvenantConcluded(
        number="1", binds=("ville", "mjc"), rationale="essai", changes=(change,)
    )


def test_an_avenant_does_not_prolong_to_before_the_beginning_in_either_order() -> None:
    told = []
    for first, second in (
        (clause("2", THREE_YEARS), prolonged("2025-12-31")),
        (prolonged("2025-12-31"), clause("2", THREE_YEARS)),
    ):
        with pytest.raises(TermsDisagree) as refused:
            when(given(*BEGUN, first), second)
        told.append((refused.value.field, refused.value.message))
    words = (
        f"in {CONVENTION}, avenant 1 has the instrument end on 2025-12-31, before it starts, on 2026-01-01 "
        "(article 2): correct the day that is wrong"
    )
    assert told == [("data.changes[0].ends_on", words), ("data.term", words)]
    assert when(given(*BEGUN, clause("2", THREE_YEARS)), prolonged("2026"))


def test_what_an_avenant_says_of_the_exercices_is_not_held_against_the_text() -> None:
    change = facts.ClauseChanged(article="5", about="versements", term=plan(2029))
    avenant = facts.AvenantConcluded(number="1", binds=("ville", "mjc"), rationale="essai", changes=(change,))
    assert when(given(*BEGUN, clause("2", THREE_YEARS)), ("2026-06-01", avenant))


def cancelled(entry: int) -> Line:
    return "2025-12-12", facts.EntryCancelled(entry=entry, reason="mauvaise année")


def test_a_clause_that_was_a_mistake_of_entry_stands_in_nobodys_way() -> None:
    past = (*BEGUN, clause("2", THREE_YEARS), cancelled(4))
    assert when(given(*past), clause("5", plan(2029)))
    assert when(given(*past), clause("2", FixedPeriod(D("2026-01-01"), D("2029-12-31"))))


def test_an_instrument_states_an_article_once() -> None:
    past = (*BEGUN, clause("2", THREE_YEARS))
    words = (
        f"the clause 2 is recorded already in {CONVENTION}: number each by its paragraph (“2, al. 1”), "
        "cancel the first if it was a mistake of entry, or record the avenant if the parties changed it"
    )
    for again in (clause("2", THREE_YEARS), clause("2", None)):
        with pytest.raises(SecondClause) as refused:
            when(given(*past), again)
        assert (refused.value.field, refused.value.message) == ("data.article", words)
        assert refused.value.rule == "an instrument states an article once"
    assert when(given(*past), clause("2, al. 2", None))


def test_an_avenant_that_changes_a_clause_states_none() -> None:
    change = facts.ClauseChanged(
        article="2", about="durée", term=FixedPeriod(D("2026-01-01"), D("2030-12-31"))
    )
    avenant = facts.AvenantConcluded(number="1", binds=("ville", "mjc"), rationale="essai", changes=(change,))
    changing = ("2026-06-01", avenant)
    assert when(given(*BEGUN, clause("2", THREE_YEARS)), changing)
    # The avenant was scanned before the text.
    assert when(given(*BEGUN, changing), clause("2", THREE_YEARS))


def test_of_a_command_the_later_of_two_clauses_is_refused() -> None:
    with pytest.raises(TermsDisagree) as refused:
        when(given(*BEGUN), clause("5", plan(2029)), clause("2", THREE_YEARS))
    assert refused.value.fact == 1
