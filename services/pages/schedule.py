"""
The échéancier of a convention: what is to be paid when, how it was computed, what holds it back.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Final

import msgspec

from contracts.dates import PartialDate
from services.domain import french
from services.domain.french import date_in_words, euros, typeset
from services.domain.schedule import Calendar, ExerciceLine, InstalmentLine
from services.domain.schedule.gates import Block
from services.pages.layout import (
    DASH,
    Line,
    Page,
    Segment,
    Style,
    cited,
    day_in_full,
    entries,
    not_computable,
    runs,
)

TABLE_WIDTH: Final = 92
AMOUNT_WIDTH: Final = 16
DAY_WIDTH: Final = 19
LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"

STATE_STYLES: Final[dict[str, Style]] = {
    "paid": "good",
    "overdue": "bad",
    "blocked": "bad",
    "suspended": "bad",
    "stopped": "bad",
    "overpaid": "bad",
    "due": "open",
    "paid-in-part": "open",
    "not-computable": "soft",
    "without-date": "soft",
    "nothing-due": "soft",
}
PRESSING: Final = ("overdue", "blocked", "suspended", "due", "paid-in-part", "overpaid")
"""States of which a page that shows little shows all."""


def whole(page: Page, calendar: Calendar) -> Iterator[Line]:
    """
    Every instalment by exercice, payer and beneficiary, with how it was computed.

    What several depend on, or are blocked by, is told once, at the end, under a number.
    """
    notes = _Notes()
    if not calendar.instalments:
        yield from page.heading("Échéancier")
        yield from page.paragraph("Aucun versement n’est prévu par le texte en vigueur.", indent=2)
    else:
        yield from page.paragraph(
            typeset("En euros. Une somme votée puis payée est la même somme : rien ne s’additionne."),
            "soft",
        )
    for because in calendar.because:
        yield from page.paragraph(typeset(f"À savoir : {because}"), "open")
    in_order = sorted(calendar.instalments, key=_account)
    for account, lines in groupby(in_order, key=_account):
        exercice, payer, beneficiary = account
        whom = f" {page.names.to(beneficiary)}" if beneficiary else ""
        yield from page.heading(typeset(f"Exercice {exercice} : {page.names.the(payer)}{whom}"))
        for summed in calendar.exercices:
            if (summed.exercice, summed.payer, summed.beneficiary) == account:
                yield from page.paragraph(_summed(summed), "soft", indent=2)
        yield from _head(page)
        for line in lines:
            yield from _row(page, line)
            yield from _details(page, line, notes)
    yield from _told_below(page, "Ce qui bloque", notes.blocks, "bad")
    yield from _told_below(page, "Ce dont les versements dépendent", notes.conditions, "")


def _told_below(page: Page, heading: str, told: Mapping[str, str], style: Style) -> Iterator[Line]:
    if told:
        yield from page.heading(heading)
    for text, mark in told.items():
        yield from page.cells((f"{mark})", style, 4), (typeset(text), "", page.width - 10))


class _Notes(msgspec.Struct):
    """What is told at the end of a page, each once: by its text, its number or letter."""

    blocks: dict[str, str] = {}
    conditions: dict[str, str] = {}

    def of_block(self, text: str) -> str:
        """The number of what blocks: 1, 2, 3."""
        return self.blocks.setdefault(text, str(len(self.blocks) + 1))

    def of_condition(self, text: str) -> str:
        """The letters of a condition: a to z, then aa."""
        place = len(self.conditions)
        letters = LETTERS[place % 26] * (place // 26 + 1)
        return self.conditions.setdefault(text, letters)


def brief(page: Page, calendar: Calendar, on: date) -> Iterator[Line]:
    """What presses on the day, and the next payment to come of each payer."""
    shown = [line for line in calendar.instalments if line.state in PRESSING]
    seen: set[str] = set()
    for line in sorted(calendar.instalments, key=lambda line: line.due_on or date.max):
        if line.state == "to-come" and line.due_on and line.due_on >= on and line.payer not in seen:
            seen.add(line.payer)
            shown.append(line)
    if not calendar.instalments:
        return
    yield from page.heading("Échéancier")
    if shown:
        yield from _head(page)
    for line in sorted(shown, key=lambda line: (line.due_on or date.max, line.position)):
        yield from _row(page, line)
        yield from page.paragraph(_title(line), indent=4)
        yield from _held_back_in_brief(page, line)
    left = len(calendar.instalments) - len(shown)
    if left:
        many = "s" if left > 1 else ""
        other = f"autre{many} " if shown else ""
        text = f"{left} {other}échéance{many} dans l’échéancier complet."
        yield from page.paragraph(text, "soft", indent=2)


def amount_of(line: InstalmentLine) -> str:
    """What is to be paid, or that it is not known yet."""
    return "montant pas encore calculable" if line.amount_cents is None else euros(line.amount_cents)


def due(line: InstalmentLine) -> str:
    """The day by which it is to be paid, or the paper's words."""
    return day_in_full(line.due_on) if line.due_on else line.due_words or ""


def _account(line: InstalmentLine) -> tuple[int, str, str]:
    return line.exercice, line.payer, line.beneficiary


