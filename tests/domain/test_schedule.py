"""What is to be paid when, how much and why, what was paid of it, and what holds it back."""

import itertools
from collections.abc import Iterable
from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from contracts import dates
from contracts import events as facts
from contracts.dates import PartialDate
from contracts.terms import (
    AdvancePlan,
    AnyTerm,
    Condition,
    Delay,
    Due,
    EachYear,
    FixedPeriod,
    Instalment,
    InstalmentPlan,
    LumpSum,
    NoPeriod,
    Obligation,
    OtherReading,
    PeriodFrom,
    ReturnOfSums,
    Share,
)
from services.domain import known, schedule, statement, streams
from services.domain.schedule import Block, Calendar, ExerciceLine, InstalmentLine, amounts, payments
from services.domain.schedule.calendar_lines import SPAN_RULE
from services.domain.schedule.payments import Paid
from services.domain.time_limits import MONTHS_RULE, UNTIL_RULE
from tests.contracts.strategies import DAYS
from tests.domain import schedule_oracle as oracle
from tests.domain.lives import MJC, OPENED, SIGNED, TERM, VILLE, Line, avenant, entries, paid, signed, voted
from tests.domain.lives import given as after
from tests.dossiers.test_transcription import CARSAT, PACTE, decoded
from tests.dossiers.test_transcription import MJC as MJC_DOSSIER

D = PartialDate
NBSP = "\N{NO-BREAK SPACE}"
THIN = "\N{NARROW NO-BREAK SPACE}"
THIRD = Share(1, 3, exercice_offset=-1)
FIRST = Instalment("a1", "1er acompte", Due(each_year=EachYear(2)), share=THIRD)
SECOND = Instalment(
    "a2",
    "2e acompte",
    Due(each_year=EachYear(5)),
    share=Share(1, 2, minus=("a1",)),
    fallback=THIRD,
    other_reading=OtherReading("lecture B", Share(1, 2, less=("a1",)), "s2-f"),
)
LAST = Instalment("solde", "solde", Due(each_year=EachYear(8)))
"""The payment of art. 7.1: February, May, August."""


def plan(*instalments: Instalment, **more: Any) -> InstalmentPlan:
    return InstalmentPlan("ville", "mjc", instalments or (FIRST, SECOND, LAST), **more)


def clause(term: AnyTerm, article: str = "7.1", about: str = "une règle", on: str = "2025-12-11") -> Line:
    return on, facts.ClauseStated(article=article, about=about, term=term)


PLAN = clause(plan())
BEFORE = voted(243_000_00, exercice=2025, on="2025-03-20")
"""P: what was voted the year before."""


def calendar(
    *lines: Line, on: str, opening: tuple[Line, ...] = SIGNED, beside: Iterable[streams.State] = ()
) -> Calendar:
    return schedule.of(known.of(state_of(*opening, *lines), date.fromisoformat(on), beside))


def state_of(*lines: Line) -> Any:
    return after(*lines)


def of_year(told: Calendar, year: int = 2026) -> list[InstalmentLine]:
    return [line for line in told.instalments if line.exercice == year]


def the(told: Calendar, key: str, year: int = 2026) -> InstalmentLine:
    [line] = [line for line in of_year(told, year) if line.key == key]
    return line


def amounts_of(told: Calendar, year: int = 2026) -> list[int | None]:
    return [line.amount_cents for line in of_year(told, year)]


def the_sum(told: Calendar, year: int = 2026) -> ExerciceLine:
    [line] = [line for line in told.exercices if line.exercice == year]
    return line


def named(key: str, cents: int, on: str, exercice: int = 2026) -> Line:
    """A payment that names its instalment."""
    return on, facts.PaymentMade(
        payer="ville",
        beneficiary="mjc",
        key=f"p-{key}-{on}",
        exercice=exercice,
        amount_cents=cents,
        instalment=key,
    )


def changed(cents: int, on: str, exercice: int = 2026) -> Line:
    return on, facts.SubsidyChanged(
        payer="ville", beneficiary="mjc", exercice=exercice, amount_cents=cents, reason="décision"
    )


# -- the formula of art. 7.1, with the values of the specification (S2-F)

IN_MAY = "2026-05-10"


@pytest.mark.parametrize(
    "votes, wanted",
    [
        ([voted(243_000_00)], [81_000_00, 81_000_00, 81_000_00]),
        ([voted(250_000_00)], [81_000_00, 84_500_00, 84_500_00]),
        ([voted(243_000_00, on="2026-06-20")], [81_000_00, 81_000_00, 81_000_00]),
        ([voted(150_000_00, on="2026-06-20")], [81_000_00, 81_000_00, -12_000_00]),
        # A vote on the last day of May is in time; one on the day after is not.
        ([voted(250_000_00, on="2026-05-31")], [81_000_00, 84_500_00, 84_500_00]),
        ([voted(250_000_00, on="2026-06-01")], [81_000_00, 81_000_00, 88_000_00]),
        # An avenant fixes the amount as a vote does, and the last figure stands.
        (
            [avenant(1, "2026-04-01", facts.SubsidySet("ville", "mjc", 2026, 250_000_00))],
            [81_000_00, 84_500_00, 84_500_00],
        ),
        ([voted(243_000_00), changed(250_000_00, "2026-04-02")], [81_000_00, 84_500_00, 84_500_00]),
        # What changes once May is over changes the balance alone.
        ([voted(243_000_00), changed(250_000_00, "2026-07-02")], [81_000_00, 81_000_00, 88_000_00]),
    ],
)
def test_the_parts_of_a_subsidy_are_those_of_the_specification(votes: list[Line], wanted: list[int]) -> None:
    told = calendar(BEFORE, PLAN, *votes, on="2026-12-31")
    assert amounts_of(told) == wanted
    summed = the_sum(told)
    assert summed.instalments_cents == sum(wanted) == summed.voted_cents
    assert summed.difference_cents == 0


def test_a_late_and_lower_vote_leaves_money_received_too_much() -> None:
    told = calendar(
        BEFORE,
        PLAN,
        named("a1", 81_000_00, "2026-02-10"),
        named("a2", 81_000_00, "2026-05-20"),
        voted(150_000_00, on="2026-06-20"),
        on="2026-09-01",
    )
    balance = the(told, "solde")
    assert (balance.amount_cents, balance.state, balance.overpaid_cents) == (
        -12_000_00,
        "overpaid",
        12_000_00,
    )
    assert balance.remaining_cents == 0
    assert the_sum(told).overpaid_cents == 12_000_00
    assert the_sum(told).paid_cents == 162_000_00


def test_what_nobody_received_is_not_received_too_much() -> None:
    """The second part was never paid: what the vote leaves of it is to be paid, and no more."""
    told = calendar(
        BEFORE,
        PLAN,
        named("a1", 81_000_00, "2026-02-10"),
        voted(150_000_00, on="2026-06-20"),
        on="2026-09-01",
    )
    second, balance = the(told, "a2"), the(told, "solde")
    assert (second.amount_cents, second.remaining_cents) == (81_000_00, 69_000_00)
    assert second.notes == (f"la subvention votée ne laisse que 69{THIN}000,00{NBSP}€ à verser ici",)
    assert (balance.state, balance.remaining_cents, balance.overpaid_cents) == ("nothing-due", 0, 0)
    assert the_sum(told).overpaid_cents == 0


def fixed(**cents: int) -> tuple[Instalment, ...]:
    """Parts of fixed amounts, one a month from January on."""
    return tuple(
        Instalment(key, key, Due(each_year=EachYear(month)), fixed_cents=amount)
        for month, (key, amount) in enumerate(cents.items(), 1)
    )


def test_what_is_still_due_is_what_the_vote_leaves_from_the_first_part_on() -> None:
    """150 voted, three parts of 100, nothing paid: 100, then 50, then nothing."""
    told = calendar(clause(plan(*fixed(a=100_00, b=100_00, c=100_00))), voted(150_00), on=IN_MAY)
    assert [line.remaining_cents for line in of_year(told)] == [100_00, 50_00, 0]
    assert [line.notes for line in of_year(told)] == [
        (),
        (f"la subvention votée ne laisse que 50,00{NBSP}€ à verser ici",),
        (f"la subvention votée ne laisse que 0,00{NBSP}€ à verser ici",),
    ]


def test_what_was_paid_above_the_vote_shows_once() -> None:
    """20 voted, 100 paid: 80 too much; two parts of 20 / 2 − 100 = −90 do not show it twice."""
    less = (
        Instalment("b", "b", Due(each_year=EachYear(2)), share=Share(1, 2, less=("a",))),
        Instalment("c", "c", Due(each_year=EachYear(3)), share=Share(1, 2, less=("a",))),
    )
    lines = (clause(plan(*fixed(a=100_00), *less)), voted(20_00), named("a", 100_00, "2026-04-01"))
    told = calendar(*lines, on=IN_MAY)
    assert amounts_of(told) == [100_00, -90_00, -90_00]
    assert [line.overpaid_cents for line in of_year(told)] == [0, 80_00, 0]


def test_a_part_that_comes_to_less_than_nothing_without_a_vote_shows_nothing_paid_too_much() -> None:
    """A tenth of 243 000 less the 81 000 before it: −56 700, of which nobody received anything."""
    tenth = Share(1, 10, exercice_offset=-1, less=("a1",))
    part = Instalment("x", "x", Due(each_year=EachYear(3)), share=tenth)
    line = the(calendar(BEFORE, clause(plan(FIRST, part)), on=IN_MAY), "x")
    assert (line.amount_cents, line.overpaid_cents, line.state) == (-56_700_00, 0, "nothing-due")


def test_what_is_paid_of_a_part_that_comes_to_nothing_is_too_much() -> None:
    nothing = Instalment("z", "z", Due(each_year=EachYear(2)), share=Share(1, 2, less=("a",)))
    lines = (clause(plan(*fixed(a=50_00), nothing)), voted(100_00), named("z", 5_00, "2026-04-01"))
    line = the(calendar(*lines, on=IN_MAY), "z")
    assert (line.amount_cents, line.overpaid_cents, line.state) == (0, 5_00, "overpaid")


def test_until_the_vote_the_fallback_stands_in_and_is_said_to() -> None:
    waiting = calendar(BEFORE, PLAN, on=IN_MAY)
    second, balance = the(waiting, "a2"), the(waiting, "solde")
    assert (second.amount_cents, second.provisional) == (81_000_00, True)
    assert second.formula == f"à défaut de vote : 1/3 × 243{THIN}000,00{NBSP}€ (subvention 2025)"
    assert (balance.amount_cents, balance.state) == (None, "not-computable")
    assert balance.because == ("la subvention 2026 n’est pas votée",)
    [block] = balance.blocked_by
    assert (block.kind, block.what, block.unblocked_by) == ("vote", "vote de la subvention 2026", ("ville",))
    assert the(calendar(BEFORE, PLAN, on="2026-05-31"), "a2").provisional
    assert not the(calendar(BEFORE, PLAN, on="2026-06-01"), "a2").provisional
    assert not the(calendar(BEFORE, PLAN, named("a2", 81_000_00, "2026-05-04"), on=IN_MAY), "a2").provisional
    assert not the(calendar(BEFORE, PLAN, named("a2", 81_000_00, IN_MAY), on=IN_MAY), "a2").provisional


def test_a_part_that_was_paid_is_not_computed_again() -> None:
    """Paid on the fourth of May by the rule of that day; voted on the twentieth."""
    lines = (BEFORE, PLAN, named("a2", 81_000_00, "2026-05-04"), voted(250_000_00, on="2026-05-20"))
    told = calendar(*lines, on="2026-12-31")
    assert amounts_of(told) == [81_000_00, 81_000_00, 88_000_00]
    assert the(told, "a2").state == "paid"
    # What was paid before May had come is settled as May begins.
    early = (BEFORE, PLAN, named("a2", 81_000_00, "2026-04-04"), voted(250_000_00, on="2026-04-20"))
    assert amounts_of(calendar(*early, on="2026-12-31")) == [81_000_00, 84_500_00, 84_500_00]


def test_a_formula_shows_its_numbers_and_the_other_reading_beside_it() -> None:
    told = calendar(BEFORE, PLAN, voted(250_000_00), on=IN_MAY)
    assert the(told, "a1").formula == f"1/3 × 243{THIN}000,00{NBSP}€ (subvention 2025)"
    assert the(told, "a2").formula == (
        f"50{NBSP}% × (250{THIN}000,00{NBSP}€ (subvention 2026) − 81{THIN}000,00{NBSP}€ (1er acompte))"
    )
    assert the(told, "solde").formula == (
        f"250{THIN}000,00{NBSP}€ (subvention 2026) − 81{THIN}000,00{NBSP}€ (1er acompte) "
        f"− 84{THIN}500,00{NBSP}€ (2e acompte)"
    )
    assert the(told, "a2").other_reading == (
        f"lecture B : 50{NBSP}% × 250{THIN}000,00{NBSP}€ (subvention 2026) − 81{THIN}000,00{NBSP}€ "
        f"(1er acompte) = 44{THIN}000,00{NBSP}€ (s2-f, non tranchée)"
    )
    assert the(told, "a1").other_reading is None
    settled = ("2026-01-05", facts.ContradictionSettled(key="s2-f", retained="A", reason="r", by="ville"))
    found = facts.ContradictionFound(key="s2-f", about="formule", claims=())
    read = the(calendar(BEFORE, PLAN, voted(250_000_00), ("2026-01-04", found), settled, on=IN_MAY), "a2")
    assert read.other_reading is not None
    assert read.other_reading.endswith("(s2-f, non retenue)")
    assert the(calendar(BEFORE, PLAN, on=IN_MAY), "a2").other_reading == (
        f"lecture B : 50{NBSP}% × subvention 2026 − 81{THIN}000,00{NBSP}€ (1er acompte) (s2-f, non tranchée)"
    )
    # Once its month is over without a vote, there is nothing left to read in two ways.
    assert the(calendar(BEFORE, PLAN, on="2026-06-01"), "a2").other_reading is None


def test_the_other_reading_gives_the_values_of_the_specification() -> None:
    """With S = P = 243 000: 81 000, then 40 500, then 121 500."""
    other = Instalment("a2", "2e acompte", SECOND.due, share=Share(1, 2, less=("a1",)), fallback=THIRD)
    told = calendar(BEFORE, clause(plan(FIRST, other, LAST)), voted(243_000_00), on=IN_MAY)
    assert amounts_of(told) == [81_000_00, 40_500_00, 121_500_00]


def test_rounding_is_to_the_nearest_cent_and_the_balance_takes_it_up() -> None:
    told = calendar(voted(100_00, exercice=2025, on="2025-03-01"), PLAN, voted(100_01), on=IN_MAY)
    # 33,333... then (100,01 - 33,33) / 2 = 33,34
    assert amounts_of(told) == [33_33, 33_34, 33_34]
    assert the(told, "a1").formula.endswith(", arrondi au centime")
    assert not the(told, "a2").formula.endswith(", arrondi au centime")
    assert [amounts.rounded_half_up(*one) for one in ((1, 2), (3, 2), (-1, 2), (1, 3), (2, 3))] == [
        1,
        2,
        0,
        0,
        1,
    ]


