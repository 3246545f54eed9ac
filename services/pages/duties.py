"""
What is owed besides money, as each party reads it: À faire, On nous doit; and the meetings.

Payments stand in both lists too, one line each: the échéancier has their figures.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Final

import msgspec

from services.domain import french
from services.domain.french import date_in_words, typeset
from services.domain.obligations import Duties, ObligationLine
from services.domain.obligations.meetings import MeetingsLine
from services.domain.schedule import Calendar, InstalmentLine
from services.pages import schedule
from services.pages.layout import Line, Page, Style, cited, day_in_full, not_computable, runs

STATE_STYLES: Final[dict[str, Style]] = {
    "overdue": "bad",
    "uncovered": "bad",
    "missing": "bad",
    "too-many": "bad",
    "blocked": "bad",
    "suspended": "bad",
    "due": "open",
    "without-date": "open",
    "met": "good",
    "met-late": "open",
}
URGENCY: Final = (
    "overdue",
    "missing",
    "uncovered",
    "blocked",
    "suspended",
    "due",
    "too-many",
    "paid-in-part",
    "without-date",
    "to-come",
    "promised",
    "not-computable",
    "undetermined",
    "continuous",
    "on-demand",
    "met-late",
    "met",
    "waived",
)
DONE: Final = ("met", "met-late", "waived")
AHEAD: Final = ("to-come", "not-computable", "without-date")
AGAIN: Final = ("to-come", "without-date", "undetermined", "continuous")
"""States in which the occurrences of several exercices are told as one."""

PAID: Final = ("paid", "overpaid", "nothing-due", "stopped")
PRESSING: Final = ("overdue", "uncovered", "due", "missing")
BRIEF_MAX: Final = 8
STATE_WIDTH: Final = 15
DAY_WIDTH: Final = 18


class _Task(msgspec.Struct, frozen=True):
    """One line of a list: how it stands, by when, and what it is; *notes* in small print."""

    state: str
    word: str
    on: date | None
    when: str
    what: str
    notes: tuple[str, ...]

    @property
    def urgency(self) -> tuple[int, date]:
        """What presses first, then by day."""
        return URGENCY.index(self.state), self.on or date.max


def whole(
    page: Page, duties: Duties, calendar: Calendar, parties: Sequence[str], *, only: str | None = None
) -> Iterator[Line]:
    """What each party has to do, and what is owed to it; of one institution where *only* names it."""
    owing = [line.debtor for line in duties.obligations] + [line.payer for line in calendar.instalments]
    owed = [who for line in duties.obligations for who in line.creditors]
    everybody = dict.fromkeys((*parties, *owing, *owed))
    if not duties.obligations and not duties.meetings and not calendar.instalments:
        yield from page.heading("Obligations")
        yield from page.paragraph(
            "Le texte en vigueur ne fixe aucune obligation chiffrée ni datée.", indent=2
        )
    for who in everybody if only is None else (only,):
        name = page.names.bare(who)
        yield from _list(page, f"{name} : à faire", _to_do(page, who, duties, calendar))
        yield from _list(page, f"{name} : on nous doit", _owed(page, who, duties, calendar))
    bodies = [line for line in duties.meetings if concerns(line, only)]
    yield from _meetings(page, bodies)


def concerns(line: MeetingsLine, institution: str | None) -> bool:
    """Whether *institution* takes part, None being anybody; where the text names nobody, everybody does."""
    return institution is None or not line.participants or institution in line.participants


def brief(page: Page, duties: Duties) -> Iterator[Line]:
    """What presses on the day, whoever owes it; how much else there is."""
    pressing = [line for line in duties.obligations if line.state in PRESSING]
    missing = [line for line in duties.meetings if line.state in PRESSING]
    if not duties.obligations and not duties.meetings:
        return
    yield from page.heading("À faire")
    tasks = sorted((_task(page, [line], page.names.bare(line.debtor)) for line in pressing), key=_urgency)
    for task in tasks[:BRIEF_MAX]:
        yield from _told(page, task, with_notes=False)
    yield from _meetings(page, missing, heading=False)
    if not pressing and not missing:
        yield from page.paragraph("Rien n’est à faire ni en retard ce jour-là.", indent=2)
    left = len(duties.obligations) - min(len(tasks), BRIEF_MAX)
    if left:
        plural = "s" if left > 1 else ""
        text = f"{left} autre{plural} ligne{plural} dans la liste complète des obligations."
        yield from page.paragraph(text, "soft", indent=2)


def _urgency(task: _Task) -> tuple[int, date]:
    return task.urgency


def _list(page: Page, heading: str, tasks: Iterable[_Task]) -> Iterator[Line]:
    in_order = sorted(tasks, key=_urgency)
    if in_order:
        yield from page.heading(typeset(heading))
    for task in in_order:
        yield from _told(page, task, with_notes=True)


def _told(page: Page, task: _Task, *, with_notes: bool) -> Iterator[Line]:
    rest = page.width - STATE_WIDTH - DAY_WIDTH - 6
    style = STATE_STYLES.get(task.state, "")
    yield from page.cells((task.word, style, STATE_WIDTH), (task.when, "", DAY_WIDTH), (task.what, "", rest))
    indent = STATE_WIDTH + DAY_WIDTH + 6
    for note in task.notes if with_notes else ():
        yield from page.paragraph(typeset(note), "soft", indent=indent)


# -- the lines of a party


def _to_do(page: Page, who: str, duties: Duties, calendar: Calendar) -> Iterator[_Task]:
    yield from _by_occasion(page, [line for line in duties.obligations if line.debtor == who], "")
    for beneficiary in dict.fromkeys(line.beneficiary for line in calendar.instalments):
        whom = f" {page.names.to(beneficiary)}" if beneficiary else ""
        lines = [
            line for line in calendar.instalments if (line.payer, line.beneficiary) == (who, beneficiary)
        ]
        yield from _payments(lines, f"payer{whom}")


def _owed(page: Page, who: str, duties: Duties, calendar: Calendar) -> Iterator[_Task]:
    for debtor in dict.fromkeys(line.debtor for line in duties.obligations):
        lines = [line for line in duties.obligations if line.debtor == debtor and who in line.creditors]
        left = [line for line in lines if line.state not in DONE]
        yield from _by_occasion(page, left, page.names.bare(debtor))
    for payer in dict.fromkeys(line.payer for line in calendar.instalments):
        paid = [line for line in calendar.instalments if (line.payer, line.beneficiary) == (payer, who)]
        yield from _payments(paid, f"{page.names.bare(payer)} : payer")


def _payments(lines: Iterable[InstalmentLine], what: str) -> Iterator[_Task]:
    """A task for each that presses, and one for each series of those to come."""
    later: dict[str, list[InstalmentLine]] = {}
    for line in lines:
        if line.state in AHEAD:
            later.setdefault(line.label, []).append(line)
        elif line.state not in PAID:
            yield _payment(line, what)
    for again in later.values():
        first, *others = sorted(again, key=lambda line: line.due_on or date.max)
        yield _and_then(_payment(first, what), [line.due_on for line in others])


def _payment(line: InstalmentLine, what: str) -> _Task:
    which = f"{line.label}, exercice {line.exercice}, {schedule.amount_of(line)}"
    notes = []
    if line.blocked_by:
        notes.append(f"{schedule.held_back(len(line.blocked_by))} : {line.blocked_by[0].what}")
    return _Task(
        line.state,
        french.INSTALMENT_STATES[line.state],
        line.due_on,
        schedule.due(line),
        typeset(french.capitalised(f"{what}, {which} ({cited(line.article)})")),
        tuple(notes),
    )


def _by_occasion(page: Page, lines: Sequence[ObligationLine], whose: str) -> Iterator[_Task]:
    """A task a line; what is owed again and again, and does not press, is told once."""
    series: dict[tuple[str, str, str], list[ObligationLine]] = {}
    for line in lines:
        if line.state in AGAIN:
            series.setdefault((line.key, line.article, line.state), []).append(line)
        else:
            yield _task(page, [line], whose)
    for again in series.values():
        yield _task(
            page, sorted(again, key=lambda line: (line.due_on or date.max, line.exercice or 0)), whose
        )


def _and_then(task: _Task, days: Iterable[date | None]) -> _Task:
    """*task* with the later days of what comes again."""
    later = [day_in_full(day) for day in days if day]
    if not later:
        return task
    return msgspec.structs.replace(task, notes=(*task.notes, f"Puis : {french.list_in_words(later)}"))


def _task(page: Page, series: Sequence[ObligationLine], whose: str) -> _Task:
    """The task of what is owed in one or several exercices; of the creditor's list where *whose* is told."""
    line, *others = series
    years = [one.exercice for one in series if one.exercice]
    year = f", exercice{'s' if len(years) > 1 else ''} {french.list_in_words(runs(years))}" if years else ""
    occasion = f", {line.occasion}" if line.occasion and not others else ""
    by = f"{french.capitalised(whose)} : " if whose else ""
    where = cited(line.article) + (f", {french.avenant_in_words(line.avenant)}" if line.avenant else "")
    task = _Task(
        line.state,
        french.OBLIGATION_STATES[line.state],
        line.due_on,
        day_in_full(line.due_on) if line.due_on else line.due_words or "",
        typeset(french.capitalised(f"{by}{line.what}{year}{occasion} ({where})")),
        tuple(_whats_known(page, line) if whose else _notes(page, line)),
    )
    return _and_then(task, [one.due_on for one in others])


