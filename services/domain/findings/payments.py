"""
Findings about payments: early, late, twice, too much, while held back, with nothing to rest on.

Pure. Each rule looks at the facts of the day laid out by findings_view, and yields
what it found; the catalogue in findings says how grave it is and how it is cleared.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Final

import msgspec

from contracts import events as facts
from contracts.terms import AdvancePlan, Condition, Delay, InstalmentPlan, LumpSum
from services.domain import time_limits
from services.domain.book import Held
from services.domain.findings.view import Raised, View, covering, days_in_words, on_day, some
from services.domain.french import article_in_words, euros
from services.domain.money import Account
from services.domain.obligations import ObligationLine

SIXTY_DAYS: Final = Delay(count=60, unit="day", anchor="notification de la décision d’attribution")
"""Loi n° 2000-321, art. 10, as the loi n° 2021-875, art. 2, left it."""


def paid_early(view: View) -> Iterator[Raised]:
    """A payment made before the span that the term gives opened."""
    for held, paid in view.payments:
        line = view.line_of.get(held.position)
        if line and line.opens_on and held.effective_on.before(line.opens_on):
            yield _of_payment(
                view,
                held,
                paid,
                f"avant le premier jour prévu pour : {line.label} ({on_day(line.opens_on)}).",
                rests_on=(line.position,),
                article=line.article,
            )


def paid_late(view: View) -> Iterator[Raised]:
    """A payment made after the last day in time, with no document missing on that day that held it back."""
    late = [
        (held, paid, line, line.due_on)
        for held, paid in view.payments
        if (line := view.line_of.get(held.position)) and line.due_on and held.effective_on.after(line.due_on)
    ]
    if not late:
        return
    held_back = covering(_documents_missing(view), ((paid.beneficiary, due) for _, paid, _, due in late))
    for held, paid, line, due in late:
        if (paid.beneficiary, due) in held_back:
            continue
        day = held.effective_on.day
        by = f", soit {days_in_words((day - due).days)} de retard" if day else ""
        yield Raised(
            f"{_payment(view, held, paid)}, après le dernier jour prévu pour : {line.label} "
            f"({on_day(due)}){by}.",
            (line.position, held.position),
            line.article,
            paid.key,
            paid.payer,
            day,
        )


def instalment_overdue(view: View) -> Iterator[Raised]:
    """An instalment whose last day has passed, held back by nothing, and not paid."""
    for line in view.calendar.instalments:
        if line.state == "overdue" and line.due_on and line.remaining_cents:
            yield Raised(
                f"Non versé au {_bare(line.due_on)} {view.n.to(line.beneficiary)} par "
                f"{view.n.the(line.payer)}, exercice {line.exercice}, {line.label} : "
                f"reste {euros(line.remaining_cents)}.",
                (line.position, *line.payments),
                line.article,
                line.key,
                line.payer,
                line.due_on,
            )


def paid_twice(view: View) -> Iterator[Raised]:
    """Payments of one amount for one instalment or on one day, or by one mandat; nothing given back."""
    alike: dict[object, list[tuple[Held, facts.PaymentMade]]] = defaultdict(list)
    for held, paid in view.payments:
        which = paid.instalment or held.effective_on.text
        alike[paid.payer, paid.beneficiary, paid.exercice, paid.amount_cents, which].append((held, paid))
        if paid.mandat is not None:
            alike[paid.payer, paid.exercice, paid.mandat].append((held, paid))
    told: set[tuple[int, ...]] = set()
    for group in alike.values():
        first = group[0][1]
        places = tuple(held.position for held, _ in group)
        account = view.accounts.get(_account(first))
        if len(group) < 2 or account is None or places in told:
            continue
        if account.returned_cents + account.overpaid_cents >= sum(paid.amount_cents for _, paid in group[1:]):
            continue
        told.add(places)
        line = view.line_of.get(places[0])
        # Those of one mandat may each be of another amount.
        is_one_amount = len({paid.amount_cents for _, paid in group}) == 1
        alike_in = f"de {euros(first.amount_cents)}" if is_one_amount else f"sur le mandat n° {first.mandat}"
        yield Raised(
            f"{len(group)} versements {alike_in} {view.n.to(first.beneficiary)} par "
            f"{view.n.the(first.payer)}, exercice {first.exercice}, qui paraissent être le même : "
            f"{some(f'{paid.key} {on_day(held.effective_on)}' for held, paid in group)}.",
            places,
            line.article if line else None,
            first.instalment or first.key,
            first.payer,
            group[-1][0].effective_on.day,
        )


def paid_too_much(view: View) -> Iterator[Raised]:
    """More was paid for an exercice than was voted, and has not come back."""
    places = _positions_by_account(view.payments)
    for account, line in view.accounts.items():
        over = line.paid_cents - line.returned_cents - line.voted_cents
        if line.voted_cents and over > 0:
            payer, beneficiary, exercice = account
            yield Raised(
                f"{euros(line.paid_cents)} versés {view.n.to(beneficiary)} par {view.n.the(payer)} pour "
                f"l’exercice {exercice}, pour {euros(line.voted_cents)} votés : {euros(over)} de trop.",
                tuple(places[account]),
                about=str(exercice),
            )


def paid_while_suspended(view: View) -> Iterator[Raised]:
    """A payment between a decision to hold payments back and its lifting."""
    lifted = {fact.key: held.effective_on.day for held, fact in view.told(facts.SuspensionLifted)}
    spans = [
        (fact.by, held.effective_on.day, _day_before(lifted.get(fact.key)), (held, fact))
        for held, fact in view.come(facts.PaymentsSuspended)
        # One that was lifted on a day that is not known may have been lifted by then.
        if held.effective_on.day and lifted.get(fact.key, date.max)
    ]
    suspended = covering(spans, _payer_days(view))
    for held, paid in view.payments:
        for decision, fact in suspended.get((paid.payer, held.effective_on.day or date.max), ()):
            yield _of_payment(
                view,
                held,
                paid,
                f"alors que {view.n.the(paid.payer)} avait suspendu ses "
                f"versements {on_day(decision.effective_on)} : {fact.reason}",
                rests_on=(decision.position,),
                article=fact.article,
            )


def paid_with_document_missing(view: View) -> Iterator[Raised]:
    """A payment while a document that it is conditional on was due and had not come."""
    asked = ((paid.beneficiary, day) for held, paid in view.payments if (day := held.effective_on.day))
    missing = covering(_documents_missing(view), asked)
    for held, paid in view.payments:
        documents = missing.get((paid.beneficiary, held.effective_on.day or date.max))
        if documents:
            what = some(f"{one.what} ({article_in_words(one.article)})" for one in documents)
            yield _of_payment(
                view,
                held,
                paid,
                f"alors que manquait : {what}.",
                rests_on=(*sorted({one.position for one in documents}),),
                article=documents[0].article,
            )


def paid_without_agrement(view: View) -> Iterator[Raised]:
    """A payment on a day that no agrément of the beneficiary covers, where the partnership depends on it."""
    depending = {
        clause.position for clause, term in view.terms(Condition) if term.of in ("partnership", "payments")
    }
    gaps = [
        (cover.holder, gap.first, gap.last, cover)
        for cover in view.coverage
        if cover.position in depending
        for gap in cover.gaps
        if gap.because not in ("uncertain", "never-granted")
    ]
    asked = ((paid.beneficiary, day) for held, paid in view.payments if (day := held.effective_on.day))
    found = covering(gaps, asked)
    for held, paid in view.payments:
        for cover in found.get((paid.beneficiary, held.effective_on.day or date.max), ())[:1]:
            yield _of_payment(
                view,
                held,
                paid,
                f"un jour où aucun agrément {view.n.of(cover.holder)} n’était en cours.",
                rests_on=(cover.position,),
                article=cover.article,
            )


def paid_before_signature(view: View) -> Iterator[Raised]:
    """A payment made before the last party had signed, for an exercice that the convention covers."""
    start = view.life.starts_on()
    first = start.first.year if start and start.first else 0
    for held, paid in view.payments:
        if paid.exercice < first:
            continue
        before = view.signed_on is not None and held.effective_on.before(view.signed_on)
        if before or view.unsigned:
            state = (
                f"avant la dernière signature ({on_day(view.signed_on)})"
                if view.signed_on
                else "alors que toutes les parties n’ont pas signé"
            )
            yield _of_payment(view, held, paid, f"{state}.")


def paid_after_the_end(view: View) -> Iterator[Raised]:
    """A payment after the day the convention ended, but for one whose term gave that day, or gave none."""
    if view.ended_on is None:
        return
    cut = any(ending.kind == "resiliation" and ending.on == view.ended_on for ending in view.life.endings)
    for held, paid in view.payments:
        line = view.line_of.get(held.position)
        # A flat sum has no day of its own: it is paid once the account of its exercice is given.
        foreseen = line and (
            line.kind == "lump-sum" or (line.due_on and not held.effective_on.after(line.due_on))
        )
        if held.effective_on.after(view.ended_on) and (cut or not foreseen):
            how = "la résiliation a pris effet" if cut else "la convention a pris fin"
            yield _of_payment(view, held, paid, f"alors que {how} {on_day(view.ended_on)}.")


def paid_without_ground(view: View) -> Iterator[Raised]:
    """Money paid for an exercice for which nothing was voted, and which no clause provides for."""
    voted, provided = set(awarded(view)), _plans(view)
    for account, paid in _by_account(view.payments).items():
        payer, beneficiary, exercice = account
        if account in voted or provided.cover(account):
            continue
        total = sum(fact.amount_cents for _, fact in paid)
        yield Raised(
            f"{euros(total)} versés {view.n.to(beneficiary)} par {view.n.the(payer)} pour l’exercice "
            f"{exercice}, sans délibération qui attribue la subvention ni clause qui prévoie le versement.",
            tuple(held.position for held, _ in paid),
            about=str(exercice),
        )


def paid_to_another(view: View) -> Iterator[Raised]:
    """Money paid to a party that no vote, no pledge, no plan and no role makes a beneficiary."""
    entitled = {member.institution for member in view.life.memberships() if member.role == "beneficiaire"}
    entitled |= {term.beneficiary for _, term in view.terms(InstalmentPlan)}
    entitled |= {beneficiary for _, beneficiary, _ in awarded(view)}
    entitled |= {fact.beneficiary for _, fact in view.told(facts.SubsidyRequested)}
    entitled |= {fact.beneficiary for _, fact in view.told(facts.SubsidyPledged) if fact.beneficiary}
    # An advance or a lump sum names no beneficiary: any party may be one.
    if len(view.terms(AdvancePlan)) + len(view.terms(LumpSum)):
        return
    for held, paid in view.payments:
        if paid.beneficiary not in entitled:
            yield _of_payment(
                view, held, paid, "qui n’est bénéficiaire d’aucune subvention de la convention."
            )


def beyond_sixty_days(view: View) -> Iterator[Raised]:
    """A subsidy with no date set for it, not paid in full within sixty days of the vote."""
    paid_by_account, provided = _by_account(view.payments), _plans(view)
    for held, vote in view.come(facts.SubsidyVoted):
        limit = time_limits.counted(SIXTY_DAYS, held.effective_on)
        if isinstance(limit, time_limits.NotComputable) or not limit.last_day < view.on:
            continue
        account = (vote.payer, vote.beneficiary, vote.exercice)
        if vote.purpose == "avance" or provided.cover(account) or account in view.uncertain:
            continue
        paid = paid_by_account.get(account, [])
        in_time = sum(fact.amount_cents for one, fact in paid if not one.effective_on.after(limit.last_day))
        if in_time < vote.amount_cents:
            yield Raised(
                f"{euros(vote.amount_cents)} votés {on_day(held.effective_on)} {view.n.to(vote.beneficiary)} "
                f"par {view.n.the(vote.payer)}, sans date de versement : {euros(in_time)} versés dans les "
                f"soixante jours, échus {on_day(limit.last_day)} au plus tôt (la notification n’est pas "
                "enregistrée : le délai est compté du vote).",
                (held.position, *(one.position for one, _ in paid)),
                about=str(vote.exercice),
            )


def rejected_not_replaced(view: View) -> Iterator[Raised]:
    """A payment that came back, with none after it for the same instalment or account."""
    last: dict[object, date] = {}
    for held, paid in view.told(facts.PaymentMade):
        if (paid.payer, paid.key) in view.sent_back:
            continue
        day = held.effective_on.last or date.max
        for which in (_account(paid), (_account(paid), paid.instalment)):
            last[which] = max(day, last.get(which, date.min))
    for held, made in view.told(facts.PaymentMade):
        found = view.sent_back.get((made.payer, made.key))
        if found is None:
            continue
        rejection, rejected = found
        which = (_account(made), made.instalment) if made.instalment else _account(made)
        if last.get(which, date.min) < (rejection.effective_on.first or date.min):
            yield Raised(
                f"{_payment(view, held, made)}, rejetés {on_day(rejection.effective_on)} "
                f"({rejected.reason}), et non versés de nouveau.",
                (held.position, rejection.position),
                about=made.key,
            )


def unknown_mandat(view: View) -> Iterator[Raised]:
    """A payment that names a mandat nobody recorded, where the payer's mandats are recorded."""
    ordered = {(fact.payer, fact.number) for _, fact in view.told(facts.PaymentOrdered)}
    payers = {payer for payer, _ in ordered}
    for held, paid in view.payments:
        if paid.mandat and paid.payer in payers and (paid.payer, paid.mandat) not in ordered:
            yield _of_payment(view, held, paid, f"sur un mandat n° {paid.mandat} qui n’est pas enregistré.")


