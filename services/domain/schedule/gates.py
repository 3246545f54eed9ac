"""
What holds a payment back on a day, by which article, and who can unblock it.

Pure. Everything here is computed from the text and the facts; what somebody decided
(a suspension, a derogation) stands beside it under its own name. A derogation on an
article lifts what that article holds back.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final, Literal

import msgspec

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.terms import Condition, ReturnOfSums
from services.domain import agrement, coverage, french
from services.domain.book import Held
from services.domain.known import Known
from services.domain.obligations import Duties, ObligationLine
from services.domain.phase import Phase, bound
from services.domain.text import ClauseLine, is_in


class Block(msgspec.Struct, frozen=True):
    """
    What holds a payment back on the day, by which article, and who can unblock it (slugs).

    *what* is a French noun phrase for who reads it; *kind* a code; *positions* the facts it rests on.
    """

    kind: Literal[
        "document",
        "agrement",
        "signature",
        "entry-into-force",
        "vote",
        "request",
        "instrument",
        "condition",
        "ended",
    ]
    what: str
    article: str
    unblocked_by: tuple[str, ...]
    positions: tuple[int, ...] = ()


class Gates(msgspec.Struct, frozen=True):
    """
    All that may hold a payment back on the day, whatever the payment.

    *late* are the documents owed and not received, each with the block that it makes. *standing*:
    of the agrément that a condition wants, by the position of its clause, and who can bring it
    back. *suspensions* are by payer and key, *undated* what a payer decided on no known day, in
    French; *derogations* by position. *stopping*: the articles
    by which a résiliation interrupts payments, by payer and beneficiary. *owned* are the articles
    that pay: a condition within one of them holds for that one alone.
    """

    on: date
    phase: Phase
    unsigned: tuple[str, ...]
    in_force_article: str
    starts_on: PartialDate | None
    binding: bool
    conditions: tuple[tuple[ClauseLine, Condition], ...]
    standing: Mapping[int, tuple[agrement.Standing, tuple[str, ...]]]
    decided: frozenset[str]
    late: tuple[tuple[ObligationLine, Block], ...]
    suspensions: tuple[tuple[str, str], ...]
    undated: tuple[tuple[str, str], ...]
    derogations: tuple[tuple[int, facts.DerogationGranted], ...]
    endings: tuple["End", ...]
    stopping: Mapping[tuple[str, str], str]
    owned: tuple[str, ...]


class End(msgspec.Struct, frozen=True):
    """Since when nothing more is paid, by which article; *who* left, None where the instrument ended."""

    since: PartialDate
    what: str
    article: str
    position: int
    who: str | None = None
    resiliation: bool = False


class Holding(msgspec.Struct, frozen=True):
    """
    What holds one payment back: conditions in words, blocks, and the recorded decisions beside them.

    *notes* say in French what is not known of those decisions.
    """

    conditions: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()
    suspended_by: tuple[str, ...] = ()
    derogations: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


UNSIGNED: Final = ("projet", "delibere", "signe-en-partie", "indetermine")


def of(known: Known, duties: Duties, owned: Iterable[str]) -> Gates:
    """What may hold payments back, *duties* among it; *owned* are the articles that pay."""
    life, on = known.life, known.on
    members = [one for one in life.memberships() if one.since is None and one.covers(on) is not False]
    span = life.span(on)
    conditions = tuple(
        (clause, clause.term)
        for clause in known.clauses
        if isinstance(clause.term, Condition) and clause.term.of in ("payments", "partnership")
    )
    return Gates(
        on=on,
        phase=known.phase,
        unsigned=tuple(one.institution for one in members if bound(life, one, on) != "yes"),
        in_force_article=span.article if span else "",
        starts_on=life.starts_on(),
        binding=life.opened is None or life.opened.force != "promesse",
        conditions=conditions,
        standing={
            clause.position: (coverage.standing(known, term), _grantors(known, term.holder))
            for clause, term in conditions
            if term.requires == "agrement"
        },
        decided=frozenset(
            one.institution for one in life.adopted if one.outcome == "adopted" and one.on.reached(on)
        ),
        late=tuple(
            (line, _missing(line))
            for line in duties.obligations
            if line.gates_payments and line.state == "overdue"
        ),
        suspensions=_suspensions(known),
        undated=_undated(known),
        derogations=tuple((held.position, fact) for held, fact in known.come(facts.DerogationGranted)),
        endings=tuple(_endings(known)),
        stopping={
            (clause.term.payer, clause.term.beneficiary): clause.article
            for clause in known.clauses
            if isinstance(clause.term, ReturnOfSums) and clause.term.payments_stop
        },
        owned=tuple(owned),
    )


def holding(
    gates: Gates,
    *,
    payer: str,
    beneficiary: str,
    article: str,
    exercice: int | None,
    by_articles: tuple[str, ...] = (),
) -> Holding:
    """
    What holds back the payments of *article* from *payer* to *beneficiary*, for an exercice.

    What holds back today says little of a payment that is years away: of an exercice later
    than the next, only the conditions are told.
    """
    conditions = [
        (clause, term)
        for clause, term in gates.conditions
        if _concerns(gates, clause, term, article, payer=payer, beneficiary=beneficiary)
    ]
    found: list[tuple[Block, tuple[str, ...]]] = []
    for clause, term in conditions:
        found += ((block, (clause.article,)) for block in _conditioned(gates, clause, term))
    found += ((block, (block.article,)) for block in _unsigned(gates, article, conditions))
    tied = tuple(clause.article for clause, term in conditions if term.requires == "documents")
    found += (
        (block, (line.article, *tied))
        for line, block in gates.late
        if line.debtor == beneficiary and any(is_in(line.article, whole) for whole in by_articles)
    )
    derogations = [
        (position, derogation)
        for position, derogation in gates.derogations
        if derogation.to == beneficiary and _lasts(derogation, gates.on)
    ]
    if exercice is not None and exercice > gates.on.year + 1:
        found = []
    lifting = {
        block: [at for at, one in derogations if any(is_in(where, one.article) for where in articles)]
        for block, articles in found
    }
    used = {at for lifted in lifting.values() for at in lifted}
    used |= {at for at, derogation in derogations if is_in(article, derogation.article)}
    words = [f"{term.words} ({_article(clause.article)})" for clause, term in conditions]
    if by_articles and not tied:
        documents = french.list_in_words(_article(whole) for whole in by_articles)
        words.append(f"documents de : {documents} ({_article(article)})")
    return Holding(
        conditions=tuple(words),
        blocks=tuple(dict.fromkeys(block for block, _ in found if not lifting[block])),
        suspended_by=tuple(key for by, key in gates.suspensions if by == payer),
        derogations=tuple(sorted(used)),
        notes=tuple(dict.fromkeys(words for by, words in gates.undated if by == payer)),
    )


def ended(gates: Gates, *, payer: str, beneficiary: str, day: date) -> Block | None:
    """
    What stops a payment that opens on *day*: the end of the instrument, or of a party's time in it.

    Where a clause says that a résiliation interrupts the payments, it stops those due before it too.
    """
    clause = gates.stopping.get((payer, beneficiary))
    for end in gates.endings:
        if end.who not in (None, payer, beneficiary):
            continue
        interrupts = clause is not None and end.resiliation and end.since.reached(gates.on)
        if interrupts or end.since.reached(day):
            article = clause if interrupts and clause else end.article
            return Block("ended", end.what, article, (), (end.position,))
    return None


def lifted(gates: Gates, block: Block, beneficiary: str) -> tuple[int, ...]:
    """The derogations that lift *block*."""
    return tuple(
        position
        for position, derogation in gates.derogations
        if derogation.to == beneficiary
        and _lasts(derogation, gates.on)
        and is_in(block.article, derogation.article)
    )


# -- one cause each


def _concerns(
    gates: Gates, clause: ClauseLine, term: Condition, article: str, *, payer: str, beneficiary: str
) -> bool:
    owners = [owner for owner in gates.owned if is_in(clause.article, owner)]
    if owners and article not in owners:
        return False
    # An agrément or a document is that of who is paid; an instrument or a vote may be of either.
    return term.holder in ((payer, beneficiary) if not _is_his(term) else (beneficiary,))


def _is_his(term: Condition) -> bool:
    return term.requires in ("agrement", "documents")


def _conditioned(gates: Gates, clause: ClauseLine, term: Condition) -> Iterable[Block]:
    match term.requires:
        case "agrement":
            standing, who = gates.standing[clause.position]
            if standing != "granted":
                what = f"{term.words} : {_STANDINGS[standing]}"
                yield Block("agrement", what, clause.article, who, (clause.position,))
        case "deliberation":
            if term.holder not in gates.decided:
                yield Block("condition", term.words, clause.article, (term.holder,), (clause.position,))
        case "instrument" | "documents":
            # The instrument's own entry into force and its documents are asked below, each by its own facts.
            return


def _unsigned(gates: Gates, article: str, conditions: list[tuple[ClauseLine, Condition]]) -> Iterable[Block]:
    if not gates.binding:
        return
    reserve = next((clause.article for clause, term in conditions if term.requires == "instrument"), None)
    where = reserve or gates.in_force_article or article
    if gates.phase in UNSIGNED:
        what = "signature de la convention"
        if gates.phase == "indetermine":
            what = "signatures de la convention, dont la date n’est pas connue"
        yield Block("signature", what, where, gates.unsigned)
    elif gates.phase == "signe":
        since = f" {french.day_in_words(gates.starts_on)}" if gates.starts_on else ""
        yield Block("entry-into-force", f"entrée en vigueur de la convention{since}", where, ())


def _missing(line: ObligationLine) -> Block:
    of = f", exercice {line.exercice}" if line.exercice is not None else ""
    due = f", attendu au plus tard {french.day_in_words(PartialDate.of(line.due_on))}" if line.due_on else ""
    refused = " (refusé)" if line.refused_at is not None else ""
    positions = tuple(at for at in (line.position, line.refused_at) if at is not None)
    who = tuple(dict.fromkeys((line.debtor, *line.creditors)))
    return Block("document", f"{line.what}{of}{due}{refused}", line.article, who, positions)


def _grantors(known: Known, holder: str) -> tuple[str, ...]:
    """Who can bring an agrément back: whoever granted it or was asked to, and its holder."""
    state = known.agrements.get(holder)
    live = tuple(state.book.live()) if state is not None else ()
    granted = [
        held.fact.granted_by
        for held in live
        if isinstance(held.fact, facts.AgrementGranted | facts.AgrementRenewed)
    ]
    asked = [held.fact.to for held in live if isinstance(held.fact, facts.AgrementRequested)]
    return tuple(dict.fromkeys((*granted, *asked, holder)))


_STANDINGS: Final[dict[str, str]] = {
    "none": "aucun agrément au registre",
    "requested": "demandé, pas encore accordé",
    "suspended": "suspendu",
    "withdrawn": "retiré",
    "lapsed": "échu",
    "undetermined": "on ne sait pas s’il court ce jour",
}


def _suspensions(known: Known) -> tuple[tuple[str, str], ...]:
    lifted = {fact.key for _, fact in known.come(facts.SuspensionLifted)}
    return tuple(
        (fact.by, fact.key) for _, fact in known.come(facts.PaymentsSuspended) if fact.key not in lifted
    )


def _undated(known: Known) -> tuple[tuple[str, str], ...]:
    """Suspensions and liftings of which nobody knows whether they have come: counted as neither."""
    suspended = [
        (held, fact.by, "suspension de date inconnue, non comptée")
        for held, fact in known.told(facts.PaymentsSuspended)
    ]
    lifted = [
        (held, fact.by, "levée de date inconnue, non comptée")
        for held, fact in known.told(facts.SuspensionLifted)
    ]
    told = (*suspended, *lifted)
    return tuple((by, words) for held, by, words in told if not held.effective_on.reached(known.on))


def _endings(known: Known) -> Iterable[End]:
    for held in known.live:
        if type(held.fact) in _ENDING and held.effective_on.reached(known.on):
            yield from _ending(held)


# Most facts end nothing, and this is asked of every one.
_ENDING: Final = frozenset(
    {
        facts.ResiliationPronounced,
        facts.ResiliationTookEffect,
        facts.InstrumentClosed,
        facts.DenunciationTookEffect,
        facts.PartyWithdrew,
        facts.AvenantConcluded,
    }
)


def _ending(held: Held) -> Iterable[End]:
    fact, at, on = held.fact, held.position, held.effective_on
    match fact:
        case facts.ResiliationPronounced():
            since = fact.takes_effect_on
            what = f"résiliation {french.from_in_words(since)}"
            yield End(since, what, fact.article, at, resiliation=True)
        case facts.ResiliationTookEffect():
            yield End(on, f"résiliation {french.from_in_words(on)}", "", at, resiliation=True)
        case facts.InstrumentClosed():
            yield End(on, f"clôture {french.day_in_words(on)}", "", at)
        case facts.DenunciationTookEffect():
            yield End(on, f"dénonciation, avec effet {french.day_in_words(on)}", "", at, fact.by)
        case facts.PartyWithdrew():
            yield End(on, f"départ {french.day_in_words(on)}", "", at, fact.party)
        case facts.AvenantConcluded():
            for change in fact.changes:
                if isinstance(change, facts.Withdrawal):
                    yield End(on, f"départ {french.day_in_words(on)}", "", at, change.party)
        case _:
            return


def _lasts(derogation: facts.DerogationGranted, on: date) -> bool:
    return derogation.until is None or derogation.until.before(on) is False


def _article(article: str) -> str:
    return french.typeset(french.article_in_words(article))
