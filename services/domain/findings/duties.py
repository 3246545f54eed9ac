"""
Findings about what is owed besides money: documents, meetings, insurance, commitments, the agrément.

Pure.
"""

from collections.abc import Iterator
from datetime import date
from typing import Final

from contracts import events as facts
from contracts.terms import Obligation
from services.domain.findings.view import Raised, View, a_day, days_in_words, on_day
from services.domain.obligations import ObligationLine

COMMITMENT_DAY: Final = date(2022, 1, 2)
"""From when a subsidy asked for takes a contrat d'engagement républicain (décret 2021-1947)."""

GAPS: Final = {
    "before": "l’agrément n’a pas encore commencé",
    "between": "deux périodes d’agrément ne se suivent pas",
    "after": "l’agrément est arrivé à son terme",
    "suspended": "l’agrément est suspendu",
    "withdrawn": "l’agrément est retiré",
    "lapsed": "l’agrément est arrivé à son terme",
}
"""Why days are not covered; where nothing was ever granted, or dates do not tell, other words are needed."""


def document_late(view: View) -> Iterator[Raised]:
    """A document that came after its day."""
    for line in view.duties.obligations:
        if line.state == "met-late" and line.document and line.met_on:
            late = f", avec {days_in_words(line.days_late)} de retard" if line.days_late else ""
            yield _owed(view, line, f"remis {on_day(line.met_on)}{late}", (line.met_by,))


def document_missing(view: View) -> Iterator[Raised]:
    """A document whose day has passed, and that has not come."""
    for line in view.duties.obligations:
        if line.state == "overdue" and line.document:
            gate = " ; les versements en dépendent" if line.gates_payments else ""
            yield _owed(view, line, f"non remis{gate}", (line.refused_at,))


def obligation_unmet(view: View) -> Iterator[Raised]:
    """Something else owed by a day, not done or done late."""
    for line in view.duties.obligations:
        if line.document or line.state not in ("overdue", "met-late"):
            continue
        late = f", avec {days_in_words(line.days_late)} de retard" if line.days_late else ""
        done = "non fait" if line.state == "overdue" else f"fait{late}"
        yield _owed(view, line, done, (line.met_by,))


def document_refused(view: View) -> Iterator[Raised]:
    """A document sent back, with no other since and no dispense."""
    answered: dict[tuple[str, str, int | None], date] = {}
    for held, received in view.told(facts.DocumentReceived):
        key = (received.sent_by, received.document, received.exercice)
        answered[key] = max(held.effective_on.last or date.max, answered.get(key, date.min))
    for _, dispensed in view.told(facts.DocumentDispensed):
        answered[dispensed.debtor, dispensed.document, dispensed.exercice] = date.max
    for held, refused in view.come(facts.DocumentRefused):
        since = answered.get((refused.sent_by, refused.document, refused.exercice), date.min)
        if since > (held.effective_on.last or date.min):
            continue
        year = "" if refused.exercice is None else f", exercice {refused.exercice}"
        yield Raised(
            f"{view.n.key(refused.document)} {view.n.of(refused.sent_by)}{year}, refusé par "
            f"{view.n.the(refused.by)} {on_day(held.effective_on)} et non remplacé : {refused.reason}",
            (held.position,),
            about=refused.document,
        )


def meeting_missing(view: View) -> Iterator[Raised]:
    """A body that met fewer times in a year than it must."""
    for line in view.duties.meetings:
        if line.state == "missing":
            yield Raised(
                f"{line.label}, {line.year} : {len(line.held)} réunion{'s' if len(line.held) > 1 else ''}, "
                f"pour {line.at_least} au moins.",
                (line.position, *line.held),
                line.article,
                line.body,
            )


def meetings_too_many(view: View) -> Iterator[Raised]:
    """A body that met more times in a year than it may."""
    for line in view.duties.meetings:
        if line.state == "too-many":
            yield Raised(
                f"{line.label}, {line.year} : {len(line.held)} réunions, pour {line.at_most} au plus.",
                (line.position, *line.held),
                line.article,
                line.body,
            )


def insurance_not_shown(view: View) -> Iterator[Raised]:
    """A party that must be insured and has shown nothing for the day, or whose cover has run out."""
    required = {term.debtor: clause for clause, term in view.terms(Obligation) if term.legal == "assurance"}
    shown: dict[str, list[int]] = {}
    covered: set[str] = set()
    for held, cover in view.told(facts.InsuranceShown):
        shown.setdefault(cover.party, []).append(held.position)
        if cover.starts_on.reached(view.on) is not False and not cover.ends_on.before(view.on):
            covered.add(cover.party)
    for party in dict.fromkeys((*required, *shown)):
        if party in covered or view.ended_on is not None:
            continue
        clause = required.get(party)
        state = (
            "les assurances justifiées sont arrivées à leur terme" if party in shown else "aucune justifiée"
        )
        yield Raised(
            f"Assurances {view.n.of(party)}, {on_day(view.on)} : {state}.",
            (*((clause.position,) if clause else ()), *shown.get(party, ())),
            clause.article if clause else None,
            party,
        )


