"""What an elected official reads: every part of a statement, in words, at any width."""

import re
from datetime import UTC, date, datetime

import pytest

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.events import AvenantConcluded, Event, Prorogation
from services import pages
from services.domain import statement
from tests.domain.lives import CONVENTION, SIGNED, Line, entries, paid, voted
from tests.domain.test_french import facts as every_fact

ON = date(2026, 6, 30)
NAMES = {"ville": "Ville de Besançon", "mjc": "MJC Besançon", "agent-instructeur": "Agent instructeur"}
NBSP = "\N{NO-BREAK SPACE}"
THIN = "\N{NARROW NO-BREAK SPACE}"


def page(*lines: Line, on: date = ON, width: int = 100, full: bool = True, **more: datetime) -> str:
    made = statement.of(entries(*lines), stream=CONVENTION, on=on)
    shown = pages.statement(
        made, names=NAMES, position=made.position, known_at=more.get("known_at"), width=width, full=full
    )
    return "\n".join("".join(text for text, _ in line) for line in shown)


def claim(says: str) -> facts.Claim:
    return facts.Claim(says=says, source=facts.Source(document="Convention", article="10"))


FOUND: Line = (
    "2026-01-05",
    facts.ContradictionFound(key="duree", about="durée", claims=(claim("quatre ans"), claim("cinq ans"))),
)


def test_the_two_clocks_and_the_position_stand_below_the_title() -> None:
    known_at = datetime(2026, 7, 1, 9, 5, tzinfo=UTC)
    head = page(*SIGNED, known_at=known_at).splitlines()
    assert head[0] == "Convention fictive"
    assert f"{head[1]} {head[2]}" == (
        "Telle qu’en vigueur le 30 juin 2026, telle que connue le 1er juillet 2026 à "
        f"09{NBSP}h{NBSP}05 (UTC) (position n°{NBSP}6)"
    )
    assert f"telle que connue à ce jour (position n°{NBSP}6)" in page(*SIGNED)


def test_the_state_the_term_and_each_signature_are_said() -> None:
    shown = page(*SIGNED)
    assert "  État            En vigueur\n" in shown
    assert "  Durée           du 1er janvier 2026 au 31 décembre 2029 (art." in shown
    assert "Ville de Besançon, financeur                      signé\n" in shown
    assert "    la Maire                                        signature le 15 décembre 2025\n" in shown


def test_money_stands_in_columns_that_are_never_added() -> None:
    shown = page(*SIGNED, voted(25_000_000), paid("p1", 8_100_000, "2026-02-02"))
    header, whom, row = shown[shown.index("  exercice  ") :].splitlines()[:3]
    assert header.split() == [
        "exercice",
        "demandé",
        "promis",
        "voté",
        "engagé",
        "mandaté",
        "payé",
        "restitué",
    ]
    assert whom == "  La Ville de Besançon à la MJC Besançon"
    assert re.split(" +", row.strip()) == [
        "2026",
        "–",
        "–",
        f"250{THIN}000,00",
        "–",
        "–",
        f"81{THIN}000,00",
        "–",
    ]
    assert f"331{THIN}000" not in shown


def test_a_narrow_page_lists_the_amounts_and_breaks_none() -> None:
    shown = page(*SIGNED, voted(25_000_000), paid("p1", 8_100_000, "2026-02-02"), width=64)
    assert f"    voté              250{THIN}000,00{NBSP}€" in shown
    assert "mandaté" not in shown
    assert max(map(len, shown.splitlines())) <= 64


@pytest.mark.parametrize("width", [20, 64, 100, 400])
def test_no_line_is_longer_than_the_page_whatever_the_fact(width: int) -> None:
    told: list[Event] = [
        fact
        for fact in every_fact()
        if fact.TYPE.startswith("convention.") and not fact.TYPE.startswith("convention.opened")
    ]
    lines: list[Line] = [SIGNED[0], *(("2026-02-01", fact) for fact in told)]
    shown = page(*lines, width=width)
    assert max(map(len, shown.splitlines())) <= max(pages.WIDTH_MIN, min(width, pages.WIDTH_MAX))
    for line in shown.splitlines():
        assert line == line.rstrip(" ")
        assert "None" not in line


