"""
Findings about leaving: mises en demeure, résiliations, dénonciations, disputes.

Pure. Most of it is counted elsewhere (notices, denunciations, endings); here is
what of it departs from the text.
"""

from collections.abc import Iterator

from contracts import events as facts
from contracts.terms import Denunciation
from services.domain.exits.notices import NoticeCourse, clause_of
from services.domain.findings.view import Raised, View, a_day, on_day
from services.domain.french import article_in_words, list_in_words


def notice_run_out(view: View) -> Iterator[Raised]:
    """A mise en demeure whose time is over, with no word of its sender and no résiliation since."""
    for notice in view.exits.notices:
        if notice.state == "run-out" and notice.followed_by is None:
            until = f" {on_day(notice.ends_on)}" if notice.ends_on else ""
            yield Raised(
                f"Mise en demeure {view.n.of(notice.by)} {view.n.to(notice.to)} : le délai est arrivé à son "
                f"terme{until}, et aucune décision n’est enregistrée.",
                notice.positions,
                notice.article,
                notice.key,
            )


def terminated_too_soon(view: View) -> Iterator[Raised]:
    """A résiliation pronounced before the time given by its mise en demeure was over."""
    notices: dict[str | None, NoticeCourse] = {notice.key: notice for notice in view.exits.notices}
    for held, end in view.come(facts.ResiliationPronounced):
        notice = notices.get(end.notice)
        if notice is None or notice.ends_on is None:
            continue
        if held.effective_on.after(notice.ends_on) is False:
            yield Raised(
                f"Résiliation prononcée {on_day(held.effective_on)} par {view.n.all(end.by)}, alors que la "
                f"mise en demeure courait jusqu’au {a_day(notice.ends_on)} inclus.",
                (*notice.positions, held.position),
                notice.article,
                notice.key,
                end.by[0],
                held.effective_on.day,
            )


def terminated_without_notice(view: View) -> Iterator[Raised]:
    """A résiliation on an article that wants a mise en demeure, resting on none."""
    for held, end in view.come(facts.ResiliationPronounced):
        found = clause_of(view.known.clauses, end.article)
        if end.notice is None and found is not None and found[1].cure.count > 0:
            clause, _ = found
            yield Raised(
                f"Résiliation prononcée {on_day(held.effective_on)} par {view.n.all(end.by)} sur "
                f"l’{article_in_words(end.article)}, sans la mise en demeure qu’il demande.",
                (clause.position, held.position),
                clause.article,
                who=end.by[0],
                on=held.effective_on.day,
            )


def terminated_without_deliberation(view: View) -> Iterator[Raised]:
    """A résiliation by a public body whose assembly is not known to have decided on it."""
    for end in view.exits.ends:
        if end.kind != "resiliation":
            continue
        for decided in end.authorised_by:
            if decided.required and decided.state == "no":
                yield Raised(
                    f"Résiliation {on_day(end.on)} par {view.n.the(decided.institution)}, dont aucune "
                    "délibération sur la résiliation n’est enregistrée.",
                    end.positions,
                    end.article,
                    decided.institution,
                    decided.institution,
                    source=decided.source or None,
                )


def denounced_too_late(view: View) -> Iterator[Raised]:
    """A dénonciation served after the last day for the anniversary it names."""
    for line in view.exits.denunciations:
        if line.in_time is False and line.served_on and line.notice_by and line.position:
            yield Raised(
                f"Dénonciation {view.n.of(line.by)} notifiée {view.n.to(line.to)} {on_day(line.served_on)}, "
                f"après le {a_day(line.notice_by)}, dernier jour pour l’anniversaire du "
                f"{a_day(line.anniversary)}.",
                (line.position,),
                line.article,
                line.by,
                line.by,
                line.served_on.day,
            )


def denounced_to_some(view: View) -> Iterator[Raised]:
    """A dénonciation not served on every other party, where the text wants all of them told."""
    article = next((clause.article for clause, term in view.terms(Denunciation) if term.to_all_others), None)
    if article is None:
        return
    served: dict[tuple[str, str], dict[str, int]] = {}
    for held, told in view.told(facts.DenunciationServed):
        served.setdefault((told.by, told.anniversary.text), {})[told.to] = held.position
    for (by, _), addressees in served.items():
        missing = [
            member.institution
            for member in view.life.memberships()
            if member.institution not in (by, *addressees) and view.life.has(member, view.on)
        ]
        if missing:
            yield Raised(
                f"Dénonciation {view.n.of(by)} non notifiée {list_in_words(map(view.n.to, missing))}.",
                tuple(addressees.values()),
                article,
                by,
                by,
            )


def dispute_open(view: View) -> Iterator[Raised]:
    """A disagreement declared and not closed."""
    closed = {fact.key for _, fact in view.told(facts.DisputeClosed)}
    for held, dispute in view.come(facts.DisputeOpened):
        if dispute.key not in closed:
            court = f" ({dispute.court})" if dispute.court else ""
            yield Raised(
                f"Différend déclaré par {view.n.the(dispute.by)} {on_day(held.effective_on)}{court}, sans "
                f"issue enregistrée : {dispute.about}",
                (held.position,),
                about=dispute.key,
            )
