"""
What each avenant made of the convention: clause by clause, before and after, and for whom it has effect.

Pure. The text before an avenant is that of the instrument and of the avenants in
force that came before it, by (effective date, position). An avenant binds once all
it names have signed; who may change an article without the others is what the
convention itself says (Amending), and where it says nothing, nobody knows.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.terms import Amending, InstalmentPlan
from services.domain import french
from services.domain.book import Held, may_have_come
from services.domain.convention import Life
from services.domain.known import Known
from services.domain.known import names as names_of
from services.domain.text import Articles, ClauseLine, is_in, own, rewritten


class ClauseDifference(msgspec.Struct, frozen=True):
    """An article before and after an avenant; *before* is empty where it was not. *says* in French."""

    article: str
    before: tuple[ClauseLine, ...]
    after: tuple[ClauseLine, ...]
    says: str


class Effect(msgspec.Struct, frozen=True):
    """What else an avenant changes: the term, who is a party, the amount of a subsidy. All in French."""

    kind: Literal["prorogation", "admission", "withdrawal", "subsidy"]
    before: str | None
    after: str | None
    says: str


class Amendment(msgspec.Struct, frozen=True):
    """
    One avenant on the day: whom it binds, who of them signed, and what it changed.

    It replaces the text once all it binds have signed (*complete*); while some have and
    others not, it is partial and the text stands as it was. None where no signature of it
    is told: it is taken at the word of who recorded it as concluded. *awaiting* names whose
    signature is missing, or not known to have come.

    *bipartite*: it binds some parties only. *allowed*: whether the text before it lets
    them change that without the others, by *allowed_by*, an article; None where it does not say.
    """

    number: str
    effective_on: PartialDate
    binds: tuple[str, ...]
    signed_by: tuple[str, ...]
    awaiting: tuple[str, ...]
    complete: bool | None
    bipartite: bool
    allowed: bool | None
    differences: tuple[ClauseDifference, ...]
    rationale: str
    position: int
    effects: tuple[Effect, ...] = ()
    allowed_by: str | None = None


Subsidy = tuple[str, str, int]
"""Who pays, to whom, for which exercice."""


def of(known: Known) -> tuple[Amendment, ...]:
    """Every avenant that has, or may have, come by the day, in the order in which they changed the text."""
    if not known.state.avenants:
        return ()
    names = names_of(known)
    told = [held for held in known.live if may_have_come(held.effective_on, known.on)]
    text, applied, voted = own(told, known.on), set[str](), dict[Subsidy, int]()
    made = []
    for held in told:
        match held.fact:
            case facts.SubsidyVoted() | facts.SubsidyChanged() as fact:
                voted[fact.payer, fact.beneficiary, fact.exercice] = fact.amount_cents
            case facts.AvenantConcluded() as fact:
                rewrites = rewritten(fact, held, known.on)
                effects = _effects(fact, _as_amended_by(known.life, applied), voted, known, names)
                made.append(_amendment(fact, held, text, rewrites, effects, known, names))
                if known.life.awaited(fact.number, known.on):
                    continue
                text |= rewrites
                applied.add(fact.number)
                voted |= _set_by(fact)
            case _:
                pass
    return tuple(made)


def _amendment(
    avenant: facts.AvenantConcluded,
    held: Held,
    text: Articles,
    rewrites: Articles,
    effects: tuple[Effect, ...],
    known: Known,
    names: Mapping[str, str],
) -> Amendment:
    missing = known.life.awaited(avenant.number, known.on)
    awaiting = avenant.binds if missing is None else missing
    left_out = _left_out(avenant, held.effective_on, known.life)
    allowed, by = _allowed(avenant, text) if left_out else (True, None)
    return Amendment(
        number=avenant.number,
        effective_on=held.effective_on,
        binds=avenant.binds,
        signed_by=tuple(who for who in avenant.binds if who not in awaiting),
        awaiting=awaiting,
        complete=None if missing is None else not missing,
        bipartite=left_out,
        allowed=allowed,
        differences=tuple(
            _difference(article, text.get(article, ()), after, names) for article, after in rewrites.items()
        ),
        rationale=avenant.rationale,
        position=held.position,
        effects=effects,
        allowed_by=by,
    )


# -- clause by clause


def _difference(
    article: str, before: tuple[ClauseLine, ...], after: tuple[ClauseLine, ...], names: Mapping[str, str]
) -> ClauseDifference:
    where, new = french.article_in_words(article), _read(after, names)
    if not before:
        says = f"{where}, ajouté : « {new} »"
    elif (old := _read(before, names)) == new:
        says = f"{where}, repris sans changement : « {new} »"
    else:
        says = f"{where} : « {old} » devient « {new} »"
    return ClauseDifference(article, before, after, french.typeset(says))


def _read(lines: Iterable[ClauseLine], names: Mapping[str, str]) -> str:
    return " ; ".join(_in_words(line, names) for line in lines)


def _in_words(line: ClauseLine, names: Mapping[str, str]) -> str:
    if line.term is None:
        return line.about
    words = french.term_in_words(line.term, names)
    # Where the rule begins as the clause is called ("durée"), once is enough.
    return words if words.casefold().startswith(line.about.casefold()) else f"{line.about}. {words}"


# -- the rest of what an avenant changes


def _effects(
    avenant: facts.AvenantConcluded,
    life: Life,
    voted: Mapping[Subsidy, int],
    known: Known,
    names: Mapping[str, str],
) -> tuple[Effect, ...]:
    found = []
    for change in avenant.changes:
        says = french.change_in_words(change, names)
        match change:
            case facts.Prorogation():
                before, after = life.ends_on(known.on), french.date_in_words(change.ends_on)
                old = None if before is None else french.date_in_words(before)
                found.append(_effect("prorogation", "terme", old, after, says))
            case facts.Admission():
                found.append(Effect("admission", None, french.ROLES[change.role], says))
            case facts.Withdrawal():
                found.append(Effect("withdrawal", None, None, says))
            case facts.SubsidySet():
                cents = voted.get((change.payer, change.beneficiary, change.exercice))
                old = None if cents is None else french.euros(cents)
                who = french.Names(names)
                what = (
                    f"subvention {who.of(change.payer)} {who.to(change.beneficiary)}, "
                    f"exercice {change.exercice}"
                )
                found.append(_effect("subsidy", what, old, french.euros(change.amount_cents), says))
            case facts.ClauseChanged():
                pass
    return tuple(found)


def _effect(
    kind: Literal["prorogation", "subsidy"], what: str, before: str | None, after: str, says: str
) -> Effect:
    if before not in (None, after):
        says = french.typeset(f"{what} : « {before} » devient « {after} »")
    return Effect(kind, before, after, says)


def _set_by(avenant: facts.AvenantConcluded) -> dict[Subsidy, int]:
    return {
        (change.payer, change.beneficiary, change.exercice): change.amount_cents
        for change in avenant.changes
        if isinstance(change, facts.SubsidySet)
    }


def _as_amended_by(life: Life, avenants: set[str]) -> Life:
    """*life* with what the instrument and these avenants say of its duration, and no other."""
    spans = tuple(span for span in life.spans if span.avenant is None or span.avenant in avenants)
    return msgspec.structs.replace(life, spans=spans)


# -- between some of the parties


def _left_out(avenant: facts.AvenantConcluded, on: PartialDate, life: Life) -> bool:
    """Whether somebody who certainly is a party on the day of the avenant is not bound by it."""
    return any(life.is_party(party, on) and party not in avenant.binds for party in life.parties)


def _allowed(avenant: facts.AvenantConcluded, text: Articles) -> tuple[bool | None, str | None]:
    """Whether the text lets some parties alone make each change of *avenant*, and by which article."""
    lines = [line for lines in text.values() for line in lines]
    says = [line for line in lines if isinstance(line.term, Amending) and line.term.bipartite_for]
    if not says:
        return None, None
    open_articles = [
        article for line in says if isinstance(line.term, Amending) for article in line.term.bipartite_for
    ]
    answers = [_is_open(change, open_articles, lines) for change in avenant.changes]
    return False if False in answers else None if None in answers else True, says[0].article


def _is_open(change: facts.AnyChange, open_articles: list[str], lines: list[ClauseLine]) -> bool | None:
    match change:
        case facts.ClauseChanged():
            return any(is_in(change.article, article) for article in open_articles)
        case facts.SubsidySet():
            # It names no article: the one that says how this subsidy is paid is the one it fills in.
            plans = [line.article for line in lines if _is_plan_of(line, change)]
            return any(is_in(plan, article) for plan in plans for article in open_articles) if plans else None
        case facts.Prorogation() | facts.Admission() | facts.Withdrawal():
            return False


def _is_plan_of(line: ClauseLine, change: facts.SubsidySet) -> bool:
    plan = line.term
    return (
        isinstance(plan, InstalmentPlan)
        and (plan.payer, plan.beneficiary) == (change.payer, change.beneficiary)
        and (not plan.exercices or change.exercice in plan.exercices)
    )