def test_a_fallback_stands_in_for_what_waits_for_the_vote_and_for_nothing_else() -> None:
    """A third of the year before needs no vote of this one; what remains does."""
    tenth = Share(1, 10, exercice_offset=-1)
    of_last_year = Instalment("x", "x", Due(each_year=EachYear(2)), share=THIRD, fallback=tenth)
    the_rest = Instalment("y", "y", Due(each_year=EachYear(8)), fallback=tenth)
    lines = (BEFORE, clause(plan(of_last_year, the_rest)))
    assert amounts_of(calendar(*lines, on=IN_MAY)) == [81_000_00, 24_300_00]
    assert amounts_of(calendar(*lines, voted(243_000_00), on=IN_MAY)) == [81_000_00, 162_000_00]


def test_a_fallback_may_take_off_what_comes_before() -> None:
    """Half of what 243 000 leave after 81 000: 81 000; half of them, less 81 000: 40 500."""
    for share, cents in (
        (Share(1, 2, exercice_offset=-1, minus=("a1",)), 81_000_00),
        (Share(1, 2, exercice_offset=-1, less=("a1",)), 40_500_00),
    ):
        part = Instalment("x", "x", Due(each_year=EachYear(5)), share=Share(1, 2), fallback=share)
        assert amounts_of(calendar(BEFORE, clause(plan(FIRST, part)), on=IN_MAY))[1] == cents


def test_several_parts_may_be_taken_off_before_or_after_the_share() -> None:
    """
    Of 400 000, with parts of 81 000 and (400 000 − 81 000) / 2 = 159 500 before.

    (400 000 − 240 500) / 2 = 79 750; 90 % × 400 000 − 240 500 = 119 500;
    (400 000 − 81 000) / 2 − 159 500 = 0.
    """
    both = ("a1", "a2")
    thirds = (
        Instalment("m", "m", Due(each_year=EachYear(6)), share=Share(1, 2, minus=both)),
        Instalment("l", "l", Due(each_year=EachYear(6)), share=Share(9, 10, less=both)),
        Instalment("ml", "ml", Due(each_year=EachYear(6)), share=Share(1, 2, minus=("a1",), less=("a2",))),
    )
    told = calendar(BEFORE, clause(plan(FIRST, SECOND, *thirds)), voted(400_000_00), on=IN_MAY)
    assert amounts_of(told)[2:] == [79_750_00, 119_500_00, 0]
    first, second = f"81{THIN}000,00{NBSP}€ (1er acompte)", f"159{THIN}500,00{NBSP}€ (2e acompte)"
    whole = f"400{THIN}000,00{NBSP}€ (subvention 2026)"
    assert [line.formula for line in of_year(told)[2:]] == [
        f"50{NBSP}% × ({whole} − {first} − {second})",
        f"90{NBSP}% × {whole} − {first} − {second}",
        f"50{NBSP}% × ({whole} − {first}) − {second}",
    ]


def test_a_part_that_comes_to_nothing_takes_nothing_off() -> None:
    """Of 400, a half is 200; a half less that, nothing; 300 and 100 by quarters; −200 remain."""
    year = Due(each_year=EachYear(6))
    parts = (
        Instalment("h", "h", year, share=Share(1, 2)),
        Instalment("z", "z", year, share=Share(1, 2, less=("h",))),
        Instalment("m", "m", year, share=Share(3, 4, minus=("z",))),
        Instalment("l", "l", year, share=Share(1, 4, less=("z",))),
        Instalment("r", "r", year),
    )
    told = calendar(clause(plan(*parts)), voted(400_00), on=IN_MAY)
    assert amounts_of(told) == [200_00, 0, 300_00, 100_00, -200_00]
    assert the(told, "z").state == "nothing-due"


def test_what_is_taken_off_a_share_is_taken_off_whole_before_the_rounding() -> None:
    """100,00 / 3 − 33,33 = 0,0033...: the third is rounded once, at the end."""
    tenth = Instalment("t", "t", Due(each_year=EachYear(2)), share=Share(1, 3))
    rest = Instalment("r", "r", Due(each_year=EachYear(3)), share=Share(2, 3, less=("t",)))
    told = calendar(clause(plan(tenth, rest)), voted(100_00), on=IN_MAY)
    # 66,67 − 33,33: two thirds of 10 000 are 6 666,67 cents, less 3 333 is 3 333,67.
    assert amounts_of(told) == [33_33, 33_34]
    assert the(told, "r").formula == (
        f"2/3 × 100,00{NBSP}€ (subvention 2026) − 33,33{NBSP}€ (t), arrondi au centime"
    )


@pytest.mark.parametrize(
    "share, words",
    [
        (Share(1, 2), f"50{NBSP}%"),
        (Share(3, 4), f"75{NBSP}%"),
        (Share(30, 100), f"30{NBSP}%"),
        (Share(1, 1), f"100{NBSP}%"),
        (Share(1, 3), "1/3"),
        (Share(1, 8), "1/8"),
        (Share(1, 200), "1/200"),
    ],
)
def test_a_share_is_a_percentage_where_that_says_it_wholly(share: Share, words: str) -> None:
    assert amounts.fraction(share) == words


def test_what_a_part_waits_for_is_its_vote_or_the_parts_before_it() -> None:
    own = Instalment("x", "x", Due(each_year=EachYear(6)), share=Share(1, 2))
    line = the(calendar(clause(plan(own)), on=IN_MAY), "x")
    assert (line.because, line.formula) == (
        ("la subvention 2026 n’est pas votée",),
        f"50{NBSP}% × subvention 2026",
    )
    assert [block.kind for block in line.blocked_by] == ["vote"]
    # Of the year before, no vote is awaited: nobody here can tell.
    told = calendar(PLAN, on=IN_MAY)
    assert the(told, "a1").blocked_by == ()
    # Once it is voted, what is missing is a part before.
    told = calendar(PLAN, voted(243_000_00), on=IN_MAY)
    assert (the(told, "a2").because, the(told, "a2").blocked_by) == (
        ("montant pas encore calculable : 1er acompte",),
        (),
    )
    assert the(told, "a2").formula == (
        f"50{NBSP}% × (243{THIN}000,00{NBSP}€ (subvention 2026) − 1er acompte)"
    )
    assert the(told, "solde").because == (
        "montant pas encore calculable : 1er acompte",
        "montant pas encore calculable : 2e acompte",
    )
    assert the(told, "solde").blocked_by == ()
    assert the(told, "solde").formula == (
        f"243{THIN}000,00{NBSP}€ (subvention 2026) − 1er acompte − 2e acompte"
    )
    taken_off = Instalment("x", "x", Due(each_year=EachYear(6)), share=Share(1, 2, less=("a1",)))
    line = the(calendar(clause(plan(FIRST, taken_off)), voted(243_000_00), on=IN_MAY), "x")
    assert line.because == ("montant pas encore calculable : 1er acompte",)


def test_a_part_without_a_fallback_takes_the_first_vote_after_its_day() -> None:
    half = clause(plan(Instalment("x", "x", Due(each_year=EachYear(2)), share=Share(1, 2))))
    votes = (voted(100_00, on="2026-03-20"), changed(200_00, "2026-04-20"))
    assert [
        amounts_of(calendar(half, *votes, on=on)) for on in ("2026-03-19", "2026-03-20", "2026-05-20")
    ] == [
        [None],
        [50_00],
        [50_00],
    ]


def test_another_reading_may_look_at_a_year_that_nothing_else_looks_at() -> None:
    other = OtherReading("lecture B", Share(1, 2, exercice_offset=-2), "s2-f")
    part = Instalment("x", "x", Due(each_year=EachYear(2)), share=THIRD, other_reading=other)
    lines = (BEFORE, clause(plan(part)), voted(100_00, exercice=2024, on="2024-03-01"))
    assert the(calendar(*lines, on=IN_MAY), "x").other_reading == (
        f"lecture B : 50{NBSP}% × 100,00{NBSP}€ (subvention 2024) = 50,00{NBSP}€ (s2-f, non tranchée)"
    )


def test_a_plan_without_a_balance_shows_the_difference() -> None:
    fixed = Instalment("unique", "versement", Due(on=D("2026-03-01")), fixed_cents=100_00)
    told = calendar(clause(plan(fixed)), voted(150_00), on="2026-04-01")
    assert the(told, "unique").formula == f"100,00{NBSP}€ (montant fixé par le texte)"
    summed = the_sum(told)
    assert (summed.voted_cents, summed.instalments_cents, summed.difference_cents) == (150_00, 100_00, 50_00)


@examples(
    st.integers(1, 10**9),
    st.dictionaries(
        st.dates(date(2025, 6, 1), date(2027, 3, 1)), st.integers(1, 10**9), min_size=0, max_size=3
    ),
    st.dates(date(2026, 1, 1), date(2027, 6, 1)),
    st.none() | st.dates(date(2026, 1, 1), date(2026, 12, 31)),
)
def test_the_parts_are_those_of_a_reckoning_day_by_day(
    before: int, votes: dict[date, int], on: date, paid_on: date | None
) -> None:
    lines = [voted(cents, on=day.isoformat()) for day, cents in votes.items()]
    if paid_on is not None:
        lines.append(named("a2", 1, paid_on.isoformat()))
    told = calendar(voted(before, exercice=2025, on="2025-03-20"), PLAN, *lines, on=on.isoformat())
    assert amounts_of(told) == [
        *oracle.parts(before, votes, year=2026, on=on, second_paid_on=paid_on),
    ]


def test_the_reckoning_day_by_day_gives_the_values_of_the_specification() -> None:
    end, before = date(2026, 12, 31), 243_000_00
    march, june = date(2026, 3, 20), date(2026, 6, 20)
    cases = {
        (march, 243_000_00): (81_000_00, 81_000_00, 81_000_00),
        (march, 250_000_00): (81_000_00, 84_500_00, 84_500_00),
        (june, 243_000_00): (81_000_00, 81_000_00, 81_000_00),
        (june, 150_000_00): (81_000_00, 81_000_00, -12_000_00),
    }
    for (day, cents), wanted in cases.items():
        assert oracle.parts(before, {day: cents}, year=2026, on=end) == wanted
    assert oracle.parts(before, {}, year=2026, on=end) == (81_000_00, 81_000_00, None)


# -- the subsidy of the year before


def test_an_unknown_base_is_said_and_not_guessed() -> None:
    told = calendar(PLAN, on=IN_MAY)
    first = the(told, "a1")
    assert (first.amount_cents, first.state, first.remaining_cents) == (None, "not-computable", None)
    assert first.because == ("la subvention 2025 n’est pas connue",)
    assert first.formula == "1/3 × subvention 2025"
    assert the(told, "solde").because == (
        "la subvention 2026 n’est pas votée",
        "montant pas encore calculable : 1er acompte",
        "montant pas encore calculable : 2e acompte",
    )
    assert the_sum(told).instalments_cents is None


def test_a_vote_without_a_day_is_neither_counted_nor_forgotten() -> None:
    told = calendar(PLAN, voted(243_000_00, exercice=2025, on="XXXX"), on=IN_MAY)
    assert the(told, "a1").because == ("la date du vote de la subvention 2025 n’est pas connue",)


def test_the_base_may_have_been_voted_under_the_convention_before() -> None:
    former = after(("2020-01-01", OPENED[1]), VILLE, MJC, BEFORE, stream="convention/avant")
    opened = (
        "2025-12-11",
        facts.InstrumentOpened(
            nature="convention-cadre", title="Suite", force="engagement-ferme", succeeds="avant"
        ),
    )
    opening = (opened, *SIGNED[1:])
    assert the(calendar(PLAN, on=IN_MAY, opening=opening, beside=[former]), "a1").amount_cents == 81_000_00
    # Only the one it takes over from counts, and a vote of its own comes first.
    assert the(calendar(PLAN, on=IN_MAY, beside=[former]), "a1").amount_cents is None
    own = voted(300_00, exercice=2025, on="2025-12-20")
    assert the(calendar(PLAN, own, on=IN_MAY, opening=opening, beside=[former]), "a1").amount_cents == 100_00
    # The exercice's own subsidy is never that of another convention.
    late = after(VILLE, MJC, voted(1, on="2026-01-02"), stream="convention/avant")
    told = calendar(BEFORE, PLAN, on=IN_MAY, opening=opening, beside=[late])
    assert amounts_of(told) == [81_000_00, 81_000_00, None]


def test_of_two_figures_the_later_stands_and_of_one_day_the_one_recorded_last() -> None:
    whole = clause(plan(Instalment("tout", "versement", Due(each_year=EachYear(6)))))
    for votes, cents in (
        ((voted(100_00, on="2026-03-20"), changed(80_00, "2026-04-02")), 80_00),
        ((changed(80_00, "2026-04-02"), voted(100_00, on="2026-03-20")), 80_00),
        ((voted(100_00, on="2026-03-20"), changed(80_00, "2026-03-20")), 80_00),
        ((changed(80_00, "2026-03-20"), voted(100_00, on="2026-03-20")), 100_00),
    ):
        told = calendar(whole, *votes, on=IN_MAY)
        assert (the_sum(told).voted_cents, amounts_of(told)) == (cents, [cents])


def test_a_plan_pays_the_subsidy_of_its_purpose() -> None:
    whole = Instalment("tout", "versement", Due(each_year=EachYear(6)))
    works = (
        "2026-03-20",
        facts.SubsidyVoted(
            payer="ville", beneficiary="mjc", exercice=2026, amount_cents=7_00, purpose="investissement"
        ),
    )
    told = calendar(clause(plan(whole)), voted(100_00), works, on=IN_MAY)
    assert amounts_of(told) == [100_00]
    told = calendar(clause(plan(whole, purpose="investissement")), voted(100_00), works, on=IN_MAY)
    assert amounts_of(told) == [7_00]
    assert the_sum(told).purpose == "investissement"


# -- which exercices, which plan, which text


def test_every_exercice_of_the_term_has_its_lines() -> None:
    told = calendar(BEFORE, PLAN, on=IN_MAY)
    assert [(line.exercice, line.key) for line in told.instalments] == [
        (year, key) for year in (2026, 2027, 2028, 2029) for key in ("a1", "a2", "solde")
    ]
    assert told.because == ()


def test_a_prorogation_adds_its_exercices_from_its_day_on() -> None:
    longer = avenant(1, "2027-03-01", facts.Prorogation(D("2030-12-31")))
    assert max(line.exercice for line in calendar(PLAN, longer, on="2027-02-28").instalments) == 2029
    assert max(line.exercice for line in calendar(PLAN, longer, on="2027-03-01").instalments) == 2030


