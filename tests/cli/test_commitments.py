"""Échéancier, obligations, findings: what the head of a department reads, from values made by hand."""

import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, get_args

import msgspec
import pytest

from contracts.dates import PartialDate
from services import pages
from services.domain import french, statement
from services.domain.agrement import Cover
from services.domain.coverage import Coverage, Gap
from services.domain.exits import Exits
from services.domain.exits.endings import EndLine
from services.domain.exits.exit_ways import Deliberated, ExitWay
from services.domain.exits.notices import NoticeCourse
from services.domain.exits.restitutions import RestitutionLine
from services.domain.findings import Finding
from services.domain.obligations import Duties, ObligationLine, ObligationState
from services.domain.obligations.meetings import MeetingsLine
from services.domain.schedule import Calendar, ExerciceLine, InstalmentLine, InstalmentState
from services.domain.schedule.gates import Block
from tests.domain.lives import CONVENTION, SIGNED, entries

ON = date(2026, 6, 30)
NAMES = {"ville": "Ville de Besançon", "mjc": "MJC Besançon", "agent-instructeur": "Agent instructeur"}

AGREMENT = Block("agrement", "agrément Centre social", "3", ("mjc",))
REPORT = Block("document", "rapport d’activité 2025", "6.3", ("mjc", "ville"))


def read(lines: Iterator[pages.Line]) -> str:
    """A page as text, its no-break spaces as plain ones."""
    text = "\n".join("".join(part for part, _ in line) for line in lines)
    return re.sub("[\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]", " ", text)


def made(**parts: Any) -> statement.ConventionStatement:
    """The statement of a signed convention, with these parts in place of its own."""
    shown = statement.of(entries(*SIGNED), stream=CONVENTION, on=ON)
    assert isinstance(shown, statement.ConventionStatement)
    empty = {"calendar": Calendar(), "duties": Duties(), "coverage": (), "exits": Exits(), "findings": ()}
    return msgspec.structs.replace(shown, **{**empty, **parts})


def instalment(**more: Any) -> InstalmentLine:
    line = InstalmentLine(
        kind="instalment",
        payer="ville",
        beneficiary="mjc",
        exercice=2026,
        key="acompte-1",
        label="1er acompte",
        article="7.1",
        avenant="",
        position=5,
        state="to-come",
    )
    return msgspec.structs.replace(line, **more)


def owed(**more: Any) -> ObligationLine:
    line = ObligationLine(
        key="rapport",
        what="rapport d’activité",
        article="6.3",
        avenant="",
        position=5,
        debtor="mjc",
        creditors=("ville",),
        recurrence="yearly",
        state="to-come",
    )
    return msgspec.structs.replace(line, **more)


def found(**more: Any) -> Finding:
    one = Finding(
        code="paid-early",
        severity="notable",
        nature="ecart",
        says="Versement avant son échéance.",
        article="7.1",
        source=None,
        positions=(8,),
        cleared_by="une dérogation est enregistrée",
    )
    return msgspec.structs.replace(one, **more)


def shown(door: Any, width: int = 100, known_at: datetime | None = None, **parts: Any) -> str:
    only = {"only": parts.pop("only")} if "only" in parts else {}
    it = made(**parts)
    return read(door(it, names=NAMES, position=it.position, known_at=known_at, width=width, **only))


# -- the échéancier


