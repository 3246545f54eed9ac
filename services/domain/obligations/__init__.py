"""
What is owed besides money: documents, meetings, states to keep; due when, met or late.

Pure. Three steps for each obligation of the text: what is owed, one occurrence an
exercice or an event (_owed); what was done about it (deeds); which deed is about
which occurrence (_matched). A deed that names its exercice or its meeting is about
that one; another is about the occurrence whose day is nearest.

Each obligation is owed under the text of its day: where an avenant rewrites an
article, what fell due before is still judged by what the article said then.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Literal

import msgspec

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.terms import Delay, Meetings, Obligation
from services.domain import agrement, french, time_limits
from services.domain.known import Known
from services.domain.obligations import duties_view, meetings
from services.domain.obligations.deeds import Act, acts_on, agree, waivers_of
from services.domain.obligations.duties_view import Lasting, Stated, View
from services.domain.obligations.happenings import Occasion, happenings
from services.domain.obligations.meetings import MeetingsLine
from services.domain.text import ClauseLine, article_key
from services.domain.time_limits import Limit, NotComputable

ObligationState = Literal[
    "to-come",
    "due",
    "met",
    "met-late",
    "overdue",
    "waived",
    "undetermined",
    "without-date",
    "continuous",
    "uncovered",
]
"""
*due*: the month, the event or the request that opens it has come, or this is its last day;
before, *to-come*. *without-date*: the paper counts no day ("sans délai"), and nothing shows it
met. *undetermined*: dates are missing to tell. *continuous*: a state to keep, of which the
ledger knows nothing more; where it does, *met* or *uncovered*.
"""


class ObligationLine(msgspec.Struct, frozen=True):
    """
    One occurrence of an obligation on the day: of an exercice, of an event, or the only one.

    *due_on* is the last day in time and *rules* how it was counted; *because* says in French
    why no day is computable yet; *due_words* the paper's own words ("sans délai"). *met_by*
    is the position of the fact that met it, *days_late* how late; *waived_by* the institution
    that dispensed with it (*waived_at* its position), *deferred_to* the later day it granted
    instead. *refused_at* is the refusal of what was handed in. *occasion* in French, where an
    event makes it due. *optional*: a right with a day to it.
    """

    key: str
    what: str
    article: str
    avenant: str
    position: int
    debtor: str
    creditors: tuple[str, ...]
    recurrence: str
    state: ObligationState
    exercice: int | None = None
    occasion: str | None = None
    opens_on: date | None = None
    due_on: date | None = None
    due_words: str | None = None
    rules: tuple[str, ...] = ()
    because: tuple[str, ...] = ()
    met_on: PartialDate | None = None
    met_by: int | None = None
    days_late: int | None = None
    waived_by: str | None = None
    waived_at: int | None = None
    deferred_to: date | None = None
    refused_at: int | None = None
    document: str | None = None
    gates_payments: bool = False
    optional: bool = False


class Duties(msgspec.Struct, frozen=True):
    """Every obligation by due day, and every body by year."""

    obligations: tuple[ObligationLine, ...] = ()
    meetings: tuple[MeetingsLine, ...] = ()


def of(known: Known) -> Duties:
    """What is owed besides money under the text of a convention, on the day."""
    view = duties_view.of(known)
    lines: list[ObligationLine] = []
    bodies: list[MeetingsLine] = []
    for stated in duties_view.stated(known):
        match stated.clause.term:
            case Obligation():
                lines += _lines(stated, view)
            case Meetings():
                bodies += meetings.of(stated, view)
            case _:
                pass
    return Duties(tuple(sorted(lines, key=_by_day)), tuple(sorted(bodies, key=_by_year)))


def _by_day(line: ObligationLine) -> tuple[Any, ...]:
    # Lines that are alike in these are made in the order of their occasions, and stay in it.
    return line.due_on or date.max, article_key(line.article), line.position, line.exercice or 0


def _by_year(line: MeetingsLine) -> tuple[Any, ...]:
    return line.year or 9_999, article_key(line.article), line.body


# -- what is owed, before anybody does anything about it


class _Owed(msgspec.Struct, frozen=True):
    """One occurrence. *since*: an act before that day is about something else."""

    exercice: int | None = None
    occasion: str | None = None
    opens_on: date | None = None
    due_on: date | None = None
    due_words: str | None = None
    rules: tuple[str, ...] = ()
    because: tuple[str, ...] = ()
    since: PartialDate | None = None
    meeting: PartialDate | None = None


def _owed(stated: Stated, view: View) -> list[_Owed]:
    term = stated.clause.term
    assert isinstance(term, Obligation)
    match term.recurrence:
        case "once":
            return [_once(term, view)]
        case "yearly":
            return _each_year(term, view)
        case "continuous":
            return [] if _is_over(view) else [_Owed(due_words=_words(term))]
        case "on-request":
            requested = happenings("document-requested", term, view)
            return [_on_occasion(term, one, view) for one in requested] or [_standing(term, "sur demande")]
        case "on-event":
            happened = happenings(term.occasion, term, view) if term.occasion else []
            return [_on_occasion(term, one, view) for one in happened] or [_standing(term, None)]


def _is_over(view: View) -> bool:
    return view.lasting.end is not None and view.known.on > view.lasting.end


def _words(term: Obligation) -> str | None:
    return term.due.words if term.due else None


def _standing(term: Obligation, words: str | None) -> _Owed:
    """What nobody asked for yet, or no event has made due: the paper's words on when it would be."""
    said = [words] if words else []
    said += [french.due_in_words(term.due)] if term.due else []
    return _Owed(due_words=french.typeset(", ".join(said)) or None)


