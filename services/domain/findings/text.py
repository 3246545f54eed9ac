"""
Findings about the text: what it says twice, what it leaves unsaid, what it refers to in vain; its term.

Pure.
"""

from collections.abc import Iterator
from datetime import date
from typing import Final

from contracts import events as facts
from contracts.terms import (
    AdvancePlan,
    Amending,
    Delay,
    Denunciation,
    FixedPeriod,
    InstalmentPlan,
    LumpSum,
    NoPassingOn,
    Obligation,
    PeriodFrom,
    PeriodOf,
    ReturnOfSums,
    Termination,
)
from services.domain import time_limits
from services.domain.findings.payments import awarded
from services.domain.findings.view import Raised, View, a_day, on_day, some
from services.domain.french import article_in_words, count_in_words, euros

SIX_MONTHS: Final = Delay(count=6, unit="month", anchor="terme", direction="before")
"""How long before the term what follows it deserves a look: a renewal takes a vote of each assembly."""

RETURN_LAW_DAY: Final = date(2021, 7, 3)
"""From when a convention says what becomes of money not used (loi n° 2021-875, art. 1)."""


def contradiction(view: View) -> Iterator[Raised]:
    """What the sources say against each other, and nobody has settled."""
    settled = {fact.key for _, fact in view.told(facts.ContradictionSettled)}
    for held, found in view.told(facts.ContradictionFound):
        if found.key in settled:
            continue
        articles = dict.fromkeys(claim.source.article for claim in found.claims if claim.source.article)
        documents = dict.fromkeys(claim.source.document for claim in found.claims)
        yield Raised(
            f"{found.about} : {' / '.join(claim.says for claim in found.claims)}",
            (held.position,),
            " ; ".join(articles) or None,
            found.key,
            severity=found.severity,
            source=" ; ".join(documents),
        )


def total_wrong(view: View) -> Iterator[Raised]:
    """Figures that do not add up to the total stated for them, in a claim that nobody has settled."""
    settled = {fact.key for _, fact in view.told(facts.ContradictionSettled)}
    for held, found in view.told(facts.ContradictionFound):
        for claim in found.claims:
            adds = claim.adds
            if adds is None or sum(adds.parts) == adds.stated or found.key in settled:
                continue
            parts = " + ".join(map(count_in_words, adds.parts))
            yield Raised(
                f"{found.about} : {parts} font {count_in_words(sum(adds.parts))}, et non "
                f"{count_in_words(adds.stated)}.",
                (held.position,),
                claim.source.article,
                found.key,
                source=claim.source.document,
            )


def reference_broken(view: View) -> Iterator[Raised]:
    """An article named by a term or by an act, that the text in force does not have; not corrected since."""
    there: set[str] = set()
    for clause in view.known.clauses:
        there |= _holding(clause.article)
    corrected = {fact.article for _, fact in view.told(facts.MaterialErrorCorrected)}
    if not there:
        return
    for position, where, article, named in _references(view):
        if not there.isdisjoint({named, named.partition(",")[0].strip()}) or article in corrected:
            continue
        yield Raised(
            f"{where} renvoie à {_article(named)}, qui n’est pas dans le texte en vigueur.",
            (position,),
            article,
            named,
        )


def start_overlaps(view: View) -> Iterator[Raised]:
    """A convention that begins before the one it succeeds has ended."""
    succeeds = view.life.opened.succeeds if view.life.opened else None
    start = view.life.starts_on()
    if succeeds is None or succeeds not in view.known.conventions or start is None:
        return
    before = view.known.conventions[succeeds]
    ends = [
        ending.on
        for ending in before.life.endings
        if ending.kind in ("resiliation", "closing", "expiry") and ending.on.reached(view.on)
    ]
    term = before.life.ends_on(view.on)
    end = min((*ends, *((term,) if term else ())), key=lambda day: day.sort_key, default=None)
    if end is not None and end.before(start) is False:
        yield Raised(
            f"La convention prend effet {on_day(start)}, et celle qu’elle remplace, "
            f"« {before.life.title} », court jusqu’au {a_day(end)}.",
            _span_positions(view),
            _span_article(view),
            succeeds,
        )


def due_before_signature(view: View) -> Iterator[Raised]:
    """A day by which something is owed, that had passed when the last party signed."""
    if view.signed_on is None:
        return
    for clause, term in view.terms(Obligation):
        due = term.due.on if term.due else None
        if due is not None and due.before(view.signed_on):
            yield Raised(
                f"{term.what} : dû {on_day(due)}, avant la dernière signature ({on_day(view.signed_on)}).",
                (clause.position,),
                clause.article,
                term.key,
            )


def no_duration(view: View) -> Iterator[Raised]:
    """A text that states no duration, or one that cannot be dated yet."""
    if view.life.opened is None or not view.known.clauses:
        return
    periods = [*view.terms(FixedPeriod), *view.terms(PeriodOf), *view.terms(PeriodFrom)]
    if not periods:
        yield Raised("Le texte ne dit pas combien de temps il s’applique.", _opening(view))
    elif view.life.ends_on(view.on) is None:
        clause, _ = periods[0]
        yield Raised(
            f"Le terme ne peut pas être daté : {clause.about}.",
            (clause.position,),
            clause.article,
        )


def no_way_out(view: View) -> Iterator[Raised]:
    """A text that says nothing of how it may be ended before its term."""
    if view.life.opened is None or not view.known.clauses or view.life.opened.force == "promesse":
        return
    if not len(view.terms(Denunciation)) + len(view.terms(Termination)):
        yield Raised("Le texte ne prévoit ni dénonciation ni résiliation.", _opening(view))