PLAN = Calendar(
    (
        instalment(
            state="paid",
            due_on=date(2026, 1, 31),
            amount_cents=8_100_000,
            paid_cents=8_100_000,
            remaining_cents=0,
            formula="81 000,00 € (montant fixé par le texte)",
            rules=("jour dit par le texte",),
            payments=(7, 8),
            conditions=("agrément Centre social (art. 3)",),
        ),
        instalment(
            key="solde",
            label="Solde",
            state="blocked",
            opens_on=date(2026, 8, 1),
            due_on=date(2026, 8, 31),
            amount_cents=8_000_000,
            remaining_cents=8_000_000,
            formula="243 000,00 € − 81 000,00 €",
            other_reading="le tiers de ce qui reste",
            provisional=True,
            conditions=("agrément Centre social (art. 3)",),
            blocked_by=(AGREMENT, REPORT),
            notes=("une avance a été demandée",),
        ),
        instalment(exercice=2027, state="not-computable", because=("la subvention 2026 n’est pas votée",)),
    ),
    (ExerciceLine("ville", "mjc", 2026, 24_300_000, 24_200_000, 100_000, 8_100_000, 200),),
)


def test_each_instalment_says_when_how_much_how_computed_and_what_was_paid() -> None:
    page = shown(pages.calendar, calendar=PLAN)
    assert page.splitlines()[:2] == ["Convention fictive", "Échéancier"]
    assert "EXERCICE 2026 : LA VILLE DE BESANÇON À LA MJC BESANÇON\n" in page
    paid = "  31 janvier 2026           81 000,00       81 000,00            0,00   payé\n"
    assert f"reste à payer   état\n{paid}    1er acompte (art. 7.1)\n" in page
    assert "      Calcul : 81 000,00 € (montant fixé par le texte)\n" in page
    assert "      Jour compté ainsi : jour dit par le texte\n" in page
    assert "      Paiements : faits n° 7 et 8\n" in page
    assert "      À payer entre le 1er août 2026 et le 31 août 2026\n" in page
    assert "      Montant provisoire, en attendant le vote\n" in page
    assert "      Autre lecture du texte : le tiers de ce qui reste\n" in page
    assert "      Une avance a été demandée\n" in page


def test_what_is_not_computable_says_why_and_shows_no_figure() -> None:
    page = shown(pages.calendar, calendar=PLAN)
    line = page[page.index("EXERCICE 2027") :]
    assert re.search(r"–  +–? *0,00 +–   à déterminer\n", line)
    assert "      Pas encore calculable : la subvention 2026 n’est pas votée" in line


def test_what_blocks_is_told_once_with_who_can_unblock_it() -> None:
    page = shown(pages.calendar, calendar=PLAN)
    assert "      Bloqué par : 1 et 2 ci-dessous\n" in page
    assert page.count("Sous réserve de : a ci-dessous") == 2
    below = page[page.index("CE QUI BLOQUE") :]
    assert "  1)    agrément Centre social (art. 3). Peut débloquer : la MJC Besançon\n" in below
    assert "Peut débloquer : la MJC Besançon et la Ville de Besançon\n" in re.sub(r"\n +", " ", below) + "\n"
    assert below.count("agrément Centre social (art. 3)\n") == 0
    assert below.endswith("  a)    agrément Centre social (art. 3)")


def test_the_sums_of_an_exercice_show_the_difference() -> None:
    page = re.sub(r"\n +", " ", shown(pages.calendar, calendar=PLAN))
    assert (
        "Subvention de fonctionnement : 243 000,00 € ; total des échéances : 242 000,00 € ; "
        "différence : 1 000,00 € ; payé : 81 000,00 € ; trop-perçu : 2,00 €"
    ) in page


def test_a_convention_without_instalments_says_so() -> None:
    assert "Aucun versement n’est prévu par le texte en vigueur." in shown(pages.calendar)


def test_the_statement_shows_what_presses_and_the_next_to_come() -> None:
    ahead = instalment(state="to-come", due_on=date(2027, 1, 31), label="Acompte", amount_cents=100)
    calendar = Calendar((*PLAN.instalments, ahead), PLAN.exercices)
    page = shown(pages.statement, calendar=calendar)
    section = page[page.index("ÉCHÉANCIER") : page.index("CE QUE DISENT")]
    assert "2 motifs de blocage, dont : agrément Centre social (art. 3). Peut débloquer : la MJC" in section
    assert "  31 janvier 2027                1,00            0,00               –   à venir\n" in section
    assert "31 janvier 2026" not in section
    assert "  2 autres échéances dans l’échéancier complet.\n" in section