def commitment_presumed(view: View) -> Iterator[Raised]:
    """A contrat d'engagement républicain said to be deemed satisfied, and not subscribed."""
    subscribed = {
        fact.party for _, fact in view.told(facts.RepublicanCommitmentNoted) if fact.manner == "souscrit"
    }
    for held, noted in view.told(facts.RepublicanCommitmentNoted):
        if noted.manner == "repute-satisfait" and noted.party not in subscribed:
            ground = f" ({noted.ground})" if noted.ground else ""
            whose = view.n.of(noted.party)
            yield Raised(
                f"Contrat d’engagement républicain {whose} réputé satisfait{ground} : la loi ne le "
                "présume que d’un agrément de son article 25-1 ou de la reconnaissance d’utilité "
                "publique.",
                (held.position,),
                noted.source.article if noted.source else None,
                noted.party,
            )


def commitment_missing(view: View) -> Iterator[Raised]:
    """A subsidy voted to a person of private law, and no contrat d'engagement républicain recorded."""
    noted = {fact.party for _, fact in view.told(facts.RepublicanCommitmentNoted)}
    votes: dict[str, list[int]] = {}
    for held, vote in view.come(facts.SubsidyVoted):
        if held.effective_on.before(COMMITMENT_DAY) is False and view.is_private(vote.beneficiary):
            votes.setdefault(vote.beneficiary, []).append(held.position)
    for beneficiary, positions in votes.items():
        if beneficiary not in noted:
            yield Raised(
                f"Subvention votée {view.n.to(beneficiary)}, sans contrat d’engagement républicain "
                "enregistré.",
                tuple(positions),
                about=beneficiary,
            )


# -- the agrément


def agrement_gap(view: View) -> Iterator[Raised]:
    """Days of the convention, come already, that no agrément covers though it depends on one."""
    for cover in view.coverage:
        for gap in cover.gaps:
            why = GAPS.get(gap.because)
            if why is None or gap.first > view.on:
                continue
            until = gap.last if gap.last and gap.last < view.on else None
            days = f"du {a_day(gap.first)} au {a_day(until)}" if until else f"depuis le {a_day(gap.first)}"
            right = f" {cover.right_opened}" if cover.right_opened and not until else ""
            yield Raised(
                f"Agrément {view.n.of(cover.holder)} : {why}, {days}.{right}",
                (cover.position, *(one.position for one in cover.covers)),
                cover.article,
                cover.holder,
                cover.holder,
                gap.first,
                "serious" if until is None else None,
            )


def agrement_unproven(view: View) -> Iterator[Raised]:
    """A convention that depends on an agrément, of which nothing is recorded."""
    for cover in view.coverage:
        if not cover.covers and cover.standing in ("none", "requested"):
            asked = " ; une demande est enregistrée" if cover.standing == "requested" else ""
            yield Raised(
                f"La convention dépend de l’agrément {view.n.of(cover.holder)} : aucun n’est "
                f"enregistré{asked}.",
                (cover.position,),
                cover.article,
                cover.holder,
            )


def agrement_ends_first(view: View) -> Iterator[Raised]:
    """An agrément whose last period ends before the convention that depends on it."""
    for cover in view.coverage:
        last = max((one.ends_on for one in cover.covers), key=lambda day: day.sort_key, default=None)
        end = view.life.ends_on(view.on)
        if cover.ends_before_convention and last is not None and end is not None:
            yield Raised(
                f"L’agrément {view.n.of(cover.holder)} finit {on_day(last)}, la convention {on_day(end)}.",
                (cover.position, *(one.position for one in cover.covers)),
                cover.article,
                cover.holder,
            )


# -- what several rules ask


def _owed(view: View, line: ObligationLine, state: str, places: tuple[int | None, ...]) -> Raised:
    year = "" if line.exercice is None else f", exercice {line.exercice}"
    occasion = f", {line.occasion}" if line.occasion else ""
    due = f" {on_day(line.due_on)}" if line.due_on else ""
    return Raised(
        f"{line.what}{year}{occasion} : dû par {view.n.the(line.debtor)}{due}, {state}.",
        (line.position, *(place for place in places if place is not None)),
        line.article,
        line.key,
        line.debtor,
        line.due_on,
    )
