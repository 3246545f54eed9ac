"""
How a convention may end, is ending, or has ended; and what is to be given back.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from services.domain import french
from services.domain.exits import Exits
from services.domain.exits.denunciations import DenunciationLine
from services.domain.exits.endings import EndLine
from services.domain.exits.exit_ways import Deliberated, ExitWay
from services.domain.exits.notices import NoticeCourse
from services.domain.exits.restitutions import RestitutionLine
from services.domain.french import date_in_words, day_in_words, euros, typeset
from services.pages.layout import Line, Page, Style, cited, day_in_full, entries, not_computable

NOTICE_STYLES: Final[dict[str, Style]] = {"running": "open", "unheeded": "bad", "run-out": "bad"}


def course(page: Page, exits: Exits) -> Iterator[Line]:
    """What is under way or done: mises en demeure, dénonciations, ends, restitutions."""
    if exits.notices or exits.denunciations:
        yield from page.heading("Mises en demeure et dénonciations")
    for notice in exits.notices:
        yield from _notice(page, notice)
    for line in exits.denunciations:
        yield from _denunciation(page, line)
    # A term that is still to come stands at the head of the page already.
    ends = [end for end in exits.ends if end.kind != "expiry" or end.reached is not False]
    if ends:
        yield from page.heading("Prorogation, renouvellement et fin")
    for end in ends:
        yield from _end(page, end)
    if exits.restitutions:
        yield from page.heading("Restitutions")
    for restitution in exits.restitutions:
        yield from _restitution(page, restitution)


def ways(page: Page, exits: Exits) -> Iterator[Line]:
    """The ways out that the text offers, each with its dates if it were begun on the day."""
    if exits.ways:
        yield from page.heading("Comment la convention peut prendre fin")
    for way in exits.ways:
        yield from _way(page, way)


def _way(page: Page, way: ExitWay) -> Iterator[Line]:
    title = french.capitalised(f"{french.EXITS[way.kind]} ({cited(way.article)})")
    yield from page.paragraph(typeset(title), indent=2)
    who = page.names.all(way.who) if way.who else "chaque partie"
    how = {True: ", ensemble", False: ", chacun séparément", None: ""}[way.jointly]
    rows = [("Par qui", who + how)]
    rows += [("Comment", way.form)] if way.form else []
    rows += [("Motifs", french.list_in_words(way.grounds))] if way.grounds else []
    rows += [("Autorisation", _deliberated(page, one)) for one in way.authorised_by]
    if way.anniversary:
        rows.append(("Anniversaire", day_in_full(way.anniversary)))
    if way.notice_by:
        rows.append(("Préavis", f"à notifier au plus tard le {day_in_full(way.notice_by)}"))
    if way.cure_ends_on:
        rows.append(("Délai", f"mise en demeure envoyée ce jour : jusqu’au {day_in_full(way.cure_ends_on)}"))
    if way.effect_on:
        rows.append(("Effet", f"au plus tôt le {day_in_full(way.effect_on)}, si elle est engagée ce jour"))
    if way.opens_on_loss_of_agrement:
        rows.append(("À savoir", "la perte de l’agrément y ouvre droit"))
    rows += [("À savoir", not_computable(way.because))] if way.because else []
    rows += [("Compté selon", " ; ".join(way.rules))] if way.rules else []
    for label, text in rows:
        yield from page.labelled(label, text)


def _deliberated(page: Page, one: Deliberated) -> str:
    who = page.names.bare(one.institution)
    if one.position is not None:
        return f"{who} : délibération, fait n° {one.position}"
    return f"{who} : aucune délibération enregistrée" + (f", exigée par {one.source}" if one.source else "")


def _notice(page: Page, notice: NoticeCourse) -> Iterator[Line]:
    state = french.NOTICE_STATES[notice.state]
    who = f"{page.names.of(notice.to)} par {page.names.the(notice.by)}"
    title = f"Mise en demeure {who} ({cited(notice.article)}) : {state}"
    yield from page.paragraph(typeset(title), NOTICE_STYLES.get(notice.state, ""), indent=2)
    if notice.grievance:
        yield from page.paragraph(typeset(f"Grief : {notice.grievance}"), indent=4)
    steps = (("envoyée", notice.sent_on), ("présentée", notice.presented_on), ("reçue", notice.received_on))
    days = [f"{verb} {day_in_words(when)}" for verb, when in steps if when is not None]
    if days:
        yield from page.paragraph(french.capitalised(", ".join(days)), "soft", indent=4)
    if notice.ends_on:
        text = typeset(f"Délai pour s’y conformer : jusqu’au {day_in_full(notice.ends_on)} inclus")
        yield from page.paragraph(text, indent=4)
    if notice.opens_right:
        yield from page.paragraph(typeset(french.capitalised(notice.opens_right)), indent=4)
    if notice.followed_by:
        text = typeset(f"Suivie d’une résiliation (fait n° {notice.followed_by})")
        yield from page.paragraph(text, indent=4)
    yield from _doubts(page, notice.because, 4)
    yield from _grounds(page, [*notice.rules, entries(notice.positions)], 4)


def _denunciation(page: Page, line: DenunciationLine) -> Iterator[Line]:
    served = "pas encore notifiée" if line.served_on is None else f"notifiée {day_in_words(line.served_on)}"
    who = f"{page.names.the(line.by)} à l’attention {page.names.of(line.to)}, {served}"
    when = f"pour l’échéance du {date_in_words(line.anniversary)}" if line.anniversary.day else ""
    article = f" ({cited(line.article)})" if line.article else ""
    title = ", ".join(part for part in (f"Dénonciation par {who}", when) if part)
    yield from page.paragraph(typeset(f"{title}{article}"), indent=2)
    limit = f" (limite : {day_in_full(line.notice_by)})" if line.notice_by else ""
    if line.in_time is not None:
        style: Style = "" if line.in_time else "bad"
        text = "Dans les délais" if line.in_time else "Hors délai"
        yield from page.paragraph(typeset(f"{text}{limit}"), style, indent=4)
    if line.is_anniversary is False:
        yield from page.paragraph("Ce jour n’est pas une échéance anniversaire", "bad", indent=4)
    if line.took_effect:
        yield from page.paragraph("Elle a pris effet", indent=4)
    yield from _doubts(page, line.because, 4)
    positions = [entries([line.position])] if line.position is not None else []
    yield from _grounds(page, [*line.rules, *positions], 4)


def _end(page: Page, end: EndLine) -> Iterator[Line]:
    come = {True: "", False: ", à venir", None: ", ce qui reste à établir"}[end.reached]
    come = "" if end.on.precision == "unknown" else come
    yield from page.labelled(french.capitalised(french.ENDS[end.kind]), f"{day_in_words(end.on)}{come}")
    notes = [end.says] if end.says else []
    if end.payments_stop_on is not None:
        where = f" ({cited(end.payments_article)})" if end.payments_article else ""
        notes.append(f"versements arrêtés {day_in_words(end.payments_stop_on)}{where}")
    if end.remaining:
        notes.append(f"restent parties : {page.names.all(end.remaining)}")
    for note in notes:
        yield from page.paragraph(typeset(french.capitalised(note)), indent=20)
    for lack in end.irregular:
        yield from page.paragraph(typeset(french.capitalised(lack)), "bad", indent=20)
    for one in end.authorised_by:
        yield from page.paragraph(typeset(_deliberated(page, one)), "soft", indent=20)
    grounds = [cited(end.article)] if end.article else []
    yield from _grounds(page, [*grounds, entries(end.positions)] if end.positions else grounds, 20)


def _restitution(page: Page, line: RestitutionLine) -> Iterator[Line]:
    why = french.GROUNDS[line.ground] if line.ground else "motif non enregistré"
    whom = f"{page.names.the(line.beneficiary)} {page.names.to(line.payer)}"
    yield from page.paragraph(typeset(f"Par {whom}, exercice {line.exercice} : {why}"), indent=2)
    figures = (
        ("calculé", line.computed_cents),
        ("constaté", line.found_cents),
        ("titre émis", line.ordered_cents),
        ("dû", line.owed_cents),
        ("restitué", line.returned_cents),
        ("rendu en trop", line.excess_cents),
    )
    told = [f"{word} : {euros(cents)}" for word, cents in figures if cents]
    told.append(f"reste à rendre : {euros(line.remaining_cents)}")
    yield from page.paragraph(typeset(french.capitalised(" ; ".join(told))), indent=4)
    for because in line.because:
        yield from page.paragraph(typeset(french.capitalised(because)), "open", indent=4)
    if line.undetermined:
        text = f"Laissé de côté, faute de date : {entries(line.undetermined)}"
        yield from page.paragraph(typeset(text), "open", indent=4)
    grounds = [cited(line.article)] if line.article else []
    facts = [entries(line.positions)] if line.positions else []
    yield from _grounds(page, [*grounds, *line.rules, *facts], 4)


def _doubts(page: Page, because: Iterable[str], indent: int) -> Iterator[Line]:
    for one in because:
        yield from page.paragraph(typeset(f"À savoir : {one}"), "open", indent=indent)


def _grounds(page: Page, grounds: Sequence[str], indent: int) -> Iterator[Line]:
    if grounds:
        text = typeset(french.capitalised(" ; ".join(grounds)))
        yield from page.paragraph(text, "soft", indent=indent)
