"""
Who receives an event: each institution's feed, as a function of the log.

Pure. Who receives the event at position p depends on the events up to p and on nothing
else, so whoever folds the log anew comes to the same feeds, entry for entry.

An institution follows streams. Of a stream that it follows it receives every event, and
when it begins to, first all that came before; each event once, ever. It follows

- its own two, institution/<it> and agrement/<it>;
- a convention whose party it is: listed, joined, or admitted by an avenant;
- as far as they are opened in such a convention: institution/<party> and agrement/<party> of its other
  parties, and agrement/<holder> of whom a clause names as the holder of one (terms.Condition).

That a convention names an institution opens nothing of that one's, for anybody may list anybody. A *word*
in it does: an entry there, whatever it says, which is the word of who recorded it, and of nobody on whose
behalf that was; it stays said when it is cancelled. A stream of an institution is opened by the word of
the institution itself, or of who *keeps* that stream: who recorded its first entry, as long as the
institution has recorded none there. With its own first entry there the keeper's words count no more: who
followed by them alone follows no longer, until the institution itself has a word in the convention.

Who is a party no more follows no longer, and keeps what it has. Of that convention it
receives from then on what concerns its own settlement alone: the events that name it,
those that it recorded or that were recorded for it, and those about one of these (a word on
the entry, a payment that came back, what became of a mise en demeure).

Whoever takes over another (institution.succeeded) follows what that one follows and has what it has, from
its first event on, as if it had been there; and so for those whom that one had taken over. It counts as
long as the one that is taken over says so itself: it recorded it, or confirmed it. Another's word for
it, be it that of whoever registered the institution, opens nobody's feed.

What counts is the order of the log, and no day is compared with today's. A function of the log has no
clock: on the day that a withdrawal takes effect nothing is recorded, so nothing could end a feed
then. A leaving ends what was joined before it as soon as it is recorded, be its day
to come; an admission begins when it is recorded, whoever has yet to sign. Whether a
leaving comes before or after a joining is told by their own days, as everywhere
(convention.Life.until): the scan of an old withdrawal does not put out who came back since.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.envelope import Entry
from contracts.events import Event
from contracts.subjects import parse_stream
from contracts.terms import AnyTerm, Condition
from services.domain import convention, french
from services.domain.book import CANCELLING, Held
from services.domain.convention import Join, Leave, Life


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """
    One entry of the feed of *institution*: the event at *position*, which is in *stream*.

    *backfill_of* is the position of the event that let it in, where this one came before; else None.
    """

    institution: str
    position: int
    stream: str
    backfill_of: int | None = None


_SPOKEN_OF: Final = frozenset({"payment", "notice", "dispute", "suspension"})
"""Kinds of name that later facts refer to without naming all those concerned."""

_ABOUT_AN_ENTRY: Final = (*CANCELLING, facts.FactConfirmed, facts.FactContested)

_UNLIVED: Final = Life("")
"""A convention's life of which nothing is told: of a fact, it says what that one adds."""

_Concerned = frozenset[str]
_NOBODY: Final[_Concerned] = frozenset()


class _Stopped(msgspec.Struct):
    """What an institution has of a stream that it follows no longer: the first *count*, and some *later*."""

    count: int
    later: list[int] = []


class _Followed(msgspec.Struct):
    """
    A stream: the positions of its events; how many reasons each has to follow it; who had one.

    An institution's own stream is a reason in itself. Its *keeper* is who opens it besides that one,
    which keeps it itself while there is nothing in it, and from its own first entry there on. Of a convention
    nobody asks that.
    """

    keeper: str
    reasons: dict[str, int]
    positions: "array[int]"
    stopped: dict[str, _Stopped]

    def taken_up(self, institution: str) -> Iterator[int]:
        """The positions that *institution*, which follows from now on, has not received."""
        had = self.stopped.pop(institution, None)
        if had is None:
            return iter(self.positions)
        later = frozenset(had.later)
        return (position for position in self.positions[had.count :] if position not in later)

    def inherited(self, whose: str, heir: str) -> list[int]:
        """What *heir*, which does not follow, gets of the past that *whose* has: what it has not received."""
        past, had = self.stopped[whose], self.stopped.get(heir, _Stopped(0))
        count = max(past.count, had.count)
        before = frozenset(self.positions[:count])
        later = sorted({*past.later, *had.later} - before)
        missing = {*self.positions[had.count : count], *later} - {*had.later}
        self.stopped[heir] = _Stopped(count, later)
        return sorted(missing)


