"""
What a calendar is computed from: the exercices, what was voted of each, and which plan holds.

Pure. The lines of an exercice are read from the text as it stood at the end of that exercice:
an avenant changes what is to come. A plan that names an exercice stands for it in place of one
that names none.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Final, TypeVar

import msgspec

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.terms import AdvancePlan, InstalmentPlan, LumpSum
from services.domain import convention, text
from services.domain.book import Held
from services.domain.known import Known
from services.domain.obligations import Duties
from services.domain.phase import bound
from services.domain.schedule import gates
from services.domain.schedule.amounts import Base, Figure
from services.domain.schedule.gates import Gates
from services.domain.schedule.payments import Account
from services.domain.text import ClauseLine

EXERCICES_MAX: Final = 30
"""How many exercices a calendar has at most."""

Subsidy = tuple[str, str, int, str]
"""Who pays, whom, for which exercice, for which purpose."""

Paying = TypeVar("Paying", InstalmentPlan, AdvancePlan, LumpSum)


class Grounds(msgspec.Struct, frozen=True):
    """
    What every line of a calendar is computed from.

    *exercices* are those of the term, empty where it is not known (*because*, in French).
    *voted* holds what this convention voted, *before* the one it takes over from. *plans*:
    those that hold, by account. *settled*: the contradictions on which a reading is retained.
    *anchors*: the days that a délai may run from, by happening.
    """

    known: Known
    gates: Gates
    exercices: range
    because: tuple[str, ...]
    voted: Mapping[Subsidy, Base]
    before: Mapping[Subsidy, Base]
    plans: Mapping[Account, Sequence[tuple[ClauseLine, InstalmentPlan]]]
    settled: frozenset[str]
    anchors: Mapping[str, PartialDate | None]


def of(known: Known, duties: Duties) -> Grounds:
    """What the calendar of *known* is computed from."""
    signed_on = _signed_on(known)
    starts_on = known.life.starts_on()
    exercices, unknown = _exercices(starts_on or signed_on, known.life.ends_on(known.on))
    voted = voted_in(known.state, known.on)
    succeeded = known.life.opened.succeeds if known.life.opened else None
    former = known.conventions.get(succeeded) if succeeded else None
    plans, cut = _plans(known, exercices, voted)
    owned = {clause.article for told in plans.values() for clause, _ in told}
    owned |= {clause.article for clause in known.clauses if isinstance(clause.term, AdvancePlan | LumpSum)}
    return Grounds(
        known=known,
        gates=gates.of(known, duties, sorted(owned)),
        exercices=exercices,
        because=(*unknown, *cut),
        voted=voted,
        before=voted_in(former, known.on) if former else {},
        plans=plans,
        settled=frozenset(fact.key for _, fact in known.come(facts.ContradictionSettled)),
        anchors={"signed": signed_on, "took-effect": starts_on},
    )


def has_money(known: Known) -> bool:
    """Whether the text or an avenant, at any time, says how something is paid."""
    return any(type(held.fact) in _STATING and _pays(held) for held in known.live)


def reads(clauses: Iterable[ClauseLine], kind: type[Paying]) -> Iterator[tuple[ClauseLine, Paying]]:
    """The clauses whose rule is of *kind*, each with its rule."""
    for clause in clauses:
        if isinstance(clause.term, kind):
            yield clause, clause.term


def voted_in(state: convention.State, on: date) -> dict[Subsidy, Base]:
    """
    What was voted of each subsidy in a convention by the day, in order.

    An avenant that waits for a signature sets nothing; a vote without a day is not counted,
    and said to be there.
    """
    said = [
        (held.effective_on, subsidy, cents)
        for held in state.book.live()
        if type(held.fact) in _VOTING
        for subsidy, cents in _figures(held, state.life, on)
    ]
    told: dict[Subsidy, list[Figure]] = {}
    undated: set[Subsidy] = set()
    # Of one day, the last recorded comes last: the sort is stable.
    for when, subsidy, cents in sorted(said, key=lambda one: one[0].sort_key):
        reached = when.reached(on)
        if reached:
            told.setdefault(subsidy, []).append(Figure(when, cents))
        elif reached is None:
            undated.add(subsidy)
    return {
        subsidy: Base(subsidy[2], tuple(told.get(subsidy, ())), undated=subsidy in undated)
        for subsidy in (told.keys() | undated)
    }


_VOTING: Final = frozenset({facts.SubsidyVoted, facts.SubsidyChanged, facts.AvenantConcluded})


def _figures(held: Held, life: convention.Life, on: date) -> Iterator[tuple[Subsidy, int]]:
    fact = held.fact
    match fact:
        case facts.SubsidyVoted() | facts.SubsidyChanged():
            yield (fact.payer, fact.beneficiary, fact.exercice, fact.purpose), fact.amount_cents
        case facts.AvenantConcluded():
            for change in fact.changes:
                if isinstance(change, facts.SubsidySet) and not life.awaited(fact.number, on):
                    subsidy = (change.payer, change.beneficiary, change.exercice, "fonctionnement")
                    yield subsidy, change.amount_cents
        case _:
            return


_STATING: Final = frozenset({facts.ClauseStated, facts.AvenantConcluded})


def _pays(held: Held) -> bool:
    match held.fact:
        case facts.ClauseStated(term=term):
            return isinstance(term, InstalmentPlan | AdvancePlan | LumpSum)
        case facts.AvenantConcluded(changes=changes):
            terms = (change.term for change in changes if isinstance(change, facts.ClauseChanged))
            return any(isinstance(term, InstalmentPlan | AdvancePlan | LumpSum) for term in terms)
        case _:
            return False


# -- which exercices


def _exercices(start: PartialDate | None, end: PartialDate | None) -> tuple[range, tuple[str, ...]]:
    """The exercices of the term, and why there are none where it is not known."""
    if start is None or start.first is None:
        return range(0), ("le début de la convention n’est pas connu : ses exercices ne peuvent être dits",)
    if end is None or end.last is None:
        return range(0), ("le terme de la convention n’est pas connu : ses exercices ne peuvent être dits",)
    return range(start.first.year, end.last.year + 1), ()


def _signed_on(known: Known) -> PartialDate | None:
    """The day of the last signature, once all have signed for certain."""
    life, on = known.life, known.on
    days = [one.on for one in life.signed if one.avenant is None and one.on.reached(on)]
    members = [one for one in life.memberships() if one.since is None]
    if not days or any(bound(life, one, on) != "yes" for one in members):
        return None
    return max(days, key=lambda day: day.sort_key)


# -- which plan


def _plans(
    known: Known, exercices: range, voted: Mapping[Subsidy, Base]
) -> tuple[dict[Account, list[tuple[ClauseLine, InstalmentPlan]]], tuple[str, ...]]:
    """Which plans hold for each account, one a purpose, and what was left out, in French."""
    # Where the term is not known, what was voted tells of its exercice at least.
    told = set() if exercices else {subsidy for subsidy, base in voted.items() if base.figures}
    years = {*exercices, *(year for _, _, year, _ in told)}
    years |= {year for _, plan in reads(known.clauses, InstalmentPlan) for year in plan.exercices}
    plans: dict[Account, list[tuple[ClauseLine, InstalmentPlan]]] = {}
    for year in sorted(years)[:EXERCICES_MAX]:
        best: dict[Subsidy, tuple[ClauseLine, InstalmentPlan]] = {}
        for clause, plan in reads(_text(known, year), InstalmentPlan):
            subsidy = (plan.payer, plan.beneficiary, year, plan.purpose)
            holds = year in plan.exercices if plan.exercices else year in exercices or subsidy in told
            if holds and (subsidy not in best or _rank(best[subsidy]) < _rank((clause, plan))):
                best[subsidy] = clause, plan
        for (payer, beneficiary, _, _), one in best.items():
            plans.setdefault((payer, beneficiary, year), []).append(one)
    cut = (f"seuls les {EXERCICES_MAX} premiers exercices sont dits",)
    return plans, cut if len(years) > EXERCICES_MAX else ()


def _rank(told: tuple[ClauseLine, InstalmentPlan]) -> tuple[object, ...]:
    clause, plan = told
    return bool(plan.exercices), clause.effective_on.sort_key, clause.position


def _text(known: Known, exercice: int) -> tuple[ClauseLine, ...]:
    """The text of an exercice: as it reads on the day, without the avenants that came after its end."""
    end = date(exercice, 12, 31)
    if end >= known.on or not any(line.avenant and line.effective_on.after(end) for line in known.clauses):
        return known.clauses
    by_then = [
        held
        for held in known.live
        if not (isinstance(held.fact, facts.AvenantConcluded) and held.effective_on.after(end))
    ]
    return text.of(by_then, known.life, known.on).in_force