# -- obligations


def meetings(year: int, **more: Any) -> MeetingsLine:
    line = MeetingsLine("suivi", "commission de suivi", "8", 5, year, 1, 2, (), (), "to-come")
    return msgspec.structs.replace(line, **more)


UNKNOWN = "pas encore calculable\N{NO-BREAK SPACE}: date inconnue"
COUNTED = "« au plus tard le » : le jour dit est compris"
MET = {"met_on": PartialDate("2025-07-18"), "met_by": 6, "days_late": 3}
DUTIES = Duties(
    (
        owed(state="met-late", exercice=2024, due_on=date(2025, 7, 15), **MET),
        owed(state="overdue", exercice=2025, due_on=date(2026, 6, 15), gates_payments=True, rules=(COUNTED,)),
        owed(state="to-come", exercice=2026, due_on=date(2027, 7, 15)),
        owed(state="to-come", exercice=2027, due_on=date(2028, 7, 15)),
        owed(key="budget", what="budget prévisionnel", state="waived", waived_by="ville", waived_at=9),
        owed(key="assurance", what="être assurée", state="continuous"),
        owed(
            key="fiche",
            what="fiche",
            state="undetermined",
            because=(UNKNOWN,),
        ),
    ),
    (
        meetings(2026, held_on=(PartialDate("2026-03-03"),), held=(4,), state="met"),
        meetings(2027, due_on=date(2027, 12, 31)),
        meetings(2028, due_on=date(2028, 12, 31)),
    ),
)


def test_each_party_reads_what_it_has_to_do_and_what_is_owed_to_it() -> None:
    page = shown(pages.obligations, duties=DUTIES, calendar=PLAN)
    headings = [line for line in page.splitlines() if line.isupper()]
    assert headings == [
        "VILLE DE BESANÇON : À FAIRE",
        "VILLE DE BESANÇON : ON NOUS DOIT",
        "MJC BESANÇON : À FAIRE",
        "MJC BESANÇON : ON NOUS DOIT",
        "RÉUNIONS",
    ]
    ours = page[page.index("VILLE DE BESANÇON : À FAIRE") : page.index("VILLE DE BESANÇON : ON")]
    assert "  bloqué           31 août 2026        Payer à la MJC Besançon, Solde, exercice 2026," in ours
    assert "1er acompte, exercice 2026" not in ours, "it is paid"
    theirs = page[page.index("MJC BESANÇON : ON NOUS DOIT") : page.index("RÉUNIONS")]
    assert "Ville de Besançon : payer, Solde, exercice 2026" in theirs


def test_what_presses_stands_first_and_what_is_done_last() -> None:
    page = shown(pages.obligations, duties=DUTIES)
    mine = page[page.index("MJC BESANÇON : À FAIRE") : page.index("RÉUNIONS")]
    states = re.findall(r"(?m)^  (\S.*?)  ", mine)
    assert states == ["en retard", "à venir", "indéterminé", "en continu", "fait en retard", "dispense"]
    text = re.sub(r"\n {20,}", " ", mine)
    assert "15 juin 2026        Rapport d’activité, exercice 2025 (art. 6.3) Envers : la Ville" in text
    assert (
        "Des versements en dépendent Jour compté ainsi : « au plus tard le » : le jour dit est compris"
        in text
    )
    assert "exercices 2026 et 2027 (art. 6.3) Envers : la Ville de Besançon Puis : 15 juillet 2028" in text
    assert "Rempli : 18 juillet 2025, 3 jours de retard (fait n° 6)" in text
    assert "Dispense accordée par la Ville de Besançon (fait n° 9)" in text
    assert "Pas encore calculable : date inconnue" in text