class _Clauses(msgspec.Struct, frozen=True):
    """Whose agréments one fact makes a condition, by article; *replaces* what the article said before."""

    on: PartialDate
    replaces: bool
    holders: dict[str, _Concerned]


class _Convention(msgspec.Struct):
    """
    What is kept of a convention besides its positions: what moves its parties, and whom its events concern.

    *heard* are those whose word it has.
    *moves* and *clauses* are by the position of the fact that tells them, which may be cancelled.
    *concerns* has an index into the sets of institutions for each of its events, *spoken_of* the same for
    what they introduce by name.
    """

    moves: dict[int, tuple[tuple[Join, ...], tuple[Leave, ...]]]
    clauses: dict[int, _Clauses]
    concerns: "array[int]"
    spoken_of: dict[tuple[str, str], int]
    heard: set[str]
    parties: _Concerned = _NOBODY
    holders: _Concerned = _NOBODY

    @property
    def named(self) -> _Concerned:
        """Those of whom a stream may be opened in it."""
        return self.parties | self.holders


class _Succession(msgspec.Struct, frozen=True):
    """That *heir* took over from *whose*; counts where *whose* itself says so."""

    whose: str
    heir: str
    counts: bool


_Reasons = tuple[_Concerned, set[str]]
"""Institutions, and the streams that each of them follows because of one convention."""

_Heirs = frozenset[tuple[str, str]]
"""Pairs of an institution and one that took over from it, be it through others."""