def ordered_beyond_committed(view: View) -> Iterator[Raised]:
    """More ordered than the books set aside for the exercice, less what came back and is ordered again."""
    orders = _positions_by_account(view.come(facts.PaymentOrdered))
    for account, line in view.accounts.items():
        payer, beneficiary, exercice = account
        ordered = line.ordered_cents - line.rejected_cents
        if line.committed_cents and ordered > line.committed_cents:
            yield Raised(
                f"{euros(ordered)} mandatés par {view.n.the(payer)} {view.n.to(beneficiary)} pour "
                f"l’exercice {exercice}, pour {euros(line.committed_cents)} d’engagement comptable.",
                tuple(orders[account]),
                about=str(exercice),
            )


def advance_not_set_off(view: View) -> Iterator[Raised]:
    """An advance paid, not counted against the subsidy by the end of the exercice."""
    set_off = {(fact.payer, fact.payment) for _, fact in view.told(facts.AdvanceSetOff)}
    for held, paid in view.payments:
        line = view.line_of.get(held.position)
        due = line and line.kind == "advance" and view.on.year > line.exercice
        if line and due and (paid.payer, paid.key) not in set_off:
            yield Raised(
                f"{_payment(view, held, paid)}, à titre d’avance sur l’exercice {line.exercice}, clos "
                "sans que l’avance soit imputée sur la subvention.",
                (line.position, held.position),
                line.article,
                paid.key,
            )


