"""
Findings about subsidies: promised, voted, published, given back, and the thresholds of the law.

Pure. Thresholds are counted over twelve months and over all conventions between
the same payer and beneficiary that are known beside this one. Aid in kind counts
towards a convention, and not towards the annual accounts.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.terms import Delay, Obligation
from services.domain import time_limits
from services.domain.book import Held
from services.domain.findings.awards import Award
from services.domain.findings.payments import awarded
from services.domain.findings.view import Raised, View, days_in_words, on_day, some
from services.domain.french import article_in_words, euros
from services.domain.money import Account

CONVENTION_CENTS: Final = 23_000_00
"""Above it a convention is required and essential data are published (décrets 2001-495, art. 1; 2017-779)."""

ACCOUNTS_CENTS: Final = 153_000_00
"""Above it in a year, in money: annual accounts, certified, published (Code de commerce, L612-4, D612-5)."""

THREE_MONTHS: Final = Delay(count=3, unit="month", anchor="signature de la convention")
"""Within which the essential data are published (décret 2017-779)."""

REPORT_MONTH, REPORT_DAY = 6, 30
"""The last day of the six months after an exercice (loi 2000-321, art. 10)."""


def vote_without_deliberation(view: View) -> Iterator[Raised]:
    """A subsidy voted, or fixed by an avenant, with no deliberation of the payer recorded for it."""
    adopted = {
        (fact.institution, fact.key)
        for _, fact in view.told(facts.DeliberationAdopted)
        if fact.outcome == "adopted"
    }
    for held, vote in view.come(facts.SubsidyVoted):
        if view.is_public(vote.payer) and (vote.payer, vote.deliberation) not in adopted:
            yield Raised(
                f"{_voted(view, vote)} {on_day(held.effective_on)}, sans que la délibération d’attribution "
                "soit enregistrée.",
                (held.position,),
                about=str(vote.exercice),
            )
    voted = {(vote.payer, vote.beneficiary, vote.exercice) for _, vote in view.told(facts.SubsidyVoted)}
    for held, avenant, change in view.set_by_avenants():
        account = (change.payer, change.beneficiary, change.exercice)
        if held.effective_on.reached(view.on) and view.is_public(change.payer) and account not in voted:
            yield Raised(
                f"{euros(change.amount_cents)} fixés par l’avenant n° {avenant.number} pour l’exercice "
                f"{change.exercice}, sans que le vote {view.n.of(change.payer)} soit enregistré.",
                (held.position,),
                about=str(change.exercice),
            )


def pledge_without_vote(view: View) -> Iterator[Raised]:
    """Amounts promised for an exercice that has begun, for which nothing was voted nor refused."""
    answered = set(awarded(view))
    answered |= {(fact.payer, fact.beneficiary, fact.exercice) for _, fact in view.told(facts.SubsidyRefused)}
    by_year = {(payer, exercice) for payer, _, exercice in answered}
    promised: dict[tuple[str, int], list[tuple[Held, facts.SubsidyPledged]]] = defaultdict(list)
    for held, pledge in view.come(facts.SubsidyPledged):
        whom = pledge.beneficiary
        done = (
            (pledge.payer, pledge.exercice) in by_year
            if whom is None
            else (pledge.payer, whom, pledge.exercice) in answered
        )
        if not done and pledge.exercice <= view.on.year:
            promised[pledge.payer, pledge.exercice].append((held, pledge))
    for (payer, exercice), pledges in promised.items():
        what = some(f"{euros(pledge.amount_cents)} ({pledge.to})" for _, pledge in pledges)
        yield Raised(
            f"Envisagé par {view.n.the(payer)} pour l’exercice {exercice}, et ni voté ni refusé : {what}.",
            tuple(held.position for held, _ in pledges),
            about=str(exercice),
        )


def vote_not_paid(view: View) -> Iterator[Raised]:
    """
    A subsidy voted, not paid in full when its exercice is over.

    Not of an exercice before the convention, which was another's to pay, nor of one that it ended within.
    """
    start = view.life.starts_on()
    first = start.first.year if start and start.first else 0
    places: dict[Account, list[int]] = defaultdict(list)
    for held, vote in view.come(facts.SubsidyVoted):
        places[vote.payer, vote.beneficiary, vote.exercice].append(held.position)
    for account, line in view.accounts.items():
        payer, beneficiary, exercice = account
        cut = view.ended_on is not None and view.ended_on.before(PartialDate(f"{exercice:04}-12-31"))
        left = line.voted_cents - line.paid_cents
        if first <= exercice < view.on.year and left > 0 and not cut:
            yield Raised(
                f"{euros(line.voted_cents)} votés par {view.n.the(payer)} {view.n.to(beneficiary)} pour "
                f"l’exercice {exercice}, clos, et {euros(line.paid_cents)} versés : reste {euros(left)}.",
                tuple(places[account]),
                about=str(exercice),
            )


def sums_differ(view: View) -> Iterator[Raised]:
    """The instalments of an exercice that do not sum to the subsidy."""
    lines = defaultdict(list)
    for line in view.calendar.instalments:
        if line.kind == "instalment":
            lines[line.payer, line.beneficiary, line.exercice].append(line)
    for one in view.calendar.exercices:
        if not one.difference_cents or one.voted_cents is None or one.instalments_cents is None:
            continue
        if (one.payer, one.beneficiary, one.exercice) in view.uncertain:
            continue
        parts = lines[one.payer, one.beneficiary, one.exercice]
        yield Raised(
            f"Exercice {one.exercice} : les acomptes et le solde font {euros(one.instalments_cents)}, pour "
            f"{euros(one.voted_cents)} votés ; écart de {euros(one.difference_cents)}.",
            tuple(dict.fromkeys(line.position for line in parts)),
            parts[0].article,
            str(one.exercice),
        )


def convention_required(view: View) -> Iterator[Raised]:
    """More than 23 000 EUR in twelve months to a person of private law, and no signed convention."""
    if not view.unsigned:
        return
    for (payer, beneficiary), awards in view.awards.items():
        over = [award for award, _ in _above(awards, CONVENTION_CENTS) if award.position is not None]
        if over:
            total = sum(award.cents for award in awards if award.account[2] == over[0].account[2])
            yield Raised(
                f"Plus de {euros(CONVENTION_CENTS)} attribués en douze mois par {view.n.the(payer)} "
                f"{view.n.to(beneficiary)} ({euros(total)} pour l’exercice {over[0].account[2]}), sans "
                "convention signée de toutes les parties.",
                tuple(award.position for award in over if award.position is not None),
                about=beneficiary,
            )


def accounts_required(view: View) -> Iterator[Raised]:
    """More than 153 000 EUR of money in an exercice, and neither a clause nor a paper about the accounts."""
    legal = {
        (term.debtor, term.legal, term.document)
        for _, term in view.terms(Obligation)
        if term.legal == "comptes-annuels"
    }
    bound_to = {debtor for debtor, _, _ in legal}
    keys = {"comptes-annuels", *(document for _, _, document in legal if document)}
    shown = {
        (fact.sent_by, fact.exercice)
        for _, fact in view.told(facts.DocumentReceived)
        if fact.document in keys
    }
    totals: dict[tuple[str, int], list[Award]] = defaultdict(list)
    for awards in view.awards.values():
        for award in awards:
            # The article counts subsidies « en numéraire » alone.
            if not award.in_kind:
                totals[award.account[1], award.account[2]].append(award)
    for (beneficiary, exercice), awards in totals.items():
        total = sum(award.cents for award in awards)
        own = tuple(award.position for award in awards if award.position is not None)
        if total <= ACCOUNTS_CENTS or beneficiary in bound_to or (beneficiary, exercice) in shown or not own:
            continue
        yield Raised(
            f"{euros(total)} de subventions publiques {view.n.to(beneficiary)} pour l’exercice {exercice}, "
            f"plus de {euros(ACCOUNTS_CENTS)} : ni clause ni pièce sur les comptes annuels certifiés.",
            own,
            about=beneficiary,
        )


def essential_data_late(view: View) -> Iterator[Raised]:
    """The essential data of a subsidy above the threshold, not published three months after the signature."""
    if view.signed_on is None:
        return
    published: dict[tuple[str, int], Held] = {}
    for held, fact in view.told(facts.EssentialDataPublished):
        published.setdefault((fact.by, fact.exercice), held)
    first: dict[Account, tuple[int, date]] = {}
    for awards in view.awards.values():
        for award, passed_on in _above(awards, CONVENTION_CENTS):
            if award.position is not None:
                first.setdefault(award.account, (award.position, passed_on))
    for (payer, beneficiary, exercice), (position, passed_on) in first.items():
        anchor = max(view.signed_on, passed_on)
        limit = time_limits.counted(THREE_MONTHS, PartialDate.of(anchor))
        if isinstance(limit, time_limits.NotComputable) or limit.last_day >= view.on:
            continue
        found = published.get((payer, exercice))
        if found is not None and not found.effective_on.after(limit.last_day):
            continue
        day = found.effective_on.day if found else None
        state = (
            "ne sont pas publiées"
            if found is None
            else f"sont publiées {on_day(found.effective_on)}"
            + (f", {days_in_words((day - limit.last_day).days)} après" if day else "")
        )
        yield Raised(
            f"Les données essentielles de la subvention {exercice} {view.n.of(payer)} "
            f"{view.n.to(beneficiary)} devaient être publiées au plus tard {on_day(limit.last_day)} ; elles "
            f"{state}.",
            (position, *((found.position,) if found else ())),
            about=str(exercice),
            severity="minor" if found else None,
        )


def titre_unpaid(view: View) -> Iterator[Raised]:
    """A titre de recettes that is not paid in full."""
    places: dict[Account, list[int]] = defaultdict(list)
    for held, titre in view.come(facts.RecoveryOrdered):
        places[titre.payer, titre.beneficiary, titre.exercice].append(held.position)
    for account, line in view.accounts.items():
        payer, beneficiary, exercice = account
        left = line.recovery_ordered_cents - line.returned_cents
        if left > 0:
            yield Raised(
                f"{euros(line.recovery_ordered_cents)} réclamés par titre {view.n.to(beneficiary)} par "
                f"{view.n.the(payer)} pour l’exercice {exercice}, et {euros(line.returned_cents)} rendus : "
                f"reste {euros(left)}.",
                tuple(places[account]),
                about=str(exercice),
            )


def overpaid_without_titre(view: View) -> Iterator[Raised]:
    """A trop-perçu found, not given back and not claimed by a titre de recettes."""
    places: dict[Account, list[int]] = defaultdict(list)
    for held, found in view.come(facts.OverpaymentFound):
        places[found.payer, found.beneficiary, found.exercice].append(held.position)
    for account, line in view.accounts.items():
        payer, beneficiary, exercice = account
        left = line.overpaid_cents - max(line.recovery_ordered_cents, line.returned_cents)
        if left > 0:
            yield Raised(
                f"{euros(line.overpaid_cents)} de trop-perçu constatés {view.n.to(beneficiary)} par "
                f"{view.n.the(payer)} pour l’exercice {exercice} : {euros(left)} ni rendus ni réclamés par "
                "titre.",
                tuple(places[account]),
                about=str(exercice),
            )


def financial_report_missing(view: View) -> Iterator[Raised]:
    """A subsidy for a project, and no account of its use within six months of the end of the exercice."""
    keys = {"compte-rendu-financier"}
    articles: dict[str, str] = {}
    for clause, term in view.terms(Obligation):
        if term.legal == "compte-rendu-financier" and term.document:
            keys.add(term.document)
            articles[term.debtor] = clause.article
    received: dict[tuple[str, int | None], Held] = {}
    for held, document in view.told(facts.DocumentReceived):
        if document.document in keys:
            received.setdefault((document.sent_by, document.exercice), held)
    for held, vote in view.come(facts.SubsidyVoted):
        last_day = date(vote.exercice + 1, REPORT_MONTH, REPORT_DAY)
        if vote.purpose != "projet" or not view.is_private(vote.beneficiary) or view.on <= last_day:
            continue
        found = received.get((vote.beneficiary, vote.exercice))
        if found is not None and not found.effective_on.after(last_day):
            continue
        state = "n’est pas reçu" if found is None else f"est reçu {on_day(found.effective_on)}"
        article = articles.get(vote.beneficiary)
        told = f" ({article_in_words(article)})" if article else ""
        yield Raised(
            f"Le compte rendu financier{told} de la subvention de projet {vote.exercice} "
            f"({euros(vote.amount_cents)}) était dû par {view.n.the(vote.beneficiary)} au plus tard "
            f"{on_day(last_day)} ; il {state}.",
            (held.position, *((found.position,) if found else ())),
            article,
            str(vote.exercice),
            vote.beneficiary,
            last_day,
            "minor" if found else None,
        )


# -- what several rules ask


def _voted(view: View, vote: facts.SubsidyVoted) -> str:
    return (
        f"{euros(vote.amount_cents)} votés par {view.n.the(vote.payer)} {view.n.to(vote.beneficiary)} "
        f"pour l’exercice {vote.exercice}"
    )


def _above(awards: Sequence[Award], threshold: int) -> list[tuple[Award, date]]:
    """
    Those of *awards*, by day, that some twelve months hold with others for more than *threshold*.

    Each with the day on which that was passed.
    """
    over: list[tuple[Award, date]] = []
    first = marked = total = 0
    for place, award in enumerate(awards):
        total += award.cents
        # Twelve months end on the day of the award: what is a year older or more is out.
        while awards[first].day <= time_limits.anniversary(award.day, -1):
            total -= awards[first].cents
            first += 1
        if total > threshold:
            over += [(one, award.day) for one in awards[max(first, marked) : place + 1]]
            marked = place + 1
    return over
