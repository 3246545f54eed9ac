"""What a rule may look at: the facts of the day by kind, and the streams that a convention leans on."""

from datetime import date
from itertools import permutations

import pytest

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.terms import Condition
from services.domain import convention, known, statement
from services.domain.money import MoneyLine
from tests.domain.lives import CONVENTION, OPENED, SIGNED, Line, avenant, entries, given, paid, voted

ON = date(2026, 6, 30)

AIDS = {
    "a vote": (voted(100)[1], (("ville", "mjc"),)),
    "a changed vote": (
        facts.SubsidyChanged(payer="ville", beneficiary="mjc", exercice=2026, amount_cents=1, reason="dm"),
        (("ville", "mjc"),),
    ),
    "a payment": (paid("p", 100, "2026-01-01")[1], (("ville", "mjc"),)),
    "an aid in kind": (
        facts.AidInKindValued(giver="ccas", beneficiary="mjc", exercice=2026, what="local", value_cents=1),
        (("ccas", "mjc"),),
    ),
    "an avenant that sets a subsidy": (
        avenant(1, "2026-01-01", facts.SubsidySet("ville", "mjc", 2026, 100))[1],
        (("ville", "mjc"),),
    ),
    "an avenant that sets none": (
        avenant(1, "2026-01-01", facts.Prorogation(PartialDate("2030-12-31")))[1],
        (),
    ),
    "a promise": (
        facts.SubsidyPledged(payer="ville", to="mjc", exercice=2026, amount_cents=100),
        (),
    ),
    "an order to pay, before it is paid": (
        facts.PaymentOrdered(payer="ville", beneficiary="mjc", number="1", exercice=2026, amount_cents=1),
        (),
    ),
}


@pytest.mark.parametrize("name", AIDS)
def test_who_gives_to_whom_is_read_in_what_is_voted_and_paid(name: str) -> None:
    fact, pairs = AIDS[name]
    assert known.aids(fact) == pairs


def test_a_pair_is_told_once_and_not_by_an_entry_that_was_cancelled() -> None:
    lines = (*SIGNED, voted(100), paid("p", 100, "2026-02-01"))
    assert known.aided(given(*lines)) == (("ville", "mjc"),)
    cancelled: Line = ("2026-03-21", facts.EntryCancelled(entry=7, reason="doublon"), None)
    assert known.aided(given(*SIGNED, voted(100), cancelled)) == ()
    assert known.aided(given(stream="institution/ville")) == ()


def test_a_convention_leans_on_its_parties_their_agrements_and_the_instruments_around_it() -> None:
    opened = facts.InstrumentOpened(
        nature="convention-objectifs", title="x", force="engagement-ferme", under="cadre", succeeds="avant"
    )
    condition = Condition(of="payments", requires="agrement", holder="centre", words="être agréé")
    state = given(
        ("2025-12-11", opened),
        *SIGNED[1:],
        ("2025-12-11", facts.ClauseStated(article="3", about="agrément", term=condition)),
        ("2026-05-01", facts.RenewalDecided(successor="apres")),
    )
    assert isinstance(state, convention.State)
    assert set(known.leans_on(state)) == {
        "agrement/ville",
        "agrement/mjc",
        "agrement/centre",
        "institution/ville",
        "institution/mjc",
        "convention/cadre",
        "convention/avant",
        "convention/apres",
    }
    assert len(known.leans_on(state)) == 8
    assert known.leans_on(convention.initial(CONVENTION)) == ()


def test_the_facts_of_a_kind_are_those_that_came_and_that_may_have() -> None:
    lines = [paid("came", 1, "2026-02-01"), paid("perhaps", 2, "XXXX"), paid("later", 3, "2026-12-01")]
    state = given(*SIGNED, *lines)
    assert isinstance(state, convention.State)
    view = known.of(state, ON)

    def keys(found: object) -> list[str]:
        return [fact.key for _, fact in found]  # type: ignore[attr-defined]

    assert keys(view.come(facts.PaymentMade)) == ["came"]
    assert keys(view.told(facts.PaymentMade)) == ["came", "perhaps"]
    assert list(view.told(facts.MeetingHeld)) == []
    assert view.money == (MoneyLine("ville", "mjc", 2026, paid_cents=1, undetermined=1),)


def test_an_institution_is_called_by_the_name_it_bears_on_the_day() -> None:
    city = given(
        ("1990", facts.InstitutionRegistered(name="Ville", kind="commune")),
        ("2026-06-30", facts.NameChanged(name="Ville nouvelle")),
        stream="institution/ville",
    )
    state = given(*SIGNED)
    assert isinstance(state, convention.State)
    for on, name in ((date(2026, 6, 29), "Ville"), (ON, "Ville nouvelle")):
        assert known.names(known.of(state, on, [city]))["ville"] == name


def test_the_order_in_which_the_others_are_handed_over_makes_no_difference() -> None:
    registered = facts.InstitutionRegistered(name="Ville", kind="commune")
    granted = facts.AgrementGranted(
        services=("AGC",),
        granted_by="caf",
        starts_on=PartialDate("2026-01-01"),
        ends_on=PartialDate("2029-12-31"),
    )
    others = {
        "institution/ville": entries(("XXXX", registered), stream="institution/ville"),
        "agrement/mjc": entries(("2025-12-01", granted), stream="agrement/mjc"),
        "convention/autre": entries(OPENED, stream="convention/autre"),
    }
    made = {
        statement.encode(statement.of(entries(*SIGNED), stream=CONVENTION, on=ON, beside=dict(order)))
        for order in permutations(others.items())
    }
    # The ids of the events are not in a statement; nor is the order of what it leans on.
    assert len(made) == 1