def test_a_term_that_is_not_known_gives_no_exercice_and_says_so() -> None:
    endless = (*SIGNED[:3], *SIGNED[4:], clause(NoPeriod(), "10"))
    told = calendar(PLAN, on=IN_MAY, opening=(OPENED, VILLE, MJC, clause(NoPeriod(), "10")))
    assert told.instalments == ()
    assert told.because == ("le début de la convention n’est pas connu : ses exercices ne peuvent être dits",)
    told = calendar(PLAN, on=IN_MAY, opening=endless)
    assert told.instalments == ()
    assert told.because == ("le terme de la convention n’est pas connu : ses exercices ne peuvent être dits",)
    # What was voted, or what the text names, is an exercice all the same.
    assert {
        line.exercice for line in calendar(PLAN, voted(1_00), on=IN_MAY, opening=endless).instalments
    } == {2026}
    for_2027 = clause(plan(exercices=(2027,)))
    told = calendar(for_2027, on=IN_MAY, opening=endless)
    assert {line.exercice for line in told.instalments} == {2027}
    assert told.because == ()


def test_a_period_from_the_signature_begins_with_the_last_one() -> None:
    two_years = clause(PeriodFrom("last-signature", 24), "10")
    opening = (OPENED, VILLE, MJC, two_years)
    told = calendar(
        PLAN,
        signed("ville", "maire", "2026-01-10"),
        signed("mjc", "president", "2026-02-01"),
        on=IN_MAY,
        opening=opening,
    )
    assert {line.exercice for line in told.instalments} == {2026, 2027, 2028}
    told = calendar(PLAN, signed("ville", "maire", "2026-01-10"), on=IN_MAY, opening=opening)
    assert told.instalments == ()
    assert told.because == ("le début de la convention n’est pas connu : ses exercices ne peuvent être dits",)


def test_thirty_exercices_are_not_cut() -> None:
    term = clause(FixedPeriod(D("2026-01-01"), D("2055-12-31")), "10")
    told = calendar(PLAN, on=IN_MAY, opening=(*SIGNED[:3], *SIGNED[4:], term))
    assert (len(told.exercices), told.because) == (30, ())


def test_a_convention_that_says_of_no_payment_has_no_calendar() -> None:
    lines = (BEFORE, voted(1_00), paid("un", 1_00, "2026-02-02"))
    assert calendar(*lines, clause(NoPeriod(), "7"), on=IN_MAY) == Calendar()
    # The avenant that says it makes one, from its own day on.
    adds = avenant(
        1, "2026-05-01", facts.Prorogation(D("2030-12-31")), facts.ClauseChanged("7.1", "v", plan())
    )
    assert len(of_year(calendar(*lines, adds, on=IN_MAY))) == 3
    told = calendar(*lines, adds, on="2026-04-30")
    assert (told.instalments, told.because) == (
        (),
        (f"1,00{NBSP}€ versés pour l’exercice 2026, qui n’a pas d’échéancier ici",),
    )


def test_where_no_term_is_known_only_a_dated_vote_of_the_plan_s_own_subsidy_tells_an_exercice() -> None:
    endless = (*SIGNED[:3], *SIGNED[4:], clause(NoPeriod(), "10"))
    for vote in (
        voted(1_00, on="XXXX"),
        ("2026-03-20", msgspec.structs.replace(voted(1_00)[1], purpose="investissement")),
        ("2026-03-20", msgspec.structs.replace(voted(1_00)[1], beneficiary="ville")),
        ("2026-03-20", msgspec.structs.replace(voted(1_00)[1], payer="mjc")),
    ):
        assert calendar(PLAN, vote, on=IN_MAY, opening=endless).instalments == ()


def test_of_two_plans_the_later_one_holds() -> None:
    once = plan(Instalment("unique", "versement unique", Due(each_year=EachYear(6))))
    for lines in (
        (PLAN, clause(once, "7.3")),
        (clause(once, "7.0", on="2025-12-12"), PLAN),
        (PLAN, avenant(1, "2026-01-05", facts.ClauseChanged("7.3", "versement", once))),
    ):
        assert [line.key for line in of_year(calendar(BEFORE, *lines, on=IN_MAY))] == ["unique"]
    # Of two in one avenant, that of the first article.
    both = avenant(
        1, "2026-01-05", facts.ClauseChanged("7.4", "v", plan()), facts.ClauseChanged("7.3", "v", once)
    )
    assert [line.key for line in of_year(calendar(BEFORE, both, on=IN_MAY))] == ["unique"]
    # One that names its exercice stands whatever comes later.
    of_2026 = clause(plan(Instalment("x", "x", Due(each_year=EachYear(6))), exercices=(2026,)), "7.2")
    told = calendar(BEFORE, of_2026, clause(once, "7.3", on="2025-12-12"), on=IN_MAY)
    assert [(line.exercice, line.key) for line in told.instalments[:2]] == [(2026, "x"), (2027, "unique")]


@pytest.mark.parametrize(
    "avenant_on, on, keys",
    [
        ("2026-12-31", "2028-01-10", ["unique"]),
        ("2027-01-01", "2028-01-10", ["a1", "a2", "solde"]),
        ("XXXX", "2028-01-10", ["unique"]),
        # Until the exercice is over, its lines are those of the text of the day.
        ("2026-12-31", "2026-12-31", ["unique"]),
    ],
)
def test_an_exercice_is_read_from_the_text_of_its_last_day(avenant_on: str, on: str, keys: list[str]) -> None:
    once = plan(Instalment("unique", "versement unique", Due(each_year=EachYear(6))))
    change = avenant(1, avenant_on, facts.ClauseChanged("7.1", "versement", once))
    assert [line.key for line in of_year(calendar(BEFORE, PLAN, change, on=on))] == keys


def test_an_exercice_is_read_without_what_waits_for_a_signature() -> None:
    """Of two avenants, the first signed by one of two; the second, after the exercice, by nobody told."""
    once = plan(Instalment("unique", "versement unique", Due(each_year=EachYear(6))))
    first = avenant(1, "2026-05-01", facts.ClauseChanged("7.1", "versement", once))
    second = avenant(2, "2027-03-01", facts.ClauseChanged("7.1", "versement", once))
    half = signed("ville", "maire", "2026-05-01", 1)
    told = calendar(BEFORE, PLAN, first, half, second, on="2028-01-10")
    assert [len(of_year(told, year)) for year in (2026, 2027)] == [3, 1]
    whole = signed("mjc", "president", "2026-05-02", 1)
    told = calendar(BEFORE, PLAN, first, half, whole, second, on="2028-01-10")
    assert [len(of_year(told, year)) for year in (2026, 2027)] == [1, 1]


def test_the_instrument_s_own_plan_is_of_every_exercice_whenever_it_was_stated() -> None:
    late = clause(plan(), on="2027-03-01")
    change = avenant(1, "2027-05-01", facts.ClauseChanged("12", "locaux"))
    assert len(of_year(calendar(BEFORE, late, change, on="2028-01-10"))) == 3


def test_a_signature_of_an_avenant_or_one_to_come_moves_no_delay_from_the_signature() -> None:
    due = Due(delay=Delay(2, "month", "signature", starts_at="signed"))
    x = clause(plan(Instalment("x", "x", due, fixed_cents=1)))
    later = signed("mjc", "president", "2026-04-01", 1)
    assert the(calendar(x, later, on=IN_MAY), "x").due_on == date(2026, 2, 18)
    # The last signature, whichever was recorded last.
    opening = (*UNSIGNED, signed("mjc", "president", "2025-12-18"), signed("ville", "maire", "2025-12-15"))
    assert the(calendar(x, on=IN_MAY, opening=opening), "x").due_on == date(2026, 2, 18)
    assert the(calendar(x, on="2025-12-17"), "x").due_on is None


def test_who_joins_later_is_not_waited_for() -> None:
    """The délai runs from the signature of those who were parties from the first day."""
    due = Due(delay=Delay(2, "month", "signature", starts_at="signed"))
    joins = ("2026-01-05", facts.PartyJoined(institution="caf"))
    line = the(calendar(clause(plan(Instalment("x", "x", due, fixed_cents=1))), joins, on=IN_MAY), "x")
    assert line.due_on == date(2026, 2, 18)
    half = (OPENED, VILLE, MJC, TERM, signed("ville", "maire", "2025-12-15"))
    told = calendar(clause(plan(Instalment("x", "x", due, fixed_cents=1))), on=IN_MAY, opening=half)
    assert the(told, "x").because == ("on ne connaît pas le jour qui fait courir le délai : signature",)


def test_no_calendar_is_longer_than_thirty_exercices() -> None:
    term = clause(FixedPeriod(D("2026-01-01"), D("2125-12-31")), "10")
    told = calendar(PLAN, on=IN_MAY, opening=(*SIGNED[:3], *SIGNED[4:], term))
    assert {line.exercice for line in told.instalments} == set(range(2026, 2056))
    assert told.because == ("seuls les 30 premiers exercices sont dits",)


def test_a_plan_that_names_an_exercice_stands_for_it() -> None:
    fixed = Instalment("a1", "1er acompte", Due(on=D("2026-01")), fixed_cents=81_000_00)
    own = clause(plan(fixed, SECOND, LAST, exercices=(2026,)), "7.2")
    for order in ((PLAN, own), (own, PLAN)):
        told = calendar(BEFORE, *order, voted(250_000_00), on=IN_MAY)
        assert {line.article for line in of_year(told)} == {"7.2"}
        assert {line.article for line in of_year(told, 2027)} == {"7.1"}
        first = the(told, "a1")
        assert (first.opens_on, first.due_on, first.rules) == (
            date(2026, 1, 1),
            date(2026, 1, 31),
            (SPAN_RULE,),
        )
        assert amounts_of(told) == [81_000_00, 84_500_00, 84_500_00]


def test_an_avenant_changes_the_exercices_to_come_and_no_earlier_one() -> None:
    once = plan(Instalment("unique", "versement unique", Due(each_year=EachYear(6, 30))))
    change = avenant(1, "2027-03-01", facts.ClauseChanged("7.1", "versement", once))
    told = calendar(BEFORE, PLAN, change, on="2028-01-10")
    assert [line.key for line in of_year(told, 2026)] == ["a1", "a2", "solde"]
    assert [line.key for line in of_year(told, 2027)] == ["unique"]
    assert the(told, "unique", 2027).avenant == "1"
    assert the(told, "a1", 2026).avenant == ""
    before = calendar(BEFORE, PLAN, change, on="2027-02-28")
    assert [line.key for line in of_year(before, 2027)] == ["a1", "a2", "solde"]
    # An avenant that takes the plan away leaves the years behind it as they were.
    gone = avenant(1, "2027-03-01", facts.ClauseChanged("7.1", "supprimé"))
    assert {line.exercice for line in calendar(PLAN, gone, on="2028-01-10").instalments} == {2026}


def test_an_avenant_without_a_day_lets_nothing_be_computed() -> None:
    once = plan(Instalment("unique", "versement unique", Due(each_year=EachYear(6, 30))))
    change = avenant(1, "XXXX", facts.ClauseChanged("7.1", "versement", once))
    line = the(calendar(BEFORE, PLAN, change, voted(1_00), on=IN_MAY), "unique")
    assert line.amount_cents is None
    assert line.because == ("la date de l’avenant n° 1 n’est pas connue",)
    line = the(calendar(BEFORE, PLAN, change, on=IN_MAY), "unique")
    assert line.because == (
        "la subvention 2026 n’est pas votée",
        "la date de l’avenant n° 1 n’est pas connue",
    )


def test_an_avenant_that_waits_for_a_signature_sets_no_amount() -> None:
    sets = avenant(1, "2026-04-01", facts.SubsidySet("ville", "mjc", 2026, 250_000_00))
    half = signed("ville", "maire", "2026-04-01", 1)
    whole = signed("mjc", "president", "2026-04-08", 1)
    assert the_sum(calendar(BEFORE, PLAN, sets, half, on=IN_MAY)).voted_cents is None
    assert the_sum(calendar(BEFORE, PLAN, sets, half, whole, on=IN_MAY)).voted_cents == 250_000_00


# -- the days


@pytest.mark.parametrize(
    "due, opens, last, rules",
    [
        (Due(each_year=EachYear(2)), "2026-02-01", "2026-02-28", (UNTIL_RULE,)),
        (Due(each_year=EachYear(7, 15)), None, "2026-07-15", (UNTIL_RULE,)),
        (Due(each_year=EachYear(1, 15, of_exercice=1)), None, "2027-01-15", (UNTIL_RULE,)),
        (Due(on=D("2026-03-09")), None, "2026-03-09", ("jour dit par le texte",)),
        (Due(on=D("2026-34")), "2026-04-01", "2026-06-30", (SPAN_RULE,)),
        (Due(delay=Delay(2, "month", "signature", starts_at="signed")), None, "2026-02-18", (MONTHS_RULE,)),
        (
            Due(delay=Delay(1, "month", "entrée en vigueur", starts_at="took-effect")),
            None,
            "2026-02-01",
            (MONTHS_RULE,),
        ),
    ],
)
def test_a_part_is_due_when_the_text_says(
    due: Due, opens: str | None, last: str, rules: tuple[str, ...]
) -> None:
    line = the(calendar(clause(plan(Instalment("x", "x", due, fixed_cents=1))), on="2026-01-01"), "x")
    assert (line.opens_on and line.opens_on.isoformat(), line.due_on and line.due_on.isoformat()) == (
        opens,
        last,
    )
    assert line.rules == rules


@pytest.mark.parametrize(
    "due, because, words",
    [
        (Due(on=D("XXXX")), ("le texte laisse l’échéance en blanc",), None),
        (
            Due(delay=Delay(2, "month", "vote")),
            ("on ne connaît pas le jour qui fait courir le délai : vote",),
            None,
        ),
        (Due(words="sans délai"), (), "sans délai"),
    ],
)
def test_a_day_that_is_not_known_is_not_guessed(
    due: Due, because: tuple[str, ...], words: str | None
) -> None:
    line = the(calendar(clause(plan(Instalment("x", "x", due, fixed_cents=1))), on=IN_MAY), "x")
    assert (line.due_on, line.because, line.due_words, line.state) == (None, because, words, "without-date")


@pytest.mark.parametrize(
    "on, more, state",
    [
        ("2026-01-31", [], "to-come"),
        ("2026-02-01", [], "due"),
        ("2026-02-28", [], "due"),
        ("2026-03-01", [], "overdue"),
        ("2026-02-20", [named("a1", 1_00, "2026-02-10")], "paid-in-part"),
        ("2026-03-20", [named("a1", 1_00, "2026-02-10")], "overdue"),
        ("2026-02-20", [named("a1", 81_000_00, "2026-02-10")], "paid"),
        ("2026-02-09", [named("a1", 81_000_00, "2026-02-10")], "due"),
        ("2026-01-20", [named("a1", 81_000_00, "2026-01-10")], "paid"),
        ("2026-01-20", [named("a1", 1_00, "2026-01-10")], "paid-in-part"),
        ("2026-02-20", [named("a1", 81_000_01, "2026-02-10")], "overpaid"),
    ],
)
def test_the_state_of_a_part_follows_the_day_and_the_payments(on: str, more: list[Line], state: str) -> None:
    assert the(calendar(BEFORE, PLAN, *more, on=on), "a1").state == state


