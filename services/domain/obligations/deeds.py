"""
What was done about an obligation: documents handed in or refused, other proofs, dispenses and derogations.

Pure. Which facts show an obligation met is the term's own business (document, met_by);
the debtor may besides declare it met by its key.
"""

from collections.abc import Iterator

import msgspec

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.terms import Obligation
from services.domain.book import Held
from services.domain.obligations.duties_view import View


class Act(msgspec.Struct, frozen=True):
    """
    Something done about an obligation: handed in, refused, or dispensed with.

    *sure*: it has come by the day for certain. *until*: put off to that day.
    """

    when: PartialDate
    position: int
    sure: bool
    exercice: int | None = None
    meeting: PartialDate | None = None
    refused_at: int | None = None
    by: str = ""
    until: PartialDate | None = None


def acts_on(term: Obligation, view: View) -> list[Act]:
    """What meets the obligation, in the order of life; a document that was refused meets nothing."""
    acts = [*_documents(term, view), *_proofs(term, view)]
    acts += [
        Act(held.effective_on, held.position, view.sure(held), held.fact.exercice)
        for held in view.of(facts.ObligationMet)
        if (held.fact.obligation, held.fact.debtor) == (term.key, term.debtor)
    ]
    return sorted(acts, key=lambda act: (act.when.sort_key, act.position))


def _is_owed_to(term: Obligation, institution: str) -> bool:
    # Where the paper names no creditor, whoever receives it may.
    return not term.creditors or institution in term.creditors


def _documents(term: Obligation, view: View) -> list[Act]:
    if term.document is None:
        return []
    received = [
        Act(held.effective_on, held.position, view.sure(held), held.fact.exercice)
        for held in view.of(facts.DocumentReceived)
        if (held.fact.document, held.fact.sent_by) == (term.document, term.debtor)
        and _is_owed_to(term, held.fact.received_by)
    ]
    for held in view.of(facts.DocumentRefused):
        fact = held.fact
        if (fact.document, fact.sent_by) != (term.document, term.debtor) or not _is_owed_to(term, fact.by):
            continue
        sent = [
            place
            for place, act in enumerate(received)
            if act.refused_at is None
            and agree(act.exercice, fact.exercice)
            and not act.when.after(held.effective_on)
        ]
        if not sent:
            continue
        last = received[sent[-1]]
        # A refusal of an unknown day leaves it open whether the document stands.
        refused = {"refused_at": held.position} if view.sure(held) else {"sure": False}
        received[sent[-1]] = msgspec.structs.replace(last, **refused)
    return received


def _proofs(term: Obligation, view: View) -> Iterator[Act]:
    """The other facts that show an obligation met, by its own *met_by*."""
    for held, exercice, meeting in _proving(term, view):
        yield Act(held.effective_on, held.position, view.sure(held), exercice, meeting)


Proving = Iterator[tuple[Held, int | None, PartialDate | None]]
"""The fact, the exercice it names, the meeting it names."""


def _proving(term: Obligation, view: View) -> Proving:
    debtor = term.debtor
    match term.met_by:
        case "subsidy-request" | "investment-request":
            purpose = "fonctionnement" if term.met_by == "subsidy-request" else "investissement"
            for held in view.of(facts.SubsidyRequested):
                if (held.fact.beneficiary, held.fact.purpose) == (debtor, purpose) and _is_owed_to(
                    term, held.fact.payer
                ):
                    yield held, held.fact.exercice, None
        case "subsidy-set":
            for held in view.of(facts.AvenantConcluded):
                for change in held.fact.changes:
                    if (
                        isinstance(change, facts.SubsidySet)
                        and change.payer == debtor
                        and _is_owed_to(term, change.beneficiary)
                    ):
                        yield held, change.exercice, None
        case "subsidy-voted":
            for held in view.of(facts.SubsidyVoted):
                if (held.fact.payer, held.fact.purpose) == (debtor, "fonctionnement") and _is_owed_to(
                    term, held.fact.beneficiary
                ):
                    yield held, held.fact.exercice, None
        case "aid-valued":
            for held in view.of(facts.AidInKindValued):
                if held.fact.giver == debtor and _is_owed_to(term, held.fact.beneficiary):
                    yield held, held.fact.exercice, None
        case "meeting-convened":
            for held in view.of(facts.MeetingConvened):
                if (held.fact.body, held.fact.by) == (term.body, debtor):
                    day = held.fact.meeting_on.first
                    yield held, day.year if day else None, held.fact.meeting_on
        case "minutes-sent" | "observations":
            kind = facts.MinutesSent if term.met_by == "minutes-sent" else facts.ObservationsReceived
            for held in view.of(kind):
                if (held.fact.body, held.fact.by) == (term.body, debtor):
                    yield held, None, held.fact.meeting_on
        case "change-notified":
            for held in view.of(facts.ChangeNotified):
                told = held.fact
                if told.party == debtor and (not told.to or any(_is_owed_to(term, one) for one in told.to)):
                    yield held, None, None
        case "republican-commitment":
            for held in view.of(facts.RepublicanCommitmentNoted):
                if held.fact.party == debtor:
                    yield held, None, None
        case "insurance" | "agrement" | None:
            return


def waivers_of(term: Obligation, article: str, view: View) -> list[Act]:
    """Dispenses with the document, and derogations from the article, by who may give them: a creditor."""
    given = [
        Act(held.effective_on, held.position, view.sure(held), held.fact.exercice, by=held.fact.by)
        for held in view.of(facts.DocumentDispensed)
        if (held.fact.debtor, held.fact.document) == (term.debtor, term.document)
        and _is_owed_to(term, held.fact.by)
    ]
    given += [
        Act(held.effective_on, held.position, view.sure(held), by=held.fact.by, until=held.fact.until)
        for held in view.of(facts.DerogationGranted)
        if held.fact.to == term.debtor
        and _is_owed_to(term, held.fact.by)
        and _covers(held.fact.article, article)
    ]
    return sorted(given, key=lambda act: (act.when.sort_key, act.position))


def _covers(article: str, other: str) -> bool:
    """Whether *other* is *article* or a part of it: 6.3 covers "6.3, 1er tiret", and not 6.31."""
    return other == article or other.startswith((f"{article},", f"{article}."))


def agree(one: object, other: object) -> bool:
    """Whether both name the same, or one of them names nothing."""
    return one is None or other is None or one == other
