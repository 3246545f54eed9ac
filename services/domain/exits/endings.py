"""
What ended a convention by a day, or will: résiliation, dénonciation, term, closing; what follows it.

Pure. Each line tells when, by which article, by whom, whether the day is reached,
and what stops being paid. Whether a résiliation was regular is told beside it and
changes nothing: it stands until whoever may says otherwise.
"""

from collections.abc import Sequence
from datetime import date
from typing import Literal

import msgspec

from contracts.dates import PartialDate
from contracts.events import (
    AvenantConcluded,
    DenunciationTookEffect,
    InstrumentClosed,
    InstrumentExpired,
    RenewalDecided,
    ResiliationPronounced,
    ResiliationTookEffect,
)
from contracts.terms import PeriodFrom, PeriodOf, ReturnOfSums
from services.domain import french
from services.domain.book import Held
from services.domain.convention import Span
from services.domain.exits import exit_ways, leaving, notices
from services.domain.exits.denunciations import DenunciationLine
from services.domain.exits.exit_ways import Deliberated
from services.domain.exits.notices import NoticeCourse
from services.domain.known import Known
from services.domain.text import ClauseLine

EndKind = Literal["resiliation", "denonciation", "expiry", "closing", "renewal", "prorogation"]
UNKNOWN = PartialDate("XXXX")


class EndLine(msgspec.Struct, frozen=True):
    """
    What ended the convention or will: how, when, by which article, and what stops being paid then.

    *on* is the first day without it, but for an *expiry*, whose *on* is the last day with it; *reached*:
    whether it is so on the statement's day, None where the dates do not tell. *says* in French.
    *consequences* and *irregular*: in French, what a résiliation brings and lacks. *remaining*: who
    stays after a dénonciation. *old_end* and *new_end*: the last day before and after a prorogation,
    None where there was none.
    """

    kind: EndKind
    on: PartialDate
    reached: bool | None
    article: str | None
    by: tuple[str, ...]
    says: str
    positions: tuple[int, ...]
    payments_stop_on: PartialDate | None = None
    payments_article: str | None = None
    authorised_by: tuple[Deliberated, ...] = ()
    irregular: tuple[str, ...] = ()
    consequences: tuple[str, ...] = ()
    remaining: tuple[str, ...] = ()
    old_end: PartialDate | None = None
    new_end: PartialDate | None = None
    successor: str | None = None


def of(
    known: Known, sent: tuple[NoticeCourse, ...], served: tuple[DenunciationLine, ...]
) -> tuple[EndLine, ...]:
    """All of them by their day; *sent* and *served* are the mises en demeure and dénonciations of the day."""
    lines = [
        *_prorogations(known),
        *_terminations(known, sent),
        *_departures(known, served),
        *_renewals(known),
        *_closings(known),
    ]
    lines += _expiry(known, lines)
    return tuple(sorted(lines, key=lambda line: (line.on.sort_key, line.positions)))


def _line(known: Known, kind: EndKind, held: Held, says: str) -> EndLine:
    on = held.effective_on
    return EndLine(kind, on, on.reached(known.on), None, (), french.typeset(says), (held.position,))


# -- résiliation


def _terminations(known: Known, sent: tuple[NoticeCourse, ...]) -> list[EndLine]:
    noted = [held for held, _ in known.told(ResiliationTookEffect)]
    pronounced = known.told(ResiliationPronounced)
    if not pronounced:
        return [
            _stopping(known, _line(known, "resiliation", held, "prise d’effet d’une résiliation"))
            for held in noted
        ]
    lines = [_termination(known, held, fact, sent) for held, fact in pronounced]
    # What was noted to take effect is what was pronounced last before it.
    last = lines[-1]
    for held in noted:
        last = msgspec.structs.replace(last, positions=(*last.positions, held.position))
        earlier = last.on.day is None or held.effective_on.before(last.on)
        if earlier and held.effective_on.first is not None:
            on = held.effective_on
            last = _stopping(known, msgspec.structs.replace(last, on=on, reached=on.reached(known.on)))
    return [*lines[:-1], last]


def _termination(
    known: Known, held: Held, fact: ResiliationPronounced, sent: tuple[NoticeCourse, ...]
) -> EndLine:
    on = fact.takes_effect_on
    says = (
        f"résiliation prononcée {french.day_in_words(held.effective_on)} "
        f"({french.article_in_words(fact.article)}), effet {french.day_in_words(on)} : {fact.ground}"
    )
    line = _line(known, "resiliation", held, says)
    authorised = exit_ways.authorised(known, fact.by, "resiliation", held.effective_on)
    return _stopping(
        known,
        msgspec.structs.replace(
            line,
            on=on,
            reached=on.reached(known.on),
            article=fact.article,
            by=fact.by,
            authorised_by=authorised,
            irregular=_irregular(known, held, fact, sent, authorised),
        ),
    )