@pytest.mark.parametrize("state", get_args(InstalmentState))
def test_an_instalment_is_told_in_whatever_state_it_is(state: str) -> None:
    plan = Calendar((instalment(state=state),))
    word = (
        french.INSTALMENT_STATES[state].replace("\N{NO-BREAK SPACE}", " ").partition(",")[0]
    )  # it may be broken
    for page in (pages.calendar, pages.statement, pages.obligations):
        told = shown(page, calendar=plan)
        if page is pages.calendar:
            assert word in told
        if page is pages.obligations:
            assert (word in told) is (state not in ("paid", "overpaid", "nothing-due", "stopped"))


@pytest.mark.parametrize("state", get_args(ObligationState))
def test_an_obligation_is_told_in_whatever_state_it_is(state: str) -> None:
    told = shown(pages.obligations, duties=Duties((owed(state=state),)))
    assert french.OBLIGATION_STATES[state].replace("\N{NO-BREAK SPACE}", " ") in told


def test_what_is_met_is_no_more_owed_to_anybody() -> None:
    page = shown(pages.obligations, duties=DUTIES)
    ours = page[page.index("VILLE DE BESANÇON : ON NOUS DOIT") : page.index("MJC BESANÇON")]
    assert "exercice 2024" not in ours
    assert "budget" not in ours


def test_bodies_say_how_often_they_met_and_must() -> None:
    page = re.sub(r"\n {20,}", " ", shown(pages.obligations, duties=DUTIES))
    meetings = page[page.index("RÉUNIONS") :]
    assert (
        "Commission de suivi (art. 8) : 1 tenue (au moins 1 par an, au plus 2) Tenue : 3 mars 2026"
        in meetings
    )
    assert (
        "0 tenue (au moins 1 par an, au plus 2) À tenir au plus tard le 31 décembre 2027 Puis : 2028"
        in meetings
    )


def test_one_institution_reads_its_own_lists_only() -> None:
    page = shown(pages.obligations, duties=DUTIES, calendar=PLAN, only="mjc")
    assert "MJC BESANÇON : À FAIRE" in page
    assert "VILLE DE BESANÇON :" not in page


def test_a_meeting_of_others_alone_is_on_nobody_elses_list() -> None:
    of_all = meetings(2026, label="assemblée")
    of_some = meetings(2026, body="suivi-2", label="comité", participants=("mjc",))
    page = shown(pages.obligations, duties=Duties((), (of_all, of_some)), only="ville")
    assert "Assemblée" in page
    assert "Comité" not in page


def test_a_flat_sum_says_so_once() -> None:
    lines = (
        instalment(kind="lump-sum", label="forfait par centre"),
        instalment(kind="advance", label="30 %"),
    )
    page = shown(pages.calendar, calendar=Calendar(lines))
    assert "    Forfait par centre (art. 7.1)\n" in page
    assert "    Avance, 30 % (art. 7.1)" in page


def test_the_statement_shows_what_is_to_be_done_and_counts_the_rest() -> None:
    page = shown(pages.statement, duties=DUTIES)
    section = page[page.index("À FAIRE") : page.index("CE QUE DISENT")]
    assert "en retard        15 juin 2026        MJC Besançon : rapport d’activité, exercice 2025" in section
    assert "6 autres lignes dans la liste complète des obligations." in section


# -- findings


FINDINGS = (
    found(nature="attention", severity="minor", says="numéro d’acte en deux variantes", article=None,
          source="CGCT, art. L2131-1", positions=()),
    found(),
    found(severity="serious", says="paiement avant la signature", positions=(8, 9, 10)),
    found(says="rapport tardif", settled=12),
)  # fmt: skip


