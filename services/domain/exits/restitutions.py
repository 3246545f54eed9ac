"""
Money to be given back, followed to the cent: found, asked for, come back, remaining.

Pure. Integer cents, by payer, beneficiary, exercice and ground. Three sources tell
of one and the same money, so they are never added together:

    found      the payer says so (trop-perçu)
    ordered    a titre de recettes asks for it
    computed   paid once a résiliation had stopped the payments, or beyond what was voted, at the end

Whatever the payer decided outweighs what is computed; where it decided twice, the
larger is owed. More given back than is owed is told as an excess, never as a
negative remainder. What is owed without a clause is owed by law only where it was
never due (Code civil art. 1302).
"""

from collections import Counter
from typing import Final, Literal

import msgspec

from contracts.events import (
    OverpaymentFound,
    PaymentMade,
    PaymentRejected,
    RecoveryOrdered,
    RestitutionReceived,
)
from contracts.terms import ReturnOfSums
from services.domain import french
from services.domain.exits import endings
from services.domain.exits.endings import EndLine
from services.domain.exits.leaving import OVER
from services.domain.known import Known
from services.domain.text import ClauseLine

UNDUE_RULE: Final = "Code civil art. 1302 : ce qui a été reçu sans être dû est sujet à restitution"

Ground = Literal["unused", "undue"]
Account = tuple[str, str, int]
Key = tuple[str, str, int, Ground | None]


class RestitutionLine(msgspec.Struct, frozen=True):
    """
    Money to give back, of one payer, beneficiary, exercice and ground: integer cents.

    *owed_cents* is the larger of *found_cents* and *ordered_cents*, or *computed_cents* where neither
    is recorded. Always: owed + excess = returned + remaining, and one of *remaining_cents* and
    *excess_cents* is 0. *ground* is None where money came back and nothing says why. *article* is the
    clause it is owed by, *rules* the law. *undetermined*: positions of what was left out, its day
    being unknown. *because* in French, where figures disagree.
    """

    payer: str
    beneficiary: str
    exercice: int
    ground: Ground | None
    found_cents: int
    ordered_cents: int
    returned_cents: int
    remaining_cents: int
    article: str | None
    positions: tuple[int, ...]
    computed_cents: int = 0
    owed_cents: int = 0
    excess_cents: int = 0
    rules: tuple[str, ...] = ()
    because: tuple[str, ...] = ()
    undetermined: tuple[int, ...] = ()


class _Books(msgspec.Struct):
    """Three columns and where each was read, while they are being added up."""

    found: Counter[Key] = msgspec.field(default_factory=Counter)
    ordered: Counter[Key] = msgspec.field(default_factory=Counter)
    computed: Counter[Key] = msgspec.field(default_factory=Counter)
    returned: Counter[Key] = msgspec.field(default_factory=Counter)
    positions: dict[Key, tuple[int, ...]] = {}
    undetermined: dict[Key, tuple[int, ...]] = {}

    def owed(self, key: Key) -> int:
        return max(self.found[key], self.ordered[key]) or self.computed[key]

    def note(self, key: Key, *positions: int) -> None:
        self.positions[key] = (*self.positions.get(key, ()), *positions)

    def leave_out(self, key: Key, position: int) -> None:
        self.note(key)
        self.undetermined[key] = (*self.undetermined.get(key, ()), position)


def of(known: Known, ends: tuple[EndLine, ...]) -> tuple[RestitutionLine, ...]:
    """The lines by exercice, payer, beneficiary and ground."""
    books = _Books()
    for held, fact in known.told(OverpaymentFound):
        key: Key = (fact.payer, fact.beneficiary, fact.exercice, fact.ground)
        if held.effective_on.reached(known.on):
            books.found[key] += fact.amount_cents
            books.note(key, held.position)
        else:
            books.leave_out(key, held.position)
    for held, order in known.told(RecoveryOrdered):
        key = (order.payer, order.beneficiary, order.exercice, order.ground)
        if held.effective_on.reached(known.on):
            books.ordered[key] += order.amount_cents
            books.note(key, held.position)
        else:
            books.leave_out(key, held.position)
    _compute(known, ends, books)
    _give_back(known, books)
    lines = [_line(known, books, key) for key in books.positions]
    return tuple(
        sorted(lines, key=lambda line: (line.exercice, line.payer, line.beneficiary, line.ground or ""))
    )


def _line(known: Known, books: _Books, key: Key) -> RestitutionLine:
    payer, beneficiary, exercice, ground = key
    owed, returned = books.owed(key), books.returned[key]
    article = _article(known, payer, beneficiary, ground)
    return RestitutionLine(
        payer=payer,
        beneficiary=beneficiary,
        exercice=exercice,
        ground=ground,
        found_cents=books.found[key],
        ordered_cents=books.ordered[key],
        returned_cents=returned,
        remaining_cents=max(owed - returned, 0),
        article=article,
        positions=tuple(sorted(books.positions[key])),
        computed_cents=books.computed[key],
        owed_cents=owed,
        excess_cents=max(returned - owed, 0),
        rules=(UNDUE_RULE,) if ground == "undue" else (),
        because=_disagreement(books, key),
        undetermined=books.undetermined.get(key, ()),
    )


