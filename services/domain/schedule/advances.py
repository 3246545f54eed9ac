"""
Advances on a subsidy, on request: a line for each beneficiary that asked, and each exercice.

Pure. An advance is a part of a subsidy paid early, and no more money: what is set off counts
for the exercice it is set off against.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

import msgspec

from contracts import events as facts
from contracts.terms import AdvancePlan
from services.domain import convention, french
from services.domain.book import Held
from services.domain.known import Known
from services.domain.phase import bound
from services.domain.schedule import amounts, calendar_lines, gates, grounds, payments
from services.domain.schedule.amounts import Amount, Base
from services.domain.schedule.calendar_lines import InstalmentLine
from services.domain.schedule.gates import Block, Holding
from services.domain.schedule.grounds import Grounds
from services.domain.schedule.payments import Account, Paid, Payments
from services.domain.text import ClauseLine

ADVANCE: Final = "avance"
"""The name by which a payment says that it is an advance."""


class Request(msgspec.Struct, frozen=True):
    """Who asked for an advance, when, and for how much."""

    held: Held
    fact: facts.SubsidyRequested


def of(
    told: Grounds, clause: ClauseLine, advance: AdvancePlan, paid: Payments
) -> Iterator[tuple[Account, InstalmentLine, Sequence[Paid]]]:
    """A line for each that asked, with the payments it takes from its account; the last request counts."""
    asked = {
        (fact.beneficiary, fact.exercice): Request(held, fact)
        for held, fact in told.known.told(facts.SubsidyRequested)
        if fact.payer == advance.payer and fact.purpose == "avance"
    }
    for beneficiary, exercice in sorted(asked):
        account = (advance.payer, beneficiary, exercice)
        when = calendar_lines.when_due(advance.due, exercice, told.anchors)
        in_account = paid.paid.get(account, ())
        named = [one for one in in_account if one.instalment == ADVANCE]
        free = [one for one in in_account if one.instalment is None and not one.set_off]
        spent = paid.advances.get(account, ())
        first = next(iter((*spent, *named, *free)), None)
        moment = amounts.moment_of(told.known.on, when.opens_on, when.due_on, first.on.day if first else None)
        base = _base(told.known, advance, beneficiary, exercice)
        amount = amounts.shared(advance.share, {advance.share.exercice_offset: base}, {}, moment)
        amount = amounts.if_in_force(amount, clause)
        taken, _ = payments.take(amount.cents, (*spent, *named), free)
        line = _line(account, clause, advance, amount, asked[beneficiary, exercice], taken)
        line = msgspec.structs.replace(
            line, set_off_cents=sum(paid.set_off.get(one.position, 0) for one in taken)
        )
        holding = _holding(told, clause, advance, asked[beneficiary, exercice])
        yield account, calendar_lines.finished(line, when, taken, holding, told.gates), taken


def _line(
    account: Account,
    clause: ClauseLine,
    advance: AdvancePlan,
    amount: Amount,
    request: Request,
    taken: Sequence[Paid],
) -> InstalmentLine:
    payer, beneficiary, exercice = account
    counted = payments.counted(taken)
    wanted = request.fact.amount_cents
    asked_for = f", pour {french.euros(wanted)}" if wanted else ""
    return InstalmentLine(
        kind="advance",
        payer=payer,
        beneficiary=beneficiary,
        exercice=exercice,
        key=ADVANCE,
        label=f"avance de {amounts.fraction(advance.share)}",
        article=clause.article,
        avenant=clause.avenant,
        position=clause.position,
        state="not-computable",
        amount_cents=amount.cents,
        formula=amount.formula,
        because=amount.because,
        remaining_cents=None if amount.cents is None else max(0, amount.cents - counted),
        overpaid_cents=0 if amount.cents is None else max(0, counted - amount.cents),
        notes=(f"demandée {french.day_in_words(request.held.effective_on)}{asked_for}",),
    )


def _base(known: Known, advance: AdvancePlan, beneficiary: str, exercice: int) -> Base:
    """The subsidy that an advance is a share of, under whichever convention between the two it was voted."""
    year = exercice + advance.share.exercice_offset
    subsidy = (advance.payer, beneficiary, year, "fonctionnement")
    for state in (known.state, *(known.conventions[slug] for slug in sorted(known.conventions))):
        found = grounds.voted_in(state, known.on).get(subsidy)
        if found is not None:
            return found
    return Base(year)


# -- what an advance depends on


def _holding(told: Grounds, clause: ClauseLine, advance: AdvancePlan, request: Request) -> Holding:
    beneficiary = request.fact.beneficiary
    held = gates.holding(
        told.gates, payer=advance.payer, beneficiary=beneficiary, article=clause.article, exercice=None
    )
    blocks = list(_blocks(told.known, clause, advance, request))
    # A derogation on the article of the advance is among those of the article already.
    standing = [block for block in blocks if not gates.lifted(told.gates, block, beneficiary)]
    where = french.article_in_words(clause.article)
    needed = (f"{advance.requires_instrument} signée ({where})",) if advance.requires_instrument else ()
    return msgspec.structs.replace(
        held,
        conditions=(f"sur demande ({where})", *needed, *held.conditions),
        blocks=(*standing, *held.blocks),
    )


def _blocks(known: Known, clause: ClauseLine, advance: AdvancePlan, request: Request) -> Iterator[Block]:
    beneficiary, article = request.fact.beneficiary, clause.article
    if not request.held.effective_on.reached(known.on):
        what = "demande d’avance, dont la date n’est pas connue"
        yield Block("request", what, article, (beneficiary,), (request.held.position,))
    if advance.requires_instrument and not any(
        _signed_between(other, advance.payer, beneficiary, known.on) for other in known.conventions.values()
    ):
        what = f"{advance.requires_instrument} : aucune n’est signée entre les deux au registre"
        yield Block("instrument", what, article, (advance.payer, beneficiary))


def _signed_between(other: convention.State, payer: str, beneficiary: str, on: date) -> bool:
    """Whether *other* is a convention d'objectifs that both have signed, and whose term is not over."""
    life = other.life
    if life.opened is None or life.opened.nature != "convention-objectifs":
        return False
    term = life.ends_on(on)
    if term is not None and term.before(on):
        return False
    return all(
        any(bound(life, one, on) == "yes" for one in life.memberships(who)) for who in (payer, beneficiary)
    )
