"""
What is asked, pledged, voted, committed, ordered, paid and returned: columns never added together.

Pure. Integer cents, by payer, beneficiary and exercice.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

import msgspec

from contracts import events as facts
from contracts.events import Event
from services.domain.book import Held, whether_come
from services.domain.convention import Life


class MoneyLine(msgspec.Struct, frozen=True):
    """
    One payer, one beneficiary, one exercice: integer cents, each column of its own.

    *requested* and *voted* are the last figures, one a purpose and added up, advances
    apart; the others are sums of what came by the day. A rejected payment is not in
    *paid*. *undetermined* counts the facts left out because their date is not known.
    """

    payer: str
    beneficiary: str
    exercice: int
    requested_cents: int = 0
    pledged_cents: int = 0
    voted_cents: int = 0
    committed_cents: int = 0
    ordered_cents: int = 0
    paid_cents: int = 0
    rejected_cents: int = 0
    set_off_cents: int = 0
    overpaid_cents: int = 0
    recovery_ordered_cents: int = 0
    returned_cents: int = 0
    in_kind_cents: int = 0
    refused: bool = False
    undetermined: int = 0


def money(live: Sequence[Held], life: Life, on: date) -> tuple[MoneyLine, ...]:
    """
    The lines by exercice, payer and beneficiary: what of *live*, in order, has come by the day.

    An avenant sets no subsidy while somebody it binds has yet to sign it, as *life* tells.
    """
    lines: dict[tuple[str, str, int], MoneyLine] = {}
    paid = {
        (held.fact.payer, held.fact.key): held for held in live if isinstance(held.fact, facts.PaymentMade)
    }
    figures: dict[tuple[Account, str], dict[str, int]] = {}
    for held in live:
        if type(held.fact) not in _COUNTED:
            continue
        come = whether_come(held.effective_on, on)
        told = [] if come == "no" or _waits(held.fact, life, on) else _figures(held.fact)
        amounts = [] if come == "no" else _amounts(held.fact, paid, on)
        if come == "undetermined":
            for key in dict.fromkeys([key for key, *_ in told] + [key for key, *_ in amounts]):
                line = lines.get(key) or MoneyLine(*key)
                lines[key] = msgspec.structs.replace(line, undetermined=line.undetermined + 1)
        else:
            for key, column, purpose, cents in told:
                by_purpose = figures.setdefault((key, column), {})
                by_purpose[purpose] = cents
                line = lines.get(key) or MoneyLine(*key)
                lines[key] = msgspec.structs.replace(line, **{column: sum(by_purpose.values())})
            for key, column, cents in amounts:
                lines[key] = _entered(lines.get(key) or MoneyLine(*key), column, cents)
    return tuple(lines[key] for key in sorted(lines, key=lambda key: (key[2], key[0], key[1])))


_COUNTED: Final = frozenset(
    {
        facts.SubsidyRequested,
        facts.SubsidyPledged,
        facts.SubsidyVoted,
        facts.SubsidyChanged,
        facts.SubsidyRefused,
        facts.AvenantConcluded,
        facts.FundsCommitted,
        facts.PaymentOrdered,
        facts.PaymentMade,
        facts.PaymentRejected,
        facts.AdvanceSetOff,
        facts.OverpaymentFound,
        facts.RecoveryOrdered,
        facts.RestitutionReceived,
        facts.AidInKindValued,
    }
)
"""The facts that enter a column: those that _figures and _amounts know. Most facts are none of them."""


def _waits(fact: Event, life: Life, on: date) -> bool:
    return isinstance(fact, facts.AvenantConcluded) and bool(life.awaited(fact.number, on))


def _entered(line: MoneyLine, column: str, cents: int) -> MoneyLine:
    if column == "refused":
        return msgspec.structs.replace(line, refused=True)
    return msgspec.structs.replace(line, **{column: getattr(line, column) + cents})


Account = tuple[str, str, int]
Figure = tuple[Account, str, str, int]
_Figured = facts.SubsidyRequested | facts.SubsidyVoted | facts.SubsidyChanged | facts.SubsidySet
Amount = tuple[Account, str, int]


def _figures(fact: Event) -> list[Figure]:
    """
    What was asked or voted: whose line, which column, for which purpose, how many cents.

    A later figure for a purpose stands in place of the earlier one; purposes add up. An
    advance is a part of a subsidy paid early, and no more money: it is in neither column.
    """
    told: list[tuple[_Figured, str, str, int]]
    match fact:
        case facts.SubsidyRequested():
            told = [(fact, "requested_cents", fact.purpose, fact.amount_cents or 0)]
        case facts.SubsidyVoted() | facts.SubsidyChanged():
            told = [(fact, "voted_cents", fact.purpose, fact.amount_cents)]
        case facts.AvenantConcluded():
            told = [
                (change, "voted_cents", "fonctionnement", change.amount_cents)
                for change in fact.changes
                if isinstance(change, facts.SubsidySet)
            ]
        case _:
            told = []
    return [
        ((what.payer, what.beneficiary, what.exercice), column, purpose, cents)
        for what, column, purpose, cents in told
        if purpose != "avance"
    ]


def _amounts(fact: Event, paid: dict[tuple[str, str], Held], on: date) -> list[Amount]:
    """The columns that *fact* enters: whose line, which column, how many cents."""
    match fact:
        case facts.SubsidyPledged():
            whom = fact.beneficiary or fact.to
            return [((fact.payer, whom, fact.exercice), "pledged_cents", fact.amount_cents)]
        case facts.SubsidyRefused():
            return [((fact.payer, fact.beneficiary, fact.exercice), "refused", 0)]
        case facts.FundsCommitted():
            return [((fact.payer, fact.beneficiary, fact.exercice), "committed_cents", fact.amount_cents)]
        case facts.PaymentOrdered():
            return [((fact.payer, fact.beneficiary, fact.exercice), "ordered_cents", fact.amount_cents)]
        case facts.PaymentMade():
            return [((fact.payer, fact.beneficiary, fact.exercice), "paid_cents", fact.amount_cents)]
        case facts.PaymentRejected() | facts.AdvanceSetOff():
            held = paid.get((fact.payer, fact.payment))
            if held is None or not isinstance(held.fact, facts.PaymentMade):
                return []
            made = held.fact
            if isinstance(fact, facts.AdvanceSetOff):
                return [((fact.payer, made.beneficiary, fact.exercice), "set_off_cents", fact.amount_cents)]
            key = (made.payer, made.beneficiary, made.exercice)
            # Only what was counted as paid is taken off: a payment of an unknown day never was.
            counted = made.amount_cents if held.effective_on.reached(on) else 0
            return [(key, "paid_cents", -counted), (key, "rejected_cents", made.amount_cents)]
        case facts.OverpaymentFound():
            return [((fact.payer, fact.beneficiary, fact.exercice), "overpaid_cents", fact.amount_cents)]
        case facts.RecoveryOrdered():
            return [
                ((fact.payer, fact.beneficiary, fact.exercice), "recovery_ordered_cents", fact.amount_cents)
            ]
        case facts.RestitutionReceived():
            return [((fact.payer, fact.beneficiary, fact.exercice), "returned_cents", fact.amount_cents)]
        case facts.AidInKindValued():
            return [((fact.giver, fact.beneficiary, fact.exercice), "in_kind_cents", fact.value_cents)]
        case _:
            return []