def _disagreement(books: _Books, key: Key) -> tuple[str, ...]:
    found, ordered, computed = books.found[key], books.ordered[key], books.computed[key]
    said = max(found, ordered)
    reasons = []
    if found and ordered and found != ordered:
        reasons.append(f"constaté : {french.euros(found)} ; demandé par titre : {french.euros(ordered)}")
    if said and computed and said != computed:
        reasons.append(f"le calcul donne {french.euros(computed)}")
    return tuple(french.typeset(reason) for reason in reasons)


def _article(known: Known, payer: str, beneficiary: str, ground: Ground | None) -> str | None:
    for clause, term in _return_clauses(known):
        grounds = {"unused": term.unused, "undue": term.undue}
        if (term.payer, term.beneficiary) == (payer, beneficiary) and grounds.get(ground or ""):
            return clause.article
    return None


def _return_clauses(known: Known) -> list[tuple[ClauseLine, ReturnOfSums]]:
    return [(clause, clause.term) for clause in known.clauses if isinstance(clause.term, ReturnOfSums)]


# -- what the rules find undue


def _compute(known: Known, ends: tuple[EndLine, ...], books: _Books) -> None:
    """Enter what was paid after a résiliation, and once all is over what was paid beyond the vote."""
    bound = {(term.payer, term.beneficiary): term for _, term in _return_clauses(known) if term.undue}
    stop = endings.first_stop(ends, known.on)
    if not bound or (stop is None and known.phase not in OVER):
        return
    rejected = {(fact.payer, fact.payment) for _, fact in known.come(PaymentRejected)}
    after: Counter[Account] = Counter()
    in_time: Counter[Account] = Counter()
    positions: dict[Account, tuple[int, ...]] = {}
    for held, paid in known.told(PaymentMade):
        term = bound.get((paid.payer, paid.beneficiary))
        account = (paid.payer, paid.beneficiary, paid.exercice)
        if term is None or (paid.payer, paid.key) in rejected:
            continue
        before = held.effective_on.before(stop.on) if stop and term.payments_stop else True
        if before is None or not held.effective_on.reached(known.on):
            books.leave_out((*account, "undue"), held.position)
        elif before:
            in_time[account] += paid.amount_cents
        else:
            after[account] += paid.amount_cents
            positions[account] = (*positions.get(account, ()), held.position)
    voted = {(line.payer, line.beneficiary, line.exercice): line.voted_cents for line in known.money}
    for account in {**in_time, **after}:
        # Without a vote, what was paid as an instalment was due as one.
        limit = voted.get(account) or in_time[account]
        undue = after[account] + max(in_time[account] - limit, 0)
        if undue:
            key: Key = (*account, "undue")
            books.computed[key] = undue
            books.note(key, *positions.get(account, ()))


# -- what came back


def _give_back(known: Known, books: _Books) -> None:
    """Enter each restitution: against its titre, else what is owed for the exercice, in order."""
    titres: dict[tuple[str, str, str], list[Key]] = {}
    for _, order in known.come(RecoveryOrdered):
        key: Key = (order.payer, order.beneficiary, order.exercice, order.ground)
        titres.setdefault((order.payer, order.beneficiary, order.number), []).append(key)
    others = []
    for held, fact in known.told(RestitutionReceived):
        account = (fact.payer, fact.beneficiary, fact.exercice)
        titre = _named(titres.get((fact.payer, fact.beneficiary, fact.titre or ""), []), fact.exercice)
        if not held.effective_on.reached(known.on):
            books.leave_out(titre or (*account, None), held.position)
        elif titre is not None:
            books.returned[titre] += fact.amount_cents
            books.note(titre, held.position)
        else:
            others.append((held.position, account, fact.amount_cents))
    for position, account, cents in others:
        _share_out(books, position, account, cents)


def _named(titres: list[Key], exercice: int) -> Key | None:
    """The one titre of that number, of the exercice where several years have one; None where none is."""
    of_the_year = [key for key in titres if key[2] == exercice]
    candidates = of_the_year or titres
    return candidates[0] if len(candidates) == 1 else None


def _share_out(books: _Books, position: int, account: Account, cents: int) -> None:
    """Count *cents* against what is still owed for the exercice, first come first, the rest on the last."""
    keys = [key for key in books.positions if key[:3] == account and key[3] is not None]
    left = cents
    for key in keys:
        part = min(left, max(books.owed(key) - books.returned[key], 0))
        if part:
            books.returned[key] += part
            books.note(key, position)
            left -= part
    if left:
        key = keys[-1] if keys else (*account, None)
        books.returned[key] += left
        if position not in books.positions.get(key, ()):
            books.note(key, position)