def test_an_avenant_says_what_it_changes_and_who_has_not_signed_it() -> None:
    concluded = AvenantConcluded(
        number="1",
        binds=("ville", "mjc"),
        rationale="caler le terme",
        changes=(Prorogation(ends_on=PartialDate("2030-06-30")),),
    )
    shown = page(*SIGNED, ("2026-05-01", concluded))
    terms = f"Terme{NBSP}: «{NBSP}31 décembre 2029{NBSP}» devient «{NBSP}30 juin 2030{NBSP}»"
    assert f"  Avenant n°{NBSP}1, effet le 1er mai 2026\n    {terms}\n" in shown
    assert f"    Pas de signature enregistrée pour{NBSP}: la Ville de Besançon et la MJC Besançon\n" in shown


def test_a_contradiction_shows_its_claims_and_whether_it_is_settled() -> None:
    open_one = page(*SIGNED, FOUND)
    assert "CONTRADICTIONS DANS LES DOCUMENTS (1 À TRANCHER)\n  à trancher  Durée (notable)\n" in open_one
    assert f"– quatre ans (Convention, art.{NBSP}10)" in open_one
    settled = facts.ContradictionSettled(key="duree", retained="cinq ans", reason="art. 10", by="ville")
    shown = page(*SIGNED, FOUND, ("2026-02-01", settled))
    assert "(1 TRANCHÉE)\n  tranchée    Durée (notable)\n" in shown
    assert f"Retenu par la Ville de Besançon{NBSP}: cinq ans\n" in shown
    assert f"Motif{NBSP}: art. 10\n" in shown


def test_what_nobody_confirmed_and_what_was_contested_are_said_with_their_numbers() -> None:
    contested = facts.FactContested(entry=7, by="ville", reason="autre montant")
    shown = page(*SIGNED, voted(100), ("2026-03-21", contested, None))
    assert f"  Contesté par la Ville de Besançon{NBSP}: fait n°{NBSP}7\n" in shown
    assert f"  Non confirmé par la Ville de Besançon{NBSP}: fait" in shown


def test_a_cancelled_entry_leaves_the_journal_and_stays_in_sight() -> None:
    cancelled = facts.EntryCancelled(entry=7, reason="doublon")
    shown = page(*SIGNED, voted(100), ("2026-03-21", cancelled, None))
    after = shown[shown.index("SAISIES ANNULÉES OU REMPLACÉES") : shown.index("JOURNAL DES FAITS")]
    assert f"annulée par la saisie n°{NBSP}8" in after
    assert "Subvention de fonctionnement votée" not in shown[shown.index("JOURNAL DES FAITS") :]
    assert "ARGENT" not in shown


def test_the_journal_gives_source_recorder_and_for_whom() -> None:
    fact = facts.ProvisionMentioned(
        about="histoire",
        says="depuis 1994",
        source=facts.Source(document="Délibération", article="2", line=12, citation="Depuis 1994"),
    )
    shown = page(*SIGNED, ("XXXX", fact, "ville"))
    journal = shown[shown.index("JOURNAL DES FAITS") :]
    assert f"  n°{NBSP}7     date inconnue      Mention, histoire{NBSP}: depuis 1994\n" in journal
    assert f"Délibération, art.{NBSP}2, ligne 12\n" in journal
    assert f"«{NBSP}Depuis 1994{NBSP}»\n" in journal
    assert "Tous enregistrés par Agent instructeur." in journal
    assert "(UTC), pour Ville de Besançon" in re.sub(r"[ \n]+", " ", journal)


def test_a_short_page_says_what_it_leaves_out() -> None:
    shown = page(*SIGNED, full=False)
    assert "JOURNAL" not in shown
    assert "CE QUE DISENT LES ARTICLES" not in shown
    assert shown.endswith(f"Page abrégée{NBSP}: 1 article et 6 faits dans la page complète.")


def test_a_fact_still_to_come_is_marked() -> None:
    late = ("2026-12-01", facts.MeetingHeld(body="commission"))
    shown = page(*SIGNED, late)
    held = shown[shown.index("RÉUNIONS") :]
    assert held.splitlines()[2].strip() == "à venir"