# -- what several rules ask


def _of_payment(
    view: View,
    held: Held,
    paid: facts.PaymentMade,
    says: str,
    *,
    rests_on: tuple[int, ...] = (),
    article: str | None = None,
) -> Raised:
    """A payment found at fault: what *says* goes on from how much, to whom, by whom, when."""
    return Raised(
        f"{_payment(view, held, paid)}, {says}",
        (*rests_on, held.position),
        article,
        paid.key,
        paid.payer,
        held.effective_on.day,
    )


def _payment(view: View, held: Held, paid: facts.PaymentMade) -> str:
    """The beginning of a sentence on a payment: how much, to whom, by whom, when."""
    when = on_day(held.effective_on)
    return (
        f"{euros(paid.amount_cents)} versés {view.n.to(paid.beneficiary)} par {view.n.the(paid.payer)} {when}"
    )


def _bare(day: date) -> str:
    return on_day(day).removeprefix("le ")


def _account(paid: facts.PaymentMade) -> Account:
    return paid.payer, paid.beneficiary, paid.exercice


def _by_account(
    payments: Iterable[tuple[Held, facts.PaymentMade]],
) -> dict[Account, list[tuple[Held, facts.PaymentMade]]]:
    found: dict[Account, list[tuple[Held, facts.PaymentMade]]] = defaultdict(list)
    for held, paid in payments:
        found[_account(paid)].append((held, paid))
    return found


