"""
Flat amounts a year for each of some beneficiaries, whom the text may not name.

Pure. Where the text names nobody, a pledge or a vote of the very amount tells whom it is for.
"""

from collections.abc import Iterator, Sequence

import msgspec

from contracts import events as facts
from contracts.terms import LumpSum
from services.domain import french
from services.domain.known import Known
from services.domain.schedule import calendar_lines, gates, payments
from services.domain.schedule.calendar_lines import InstalmentLine, When
from services.domain.schedule.gates import Block, Holding
from services.domain.schedule.grounds import EXERCICES_MAX, Grounds
from services.domain.schedule.payments import Account, Paid, Payments
from services.domain.text import ClauseLine


def of(
    told: Grounds, clause: ClauseLine, lump: LumpSum, key: str, paid: Payments
) -> Iterator[tuple[Account, InstalmentLine, Sequence[Paid]]]:
    """A line an exercice for each beneficiary that is known, or one in words, with what it takes."""
    exercices = [year for year in told.exercices if year >= lump.from_exercice][:EXERCICES_MAX]
    conditional = ", une fois la condition remplie" if lump.conditional_on else ""
    when = When(words=f"dans l’année{conditional}")
    for exercice in exercices or [lump.from_exercice]:
        for beneficiary in _named(told.known, lump, exercice) or ("",):
            account = (lump.payer, beneficiary, exercice)
            in_account = paid.paid.get(account, ())
            named = [one for one in in_account if one.instalment == key]
            free = [one for one in in_account if one.instalment is None and not one.set_off]
            taken, _ = payments.take(lump.amount_cents, named, free)
            line = _line(account, clause, lump, key, taken)
            if not exercices:
                why = ("on ne sait pas jusqu’à quel exercice",)
                line = msgspec.structs.replace(line, because=why)
            holding = _holding(told, clause, lump, account)
            yield account, calendar_lines.finished(line, when, taken, holding, told.gates), taken


def _named(known: Known, lump: LumpSum, exercice: int) -> tuple[str, ...]:
    """Whom a pledge or a vote of the very amount names, for the exercice."""
    wanted = (lump.payer, exercice, lump.amount_cents)
    pledged = [
        fact.beneficiary
        for _, fact in known.come(facts.SubsidyPledged)
        if (fact.payer, fact.exercice, fact.amount_cents) == wanted
    ]
    voted = [
        fact.beneficiary
        for _, fact in known.come(facts.SubsidyVoted)
        if (fact.payer, fact.exercice, fact.amount_cents) == wanted
    ]
    return tuple(sorted({who for who in (*pledged, *voted) if who is not None}))


def _line(
    account: Account, clause: ClauseLine, lump: LumpSum, key: str, taken: Sequence[Paid]
) -> InstalmentLine:
    payer, beneficiary, exercice = account
    counted = payments.counted(taken)
    return InstalmentLine(
        kind="lump-sum",
        payer=payer,
        beneficiary=beneficiary,
        exercice=exercice,
        key=key,
        label=f"forfait par {lump.per}",
        article=clause.article,
        avenant=clause.avenant,
        position=clause.position,
        state="not-computable",
        amount_cents=lump.amount_cents,
        formula=f"{french.euros(lump.amount_cents)} (montant fixé par le texte, par {lump.per})",
        remaining_cents=max(0, lump.amount_cents - counted),
        overpaid_cents=max(0, counted - lump.amount_cents),
        notes=() if beneficiary else ("le texte ne nomme pas les bénéficiaires",),
    )


def _holding(told: Grounds, clause: ClauseLine, lump: LumpSum, account: Account) -> Holding:
    payer, beneficiary, exercice = account
    held = gates.holding(
        told.gates, payer=payer, beneficiary=beneficiary, article=clause.article, exercice=exercice
    )
    if lump.conditional_on is None:
        return held
    met = any(
        (fact.document, fact.exercice) == (lump.document, exercice) and beneficiary in ("", fact.sent_by)
        for _, fact in told.known.come(facts.DocumentReceived)
    )
    who = (beneficiary,) if beneficiary else ()
    block = Block("condition", lump.conditional_on, clause.article, who)
    lifted = met or bool(gates.lifted(told.gates, block, beneficiary))
    return msgspec.structs.replace(
        held,
        conditions=(lump.conditional_on, *held.conditions),
        blocks=held.blocks if lifted else (block, *held.blocks),
    )
