"""
What was given to whom, here and in the conventions known beside: what the thresholds are counted on.

Pure. Integer cents. Only what administrative authorities give to persons of private
law is here (loi 2000-321, art. 10), aid in kind included.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Final

import msgspec

from contracts import events as facts
from contracts.institutions import PUBLIC_KINDS
from services.domain.book import Held
from services.domain.convention import Life
from services.domain.known import Known
from services.domain.money import Account

PRIVATE_KINDS: Final = frozenset({"association", "federation"})
"""Those whose subsidies the loi 2000-321, art. 10, makes subject to a convention: persons of private law."""

GIVING_KINDS: Final = PUBLIC_KINDS | {"etat", "caf", "cnaf", "carsat", "cnav", "msa"}
"""Administrative authorities (loi 2000-321, art. 1): the bodies that manage social security among them."""

Pair = tuple[str, str]
"""Who gives, and to whom."""

_GIVING_FACTS: Final = (
    facts.SubsidyVoted,
    facts.SubsidyChanged,
    facts.AvenantConcluded,
    facts.AidInKindValued,
)


class Award(msgspec.Struct, frozen=True):
    """What one gave another for an exercice, as last fixed; no *position* where it is told elsewhere."""

    account: Account
    day: date
    cents: int
    position: int | None
    in_kind: bool = False


def by_pair(known: Known, life: Life, kinds: Mapping[str, str]) -> Mapping[Pair, Sequence[Award]]:
    """What had been given by the day, in the order of the days, for each payer and beneficiary."""
    told = [*_awards(known.live, life, known.on, own=True)]
    for state in known.conventions.values():
        told += _awards(state.book.live(), state.life, known.on, own=False)
    pairs: dict[Pair, list[Award]] = defaultdict(list)
    for award in sorted(told, key=lambda award: (award.day, award.account, award.cents)):
        payer, beneficiary, _ = award.account
        if kinds.get(payer) in GIVING_KINDS and kinds.get(beneficiary) in PRIVATE_KINDS:
            pairs[payer, beneficiary].append(award)
    return pairs


def _awards(live: Iterable[Held], life: Life, on: date, *, own: bool) -> Iterator[Award]:
    """What one convention gave: the last figure for each purpose, on the day it was first given."""
    giving = [held for held in live if type(held.fact) in _GIVING_FACTS and held.effective_on.reached(on)]
    found: dict[tuple[Account, str], Award] = {}
    for held in sorted(giving, key=lambda held: (held.effective_on.sort_key, held.position)):
        for account, purpose, cents in _figures(held, life, on):
            before = found.get((account, purpose))
            day = before.day if before else held.effective_on.last
            if day is not None and purpose != "avance":
                place = held.position if own else None
                in_kind = isinstance(held.fact, facts.AidInKindValued)
                found[account, purpose] = Award(account, day, cents, place, in_kind)
    yield from found.values()


def _figures(held: Held, life: Life, on: date) -> Iterator[tuple[Account, str, int]]:
    """What *held* gives: for whom, for which purpose, how many cents."""
    fact = held.fact
    match fact:
        case facts.SubsidyVoted() | facts.SubsidyChanged():
            yield (fact.payer, fact.beneficiary, fact.exercice), fact.purpose, fact.amount_cents
        case facts.AvenantConcluded():
            sums = [one for one in fact.changes if isinstance(one, facts.SubsidySet)]
            # An avenant that waits for a signature sets nothing yet.
            if sums and not life.awaited(fact.number, on):
                for one in sums:
                    yield (one.payer, one.beneficiary, one.exercice), "fonctionnement", one.amount_cents
        case facts.AidInKindValued():
            # Aid in kind adds up: no later figure stands in place of an earlier one.
            account = (fact.giver, fact.beneficiary, fact.exercice)
            yield account, f"en nature, {held.position}", fact.value_cents
        case _:
            pass
