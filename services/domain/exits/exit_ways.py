"""
The ways out that the text in force offers on a day: who may leave, how, and when at the earliest.

Pure. Three procedures, each with its own actors, form, delay and effect: a party
denounces at an anniversary, with notice; a party terminates for a fault, after a
mise en demeure that was not heeded; the entities terminate on grounds of their
own. A way is only ever a right: nothing ends by itself.

A public body leaves as it came in, by its assembly (parallélisme des compétences):

    commune       CGCT L2121-29            EPCI     CGCT L5211-10
    CCAS          CASF R123-20             région   CGCT L4221-1
    département   CGCT L3211-1
"""

from datetime import date, timedelta
from typing import Final, Literal

import msgspec

from contracts.dates import PartialDate
from contracts.events import DeliberationAdopted
from contracts.terms import Denunciation, PeriodFrom, ReturnOfSums, Termination
from services.domain import french, time_limits
from services.domain.book import Come
from services.domain.exits import leaving
from services.domain.exits.leaving import OVER, Counted, day_in_words
from services.domain.known import Known
from services.domain.phase import bound
from services.domain.text import ClauseLine
from services.domain.time_limits import NotComputable

EXPIRY_RULE: Final = "CPC art. 642 al. 1 : le dernier jour compte jusqu’à vingt-quatre heures"
ASSEMBLIES: Final = {
    "commune": "CGCT art. L2121-29",
    "ccas": "CASF art. R123-20",
    "epci": "CGCT art. L5211-10",
    "departement": "CGCT art. L3211-1",
    "region": "CGCT art. L4221-1",
}
"""Whose assembly must decide, and by which text."""

FROM_A_NOTICE: Final = ("notice-sent", "notice-presented", "notice-received")

WayKind = Literal["denonciation", "resiliation-faute", "resiliation-entites", "resiliation"]
_KINDS: Final[dict[str | None, WayKind]] = {
    "fault": "resiliation-faute",
    "entities": "resiliation-entites",
    None: "resiliation",
}


class Deliberated(msgspec.Struct, frozen=True):
    """
    Whether the assembly of *institution* authorised an exit, and in which entry.

    *required*: whether it must, by *source*; None where the kind of institution is not recorded.
    """

    institution: str
    position: int | None
    state: Come = "no"
    required: bool | None = True
    source: str = ""


class ExitWay(msgspec.Struct, frozen=True):
    """
    One way out that the text in force offers: who may, in what form, on which grounds, with which delay.

    For a dénonciation, *anniversary* is the next one that notice can still be served for, and
    *notice_by* the last day to serve it. For a résiliation, *cure_ends_on* is the last day to
    comply with a mise en demeure sent on the statement's day. *effect_on*: the first day out, at
    the earliest. *because* says in French why a day is not computable. *rules* cite how days were
    counted. *jointly*: whether they act all together; None where the paper does not say.
    *consequences*: in French, what stops being paid and what is given back, by which article.
    """

    kind: WayKind
    article: str
    position: int
    who: tuple[str, ...]
    form: str
    grounds: tuple[str, ...]
    authorised_by: tuple[Deliberated, ...] = ()
    anniversary: date | None = None
    notice_by: date | None = None
    effect_on: date | None = None
    rules: tuple[str, ...] = ()
    because: tuple[str, ...] = ()
    cure_ends_on: date | None = None
    jointly: bool | None = None
    to_all_others: bool = False
    opens_on_loss_of_agrement: bool = False
    consequences: tuple[str, ...] = ()


def of(known: Known) -> tuple[ExitWay, ...]:
    """The ways out on the day, in the paper's order; none once the convention is over."""
    if known.phase in OVER:
        return ()
    ways = []
    for clause in known.clauses:
        match clause.term:
            case Denunciation():
                ways.append(_denunciation(known, clause, clause.term))
            case Termination():
                ways.append(_termination(known, clause, clause.term))
            case _:
                pass
    return tuple(ways)


def entitled(term: Termination, known: Known, when: PartialDate | date) -> tuple[str, ...]:
    """Who may terminate on a day by that clause: those it names, or every party."""
    parties = leaving.parties_on(known, when)
    return tuple(party for party in parties if not term.by or party in term.by)


