"""A term that cannot be meant is refused where it is made, so no event ever holds it."""

from collections.abc import Callable
from typing import Any

import pytest

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.terms import (
    AdvancePlan,
    Due,
    EachYear,
    FixedPeriod,
    Instalment,
    InstalmentPlan,
    Meetings,
    OtherReading,
    PeriodOf,
    Share,
)

D = PartialDate
AT_ONCE = Due(words="sans délai")


def instalment(key: str, **kind: Any) -> Instalment:
    return Instalment(key=key, label="acompte", due=AT_ONCE, **kind)


def plan(*instalments: Instalment) -> InstalmentPlan:
    return InstalmentPlan(payer="ville", beneficiary="mjc", instalments=instalments)


def party(*keys: str, quorum: int | None) -> facts.PartyListed:
    return facts.PartyListed(
        institution="mjc",
        signatories=tuple(facts.Signatory(key, "le Président") for key in keys),
        quorum=quorum,
    )


REFUSED: list[tuple[Callable[[], object], str]] = [
    (
        lambda: FixedPeriod(D("2026-01-01"), D("2025-12-31")),
        "the period ends on 2025-12-31, before it starts on 2026-01-01",
    ),
    (lambda: FixedPeriod(D("2026"), D("2025")), "the period ends on 2025, before it starts on 2026"),
    (
        lambda: PeriodOf("COG", D("2026-06"), D("2026-05-31")),
        "the period ends on 2026-05-31, before it starts on 2026-06",
    ),
    (lambda: EachYear(month=2, day=30), "day 30 of month 2 never comes"),
    (lambda: EachYear(month=4, day=31), "day 31 of month 4 never comes"),
    (Due, "exactly one of: on, each_year, delay, words"),
    (lambda: Due(on=D("2026"), words="sans délai"), "exactly one of"),
    (lambda: Share(numerator=3, denominator=2), "a share of 3/2 is more than the whole"),
    (
        lambda: instalment("solde", fixed_cents=1, share=Share(1, 2)),
        "instalment solde: an amount is fixed or a share, not both",
    ),
    (
        lambda: instalment("solde", share=Share(1, 2, minus=("solde",))),
        "instalment solde: its formula refers to itself",
    ),
    (
        lambda: instalment("solde", fallback=Share(1, 2, minus=("solde",))),
        "instalment solde: its formula refers to itself",
    ),
    (lambda: plan(instalment("solde"), instalment("solde")), "two instalments are named solde"),
    (
        lambda: plan(instalment("premier", share=Share(1, 2, minus=("second",))), instalment("second")),
        "instalment premier takes off second, which does not come before it",
    ),
    (
        lambda: instalment("a2", other_reading=OtherReading("lecture B", Share(1, 2, less=("a2",)), "s2-f")),
        "instalment a2: its formula refers to itself",
    ),
    (
        lambda: plan(instalment("premier", share=Share(1, 2, less=("second",))), instalment("second")),
        "instalment premier takes off second, which does not come before it",
    ),
    (
        lambda: plan(instalment("premier", fallback=Share(1, 2, minus=("autre",)))),
        "instalment premier takes off autre, which does not come before it",
    ),
    *(
        (
            lambda share=share: AdvancePlan("ville", share, Due(words="en janvier")),
            "an advance comes before every instalment: its share takes none off",
        )
        for share in (Share(1, 3, minus=("premier",)), Share(1, 3, less=("premier",)))
    ),
    (
        lambda: Meetings(body="comite", label="comité", at_least_per_year=3, at_most_per_year=2),
        "comite meets at most 2 times a year, and at least 3",
    ),
    (lambda: party("a", "a", quorum=None), "two signatories of mjc have one key"),
    (lambda: party("a", "b", quorum=3), "quorum of 3 for mjc, which has 2 signatories"),
    *(
        (
            lambda kind=kind: kind(
                services=("AGC",), granted_by="caf", starts_on=D("2026"), ends_on=D("2025-12-31")
            ),
            "the agrément ends on 2025-12-31, before it starts on 2026",
        )
        for kind in (facts.AgrementGranted, facts.AgrementRenewed)
    ),
    (
        lambda: facts.InsuranceShown(
            party="mjc", cover="locaux", starts_on=D("2026-05"), ends_on=D("2026-04")
        ),
        "the cover ends on 2026-04, before it starts on 2026-05",
    ),
    (
        lambda: facts.ActeTransmitted(institution="ville", deliberation="d", acte="025"),
        "'025' is no ACTES identifier",
    ),
    (
        lambda: facts.ActeReceived(institution="ville", deliberation="d", acte="025"),
        "'025' is no ACTES identifier",
    ),
]


TAKEN: list[Callable[[], object]] = [
    lambda: FixedPeriod(D("2026-01-01"), D("2026-01-01")),
    lambda: FixedPeriod(D("2026-06"), D("2026")),
    lambda: FixedPeriod(D("XXXX"), D("2026")),
    lambda: PeriodOf("COG", D("2026"), D("2026")),
    lambda: PeriodOf("COG", ends_on=D("2026")),
    lambda: EachYear(month=2, day=29),
    lambda: EachYear(month=4),
    lambda: Due(each_year=EachYear(month=4)),
    lambda: Share(2, 2),
    lambda: plan(
        instalment("premier", fixed_cents=1),
        instalment("second", share=Share(1, 2, minus=("premier",)), fallback=Share(1, 3)),
        instalment("solde"),
    ),
    lambda: Meetings(body="comite", label="comité", at_least_per_year=2, at_most_per_year=2),
    lambda: Meetings(body="comite", label="comité", at_least_per_year=2),
    lambda: party("a", "b", quorum=2),
    lambda: party(quorum=2),
    lambda: facts.InsuranceShown(party="mjc", cover="locaux", starts_on=D("2026"), ends_on=D("XXXX")),
    lambda: facts.ActeTransmitted(institution="ville", deliberation="d"),
]


@pytest.mark.parametrize("make, why", REFUSED, ids=[str(index) for index, _ in enumerate(REFUSED)])
def test_what_cannot_be_meant_is_refused(make: Callable[[], object], why: str) -> None:
    with pytest.raises(ValueError) as refused:
        make()
    assert why in str(refused.value)


@pytest.mark.parametrize("make", TAKEN, ids=[str(index) for index, _ in enumerate(TAKEN)])
def test_what_is_just_possible_is_taken(make: Callable[[], object]) -> None:
    assert make() is not None