def test_the_line_of_a_part_says_all_there_is_to_say_of_it() -> None:
    told = calendar(BEFORE, GATED, OWED, named("a1", 1_00, "2026-02-10"), suspended("2026-05-04"), on=IN_MAY)
    assert the(told, "a2") == InstalmentLine(
        kind="instalment",
        payer="ville",
        beneficiary="mjc",
        exercice=2026,
        key="a2",
        label="2e acompte",
        article="7.1",
        avenant="",
        position=len(SIGNED) + 2,
        state="suspended",
        opens_on=date(2026, 5, 1),
        due_on=date(2026, 5, 31),
        rules=(UNTIL_RULE,),
        amount_cents=81_000_00,
        formula=f"à défaut de vote : 1/3 × 243{THIN}000,00{NBSP}€ (subvention 2025)",
        other_reading=(
            f"lecture B : 50{NBSP}% × subvention 2026 − 81{THIN}000,00{NBSP}€ (1er acompte) "
            "(s2-f, non tranchée)"
        ),
        provisional=True,
        conditions=(f"documents de : art.{NBSP}6.2 et art.{NBSP}6.3 (art.{NBSP}7.1)",),
        blocked_by=(
            Block(
                "document",
                "rapport d'activité, exercice 2026, attendu au plus tard le 15 avril 2026",
                "6.3, 1er tiret",
                ("mjc", "ville"),
                (len(SIGNED) + 3,),
            ),
        ),
        suspended_by=("s-1",),
        remaining_cents=81_000_00,
    )
    first = the(told, "a1")
    assert (first.paid_cents, first.remaining_cents, first.payments) == (1_00, 80_999_00, (len(SIGNED) + 4,))
    assert told.exercices[0] == ExerciceLine(
        payer="ville",
        beneficiary="mjc",
        exercice=2026,
        voted_cents=None,
        instalments_cents=None,
        difference_cents=None,
        paid_cents=1_00,
        overpaid_cents=0,
    )


def test_the_sums_of_an_exercice_stand_side_by_side() -> None:
    """150 000 voted; parts of 81 000 twice and −12 000; 200 000 paid, 20 000 set off, 3 000 returned."""
    off = facts.AdvanceSetOff(payer="ville", payment="avance", exercice=2026, amount_cents=20_000_00)
    back = facts.RestitutionReceived(payer="ville", beneficiary="mjc", exercice=2026, amount_cents=1_500_00)
    told = calendar(
        BEFORE,
        PLAN,
        voted(150_000_00, on="2026-06-20"),
        paid("avance", 20_000_00, "2025-12-20", 2025),
        paid("un", 200_000_00, "2026-04-02"),
        ("2026-07-01", off),
        ("2026-10-02", back),
        ("2026-10-03", msgspec.structs.replace(back)),
        on="2026-12-01",
    )
    assert the_sum(told) == ExerciceLine(
        payer="ville",
        beneficiary="mjc",
        exercice=2026,
        voted_cents=150_000_00,
        instalments_cents=150_000_00,
        difference_cents=0,
        paid_cents=200_000_00,
        overpaid_cents=70_000_00,
        set_off_cents=20_000_00,
        returned_cents=3_000_00,
    )
    assert the_sum(told, 2027).returned_cents == 0


def test_neither_day_nor_amount_known_both_are_said() -> None:
    part = Instalment("x", "x", Due(on=D("XXXX")), share=THIRD)
    line = the(calendar(clause(plan(part)), on=IN_MAY), "x")
    assert (line.state, line.because) == (
        "not-computable",
        ("la subvention 2025 n’est pas connue", "le texte laisse l’échéance en blanc"),
    )


def test_lines_are_told_by_day_and_those_without_one_last() -> None:
    parts = (
        Instalment("c", "c", Due(words="sans délai"), fixed_cents=1),
        Instalment("b", "b", Due(each_year=EachYear(9)), fixed_cents=1),
        Instalment("a", "a", Due(each_year=EachYear(3)), fixed_cents=1),
    )
    told = calendar(clause(plan(*parts, exercices=(2026, 2027))), on=IN_MAY)
    assert [(line.exercice, line.key) for line in told.instalments] == [
        (2026, "a"),
        (2026, "b"),
        (2027, "a"),
        (2027, "b"),
        (2026, "c"),
        (2027, "c"),
    ]


# -- payments


def test_a_payment_that_names_no_part_counts_for_the_earliest_not_yet_paid() -> None:
    told = calendar(BEFORE, PLAN, voted(243_000_00), paid("un", 100_000_00, "2026-04-02"), on="2026-06-01")
    first, second, last = of_year(told)
    assert (first.paid_cents, first.state) == (81_000_00, "paid")
    assert (second.paid_cents, second.remaining_cents, second.state) == (19_000_00, 62_000_00, "overdue")
    assert first.payments == second.payments == (len(SIGNED) + 4,)
    assert last.payments == ()
    assert the_sum(told).paid_cents == 100_000_00


def test_what_is_left_of_a_payment_fixes_no_later_part() -> None:
    """The rest of April's payment counts for May's part, whose amount still follows the votes of May."""
    told = calendar(
        BEFORE,
        PLAN,
        paid("un", 81_001_00, "2026-05-02"),
        voted(250_000_00, on="2026-05-12"),
        on="2026-06-01",
    )
    assert the(told, "a2").amount_cents == 84_500_00


def test_a_payment_that_names_its_part_counts_for_no_other() -> None:
    told = calendar(BEFORE, PLAN, voted(243_000_00), named("a2", 81_000_00, "2026-02-02"), on="2026-04-01")
    assert [line.state for line in of_year(told)] == ["overdue", "paid", "to-come"]
    # A name that no part has is no name.
    told = calendar(BEFORE, PLAN, voted(243_000_00), named("autre", 81_000_00, "2026-02-02"), on="2026-04-01")
    assert [line.state for line in of_year(told)] == ["paid", "to-come", "to-come"]


def test_more_than_everything_shows_on_the_last_part() -> None:
    told = calendar(BEFORE, PLAN, voted(243_000_00), paid("un", 250_000_00, "2026-04-02"), on="2026-06-01")
    assert [line.paid_cents for line in of_year(told)] == [81_000_00, 81_000_00, 88_000_00]
    assert the(told, "solde").overpaid_cents == the_sum(told).overpaid_cents == 7_000_00


def test_a_part_of_an_unknown_amount_takes_one_payment() -> None:
    told = calendar(
        PLAN, paid("un", 81_000_00, "2026-02-02"), paid("deux", 81_000_00, "2026-05-02"), on="2026-06-01"
    )
    assert [line.paid_cents for line in of_year(told)] == [81_000_00, 81_000_00, 0]
    assert the(told, "a1").state == "not-computable"


def test_a_payment_that_came_back_is_not_paid() -> None:
    back = ("2026-02-12", facts.PaymentRejected(payer="ville", payment="un", reason="RIB"))
    lines = (BEFORE, PLAN, paid("un", 81_000_00, "2026-02-02"), back)
    assert the(calendar(*lines, on="2026-02-11"), "a1").state == "paid"
    assert the(calendar(*lines, on="2026-02-12"), "a1").state == "due"
    assert the(calendar(*lines, on="2026-02-12"), "a1").payments == ()


@pytest.mark.parametrize(
    "lines, why",
    [
        ([paid("un", 81_000_00, "XXXX")], "sa date n’est pas connue"),
        (
            [
                paid("un", 81_000_00, "2026-02-02"),
                ("XXXX", facts.PaymentRejected(payer="ville", payment="un", reason="RIB")),
            ],
            "la date de son rejet n’est pas connue",
        ),
    ],
)
def test_a_payment_of_which_a_day_is_missing_is_not_counted_and_said(lines: list[Line], why: str) -> None:
    told = calendar(BEFORE, PLAN, *lines, on=IN_MAY)
    assert the(told, "a1").paid_cents == 0
    assert the(told, "a1").notes == (f"versement de 81{THIN}000,00{NBSP}€ non compté : {why}",)


def test_everything_that_is_not_counted_is_said_where_it_was_paid() -> None:
    lines = (paid("un", 1_00, "XXXX"), paid("deux", 2_00, "XXXX"), paid("trois", 3_00, "XXXX", 2027))
    back = ("XXXX", facts.PaymentRejected(payer="ville", payment="un", reason="RIB"))
    told = calendar(BEFORE, PLAN, *lines, back, on=IN_MAY)
    why = "sa date n’est pas connue"
    assert the(told, "a1").notes == (
        f"versement de 1,00{NBSP}€ non compté : {why}",
        f"versement de 2,00{NBSP}€ non compté : {why}",
    )
    assert the(told, "a1", 2027).notes == (f"versement de 3,00{NBSP}€ non compté : {why}",)
    assert the(told, "a2").notes == the(told, "a1", 2028).notes == ()


def test_a_payment_that_came_back_is_that_of_its_payer() -> None:
    caf = ("2025-12-11", facts.PartyListed(institution="caf"))
    other = InstalmentPlan("caf", "mjc", fixed(c=5_00))
    of_caf = facts.PaymentMade(payer="caf", beneficiary="mjc", key="un", exercice=2026, amount_cents=5_00)
    back = ("2026-02-12", facts.PaymentRejected(payer="ville", payment="un", reason="RIB"))
    lines = (
        caf,
        PLAN,
        clause(other, "7.4"),
        paid("un", 81_000_00, "2026-02-02"),
        ("2026-02-02", of_caf),
        back,
    )
    told = calendar(BEFORE, *lines, on=IN_MAY)
    assert (the(told, "a1").paid_cents, the(told, "c").paid_cents) == (0, 5_00)
    assert [(one.payer, one.paid_cents) for one in told.exercices if one.exercice == 2026] == [
        ("caf", 5_00),
        ("ville", 0),
    ]


def test_what_is_paid_for_a_year_without_lines_is_not_passed_over() -> None:
    told = calendar(BEFORE, PLAN, paid("un", 81_000_00, "2026-02-02", 2024), on=IN_MAY)
    assert told.because == (
        f"81{THIN}000,00{NBSP}€ versés pour l’exercice 2024, qui n’a pas d’échéancier ici",
    )


def test_a_pledge_a_commitment_and_an_order_pay_nothing() -> None:
    lines: list[Line] = [
        (
            "2026-02-02",
            facts.SubsidyPledged(
                payer="ville", to="mjc", exercice=2026, amount_cents=1_00, beneficiary="mjc"
            ),
        ),
        (
            "2026-02-02",
            facts.FundsCommitted(
                payer="ville", beneficiary="mjc", number="7", exercice=2026, amount_cents=2_00
            ),
        ),
        (
            "2026-02-02",
            facts.PaymentOrdered(
                payer="ville",
                beneficiary="mjc",
                number="9",
                exercice=2026,
                amount_cents=81_000_00,
                instalment="a1",
            ),
        ),
    ]
    assert calendar(BEFORE, PLAN, *lines, on=IN_MAY) == calendar(BEFORE, PLAN, on=IN_MAY)


def test_what_was_given_back_stands_beside_what_was_paid() -> None:
    back = (
        "2026-10-02",
        facts.RestitutionReceived(payer="ville", beneficiary="mjc", exercice=2026, amount_cents=7_000_00),
    )
    told = calendar(
        BEFORE, PLAN, voted(243_000_00), paid("un", 250_000_00, "2026-04-02"), back, on="2026-12-01"
    )
    summed = the_sum(told)
    assert (summed.paid_cents, summed.overpaid_cents, summed.returned_cents) == (
        250_000_00,
        7_000_00,
        7_000_00,
    )


# -- what holds a payment back

REPORT = Obligation(
    key="rapport",
    debtor="mjc",
    creditors=("ville",),
    what="rapport d'activité",
    recurrence="yearly",
    due=Due(each_year=EachYear(4, 15)),
    document="rapport",
    gates_payments=True,
)
OWED = clause(REPORT, "6.3, 1er tiret")
GATED = clause(plan(conditional_on_articles=("6.2", "6.3")))


def received(on: str, document: str = "rapport", exercice: int = 2026) -> Line:
    return on, facts.DocumentReceived(
        sent_by="mjc", received_by="ville", document=document, what="rapport", exercice=exercice
    )


def refused(on: str) -> Line:
    return on, facts.DocumentRefused(
        by="ville", sent_by="mjc", document="rapport", reason="incomplet", exercice=2026
    )


def dispensed(on: str) -> Line:
    return on, facts.DocumentDispensed(
        by="ville", debtor="mjc", document="rapport", reason="r", exercice=2026
    )


def derogation(on: str, article: str, until: str | None = None, to: str = "mjc") -> Line:
    return on, facts.DerogationGranted(
        by="ville",
        to=to,
        article=article,
        decided_by="la Maire",
        reason="r",
        until=D(until) if until else None,
    )


def test_a_document_that_is_late_blocks_and_says_who_can_unblock() -> None:
    line = the(calendar(BEFORE, GATED, OWED, on=IN_MAY), "a2")
    assert line.state == "blocked"
    assert line.conditions == (f"documents de : art.{NBSP}6.2 et art.{NBSP}6.3 (art.{NBSP}7.1)",)
    assert line.blocked_by == (
        Block(
            "document",
            "rapport d'activité, exercice 2026, attendu au plus tard le 15 avril 2026",
            "6.3, 1er tiret",
            ("mjc", "ville"),
            (len(SIGNED) + 3,),
        ),
    )


def test_a_document_that_was_refused_blocks_and_says_so() -> None:
    lines = (BEFORE, GATED, OWED, received("2026-04-10"), refused("2026-04-20"))
    assert the(calendar(*lines, on=IN_MAY), "a2").blocked_by == (
        Block(
            "document",
            "rapport d'activité, exercice 2026, attendu au plus tard le 15 avril 2026 (refusé)",
            "6.3, 1er tiret",
            ("mjc", "ville"),
            (len(SIGNED) + 3, len(SIGNED) + 5),
        ),
    )


def test_a_document_owed_once_blocks_without_an_exercice() -> None:
    once = msgspec.structs.replace(REPORT, recurrence="once", due=Due(on=D("2026-04-15")))
    [block] = the(calendar(BEFORE, GATED, clause(once, "6.2"), on=IN_MAY), "a2").blocked_by
    assert (block.what, block.article) == ("rapport d'activité, attendu au plus tard le 15 avril 2026", "6.2")


def test_a_document_of_the_payer_holds_back_no_payment_to_the_beneficiary() -> None:
    his = msgspec.structs.replace(REPORT, debtor="ville", creditors=("mjc",))
    assert the(calendar(BEFORE, GATED, clause(his, "6.3"), on=IN_MAY), "a2").blocked_by == ()