def consequences(known: Known) -> tuple[str, ...]:
    """What a résiliation stops and makes to be given back, by the text in force."""
    told = []
    for clause in known.clauses:
        if not isinstance(clause.term, ReturnOfSums):
            continue
        article = french.article_in_words(clause.article)
        if clause.term.payments_stop:
            told.append(f"les versements s’interrompent ({article})")
        if clause.term.unused:
            told.append(f"les sommes non utilisées sont à rendre ({article})")
        if clause.term.undue:
            told.append(f"les sommes indûment perçues sont à rendre ({article})")
    return tuple(told)


def _termination(known: Known, clause: ClauseLine, term: Termination) -> ExitWay:
    who = entitled(term, known, known.on)
    cure = _cure_from_today(known, term)
    last = cure.last_day
    way = ExitWay(
        kind=_KINDS[term.way],
        article=clause.article,
        position=clause.position,
        who=who,
        form=term.form,
        grounds=term.grounds,
        authorised_by=authorised(known, who, "resiliation", PartialDate.of(known.on)),
        effect_on=None if last is None else last + timedelta(days=1),
        rules=(*cure.rules, EXPIRY_RULE) if last else (),
        because=cure.because,
        cure_ends_on=last,
        jointly=term.jointly,
        opens_on_loss_of_agrement=term.opens_on_loss_of_agrement,
        consequences=consequences(known),
    )
    return _once_in_force(known, way)


def _cure_from_today(known: Known, term: Termination) -> Counted:
    """The cure period if the letter were sent, presented and received on the day: it ends no earlier."""
    if term.cure.starts_at is None:
        return unstated(term)
    today = PartialDate.of(known.on) if term.cure.starts_at in FROM_A_NOTICE else None
    return leaving.counted(term.cure, today)


def unstated(term: Termination) -> Counted:
    """The paper does not say from which day the cure period runs."""
    return leaving.uncounted(NotComputable("anchor-unstated", term.cure.anchor))


def _once_in_force(known: Known, way: ExitWay) -> ExitWay:
    """*way*, without its days while it is not known that there is anything to leave."""
    doubts = ", ".join(french.DOUBTS[doubt] for doubt in known.doubts)
    match known.phase:
        case "en-vigueur" if not known.doubts:
            return way
        case "en-vigueur":
            reason = f"la convention est peut-être déjà finie : {doubts}"
        case "indetermine":
            reason = f"on ne sait pas si la convention est en vigueur ce jour-là : {doubts}"
        case _:
            reason = "d’après ce qui est enregistré, la convention n’est pas en vigueur ce jour-là"
    return msgspec.structs.replace(
        way,
        anniversary=None,
        notice_by=None,
        effect_on=None,
        cure_ends_on=None,
        rules=(),
        because=(french.typeset(reason), *way.because),
    )


# -- dénonciation


def _denunciation(known: Known, clause: ClauseLine, term: Denunciation) -> ExitWay:
    who = leaving.parties_on(known, known.on)
    way = ExitWay(
        kind="denonciation",
        article=clause.article,
        position=clause.position,
        who=who,
        form=term.form,
        grounds=(),
        authorised_by=authorised(known, who, "denonciation", PartialDate.of(known.on)),
        jointly=False,
        to_all_others=term.to_all_others,
    )
    if term.at_anniversary:
        way = _at_an_anniversary(known, term, way)
    else:
        ahead = msgspec.structs.replace(term.notice, direction="after")
        limit = leaving.counted(ahead, PartialDate.of(known.on))
        way = msgspec.structs.replace(way, effect_on=limit.last_day, rules=limit.rules, because=limit.because)
    return _once_in_force(known, way)


def _at_an_anniversary(known: Known, term: Denunciation, way: ExitWay) -> ExitWay:
    start, because = started_on(known)
    if start is None:
        return msgspec.structs.replace(way, because=because)
    missed: tuple[str, ...] = ()
    years = max(1, known.on.year - start.year)
    # It ends: each anniversary has its last day of notice a year later than the one before.
    while True:
        anniversary = time_limits.anniversary(start, years)
        if not within_the_term(known, anniversary):
            because = (*missed, _beyond(known, anniversary))
            return msgspec.structs.replace(way, because=because)
        notice = notice_for(term, PartialDate.of(anniversary))
        if notice.last_day is None:
            return msgspec.structs.replace(way, because=notice.because)
        if notice.last_day >= known.on:
            return msgspec.structs.replace(
                way,
                anniversary=anniversary,
                notice_by=notice.last_day,
                effect_on=anniversary,
                rules=notice.rules,
            )
        if anniversary > known.on:
            missed = (_missed(anniversary, notice.last_day),)
        years += 1