def _positions_by_account(
    payments: Iterable[tuple[Held, facts.PaymentMade | facts.PaymentOrdered]],
) -> dict[Account, list[int]]:
    found: dict[Account, list[int]] = defaultdict(list)
    for held, paid in payments:
        found[paid.payer, paid.beneficiary, paid.exercice].append(held.position)
    return found


def _payer_days(view: View) -> Iterator[tuple[str, date]]:
    return ((paid.payer, day) for held, paid in view.payments if (day := held.effective_on.day))


def _day_before(day: date | None) -> date | None:
    return day - timedelta(days=1) if day else None


def _documents_missing(view: View) -> Iterator[tuple[str, date, date | None, ObligationLine]]:
    """Whose document was missing from which day to which: those that payments are conditional on."""
    for line in view.duties.obligations:
        known = line.state != "undetermined" and line.waived_by is None
        if line.gates_payments and line.due_on and known:
            met = line.met_on.first if line.met_on else None
            yield line.debtor, line.due_on + timedelta(days=1), _day_before(met), line


class _Plans(msgspec.Struct, frozen=True):
    """Which payments the clauses provide for: pairs, pairs of some exercices, and payers whoever it is to."""

    always: frozenset[tuple[str, str]]
    in_exercices: frozenset[Account]
    whoever: frozenset[str]
    lump_sums_from: dict[str, int]

    def cover(self, account: Account) -> bool:
        """Whether a clause says how that payer pays that beneficiary that exercice."""
        payer, beneficiary, exercice = account
        return (
            (payer, beneficiary) in self.always
            or account in self.in_exercices
            or payer in self.whoever
            or self.lump_sums_from.get(payer, exercice + 1) <= exercice
        )


def _plans(view: View) -> _Plans:
    plans = [term for _, term in view.terms(InstalmentPlan)]
    sums: dict[str, int] = {}
    for _, term in view.terms(LumpSum):
        sums[term.payer] = min(term.from_exercice, sums.get(term.payer, term.from_exercice))
    return _Plans(
        always=frozenset((plan.payer, plan.beneficiary) for plan in plans if not plan.exercices),
        in_exercices=frozenset(
            (plan.payer, plan.beneficiary, exercice) for plan in plans for exercice in plan.exercices
        ),
        whoever=frozenset(term.payer for _, term in view.terms(AdvancePlan)),
        lump_sums_from=sums,
    )


def awarded(view: View) -> Iterator[Account]:
    """For whom and for which exercice a subsidy was voted, or fixed by an avenant, or may have been."""
    for _, vote in view.told(facts.SubsidyVoted):
        yield vote.payer, vote.beneficiary, vote.exercice
    for _, changed in view.told(facts.SubsidyChanged):
        yield changed.payer, changed.beneficiary, changed.exercice
    for _, _, change in view.set_by_avenants():
        yield change.payer, change.beneficiary, change.exercice