def test_findings_are_told_by_nature_the_worst_first_with_how_they_are_cleared() -> None:
    page = shown(pages.findings, findings=FINDINGS)
    headings = [line for line in page.splitlines() if line.isupper()]
    assert headings == ["ÉCARTS (2)", "POINTS D’ATTENTION (1)", "RÉGLÉS (1)"]
    assert page.index("Paiement avant la signature") < page.index("Versement avant son échéance")
    assert (
        "  sérieux     Paiement avant la signature\n"
        "              Art. 7.1 ; faits n° 8 à 10\n"
        "              Pour le lever : une dérogation est enregistrée\n"
    ) in page
    assert "              CGCT, art. L2131-1\n" in page
    assert page.endswith("              Réglé par le fait n° 12")


def test_very_many_facts_are_counted_after_the_first() -> None:
    page = re.sub(r"\n +", " ", shown(pages.findings, findings=(found(positions=tuple(range(1, 99, 2))),)))
    assert "faits n° 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31 et 33 autres" in page


def test_how_alike_findings_go_away_is_told_once() -> None:
    page = shown(pages.findings, findings=(found(), found(says="un autre"), found(code="z", says="un tiers")))
    assert page.count("Pour le lever") == 2
    assert page.index("Un autre") < page.index("Pour le lever") < page.index("Un tiers")


def test_no_finding_is_said_too() -> None:
    assert shown(pages.findings).endswith("ÉCARTS ET POINTS D’ATTENTION\n  Aucun.")


def test_the_findings_of_all_conventions_stand_together_the_worst_first() -> None:
    everywhere = [("convention/b", FINDINGS[1]), ("convention/a", FINDINGS[2]), ("convention/a", FINDINGS[3])]
    titles = {"convention/a": "Charte A", "convention/b": "Pacte B"}
    page = read(pages.findings_everywhere(everywhere, titles=titles, on=ON, width=100))
    assert "SÉRIEUX (1)\n\n  Charte A (convention/a)\n  écart       Paiement avant la signature\n" in page
    assert "NOTABLES (1)\n\n  Pacte B (convention/b)\n  écart       Versement avant son échéance.\n" in page
    assert page.index("Charte A") < page.index("Pacte B")
    assert "rapport tardif" not in page, "it is settled"
    nothing = read(pages.findings_everywhere([], titles={}, on=ON, width=100))
    assert nothing.endswith("Aucun écart, aucun point d’attention.")


def test_the_statement_counts_the_findings_and_tells_the_worst() -> None:
    contradiction = found(code="incoherence", nature="attention", severity="serious", says="quatre ou cinq")
    page = shown(pages.statement, findings=(*FINDINGS * 4, contradiction))
    section = page[page.index("ÉCARTS ET POINTS D’ATTENTION") :]
    assert "  8 écarts et 5 points d’attention\n  sérieux     Paiement avant la signature\n" in section
    assert "Quatre ou cinq" not in section
    assert "  5 autres dans la liste complète.\n" in section


# -- the rest of the statement


def test_an_agrement_shows_its_periods_its_gaps_and_the_right_its_loss_opens() -> None:
    day = PartialDate("2026-01-01")
    cover = Cover(("AGC",), "mjc", day, day, PartialDate("2026-12-31"), 3, renewal=False)
    gap = Gap(date(2027, 1, 1), None, "after")
    one = Coverage(
        "mjc", "3", 4, "granted", (cover,), (gap,), True, "la résiliation", "11.2", ("AGC",), ("à voir",)
    )
    page = shown(pages.statement, coverage=(one,))
    section = page[page.index("AGRÉMENTS DONT LA CONVENTION DÉPEND") :]
    assert "    Période         AGC, du 1er janvier 2026 au 31 décembre 2026, par la MJC Besançon" in section
    assert "    Non couvert     du 1er janvier 2027 sans terme connu : après la dernière période" in section
    assert "    Droit ouvert    la résiliation (art. 11.2)\n" in section
    assert "    À savoir        l’agrément se termine avant la convention\n" in section