def unspent_money_unsaid(view: View) -> Iterator[Raised]:
    """A convention that pays, and does not say what becomes of money not used."""
    unused = any(term.unused for _, term in view.terms(ReturnOfSums))
    old = view.signed_on is not None and view.signed_on < RETURN_LAW_DAY
    if _pays(view) and not unused and not old:
        yield Raised(
            "La convention verse une subvention et ne dit pas ce que devient la part non utilisée.",
            _paying(view),
        )


def passing_on_unsaid(view: View) -> Iterator[Raised]:
    """A convention that pays, and is silent on passing the money on."""
    if _pays(view) and not view.terms(NoPassingOn):
        yield Raised(
            "La convention verse une subvention et ne dit rien de son reversement à un tiers, que la loi "
            "interdit sauf clause expresse.",
            _paying(view),
        )


def annex_pending(view: View) -> Iterator[Raised]:
    """An annex named and not joined."""
    attached = {fact.name for _, fact in view.told(facts.AnnexAttached)}
    for held, pending in view.told(facts.AnnexPending):
        if pending.name not in attached:
            yield Raised(
                f"Annexe annoncée et non jointe : {pending.name}.",
                (held.position,),
                pending.source.article if pending.source else None,
                pending.name,
            )


def renewal_awaited(view: View) -> Iterator[Raised]:
    """The term is less than six months away, and no successor is decided."""
    end = view.life.ends_on(view.on)
    limit = time_limits.counted(SIX_MONTHS, end)
    if end is None or isinstance(limit, time_limits.NotComputable) or view.ended_on is not None:
        return
    if limit.last_day <= view.on and not view.told(facts.RenewalDecided):
        yield Raised(
            f"Le terme est {on_day(end)} et aucune suite n’est enregistrée.",
            _span_positions(view),
            _span_article(view),
        )


def over_and_unsettled(view: View) -> Iterator[Raised]:
    """A convention that has ended, not closed, with money still to pay or to give back."""
    if view.ended_on is None or view.told(facts.InstrumentClosed):
        return
    left: list[str] = []
    for account, line in view.accounts.items():
        payer, beneficiary, exercice = account
        back = max(line.overpaid_cents, line.recovery_ordered_cents) - line.returned_cents
        unpaid = line.voted_cents - line.paid_cents if not _cut_short(view) else 0
        if back > 0:
            left.append(
                f"{euros(back)} à rendre {view.n.to(payer)} par {view.n.the(beneficiary)} ({exercice})"
            )
        elif unpaid > 0:
            left.append(
                f"{euros(unpaid)} à verser {view.n.to(beneficiary)} par {view.n.the(payer)} ({exercice})"
            )
    if left:
        yield Raised(
            f"La convention a pris fin {on_day(view.ended_on)} et il reste à régler : {some(left)}.",
            _span_positions(view),
            _span_article(view),
        )


# -- what several rules ask


def _holding(article: str) -> set[str]:
    """An article and those that hold it: 7.1, al. 4 is in 7.1 and in 7."""
    number, _, _ = article.partition(",")
    steps = number.strip().split(".")
    return {article, *(".".join(steps[:count]) for count in range(1, len(steps) + 1))}


def _article(named: str) -> str:
    return f"l’{article_in_words(named)}" if named[:1].isdigit() else f"« {named} »"


def _references(view: View) -> Iterator[tuple[int, str, str | None, str]]:
    """Each article that something names: by which fact, said where, in which article, and which one."""
    for clause, plan in view.terms(InstalmentPlan):
        for named in plan.conditional_on_articles:
            yield clause.position, f"L’{article_in_words(clause.article)}", clause.article, named
    for clause, term in view.terms(Amending):
        for named in term.bipartite_for:
            yield clause.position, f"L’{article_in_words(clause.article)}", clause.article, named
    for held, notice in view.come(facts.NoticeSent):
        yield held.position, f"La mise en demeure {view.n.of(notice.by)}", None, notice.article
    for held, end in view.come(facts.ResiliationPronounced):
        yield held.position, f"La résiliation prononcée {on_day(held.effective_on)}", None, end.article
    for held, granted in view.come(facts.DerogationGranted):
        yield held.position, f"La dérogation accordée {view.n.to(granted.to)}", None, granted.article
    for held, stopped in view.come(facts.PaymentsSuspended):
        if stopped.article is not None:
            yield held.position, f"La suspension décidée {on_day(held.effective_on)}", None, stopped.article


def _opening(view: View) -> tuple[int, ...]:
    return tuple(held.position for held, _ in view.told(facts.InstrumentOpened))


def _pays(view: View) -> bool:
    opened = view.life.opened
    if opened is None or opened.force == "promesse":
        return False
    plans = len(view.terms(InstalmentPlan)) + len(view.terms(AdvancePlan)) + len(view.terms(LumpSum))
    return plans > 0 or any(True for _ in awarded(view))


def _paying(view: View) -> tuple[int, ...]:
    """The clauses that provide for payments, else the opening."""
    plans = [
        *(clause.position for clause, _ in view.terms(InstalmentPlan)),
        *(clause.position for clause, _ in view.terms(AdvancePlan)),
        *(clause.position for clause, _ in view.terms(LumpSum)),
    ]
    return tuple(sorted(plans)) or _opening(view)


def _span_positions(view: View) -> tuple[int, ...]:
    span = view.life.span(view.on)
    return (span.position,) if span else _opening(view)


def _span_article(view: View) -> str | None:
    span = view.life.span(view.on)
    return span.article if span else None


def _cut_short(view: View) -> bool:
    return any(ending.kind == "resiliation" and ending.on == view.ended_on for ending in view.life.endings)