@pytest.mark.parametrize(
    "lines, on, blocked",
    [
        ([], "2026-04-15", False),
        ([], "2026-04-16", True),
        ([received("2026-04-20")], "2026-04-19", True),
        ([received("2026-04-20")], "2026-04-20", False),
        ([received("2026-04-20", exercice=2025)], "2026-04-20", True),
        ([received("2026-04-10"), refused("2026-04-20")], "2026-04-19", False),
        ([received("2026-04-10"), refused("2026-04-20")], "2026-04-20", True),
        ([received("2026-04-10"), refused("2026-04-20"), received("2026-04-28")], "2026-05-01", False),
        ([dispensed("2026-04-20")], "2026-04-20", False),
        ([derogation("2026-04-20", "6.3")], "2026-04-20", False),
        ([derogation("2026-04-20", "6.3, 1er tiret")], "2026-04-20", False),
        ([derogation("2026-04-20", "6.3, 2e tiret")], "2026-04-20", True),
        ([derogation("2026-04-20", "6.30")], "2026-04-20", True),
        ([derogation("2026-04-20", "6.3", to="ville")], "2026-04-20", True),
        ([derogation("2026-04-20", "6.3", until="2026-04-30")], "2026-04-30", False),
        ([derogation("2026-04-20", "6.3", until="2026-04-30")], "2026-05-01", True),
    ],
)
def test_a_document_blocks_from_its_day_until_it_came(lines: list[Line], on: str, *, blocked: bool) -> None:
    told = calendar(BEFORE, GATED, OWED, *lines, on=on)
    assert bool(the(told, "a2").blocked_by) == blocked


def test_documents_of_other_articles_block_nothing() -> None:
    other = clause(REPORT, "6.30")
    assert the(calendar(BEFORE, GATED, other, on=IN_MAY), "a2").blocked_by == ()
    assert the(calendar(BEFORE, PLAN, OWED, on=IN_MAY), "a2").blocked_by == ()
    no_gate = clause(msgspec.structs.replace(REPORT, gates_payments=False), "6.3")
    assert the(calendar(BEFORE, GATED, no_gate, on=IN_MAY), "a2").blocked_by == ()


def test_a_derogation_on_the_article_that_asks_for_documents_lifts_them() -> None:
    term = Condition(
        of="payments", requires="documents", holder="mjc", words="documents des articles 6.2 et 6.3"
    )
    asks = clause(term, "7.1, al. 5")
    line = the(calendar(BEFORE, GATED, OWED, asks, derogation("2026-05-01", "7.1, al. 5"), on=IN_MAY), "a2")
    assert line.conditions == (f"documents des articles 6.2 et 6.3 (art.{NBSP}7.1, al. 5)",)
    assert (line.blocked_by, line.derogations, line.state) == ((), (len(SIGNED) + 5,), "due")


AGREED = clause(
    Condition(of="partnership", requires="agrement", holder="mjc", words="agrément centre social"), "3"
)


def agrement(*lines: Line) -> streams.State:
    granted = (
        "2023-06-01",
        facts.AgrementGranted(
            services=("AGC",), granted_by="caf", starts_on=D("2023-07-01"), ends_on=D("2026-06-30")
        ),
    )
    return after(granted, *lines, stream="agrement/mjc")


@pytest.mark.parametrize(
    "on, more, what",
    [
        ("2026-05-10", [], None),
        ("2026-07-01", [], "échu"),
        ("2026-05-10", [("2026-05-01", facts.AgrementSuspended(by="caf", reason="r"))], "suspendu"),
        ("2026-05-10", [("2026-05-11", facts.AgrementSuspended(by="caf", reason="r"))], None),
        ("2026-05-10", [("2026-05-01", facts.AgrementWithdrawn(by="caf", reason="r"))], "retiré"),
        (
            "2026-05-10",
            [("XXXX", facts.AgrementWithdrawn(by="caf", reason="r"))],
            "on ne sait pas s’il court ce jour",
        ),
    ],
)
def test_a_payment_depends_on_the_agrement_of_the_day(on: str, more: list[Line], what: str | None) -> None:
    line = the(calendar(BEFORE, PLAN, AGREED, on=on, beside=[agrement(*more)]), "a2")
    assert line.conditions == (f"agrément centre social (art.{NBSP}3)",)
    assert [(block.kind, block.what, block.unblocked_by) for block in line.blocked_by] == (
        [] if what is None else [("agrement", f"agrément centre social : {what}", ("caf", "mjc"))]
    )


def test_an_agrement_of_which_nothing_is_known_blocks() -> None:
    assert the(calendar(BEFORE, PLAN, AGREED, on=IN_MAY), "a2").blocked_by == (
        Block(
            "agrement",
            "agrément centre social : aucun agrément au registre",
            "3",
            ("mjc",),
            (len(SIGNED) + 3,),
        ),
    )


def test_whoever_grants_or_was_asked_can_bring_an_agrement_back() -> None:
    asked = ("2022-11-02", facts.AgrementRequested(services=("AGC",), to="caf-doubs"))
    [block] = the(
        calendar(BEFORE, PLAN, AGREED, on=IN_MAY, beside=[after(asked, stream="agrement/mjc")]), "a2"
    ).blocked_by
    assert (block.what, block.unblocked_by) == (
        "agrément centre social : demandé, pas encore accordé",
        ("caf-doubs", "mjc"),
    )
    renewed = (
        "2025-06-01",
        facts.AgrementRenewed(
            services=("AGC",), granted_by="caf-25", starts_on=D("2025-07-01"), ends_on=D("2026-04-30")
        ),
    )
    withdrawn = ("2026-04-02", facts.AgrementWithdrawn(by="caf-25", reason="r"))
    beside = [agrement(asked, renewed, withdrawn)]
    [block] = the(calendar(BEFORE, PLAN, AGREED, on=IN_MAY, beside=beside), "a2").blocked_by
    assert block.unblocked_by == ("caf", "caf-25", "caf-doubs", "mjc")


def test_the_agrement_of_another_centre_holds_nothing_back() -> None:
    other = clause(Condition(of="membership", requires="agrement", holder="mjc", words="agrément"), "3")
    assert the(calendar(BEFORE, PLAN, other, on=IN_MAY), "a2").conditions == ()
    ville = clause(Condition(of="partnership", requires="agrement", holder="ville", words="agrément"), "3")
    assert the(calendar(BEFORE, PLAN, ville, on=IN_MAY), "a2").blocked_by == ()


UNSIGNED = (OPENED, VILLE, MJC, TERM)


def test_nothing_is_paid_before_the_parties_have_signed() -> None:
    line = the(calendar(BEFORE, PLAN, on=IN_MAY, opening=UNSIGNED), "a2")
    assert line.blocked_by == (Block("signature", "signature de la convention", "10", ("ville", "mjc")),)
    # Nobody waits for who left, or for who joined since.
    left = (
        ("2025-12-11", facts.PartyListed(institution="caf")),
        ("2026-02-01", facts.PartyWithdrew(party="caf")),
    )
    joined = ("2026-02-01", facts.PartyJoined(institution="agglo"))
    line = the(calendar(BEFORE, PLAN, *left, joined, on=IN_MAY, opening=UNSIGNED), "a2")
    assert [block.unblocked_by for block in line.blocked_by] == [("ville", "mjc")]
    half = (*UNSIGNED, signed("ville", "maire", "2025-12-15"))
    [block] = the(calendar(BEFORE, PLAN, on=IN_MAY, opening=half), "a2").blocked_by
    assert (block.what, block.unblocked_by) == ("signature de la convention", ("mjc",))
    undated = (*UNSIGNED, signed("ville", "maire", "XXXX"), signed("mjc", "president", "XXXX"))
    [block] = the(calendar(BEFORE, PLAN, on=IN_MAY, opening=undated), "a2").blocked_by
    assert (block.what, block.unblocked_by) == (
        "signatures de la convention, dont la date n’est pas connue",
        ("ville", "mjc"),
    )
    assert the(calendar(BEFORE, PLAN, on=IN_MAY), "a2").blocked_by == ()


def test_where_no_clause_says_how_long_it_lasts_the_plan_itself_waits_for_the_signatures() -> None:
    told = calendar(BEFORE, clause(plan(exercices=(2026,))), on=IN_MAY, opening=(OPENED, VILLE, MJC))
    assert the(told, "a2").blocked_by == (
        Block("signature", "signature de la convention", "7.1", ("ville", "mjc")),
    )


def test_what_nobody_opened_is_no_mere_promise() -> None:
    line = the(calendar(BEFORE, PLAN, on=IN_MAY, opening=(VILLE, MJC, TERM)), "a2")
    assert (line.binding, line.state, line.notes) == (True, "due", ())


@pytest.mark.parametrize(
    "requires, holder, concerned",
    [
        ("deliberation", "ville", True),
        ("deliberation", "mjc", True),
        ("deliberation", "caf", False),
        ("instrument", "mjc", True),
        ("instrument", "caf", False),
        ("documents", "mjc", True),
        ("documents", "ville", False),
        ("agrement", "mjc", True),
        ("agrement", "ville", False),
    ],
)
def test_a_condition_concerns_who_pays_and_who_is_paid_and_a_paper_who_is_paid(
    requires: Any, holder: str, *, concerned: bool
) -> None:
    term = Condition(of="payments", requires=requires, holder=holder, words="condition")
    line = the(calendar(BEFORE, PLAN, clause(term, "4"), on=IN_MAY), "a2")
    assert line.conditions == ((f"condition (art.{NBSP}4)",) if concerned else ())


def test_what_is_signed_is_paid_once_it_is_in_force() -> None:
    assert the(calendar(BEFORE, PLAN, on="2025-12-20"), "a1").blocked_by == (
        Block("entry-into-force", "entrée en vigueur de la convention le 1er janvier 2026", "10", ()),
    )
    assert the(calendar(BEFORE, PLAN, on="2026-01-01"), "a1").blocked_by == ()


def test_a_reserve_within_the_article_of_a_plan_is_of_that_plan_alone() -> None:
    own = clause(plan(exercices=(2026,)), "7.2, al. 2")
    reserve = Condition(of="payments", requires="instrument", holder="ville", words="entrée en vigueur")
    told = calendar(
        BEFORE, PLAN, own, clause(reserve, "7.2, al. 2, réserve"), on="2025-12-20", opening=UNSIGNED
    )
    assert the(told, "a1").conditions == (f"entrée en vigueur (art.{NBSP}7.2, al. 2, réserve)",)
    assert [block.article for block in the(told, "a1").blocked_by] == ["7.2, al. 2, réserve"]
    assert the(told, "a1", 2027).conditions == ()


def test_a_condition_on_a_deliberation_blocks_until_it_is_adopted() -> None:
    term = Condition(of="payments", requires="deliberation", holder="ville", words="délibération de la Ville")
    wanted = clause(term, "7")
    adopted = ("2026-05-05", facts.DeliberationAdopted(institution="ville", organ="CM", key="k", about="a"))
    line = the(calendar(BEFORE, PLAN, wanted, on=IN_MAY), "a2")
    assert line.blocked_by == (
        Block("condition", "délibération de la Ville", "7", ("ville",), (len(SIGNED) + 3,)),
    )
    rejected = ("2026-05-05", msgspec.structs.replace(adopted[1], outcome="rejected"))
    assert the(calendar(BEFORE, PLAN, wanted, rejected, on=IN_MAY), "a2").blocked_by != ()
    assert the(calendar(BEFORE, PLAN, wanted, adopted, on=IN_MAY), "a2").blocked_by == ()
    assert the(calendar(BEFORE, PLAN, wanted, adopted, on="2026-05-04"), "a2").blocked_by != ()


def suspended(on: str, key: str = "s-1", by: str = "ville") -> Line:
    return on, facts.PaymentsSuspended(key=key, by=by, decided_by="la Maire", reason="comptes attendus")


def test_a_suspension_is_a_decision_beside_what_is_computed() -> None:
    lifted = ("2026-05-20", facts.SuspensionLifted(key="s-1", by="ville", decided_by="la Maire", reason="r"))
    lines = (BEFORE, GATED, OWED, suspended("2026-05-04"), lifted)
    line = the(calendar(*lines, on=IN_MAY), "a2")
    assert (line.state, line.suspended_by) == ("suspended", ("s-1",))
    assert [block.kind for block in line.blocked_by] == ["document"]
    assert the(calendar(*lines, on="2026-05-20"), "a2").state == "blocked"
    assert the(calendar(*lines, on="2026-05-03"), "a2").suspended_by == ()
    # It is the payer's to suspend.
    assert the(calendar(BEFORE, PLAN, suspended("2026-05-04", by="mjc"), on=IN_MAY), "a2").suspended_by == ()


def test_a_decision_without_a_day_is_told_and_not_counted() -> None:
    line = the(calendar(BEFORE, PLAN, suspended("XXXX"), on=IN_MAY), "a2")
    assert (line.state, line.suspended_by) == ("due", ())
    assert line.notes == ("suspension de date inconnue, non comptée",)
    lifted = ("XXXX", facts.SuspensionLifted(key="s-1", by="ville", decided_by="la Maire", reason="r"))
    line = the(calendar(BEFORE, PLAN, suspended("2026-05-04"), lifted, on=IN_MAY), "a2")
    assert (line.state, line.notes) == ("suspended", ("levée de date inconnue, non comptée",))


def test_a_refusal_is_told_beside_the_vote_that_is_missing() -> None:
    refusal = (
        "2026-03-02",
        facts.SubsidyRefused(payer="ville", beneficiary="mjc", exercice=2026, reason="r"),
    )
    [block] = the(calendar(BEFORE, PLAN, refusal, on=IN_MAY), "solde").blocked_by
    assert (block.what, block.positions) == (
        "vote de la subvention 2026, refusée le 2 mars 2026",
        (len(SIGNED) + 3,),
    )
    assert the(calendar(BEFORE, PLAN, refusal, voted(1_00), on=IN_MAY), "solde").blocked_by == ()


def test_what_is_paid_is_held_back_by_nothing() -> None:
    paid_all = named("a2", 81_000_00, "2026-05-02")
    line = the(calendar(BEFORE, GATED, OWED, paid_all, suspended("2026-05-04"), on=IN_MAY), "a2")
    assert (line.state, line.blocked_by, line.suspended_by) == ("paid", (), ())


def test_what_holds_back_today_is_not_told_of_years_away() -> None:
    told = calendar(BEFORE, GATED, OWED, on=IN_MAY)
    assert [block.kind for block in the(told, "a1", 2027).blocked_by] == ["document"]
    assert the(told, "a1", 2028).blocked_by == ()
    assert the(told, "a1", 2028).conditions == the(told, "a1", 2027).conditions != ()


def test_two_suspensions_and_what_is_not_known_of_a_third_stand_side_by_side() -> None:
    lines = (suspended("2026-05-04"), suspended("2026-05-05", "s-2"), suspended("XXXX", "s-3"))
    line = the(calendar(BEFORE, PLAN, *lines, suspended("XXXX", "s-4"), on=IN_MAY), "a2")
    assert line.suspended_by == ("s-1", "s-2")
    assert line.notes == ("suspension de date inconnue, non comptée",)
    # Who is not the payer suspends nothing, known or not.
    other = calendar(BEFORE, PLAN, suspended("XXXX", by="mjc"), on=IN_MAY)
    assert the(other, "a2").notes == ()