def _once(term: Obligation, view: View) -> _Owed:
    due = term.due
    if due is None or due.words is not None:
        return _Owed(due_words=_words(term))
    if due.on is not None:
        return _dated(time_limits.on_date(due.on, term.what), _Owed())
    if due.delay is not None:
        return _dated(_from(due.delay, term, view, None), _Owed())
    assert due.each_year is not None
    start = view.lasting.start
    if start is None:
        return _Owed(because=view.lasting.because)
    return _dated(time_limits.yearly(due.each_year, start.year), _Owed())


def _each_year(term: Obligation, view: View) -> list[_Owed]:
    lasting, due = view.lasting, term.due
    if lasting.start is None:
        return [_Owed(because=lasting.because, due_words=_words(term))]
    years = range(lasting.start.year, lasting.last_year(view.known.on) + 1)
    if due is not None and due.each_year is not None:
        return list(_each_exercice(term, lasting, years))
    if due is not None and due.delay is not None:
        return [one for year in years for one in _in_year(term, due.delay, year, view)]
    return [_Owed(exercice=year, due_words=_words(term)) for year in years]


def _each_exercice(term: Obligation, lasting: Lasting, years: range) -> Iterator[_Owed]:
    """
    The exercices whose day falls while the instrument lasts, up to its last one.

    What is told of an exercice after its end (accounts, a report) is owed of each that it
    covered, even where the day comes after the instrument is over.
    """
    assert term.due is not None
    assert term.due.each_year is not None
    assert lasting.start is not None
    when = term.due.each_year
    for exercice in range(years.start - abs(when.of_exercice), years.stop):
        limit = time_limits.yearly(when, exercice)
        told_after = when.of_exercice > 0 and exercice in years
        in_time = lasting.end is None or limit.last_day <= lasting.end
        if limit.last_day >= lasting.start and (in_time or told_after):
            yield _dated(limit, _Owed(exercice=exercice))


def _in_year(term: Obligation, delay: Delay, year: int, view: View) -> list[_Owed]:
    """Once for each event of the year that starts the delay; once without a day while there is none."""
    happened = happenings(delay.starts_at, term, view) if delay.starts_at else []
    of_year = [
        one
        for one in happened
        if one.when.first and one.when.last and one.when.first.year == year == one.when.last.year
    ]
    if not of_year:
        anchor = f"{delay.anchor}, {year}"
        missing = NotComputable("anchor-missing" if delay.starts_at else "anchor-unstated", anchor)
        return [_dated(missing, _Owed(exercice=year))]
    return [
        _dated(
            time_limits.counted(delay, one.when),
            _Owed(exercice=year, occasion=one.words, meeting=one.meeting),
        )
        for one in of_year
    ]


def _on_occasion(term: Obligation, occasion: Occasion, view: View) -> _Owed:
    owed = _Owed(
        exercice=occasion.exercice,
        occasion=occasion.words,
        opens_on=occasion.when.day,
        due_words=_words(term),
        since=occasion.when,
        meeting=occasion.meeting,
    )
    due = term.due
    if due is None or due.words is not None:
        return owed
    if due.on is not None:
        return _dated(time_limits.on_date(due.on, term.what), owed)
    if due.each_year is not None:
        first = occasion.when.first
        if first is None:
            return _dated(NotComputable("anchor-missing", occasion.words), owed)
        return _dated(time_limits.yearly(due.each_year, first.year), owed)
    assert due.delay is not None
    if due.delay.starts_at is None:
        return _unstated(due.delay, occasion, owed)
    if due.delay.starts_at == (term.occasion or "document-requested"):
        return _dated(time_limits.counted(due.delay, occasion.when), owed)
    return _dated(_from(due.delay, term, view, occasion.meeting), owed)