def _stopping(known: Known, line: EndLine) -> EndLine:
    """*line* with what stops being paid: what a clause says of it, and nothing where none does."""
    line = msgspec.structs.replace(line, consequences=exit_ways.consequences(known))
    clause = _stopping_clause(known)
    if clause is None:
        return line
    return msgspec.structs.replace(line, payments_stop_on=line.on, payments_article=clause.article)


def _stopping_clause(known: Known) -> ClauseLine | None:
    """The clause by which a résiliation interrupts the payments."""
    return next(
        (
            clause
            for clause in known.clauses
            if isinstance(clause.term, ReturnOfSums) and clause.term.payments_stop
        ),
        None,
    )


def _irregular(
    known: Known,
    held: Held,
    fact: ResiliationPronounced,
    sent: tuple[NoticeCourse, ...],
    authorised: tuple[Deliberated, ...],
) -> tuple[str, ...]:
    """What it lacks of what its article and the law want, as far as the dates tell."""
    lacks = []
    article = french.article_in_words(fact.article)
    found = notices.clause_of(leaving.clauses_on(known, held.effective_on), fact.article)
    if found is None:
        lacks.append(f"{article} ne prévoit pas de résiliation")
    else:
        may = exit_ways.entitled(found[1], known, held.effective_on)
        if not set(fact.by) <= set(may):
            lacks.append(f"prononcée par qui n’y a pas droit ({article})")
        if found[1].jointly and set(may) - set(fact.by):
            lacks.append(f"prononcée sans tous ceux qui doivent le faire ensemble ({article})")
        if found[1].cure.count:
            lacks += _notice_lacking(held, fact, sent)
    if any(one.required and one.state == "no" for one in authorised):
        lacks.append("prononcée sans délibération enregistrée qui l’autorise")
    return tuple(french.typeset(lack) for lack in lacks)


def _notice_lacking(held: Held, fact: ResiliationPronounced, sent: tuple[NoticeCourse, ...]) -> list[str]:
    notice = next((one for one in sent if one.key == fact.notice), None)
    if notice is None:
        return ["aucune mise en demeure n’est citée"]
    if notice.state == "satisfied":
        return ["la mise en demeure a été suivie d’effet"]
    if notice.ends_on is not None and held.effective_on.after(notice.ends_on) is False:
        ends_on = leaving.day_in_words(notice.ends_on)
        return [f"prononcée avant la fin du délai de la mise en demeure ({ends_on})"]
    return []


# -- dénonciation


def _departures(known: Known, served: tuple[DenunciationLine, ...]) -> list[EndLine]:
    lines = [
        _departure(known, held.effective_on, fact.by, (held.position,), "départ par dénonciation", served)
        for held, fact in known.told(DenunciationTookEffect)
    ]
    return lines + _departures_to_come(known, served)


def _departures_to_come(known: Known, served: tuple[DenunciationLine, ...]) -> list[EndLine]:
    """Who told all it had to in time for a true anniversary leaves then; until noted, it is expected to."""
    groups: dict[tuple[str, PartialDate], list[DenunciationLine]] = {}
    for line in served:
        groups.setdefault((line.by, line.anniversary), []).append(line)
    return [
        _departure(
            known,
            anniversary,
            by,
            tuple(line.position for line in lines if line.position),
            "départ par dénonciation, qui n’est pas encore constaté",
            served,
        )
        for (by, anniversary), lines in groups.items()
        if all(line.in_time and line.is_anniversary is not False and not line.took_effect for line in lines)
    ]


def _departure(
    known: Known,
    on: PartialDate,
    by: str,
    positions: tuple[int, ...],
    what: str,
    served: tuple[DenunciationLine, ...],
) -> EndLine:
    remaining = tuple(party for party in leaving.parties_on(known, on) if party != by)
    if len(remaining) > 1:
        left = f"la convention continue entre {len(remaining)} parties"
    else:
        left = "il ne reste pas deux parties : la convention prend fin"
    mine = [line for line in served if line.by == by]
    # The assembly decides before the letter goes, and where no letter is told, before its effect.
    decided_by = next((line.served_on for line in mine if line.served_on), on)
    return EndLine(
        kind="denonciation",
        on=on,
        reached=on.reached(known.on),
        article=next((line.article for line in mine), None),
        by=(by,),
        says=french.typeset(f"{what} ; {left}"),
        positions=positions,
        authorised_by=exit_ways.authorised(known, (by,), "denonciation", decided_by),
        remaining=remaining,
    )


# -- the term, what moves it, what comes after