class Audience:
    """
    Takes in a log in the order of its positions, and says of each event who receives what.

    Made to be folded over a whole ledger, it changes in place. It holds no event: of each its position and
    a small number, of a convention who came and left, by which name a payment or a notice may be spoken of.
    """

    def __init__(self) -> None:
        self.position = 0
        """Of the last event taken in."""
        self._streams: dict[str, _Followed] = {}
        self._left: dict[str, set[str]] = {}
        self._conventions: dict[str, _Convention] = {}
        self._naming: dict[str, set[str]] = {}
        """By institution, the conventions in which a stream of its own may be opened, or once might."""
        self._sets: list[_Concerned] = []
        self._set_numbers: dict[_Concerned, int] = {}
        self._successions: dict[int, _Succession] = {}
        self._heirs: _Heirs = frozenset()

    def deliveries(self, entry: Entry) -> list[Delivery]:
        """
        What the next event of the log gives to whom: by institution, what it missed first, in order.

        Never refuses; *entry* must be at the position after the last.
        """
        at, stream = entry.position, entry.envelope.stream
        assert at == self.position + 1, (at, self.position)
        self.position = at
        told = self._stream(stream)
        concerned = _NOBODY
        missed: dict[str, list[tuple[int, str]]] = {}
        if parse_stream(stream)[0] == "convention":
            held = self._conventions.setdefault(stream, _Convention({}, {}, array("i"), {}, set()))
            concerned = self._with_heirs(self._concerned(held, told.positions, entry))
            missed = self._moved(held, entry)
        else:
            missed = self._spoken(told, entry)
        told.positions.append(at)
        receiving: AbstractSet[str] = told.reasons.keys()
        if told.stopped and (settling := told.stopped.keys() & concerned):
            for institution in settling:
                told.stopped[institution].later.append(at)
            receiving |= settling
        if not missed:
            return [Delivery(institution, at, stream) for institution in sorted(receiving)]
        given: list[Delivery] = []
        for institution in sorted(receiving | missed.keys()):
            before = sorted(missed.get(institution, ()))
            given += (Delivery(institution, position, earlier, at) for position, earlier in before)
            if institution in receiving:
                given.append(Delivery(institution, at, stream))
        return given

    def follows(self, institution: str, stream: str) -> bool:
        """Whether *institution* receives every event of *stream*, so far and until it leaves."""
        told = self._streams.get(stream)
        return told is not None and institution in told.reasons and bool(told.positions)

    def left(self, institution: str) -> AbstractSet[str]:
        """The streams that *institution* followed and follows no longer."""
        return self._left.get(institution, _NOBODY)

    def received(self, institution: str, stream: str) -> list[int]:
        """The positions of the events of *stream* that the feed of *institution* has, in order."""
        told = self._streams.get(stream)
        if told is None:
            return []
        if institution in told.reasons:
            return list(told.positions)
        had = told.stopped.get(institution)
        return [] if had is None else [*told.positions[: had.count], *had.later]

    def whole_until(self, institution: str, stream: str) -> int:
        """
        The position of the last event of *stream* up to which the feed of *institution* lacks none; else 0.

        For who has left: as far as its past goes, and its own settlement where that follows without a gap.
        """
        told, whole = self._streams.get(stream), 0
        if told is None:
            return 0
        for has, is_there in zip(self.received(institution, stream), told.positions, strict=False):
            if has != is_there:
                break
            whole = has
        return whole

    def _stream(self, name: str) -> _Followed:
        told = self._streams.get(name)
        if told is None:
            category, slug = parse_stream(name)
            own = {} if category == "convention" else {slug: 1}
            told = self._streams[name] = _Followed(slug, own, array("i"), {})
        return told

    # -- whom an event concerns

    def _concerned(self, held: _Convention, positions: "array[int]", entry: Entry) -> _Concerned:
        """Whom *entry* names or is by, and whom what it is about concerns."""
        fact, meta = entry.fact, entry.envelope
        found = french.institutions_in(fact) | {meta.actor, entry.whose}
        if isinstance(fact, _ABOUT_AN_ENTRY):
            place = bisect_left(positions, fact.entry)
            if place < len(positions) and positions[place] == fact.entry:
                found |= self._sets[held.concerns[place]]
        if (reference := convention.refers(fact)) is not None:
            number = held.spoken_of.get(reference[:2])
            found |= _NOBODY if number is None else self._sets[number]
        number = self._set_numbers.setdefault(found, len(self._sets))
        if number == len(self._sets):
            self._sets.append(found)
        held.concerns.append(number)
        if (name := convention.introduces(fact)) is not None and name[0] in _SPOKEN_OF:
            held.spoken_of[name] = number
        return found

    # -- who follows what

    def _moved(self, held: _Convention, entry: Entry) -> dict[str, list[tuple[int, str]]]:
        """What *entry* changes in who follows what: whom it lets see what, (position, stream) each."""
        stream, actor = entry.envelope.stream, entry.envelope.actor
        tells = _tells(held, entry)
        if not tells and actor in held.heard:
            return {}
        before = self._reasons(stream, held)
        held.heard.add(actor)
        if tells:
            held.parties, held.holders = _parties(held), _holders(held)
            for institution in held.named:
                self._naming.setdefault(institution, set()).add(stream)
        after = self._reasons(stream, held)
        missed: dict[str, list[tuple[int, str]]] = {}
        # Those that begin come first: who has one reason for another goes on without a break.
        self._begin(_added(before, after), missed)
        self._end(_added(after, before))
        return missed

    def _reasons(self, stream: str, held: _Convention) -> _Reasons:
        """Who follows what because of one convention."""
        streams = {stream}
        streams.update(
            f"institution/{party}" for party in held.parties if self._is_open("institution", party, held)
        )
        streams.update(
            f"agrement/{holder}" for holder in held.named if self._is_open("agrement", holder, held)
        )
        return self._with_heirs(held.parties), streams

    def _is_open(self, category: str, whose: str, held: _Convention) -> bool:
        """Whether a word in that convention opened that stream of *whose* to its parties."""
        told = self._streams.get(f"{category}/{whose}")
        return whose in held.heard or (told is not None and told.keeper in held.heard)

    def _begin(self, reasons: Iterable[tuple[str, str]], missed: dict[str, list[tuple[int, str]]]) -> None:
        """One reason more for each of *reasons*; what that lets whom see is added to *missed*."""
        for institution, name in reasons:
            told = self._stream(name)
            told.reasons[institution] = told.reasons.get(institution, 0) + 1
            if told.reasons[institution] == 1:
                self._left.get(institution, set()).discard(name)
                missing = ((position, name) for position in told.taken_up(institution))
                missed.setdefault(institution, []).extend(missing)

    def _end(self, reasons: Iterable[tuple[str, str]]) -> None:
        """One reason less for each of *reasons*."""
        for institution, name in reasons:
            told = self._stream(name)
            told.reasons[institution] -= 1
            if not told.reasons[institution]:
                del told.reasons[institution]
                told.stopped[institution] = _Stopped(len(told.positions))
                self._left.setdefault(institution, set()).add(name)

    # -- who takes over whom

    def _with_heirs(self, institutions: _Concerned) -> _Concerned:
        """*institutions*, and those that took over from one of them."""
        if not self._heirs:
            return institutions
        return institutions.union(heir for whose, heir in self._heirs if whose in institutions)

    def _spoken(self, told: _Followed, entry: Entry) -> dict[str, list[tuple[int, str]]]:
        """
        What *entry*, in the stream of an institution, changes in who keeps it and in who takes over whom.

        Whom that lets see what, (position, stream) each.
        """
        _, itself = parse_stream(entry.envelope.stream)
        actor, keeper, heirs = entry.envelope.actor, told.keeper, self._heirs
        if not told.positions or actor == itself:
            keeper = actor
        if type(entry.fact) in _OF_SUCCESSION and self._told(entry):
            heirs = _closed({(one.whose, one.heir) for one in self._successions.values() if one.counts})
        if (keeper, heirs) == (told.keeper, self._heirs):
            return {}
        fresh, gone = heirs - self._heirs, self._heirs - heirs
        moved = {itself, *(whose for whose, _ in fresh | gone)}
        here = {name: self._conventions[name] for whose in moved for name in self._naming.get(whose, ())}
        before = {name: self._reasons(name, held) for name, held in here.items()}
        told.keeper, self._heirs = keeper, heirs
        missed: dict[str, list[tuple[int, str]]] = {}
        self._begin(_own_streams(fresh), missed)
        ended = [*_own_streams(gone)]
        for name, held in here.items():
            after = self._reasons(name, held)
            self._begin(_added(before[name], after), missed)
            ended += _added(after, before[name])
        self._end(ended)
        for whose, heir in fresh:
            for name, stream in self._streams.items():
                if whose in stream.stopped and heir not in stream.reasons:
                    missing = ((position, name) for position in stream.inherited(whose, heir))
                    missed.setdefault(heir, []).extend(missing)
                    self._left.setdefault(heir, set()).add(name)
        return missed

    def _told(self, entry: Entry) -> bool:
        """Keep what *entry* says of a succession; whether it says anything of one."""
        fact, actor, stream = entry.fact, entry.envelope.actor, entry.envelope.stream
        if isinstance(fact, facts.Succeeded):
            _, whose = parse_stream(stream)
            self._successions[entry.position] = _Succession(whose, fact.successor, actor == whose)
            return True
        assert isinstance(fact, _ABOUT_AN_ENTRY), fact
        known = self._successions.get(fact.entry)
        if known is None or stream != f"institution/{known.whose}":
            return False
        if isinstance(fact, CANCELLING):
            del self._successions[fact.entry]
        elif actor == known.whose:
            counts = isinstance(fact, facts.FactConfirmed)
            self._successions[fact.entry] = msgspec.structs.replace(known, counts=counts)
        return True