def _notes(page: Page, line: ObligationLine) -> Iterator[str]:
    if line.creditors:
        yield f"Envers : {page.names.all(line.creditors)}"
    yield from _whats_known(page, line)
    if line.optional:
        yield "Facultatif"
    if line.gates_payments and line.state not in DONE:
        yield "Des versements en dépendent"
    if line.because:
        yield not_computable(line.because)
    if line.rules:
        yield f"Jour compté ainsi : {' ; '.join(line.rules)}"


def _whats_known(page: Page, line: ObligationLine) -> Iterator[str]:
    """What was done about it."""
    if line.met_on is not None:
        days = line.days_late or 0
        late = f", {days} jour{'s' if days > 1 else ''} de retard" if days else ""
        at = f" (fait n° {line.met_by})" if line.met_by else ""
        yield f"Rempli : {date_in_words(line.met_on)}{late}{at}"
    if line.waived_by:
        at = f" (fait n° {line.waived_at})" if line.waived_at else ""
        until = f", reporté au {day_in_full(line.deferred_to)}" if line.deferred_to else ""
        yield f"Dispense accordée par {page.names.the(line.waived_by)}{until}{at}"
    if line.refused_at:
        yield f"Document refusé (fait n° {line.refused_at})"


# -- meetings


def _meetings(page: Page, lines: Sequence[MeetingsLine], *, heading: bool = True) -> Iterator[Line]:
    if lines and heading:
        yield from page.heading("Réunions")
    series: dict[tuple[str, str, str], list[MeetingsLine]] = {}
    for line in sorted(lines, key=lambda line: (line.label, line.year or 0)):
        mark = "" if line.state == "to-come" else str(line.year)
        series.setdefault((line.body, line.article, mark), []).append(line)
    for first, *others in series.values():
        years = [str(line.year) for line in others if line.year]
        notes = (
            [f"Tenue : {french.list_in_words(map(date_in_words, first.held_on))}"] if first.held_on else []
        )
        if first.due_on and first.state in ("to-come", "due"):
            notes.append(f"À tenir au plus tard le {day_in_full(first.due_on)}")
        notes += [f"Puis : {french.list_in_words(years)}"] if years else []
        notes += [not_computable(first.because)] if first.because else []
        notes += [f"À l’initiative de : {first.initiative}"] if first.initiative else []
        task = _Task(
            first.state,
            french.MEETING_STATES[first.state],
            first.due_on,
            str(first.year) if first.year else "",
            typeset(f"{french.capitalised(first.label)} ({cited(first.article)}) : {_often(first)}"),
            tuple(notes),
        )
        yield from _told(page, task, with_notes=True)


def _often(line: MeetingsLine) -> str:
    held = len(line.held)
    count = f"{held} tenue{'s' if held > 1 else ''}"
    least = f"au moins {line.at_least} par an" if line.at_least else ""
    most = f"au plus {line.at_most}" if line.at_most is not None else ""
    bounds = ", ".join(part for part in (least, most) if part)
    return f"{count} ({bounds})" if bounds else count