def _prorogations(known: Known) -> list[EndLine]:
    life = known.life
    spans = sorted(life.spans, key=lambda one: (one.avenant is not None, one.said_on.sort_key, one.position))
    binds = {fact.number: fact.binds for _, fact in known.told(AvenantConcluded)}
    return [
        _prorogation(known, span, tuple(spans[:place]), binds[span.avenant])
        for place, span in enumerate(spans)
        if span.avenant is not None
    ]


def _prorogation(known: Known, span: Span, before: tuple[Span, ...], binds: tuple[str, ...]) -> EndLine:
    assert span.avenant is not None
    life = known.life
    old = msgspec.structs.replace(life, spans=before).ends_on(known.on)
    # What it says by itself, be it in effect or not.
    said = msgspec.structs.replace(span, avenant=None)
    new = msgspec.structs.replace(life, spans=(said,)).ends_on(known.on)
    awaited = life.awaited(span.avenant, known.on)
    reached = False if awaited else span.said_on.reached(known.on)
    says = f"{_moved(old, new)} ({french.avenant_in_words(span.avenant)})"
    if awaited:
        says += ", sans effet tant que toutes les parties qu’il lie n’ont pas signé"
    return EndLine(
        kind="prorogation",
        on=span.said_on,
        reached=reached,
        article=span.article,
        by=binds,
        says=french.typeset(says),
        positions=(span.position,),
        old_end=old,
        new_end=new,
    )


def _moved(old: PartialDate | None, new: PartialDate | None) -> str:
    if new is None:
        return "durée changée, sans terme daté"
    if old is None:
        return f"terme fixé : {french.date_in_words(new)} inclus"
    return f"terme {'avancé' if new.before(old) else 'reporté'} {french.period_in_words(old, new)}"


def _expiry(known: Known, others: list[EndLine]) -> list[EndLine]:
    """The term, unless something else ended the convention before."""
    end, span = known.life.ends_on(known.on), known.life.span(known.on)
    noted = known.told(InstrumentExpired)
    positions = ((span.position,) if span else ()) + tuple(held.position for held, _ in noted)
    if end is None:
        return _undated_expiry(known, span, noted, positions)
    assert span is not None
    if any(_ended_before(line, end) for line in others):
        return []
    noted_on = [held.effective_on for held, _ in noted if held.effective_on.reached(known.on)]
    reached = True if noted_on else end.before(known.on)
    says = f"terme : {french.date_in_words(end)} inclus"
    says += f", atteint selon un constat ({french.date_in_words(noted_on[0])})" if noted_on else ""
    return [EndLine("expiry", end, reached, span.article, (), french.typeset(says), positions)]


def _undated_expiry(
    known: Known,
    span: Span | None,
    noted: Sequence[tuple[Held, InstrumentExpired]],
    positions: tuple[int, ...],
) -> list[EndLine]:
    if noted:
        line = _line(known, "expiry", noted[0][0], "terme atteint, selon un constat")
        return [msgspec.structs.replace(line, positions=positions, article=span.article if span else None)]
    match span.term if span else None:
        case PeriodFrom(anchor=anchor):
            why = (
                f"le terme se compte depuis {french.PERIOD_ANCHORS[anchor]}, qui n’est pas datée au jour près"
            )
        case PeriodOf(something=something):
            why = f"le terme est lié à : {something}"
        case _:
            return []
    assert span is not None
    return [EndLine("expiry", UNKNOWN, None, span.article, (), french.typeset(why), positions)]


def _ended_before(line: EndLine, end: PartialDate) -> bool:
    if line.kind == "denonciation" and len(line.remaining) > 1:
        return False
    ends = line.kind in ("resiliation", "denonciation", "closing") and line.reached
    return bool(ends and not line.on.after(end))


def _renewals(known: Known) -> list[EndLine]:
    lines = []
    for held, fact in known.told(RenewalDecided):
        other = known.conventions.get(fact.successor)
        opened = other.life.opened if other else None
        title = f"« {opened.title} » prend la suite" if opened else "un autre acte prend la suite"
        line = _line(known, "renewal", held, f"renouvellement : {title}")
        lines.append(msgspec.structs.replace(line, successor=fact.successor))
    return lines


def _closings(known: Known) -> list[EndLine]:
    return [
        _line(known, "closing", held, "dossier clos" + (f" : {fact.reason}" if fact.reason else ""))
        for held, fact in known.told(InstrumentClosed)
    ]


def first_stop(lines: tuple[EndLine, ...], on: date) -> EndLine | None:
    """The first résiliation in effect by the day that interrupts the payments, of *lines* by their day."""
    stops = (line for line in lines if line.payments_stop_on is not None and line.on.reached(on))
    return next(stops, None)
