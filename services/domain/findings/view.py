"""
What the rules of findings look at: the facts of the day by kind, the terms in force, what was computed.

Pure. The facts are gone over once and laid out by kind, so that a rule asks for
those it needs. What is to come is left out here, and so no rule can see it; what
is undated is *told* and has not *come*: it may clear a finding and raises none.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import islice
from typing import Any, Literal, TypeVar

import msgspec

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.events import Fact
from contracts.institutions import PUBLIC_KINDS
from contracts.terms import Term
from services.domain import french
from services.domain import known as knowledge
from services.domain.amendments import Amendment
from services.domain.book import Held
from services.domain.convention import Life, Membership
from services.domain.coverage import Coverage
from services.domain.exits import Exits
from services.domain.findings import awards as findings_awards
from services.domain.findings.awards import PRIVATE_KINDS, Award, Pair
from services.domain.known import Known
from services.domain.money import Account, MoneyLine
from services.domain.obligations import Duties
from services.domain.phase import bound, signed_for
from services.domain.schedule import Calendar, InstalmentLine
from services.domain.text import ClauseLine

Severity = Literal["minor", "notable", "serious"]
Kind = TypeVar("Kind", bound=Fact)
Rule = TypeVar("Rule", bound=Term)
Spanning = TypeVar("Spanning")

NAMED_MAX = 3
"""How many of several things alike a sentence names."""


class Raised(msgspec.Struct, frozen=True, gc=False):
    """
    What a rule found: a French sentence, the facts it rests on, the article departed from where there is one.

    *who* departed and *on* which day only where a derogation granted to it may waive that: an
    écart from an article. *severity* and *source* only where they are not those of the catalogue.
    """

    says: str
    positions: tuple[int, ...]
    article: str | None = None
    about: str = ""
    who: str = ""
    on: date | None = None
    severity: Severity | None = None
    source: str | None = None


class View(msgspec.Struct, frozen=True):
    """
    A convention on the day, as rules look at it.

    *life* knows nothing of days to come. *payments* have left the payer's account and were
    not rejected; *line_of* gives the instalment that each pays, by position; *sent_back* are
    those that came back, by payer and key. *accounts* are those whose every figure has its day,
    the others are *uncertain*. *awards* are what was given, here and elsewhere. *names* and *n*
    are what to call whom. *signed_on* is the day from which all parties are bound, None where
    they are not or it is not dated; *unsigned* when it is sure that one is not. *ended_on* is
    the day it ended, if it has.
    """

    known: Known
    on: date
    life: Life
    names: Mapping[str, str]
    n: french.Names
    kinds: Mapping[str, str]
    accounts: Mapping[Account, MoneyLine]
    uncertain: frozenset[Account]
    awards: Mapping[Pair, Sequence[Award]]
    payments: tuple[tuple[Held, facts.PaymentMade], ...]
    line_of: Mapping[int, InstalmentLine]
    members: tuple[Membership, ...]
    signed_on: date | None
    unsigned: bool
    ended_on: PartialDate | None
    calendar: Calendar
    duties: Duties
    coverage: tuple[Coverage, ...]
    exits: Exits
    amendments: tuple[Amendment, ...]
    terms_by: Mapping[type, Sequence[tuple[ClauseLine, Any]]]
    sent_back: Mapping[tuple[str, str], tuple[Held, facts.PaymentRejected]]

    def come(self, kind: type[Kind]) -> Sequence[tuple[Held, Kind]]:
        """The facts of *kind* that have come by the day for certain, in order."""
        return self.known.come(kind)

    def told(self, kind: type[Kind]) -> Sequence[tuple[Held, Kind]]:
        """Those that have come or may have, in order."""
        return self.known.told(kind)

    def terms(self, kind: type[Rule]) -> Sequence[tuple[ClauseLine, Rule]]:
        """The rules of *kind* in force on the day, each with its clause."""
        return self.terms_by.get(kind, ())

    def set_by_avenants(self) -> Iterator[tuple[Held, facts.AvenantConcluded, facts.SubsidySet]]:
        """The subsidies that avenants set, but for those that wait for a signature."""
        for held, avenant in self.told(facts.AvenantConcluded):
            sums = [change for change in avenant.changes if isinstance(change, facts.SubsidySet)]
            if sums and not self.life.awaited(avenant.number, self.on):
                yield from ((held, avenant, change) for change in sums)

    def is_public(self, institution: str) -> bool:
        """Whether it is known to be one whose acts go to the préfecture."""
        return self.kinds.get(institution) in PUBLIC_KINDS

    def is_private(self, institution: str) -> bool:
        """Whether it is known to be a person of private law."""
        return self.kinds.get(institution) in PRIVATE_KINDS


def of(
    known: Known,
    calendar: Calendar,
    duties: Duties,
    coverage: tuple[Coverage, ...],
    exits: Exits,
    amendments: tuple[Amendment, ...],
) -> View:
    """*known* and what was computed of it, laid out for the rules."""
    terms_by: dict[type, list[tuple[ClauseLine, Any]]] = defaultdict(list)
    for clause in known.clauses:
        if clause.term is not None:
            terms_by[type(clause.term)].append((clause, clause.term))
    life = known.life
    members = tuple(
        one for one in life.memberships() if one.since is None and one.covers(known.on) is not False
    )
    answers = [bound(life, member, known.on) for member in members]
    back = {(fact.payer, fact.payment): (held, fact) for held, fact in known.come(facts.PaymentRejected)}
    names, kinds = knowledge.names(known), _kinds(known)
    return View(
        known=known,
        on=known.on,
        life=life,
        names=names,
        n=french.Names(names),
        kinds=kinds,
        awards=findings_awards.by_pair(known, life, kinds),
        accounts={_account(line): line for line in known.money if not line.undetermined},
        uncertain=frozenset(_account(line) for line in known.money if line.undetermined),
        payments=tuple(
            (held, fact) for held, fact in known.come(facts.PaymentMade) if (fact.payer, fact.key) not in back
        ),
        line_of={position: line for line in calendar.instalments for position in line.payments},
        members=members,
        signed_on=_signed_on(life, members, known.on),
        unsigned="no" in answers,
        ended_on=_ended_on(life, known.on),
        calendar=calendar,
        duties=duties,
        coverage=coverage,
        exits=exits,
        amendments=amendments,
        terms_by=terms_by,
        sent_back=back,
    )


def _account(line: MoneyLine) -> Account:
    return line.payer, line.beneficiary, line.exercice


def _kinds(known: Known) -> dict[str, str]:
    registered = {slug: state.registered for slug, state in known.institutions.items()}
    return {slug: fact.kind for slug, fact in registered.items() if fact is not None}


def _signed_on(life: Life, members: Sequence[Membership], on: date) -> date | None:
    """The day on which the last of the parties came to be bound; None where a signature has no day."""
    days = [_bound_on(life, member, on) for member in members]
    known = [day for day in days if day is not None]
    return max(known) if known and len(known) == len(days) else None


def _bound_on(life: Life, member: Membership, on: date) -> date | None:
    needed = member.quorum or len(member.signatories) or 1
    days: dict[str, date] = {}
    for one in signed_for(life, member, on):
        if one.on.day is not None:
            days.setdefault(one.signatory, one.on.day)
    reached = sorted(days.values())
    return reached[needed - 1] if len(reached) >= needed else None


def _ended_on(life: Life, on: date) -> PartialDate | None:
    ends = [
        ending.on
        for ending in life.endings
        if ending.kind in ("resiliation", "closing", "expiry") and ending.on.reached(on)
    ]
    term = life.ends_on(on)
    if term is not None and term.before(on):
        ends.append(term)
    return min(ends, key=lambda end: end.sort_key, default=None)


def covering(
    spans: Iterable[tuple[str, date, date | None, Spanning]], asked: Iterable[tuple[str, date]]
) -> dict[tuple[str, date], tuple[Spanning, ...]]:
    """
    What covers each day asked about, of *spans*: whose, first day, last day or None, and what it is.

    Those of the same owner, at most NAMED_MAX of each. One pass over spans and days, sorted together.
    """
    steps: list[tuple[date, int, int, str, Spanning | None]] = []
    for place, (whose, first, last, covers) in enumerate(spans):
        if last is None or first <= last:
            steps.append((first, 0, place, whose, covers))
        if last is not None and first <= last < date.max:
            steps.append((last + timedelta(days=1), 0, place, whose, None))
    steps += [(day, 1, place, whose, None) for place, (whose, day) in enumerate(asked)]
    # No two steps have the same first three members, so that what is covered is never compared.
    steps.sort()
    open_now: dict[str, dict[int, Spanning]] = defaultdict(dict)
    found: dict[tuple[str, date], tuple[Spanning, ...]] = {}
    for day, is_asked, place, whose, what in steps:
        if is_asked:
            found[whose, day] = tuple(islice(open_now[whose].values(), NAMED_MAX))
        elif what is not None:
            open_now[whose][place] = what
        else:
            del open_now[whose][place]
    return {key: what for key, what in found.items() if what}


def on_day(day: date | PartialDate) -> str:
    """When: le 4 décembre 2025."""
    return french.day_in_words(day if isinstance(day, PartialDate) else PartialDate.of(day))


def a_day(day: date | PartialDate) -> str:
    """A day with no preposition: 4 décembre 2025."""
    return french.date_in_words(day if isinstance(day, PartialDate) else PartialDate.of(day))


def days_in_words(days: int) -> str:
    """So many days: 1 jour, 12 jours."""
    return f"{french.count_in_words(days)} jour{'s' if days > 1 else ''}"


def some(things: Iterable[str]) -> str:
    """The first of several, and how many more there are: a, b, c et 4 autres."""
    told = list(dict.fromkeys(things))
    more = len(told) - NAMED_MAX
    if more <= 0:
        return french.list_in_words(told)
    return f"{', '.join(told[:NAMED_MAX])} et {more} autre{'s' if more > 1 else ''}"