def test_a_derogation_on_the_plan_itself_is_told_and_one_on_another_article_is_not() -> None:
    lines = (BEFORE, GATED, OWED, derogation("2026-04-20", "7.1"), derogation("2026-04-21", "9"))
    line = the(calendar(*lines, on=IN_MAY), "a2")
    assert (line.derogations, len(line.blocked_by)) == ((len(SIGNED) + 4,), 1)
    paid_all = named("a2", 81_000_00, "2026-05-02")
    assert the(calendar(*lines, paid_all, on=IN_MAY), "a2").derogations == (len(SIGNED) + 4,)
    # Several are told in the order they were recorded.
    both = (BEFORE, PLAN, AGREED, derogation("2026-04-22", "3"), derogation("2026-04-21", "7.1"))
    line = the(calendar(*both, on=IN_MAY), "a2")
    assert (line.derogations, line.blocked_by) == ((len(SIGNED) + 4, len(SIGNED) + 5), ())


# -- the end

ENDED: Line = (
    "2026-06-10",
    facts.ResiliationPronounced(by=("ville",), article="11.2", ground="x", takes_effect_on=D("2026-07-01")),
)


def test_nothing_that_opens_after_the_end_is_paid() -> None:
    told = calendar(BEFORE, PLAN, voted(243_000_00), ENDED, on="2026-08-10")
    assert [line.state for line in of_year(told)] == ["overdue", "overdue", "stopped"]
    assert the(told, "solde").blocked_by == (
        Block("ended", "résiliation à compter du 1er juillet 2026", "11.2", (), (len(SIGNED) + 4,)),
    )
    assert the(told, "solde").remaining_cents == 0
    assert the(calendar(BEFORE, PLAN, voted(243_000_00), ENDED, on="2026-06-09"), "solde").state == "to-come"


def test_a_clause_may_interrupt_what_was_due_before_the_end() -> None:
    stops = clause(ReturnOfSums("mjc", "ville", unused=True, undue=True, payments_stop=True), "11")
    lines = (BEFORE, PLAN, stops, voted(243_000_00), ENDED)
    told = calendar(*lines, on="2026-07-01")
    assert {line.state for line in told.instalments} == {"stopped"}
    assert the(told, "a1").blocked_by[0].article == "11"
    assert the(calendar(*lines, on="2026-06-30"), "a1").state == "overdue"


@pytest.mark.parametrize(
    "end, what",
    [
        (facts.InstrumentClosed(), "clôture le 1er juillet 2026"),
        (facts.ResiliationTookEffect(), "résiliation à compter du 1er juillet 2026"),
        (facts.DenunciationTookEffect(by="mjc"), "dénonciation, avec effet le 1er juillet 2026"),
        (facts.PartyWithdrew(party="ville"), "départ le 1er juillet 2026"),
        (
            avenant(1, "2026-07-01", facts.Withdrawal("mjc"))[1],
            "départ le 1er juillet 2026",
        ),
    ],
)
def test_a_party_that_has_left_is_paid_no_more(end: facts.Event, what: str) -> None:
    told = calendar(BEFORE, PLAN, voted(243_000_00), ("2026-07-01", end), on="2026-08-10")
    assert [line.state for line in of_year(told)] == ["overdue", "overdue", "stopped"]
    assert the(told, "solde").blocked_by == (Block("ended", what, "", (), (len(SIGNED) + 4,)),)


@pytest.mark.parametrize(
    "term, end, article",
    [
        # Only a résiliation interrupts, only where the clause says so, and only between those it names.
        (
            ReturnOfSums("mjc", "ville", unused=True, undue=True, payments_stop=True),
            facts.InstrumentClosed(),
            "",
        ),
        (ReturnOfSums("mjc", "ville", unused=True, undue=True), ENDED[1], "11.2"),
        (ReturnOfSums("ville", "mjc", unused=True, undue=True, payments_stop=True), ENDED[1], "11.2"),
    ],
)
def test_nothing_else_interrupts_what_was_due_before_the_end(
    term: ReturnOfSums, end: facts.Event, article: str
) -> None:
    lines = (BEFORE, PLAN, clause(term, "11"), voted(243_000_00), ("2026-07-01", end))
    told = calendar(*lines, on="2026-08-10")
    assert [line.state for line in of_year(told)] == ["overdue", "overdue", "stopped"]
    assert [block.article for block in the(told, "solde").blocked_by] == [article]


def test_a_resiliation_that_took_effect_interrupts_by_the_article_that_says_so() -> None:
    stops = clause(ReturnOfSums("mjc", "ville", unused=True, undue=True, payments_stop=True), "11")
    took = ("2026-07-01", facts.ResiliationTookEffect())
    told = calendar(BEFORE, PLAN, stops, voted(243_000_00), took, on="2026-08-10")
    assert the(told, "a1").blocked_by == (
        Block("ended", "résiliation à compter du 1er juillet 2026", "11", (), (len(SIGNED) + 5,)),
    )


def test_what_has_no_day_is_stopped_from_the_year_after_the_end() -> None:
    lump = clause(LumpSum("ville", "centre", 1_00, 2026), "III")
    told = calendar(lump, ENDED, on="2026-08-10")
    assert [(line.exercice, line.state) for line in told.instalments] == [
        (2026, "without-date"),
        (2027, "stopped"),
        (2028, "stopped"),
        (2029, "stopped"),
    ]


@pytest.mark.parametrize(
    "due, on, ended_on, state",
    [
        # A month is stopped where it opens on the end or after it, a day where it is the end or after it.
        (Due(each_year=EachYear(7)), "2026-07-20", "2026-07-01", "stopped"),
        (Due(each_year=EachYear(7)), "2026-07-20", "2026-07-02", "due"),
        (Due(each_year=EachYear(7, 15)), "2026-07-20", "2026-07-15", "stopped"),
        (Due(each_year=EachYear(7, 15)), "2026-07-20", "2026-07-16", "overdue"),
        # What has no day is of the first of its year.
        (Due(words="sans délai"), "2026-07-20", "2026-01-01", "stopped"),
        (Due(words="sans délai"), "2026-07-20", "2026-01-02", "without-date"),
    ],
)
def test_a_part_is_stopped_where_it_opens_after_the_end(due: Due, on: str, ended_on: str, state: str) -> None:
    lines = (clause(plan(Instalment("x", "x", due, fixed_cents=1))), (ended_on, facts.InstrumentClosed()))
    assert the(calendar(*lines, on=on), "x").state == state


def test_of_two_ends_the_first_is_told() -> None:
    closed = ("2026-07-15", facts.InstrumentClosed())
    told = calendar(BEFORE, PLAN, voted(243_000_00), ENDED, closed, on="2026-08-10")
    assert [block.article for block in the(told, "solde").blocked_by] == ["11.2"]


@pytest.mark.parametrize(
    "end",
    [
        facts.PartyWithdrew(party="caf"),
        facts.DenunciationTookEffect(by="caf"),
        avenant(1, "2026-07-01", facts.Withdrawal("caf"), facts.Prorogation(D("2030-12-31")))[1],
    ],
)
def test_the_leaving_of_another_party_stops_nothing(end: facts.Event) -> None:
    caf = ("2025-12-11", facts.PartyListed(institution="caf"))
    told = calendar(BEFORE, PLAN, caf, voted(243_000_00), ("2026-07-01", end), on="2026-08-10")
    assert the(told, "solde").state == "due"
    then = ("2026-07-02", facts.PartyWithdrew(party="mjc"))
    told = calendar(BEFORE, PLAN, caf, voted(243_000_00), ("2026-07-01", end), then, on="2026-08-10")
    assert the(told, "solde").state == "stopped"


# -- advances

ADVANCE = clause(
    AdvancePlan(
        "ville",
        Share(30, 100, exercice_offset=-1),
        Due(words="au début de l'année"),
        requires_instrument="convention d'objectifs",
    ),
    "3",
)


def asks(on: str, exercice: int = 2026, cents: int | None = None) -> Line:
    return on, facts.SubsidyRequested(
        beneficiary="mjc", payer="ville", exercice=exercice, amount_cents=cents, purpose="avance"
    )


def objectives(*more: Line, ends_on: str = "2027-12-31") -> streams.State:
    opened = facts.InstrumentOpened(
        nature="convention-objectifs", title="CPO", force="engagement-ferme", under="mjc-fictive"
    )
    period = facts.ClauseStated(article="1", about="durée", term=FixedPeriod(D("2025-01-01"), D(ends_on)))
    return after(("2024-12-01", opened), VILLE, MJC, ("2024-12-01", period), *more, stream="convention/cpo")


SIGNED_CPO = (signed("ville", "maire", "2024-12-15"), signed("mjc", "president", "2024-12-18"))


def test_an_advance_is_for_who_asked() -> None:
    told = calendar(ADVANCE, on="2026-01-20")
    assert (told.instalments, told.because) == ((), (f"aucune avance n’est demandée (art.{NBSP}3)",))
    lines = (ADVANCE, asks("2025-10-01", cents=60_000_00))
    cpo = objectives(*SIGNED_CPO, voted(200_000_00, exercice=2025, on="2025-03-01"))
    [line] = calendar(*lines, on="2026-01-20", beside=[cpo]).instalments
    assert (line.kind, line.beneficiary, line.exercice, line.amount_cents) == (
        "advance",
        "mjc",
        2026,
        60_000_00,
    )
    assert line.formula == f"30{NBSP}% × 200{THIN}000,00{NBSP}€ (subvention 2025)"
    assert (line.state, line.due_words, line.blocked_by) == ("without-date", "au début de l'année", ())
    assert line.conditions == (f"sur demande (art.{NBSP}3)", f"convention d'objectifs signée (art.{NBSP}3)")
    assert line.notes == (f"demandée le 1er octobre 2025, pour 60{THIN}000,00{NBSP}€",)
    assert calendar(*lines, on="2025-09-30", beside=[cpo]).instalments == ()


def test_the_line_of_an_advance_says_all_there_is_to_say_of_it() -> None:
    """30 % of 243 000 is 72 900; 80 000 was paid under the name of the advance: 7 100 too much."""
    due = Due(each_year=EachYear(1))
    plan_ = clause(AdvancePlan("ville", Share(30, 100, exercice_offset=-1), due), "3")
    [line] = calendar(
        BEFORE, plan_, asks("2025-10-01"), named("avance", 80_000_00, "2026-01-15"), on="2026-01-20"
    ).instalments
    assert line == InstalmentLine(
        kind="advance",
        payer="ville",
        beneficiary="mjc",
        exercice=2026,
        key="avance",
        label=f"avance de 30{NBSP}%",
        article="3",
        avenant="",
        position=len(SIGNED) + 2,
        state="overpaid",
        opens_on=date(2026, 1, 1),
        due_on=date(2026, 1, 31),
        rules=(UNTIL_RULE,),
        amount_cents=72_900_00,
        formula=f"30{NBSP}% × 243{THIN}000,00{NBSP}€ (subvention 2025)",
        conditions=(f"sur demande (art.{NBSP}3)",),
        paid_cents=80_000_00,
        remaining_cents=0,
        overpaid_cents=7_100_00,
        payments=(len(SIGNED) + 4,),
        notes=("demandée le 1er octobre 2025",),
    )


@pytest.mark.parametrize(
    "request_",
    [
        facts.SubsidyRequested(beneficiary="mjc", payer="ville", exercice=2026),
        facts.SubsidyRequested(beneficiary="mjc", payer="caf", exercice=2026, purpose="avance"),
    ],
)
def test_who_asks_for_a_subsidy_or_somebody_else_asks_for_no_advance(
    request_: facts.SubsidyRequested,
) -> None:
    caf = ("2025-12-11", facts.PartyListed(institution="caf"))
    assert calendar(BEFORE, caf, ADVANCE, ("2025-10-01", request_), on="2026-01-20").instalments == ()


@pytest.mark.parametrize(
    "paid_on, changed_on, cents",
    [
        # 30 % of 243 000 or, once that was changed, of 300 000.
        (None, "2026-01-15", 90_000_00),
        (None, "2026-01-31", 90_000_00),
        (None, "2026-02-01", 72_900_00),
        ("2026-01-10", "2026-01-10", 90_000_00),
        ("2026-01-10", "2026-01-11", 72_900_00),
        # What is paid before its month has come is settled as the month begins.
        ("2025-12-20", "2025-12-28", 90_000_00),
        ("2025-12-20", "2026-01-02", 72_900_00),
    ],
)
def test_an_advance_takes_the_figure_of_the_day_it_was_paid_or_due(
    paid_on: str | None, changed_on: str, cents: int
) -> None:
    term = AdvancePlan("ville", Share(30, 100, exercice_offset=-1), Due(each_year=EachYear(1)))
    payments_ = [paid("avance", 1_00, paid_on)] if paid_on else []
    lines = (BEFORE, clause(term, "3"), asks("2025-10-01"), *payments_, changed(300_000_00, changed_on, 2025))
    [line] = calendar(*lines, on="2026-02-10").instalments
    assert line.amount_cents == cents


def test_an_advance_may_be_due_by_a_delay_from_the_signature() -> None:
    due = Due(delay=Delay(2, "month", "signature", starts_at="signed"))
    term = AdvancePlan("ville", Share(30, 100, exercice_offset=-1), due)
    [line] = calendar(BEFORE, clause(term, "3"), asks("2025-10-01"), on="2026-01-20").instalments
    assert (line.due_on, line.rules) == (date(2026, 2, 18), (MONTHS_RULE,))


def test_what_is_paid_above_an_advance_counts_for_the_parts_of_the_subsidy() -> None:
    """100 000 were paid, 72 900 of them as the advance; a payment that names a part is no advance."""
    lines = (BEFORE, ADVANCE, PLAN, asks("2025-10-01"))
    told = calendar(*lines, paid("un", 100_000_00, "2026-01-15"), on="2026-03-10")
    assert [line.paid_cents for line in of_year(told)] == [27_100_00, 0, 0, 72_900_00]
    told = calendar(*lines, named("a1", 100_000_00, "2026-01-15"), on="2026-03-10")
    assert [line.paid_cents for line in of_year(told)] == [100_000_00, 0, 0, 0]


def test_an_advance_that_nobody_asked_is_said_by_its_article() -> None:
    """The Ville was asked; the CAF, by an article of its own, was not."""
    caf = ("2025-12-11", facts.PartyListed(institution="caf"))
    other = clause(AdvancePlan("caf", Share(1, 2, exercice_offset=-1), Due(words="en janvier")), "4")
    told = calendar(BEFORE, caf, ADVANCE, other, asks("2025-10-01"), on="2026-01-20")
    assert [line.article for line in told.instalments] == ["3"]
    assert told.because == (f"aucune avance n’est demandée (art.{NBSP}4)",)


