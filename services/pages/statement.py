"""
The page of a statement: of a convention, an agrément or an institution.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from contracts import envelope
from contracts.terms import AdvancePlan, InstalmentPlan, LumpSum, NoPeriod, PeriodFrom, PeriodOf
from services.domain import french
from services.domain.book import Come
from services.domain.french import euros, typeset
from services.domain.money import MoneyLine
from services.domain.statement import (
    AgrementStatement,
    ContradictionLine,
    ConventionStatement,
    InstitutionStatement,
    JournalLine,
    PartyLine,
    Section,
    SignatoryLine,
    Statement,
)
from services.domain.text import ClauseLine
from services.pages import amendments, coverage, departures, duties, exits, schedule
from services.pages.layout import (
    DASH,
    EMPTY,
    PHASE_STYLES,
    Line,
    Page,
    Segment,
    Style,
    cited,
    clocks,
    entries,
    instant,
    on_day,
    trimmed,
)

PAYING: Final = (InstalmentPlan, AdvancePlan, LumpSum)
MONEY_TABLE_WIDTH: Final = 92
FACTS_UNDER: Final[tuple[tuple[Section, str], ...]] = (
    ("documents", "Documents, assurances et contrôles"),
    ("reunions", "Réunions"),
    ("sortie", "Mises en demeure, fin et différends"),
    ("decisions", "Décisions"),
)
MONEY_COLUMNS: Final = (
    ("demandé", "requested_cents"),
    ("promis", "pledged_cents"),
    ("voté", "voted_cents"),
    ("engagé", "committed_cents"),
    ("mandaté", "ordered_cents"),
    ("payé", "paid_cents"),
    ("restitué", "returned_cents"),
)
MONEY_BESIDES: Final = (
    ("paiements rejetés", "rejected_cents"),
    ("avance imputée", "set_off_cents"),
    ("trop-perçu constaté", "overpaid_cents"),
    ("titres de recettes émis", "recovery_ordered_cents"),
    ("aide en nature valorisée", "in_kind_cents"),
)


# -- the pages


def statement(
    shown: Statement,
    *,
    names: Mapping[str, str],
    position: int,
    known_at: datetime | None,
    width: int,
    full: bool = True,
) -> Iterator[Line]:
    """
    The page of a statement, computed from the ledger up to *position*.

    *full* false leaves out the clauses and the journal: what remains fits a screen or two.
    """
    page = _Statement(names, width)
    told = clocks(shown.on, known_at, position)
    match shown:
        case ConventionStatement():
            yield from page.convention(shown, told, full=full)
        case AgrementStatement():
            yield from page.agrement(shown, told)
        case InstitutionStatement():
            yield from page.institution(shown, told)


class _Statement(Page):
    """The sections of the page of a statement."""

    # -- a convention

    def convention(self, shown: ConventionStatement, told: str, *, full: bool) -> Iterator[Line]:
        yield from self.paragraph(shown.title or shown.stream, "title")
        yield from self.paragraph(told, "soft")
        yield EMPTY
        yield from self.identity(shown)
        yield from self.parties(shown.parties)
        yield from self.facts("Délibérations et contrôle de légalité", "actes", shown.journal)
        yield from self.money(shown.money)
        yield from schedule.brief(self, shown.calendar, shown.on)
        yield from duties.brief(self, shown.duties)
        yield from departures.brief(self, shown.findings)
        if not full:
            paying = [clause for clause in shown.clauses if isinstance(clause.term, PAYING)]
            yield from self.clauses("Comment les articles prévoient de payer", paying)
        yield from amendments.whole(self, shown.avenants, shown.amendments)
        yield from coverage.whole(self, shown.coverage)
        yield from exits.course(self, shown.exits)
        if full:
            yield from exits.ways(self, shown.exits)
        for section, heading in FACTS_UNDER:
            yield from self.facts(heading, section, shown.journal)
        if full:
            yield from self.clauses("Ce que disent les articles", shown.clauses)
        yield from self.contradictions(shown.contradictions, full=full)
        yield from self.papers_and_words(shown)
        if full:
            yield from self.journal(shown.journal)
        else:
            yield EMPTY
            clauses, facts = len(shown.clauses), len(shown.journal)
            articles = f"{clauses} article{'s' if clauses > 1 else ''}"
            entries = f"{french.count_in_words(facts)} fait{'s' if facts > 1 else ''}"
            more = typeset(f"Page abrégée : {articles} et {entries} dans la page complète.")
            yield from self.paragraph(more, "soft")

    def identity(self, shown: ConventionStatement) -> Iterator[Line]:
        if shown.nature and shown.force:
            nature = french.capitalised(french.NATURES[shown.nature])
            yield from self.row("Nature", nature)
            yield from self.row("Portée", french.capitalised(french.FORCES[shown.force]))
        phase = typeset(french.PHASES[shown.phase])
        yield from self.row("État", phase, PHASE_STYLES.get(shown.phase, "open"))
        doubts = [french.DOUBTS.get(code, code) for code in shown.undetermined]
        if doubts:
            yield from self.row("", typeset(f"à savoir : {french.list_in_words(doubts)}"), "open")
        yield from self.row("Durée", self.duration(shown))
        for label, slug in (
            ("En application", shown.under),
            ("Fait suite à", shown.succeeds),
            ("Relayée par", shown.renewed_by),
        ):
            if slug:
                yield from self.row(label, typeset(self.names.convention(slug)))
        if shown.payments_suspended:
            yield from self.row("Versements", "suspendus", "bad")
        if shown.notices_pending:
            many = len(shown.notices_pending)
            yield from self.row(
                "À suivre", f"{many} mise{'s' if many > 1 else ''} en demeure en cours", "bad"
            )

    def duration(self, shown: ConventionStatement) -> str:
        article = shown.duration_article
        where = "" if article is None else f" ({cited(article)})"
        if shown.starts_on and shown.ends_on:
            return f"{french.period_in_words(shown.starts_on, shown.ends_on)}{where}"
        if shown.ends_on:
            return f"{french.until_in_words(shown.ends_on)}{where}"
        for clause in shown.clauses:
            # The paper counts from a day that is not known: its words are all there is to say.
            if clause.article == article and isinstance(clause.term, PeriodFrom | PeriodOf | NoPeriod):
                words = french.term_in_words(clause.term, self.mapping)
                return french.capitalised(words.removeprefix(typeset("Durée : "))) + where
        if shown.starts_on:
            return f"{french.from_in_words(shown.starts_on)}, sans terme connu{where}"
        return f"Ni début ni terme connus{where}"

    def parties(self, parties: Sequence[PartyLine]) -> Iterator[Line]:
        if not parties:
            return
        yield from self.heading("Parties et signatures")
        left = max(30, (self.width - 4) // 2)
        for party in parties:
            name = french.capitalised(self.names.bare(party.institution))
            answer, style = _BOUND[party.bound]
            if party.bound == "no" and any(line.signed_on for line in party.signatories):
                answer = "signatures incomplètes"
            if party.is_party == "no":
                answer, style = "n’est pas partie ce jour-là", "soft"
            elif party.until is not None:
                answer = f"{answer}, retrait {on_day(party.until)}"
            title = f"{name}, {french.ROLES[party.role]}"
            yield from self.cells((title, "", left), (answer, style, self.width - left - 4))
            if any(line.signed_on for line in party.signatories):
                for line in party.signatories:
                    yield from self.signatory(line, left)
            elif party.signatories:
                expected = Counter(line.capacity for line in party.signatories)
                whom = [f"{who} ({many})" if many > 1 else who for who, many in expected.items()]
                yield from self.paragraph(french.list_in_words(whom), "soft", indent=4)
            if party.quorum is not None and len(party.signatories) > 1:
                many = "s" if party.quorum > 1 else ""
                yield from self.paragraph(
                    f"{party.quorum} signature{many} suffi{'sen' if many else ''}t", "soft", indent=4
                )

    def signatory(self, line: SignatoryLine, left: int) -> Iterator[Line]:
        style: Style = ""
        if line.signed_on is None:
            answer, style = "pas de signature enregistrée", "soft"
        else:
            answer = (
                "signature non datée"
                if line.signed_on.precision == "unknown"
                else f"signature {french.day_in_words(line.signed_on)}"
            )
            if line.contested:
                answer, style = f"{answer}, contestée", "bad"
        yield from self.cells(
            (line.capacity, "soft", left - 2), (answer, style, self.width - left - 4), indent=4
        )

    def facts(self, heading: str, section: Section, journal: Sequence[JournalLine]) -> Iterator[Line]:
        """The facts of one section, without their small print."""
        lines = [line for line in journal if line.section == section]
        if lines:
            yield from self.heading(heading)
        for line in lines:
            yield from self.told(line.position, line.effective_on, self.sentence(line), _come_notes(line))

    def clauses(self, heading: str, clauses: Iterable[ClauseLine]) -> Iterator[Line]:
        clauses = sorted(clauses, key=_in_order)
        if clauses:
            yield from self.heading(heading)
        for clause in clauses:
            said = [clause.about]
            if clause.term is not None:
                said.append(french.term_in_words(clause.term, self.mapping))
            if clause.avenant:
                said.append(typeset(f"({french.avenant_in_words(clause.avenant)})"))
            yield from self.row(french.article_in_words(clause.article), ". ".join(said), label_width=24)

    def money(self, lines: Sequence[MoneyLine]) -> Iterator[Line]:
        if not lines:
            return
        yield from self.heading("Argent, en euros")
        yield from self.paragraph(
            "Chaque colonne se lit seule : une somme promise, votée, puis payée est la même somme.",
            "soft",
            indent=2,
        )
        table = self.width >= MONEY_TABLE_WIDTH
        column = (self.width - 12) // len(MONEY_COLUMNS)
        if table:
            yield EMPTY
            head: list[Segment] = [(f"  {'exercice':<10}", "label")]
            head += [(f"{name:>{column}}", "label") for name, _ in MONEY_COLUMNS]
            yield trimmed(head)
        for payer, beneficiary in dict.fromkeys((line.payer, line.beneficiary) for line in lines):
            whom = f"{french.capitalised(self.names.the(payer))} {self._to(beneficiary)}"
            yield from self.paragraph(whom, indent=2)
            for line in lines:
                if (line.payer, line.beneficiary) != (payer, beneficiary):
                    continue
                if table:
                    figures = (_amount(line, field, column) for _, field in MONEY_COLUMNS)
                    yield ((f"  {line.exercice:<10}", ""), *figures)
                else:
                    yield from self.money_list(line)
                yield from self.money_besides(line)

    def _to(self, beneficiary: str) -> str:
        # A pledge may name those it is for in words only, and these take no preposition of ours.
        return self.names.to(beneficiary) if beneficiary in self.mapping else typeset(f"pour : {beneficiary}")

    def money_list(self, line: MoneyLine) -> Iterator[Line]:
        yield ((f"  exercice {line.exercice}", "label"),)
        for name, field in MONEY_COLUMNS:
            cents = getattr(line, field)
            if cents:
                yield ((f"    {name:<12}", ""), (f"{euros(cents):>18}", ""))

    def money_besides(self, line: MoneyLine) -> Iterator[Line]:
        parts = [
            f"{words} {euros(getattr(line, field))}" for words, field in MONEY_BESIDES if getattr(line, field)
        ]
        if line.refused:
            parts.append("demande refusée")
        if line.undetermined:
            plural = "s" if line.undetermined > 1 else ""
            parts.append(f"{line.undetermined} fait{plural} non daté{plural}, laissé{plural} de côté")
        if parts:
            text = typeset(f"exercice {line.exercice} : {' ; '.join(parts)}")
            yield from self.paragraph(text, "soft", indent=2)

    def contradictions(self, lines: Sequence[ContradictionLine], *, full: bool) -> Iterator[Line]:
        if not lines:
            return
        waiting = sum(line.retained is None for line in lines)
        settled = len(lines) - waiting
        counts = [f"{waiting} à trancher"] if waiting else []
        counts += [f"{settled} tranchée{'s' if settled > 1 else ''}"] if settled else []
        yield from self.heading(f"Contradictions dans les documents ({', '.join(counts)})")
        shown = [line for line in lines if full or (line.retained is None and line.severity == "serious")]
        for line in shown:
            state: Segment = ("à trancher", "open") if line.retained is None else ("tranchée", "good")
            about = f"{french.capitalised(line.about)} ({french.SEVERITIES[line.severity]})"
            yield from self.cells((*state, 10), (about, "", self.width - 14))
            if full:
                for claim in line.claims:
                    said = typeset(f"{DASH} {claim.says} ({french.source_in_words(claim.source)})")
                    yield from self.paragraph(said, "soft", indent=14)
            if line.retained is not None and line.settled_by is not None:
                who = self.names.the(line.settled_by)
                yield from self.paragraph(typeset(f"Retenu par {who} : {line.retained}"), indent=14)
                if line.reason:
                    yield from self.paragraph(typeset(f"Motif : {line.reason}"), "soft", indent=14)
        if len(shown) < len(lines):
            yield from self.paragraph(
                "Seules les sérieuses qui restent à trancher sont montrées.", "soft", indent=2
            )

    # -- what every statement ends with

    def papers_and_words(self, shown: Statement) -> Iterator[Line]:
        """Pièces, whose word is awaited, what was contested, and the entries that were cancelled."""
        if shown.papers:
            yield from self.heading("Pièces")
        for paper in shown.papers:
            yield from self.row(french.PAPERS[paper.state], paper.what, label_width=18)
        awaited: dict[str, list[int]] = {}
        contested: dict[str, list[int]] = {}
        for line in shown.journal:
            for who in line.awaiting:
                awaited.setdefault(who, []).append(line.position)
            for who in line.contested_by:
                contested.setdefault(who, []).append(line.position)
        if awaited or contested:
            yield from self.heading("Ce que les intéressés n’ont pas confirmé")
        for verb, words, style in (("contesté", contested, "bad"), ("non confirmé", awaited, "open")):
            for who, positions in words.items():
                text = typeset(f"{verb} par {self.names.the(who)} : {entries(positions)}")
                yield from self.paragraph(french.capitalised(text), _style(style), indent=2)
        if shown.cancelled:
            yield from self.heading("Saisies annulées ou remplacées")
        for line in shown.cancelled:
            by = typeset(f"annulée par la saisie n° {line.cancelled_by}")
            yield from self.told(line.position, line.effective_on, self.sentence(line), [by], "soft")

    def journal(self, lines: Sequence[JournalLine]) -> Iterator[Line]:
        yield from self.heading("Journal des faits")
        yield from self.paragraph(
            typeset("Dans l’ordre de leur date d’effet ; « enregistré » dit quand le registre l’a appris."),
            "soft",
            indent=2,
        )
        recorders = {line.actor for line in lines}
        if len(recorders) == 1:
            who = self.names.the(next(iter(recorders)))
            yield from self.paragraph(typeset(f"Tous enregistrés par {who}."), "soft", indent=2)
        for line in lines:
            fact = envelope.decode_fact(line.type, line.fact)
            recorded = f"enregistré le {instant(line.recorded_at)}" if line.recorded_at else "enregistré"
            whose = f", pour {self.names.bare(line.on_behalf_of)}" if line.on_behalf_of else ""
            notes = _come_notes(line)
            if fact.source is not None:
                notes.append(french.capitalised(french.source_in_words(fact.source)))
                if fact.source.citation:
                    notes.append(typeset(f"« {fact.source.citation} »"))
            by = f" par {self.names.bare(line.actor)}" if len(recorders) > 1 else ""
            notes.append(f"{recorded}{by}{whose}")
            words = [typeset(f"non confirmé par {self.names.the(who)}") for who in line.awaiting]
            words += [f"confirmé par {self.names.the(who)}" for who in line.confirmed_by]
            words += [f"contesté par {self.names.the(who)}" for who in line.contested_by]
            notes += [", ".join(words)] if words else []
            yield from self.told(line.position, line.effective_on, self.sentence(line), notes)

    def sentence(self, line: JournalLine) -> str:
        return french.sentence(envelope.decode_fact(line.type, line.fact), self.mapping)

    # -- agréments and institutions

    def agrement(self, shown: AgrementStatement, told: str) -> Iterator[Line]:
        slug = shown.stream.partition("/")[2]
        yield from self.paragraph(f"Agrément {self.names.of(slug)}", "title")
        yield from self.paragraph(
            told.replace("Telle ", "Tel ").replace("telle que connue", "tel que connu"), "soft"
        )
        yield EMPTY
        style: Style = "good" if shown.standing == "granted" else "open"
        yield from self.row("État", typeset(french.STANDINGS[shown.standing]), style)
        for cover in shown.covers:
            services = french.list_in_words(cover.services)
            period = french.period_in_words(cover.starts_on, cover.ends_on)
            how = "renouvelé" if cover.renewal else "accordé"
            text = typeset(f"{services}, {period}, {how} par {self.names.the(cover.granted_by)}")
            yield from self.row("Période", text)
        yield from self.contradictions(shown.contradictions, full=True)
        yield from self.papers_and_words(shown)
        yield from self.journal(shown.journal)

    def institution(self, shown: InstitutionStatement, told: str) -> Iterator[Line]:
        yield from self.paragraph(shown.name or shown.stream, "title")
        yield from self.paragraph(told, "soft")
        yield EMPTY
        if shown.kind:
            kind = french.capitalised(french.INSTITUTION_KINDS[shown.kind])
            yield from self.row("Nature", kind)
        for scheme, value in shown.identifiers:
            yield from self.row(french.SCHEMES[scheme], value)
        if shown.aliases:
            aliases = " ; ".join(shown.aliases)
            yield from self.row("Aussi nommée", typeset(aliases))
        if shown.succeeded_by:
            yield from self.row("Relayée par", self.names.bare(shown.succeeded_by))
        yield from self.contradictions(shown.contradictions, full=True)
        yield from self.papers_and_words(shown)
        yield from self.journal(shown.journal)


_BOUND: Final[dict[Come, tuple[str, Style]]] = {
    "yes": ("signé", "good"),
    "no": ("aucune signature enregistrée", "open"),
    "undetermined": ("signé, à une date inconnue", "open"),
}


def _in_order(clause: ClauseLine) -> tuple[tuple[int, ...], int]:
    """By the numbers of its article (6.2 before 6.10 before 10), then as they were recorded; titles first."""
    number = re.match(r"[0-9.]*", clause.article)
    return tuple(int(part) for part in number[0].split(".") if part) if number else (), clause.position


def _style(style: str) -> Style:
    return "bad" if style == "bad" else "open"


def _come_notes(line: JournalLine) -> list[str]:
    return ["à venir"] if line.come == "no" else []


def _amount(line: MoneyLine, field: str, column: int) -> Segment:
    cents = getattr(line, field)
    text = euros(cents).removesuffix("\N{NO-BREAK SPACE}€") if cents else DASH
    return f"{text:>{column}}", "" if cents else "soft"