def _unstated(delay: Delay, occasion: Occasion, owed: _Owed) -> _Owed:
    """No day, for the paper does not say from when: and what it would be if counted from the event."""
    told = _dated(NotComputable("anchor-unstated", delay.anchor), owed)
    limit = time_limits.counted(delay, occasion.when)
    if isinstance(limit, NotComputable):
        return told
    anchor, last = (french.date_in_words(day) for day in (occasion.when, PartialDate.of(limit.last_day)))
    reading = f"pour information : compté du {anchor} ({occasion.words}), le dernier jour serait le {last}"
    return msgspec.structs.replace(told, because=(*told.because, french.typeset(reading)))


def _from(delay: Delay, term: Obligation, view: View, meeting: PartialDate | None) -> Limit | NotComputable:
    """The delay counted from the event that starts it, of that *meeting*; from the last of several."""
    if delay.starts_at is None:
        return NotComputable("anchor-unstated", delay.anchor)
    happened = [one for one in happenings(delay.starts_at, term, view) if agree(one.meeting, meeting)]
    return time_limits.counted(delay, happened[-1].when if happened else None)


def _dated(limit: Limit | NotComputable, owed: _Owed) -> _Owed:
    if isinstance(limit, NotComputable):
        return msgspec.structs.replace(owed, because=(limit.sentence,))
    opens_on = limit.opens_on or owed.opens_on
    return msgspec.structs.replace(owed, due_on=limit.last_day, rules=limit.rules, opens_on=opens_on)


# -- which deed is about which occurrence


class _Outcome(msgspec.Struct, frozen=True):
    """What became of one occurrence. *perhaps*: something undated may be about it."""

    met: Act | None = None
    waived: Act | None = None
    refused_at: int | None = None
    perhaps: bool = False


def _matched(owed: Sequence[_Owed], acts: Sequence[Act], waivers: Sequence[Act]) -> list[_Outcome]:
    if not acts and not waivers:
        return [_Outcome()] * len(owed)
    met: dict[int, Act] = {}
    refused: dict[int, Act] = {}
    waived: dict[int, Act] = {}
    perhaps: set[int] = set()
    for act in acts:
        fitting = [place for place, one in enumerate(owed) if _fits(act, one)]
        at = _nearest(act, owed, fitting, [place for place in fitting if place not in met])
        if not act.sure:
            perhaps.update(fitting)
        elif at is not None and act.refused_at is not None:
            refused[at] = act
        elif at is not None:
            met.setdefault(at, act)
    for waiver in waivers:
        fitting = [place for place, one in enumerate(owed) if _fits(waiver, one)]
        if not waiver.sure:
            perhaps.update(fitting)
        elif (at := _nearest(waiver, owed, fitting, _unanswered(waiver, fitting, met, waived))) is not None:
            waived[at] = waiver
    return [
        _Outcome(
            met.get(at), waived.get(at), refused[at].refused_at if at in refused else None, at in perhaps
        )
        for at in range(len(owed))
    ]


def _unanswered(waiver: Act, fitting: list[int], met: dict[int, Act], waived: dict[int, Act]) -> list[int]:
    """Those of *fitting* that nobody had met or dispensed with when the waiver was given."""
    return [
        place
        for place in fitting
        if place not in waived and not (place in met and met[place].when.before(waiver.when))
    ]


def _fits(act: Act, owed: _Owed) -> bool:
    if not agree(act.exercice, owed.exercice) or not agree(act.meeting, owed.meeting):
        return False
    return owed.since is None or not act.when.before(owed.since)


def _nearest(act: Act, owed: Sequence[_Owed], fitting: list[int], open_ones: list[int]) -> int | None:
    if len(fitting) < 2:
        return fitting[0] if fitting else None
    # One event after another: the first that nobody has answered.
    if owed[fitting[0]].since is not None:
        return open_ones[0] if open_ones else None
    return min(fitting, key=lambda place: _distance(act, owed[place]))


def _distance(act: Act, owed: _Owed) -> int:
    """Days from the act to the day it is due, or to the exercice where no day is said."""
    day = act.when.first
    if day is None:
        return 0
    if owed.due_on is not None:
        return abs((day - owed.due_on).days)
    year = owed.exercice or day.year
    return max((date(year, 1, 1) - day).days, (day - date(year, 12, 31)).days, 0)


# -- the lines


def _lines(stated: Stated, view: View) -> Iterator[ObligationLine]:
    term = stated.clause.term
    assert isinstance(term, Obligation)
    owed = _owed(stated, view)
    outcomes = _matched(owed, acts_on(term, view), waivers_of(term, stated.clause.article, view))
    for one, outcome in zip(owed, outcomes, strict=True):
        # Where an avenant took the clause's place, only what fell due under it is still judged by it.
        if not stated.rules(one.due_on) if one.due_on else stated.until is not None:
            continue
        line = _line(stated.clause, term, one, outcome, view)
        # Nobody owes what was a right and was let go by.
        if not (term.optional and line.state == "overdue"):
            yield line