def test_a_payment_counts_for_one_advance_and_what_is_left_of_it_for_the_next() -> None:
    """Of 100 000, 30 % of 243 000 by one article, and what is left by the other."""
    other = clause(AdvancePlan("ville", Share(1, 2, exercice_offset=-1), Due(words="en février")), "4")
    lines = (BEFORE, ADVANCE, other, asks("2025-10-01"), paid("un", 100_000_00, "2026-01-15"))
    told = calendar(*lines, on="2026-03-10")
    assert [(line.article, line.paid_cents) for line in told.instalments] == [
        ("3", 72_900_00),
        ("4", 27_100_00),
    ]


def test_a_suspension_of_the_payer_holds_an_advance_back() -> None:
    lines = (BEFORE, ADVANCE, asks("2025-10-01"))
    cpo = [objectives(*SIGNED_CPO)]
    [line] = calendar(*lines, suspended("2026-01-10"), on="2026-01-20", beside=cpo).instalments
    assert (line.state, line.suspended_by) == ("suspended", ("s-1",))


def test_an_avenant_of_an_advance_is_told_on_its_line() -> None:
    term = AdvancePlan("ville", Share(50, 100, exercice_offset=-1), Due(words="en janvier"))
    change = avenant(1, "2026-01-05", facts.ClauseChanged("3", "avance", term))
    [line] = calendar(BEFORE, ADVANCE, change, asks("2025-10-01"), on="2026-01-20").instalments
    assert (line.avenant, line.amount_cents, line.position) == ("1", 121_500_00, len(SIGNED) + 3)


def test_a_convention_prolonged_by_an_avenant_still_serves_an_advance() -> None:
    longer = avenant(1, "2025-11-01", facts.Prorogation(D("2027-12-31")))
    cpo = [objectives(*SIGNED_CPO, longer, ends_on="2025-12-31")]
    [line] = calendar(BEFORE, ADVANCE, asks("2025-10-01"), on="2026-01-20", beside=cpo).instalments
    assert line.blocked_by == ()


@pytest.mark.parametrize(
    "lifts",
    [
        derogation("2026-01-10", "3", to="ville"),
        derogation("2026-01-10", "3", until="2026-01-19"),
        derogation("2026-01-10", "4"),
    ],
)
def test_a_derogation_of_another_time_article_or_party_lifts_nothing_of_an_advance(lifts: Line) -> None:
    lines = (BEFORE, ADVANCE, asks("2025-10-01"), lifts)
    [line] = calendar(*lines, on="2026-01-20").instalments
    assert [block.kind for block in line.blocked_by] == ["instrument"]
    assert line.derogations == ()


@pytest.mark.parametrize(
    "beside",
    [
        [],
        [objectives()],
        [objectives(SIGNED_CPO[0])],
        [objectives(SIGNED_CPO[1])],
        [objectives(*SIGNED_CPO, ends_on="2025-12-31")],
        [after(VILLE, MJC, *SIGNED_CPO, stream="convention/cpo")],
    ],
)
def test_an_advance_waits_for_a_convention_that_both_have_signed(beside: list[streams.State]) -> None:
    lines = (ADVANCE, asks("2025-10-01"), voted(100_00, exercice=2025, on="2025-12-20"))
    [line] = calendar(*lines, on="2026-01-20", beside=beside).instalments
    assert line.state == "blocked"
    assert line.blocked_by == (
        Block(
            "instrument",
            "convention d'objectifs : aucune n’est signée entre les deux au registre",
            "3",
            ("ville", "mjc"),
        ),
    )
    [line] = calendar(*lines, derogation("2026-01-10", "3"), on="2026-01-20", beside=beside).instalments
    assert (line.blocked_by, line.state, line.derogations) == ((), "without-date", (len(SIGNED) + 4,))


def test_a_request_without_a_day_leaves_it_open_whether_it_was_made() -> None:
    [line] = calendar(ADVANCE, asks("XXXX"), on="2026-01-20").instalments
    request_, instrument = line.blocked_by
    assert request_ == Block(
        "request", "demande d’avance, dont la date n’est pas connue", "3", ("mjc",), (len(SIGNED) + 2,)
    )
    assert instrument.kind == "instrument"
    assert line.because == ("la subvention 2025 n’est pas connue",)


def test_an_advance_set_off_counts_for_the_subsidy_and_is_paid_once() -> None:
    cpo = objectives(*SIGNED_CPO)
    lines = (
        ADVANCE,
        PLAN,
        BEFORE,
        asks("2025-10-01"),
        paid("avance", 72_900_00, "2026-01-15"),
        voted(243_000_00),
    )
    off = (
        "2026-03-25",
        facts.AdvanceSetOff(payer="ville", payment="avance", exercice=2026, amount_cents=72_900_00),
    )
    before = calendar(*lines, on="2026-03-24", beside=[cpo])
    assert (the(before, "avance").state, the(before, "avance").paid_cents) == ("paid", 72_900_00)
    assert the(before, "avance").set_off_cents == 0
    assert the(before, "a1").paid_cents == 0
    told = calendar(*lines, off, on="2026-03-25", beside=[cpo])
    assert (the(told, "avance").paid_cents, the(told, "avance").set_off_cents) == (72_900_00, 72_900_00)
    first = the(told, "a1")
    assert (first.paid_cents, first.set_off_cents, first.remaining_cents) == (0, 72_900_00, 8_100_00)
    summed = the_sum(told)
    assert (summed.paid_cents, summed.set_off_cents) == (0, 72_900_00)


def test_what_was_set_off_is_no_payment_where_no_clause_makes_it_an_advance() -> None:
    off = facts.AdvanceSetOff(payer="ville", payment="avance", exercice=2026, amount_cents=20_000_00)
    lines = (BEFORE, PLAN, paid("avance", 20_000_00, "2026-01-15"), ("2026-03-25", off))
    first = the(calendar(*lines, on=IN_MAY), "a1")
    assert (first.paid_cents, first.set_off_cents, first.remaining_cents) == (0, 20_000_00, 61_000_00)
    first = the(calendar(*lines, on="2026-03-24"), "a1")
    assert (first.paid_cents, first.set_off_cents, first.remaining_cents) == (20_000_00, 0, 61_000_00)


def test_an_advance_may_be_set_off_in_several_times_and_years() -> None:
    lines = (ADVANCE, PLAN, BEFORE, asks("2025-10-01"), paid("avance", 72_900_00, "2026-01-15"))
    offs = [
        (on, facts.AdvanceSetOff(payer="ville", payment="avance", exercice=year, amount_cents=cents))
        for on, year, cents in (
            ("2026-03-25", 2026, 40_000_00),
            ("2026-04-25", 2026, 20_000_00),
            ("2026-05-01", 2027, 12_900_00),
            ("XXXX", 2026, 1_00),
        )
    ]
    told = calendar(*lines, voted(243_000_00), *offs, on=IN_MAY, beside=[objectives(*SIGNED_CPO)])
    assert (the(told, "avance").paid_cents, the(told, "avance").set_off_cents) == (72_900_00, 72_900_00)
    assert [line.set_off_cents for line in of_year(told) if line.kind == "instalment"] == [60_000_00, 0, 0]
    assert the(told, "a1").payments == (len(SIGNED) + 7, len(SIGNED) + 8)
    assert (the_sum(told).set_off_cents, the_sum(told, 2027).set_off_cents) == (60_000_00, 12_900_00)


def test_a_condition_within_the_article_of_an_advance_or_a_lump_sum_is_of_it_alone() -> None:
    term = Condition(of="payments", requires="deliberation", holder="ville", words="délibération")
    lines = (BEFORE, PLAN, ADVANCE, clause(FLAT, "III"), asks("2025-10-01"))
    told = calendar(*lines, clause(term, "3, al. 2"), clause(term, "III, al. 2"), on="2026-01-20")
    assert [
        (line.kind, [words for words in line.conditions if words.startswith("délib")])
        for line in (the(told, "a1"), the(told, "avance"), the(told, "forfait"))
    ] == [
        ("instalment", []),
        ("advance", [f"délibération (art.{NBSP}3, al. 2)"]),
        ("lump-sum", ["délibération (III, al. 2)"]),
    ]


# -- lump sums


def test_a_lump_sum_is_told_in_words_where_nobody_is_named() -> None:
    lump = clause(LumpSum("ville", "centre social", 10_000_00, 2027, "bilan annuel"), "III")
    told = calendar(lump, on="2027-03-01")
    assert [(line.exercice, line.key, line.beneficiary) for line in told.instalments] == [
        (year, "forfait", "") for year in (2027, 2028, 2029)
    ]
    line = told.instalments[0]
    assert (line.amount_cents, line.label, line.conditions) == (
        10_000_00,
        "forfait par centre social",
        ("bilan annuel",),
    )
    assert line.notes == ("le texte ne nomme pas les bénéficiaires",)
    [block] = line.blocked_by
    assert (block.kind, block.what, block.unblocked_by, line.state) == (
        "condition",
        "bilan annuel",
        (),
        "blocked",
    )


def test_a_lump_sum_is_paid_once_its_document_came() -> None:
    lump = clause(LumpSum("ville", "centre social", 10_000_00, 2026, "bilan annuel", "bilan"), "III")
    named_one = (
        "2026-01-05",
        facts.SubsidyPledged(
            payer="ville", to="mjc", exercice=2026, amount_cents=10_000_00, beneficiary="mjc"
        ),
    )
    lines = (lump, named_one)
    [line] = of_year(calendar(*lines, on=IN_MAY))
    assert (line.beneficiary, line.blocked_by[0].unblocked_by) == ("mjc", ("mjc",))
    came = received("2026-04-01", "bilan")
    assert of_year(calendar(*lines, came, on=IN_MAY))[0].state == "without-date"
    assert of_year(calendar(*lines, received("2026-04-01", "bilan", 2025), on=IN_MAY))[0].state == "blocked"
    [line] = of_year(calendar(*lines, came, paid("p", 10_000_00, "2026-05-02"), on=IN_MAY))
    assert (line.state, line.paid_cents) == ("paid", 10_000_00)
    # What is paid under another name, or set off, is for something else.
    [line] = of_year(calendar(*lines, came, named("autre", 10_000_00, "2026-05-02"), on=IN_MAY))
    assert line.paid_cents == 0
    off = facts.AdvanceSetOff(payer="ville", payment="p", exercice=2026, amount_cents=1_00)
    earlier = paid("p", 10_000_00, "2025-12-20", 2025)
    [line] = of_year(calendar(*lines, came, earlier, ("2026-05-03", off), on=IN_MAY))
    assert (line.paid_cents, line.set_off_cents) == (0, 0)

    # It takes no more than it comes to: what is above it is for the exercice's other lines.
    told = calendar(*lines, came, paid("p", 10_001_00, "2026-05-02"), on=IN_MAY)
    assert (of_year(told)[0].paid_cents, of_year(told)[0].overpaid_cents) == (10_000_00, 0)
    assert told.because == (f"1,00{NBSP}€ versés pour l’exercice 2026, qui n’a pas d’échéancier ici",)


FLAT = LumpSum("ville", "centre social", 10_000_00, 2026, "bilan annuel", "bilan")


def named_by_a_vote(exercice: int = 2026, cents: int = 10_000_00) -> Line:
    return voted(cents, exercice, "2026-01-05")


def test_the_line_of_a_lump_sum_says_all_there_is_to_say_of_it() -> None:
    lines = (clause(FLAT, "III"), named_by_a_vote(), named("forfait", 10_000_50, "2026-05-02"))
    [line] = of_year(calendar(*lines, on=IN_MAY))
    assert line == InstalmentLine(
        kind="lump-sum",
        payer="ville",
        beneficiary="mjc",
        exercice=2026,
        key="forfait",
        label="forfait par centre social",
        article="III",
        avenant="",
        position=len(SIGNED) + 1,
        state="overpaid",
        due_words="dans l’année, une fois la condition remplie",
        amount_cents=10_000_00,
        formula=f"10{THIN}000,00{NBSP}€ (montant fixé par le texte, par centre social)",
        conditions=("bilan annuel",),
        paid_cents=10_000_50,
        remaining_cents=0,
        overpaid_cents=50,
        payments=(len(SIGNED) + 3,),
    )


def test_a_payment_counts_for_one_lump_sum_and_what_is_left_of_it_for_the_next() -> None:
    """The second has a name of its own, by which it can be paid."""
    second = LumpSum("ville", "projet", 5_000_00, 2026)
    lines = (clause(FLAT, "III"), clause(second, "IV"), named_by_a_vote(), named_by_a_vote(cents=5_000_00))
    told = calendar(*lines, paid("un", 12_000_00, "2026-05-02"), on=IN_MAY)
    assert [(line.key, line.paid_cents) for line in of_year(told)] == [
        ("forfait", 10_000_00),
        ("forfait-2", 2_000_00),
    ]
    told = calendar(*lines, named("forfait-2", 3_000_00, "2026-05-02"), on=IN_MAY)
    assert [line.paid_cents for line in of_year(told)] == [0, 3_000_00]


def test_a_lump_sum_without_a_condition_is_to_be_paid_within_the_year() -> None:
    change = avenant(
        1, "2026-02-01", facts.ClauseChanged("III", "forfait", LumpSum("ville", "centre", 1_00, 2026))
    )
    line = of_year(calendar(clause(FLAT, "III"), change, on=IN_MAY))[0]
    assert (line.due_words, line.avenant, line.conditions, line.state) == (
        "dans l’année",
        "1",
        (),
        "without-date",
    )


def test_a_lump_sum_is_for_whom_a_vote_of_the_very_amount_names() -> None:
    told = calendar(clause(FLAT, "III"), named_by_a_vote(), named_by_a_vote(2027, 9_000_00), on=IN_MAY)
    assert [(line.exercice, line.beneficiary) for line in told.instalments] == [
        (2026, "mjc"),
        (2027, ""),
        (2028, ""),
        (2029, ""),
    ]


def test_a_lump_sum_of_a_term_that_is_not_known_says_so() -> None:
    endless = (*SIGNED[:3], *SIGNED[4:], clause(NoPeriod(), "10"))
    told = calendar(clause(FLAT, "III"), on=IN_MAY, opening=endless)
    [line] = told.instalments
    assert (line.exercice, line.because) == (2026, ("on ne sait pas jusqu’à quel exercice",))
    assert told.because == ("le terme de la convention n’est pas connu : ses exercices ne peuvent être dits",)
    assert {line.because for line in calendar(clause(FLAT, "III"), on=IN_MAY).instalments} == {()}


def test_the_condition_of_a_lump_sum_blocks_it_by_its_article_until_it_is_met_or_lifted() -> None:
    lines = (clause(FLAT, "III"), named_by_a_vote())
    asked = Block("condition", "bilan annuel", "III", ("mjc",))
    assert of_year(calendar(*lines, on=IN_MAY))[0].blocked_by == (asked,)
    # A document of somebody else meets nothing; where nobody is named, whoever sends it does.
    other = (
        "2026-04-01",
        facts.DocumentReceived(
            sent_by="ville", received_by="ville", document="bilan", what="bilan", exercice=2026
        ),
    )
    assert of_year(calendar(*lines, other, on=IN_MAY))[0].blocked_by == (asked,)
    assert of_year(calendar(lines[0], other, on=IN_MAY))[0].blocked_by == ()
    [line] = of_year(calendar(*lines, derogation("2026-05-01", "III"), on=IN_MAY))
    assert (line.blocked_by, line.derogations) == ((), (len(SIGNED) + 3,))