def test_the_ways_out_say_who_how_and_by_when() -> None:
    way = ExitWay(
        kind="denonciation",
        article="6",
        position=5,
        who=("ville", "mjc"),
        form="lettre recommandée",
        grounds=(),
        authorised_by=(Deliberated("ville", None, source="CGCT art. L2121-29"), Deliberated("mjc", 9)),
        anniversary=date(2027, 1, 1),
        notice_by=date(2026, 10, 1),
        effect_on=date(2027, 1, 1),
        rules=("CPC art. 641",),
    )
    page = shown(pages.statement, exits=Exits(ways=(way,)))
    section = page[page.index("COMMENT LA CONVENTION PEUT PRENDRE FIN") :]
    for row in (
        "  Dénonciation (art. 6)\n",
        "    Par qui         la Ville de Besançon et la MJC Besançon\n",
        "    Préavis         à notifier au plus tard le 1er octobre 2026\n",
        "    Autorisation    MJC Besançon : délibération, fait n° 9\n",
        "    Compté selon    CPC art. 641\n",
    ):
        assert row in section
    assert "aucune délibération enregistrée, exigée par CGCT art. L2121-29" in re.sub(r"\n +", " ", section)
    assert "COMMENT LA CONVENTION" not in shown(pages.statement, exits=Exits())


def test_what_is_under_way_is_told_with_its_days_and_its_money() -> None:
    notice = NoticeCourse(
        key="med", by="ville", to="mjc", article="11.2", sent_on=PartialDate("2026-07-01"), presented_on=None,
        received_on=None, ends_on=date(2026, 7, 16), rules=("CPC art. 641",), because=(), state="running",
        opens_right=None, positions=(7,), grievance="rapport non remis",
    )  # fmt: skip
    end = EndLine("resiliation", PartialDate("2026-08-01"), False, "11.2", ("ville",), "pour faute", (9,))
    back = RestitutionLine(
        "ville", "mjc", 2026, "unused", 500_000, 500_000, 100_000, 400_000, "11.3", (10,), owed_cents=500_000
    )
    page = shown(pages.statement, exits=Exits(notices=(notice,), ends=(end,), restitutions=(back,)))
    text = re.sub(r"\n +", " ", page)
    assert "Mise en demeure de la MJC Besançon par la Ville de Besançon (art. 11.2) : délai en cours" in text
    assert "Délai pour s’y conformer : jusqu’au 16 juillet 2026 inclus" in text
    assert "Résiliation     le 1er août 2026, à venir" in text
    assert "Constaté : 5 000,00 € ; titre émis : 5 000,00 € ; dû : 5 000,00 € ; restitué : 1 000,00 €" in text
    assert "reste à rendre : 4 000,00 €" in text


@pytest.mark.parametrize(
    "on, reached, told",
    [
        ("2026-08-01", True, "le 1er août 2026"),
        ("2026-08-01", False, "le 1er août 2026, à venir"),
        ("2026-06", None, "en juin 2026, ce qui reste à établir"),
        ("XXXX", None, "date inconnue (laissée en blanc)"),
    ],
)
def test_an_end_says_whether_it_has_come(on: str, reached: bool | None, told: str) -> None:
    end = EndLine("closing", PartialDate(on), reached, None, (), "", (9,))
    page = shown(pages.statement, exits=Exits(ends=(end,)))
    assert f"    Clôture du      {told}\n    dossier" in page


@pytest.mark.parametrize("width", [20, 64, 100, 400])
@pytest.mark.parametrize("door", [pages.calendar, pages.obligations, pages.findings, pages.statement])
def test_no_line_is_longer_than_the_page(width: int, door: Any) -> None:
    page = shown(door, width, calendar=PLAN, duties=DUTIES, findings=FINDINGS)
    for line in page.splitlines():
        assert len(line) <= max(pages.WIDTH_MIN, min(width, pages.WIDTH_MAX))
        assert line == line.rstrip(" ")
        assert "None" not in line
