"""
Instalments: what is to be paid when, by which formula with its numbers, and what holds it back.

Pure. Four kinds of money are never added together: what is pledged, what is voted, what the
books set aside, and what is paid. A calendar compares two of them, what the text makes of a
vote and what was paid; it adds payments to payments only.

A part that takes what remains makes the parts of an exercice add up to the subsidy; where a
plan has none, the difference is shown.

    grounds         the exercices, what was voted, which plan holds
    amounts         the formulas
    payments        which payment is for which part
    gates           what holds a payment back
    advances        on request; lump_sums, by exercice
    calendar_lines  a line: its shape, its day, its state
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import msgspec

from contracts.events import SubsidyRefused
from contracts.terms import AdvancePlan, InstalmentPlan, LumpSum
from services.domain import french, obligations
from services.domain.known import Known
from services.domain.obligations import Duties
from services.domain.schedule import advances, amounts, calendar_lines, gates, grounds, lump_sums
from services.domain.schedule import payments as paying
from services.domain.schedule.amounts import Amount, Base, Before
from services.domain.schedule.calendar_lines import (
    Calendar,
    ExerciceLine,
    InstalmentLine,
    InstalmentState,
    When,
)
from services.domain.schedule.gates import Block
from services.domain.schedule.grounds import Grounds
from services.domain.schedule.payments import Account, Paid
from services.domain.text import ClauseLine

__all__ = ["Block", "Calendar", "ExerciceLine", "InstalmentLine", "InstalmentState", "of"]


def of(known: Known, duties: Duties | None = None) -> Calendar:
    """
    Every line of every exercice of the term, on the day.

    *duties* are those of the same view, where they have been computed already: documents
    that are late hold payments back.
    """
    if not grounds.has_money(known):
        return Calendar()
    told, paid = grounds.of(known, duties or obligations.of(known)), paying.of(known)
    left = dict(paid.paid)
    lines: list[InstalmentLine] = []
    for clause, advance in grounds.reads(known.clauses, AdvancePlan):
        now = msgspec.structs.replace(paid, paid=left)
        for account, line, taken in advances.of(told, clause, advance, now):
            left[account] = paying.left_by(taken, left.get(account, ()))
            lines.append(line)
    for number, (clause, lump) in enumerate(grounds.reads(known.clauses, LumpSum), start=1):
        key = "forfait" if number == 1 else f"forfait-{number}"
        now = msgspec.structs.replace(paid, paid=left)
        for account, line, taken in lump_sums.of(told, clause, lump, key, now):
            left[account] = paying.left_by(taken, left.get(account, ()))
            lines.append(line)
    sums: list[ExerciceLine] = []
    for account, plans in sorted(told.plans.items()):
        parts, summed = _account(told, account, plans, left.pop(account, ()))
        uncounted = tuple(paid.uncounted.get(account, ()))
        parts[0] = msgspec.structs.replace(parts[0], notes=(*parts[0].notes, *uncounted))
        lines += parts
        sums += [msgspec.structs.replace(one, returned_cents=paid.returned.get(account, 0)) for one in summed]
    return Calendar(
        tuple(sorted(lines, key=_by_day)), tuple(sums), (*_silent(told, lines), *_elsewhere(left))
    )


def _by_day(line: InstalmentLine) -> tuple[date, int]:
    # The order of the plan is kept where the days do not tell: the sort is stable.
    return line.due_on or date.max, line.exercice


def _silent(told: Grounds, lines: Sequence[InstalmentLine]) -> tuple[str, ...]:
    """Why there are not more lines."""
    clauses = told.known.clauses
    by_term = any(not plan.exercices for _, plan in grounds.reads(clauses, InstalmentPlan))
    because = list(told.because) if by_term or any(grounds.reads(clauses, LumpSum)) else []
    for clause, _ in grounds.reads(clauses, AdvancePlan):
        if not any(line.kind == "advance" and line.article == clause.article for line in lines):
            because.append(f"aucune avance n’est demandée ({french.article_in_words(clause.article)})")
    return tuple(because)


def _elsewhere(left: Mapping[Account, Sequence[Paid]]) -> Iterator[str]:
    """What was paid for an exercice that has no line here."""
    for (_, _, exercice), paid in sorted(left.items()):
        cents = paying.counted([one for one in paid if not one.set_off])
        if cents:
            yield f"{french.euros(cents)} versés pour l’exercice {exercice}, qui n’a pas d’échéancier ici"


# -- the instalments of an account


class Row(msgspec.Struct, frozen=True):
    """A part of a plan with its day, its amount, and what counts for it."""

    key: str
    label: str
    when: When
    amount: Amount
    taken: tuple[Paid, ...]


def _account(
    told: Grounds,
    account: Account,
    plans: Sequence[tuple[ClauseLine, InstalmentPlan]],
    paid: Sequence[Paid],
) -> tuple[list[InstalmentLine], list[ExerciceLine]]:
    """The lines of one payer, one beneficiary and one exercice, plan by plan, and their sums."""
    keys = {instalment.key for _, plan in plans for instalment in plan.instalments}
    named = [one for one in paid if one.instalment in keys]
    pool: Sequence[Paid] = [one for one in paid if one.instalment not in keys]
    lines: list[InstalmentLine] = []
    sums: list[ExerciceLine] = []
    for place, (clause, plan) in enumerate(plans, start=1):
        rows, pool = _rows(told, account[2], clause, plan, named, pool)
        if place == len(plans):
            # More was paid than all parts come to: the last one shows it.
            rows[-1] = msgspec.structs.replace(rows[-1], taken=(*rows[-1].taken, *pool))
        voted = _base(told, plan, account[2], 0).at(told.known.on, told.known.on)
        lines += _lines(told, account, clause, plan, rows, voted)
        sums.append(_sum(account, plan, rows, voted))
    return lines, sums


def _rows(
    told: Grounds,
    exercice: int,
    clause: ClauseLine,
    plan: InstalmentPlan,
    named: Sequence[Paid],
    pool: Sequence[Paid],
) -> tuple[list[Row], Sequence[Paid]]:
    """The parts in order, each taking its payments; and the payments left."""
    bases = {offset: _base(told, plan, exercice, offset) for offset in amounts.offsets(plan)}
    before: dict[str, Before] = {}
    rows = []
    for instalment in plan.instalments:
        when = calendar_lines.when_due(instalment.due, exercice, told.anchors)
        mine = [one for one in named if one.instalment == instalment.key]
        first = _first_paid(mine or pool)
        moment = amounts.moment_of(told.known.on, when.opens_on, when.due_on, first)
        amount = amounts.of(instalment, bases, before, moment, settled=told.settled)
        amount = amounts.if_in_force(amount, clause)
        taken, pool = paying.take(amount.cents, mine, pool)
        rows.append(Row(instalment.key, instalment.label, when, amount, taken))
        before[instalment.key] = Before(instalment.label, amount.cents)
    return rows, pool


def _first_paid(paid: Sequence[Paid]) -> date | None:
    """The day of the first payment; what another part left of one, or an advance, tells no day."""
    return next((one.on.day for one in paid if not one.rest and not one.set_off), None)


def _base(told: Grounds, plan: InstalmentPlan, exercice: int, offset: int) -> Base:
    """The subsidy of an exercice: an earlier one may have been voted under the convention before."""
    subsidy = (plan.payer, plan.beneficiary, exercice + offset, plan.purpose)
    own = told.voted.get(subsidy)
    if own is None and offset < 0:
        own = told.before.get(subsidy)
    return own or Base(exercice + offset)


def _lines(
    told: Grounds,
    account: Account,
    clause: ClauseLine,
    plan: InstalmentPlan,
    rows: Sequence[Row],
    voted: int | None,
) -> Iterator[InstalmentLine]:
    payer, beneficiary, exercice = account
    holding = gates.holding(
        told.gates,
        payer=payer,
        beneficiary=beneficiary,
        article=clause.article,
        exercice=exercice,
        by_articles=plan.conditional_on_articles,
    )
    vote = _vote(told, account, clause)
    for row, due in zip(rows, _still_due(rows, voted), strict=True):
        line = InstalmentLine(
            kind="instalment",
            payer=payer,
            beneficiary=beneficiary,
            exercice=exercice,
            key=row.key,
            label=row.label,
            article=clause.article,
            avenant=clause.avenant,
            position=clause.position,
            state="not-computable",
            amount_cents=row.amount.cents,
            formula=row.amount.formula,
            other_reading=row.amount.other_reading,
            provisional=row.amount.provisional,
            because=row.amount.because,
            remaining_cents=due.remaining,
            overpaid_cents=due.overpaid,
            notes=due.notes,
        )
        held = msgspec.structs.replace(holding, blocks=(*holding.blocks, vote))
        yield calendar_lines.finished(
            line, row.when, row.taken, held if row.amount.awaits_vote else holding, told.gates
        )


def _vote(told: Grounds, account: Account, clause: ClauseLine) -> Block:
    """The vote that is missing, and its refusal where there was one."""
    payer, _, exercice = account
    refusals = [
        held
        for held, fact in told.known.come(SubsidyRefused)
        if (fact.payer, fact.beneficiary, fact.exercice) == account
    ]
    refused = f", refusée {french.day_in_words(refusals[-1].effective_on)}" if refusals else ""
    positions = tuple(held.position for held in refusals)
    return Block("vote", f"vote de la subvention {exercice}{refused}", clause.article, (payer,), positions)


class _Due(msgspec.Struct, frozen=True):
    """What is still to be paid of a part, and what was paid above it, in cents."""

    remaining: int | None
    overpaid: int
    notes: tuple[str, ...] = ()


def _still_due(rows: Sequence[Row], voted: int | None) -> Iterator[_Due]:
    """
    What remains of each part: never more, all in all, than the voted subsidy leaves.

    A part whose amount is negative was overpaid by what all parts received above the vote.
    """
    left = None if voted is None else voted - sum(paying.counted(row.taken) for row in rows)
    above = max(0, -left) if left is not None else 0
    for row in rows:
        cents, paid = row.amount.cents, paying.counted(row.taken)
        if cents is None:
            yield _Due(None, 0)
            continue
        overpaid = max(0, paid - cents)
        if cents < 0:
            overpaid = min(overpaid, above)
            above -= overpaid
        owing = max(0, cents - paid)
        if left is None:
            yield _Due(owing, overpaid)
            continue
        remaining = min(owing, max(0, left))
        left -= remaining
        capped = f"la subvention votée ne laisse que {french.euros(remaining)} à verser ici"
        yield _Due(remaining, overpaid, (capped,) if remaining < owing else ())


def _sum(account: Account, plan: InstalmentPlan, rows: Sequence[Row], voted: int | None) -> ExerciceLine:
    known = [row.amount.cents for row in rows if row.amount.cents is not None]
    total = sum(known) if len(known) == len(rows) else None
    counted = sum(paying.counted(row.taken) for row in rows)
    return ExerciceLine(
        *account,
        voted_cents=voted,
        instalments_cents=total,
        difference_cents=None if voted is None or total is None else voted - total,
        paid_cents=sum(one.cents for row in rows for one in row.taken if not one.set_off),
        overpaid_cents=0 if voted is None else max(0, counted - voted),
        set_off_cents=sum(one.cents for row in rows for one in row.taken if one.set_off),
        purpose=plan.purpose,
    )