def test_a_lump_sum_is_held_back_by_its_payer_and_not_told_why_years_ahead() -> None:
    told = calendar(clause(LumpSum("ville", "centre", 1_00, 2026), "III"), suspended("2026-05-04"), on=IN_MAY)
    assert {line.suspended_by for line in told.instalments} == {("s-1",)}
    told = calendar(clause(LumpSum("ville", "centre", 1_00, 2026), "III"), on=IN_MAY, opening=UNSIGNED)
    assert [[block.kind for block in line.blocked_by] for line in told.instalments] == [
        ["signature"],
        ["signature"],
        [],
        [],
    ]


# -- the real papers


def dossier(name: str, stream: str, *more: Line, on: str) -> Calendar:
    """The calendar of a convention of a real dossier, beside the dossier's other streams."""
    told: dict[str, list[Line]] = {stream: list(more)}
    for where, fact, read in decoded(name):
        told.setdefault(where, []).append((str(fact["effective_on"]), read, None))
    states = {where: after(*lines, stream=where) for where, lines in told.items()}
    beside = [state for where, state in states.items() if where != stream]
    return schedule.of(known.of(convention_of(states[stream]), date.fromisoformat(on), beside))


def convention_of(state: Any) -> Any:
    return state


MJC_STREAM = "convention/mjc-clairs-soleils-2026"


def test_the_real_convention_pays_81_000_euros_in_january_2026_and_says_what_it_lacks() -> None:
    told = dossier(MJC_DOSSIER, MJC_STREAM, on="2026-01-15")
    assert len(told.instalments) == 15
    first, second, last = of_year(told)
    assert (first.article, first.amount_cents, first.due_on) == ("7.2, al. 2", 81_000_00, date(2026, 1, 31))
    assert first.conditions == (
        f"agrément Centre social délivré par la CAF du Doubs (art.{NBSP}3, al. 1)",
        f"documents des articles 6.2 à 6.4, dans les délais impartis (art.{NBSP}7.1, al. 5)",
        f"entrée en vigueur de la convention-cadre (1er acompte 2026) (art.{NBSP}7.2, al. 2, réserve)",
    )
    assert {block.kind for block in first.blocked_by} == {"agrement", "signature", "document"}
    assert second.because == ("la subvention 2025 n’est pas connue",)
    assert last.because[0] == "la subvention 2026 n’est pas votée"
    assert {line.article for line in of_year(told, 2027)} == {"7.1, al. 4"}


def test_the_real_convention_follows_reading_a_and_records_reading_b() -> None:
    votes: list[Line] = [
        (
            f"{year}-03-20",
            facts.SubsidyVoted(
                payer="ville-besancon", beneficiary="mjc-clairs-soleils", exercice=year, amount_cents=cents
            ),
        )
        for year, cents in ((2025, 243_000_00), (2026, 243_000_00), (2027, 250_000_00))
    ]
    told = dossier(MJC_DOSSIER, MJC_STREAM, *votes, on="2027-12-31")
    assert amounts_of(told) == [81_000_00, 81_000_00, 81_000_00]
    assert amounts_of(told, 2027) == [81_000_00, 84_500_00, 84_500_00]
    other = the(told, "acompte-2").other_reading
    assert other is not None
    assert other.endswith(f"= 40{THIN}500,00{NBSP}€ (s2-f, non retenue)")


def test_the_real_pacte_advances_thirty_per_cent_to_each_centre_that_asks() -> None:
    stream = "convention/pacte-chambery-2023"
    assert dossier(PACTE, stream, on="2024-01-15") == Calendar(
        because=(f"aucune avance n’est demandée (art.{NBSP}3, thème 2, avance)",)
    )
    asked: list[Line] = [
        (
            "2023-11-02",
            facts.SubsidyRequested(
                beneficiary=centre, payer="ville-chambery", exercice=2024, purpose="avance"
            ),
        )
        for centre in ("csa-biollay", "csc-moulins")
    ]
    lines = dossier(PACTE, stream, *asked, on="2024-01-15").instalments
    assert [line.beneficiary for line in lines] == ["csa-biollay", "csc-moulins"]
    for line in lines:
        assert line.because == ("la subvention 2023 n’est pas connue",)
        assert [block.kind for block in line.blocked_by] == ["instrument", "signature"]


def test_the_real_note_of_the_carsat_promises_and_binds_nobody() -> None:
    lines = dossier(CARSAT, "convention/carsat-sud-est-2014", on="2015-06-30").instalments
    assert [(line.exercice, line.amount_cents) for line in lines] == [(2015, 5_000_00), (2015, 10_000_00)]
    for line in lines:
        assert not line.binding
        assert line.state == "promised"
        assert line.notes == (
            "promesse : elle n’engage personne",
            "le texte ne nomme pas les bénéficiaires",
        )
        assert line.conditions == ("bilan annuel des actions (circulaire CNAV du 22 avril 2011)",)
        assert line.remaining_cents is None


# -- whatever happens

TIMES = st.dates(date(2025, 12, 1), date(2028, 3, 1))
CENTS = st.integers(1, 400_000_00)
YEARS = st.sampled_from((2025, 2026, 2027))
KEYS = st.none() | st.sampled_from(("a1", "a2", "solde", "autre"))


@st.composite
def lives(draw: st.DrawFn) -> list[Line]:
    """Facts of any kind that a calendar looks at, of three years, in any order."""
    kinds = draw(st.lists(st.sampled_from(sorted(HAPPENINGS)), max_size=14))
    lines: list[Line] = []
    for place, kind in enumerate(kinds):
        day = draw(TIMES).isoformat()
        lines.append((day, HAPPENINGS[kind](place, draw(CENTS), draw(YEARS), draw(KEYS)), None))
    return lines


HAPPENINGS: dict[str, Any] = {
    "vote": lambda _, cents, year, __: facts.SubsidyVoted(
        payer="ville", beneficiary="mjc", exercice=year, amount_cents=cents
    ),
    "change": lambda _, cents, year, __: facts.SubsidyChanged(
        payer="ville", beneficiary="mjc", exercice=year, amount_cents=cents, reason="r"
    ),
    "payment": lambda place, cents, year, key: facts.PaymentMade(
        payer="ville",
        beneficiary="mjc",
        key=f"p-{place}",
        exercice=year,
        amount_cents=cents,
        instalment=key,
    ),
    "rejection": lambda place, *_: facts.PaymentRejected(
        payer="ville", payment=f"p-{place - 1}", reason="RIB"
    ),
    "set-off": lambda place, cents, year, _: facts.AdvanceSetOff(
        payer="ville", payment=f"p-{place - 1}", exercice=year, amount_cents=cents
    ),
    "request": lambda _, cents, year, __: facts.SubsidyRequested(
        payer="ville", beneficiary="mjc", exercice=year, amount_cents=cents, purpose="avance"
    ),
    "suspension": lambda place, *_: facts.PaymentsSuspended(
        key=f"s-{place}", by="ville", decided_by="m", reason="r"
    ),
    "derogation": lambda *_: facts.DerogationGranted(
        by="ville", to="mjc", article="6.3", decided_by="m", reason="r"
    ),
    "document": lambda _, __, year, ___: facts.DocumentReceived(
        sent_by="mjc", received_by="ville", document="rapport", what="rapport", exercice=year
    ),
    "refusal": lambda _, __, year, ___: facts.DocumentRefused(
        by="ville", sent_by="mjc", document="rapport", reason="r", exercice=year
    ),
    "restitution": lambda _, cents, year, __: facts.RestitutionReceived(
        payer="ville", beneficiary="mjc", exercice=year, amount_cents=cents
    ),
    "résiliation": lambda *_: facts.ResiliationPronounced(
        by=("ville",), article="11", ground="x", takes_effect_on=D("2028-06-01")
    ),
    "departure": lambda *_: facts.PartyWithdrew(party="mjc"),
    "avenant": lambda place, cents, year, _: facts.AvenantConcluded(
        number=str(place),
        binds=("ville", "mjc"),
        rationale="r",
        changes=(
            facts.SubsidySet("ville", "mjc", year, cents),
            facts.ClauseChanged("7.1", "versement", plan(FIRST, LAST)),
            facts.Prorogation(D("2030-12-31")),
        ),
    ),
    "closing": lambda *_: facts.InstrumentClosed(),
}
TERMS = (GATED, OWED, ADVANCE, AGREED)


def told_of(lines: Iterable[Line], on: date) -> Calendar:
    return schedule.of(known.of(state_of(*SIGNED, *TERMS, *lines), on, [agrement()]))


encode = msgspec.json.Encoder(enc_hook=dates.encode).encode


@examples(lives(), DAYS)
def test_computing_twice_gives_the_same_bytes(lines: list[Line], on: date) -> None:
    assert encode(told_of(lines, on)) == encode(told_of(lines, on))


@examples(lives(), TIMES)
def test_what_is_to_come_changes_no_calendar_of_today(lines: list[Line], on: date) -> None:
    come = [line for line in lines if D(line[0]).reached(on)]
    to_come = [line for line in lines if not D(line[0]).reached(on)]
    assert told_of([*come, *to_come], on) == told_of(come, on)


@examples(lives(), TIMES)
def test_the_parts_sum_to_the_subsidy_or_the_difference_is_shown(lines: list[Line], on: date) -> None:
    told = told_of(lines, on)
    for summed in told.exercices:
        parts = [line for line in of_year(told, summed.exercice) if line.kind == "instalment"]
        known_ones = [line.amount_cents for line in parts if line.amount_cents is not None]
        assert summed.paid_cents == sum(line.paid_cents for line in parts)
        assert summed.set_off_cents == sum(line.set_off_cents for line in parts)
        if len(known_ones) == len(parts):
            # Both plans end with what remains.
            assert summed.instalments_cents == sum(known_ones) == summed.voted_cents
            assert summed.difference_cents == 0
        else:
            assert (summed.instalments_cents, summed.difference_cents) == (None, None)


@examples(lives(), TIMES)
def test_what_remains_is_what_the_vote_leaves_and_never_more(lines: list[Line], on: date) -> None:
    told = told_of(lines, on)
    for summed in told.exercices:
        parts = [line for line in of_year(told, summed.exercice) if line.kind == "instalment"]
        if summed.instalments_cents is None or any(line.state == "stopped" for line in parts):
            continue
        assert summed.voted_cents is not None
        left = summed.voted_cents - summed.paid_cents - summed.set_off_cents
        assert sum(line.remaining_cents or 0 for line in parts) == max(0, left)
        assert summed.overpaid_cents == max(0, -left)


@examples(lives(), TIMES)
def test_every_cent_that_was_paid_counts_once(lines: list[Line], on: date) -> None:
    """As many as the facts say, by a sum of their own; an advance that was set off counts where it was."""
    told = told_of(lines, on)
    come = [fact for day, fact, *_ in lines if D(day).reached(on)]
    back = {fact.payment for fact in come if isinstance(fact, facts.PaymentRejected)}
    made = {fact.key: fact for fact in come if isinstance(fact, facts.PaymentMade)}
    offs = [fact for fact in come if isinstance(fact, facts.AdvanceSetOff) and fact.payment in made]
    spent = {fact.payment for fact in offs}
    for year in {line.exercice for line in told.exercices}:
        lines_ = of_year(told, year)
        asked = any(line.kind == "advance" for line in lines_)
        counted = sum(
            fact.amount_cents
            for key, fact in made.items()
            if fact.exercice == year and key not in back and (asked or key not in spent)
        )
        assert sum(line.paid_cents for line in lines_) == counted
        offset = sum(fact.amount_cents for fact in offs if fact.exercice == year)
        assert sum(line.set_off_cents for line in lines_ if line.kind == "instalment") == offset


POSITIONS = {"position", "positions", "payments", "derogations"}


def timeless(one: Any) -> Any:
    """A calendar without the places of recording, which the order of arrival decides."""
    if isinstance(one, dict):
        return {name: timeless(value) for name, value in one.items() if name not in POSITIONS}
    return [timeless(value) for value in one] if isinstance(one, list) else one


def test_the_order_of_arrival_changes_no_calendar() -> None:
    lines: list[Line] = [
        BEFORE,
        voted(243_000_00),
        changed(250_000_00, "2026-04-02"),
        named("a1", 81_000_00, "2026-02-10"),
        suspended("2026-05-04"),
    ]
    wanted = timeless(msgspec.json.decode(encode(told_of(lines, date(2026, 5, 10)))))
    for order in itertools.permutations(lines):
        assert timeless(msgspec.json.decode(encode(told_of(order, date(2026, 5, 10))))) == wanted


def test_the_statement_has_the_calendar() -> None:
    lines = (*SIGNED, BEFORE, PLAN, voted(250_000_00))
    told = statement.of(entries(*lines), stream="convention/mjc-fictive", on=date(2026, 5, 10))
    assert isinstance(told, statement.ConventionStatement)
    assert told.calendar == calendar(BEFORE, PLAN, voted(250_000_00), on=IN_MAY)
    assert statement.decode(statement.encode(told)) == told


# -- matching, by itself


def one(cents: int, **more: Any) -> Paid:
    return Paid(1, D("2026-01-01"), cents, **more)


@pytest.mark.parametrize(
    "amount, named_ones, pool, taken, left",
    [
        (10, [], [], [], []),
        (10, [], [10, 5], [10], [5]),
        (10, [], [4, 5, 6], [4, 5, 1], [5]),
        (10, [3], [4, 5], [3, 4, 3], [2]),
        (10, [12], [4], [12], [4]),
        (0, [], [4], [], [4]),
        (-5, [], [4], [], [4]),
        (None, [], [4, 5], [4], [5]),
        (None, [3, 3], [4], [3, 3], [4]),
        (None, [], [], [], []),
    ],
)
def test_payments_are_taken_in_order_until_the_part_is_covered(
    amount: int | None, named_ones: list[int], pool: list[int], taken: list[int], left: list[int]
) -> None:
    got, rest = payments.take(amount, [one(cents) for cents in named_ones], [one(cents) for cents in pool])
    assert [paid_.cents for paid_ in got] == taken
    assert [paid_.cents for paid_ in rest] == left


def test_the_rest_of_a_payment_is_known_as_one() -> None:
    _, rest = payments.take(4, [], [one(10), one(3)])
    assert [(paid_.cents, paid_.rest) for paid_ in rest] == [(6, True), (3, False)]
    left = payments.left_by([one(4)], [one(10), Paid(2, D("2026-01-02"), 3)])
    assert [(paid_.cents, paid_.rest) for paid_ in left] == [(6, True), (3, False)]
    assert payments.left_by([one(10)], [one(10)]) == ()
    assert [paid_.cents for paid_ in payments.left_by([one(9)], [one(10)])] == [1]