def _added(before: _Reasons, after: _Reasons) -> Iterator[tuple[str, str]]:
    """Who follows what by *after* and not by *before*."""
    (those, had), (institutions, streams) = before, after
    opened = streams - had
    for institution in institutions:
        for name in opened if institution in those else streams:
            yield institution, name


def _tells(held: _Convention, entry: Entry) -> bool:
    """Keep what *entry* tells of parties and of conditions, or takes back; whether it is anything."""
    fact = entry.fact
    if type(fact) not in _TELLING:
        return False
    if isinstance(fact, CANCELLING):
        taken = [told.pop(fact.entry, None) is not None for told in (held.moves, held.clauses)]
        return any(taken)
    return _takes_in(held, Held.of(entry), entry.position)


def _takes_in(held: _Convention, one: Held, at: int) -> bool:
    """Keep what *one* says of parties and of conditions; whether it says anything of them."""
    fact = one.fact
    if isinstance(fact, _MOVING):
        told = convention.lived(_UNLIVED, one)
        if told.joins or told.leaves:
            held.moves[at] = (told.joins, told.leaves)
    if holders := _conditions(fact):
        replaces = isinstance(fact, facts.AvenantConcluded)
        held.clauses[at] = _Clauses(one.effective_on, replaces, holders)
    return at in held.moves or at in held.clauses