def _line(clause: ClauseLine, term: Obligation, owed: _Owed, outcome: _Outcome, view: View) -> ObligationLine:
    met, waived = outcome.met, outcome.waived
    deferred_to = waived.until.last if waived is not None and waived.until is not None else None
    state, days_late = _state(owed, outcome, deferred_to, view.known.on)
    line = ObligationLine(
        key=term.key,
        what=term.what,
        article=clause.article,
        avenant=clause.avenant,
        position=clause.position,
        debtor=term.debtor,
        creditors=term.creditors,
        recurrence=term.recurrence,
        state=state,
        exercice=owed.exercice,
        occasion=owed.occasion,
        opens_on=owed.opens_on,
        due_on=owed.due_on,
        due_words=owed.due_words,
        rules=owed.rules,
        because=owed.because,
        met_on=met.when if met else None,
        met_by=met.position if met else None,
        days_late=days_late,
        waived_by=waived.by if waived else None,
        waived_at=waived.position if waived else None,
        deferred_to=deferred_to,
        refused_at=outcome.refused_at,
        document=term.document,
        gates_payments=term.gates_payments,
        optional=term.optional,
    )
    if term.recurrence == "continuous":
        line = _kept(line, term, view)
    if clause.come != "yes":
        why = f"l’avenant {clause.avenant} qui l’énonce n’est pas daté"
        return msgspec.structs.replace(line, state="undetermined", because=(*line.because, why))
    return line


def _state(
    owed: _Owed, outcome: _Outcome, deferred_to: date | None, on: date
) -> tuple[ObligationState, int | None]:
    met, waived, last = outcome.met, outcome.waived, deferred_to or owed.due_on
    dispensed = waived is not None and (waived.until is None or deferred_to is None)
    if met is not None:
        late = met.when.after(last) if last else False
        if late is False:
            return "met", None
        if dispensed:
            return "waived", None
        if late is None or last is None:
            return "undetermined", None
        return "met-late", (met.when.day - last).days if met.when.day else None
    if dispensed:
        return "waived", None
    if outcome.perhaps:
        return "undetermined", None
    if last is None:
        return ("undetermined" if owed.because else "without-date"), None
    if on > last:
        return "overdue", None
    opened = owed.opens_on is not None and owed.opens_on <= on
    return ("due" if opened or on == last else "to-come"), None


def _kept(line: ObligationLine, term: Obligation, view: View) -> ObligationLine:
    """A state to keep, on the day: what the agrément's stream or the insurances shown tell of it."""
    start = view.lasting.start
    if start is not None and view.known.on < start:
        return msgspec.structs.replace(line, state="to-come")
    match term.met_by:
        case "agrement":
            return _held(line, view)
        case "insurance":
            return _insured(line, view)
        case _:
            return msgspec.structs.replace(line, state="continuous")


def _held(line: ObligationLine, view: View) -> ObligationLine:
    state, on = view.known.agrements.get(line.debtor), view.known.on
    standing = agrement.standing(state.book, on) if state is not None else "none"
    words = french.STANDINGS[standing]
    if state is not None and standing == "granted":
        cover = [
            one
            for one in agrement.covers(state.book)
            if one.starts_on.reached(on) and one.ends_on.before(on) is False
        ][-1]
        return msgspec.structs.replace(line, state="met", met_on=cover.starts_on, met_by=cover.position)
    lost = standing in ("suspended", "withdrawn", "lapsed")
    return msgspec.structs.replace(line, state="uncovered" if lost else "undetermined", because=(words,))


def _insured(line: ObligationLine, view: View) -> ObligationLine:
    on = view.known.on
    shown = [held for held in view.of(facts.InsuranceShown) if held.fact.party == line.debtor]
    inside = [
        (held, held.fact.starts_on.reached(on), held.fact.ends_on.before(on))
        for held in shown
        if view.sure(held)
    ]
    for held, begun, ended in reversed(inside):
        if begun and ended is False:
            return msgspec.structs.replace(
                line,
                state="met",
                met_on=held.effective_on,
                met_by=held.position,
                occasion=f"couverture {french.period_in_words(held.fact.starts_on, held.fact.ends_on)}",
            )
    if not shown:
        return msgspec.structs.replace(line, state="continuous")
    if len(inside) < len(shown) or any(
        begun is not False and ended is not True for _, begun, ended in inside
    ):
        return msgspec.structs.replace(line, state="undetermined")
    return msgspec.structs.replace(
        line, state="uncovered", because=("aucune attestation connue ne couvre ce jour",)
    )