def _summed(line: ExerciceLine) -> str:
    voted = "pas encore votée" if line.voted_cents is None else euros(line.voted_cents)
    parts = [f"Subvention {french.PURPOSES.get(line.purpose, line.purpose)} : {voted}"]
    if line.instalments_cents is not None:
        parts.append(f"total des échéances : {euros(line.instalments_cents)}")
    if line.difference_cents:
        parts.append(f"différence : {euros(line.difference_cents)}")
    parts.append(f"payé : {euros(line.paid_cents)}")
    if line.returned_cents:
        parts.append(f"restitué : {euros(line.returned_cents)}")
    if line.overpaid_cents:
        parts.append(f"trop-perçu : {euros(line.overpaid_cents)}")
    return typeset(" ; ".join(parts))


def _head(page: Page) -> Iterator[Line]:
    if page.width >= TABLE_WIDTH:
        amounts = "".join(f"{name:>{AMOUNT_WIDTH}}" for name in ("montant", "payé", "reste à payer"))
        yield ((f"  {'échéance':<{DAY_WIDTH}}{amounts}   état", "label"),)


def _row(page: Page, line: InstalmentLine) -> Iterator[Line]:
    state: Segment = (french.INSTALMENT_STATES[line.state], STATE_STYLES.get(line.state, ""))
    day = date_in_words(PartialDate.of(line.due_on)) if line.due_on else DASH
    figures = (line.amount_cents, line.paid_cents, line.remaining_cents)
    if page.width >= TABLE_WIDTH:
        amounts = "".join(f"{_figure(cents):>{AMOUNT_WIDTH}}" for cents in figures)
        yield ((f"  {day:<{DAY_WIDTH}}{amounts}   ", ""), state)
        return
    yield ((f"  {day:<{DAY_WIDTH}} ", ""), state)
    for name, cents in zip(("montant", "payé", "reste à payer"), figures, strict=True):
        if cents:
            yield ((f"    {name:<15}", ""), (f"{euros(cents):>18}", ""))


def _figure(cents: int | None) -> str:
    return DASH if cents is None else euros(cents).removesuffix("\N{NO-BREAK SPACE}€")


def _title(line: InstalmentLine) -> str:
    where = cited(line.article) + (f", {french.avenant_in_words(line.avenant)}" if line.avenant else "")
    kind = "" if line.kind == "instalment" else french.INSTALMENT_KINDS[line.kind]
    what = line.label if line.label.casefold().startswith(kind) else f"{kind}, {line.label}"
    return typeset(french.capitalised(f"{what} ({where})"))


def _details(page: Page, line: InstalmentLine, below: _Notes) -> Iterator[Line]:
    yield from page.paragraph(_title(line), indent=4)
    notes: list[tuple[str, Style]] = []
    if line.opens_on and line.due_on:
        notes.append((f"À payer entre le {day_in_full(line.opens_on)} et le {day_in_full(line.due_on)}", ""))
    if line.due_words:
        notes.append((f"Échéance selon le texte : {line.due_words}", ""))
    if line.formula:
        notes.append((f"Calcul : {line.formula}", ""))
    if line.provisional:
        notes.append(("Montant provisoire, en attendant le vote", "open"))
    if line.because:
        notes.append((not_computable(line.because), "open"))
    if line.other_reading:
        notes.append((f"Autre lecture du texte : {line.other_reading}", "soft"))
    if line.conditions:
        letters = [below.of_condition(condition) for condition in line.conditions]
        notes.append((f"Sous réserve de : {_cited_below(letters)}", "soft"))
    if line.blocked_by:
        numbers = [below.of_block(_block(page, block)) for block in line.blocked_by]
        notes.append((f"Bloqué par : {_cited_below(numbers)}", "bad"))
    if line.suspended_by:
        what = french.list_in_words(map(page.names.key, line.suspended_by))
        notes.append((f"Versements suspendus par décision : {what}", "bad"))
    if line.derogations:
        notes.append((f"Dérogation accordée : {entries(line.derogations)}", "soft"))
    if line.overpaid_cents:
        notes.append((f"Trop-perçu : {euros(line.overpaid_cents)}", "bad"))
    if line.set_off_cents:
        notes.append((f"Avance imputée : {euros(line.set_off_cents)}", ""))
    notes += [(note, "soft") for note in line.notes]
    if line.rules:
        notes.append((f"Jour compté ainsi : {' ; '.join(line.rules)}", "soft"))
    if line.payments:
        notes.append((f"Paiements : {entries(line.payments)}", "soft"))
    for text, style in notes:
        yield from page.paragraph(typeset(french.capitalised(text)), style, indent=6)


def _held_back_in_brief(page: Page, line: InstalmentLine) -> Iterator[Line]:
    if line.blocked_by:
        text = f"{held_back(len(line.blocked_by))} : {_block(page, line.blocked_by[0])}"
        yield from page.paragraph(typeset(text), "bad", indent=6)
    if line.suspended_by:
        what = french.list_in_words(map(page.names.key, line.suspended_by))
        yield from page.paragraph(typeset(f"Versements suspendus par décision : {what}"), "bad", indent=6)


def held_back(many: int) -> str:
    """The words before the first of *many* things that block."""
    return "Bloqué par" if many == 1 else f"{many} motifs de blocage, dont"


def _block(page: Page, block: Block) -> str:
    where = f" ({cited(block.article)})" if block.article else ""
    whom = f". Peut débloquer : {page.names.all(block.unblocked_by)}" if block.unblocked_by else ""
    return f"{block.what}{where}{whom}"


def _cited_below(marks: Sequence[str]) -> str:
    """Numbers or letters of what is told at the end of the page."""
    numbers = [int(mark) for mark in marks if mark.isdigit()]
    return f"{french.list_in_words(runs(numbers) if numbers else sorted(marks))} ci-dessous"