_MOVING: Final = (
    facts.PartyListed,
    facts.PartyJoined,
    facts.PartyWithdrew,
    facts.DenunciationTookEffect,
    facts.AvenantConcluded,
)


_TELLING: Final = frozenset({*_MOVING, facts.ClauseStated, *CANCELLING})


def _conditions(fact: Event) -> dict[str, _Concerned]:
    """By article, whose agréments *fact* makes a condition; of an avenant, nobody's where there was one."""
    match fact:
        case facts.ClauseStated(article=article, term=Condition() as term) if holder := _holder(term):
            return {article: frozenset({holder})}
        case facts.AvenantConcluded(changes=changes):
            found: dict[str, _Concerned] = {}
            for change in changes:
                if isinstance(change, facts.ClauseChanged):
                    before = found.get(change.article, _NOBODY)
                    holder = _holder(change.term)
                    found[change.article] = before | {holder} if holder else before
            return found
        case _:
            return {}


def _holder(term: AnyTerm | None) -> str | None:
    return term.holder if isinstance(term, Condition) and term.requires == "agrement" else None


def _parties(held: _Convention) -> _Concerned:
    """Those of whom no leaving is told since they came."""
    leaves = tuple(leave for _, leaves in held.moves.values() for leave in leaves)
    life = msgspec.structs.replace(_UNLIVED, leaves=leaves)
    joins = (join for joins, _ in held.moves.values() for join in joins)
    return frozenset(join.institution for join in joins if life.until(join) is None)


def _holders(held: _Convention) -> _Concerned:
    """Whose agréments the text makes a condition, each avenant read in its place."""
    reads: dict[str, _Concerned] = {}
    told = sorted(held.clauses.items(), key=lambda one: (one[1].replaces, one[1].on.sort_key, one[0]))
    for _, clauses in told:
        for article, holders in clauses.holders.items():
            before = _NOBODY if clauses.replaces else reads.get(article, _NOBODY)
            reads[article] = before | holders
    return frozenset(holder for holders in reads.values() for holder in holders)


_OF_SUCCESSION: Final = frozenset({facts.Succeeded, *_ABOUT_AN_ENTRY})


def _closed(pairs: set[tuple[str, str]]) -> _Heirs:
    """*pairs*, and those that come of them one after the other; nobody takes over itself."""
    found = set(pairs)
    while more := {(whose, heir) for whose, by in found for again, heir in pairs if again == by} - found:
        found |= more
    return frozenset((whose, heir) for whose, heir in found if whose != heir)


def _own_streams(heirs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Who follows which stream of whom it took over."""
    for whose, heir in heirs:
        yield heir, f"institution/{whose}"
        yield heir, f"agrement/{whose}"
