"""
What was paid of an account, and which part of it each payment is for.

Pure. A payment counts for the part it names; one that names none counts for the earliest
part not yet paid, and what it exceeds goes on to the next. An advance that was set off
counts for the exercice it was set off against, and not for the one it was paid in: no
payment is counted twice. What came back is not paid, and what has no day is not counted.
"""

from collections.abc import Mapping, Sequence

import msgspec

from contracts import events as facts
from contracts.dates import PartialDate
from services.domain import french
from services.domain.known import Known

Account = tuple[str, str, int]
"""Who pays, whom, for which exercice."""


class Paid(msgspec.Struct, frozen=True):
    """A payment, or an advance set off, in cents; *rest* what an earlier part of the account left of it."""

    position: int
    on: PartialDate
    cents: int
    instalment: str | None = None
    set_off: bool = False
    rest: bool = False


class Payments(msgspec.Struct, frozen=True):
    """
    What was paid and set off by the day, by account, in order.

    *advances* are the payments that were set off since, *set_off* how much of each, by its
    position. *returned* came back to the payer as a restitution. *uncounted* says in French
    what is left out because a day is not known.
    """

    paid: Mapping[Account, Sequence[Paid]]
    advances: Mapping[Account, Sequence[Paid]]
    set_off: Mapping[int, int]
    returned: Mapping[Account, int]
    uncounted: Mapping[Account, Sequence[str]]


def of(known: Known) -> Payments:
    """All payments of a convention that have come by the day."""
    told = {(fact.payer, fact.key): (held, fact) for held, fact in known.told(facts.PaymentMade)}
    # A rejection without a day leaves it open whether the payment stands.
    rejected = {
        (fact.payer, fact.payment): held.effective_on.reached(known.on)
        for held, fact in known.told(facts.PaymentRejected)
    }
    offsets = [
        (held, fact) for held, fact in known.come(facts.AdvanceSetOff) if (fact.payer, fact.payment) in told
    ]
    spent = {(fact.payer, fact.payment) for _, fact in offsets}
    paid: dict[Account, list[Paid]] = {}
    advances: dict[Account, list[Paid]] = {}
    uncounted: dict[Account, list[str]] = {}
    set_off: dict[int, int] = {}
    for name, (held, fact) in told.items():
        account = (fact.payer, fact.beneficiary, fact.exercice)
        came, back = held.effective_on.reached(known.on), rejected.get(name, False)
        if back is None or came is None:
            why = "sa date n’est pas connue" if came is None else "la date de son rejet n’est pas connue"
            words = f"versement de {french.euros(fact.amount_cents)} non compté : {why}"
            uncounted.setdefault(account, []).append(words)
        elif not back:
            one = Paid(held.position, held.effective_on, fact.amount_cents, fact.instalment)
            (advances if name in spent else paid).setdefault(account, []).append(one)
    for held, off in offsets:
        advance, payment = told[off.payer, off.payment]
        set_off[advance.position] = set_off.get(advance.position, 0) + off.amount_cents
        account = (off.payer, payment.beneficiary, off.exercice)
        one = Paid(held.position, held.effective_on, off.amount_cents, set_off=True)
        paid.setdefault(account, []).append(one)
    return Payments(paid, advances, set_off, _returned(known), uncounted)


def _returned(known: Known) -> dict[Account, int]:
    returned: dict[Account, int] = {}
    for _, fact in known.come(facts.RestitutionReceived):
        account = (fact.payer, fact.beneficiary, fact.exercice)
        returned[account] = returned.get(account, 0) + fact.amount_cents
    return returned


def take(
    amount: int | None, named: Sequence[Paid], pool: Sequence[Paid]
) -> tuple[tuple[Paid, ...], tuple[Paid, ...]]:
    """
    What counts for a part of *amount*, and what is left of *pool*.

    All that names the part, then from the pool in order until the amount is covered. Where
    the amount is not known, nobody can tell how much would do: one payment is taken, whole.
    """
    if amount is None:
        return (tuple(named), tuple(pool)) if named else (tuple(pool[:1]), tuple(pool[1:]))
    taken, left = list(named), list(pool)
    missing = amount - counted(named)
    while left and missing > 0:
        first = left.pop(0)
        used = min(first.cents, missing)
        taken.append(msgspec.structs.replace(first, cents=used))
        missing -= used
        if used < first.cents:
            left.insert(0, msgspec.structs.replace(first, cents=first.cents - used, rest=True))
    return tuple(taken), tuple(left)


def left_by(taken: Sequence[Paid], paid: Sequence[Paid]) -> tuple[Paid, ...]:
    """*paid* once *taken* has been matched with a line of its own."""
    used = {one.position: one.cents for one in taken}
    left = (
        msgspec.structs.replace(one, cents=one.cents - used[one.position], rest=True)
        if one.position in used
        else one
        for one in paid
    )
    return tuple(one for one in left if one.cents > 0)


def counted(paid: Sequence[Paid]) -> int:
    """Their sum, in cents."""
    return sum(one.cents for one in paid)