def _missed(anniversary: date, notice_by: date) -> str:
    passed = day_in_words(notice_by)
    return french.typeset(
        f"pour partir {day_in_words(anniversary)}, le préavis était à donner au plus tard {passed}"
    )


def _beyond(known: Known, anniversary: date) -> str:
    end = known.life.ends_on(known.on)
    assert end is not None
    term = french.date_in_words(end)
    if within_the_term(known, anniversary) is None:
        day = day_in_words(anniversary)
        return french.typeset(f"le terme n’est pas connu au jour près ({term}) : il peut venir avant {day}")
    return french.typeset(f"aucune autre date anniversaire avant le terme ({term})")


def notice_for(term: Denunciation, anniversary: PartialDate) -> Counted:
    """The last day to serve notice for an anniversary; a limit counted backwards is never extended."""
    return leaving.counted(msgspec.structs.replace(term.notice, direction="before"), anniversary)


def within_the_term(known: Known, anniversary: date) -> bool | None:
    """Whether the convention still runs on that day; None where its term is not known to the day."""
    end = known.life.ends_on(known.on)
    if end is None:
        return True
    over = end.before(anniversary)
    return None if over is None else not over


def started_on(known: Known) -> tuple[date | None, tuple[str, ...]]:
    """
    The day whose anniversaries count, or None and in French why it is not known.

    The last signature where the duration runs from it, or where nothing else is said;
    otherwise the day the instrument took effect.
    """
    own = [span.term for span in known.life.spans if span.avenant is None]
    from_signature = any(isinstance(term, PeriodFrom) and term.anchor == "last-signature" for term in own)
    start = None if from_signature else known.life.starts_on()
    if start is None:
        return _last_signature(known)
    if start.day is None:
        said = french.date_in_words(start)
        return None, (french.typeset(f"la prise d’effet n’est pas connue au jour près : {said}"),)
    return start.day, ()


def _last_signature(known: Known) -> tuple[date | None, tuple[str, ...]]:
    life, on = known.life, known.on
    first = [one for one in life.memberships() if one.since is None]
    # Who left before signing is not waited for.
    answers = {bound(life, one, on) for one in first if one.covers(on) is not False}
    if "no" in answers or not first:
        reason = "toutes les parties n’ont pas signé : la dernière signature n’est pas connue"
        return None, (french.typeset(reason),)
    days = [one.on for one in life.signed if one.avenant is None]
    if not days or any(day.day is None for day in days):
        return None, ("une signature au moins n’est pas datée au jour près",)
    return max(day.day for day in days if day.day), ()


# -- who decides for a public body


def authorised(
    known: Known, who: tuple[str, ...], question: Literal["denonciation", "resiliation"], by: PartialDate
) -> tuple[Deliberated, ...]:
    """For each of *who* whose assembly must decide, or may have to: whether it authorised that by a day."""
    decided = known.told(DeliberationAdopted)
    lines = []
    for institution in who:
        registered = known.institutions.get(institution)
        particulars = registered.registered if registered else None
        kind = particulars.kind if particulars else None
        if kind is not None and kind not in ASSEMBLIES:
            continue
        mine = [
            (held.position, fact.outcome == "adopted", held.effective_on.after(by))
            for held, fact in decided
            if fact.institution == institution and fact.authorises_exit == question
        ]
        state, position = _answer(mine)
        lines.append(
            Deliberated(institution, position, state, True if kind else None, ASSEMBLIES.get(kind or "", ""))
        )
    return tuple(lines)


def _answer(decided: list[tuple[int, bool, bool | None]]) -> tuple[Come, int | None]:
    """What an assembly said last, and at which position it said yes; each is (position, yes, too late)."""
    certain = [(position, yes) for position, yes, late in decided if late is False]
    perhaps = [yes for _, yes, late in decided if late is None]
    position, yes = certain[-1] if certain else (0, False)
    if any(may != yes for may in perhaps):
        return "undetermined", None
    return ("yes", position) if yes else ("no", None)
