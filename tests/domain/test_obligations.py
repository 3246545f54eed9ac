"""What is owed besides money comes out of the terms and the facts: due when, met, late, waived, unknown."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from contracts import dates
from contracts import events as facts
from contracts.dates import PartialDate
from contracts.terms import (
    AnyTerm,
    Delay,
    Due,
    EachYear,
    FixedPeriod,
    Meetings,
    NoPeriod,
    Obligation,
    PeriodFrom,
)
from services.domain import known, obligations, streams, time_limits
from services.domain.obligations import Duties, ObligationLine
from services.domain.obligations.meetings import FROM_THE_START, MeetingsLine
from tests.domain.lives import MJC, OPEN, OPENED, VILLE, Line, avenant, given, signed
from tests.dossiers.test_transcription import MJC as MJC_DOSSIER
from tests.dossiers.test_transcription import PACTE, decoded

REPORT = Obligation(
    key="rapport-activite",
    debtor="mjc",
    creditors=("ville",),
    what="rapport d'activité de l'année écoulée",
    recurrence="yearly",
    due=Due(each_year=EachYear(7, 15, of_exercice=1)),
    document="rapport-activite",
    gates_payments=True,
)


def clause(term: AnyTerm, article: str = "6.3", about: str = "une règle") -> Line:
    return "2025-12-11", facts.ClauseStated(article=article, about=about, term=term)


def duties(
    *lines: Line, on: str, beside: Iterable[streams.State] = (), opening: tuple[Line, ...] = OPEN
) -> Duties:
    return obligations.of(known.of(state_of(*opening, *lines), date.fromisoformat(on), beside))


def state_of(*lines: Line) -> Any:
    return given(*lines)


def owed(term: Obligation, *lines: Line, on: str, **more: Any) -> list[ObligationLine]:
    """The lines of one obligation of a convention of 2026 to 2029."""
    return list(duties(clause(term), *lines, on=on, **more).obligations)


def of_exercice(lines: Iterable[ObligationLine], exercice: int) -> ObligationLine:
    [line] = [line for line in lines if line.exercice == exercice]
    return line


def received(
    on: str, document: str = "rapport-activite", exercice: int | None = 2026, by: str = "ville"
) -> Line:
    return on, facts.DocumentReceived(
        sent_by="mjc", received_by=by, document=document, what="le document", exercice=exercice
    )


def plain(words: str | None) -> str | None:
    """What is read, with the spaces that must not break as any other."""
    return words.replace("\N{NO-BREAK SPACE}", " ") if words else words


def reasons(line: ObligationLine | MeetingsLine) -> list[str | None]:
    """Why no day is computed."""
    return [plain(reason) for reason in line.because]


def refused(
    on: str, exercice: int | None = 2026, by: str = "ville", document: str = "rapport-activite"
) -> Line:
    return on, facts.DocumentRefused(
        by=by, sent_by="mjc", document=document, reason="non signé", exercice=exercice
    )


def dispensed(
    on: str, exercice: int | None = 2026, by: str = "ville", document: str = "rapport-activite"
) -> Line:
    return on, facts.DocumentDispensed(
        by=by, debtor="mjc", document=document, reason="sans objet", exercice=exercice
    )


def derogation(
    on: str, article: str = "6.3", until: str | None = None, by: str = "ville", to: str = "mjc"
) -> Line:
    return on, facts.DerogationGranted(
        by=by,
        to=to,
        article=article,
        decided_by="la Maire",
        reason="assemblée reportée",
        until=PartialDate(until) if until else None,
    )


# -- the convention of the MJC: every row of its tables, as of exercice 2026

VILLE_B, CCAS, GBM, ASSO = "ville-besancon", "ccas-besancon", "grand-besancon-metropole", "mjc-clairs-soleils"
THREE = (VILLE_B, CCAS, GBM)

# article, key, debtor, creditors, recurrence, exercice, last day or the paper's words
ROWS: tuple[tuple[str, str, str, tuple[str, ...], str, int | None, str | None], ...] = (
    ("3", "tenir-l-agrement", ASSO, THREE, "continuous", None, None),
    ("5.2", "referent-democratie-participative", ASSO, (VILLE_B,), "once", None, "sans date"),
    ("5.2", "bilan-cpo", ASSO, (), "yearly", 2026, "chaque année, pour les projets sous CPO"),
    ("6.1", "projet-associatif-mis-en-oeuvre", ASSO, THREE, "continuous", None, None),
    ("6.1", "relations-territoire", ASSO, THREE, "continuous", None, None),
    ("6.1", "actions-collectives", ASSO, THREE, "continuous", None, None),
    ("6.1", "actions-qpv", ASSO, THREE, "continuous", None, None),
    ("6.2", "notification-agrement", ASSO, (VILLE_B,), "once", None, "2025-01-30"),
    ("6.2", "projet-social", ASSO, (VILLE_B,), "once", None, "2025-01-30"),
    (
        "6.2",
        "nouvelle-notification-agrement",
        ASSO,
        (VILLE_B,),
        "on-event",
        None,
        "15 jours calendaires après : réception de la notification",
    ),
    ("6.2", "discussions-renouvellement", ASSO, (VILLE_B,), "continuous", None, None),
    ("6.2", "previsionnels-bilans-caf", ASSO, (VILLE_B,), "on-request", None, "sur demande"),
    ("6.3", "rapport-activite", ASSO, (VILLE_B,), "yearly", 2026, "2027-07-15"),
    ("6.3", "rapport-activite", ASSO, (VILLE_B,), "yearly", 2025, "2026-07-15"),
    ("6.3", "projet-associatif", ASSO, (VILLE_B,), "yearly", 2026, "2026-07-15"),
    ("6.3", "rapport-financier", ASSO, (VILLE_B,), "yearly", 2026, "2027-07-15"),
    ("6.3", "rapport-cac", ASSO, (VILLE_B,), "yearly", 2026, "2027-07-15"),
    ("6.3", "rapport-special-cac", ASSO, (VILLE_B,), "yearly", 2026, "2027-07-15"),
    ("6.4", "assemblees-generales", ASSO, (VILLE_B,), "on-event", None, "sans délai"),
    ("6.4", "elu-au-ca", ASSO, (VILLE_B,), "continuous", None, "sans délai"),
    ("6.4", "changements", ASSO, (VILLE_B,), "on-event", None, "sans délai"),
    ("6.4", "documents-utiles", ASSO, (VILLE_B,), "on-request", None, "sur demande, sans délai"),
    ("6.5", "engagement-republicain", ASSO, THREE, "once", None, "réputée satisfaite du fait de l'agrément"),
    ("6.5", "laicite-neutralite", ASSO, THREE, "continuous", None, None),
    ("6.6", "assurances", ASSO, THREE, "continuous", None, None),
    ("6.6", "preuve-assurances", ASSO, THREE, "on-request", None, "sur demande, à tout moment"),
    ("6.7", "mention-soutien", ASSO, THREE, "continuous", None, None),
    ("7.1", "demande-subvention", ASSO, (VILLE_B,), "yearly", 2026, "2025-08-29"),
    ("7.3", "demande-investissement", ASSO, (VILLE_B,), "yearly", 2026, "2025-08-29"),
    ("7.4", "valorisation-comptes", ASSO, (VILLE_B,), "yearly", 2026, "dans les comptes annuels"),
    ("8.1.3", "fiche-de-travail", ASSO, (VILLE_B,), "yearly", 2026, None),
    (
        "8.1.3",
        "reponse-compte-rendu",
        ASSO,
        (VILLE_B,),
        "on-event",
        None,
        "15 jours calendaires après : compte-rendu (point de départ non dit)",
    ),
    ("9", "faciliter-controle", ASSO, THREE, "continuous", None, None),
    ("7.1", "subvention-annuelle", VILLE_B, (ASSO,), "yearly", 2026, None),
    ("7.1", "avenant-montant", VILLE_B, (ASSO,), "yearly", 2026, "au vote du budget primitif"),
    (
        "7.4",
        "aides-en-nature",
        VILLE_B,
        (ASSO,),
        "on-request",
        None,
        "sur demande, selon ses moyens et disponibilités",
    ),
    (
        "7.4",
        "valorisation-deliberee",
        VILLE_B,
        (ASSO,),
        "yearly",
        2026,
        "dans la délibération qui fixe la subvention",
    ),
    (
        "8.1.1",
        "inviter-commission",
        VILLE_B,
        (CCAS, GBM, ASSO),
        "yearly",
        2026,
        "au moins une fois par an, au plus tard au dernier trimestre",
    ),
    ("8.1.3", "compte-rendu", VILLE_B, (ASSO,), "on-event", None, "après chaque commission"),
    ("8.2", "faciliter-echanges", VILLE_B, (ASSO,), "on-request", None, "sur demande, en cas de besoin"),
)


def of_dossier(dossier: str, *more: Line, on: str, beside: Iterable[streams.State] = ()) -> Duties:
    """The duties of a real paper as transcribed, and of *more* that might happen."""
    told = [
        (fact["effective_on"], read, fact.get("on_behalf_of"))
        for stream, fact, read in decoded(dossier)
        if stream == f"convention/{dossier}"
    ]
    state = given(*told, *more, stream=f"convention/{dossier}")
    view = known.of(state, date.fromisoformat(on), beside)  # type: ignore[arg-type]
    return obligations.of(view)


@pytest.mark.parametrize("row", ROWS, ids=[f"{row[1]}-{row[5]}" for row in ROWS])
def test_every_row_of_the_mjc_convention_comes_out(row: Any) -> None:
    article, key, debtor, creditors, recurrence, exercice, due = row
    lines = of_dossier(MJC_DOSSIER, on="2025-01-15").obligations
    [line] = [line for line in lines if (line.key, line.exercice) == (key, exercice)]
    assert line.article == article or line.article.startswith(f"{article}, ")
    assert (line.debtor, line.creditors, line.recurrence) == (debtor, creditors, recurrence)
    assert (line.due_on.isoformat() if line.due_on else plain(line.due_words)) == due


def test_the_table_of_the_mjc_convention_leaves_no_obligation_out() -> None:
    lines = of_dossier(MJC_DOSSIER, on="2025-01-15").obligations
    assert {line.key for line in lines} == {row[1] for row in ROWS}


def test_the_days_of_the_mjc_convention_cite_how_they_are_counted() -> None:
    lines = of_dossier(MJC_DOSSIER, on="2025-01-15").obligations
    rules = {(line.key, line.exercice): line.rules for line in lines if line.due_on}
    assert rules["demande-subvention", 2026] == (time_limits.BEFORE_RULE,)
    assert rules["rapport-activite", 2026] == (time_limits.UNTIL_RULE,)
    assert rules["notification-agrement", None] == (time_limits.UNTIL_RULE,)
    assert all(rules.values())


def test_payments_hang_on_the_documents_of_6_2_to_6_4_alone() -> None:
    gating = {
        line.article[:3]
        for line in of_dossier(MJC_DOSSIER, on="2026-11-22").obligations
        if line.gates_payments
    }
    assert gating == {"6.2", "6.3", "6.4"}


def test_the_exercices_are_those_whose_day_falls_in_the_term_and_the_last_ones_accounts() -> None:
    lines = of_dossier(MJC_DOSSIER, on="2026-11-22").obligations
    years = {
        key: [line.exercice for line in lines if line.key == key]
        for key in ("rapport-activite", "projet-associatif", "demande-subvention")
    }
    assert years == {
        # The convention runs from 2025 to 2029: in July 2025 the report is that of 2024.
        "rapport-activite": [2024, 2025, 2026, 2027, 2028, 2029],
        "projet-associatif": [2025, 2026, 2027, 2028, 2029],
        # The day to ask for 2025 came before the convention did.
        "demande-subvention": [2026, 2027, 2028, 2029],
    }


def test_the_fiche_is_due_15_calendar_days_before_the_commission_once_it_is_called() -> None:
    before = of_dossier(MJC_DOSSIER, on="2026-11-01").obligations
    [line] = [line for line in before if (line.key, line.exercice) == ("fiche-de-travail", 2026)]
    assert (line.state, line.due_on) == ("undetermined", None)
    assert reasons(line) == [
        "pas encore calculable : date inconnue à ce jour (« Commission de suivi, 2026 »)"
    ]
    called = (
        "2026-11-02",
        facts.MeetingConvened(body="commission-de-suivi", by=VILLE_B, meeting_on=PartialDate("2026-12-10")),
    )
    after = of_dossier(MJC_DOSSIER, called, on="2026-11-03").obligations
    [line] = [line for line in after if (line.key, line.exercice) == ("fiche-de-travail", 2026)]
    assert (line.state, line.due_on, line.because) == ("to-come", date(2026, 11, 25), ())
    assert line.occasion == "réunion prévue le 10 décembre 2026"
    assert line.rules == (time_limits.DAYS_RULE, time_limits.BACKWARD_RULE)
    [invited] = [line for line in after if (line.key, line.exercice) == ("inviter-commission", 2026)]
    assert (invited.state, invited.met_on) == ("met", PartialDate("2026-11-02"))


def test_the_reply_to_the_minutes_has_no_computed_day_for_the_paper_does_not_say_from_when() -> None:
    sent = (
        "2026-12-07",
        facts.MinutesSent(
            body="commission-de-suivi", by=VILLE_B, to=(ASSO,), meeting_on=PartialDate("2026-11-26")
        ),
    )
    held = ("2026-11-26", facts.MeetingHeld(body="commission-de-suivi"))
    lines = of_dossier(MJC_DOSSIER, held, sent, on="2026-12-08").obligations
    [reply] = [line for line in lines if line.key == "reponse-compte-rendu"]
    assert (reply.state, reply.due_on) == ("undetermined", None)
    unstated = "pas calculable : le texte ne dit pas de quel jour part le délai"
    reading = "compté du 7 décembre 2026 (compte-rendu envoyé le 7 décembre 2026), le dernier jour serait"
    assert reasons(reply) == [
        f"{unstated} (« compte-rendu (point de départ non dit) »)",
        f"pour information : {reading} le 22 décembre 2026",
    ]
    [minutes] = [line for line in lines if line.key == "compte-rendu"]
    assert (minutes.state, minutes.occasion) == ("met", "réunion tenue le 26 novembre 2026")
    answered = (
        "2026-12-18",
        facts.ObservationsReceived(body="commission-de-suivi", by=ASSO, meeting_on=PartialDate("2026-11-26")),
    )
    lines = of_dossier(MJC_DOSSIER, held, sent, answered, on="2026-12-20").obligations
    [reply] = [line for line in lines if line.key == "reponse-compte-rendu"]
    assert (reply.state, reply.met_on) == ("met", PartialDate("2026-12-18"))


def agrement_of(holder: str, *lines: Line) -> streams.State:
    return given(*lines, stream=f"agrement/{holder}")


def granted(starts_on: str, ends_on: str, on: str) -> Line:
    return on, facts.AgrementGranted(
        services=("AGC",), granted_by="caf", starts_on=PartialDate(starts_on), ends_on=PartialDate(ends_on)
    )


def notified(received_on: str, to: str) -> Line:
    return received_on, facts.AgrementNotified(received_by=to, received_on=PartialDate(received_on))


def test_a_new_notification_is_due_15_calendar_days_after_it_was_received() -> None:
    agrement = agrement_of(
        ASSO,
        granted("2023-01-01", "2026-12-31", "2022-12-10"),
        notified("2022-12-20", ASSO),
        granted("2027-01-01", "2030-12-31", "2026-12-12"),
        notified("2026-12-20", ASSO),
    )
    lines = of_dossier(MJC_DOSSIER, on="2026-12-21", beside=[agrement]).obligations
    # That of 2022 came before the convention did.
    [line] = [line for line in lines if line.key == "nouvelle-notification-agrement"]
    assert (line.state, line.due_on) == ("due", date(2027, 1, 4))
    assert line.occasion == "notification reçue le 20 décembre 2026"
    late = (
        "2027-01-06",
        facts.DocumentReceived(
            sent_by=ASSO, received_by=VILLE_B, document="notification-agrement", what="la notification"
        ),
    )
    lines = of_dossier(MJC_DOSSIER, late, on="2027-02-01", beside=[agrement]).obligations
    [line] = [line for line in lines if line.key == "nouvelle-notification-agrement"]
    assert (line.state, line.days_late) == ("met-late", 2)


def test_the_commission_of_the_mjc_meets_once_a_year_in_the_window_of_the_paper() -> None:
    held = ("2025-11-20", facts.MeetingHeld(body="commission-de-suivi"))
    meetings = of_dossier(MJC_DOSSIER, held, on="2026-09-30").meetings
    yearly = [line for line in meetings if line.body == "commission-de-suivi"]
    assert [(line.year, line.state) for line in yearly] == [
        (2025, "met"),
        (2026, "to-come"),
        (2027, "to-come"),
        (2028, "to-come"),
        (2029, "to-come"),
    ]
    assert (yearly[1].opens_on, yearly[1].due_on) == (date(2026, 10, 1), date(2026, 12, 31))
    on_demand = {line.body: (line.state, line.year) for line in meetings if line.at_least == 0}
    assert on_demand == {
        "commission-exceptionnelle": ("on-demand", None),
        "reunions-techniques": ("on-demand", None),
    }


# -- the governance of Chambéry


def chambery(*more: Line, on: str) -> tuple[MeetingsLine, ...]:
    return of_dossier(PACTE, *more, on=on).meetings


def signatures_of_the_pacte(on: str) -> list[Line]:
    listed = [read for _, _, read in decoded(PACTE) if isinstance(read, facts.PartyListed)]
    return [signed(one.institution, line.key, on) for one in listed for line in one.signatories]


def test_the_years_of_the_pacte_are_not_known_while_its_date_is_blank() -> None:
    lines = chambery(on="2024-06-01")
    assert {line.body for line in lines} == {
        "comite-technique",
        "comite-financeurs",
        "comite-pilotage",
        "rencontres-thematiques",
    }
    assert {(line.year, line.state, line.due_on) for line in lines} == {(None, "undetermined", None)}
    counted = "durée comptée de la dernière signature, dont le jour n’est pas connu (art. 5)"
    assert {plain(reason) for line in lines for reason in line.because} == {
        f"pas encore calculable : {counted}"
    }


def test_one_signature_of_fourteen_is_not_the_last_one() -> None:
    [first, *rest] = signatures_of_the_pacte("2023-10-02")
    assert {line.year for line in chambery(first, on="2024-06-01")} == {None}
    assert {line.year for line in chambery(first, *rest, on="2024-06-01")} == {2023, 2024}


@pytest.mark.parametrize(
    ("body", "days", "on", "states"),
    [
        ("comite-technique", (), "2024-06-01", ("due", "to-come")),
        ("comite-technique", (), "2024-10-02", ("missing", "due")),
        ("comite-technique", ("2024-03-05",), "2024-06-01", ("met", "to-come")),
        ("comite-technique", ("2024-03-05", "2024-04-05", "2024-05-05"), "2024-06-01", ("met", "to-come")),
        ("comite-financeurs", ("2024-03-05", "2024-04-05"), "2024-06-01", ("too-many", "to-come")),
        # Twice recorded, once met.
        ("comite-financeurs", ("2024-03-05", "2024-03-05"), "2024-06-01", ("met", "to-come")),
        ("comite-pilotage", ("2024-03-05", "2024-04-05"), "2024-06-01", ("met", "to-come")),
        (
            "comite-pilotage",
            ("2024-03-05", "2024-04-05", "2024-05-05"),
            "2024-06-01",
            ("too-many", "to-come"),
        ),
        ("rencontres-thematiques", ("2024-10-01", "2024-10-02"), "2025-12-01", ("met", "met")),
        ("rencontres-thematiques", ("2024-10-01",), "2025-12-01", ("met", "missing")),
        # Known to the month alone, on either side of the anniversary.
        ("rencontres-thematiques", ("2024-10",), "2025-12-01", ("undetermined", "undetermined")),
        ("rencontres-thematiques", ("XXXX",), "2025-12-01", ("undetermined", "undetermined")),
    ],
)
def test_the_bodies_of_chambery_meet_as_often_as_article_4_says_in_each_year_of_the_pacte(
    body: str, days: tuple[str, ...], on: str, states: tuple[str, str]
) -> None:
    held = [(day, facts.MeetingHeld(body=body)) for day in days]
    lines = [
        line for line in chambery(*signatures_of_the_pacte("2023-10-02"), *held, on=on) if line.body == body
    ]
    assert tuple(line.state for line in lines) == states
    assert [(line.opens_on, line.due_on) for line in lines] == [
        (date(2023, 10, 2), date(2024, 10, 1)),
        (date(2024, 10, 2), date(2025, 10, 1)),
    ]
    assert {line.rules for line in lines} == {(FROM_THE_START,)}


# -- the state of one occurrence

IN_TIME = received("2027-06-01")
PUT_OFF = derogation("2027-07-10", until="2027-07-31")


def declared_met(on: str) -> Line:
    return on, facts.ObligationMet(obligation="rapport-activite", debtor="mjc", exercice=2026)


@pytest.mark.parametrize(
    ("what", "lines", "on", "state", "days_late"),
    [
        ("nothing yet", (), "2027-07-14", "to-come", None),
        ("nothing on the last day", (), "2027-07-15", "due", None),
        ("nothing the day after", (), "2027-07-16", "overdue", None),
        ("in time", (received("2027-06-01"),), "2027-08-01", "met", None),
        ("on the last day", (received("2027-07-15"),), "2027-08-01", "met", None),
        ("the day after", (received("2027-07-16"),), "2027-08-01", "met-late", 1),
        ("late by a month and a half", (received("2027-09-01"),), "2027-10-01", "met-late", 48),
        ("received later than the day asked about", (received("2027-07-16"),), "2027-07-15", "due", None),
        ("the month alone, before", (received("2027-06"),), "2027-08-01", "met", None),
        ("the month alone, the same", (received("2027-07"),), "2027-08-01", "undetermined", None),
        ("the month alone, after", (received("2027-09"),), "2027-12-01", "met-late", None),
        ("an unknown day", (received("XXXX"),), "2027-08-01", "undetermined", None),
        ("of another exercice", (received("2027-06-01", exercice=2025),), "2027-08-01", "overdue", None),
        ("of no exercice, by its day", (received("2027-07-20", exercice=None),), "2027-08-01", "met-late", 5),
        ("another document", (received("2027-06-01", document="bilan"),), "2027-08-01", "overdue", None),
        ("received by another", (received("2027-06-01", by="mjc"),), "2027-08-01", "overdue", None),
        ("refused", (received("2027-06-01"), refused("2027-06-20")), "2027-07-01", "to-come", None),
        ("refused, asked before", (received("2027-06-01"), refused("2027-06-20")), "2027-06-10", "met", None),
        ("refused and late", (received("2027-06-01"), refused("2027-06-20")), "2027-08-01", "overdue", None),
        (
            "refused, handed in again too late",
            (received("2027-06-01"), refused("2027-06-20"), received("2027-07-18")),
            "2027-08-01",
            "met-late",
            3,
        ),
        ("refused, nobody knows when", (IN_TIME, refused("XXXX")), "2027-08-01", "undetermined", None),
        ("refused by who may not", (IN_TIME, refused("2027-06-20", by="ccas")), "2027-08-01", "met", None),
        ("refused of another exercice", (IN_TIME, refused("2027-06-20", 2025)), "2027-08-01", "met", None),
        ("refused before it came", (refused("2027-05-20"), IN_TIME), "2027-08-01", "met", None),
        (
            "another document refused",
            (IN_TIME, refused("2027-06-20", document="bilan")),
            "2027-08-01",
            "met",
            None,
        ),
        (
            "another document refused, and this one too",
            (IN_TIME, refused("2027-06-19", document="bilan"), refused("2027-06-20")),
            "2027-08-01",
            "overdue",
            None,
        ),
        (
            "refused before it came, and after",
            (refused("2027-05-20"), IN_TIME, refused("2027-06-20")),
            "2027-08-01",
            "overdue",
            None,
        ),
        ("dispensed", (dispensed("2027-07-01"),), "2027-08-01", "waived", None),
        ("dispensed, asked before", (dispensed("2027-07-20"),), "2027-07-18", "overdue", None),
        ("dispensed of another exercice", (dispensed("2027-07-01", 2025),), "2027-08-01", "overdue", None),
        ("dispensed by who may not", (dispensed("2027-07-01", by="mjc"),), "2027-08-01", "overdue", None),
        ("dispensed on an unknown day", (dispensed("XXXX"),), "2027-08-01", "undetermined", None),
        (
            "dispensed with another document",
            (dispensed("2027-07-01", document="bilan"),),
            "2027-08-01",
            "overdue",
            None,
        ),
        ("put off, then dispensed", (PUT_OFF, dispensed("2027-07-12")), "2027-08-01", "waived", None),
        ("dispensed, then put off", (dispensed("2027-07-05"), PUT_OFF), "2027-08-01", "overdue", None),
        (
            "put off, nobody knows until when",
            (derogation("2027-07-10", until="XXXX"),),
            "2027-08-01",
            "waived",
            None,
        ),
        ("a derogation to another", (derogation("2027-07-10", to="ccas"),), "2027-08-01", "overdue", None),
        (
            "dispensed, and in time all the same",
            (dispensed("2027-07-01"), received("2027-07-02")),
            "2027-08-01",
            "met",
            None,
        ),
        (
            "dispensed, and handed in after",
            (dispensed("2027-07-01"), received("2027-08-02")),
            "2027-09-01",
            "waived",
            None,
        ),
        ("put off", (derogation("2027-07-10", until="2027-07-31"),), "2027-07-20", "to-come", None),
        ("put off, the later day passed", (PUT_OFF,), "2027-08-01", "overdue", None),
        (
            "put off, in the time granted",
            (derogation("2027-07-10", until="2027-07-31"), received("2027-07-31")),
            "2027-09-01",
            "met",
            None,
        ),
        (
            "put off, and later still",
            (derogation("2027-07-10", until="2027-07-31"), received("2027-08-02")),
            "2027-09-01",
            "met-late",
            2,
        ),
        ("put off for a month", (derogation("2027-07-10", until="2027-08"),), "2027-08-20", "to-come", None),
        ("a derogation without a day", (derogation("2027-07-10"),), "2027-08-01", "waived", None),
        ("put off in another article", (derogation("2027-07-10", "6.4"),), "2027-08-01", "overdue", None),
        ("a derogation by who may not", (derogation("2027-07-10", by="mjc"),), "2027-08-01", "overdue", None),
        ("the debtor's word for it", (declared_met("2027-07-01"),), "2027-08-01", "met", None),
        (
            "the debtor's word for it, and the document after",
            (received("2027-07-20"), declared_met("2027-07-10")),
            "2027-08-01",
            "met",
            None,
        ),
    ],
)
def test_an_occurrence_is_in_the_state_that_the_facts_of_the_day_give_it(
    what: str, lines: tuple[Line, ...], on: str, state: str, days_late: int | None
) -> None:
    line = of_exercice(owed(REPORT, *lines, on=on), 2026)
    assert (line.state, line.days_late) == (state, days_late), what
    assert line.due_on == date(2027, 7, 15)


def test_a_line_says_by_what_it_was_met_refused_or_waived() -> None:
    told = [
        received("2027-06-01"),
        refused("2027-06-20"),
        derogation("2027-07-10", until="2027-07-31"),
        received("2027-07-21"),
    ]
    line = of_exercice(owed(REPORT, *told, on="2027-09-01"), 2026)
    first = len(OPEN) + 2
    assert line.refused_at == first + 1
    assert (line.waived_by, line.waived_at, line.deferred_to) == ("ville", first + 2, date(2027, 7, 31))
    assert (line.met_by, line.met_on) == (first + 3, PartialDate("2027-07-21"))
    assert (line.document, line.gates_payments, line.article) == ("rapport-activite", True, "6.3")


def test_a_line_tells_all_that_its_clause_says_and_all_that_became_of_it() -> None:
    told = [
        received("2027-06-01"),
        refused("2027-06-20"),
        derogation("2027-07-10", until="2027-07-31"),
        received("2027-08-02"),
    ]
    stated_at = len(OPEN) + 1
    assert of_exercice(owed(REPORT, *told, on="2027-09-01"), 2026) == ObligationLine(
        key="rapport-activite",
        what="rapport d'activité de l'année écoulée",
        article="6.3",
        avenant="",
        position=stated_at,
        debtor="mjc",
        creditors=("ville",),
        recurrence="yearly",
        state="met-late",
        exercice=2026,
        due_on=date(2027, 7, 15),
        rules=(time_limits.UNTIL_RULE,),
        met_on=PartialDate("2027-08-02"),
        met_by=stated_at + 4,
        days_late=2,
        waived_by="ville",
        waived_at=stated_at + 3,
        deferred_to=date(2027, 7, 31),
        refused_at=stated_at + 2,
        document="rapport-activite",
        gates_payments=True,
    )


@pytest.mark.parametrize("waiver", [dispensed("2027-07-01"), derogation("2027-07-01")])
def test_who_waived_and_where_is_told(waiver: Line) -> None:
    line = of_exercice(owed(REPORT, waiver, on="2027-08-01"), 2026)
    assert (line.state, line.waived_by, line.waived_at) == ("waived", "ville", len(OPEN) + 2)
    assert (line.deferred_to, line.met_by) == (None, None)


def test_the_word_of_the_debtor_is_cited() -> None:
    line = of_exercice(owed(REPORT, declared_met("2027-07-01"), on="2027-08-01"), 2026)
    assert (line.met_on, line.met_by) == (PartialDate("2027-07-01"), len(OPEN) + 2)


def test_a_refusal_is_of_what_was_handed_in_last_before_it() -> None:
    told = [received("2027-06-01"), received("2027-06-10"), refused("2027-06-20"), received("2027-06-30")]
    line = of_exercice(owed(REPORT, *told, on="2027-08-01"), 2026)
    assert (line.state, line.met_on) == ("met", PartialDate("2027-06-01"))
    line = of_exercice(owed(REPORT, *told, refused("2027-06-21"), on="2027-08-01"), 2026)
    assert (line.state, line.met_on) == ("met", PartialDate("2027-06-30"))


def test_one_derogation_is_for_one_exercice() -> None:
    lines = owed(REPORT, derogation("2027-07-10"), on="2028-08-01")
    assert [(line.exercice, line.state) for line in lines] == [
        (2025, "overdue"),
        (2026, "waived"),
        (2027, "overdue"),
        (2028, "to-come"),
        (2029, "to-come"),
    ]


def test_a_derogation_from_an_article_covers_its_parts_and_not_its_neighbours() -> None:
    told = [
        clause(msgspec.structs.replace(REPORT, key=key), article, key)
        for key, article in (("a", "6.3, 1er tiret"), ("b", "6.31"), ("c", "6.3.2"))
    ]
    lines = duties(*told, derogation("2027-07-10"), on="2027-08-01").obligations
    assert {line.key: line.state for line in lines if line.exercice == 2026} == {
        "a": "waived",
        "b": "overdue",
        "c": "waived",
    }


def test_a_second_copy_without_its_exercice_is_not_taken_for_the_next_report() -> None:
    copies = [received("2027-07-01"), received("2027-07-03", exercice=None)]
    lines = owed(REPORT, *copies, on="2027-12-01")
    assert of_exercice(lines, 2026).state == "met"
    assert of_exercice(lines, 2027).state == "to-come"


def test_where_no_creditor_is_named_whoever_receives_may() -> None:
    term = msgspec.structs.replace(REPORT, creditors=())
    assert of_exercice(owed(term, received("2027-06-01", by="mjc"), on="2027-08-01"), 2026).state == "met"


def test_what_is_due_in_a_month_is_due_from_its_first_day() -> None:
    term = msgspec.structs.replace(REPORT, due=Due(each_year=EachYear(2)))
    states = [
        of_exercice(owed(term, on=on), 2027).state
        for on in ("2027-01-31", "2027-02-01", "2027-02-28", "2027-03-01")
    ]
    assert states == ["to-come", "due", "due", "overdue"]


@pytest.mark.parametrize(
    ("due", "on", "expected"),
    [
        (None, "2026-06-01", ("without-date", None, None)),
        (Due(words="sans délai"), "2026-06-01", ("without-date", None, "sans délai")),
        (Due(on=PartialDate("2026-03-31")), "2026-03-01", ("to-come", date(2026, 3, 31), None)),
        (Due(on=PartialDate("2026-03")), "2026-03-01", ("due", date(2026, 3, 31), None)),
        (Due(on=PartialDate("2026-03")), "2026-04-01", ("overdue", date(2026, 3, 31), None)),
        (Due(on=PartialDate("XXXX")), "2026-04-01", ("undetermined", None, None)),
        (Due(each_year=EachYear(9, 30)), "2026-04-01", ("to-come", date(2026, 9, 30), None)),
    ],
)
def test_what_is_owed_once_has_one_line(due: Due | None, on: str, expected: tuple[Any, ...]) -> None:
    term = msgspec.structs.replace(REPORT, recurrence="once", due=due)
    [line] = owed(term, on=on)
    assert (line.state, line.due_on, line.due_words) == expected
    for exercice in (None, 2025):
        [met] = owed(term, received("2026-02-10", exercice=exercice), on="2026-12-31")
        assert met.met_on == PartialDate("2026-02-10")
        assert met.state == "met"


BY_VILLE, BY_MJC = signed("ville", "maire", "2025-12-15"), signed("mjc", "president", "2025-12-18")
PUBLISHED = facts.ActePublished(institution="ville", deliberation="deliberation")


def notice_sent(key: str, to: str) -> facts.NoticeSent:
    by = "mjc" if to == "ville" else "ville"
    return facts.NoticeSent(key=key, by=by, to=to, article="11", grievance="retard", form="lettre")


@pytest.mark.parametrize(
    ("starts_at", "lines", "due_on"),
    [
        ("signed", (), None),
        ("signed", (BY_VILLE,), None),
        ("signed", (BY_VILLE, BY_MJC), "2026-01-18"),
        ("took-effect", (), "2026-02-01"),
        ("anniversary", (), "2027-02-01"),
        ("published", (("2025-12-20", PUBLISHED),), "2026-01-20"),
        ("published", (("2025-12", PUBLISHED),), None),
        ("notice-sent", (), "2026-04-01"),
        ("notice-presented", (), "2026-04-03"),
        ("notice-received", (), "2026-04-05"),
        (None, (), None),
    ],
)
def test_a_delay_runs_from_the_event_that_the_term_names(
    starts_at: Any, lines: tuple[Line, ...], due_on: str | None
) -> None:
    notice: tuple[Line, ...] = (
        ("2026-03-01", notice_sent("n", "mjc")),
        ("2026-03-03", facts.NoticePresented(key="n")),
        ("2026-03-05", facts.NoticeReceived(key="n")),
        ("2026-03-10", notice_sent("m", "ville")),
    )
    term = msgspec.structs.replace(
        REPORT,
        recurrence="once",
        due=Due(delay=Delay(count=1, unit="month", anchor="l'événement", starts_at=starts_at)),
    )
    [line] = owed(term, *notice, *lines, on="2027-03-01")
    assert (line.due_on.isoformat() if line.due_on else None) == due_on
    assert bool(line.because) == (due_on is None)


# -- on request, on an event, continuously


ASKED = Obligation(
    key="documents-utiles",
    debtor="mjc",
    creditors=("ville",),
    what="tout document utile",
    recurrence="on-request",
    due=Due(delay=Delay(count=15, unit="day", anchor="demande", starts_at="document-requested")),
    document="documents-utiles",
)


def asked(on: str, exercice: int | None = None, of: str = "mjc") -> Line:
    return on, facts.DocumentRequested(by="ville", of=of, document="documents-utiles", exercice=exercice)


def test_what_is_owed_on_request_has_a_line_a_request_and_one_that_says_so_before() -> None:
    [standing] = owed(ASKED, asked("2026-02-01", of="ville"), on="2026-03-01")
    assert (standing.state, plain(standing.due_words)) == (
        "without-date",
        "sur demande, 15 jours après : demande",
    )
    told = [
        asked("2026-03-01"),
        received("2026-03-10", "documents-utiles", None),
        asked("2026-05-01"),
        asked("2026-06-20"),
    ]
    lines = owed(ASKED, *told, on="2026-06-25")
    assert [(line.occasion, line.due_on, line.state) for line in lines] == [
        ("demande faite le 1er mars 2026", date(2026, 3, 16), "met"),
        ("demande faite le 1er mai 2026", date(2026, 5, 16), "overdue"),
        ("demande faite le 20 juin 2026", date(2026, 7, 5), "due"),
    ]


def test_what_was_asked_for_may_be_due_from_another_event() -> None:
    received_from = Delay(count=1, unit="month", anchor="réception", starts_at="notice-received")
    term = msgspec.structs.replace(ASKED, due=Due(delay=received_from))
    told = (asked("2026-03-01"), ("2026-03-04", notice_sent("n", "mjc")))
    [waiting] = owed(term, *told, on="2026-05-01")
    assert (waiting.state, waiting.due_on) == ("undetermined", None)
    [line] = owed(term, *told, ("2026-03-05", facts.NoticeReceived(key="n")), on="2026-05-01")
    assert (line.state, line.due_on) == ("overdue", date(2026, 4, 5))


def test_a_line_of_an_event_tells_the_event_and_the_words_of_the_paper() -> None:
    term = msgspec.structs.replace(ASKED, due=Due(words="sans délai"), optional=True)
    [line] = owed(term, asked("2026-03-01", 2025), on="2026-03-02")
    assert line == ObligationLine(
        key="documents-utiles",
        what="tout document utile",
        article="6.3",
        avenant="",
        position=len(OPEN) + 1,
        debtor="mjc",
        creditors=("ville",),
        recurrence="on-request",
        state="without-date",
        exercice=2025,
        occasion="demande faite le 1er mars 2026",
        opens_on=date(2026, 3, 1),
        due_words="sans délai",
        document="documents-utiles",
        optional=True,
    )


def test_a_document_sent_before_it_was_asked_for_answers_no_request() -> None:
    [line] = owed(
        ASKED, received("2026-02-01", "documents-utiles", None), asked("2026-03-01"), on="2026-04-01"
    )
    assert line.state == "overdue"


def test_a_request_of_an_exercice_is_answered_by_the_document_of_that_exercice() -> None:
    told = [
        asked("2026-03-01", 2024),
        asked("2026-03-01", 2025),
        received("2026-03-05", "documents-utiles", 2025),
    ]
    lines = owed(ASKED, *told, on="2026-03-06")
    assert {line.exercice: line.state for line in lines} == {2024: "due", 2025: "met"}


def test_requests_of_one_day_stand_by_exercice() -> None:
    told = [asked("2026-03-01", 2025), asked("2026-03-01", 2024)]
    assert [line.exercice for line in owed(ASKED, *told, on="2026-03-02")] == [2024, 2025]


def test_two_documents_answer_two_requests_and_a_third_none() -> None:
    told = [asked("2026-03-01"), asked("2026-03-02")]
    answers = [received(f"2026-03-{day}", "documents-utiles", None) for day in (10, 11, 12)]
    lines = owed(ASKED, *told, *answers, on="2026-04-01")
    assert [(line.state, line.met_on) for line in lines] == [
        ("met", PartialDate("2026-03-10")),
        ("met", PartialDate("2026-03-11")),
    ]


def test_who_is_dispensed_once_is_dispensed_with_the_first_request_still_unanswered() -> None:
    waiver = dispensed("2026-05-02", None, document="documents-utiles")
    answer = received("2026-03-10", "documents-utiles", None)
    told = [asked("2026-03-01"), asked("2026-04-01"), asked("2026-04-20")]

    def states(*more: Line) -> list[str]:
        return [line.state for line in owed(ASKED, *told, *more, on="2026-06-01")]

    assert states(waiver) == ["waived", "overdue", "overdue"]
    assert states(answer, waiver) == ["met", "waived", "overdue"]
    assert states(waiver, dispensed("2026-05-03", None, document="documents-utiles")) == [
        "waived",
        "waived",
        "overdue",
    ]
    # The first was still unanswered then: what comes late for it owes nothing any more.
    assert states(waiver, received("2026-05-20", "documents-utiles", None)) == [
        "waived",
        "overdue",
        "overdue",
    ]


CHANGES = Obligation(
    key="changements",
    debtor="mjc",
    creditors=("ville",),
    what="signaler tout changement",
    recurrence="on-event",
    due=Due(words="sans délai"),
    occasion="change",
    met_by="change-notified",
)


def test_a_change_in_the_debtors_own_stream_is_to_be_told_of() -> None:
    own = given(
        ("2026-01-01", facts.InstitutionRegistered(name="MJC", kind="association")),
        ("2025-06-01", facts.RepresentativeChanged(capacity="le Président", ended=True)),
        ("2026-09-01", facts.RepresentativeChanged(capacity="la Présidente", ended=True)),
        ("2026-09-01", facts.RepresentativeChanged(capacity="le Président")),
        ("2027-05-15", facts.NameChanged(name="MJC des deux rives")),
        stream="institution/mjc",
    )
    told = ("2026-09-02", facts.ChangeNotified(party="mjc", to=("ville",), what="bureau"))
    lines = owed(CHANGES, told, on="2027-06-01", beside=[own])
    assert [(line.occasion, line.state, line.due_words) for line in lines] == [
        ("changement survenu le 1er septembre 2026", "met", "sans délai"),
        ("changement survenu le 15 mai 2027", "without-date", "sans délai"),
    ]
    to_nobody_named = ("2026-09-03", facts.ChangeNotified(party="mjc", to=(), what="bureau"))
    [line, _] = owed(CHANGES, to_nobody_named, on="2027-06-01", beside=[own])
    assert (line.state, line.met_on) == ("met", PartialDate("2026-09-03"))
    [standing] = owed(CHANGES, on="2026-06-01", beside=[own])
    assert (standing.state, standing.occasion) == ("without-date", None)


INSURED = Obligation(
    key="assurances",
    debtor="mjc",
    creditors=("ville",),
    what="être assurée",
    recurrence="continuous",
    met_by="insurance",
)


def insured(starts_on: str, ends_on: str, on: str = "2026-01-08") -> Line:
    return on, facts.InsuranceShown(
        party="mjc", cover="multirisque", starts_on=PartialDate(starts_on), ends_on=PartialDate(ends_on)
    )


@pytest.mark.parametrize(
    ("lines", "on", "state"),
    [
        ((), "2025-12-31", "to-come"),
        ((), "2026-01-01", "continuous"),
        ((), "2026-06-01", "continuous"),
        ((insured("2026-01-01", "2026-12-31"),), "2026-12-31", "met"),
        ((insured("2026-01-01", "2026-12-31"),), "2027-01-01", "uncovered"),
        ((insured("2026-01-01", "2026-12-31"),), "2026-01-07", "continuous"),
        ((insured("2026", "2026"),), "2026-06-01", "undetermined"),
        ((insured("2026-01-01", "2026"),), "2026-06-01", "undetermined"),
        ((insured("2026", "2026-12-31"),), "2026-06-01", "undetermined"),
        ((insured("2026-07-01", "2026-12-31"),), "2026-06-30", "uncovered"),
        ((insured("2026-01-01", "2026-12-31", "XXXX"),), "2026-06-01", "undetermined"),
        ((insured("2026-01-01", "2026-12-31"), insured("2027-01-01", "2027-12-31")), "2027-06-01", "met"),
    ],
)
def test_an_insurance_covers_the_days_it_was_shown_for(lines: tuple[Line, ...], on: str, state: str) -> None:
    [line] = owed(INSURED, *lines, on=on)
    assert line.state == state


def test_a_state_that_no_fact_shows_goes_on() -> None:
    kept = msgspec.structs.replace(INSURED, met_by=None, due=Due(words="à tout moment"))
    for on, state in (("2025-12-31", "to-come"), ("2026-01-01", "continuous"), ("2029-12-31", "continuous")):
        [line] = owed(kept, on=on)
        assert (line.state, line.due_words, line.because) == (state, "à tout moment", ())


def test_a_state_to_keep_is_owed_no_more_once_the_instrument_is_over() -> None:
    assert owed(INSURED, on="2029-12-31") != []
    assert owed(INSURED, on="2030-01-01") == []


@pytest.mark.parametrize(
    ("lines", "on", "state", "because"),
    [
        (None, "2026-06-01", "undetermined", ("Aucun agrément enregistré",)),
        ((granted("2026-01-01", "2026-12-31", "2025-12-12"),), "2026-12-31", "met", ()),
        (
            (granted("2026-01-01", "2026-12-31", "2025-12-12"),),
            "2027-01-01",
            "uncovered",
            ("Agrément arrivé à son terme",),
        ),
        (
            (
                granted("2026-01-01", "2028-12-31", "2025-12-12"),
                ("2026-10-01", facts.AgrementSuspended(by="caf", reason="direction vacante")),
            ),
            "2026-10-01",
            "uncovered",
            ("Agrément suspendu",),
        ),
    ],
)
def test_an_agrement_is_held_as_its_own_stream_tells(
    lines: tuple[Line, ...] | None, on: str, state: str, because: tuple[str, ...]
) -> None:
    term = msgspec.structs.replace(INSURED, met_by="agrement")
    beside = [agrement_of("mjc", *lines)] if lines else []
    [line] = owed(term, on=on, beside=beside)
    assert (line.state, line.because) == (state, because)


def request(purpose: Any) -> facts.SubsidyRequested:
    return facts.SubsidyRequested(beneficiary="mjc", payer="ville", exercice=2027, purpose=purpose)


def voted_by(payer: str, to: str, purpose: Any = "fonctionnement") -> facts.SubsidyVoted:
    return facts.SubsidyVoted(payer=payer, beneficiary=to, exercice=2027, amount_cents=1, purpose=purpose)


def set_by(payer: str, to: str) -> facts.Event:
    return avenant(1, "2026-08-01", facts.SubsidySet(payer, to, 2027, 1))[1]


def valued_by(giver: str, to: str) -> facts.AidInKindValued:
    return facts.AidInKindValued(giver=giver, beneficiary=to, exercice=2027, what="local", value_cents=1)


def called_by(by: str, body: str = "comite") -> facts.MeetingConvened:
    return facts.MeetingConvened(body=body, by=by, meeting_on=PartialDate("2027-03-01"))


def committed(party: str) -> facts.RepublicanCommitmentNoted:
    return facts.RepublicanCommitmentNoted(party=party, manner="souscrit")


def told_of_change(party: str, *to: str) -> facts.ChangeNotified:
    return facts.ChangeNotified(party=party, to=to, what="bureau")


def minutes_by(by: str, body: str = "comite") -> facts.MinutesSent:
    return facts.MinutesSent(body=body, by=by, to=("ville",), meeting_on=PartialDate("2026-07-20"))


def observed_by(by: str, body: str = "comite") -> facts.ObservationsReceived:
    return facts.ObservationsReceived(body=body, by=by, meeting_on=PartialDate("2026-07-20"))


# what shows it, a fact that does, facts that do not
PROVEN: tuple[tuple[str, facts.Event, tuple[facts.Event, ...]], ...] = (
    ("subsidy-request", request("fonctionnement"), (request("projet"), request("investissement"))),
    ("investment-request", request("investissement"), (request("fonctionnement"),)),
    (
        "subsidy-voted",
        voted_by("mjc", "ville"),
        (voted_by("ville", "mjc"), voted_by("mjc", "ville", "projet")),
    ),
    ("subsidy-set", set_by("mjc", "ville"), (set_by("ville", "mjc"), set_by("mjc", "ccas"))),
    ("aid-valued", valued_by("mjc", "ville"), (valued_by("ville", "mjc"), valued_by("mjc", "ccas"))),
    ("meeting-convened", called_by("mjc"), (called_by("ville"), called_by("mjc", "autre"))),
    ("republican-commitment", committed("mjc"), (committed("ville"),)),
    (
        "change-notified",
        told_of_change("mjc", "ccas", "ville"),
        (told_of_change("ville", "ville"), told_of_change("ccas"), told_of_change("mjc", "ccas")),
    ),
    (
        "minutes-sent",
        minutes_by("mjc"),
        (minutes_by("ville"), minutes_by("mjc", "autre"), observed_by("mjc")),
    ),
    (
        "observations",
        observed_by("mjc"),
        (observed_by("ville"), observed_by("mjc", "autre"), minutes_by("mjc")),
    ),
)


@pytest.mark.parametrize(("met_by", "proof", "others"), PROVEN, ids=[one[0] for one in PROVEN])
def test_an_obligation_is_met_by_the_facts_that_its_term_names(
    met_by: Any, proof: facts.Event, others: tuple[facts.Event, ...]
) -> None:
    term = Obligation(
        key="k",
        debtor="mjc",
        creditors=("ville",),
        what="faire",
        recurrence="yearly",
        due=Due(each_year=EachYear(8, 30, inclusive=False, of_exercice=-1)),
        body="comite",
        met_by=met_by,
    )
    line = of_exercice(owed(term, ("2026-08-01", proof), on="2026-09-01"), 2027)
    proven_at = len(OPEN) + 2
    assert (line.state, line.met_on, line.met_by) == ("met", PartialDate("2026-08-01"), proven_at)
    told = [("2026-08-01", other) for other in others]
    assert of_exercice(owed(term, *told, on="2026-09-01"), 2027).state == "overdue"


def test_an_invitation_is_of_the_year_it_invites_to() -> None:
    term = msgspec.structs.replace(
        FICHE, due=Due(words="chaque année"), debtor="ville", creditors=("mjc",), met_by="meeting-convened"
    )

    def met_of(*told: Line) -> list[int | None]:
        return [line.exercice for line in owed(term, *told, on="2027-06-01") if line.state == "met"]

    assert met_of(called("2026-12-20", "2027-01-15")) == [2027]
    # To no known day: of the year in which it was sent.
    assert met_of(called("2026-12-20", "XXXX")) == [2026]


def test_a_right_that_was_let_go_by_is_owed_no_more() -> None:
    term = Obligation(
        key="investissement",
        debtor="mjc",
        creditors=("ville",),
        what="demander",
        recurrence="yearly",
        due=Due(each_year=EachYear(8, 30, inclusive=False, of_exercice=-1)),
        met_by="investment-request",
        optional=True,
    )
    ask = (
        "2026-09-05",
        facts.SubsidyRequested(beneficiary="mjc", payer="ville", exercice=2027, purpose="investissement"),
    )
    assert [line.exercice for line in owed(term, on="2026-08-29")] == [2027, 2028, 2029]
    assert [line.exercice for line in owed(term, on="2026-08-30")] == [2028, 2029]
    assert of_exercice(owed(term, ask, on="2026-10-01"), 2027).state == "met-late"


# -- meetings


FICHE = Obligation(
    key="fiche",
    debtor="mjc",
    creditors=("ville",),
    what="la fiche",
    recurrence="yearly",
    due=Due(
        delay=Delay(
            count=15, unit="calendar-day", anchor="la commission", direction="before", starts_at="meeting"
        )
    ),
    document="fiche",
    occasion="meeting",
    body="commission",
)


def called(on: str, meeting_on: str) -> Line:
    return on, facts.MeetingConvened(body="commission", by="ville", meeting_on=PartialDate(meeting_on))


def met(on: str, body: str = "commission") -> Line:
    return on, facts.MeetingHeld(body=body)


@pytest.mark.parametrize(
    ("lines", "on", "days"),
    [
        ((called("2026-10-01", "2026-12-10"),), "2026-10-02", ["2026-11-25"]),
        ((called("2026-10-01", "2026-12-10"),), "2026-09-30", [None]),
        ((met("2026-12-10"),), "2026-12-31", ["2026-11-25"]),
        ((called("2026-10-01", "2026-12-10"), met("2026-12-10")), "2026-12-31", ["2026-11-25"]),
        # Put off: the day it was called to has passed, and it met later.
        ((called("2026-10-01", "2026-12-01"), met("2026-12-16")), "2026-12-31", ["2026-12-01"]),
        # Called to a second day and nobody knows yet what became of the first.
        ((called("2026-10-01", "2026-12-01"),), "2026-12-31", ["2026-11-16"]),
        # Called to two days, of which one was held: the other stands.
        (
            (called("2026-10-01", "2026-12-10"), called("2026-10-02", "2026-12-20"), met("2026-12-10")),
            "2026-12-11",
            ["2026-11-25", "2026-12-05"],
        ),
        ((met("2026-03-20"), met("2026-12-10")), "2026-12-31", ["2026-03-05", "2026-11-25"]),
        ((met("2026-12-10", "autre"),), "2026-12-31", [None]),
        (
            (("2026-10-01", facts.MeetingConvened("autre", "ville", PartialDate("2026-12-10"))),),
            "2026-12-31",
            [None],
        ),
        ((met("2026-12"),), "2026-12-31", [None]),
    ],
)
def test_what_is_due_before_a_meeting_is_due_before_each_that_is_called_or_held(
    lines: tuple[Line, ...], on: str, days: list[str | None]
) -> None:
    found = [line for line in owed(FICHE, *lines, on=on) if line.exercice == 2026]
    assert [line.due_on.isoformat() if line.due_on else None for line in found] == days


def test_an_invitation_is_to_the_meeting_that_it_names_whichever_day_is_nearer() -> None:
    before = Delay(count=15, unit="day", anchor="la commission", direction="before", starts_at="meeting-held")
    term = msgspec.structs.replace(
        FICHE, due=Due(delay=before), debtor="ville", creditors=("mjc",), met_by="meeting-convened"
    )
    # On 1 March, for December: 4 days from the day due in March, and 269 from that due in November.
    told = [called("2026-03-01", "2026-12-10"), met("2026-03-20"), met("2026-12-10")]
    lines = [line for line in owed(term, *told, on="2026-12-31") if line.exercice == 2026]
    assert [(line.occasion, line.due_on, line.state) for line in lines] == [
        ("réunion tenue le 20 mars 2026", date(2026, 3, 5), "overdue"),
        ("réunion tenue le 10 décembre 2026", date(2026, 11, 25), "met"),
    ]


def test_each_fiche_is_that_of_the_meeting_whose_day_is_nearest() -> None:
    told = [met("2026-03-20"), met("2026-12-10"), received("2026-12-01", "fiche", None)]
    states = [line.state for line in owed(FICHE, *told, on="2026-12-31") if line.exercice == 2026]
    assert states == ["overdue", "met-late"]


COMMITTEE = Meetings(
    body="commission", label="Commission", at_least_per_year=1, window=(EachYear(10), EachYear(12, 31))
)


def meetings(*lines: Line, on: str, opening: tuple[Line, ...] = OPEN) -> tuple[MeetingsLine, ...]:
    return duties(*lines, on=on, opening=opening).meetings


def test_a_body_with_a_window_counts_in_civil_years_whatever_the_day_it_all_began() -> None:
    term: Line = (
        "2025-12-11",
        facts.ClauseStated(
            article="10",
            about="durée",
            term=FixedPeriod(PartialDate("2026-03-01"), PartialDate("2027-10-31")),
        ),
    )
    lines = meetings(
        clause(COMMITTEE), met("2026-05-02"), on="2027-01-01", opening=(OPENED, VILLE, MJC, term)
    )
    # A meeting before the window meets "at the latest"; 2027 ends before its window does.
    assert [(line.year, line.state, line.opens_on, line.due_on) for line in lines] == [
        (2026, "met", date(2026, 10, 1), date(2026, 12, 31))
    ]


def test_from_the_first_of_january_a_year_is_a_civil_year() -> None:
    free = Meetings(
        body="libre",
        label="Rencontre",
        at_least_per_year=1,
        at_most_per_year=2,
        initiative="la Ville",
        participants=("ville", "mjc"),
    )
    told = [met("2026-01-01", "libre"), met("2026-12-31", "libre"), met("2028-01-01", "libre")]
    lines = meetings(clause(free, "8"), *told, on="2027-12-31")
    assert [(line.year, line.state, line.opens_on, line.due_on) for line in lines] == [
        (2026, "met", date(2026, 1, 1), date(2026, 12, 31)),
        (2027, "due", date(2027, 1, 1), date(2027, 12, 31)),
        (2028, "to-come", date(2028, 1, 1), date(2028, 12, 31)),
        (2029, "to-come", date(2029, 1, 1), date(2029, 12, 31)),
    ]
    first = lines[0]
    assert first.held_on == (PartialDate("2026-01-01"), PartialDate("2026-12-31"))
    assert first.held == (len(OPEN) + 2, len(OPEN) + 3)
    assert (first.label, first.article, first.position) == ("Rencontre", "8", len(OPEN) + 1)
    assert (first.at_most, first.initiative, first.participants) == (2, "la Ville", ("ville", "mjc"))
    assert first.rules == ()


def test_a_body_that_meets_on_demand_has_one_line_with_all_its_meetings() -> None:
    free = Meetings(body="libre", label="Rencontre", at_least_per_year=0, participants=("ville", "mjc"))
    held = (
        met("2026-05-02", "libre"),
        met("2027-05-02", "libre"),
        met("2027-05-02", "libre"),
        met("2027-05-03"),
    )
    assert meetings(clause(free, "8"), *held, on="2027-06-01") == (
        MeetingsLine(
            body="libre",
            label="Rencontre",
            article="8",
            position=len(OPEN) + 1,
            year=None,
            at_least=0,
            at_most=None,
            held_on=(PartialDate("2026-05-02"), PartialDate("2027-05-02")),
            held=(len(OPEN) + 2, len(OPEN) + 3),
            state="on-demand",
            participants=("ville", "mjc"),
        ),
    )


def test_a_body_that_meets_at_most_so_often_does_not_meet_on_demand() -> None:
    seldom = Meetings(body="libre", label="Rencontre", at_least_per_year=0, at_most_per_year=1)
    held = (met("2026-05-02", "libre"), met("2027-05-02", "libre"), met("2027-05-03", "libre"))
    lines = meetings(clause(seldom, "8"), *held, on="2027-06-01")
    assert [(line.year, line.state) for line in lines] == [
        (2026, "met"),
        (2027, "too-many"),
        (2028, "met"),
        (2029, "met"),
    ]


def test_a_line_of_a_body_tells_all_that_its_clause_says_and_how_its_years_are_counted() -> None:
    term: Line = (
        "2025-12-11",
        facts.ClauseStated("10", "durée", FixedPeriod(PartialDate("2026-03-15"), PartialDate("2028-09-14"))),
    )
    free = Meetings(
        body="libre",
        label="Rencontre",
        at_least_per_year=1,
        at_most_per_year=2,
        initiative="la Ville",
        participants=("ville", "mjc"),
    )
    # Two whole years from day to day; the half year that is left asks for nothing.
    first, second = meetings(
        clause(free, "8"), met("2027-03-14", "libre"), on="2027-03-15", opening=(OPENED, VILLE, MJC, term)
    )
    assert first == MeetingsLine(
        body="libre",
        label="Rencontre",
        article="8",
        position=5,
        year=2026,
        at_least=1,
        at_most=2,
        held_on=(PartialDate("2027-03-14"),),
        held=(6,),
        state="met",
        initiative="la Ville",
        participants=("ville", "mjc"),
        opens_on=date(2026, 3, 15),
        due_on=date(2027, 3, 14),
        rules=(FROM_THE_START,),
    )
    assert second == msgspec.structs.replace(
        first,
        year=2027,
        held_on=(),
        held=(),
        state="due",
        opens_on=date(2027, 3, 15),
        due_on=date(2028, 3, 14),
    )


def test_where_the_start_is_not_known_a_body_has_one_line_that_says_why() -> None:
    endless: Line = ("2025-12-11", facts.ClauseStated(article="10", about="durée", term=NoPeriod()))
    opening = (OPENED, VILLE, MJC, endless)
    [line] = meetings(clause(COMMITTEE, "8"), met("2026-05-02"), on="2026-06-01", opening=opening)
    assert (line.year, line.state, line.opens_on, line.due_on) == (None, "undetermined", None, None)
    assert (line.held_on, line.held) == ((PartialDate("2026-05-02"),), (6,))
    assert reasons(line) == ["pas encore calculable : le début de l’instrument n’est pas connu"]


def test_a_window_that_closes_on_the_first_or_the_last_day_is_in_the_instrument() -> None:
    term: Line = (
        "2025-12-11",
        facts.ClauseStated("10", "durée", FixedPeriod(PartialDate("2026-06-30"), PartialDate("2028-06-30"))),
    )
    body = msgspec.structs.replace(COMMITTEE, window=(EachYear(6), EachYear(6, 30)))
    lines = meetings(clause(body), on="2026-06-30", opening=(OPENED, VILLE, MJC, term))
    assert [(line.year, line.opens_on, line.due_on, line.state) for line in lines] == [
        (2026, date(2026, 6, 1), date(2026, 6, 30), "due"),
        (2027, date(2027, 6, 1), date(2027, 6, 30), "to-come"),
        (2028, date(2028, 6, 1), date(2028, 6, 30), "to-come"),
    ]


def test_without_an_end_years_from_the_start_are_listed_up_to_the_next() -> None:
    endless: Line = ("2025-12-11", facts.ClauseStated(article="10", about="durée", term=NoPeriod()))
    free = Meetings(body="libre", label="Rencontre", at_least_per_year=1)
    began = ("2026-03-15", facts.EntryIntoForceNoted())
    lines = meetings(clause(free), began, on="2027-06-01", opening=(OPENED, VILLE, MJC, endless))
    assert [(line.year, line.due_on) for line in lines] == [
        (2026, date(2027, 3, 14)),
        (2027, date(2028, 3, 14)),
        (2028, date(2029, 3, 14)),
    ]


def test_without_an_end_the_years_are_listed_up_to_the_next() -> None:
    began = ("2026-01-01", facts.EntryIntoForceNoted())
    endless: Line = ("2025-12-11", facts.ClauseStated(article="10", about="durée", term=NoPeriod()))
    lines = duties(
        clause(COMMITTEE), clause(REPORT, "6"), began, on="2027-06-01", opening=(OPENED, VILLE, MJC, endless)
    )
    assert [line.year for line in lines.meetings] == [2026, 2027, 2028]
    assert [line.exercice for line in lines.obligations] == [2025, 2026, 2027, 2028]


def test_a_far_end_is_listed_ten_years_ahead_and_no_further() -> None:
    far: Line = (
        "2025-12-11",
        facts.ClauseStated(
            article="10",
            about="durée",
            term=FixedPeriod(PartialDate("2026-01-01"), PartialDate("2120-12-31")),
        ),
    )
    lines = meetings(clause(COMMITTEE), on="2026-06-01", opening=(OPENED, VILLE, MJC, far))
    assert (lines[0].year, lines[-1].year) == (2026, 2036)


def test_a_resiliation_ends_what_is_owed_from_the_day_it_takes_effect() -> None:
    over = (
        "2027-03-01",
        facts.ResiliationPronounced(
            by=("ville",), article="11", ground="faute", takes_effect_on=PartialDate("2027-06-30")
        ),
    )
    project = msgspec.structs.replace(REPORT, due=Due(each_year=EachYear(7, 15)))
    before = duties(clause(REPORT, "a"), clause(project, "b"), clause(COMMITTEE, "c"), over, on="2027-06-29")
    after = duties(clause(REPORT, "a"), clause(project, "b"), clause(COMMITTEE, "c"), over, on="2027-06-30")
    assert [line.exercice for line in before.obligations if line.article == "b"] == [2026, 2027, 2028, 2029]
    assert [line.exercice for line in after.obligations if line.article == "b"] == [2026]
    # The accounts of what was paid for are owed all the same.
    assert [line.exercice for line in after.obligations if line.article == "a"] == [2025, 2026, 2027]
    assert [line.year for line in after.meetings] == [2026]


# -- an event, and what is due on it

ANSWER = Obligation(
    key="reponse",
    debtor="mjc",
    creditors=("ville",),
    what="répondre",
    recurrence="on-event",
    due=Due(delay=Delay(count=15, unit="day", anchor="compte-rendu", starts_at="minutes-sent")),
    occasion="minutes-sent",
    body="commission",
    met_by="observations",
)


def minutes(on: str, meeting_on: str) -> Line:
    return on, facts.MinutesSent(
        body="commission", by="ville", to=("mjc",), meeting_on=PartialDate(meeting_on)
    )


def answered(on: str, meeting_on: str) -> Line:
    return on, facts.ObservationsReceived(body="commission", by="mjc", meeting_on=PartialDate(meeting_on))


def test_an_answer_is_about_the_meeting_that_it_names() -> None:
    told = [
        minutes("2026-04-01", "2026-03-20"),
        minutes("2026-04-02", "2026-03-27"),
        answered("2026-04-05", "2026-03-27"),
    ]
    lines = owed(ANSWER, *told, on="2026-05-01")
    assert [(line.due_on, line.state) for line in lines] == [
        (date(2026, 4, 16), "overdue"),
        (date(2026, 4, 17), "met"),
    ]


@pytest.mark.parametrize(
    ("of", "to", "concerns"),
    [
        ("commission", ("mjc",), True),
        ("commission", ("ccas", "mjc"), True),
        ("commission", (), True),
        ("commission", ("ccas",), False),
        ("comite", ("mjc",), False),
        ("comite", (), False),
    ],
)
def test_minutes_concern_whom_they_were_sent_to_and_everybody_where_that_is_not_said(
    of: str, to: tuple[str, ...], concerns: bool
) -> None:
    sent = facts.MinutesSent(body=of, by="ville", to=to, meeting_on=PartialDate("2026-03-20"))
    [line] = owed(ANSWER, ("2026-04-01", sent), on="2026-05-01")
    assert line.occasion == ("compte-rendu envoyé le 1er avril 2026" if concerns else None)


def test_a_delay_may_run_from_another_event_of_the_same_meeting() -> None:
    from_meeting = Delay(count=15, unit="day", anchor="réunion", starts_at="meeting-held")
    term = msgspec.structs.replace(ANSWER, due=Due(delay=from_meeting))
    told = [
        met("2026-03-20"),
        met("2026-03-27"),
        minutes("2026-04-01", "2026-03-20"),
        minutes("2026-04-02", "2026-03-27"),
    ]
    lines = owed(term, *told, on="2026-04-03")
    assert [line.due_on for line in lines] == [date(2026, 4, 4), date(2026, 4, 11)]


@pytest.mark.parametrize(
    ("due", "due_on"),
    [
        (Due(on=PartialDate("2026-12-31")), date(2026, 12, 31)),
        (Due(each_year=EachYear(12, 31, of_exercice=1)), date(2027, 12, 31)),
        (None, None),
    ],
)
def test_what_an_event_makes_due_may_have_a_day_of_its_own(due: Due | None, due_on: date | None) -> None:
    term = msgspec.structs.replace(ANSWER, due=due)
    [line] = owed(term, minutes("2026-04-01", "2026-03-20"), on="2026-05-01")
    assert (line.due_on, line.occasion) == (due_on, "compte-rendu envoyé le 1er avril 2026")
    assert line.opens_on == date(2026, 4, 1)


def test_an_event_of_an_unknown_day_gives_no_day_and_says_so() -> None:
    unknown = "date inconnue à ce jour"
    sent = "compte-rendu envoyé date inconnue (laissée en blanc)"
    for due, reason in (
        (Due(each_year=EachYear(12, 31)), f"pas encore calculable : {unknown} (« {sent} »)"),
        (ANSWER.due, f"pas encore calculable : {unknown} (« compte-rendu »)"),
        (Due(on=PartialDate("XXXX")), f"pas encore calculable : {unknown} (« répondre »)"),
    ):
        term = msgspec.structs.replace(ANSWER, due=due)
        [line] = owed(term, minutes("XXXX", "2026-03-20"), on="2026-05-01")
        assert (line.state, line.due_on, reasons(line)) == ("undetermined", None, [reason])


@pytest.mark.parametrize(
    ("occasion", "words"),
    [
        ("notice-sent", ["mise en demeure envoyée le 1er mars 2026"]),
        ("notice-presented", ["mise en demeure présentée le 3 mars 2026"]),
        ("notice-received", ["mise en demeure reçue le 5 mars 2026"]),
        ("took-effect", ["prise d’effet le 1er janvier 2026"]),
        ("signed", ["signature par toutes les parties le 18 décembre 2025"]),
        ("published", ["acte publié le 20 décembre 2025"]),
        ("anniversary", ["date anniversaire le 1er janvier 2027", "date anniversaire le 1er janvier 2028"]),
    ],
)
def test_each_event_is_told_in_french(occasion: Any, words: list[str]) -> None:
    told: tuple[Line, ...] = (
        BY_VILLE,
        BY_MJC,
        ("2025-12-20", PUBLISHED),
        ("2026-03-01", notice_sent("n", "mjc")),
        ("2026-03-03", facts.NoticePresented(key="n")),
        ("2026-03-05", facts.NoticeReceived(key="n")),
    )
    term = msgspec.structs.replace(ANSWER, occasion=occasion, due=Due(words="sans délai"))
    assert [line.occasion for line in owed(term, *told, on="2028-01-01")] == words


def test_no_anniversary_comes_after_the_end() -> None:
    term = msgspec.structs.replace(ANSWER, occasion="anniversary", due=None)
    assert [line.opens_on for line in owed(term, on="2035-06-01")] == [
        date(2027, 1, 1),
        date(2028, 1, 1),
        date(2029, 1, 1),
    ]


def test_without_an_end_the_anniversaries_go_on_to_the_day() -> None:
    term = msgspec.structs.replace(ANSWER, occasion="anniversary", due=None)
    endless: Line = ("2025-12-11", facts.ClauseStated(article="10", about="durée", term=NoPeriod()))
    began = ("2026-03-15", facts.EntryIntoForceNoted())
    lines = owed(term, began, on="2028-03-15", opening=(OPENED, VILLE, MJC, endless))
    assert [line.opens_on for line in lines] == [date(2027, 3, 15), date(2028, 3, 15)]


def test_a_notification_that_comes_after_the_end_is_owed_to_nobody() -> None:
    term = msgspec.structs.replace(ANSWER, occasion="agrement-notified", due=None)
    agrement = agrement_of(
        "mjc", granted("2029-01-01", "2032-12-31", "2029-11-01"), notified("2030-01-02", "mjc")
    )
    [line] = owed(term, on="2030-02-01", beside=[agrement])
    assert line.occasion is None


def test_a_day_that_passed_without_the_body_stands_unless_it_met_later_that_year() -> None:
    def days(*told: Line) -> list[date | None]:
        return [line.due_on for line in owed(FICHE, *told, on="2027-12-31") if line.exercice == 2026]

    first = called("2026-10-01", "2026-12-01")
    assert days(first, met("2026-03-20")) == [date(2026, 3, 5), date(2026, 11, 16)]
    assert days(first, met("2027-01-20")) == [date(2026, 11, 16)]
    assert days(first, called("2026-11-25", "2026-12-16"), met("2026-12-16")) == [date(2026, 12, 1)]


def test_a_day_before_a_meeting_that_the_paper_does_not_name_is_not_computed() -> None:
    unnamed = Delay(count=15, unit="day", anchor="la réunion", direction="before")
    term = msgspec.structs.replace(FICHE, due=Due(delay=unnamed))
    lines = owed(term, met("2026-12-10"), on="2026-12-31")
    assert reasons(of_exercice(lines, 2026)) == [
        "pas calculable : le texte ne dit pas de quel jour part le délai (« la réunion, 2026 »)"
    ]
    once = msgspec.structs.replace(term, recurrence="once")
    [line] = owed(once, on="2026-12-31")
    assert reasons(line) == [
        "pas calculable : le texte ne dit pas de quel jour part le délai (« la réunion »)"
    ]


def test_an_undated_text_names_what_has_no_day() -> None:
    once = msgspec.structs.replace(REPORT, recurrence="once", due=Due(on=PartialDate("XXXX")))
    [line] = owed(once, on="2026-12-31")
    assert reasons(line) == [
        "pas encore calculable : date inconnue à ce jour (« rapport d'activité de l'année écoulée »)"
    ]


@pytest.mark.parametrize(
    ("day", "exercice"),
    [
        ("2025-12-20", 2026),
        ("2026-01-01", 2026),
        ("2026-12-31", 2026),
        ("2027-01-01", 2027),
        ("2029-12-31", 2029),
    ],
)
def test_a_deed_without_an_exercice_is_of_its_own_year_where_no_day_is_said(day: str, exercice: int) -> None:
    term = msgspec.structs.replace(REPORT, due=Due(words="chaque année"))
    lines = owed(term, received(day, exercice=None), on="2030-01-01")
    assert [line.exercice for line in lines if line.state == "met"] == [exercice]


def test_what_is_declared_met_for_an_exercice_is_of_that_one_however_late() -> None:
    met_late = ("2028-06-01", facts.ObligationMet(obligation=REPORT.key, debtor="mjc", exercice=2026))
    lines = owed(REPORT, met_late, on="2028-06-02")
    assert [line.exercice for line in lines if line.met_on] == [2026]


def test_a_deed_of_the_day_that_is_due_is_that_one_and_not_the_one_of_its_year_without_a_day() -> None:
    received_from = Delay(count=1, unit="month", anchor="réception", starts_at="notice-received")
    term = msgspec.structs.replace(REPORT, due=Due(delay=received_from))
    notice = (("2026-12-01", notice_sent("n", "mjc")), ("2026-12-10", facts.NoticeReceived(key="n")))
    lines = owed(term, *notice, received("2027-01-10", exercice=None), on="2027-02-01")
    assert [(line.exercice, line.due_on) for line in lines if line.met_on] == [(2026, date(2027, 1, 10))]


def test_a_state_that_is_kept_says_by_what() -> None:
    [insured_line] = owed(INSURED, insured("2026-01-01", "2026-12-31"), on="2026-06-01")
    assert (insured_line.met_on, insured_line.met_by) == (PartialDate("2026-01-08"), len(OPEN) + 2)
    assert insured_line.occasion == "couverture du 1er janvier 2026 au 31 décembre 2026"
    [gone] = owed(INSURED, insured("2026-01-01", "2026-12-31"), on="2027-06-01")
    assert reasons(gone) == ["aucune attestation connue ne couvre ce jour"]
    term = msgspec.structs.replace(INSURED, met_by="agrement")
    agrement = agrement_of(
        "mjc",
        granted("2022-01-01", "2025-12-31", "2021-12-10"),
        granted("2026-01-01", "2028-12-31", "2025-12-12"),
        granted("2029-01-01", "2032-12-31", "2028-12-12"),
    )
    [held] = owed(term, on="2026-06-01", beside=[agrement])
    assert (held.met_on, held.met_by) == (PartialDate("2026-01-01"), 2)
    withdrawn = ("2026-05-01", facts.AgrementWithdrawn(by="caf", reason="fonctions non assurées"))
    lost = agrement_of("mjc", granted("2026-01-01", "2028-12-31", "2025-12-12"), withdrawn)
    [line] = owed(term, on="2026-06-01", beside=[lost])
    assert (line.state, line.because) == ("uncovered", ("Agrément retiré",))


# -- the text changes


def test_what_fell_due_before_an_avenant_is_judged_by_the_text_of_its_day() -> None:
    september = msgspec.structs.replace(REPORT, due=Due(each_year=EachYear(9, 30, of_exercice=1)))
    twice = msgspec.structs.replace(COMMITTEE, at_least_per_year=2)
    changed = avenant(
        1,
        "2027-08-01",
        facts.ClauseChanged("6.3", "une règle", september),
        facts.ClauseChanged("8", "une règle", twice),
    )
    found = duties(clause(REPORT), clause(COMMITTEE, "8"), changed, on="2027-12-01")
    assert [(line.exercice, line.due_on, line.avenant) for line in found.obligations] == [
        (2025, date(2026, 7, 15), ""),
        (2026, date(2027, 7, 15), ""),
        (2026, date(2027, 9, 30), "1"),
        (2027, date(2028, 9, 30), "1"),
        (2028, date(2029, 9, 30), "1"),
        (2029, date(2030, 9, 30), "1"),
    ]
    assert [(line.year, line.at_least) for line in found.meetings] == [
        (2026, 1),
        (2027, 2),
        (2028, 2),
        (2029, 2),
    ]
    in_the_month = ("2027-08", *changed[1:])
    dated_less = duties(clause(REPORT), clause(COMMITTEE, "8"), in_the_month, on="2027-12-01")
    assert [(line.exercice, line.due_on, line.avenant) for line in dated_less.obligations] == [
        (line.exercice, line.due_on, line.avenant) for line in found.obligations
    ]
    as_before = duties(clause(REPORT), clause(COMMITTEE, "8"), changed, on="2027-07-31")
    assert as_before == duties(clause(REPORT), clause(COMMITTEE, "8"), on="2027-07-31")


def test_what_falls_due_the_day_an_avenant_comes_falls_under_it() -> None:
    other = msgspec.structs.replace(REPORT, what="rapport, en deux exemplaires")
    changed = avenant(1, "2027-07-15", facts.ClauseChanged("6.3", "une règle", other))
    lines = owed(REPORT, changed, on="2027-07-15")
    assert [(line.exercice, line.avenant) for line in lines] == [
        (2025, ""),
        (2026, "1"),
        (2027, "1"),
        (2028, "1"),
        (2029, "1"),
    ]


def test_an_article_rewritten_twice_is_owed_under_each_text_in_its_time_and_its_neighbour_under_one() -> None:
    def text(words: str, **more: Any) -> Obligation:
        return msgspec.structs.replace(REPORT, what=words, **more)

    told = (
        clause(text("premier", key="a", due=Due(each_year=EachYear(2, 1, of_exercice=1))), "6.3"),
        clause(text("autre", key="b"), "6.4"),
        avenant(1, "2026-08-01", facts.ClauseChanged("6.4", "une règle", text("autre, changé", key="b"))),
        avenant(2, "2027-07-15", facts.ClauseChanged("6.3", "une règle", text("deuxième", key="a"))),
        avenant(3, "2027-07-16", facts.ClauseChanged("6.3", "une règle", text("troisième", key="a"))),
    )
    found = duties(*told, on="2028-01-01").obligations
    assert [(line.what, line.exercice) for line in found if line.key == "a"] == [
        ("premier", 2025),
        ("premier", 2026),
        ("deuxième", 2026),
        ("troisième", 2027),
        ("troisième", 2028),
        ("troisième", 2029),
    ]
    assert [(line.what, line.exercice) for line in found if line.key == "b"] == [
        ("autre", 2025),
        ("autre, changé", 2026),
        ("autre, changé", 2027),
        ("autre, changé", 2028),
        ("autre, changé", 2029),
    ]


def test_the_text_of_the_instrument_is_its_text_from_the_first_day_whenever_it_was_noted() -> None:
    once = msgspec.structs.replace(REPORT, recurrence="once", due=Due(on=PartialDate("2026-03-31")))
    noted: Line = ("2026-06-01", facts.ClauseStated(article="6.3", about="une règle", term=once))
    [line] = duties(noted, on="2026-07-01").obligations
    assert (line.due_on, line.state) == (date(2026, 3, 31), "overdue")


@pytest.mark.parametrize(
    "end", [facts.ResiliationTookEffect(), facts.InstrumentExpired(), facts.InstrumentClosed()]
)
def test_what_is_noted_as_over_is_over_the_day_after(end: facts.Event) -> None:
    noted: Line = ("2027-06-30", end)
    assert owed(INSURED, noted, on="2027-06-30") != []
    assert owed(INSURED, noted, on="2027-07-01") == []
    assert owed(INSURED, ("2027-06-30", facts.DenunciationTookEffect(by="mjc")), on="2027-07-01") != []


ENDLESS: Line = ("2025-12-11", facts.ClauseStated(article="10", about="durée", term=NoPeriod()))


def test_only_what_begins_an_instrument_tells_when_it_began() -> None:
    began, over = ("2026-03-15", facts.EntryIntoForceNoted()), ("2026-02-01", facts.InstrumentClosed())
    for lines, on, states in (
        ((began,), "2026-03-14", {"undetermined"}),
        ((began,), "2026-03-15", {"to-come"}),
        ((over,), "2026-03-15", {"undetermined"}),
    ):
        told = owed(REPORT, *lines, on=on, opening=(OPENED, VILLE, MJC, ENDLESS))
        assert {line.state for line in told} == states


def test_a_duration_from_the_entry_into_force_begins_with_it_and_not_with_the_signature() -> None:
    period: Line = ("2025-12-11", facts.ClauseStated("10", "durée", PeriodFrom("entry-into-force", 24)))
    free = Meetings(body="libre", label="Rencontre", at_least_per_year=1)
    began = ("2026-03-15", facts.EntryIntoForceNoted())
    lines = meetings(
        clause(free), BY_VILLE, BY_MJC, began, on="2026-06-01", opening=(OPENED, VILLE, MJC, period)
    )
    assert [(line.opens_on, line.due_on) for line in lines] == [
        (date(2026, 3, 15), date(2027, 3, 14)),
        (date(2027, 3, 15), date(2028, 3, 14)),
    ]


def test_what_runs_from_the_signature_needs_no_first_day() -> None:
    delay = Delay(count=1, unit="month", anchor="la signature", starts_at="signed")
    term = msgspec.structs.replace(REPORT, recurrence="once", due=Due(delay=delay))
    [line] = owed(term, BY_VILLE, BY_MJC, on="2026-01-02", opening=(OPENED, VILLE, MJC, ENDLESS))
    assert (line.state, line.due_on) == ("to-come", date(2026, 1, 18))


def test_what_has_no_day_is_owed_under_the_text_of_the_day_alone() -> None:
    words = msgspec.structs.replace(REPORT, due=Due(words="chaque année"))
    changed = avenant(
        1,
        "2027-08-01",
        facts.ClauseChanged(
            "6.3", "une règle", msgspec.structs.replace(words, due=Due(words="au printemps"))
        ),
    )
    for on, said in (("2027-07-31", ("", "chaque année")), ("2027-08-01", ("1", "au printemps"))):
        lines = owed(words, changed, on=on)
        assert [line.exercice for line in lines] == [2026, 2027, 2028, 2029]
        assert {(line.avenant, line.due_words) for line in lines} == {said}


def test_an_avenant_of_an_unknown_day_leaves_what_it_asks_undetermined() -> None:
    changed = avenant(1, "XXXX", facts.ClauseChanged("6.3", "une règle", REPORT))
    lines = owed(REPORT, changed, on="2027-12-01")
    assert {line.state for line in lines} == {"undetermined"}
    assert lines[0].because == ("l’avenant 1 qui l’énonce n’est pas daté",)
    twice = msgspec.structs.replace(COMMITTEE, at_least_per_year=2)
    changed = avenant(1, "XXXX", facts.ClauseChanged("8", "une règle", twice))
    found = meetings(clause(COMMITTEE, "8"), changed, met("2026-11-02"), met("2026-11-03"), on="2027-01-01")
    assert {(line.at_least, line.state) for line in found} == {(2, "undetermined")}


def test_where_the_start_is_not_known_the_line_says_why() -> None:
    endless: Line = ("2025-12-11", facts.ClauseStated(article="10", about="durée", term=NoPeriod()))
    [line] = owed(REPORT, on="2027-12-01", opening=(OPENED, VILLE, MJC, endless))
    assert line.state == "undetermined"
    assert reasons(line) == ["pas encore calculable : le début de l’instrument n’est pas connu"]


@pytest.mark.parametrize(
    ("recurrence", "due", "words"),
    [
        ("once", Due(each_year=EachYear(9, 30)), None),
        ("yearly", Due(each_year=EachYear(9, 30)), None),
        ("yearly", Due(words="chaque année"), "chaque année"),
    ],
)
def test_where_the_start_is_not_known_no_year_is_and_the_paper_keeps_its_words(
    recurrence: Any, due: Due, words: str | None
) -> None:
    endless: Line = ("2025-12-11", facts.ClauseStated(article="10", about="durée", term=NoPeriod()))
    term = msgspec.structs.replace(REPORT, recurrence=recurrence, due=due)
    [line] = owed(term, on="2027-12-01", opening=(OPENED, VILLE, MJC, endless))
    assert (line.state, line.exercice, line.due_on, line.due_words) == ("undetermined", None, None, words)
    assert reasons(line) == ["pas encore calculable : le début de l’instrument n’est pas connu"]


@pytest.mark.parametrize(
    ("when", "exercices"),
    [
        # On the very first day and on the very last, both included.
        (EachYear(1, 1), [2026, 2027, 2028, 2029]),
        (EachYear(12, 31), [2026, 2027, 2028, 2029]),
        # Due the year before: of 2026 in 2025, before it all began; of 2030 in 2029.
        (EachYear(8, 30, of_exercice=-1), [2027, 2028, 2029]),
        # Due two years after: of 2024 in 2026; of 2029 in 2031, when it is over.
        (EachYear(7, 15, of_exercice=2), [2024, 2025, 2026, 2027, 2028, 2029]),
    ],
)
def test_what_is_due_each_year_is_owed_while_the_instrument_lasts_and_told_of_all_it_covered(
    when: EachYear, exercices: list[int]
) -> None:
    term = msgspec.structs.replace(REPORT, due=Due(each_year=when))
    assert [line.exercice for line in owed(term, on="2026-06-01")] == exercices


# -- whatever happens

DAYS = st.dates(date(2025, 12, 12), date(2030, 6, 30))
WHOLE = [
    clause(REPORT, "1"),
    clause(ASKED, "2"),
    clause(CHANGES, "3"),
    clause(INSURED, "4"),
    clause(FICHE, "5"),
    clause(COMMITTEE, "6"),
    clause(msgspec.structs.replace(COMMITTEE, body="libre", window=None, at_most_per_year=2), "7"),
]


@st.composite
def happenings(draw: st.DrawFn) -> Line:
    on, other = draw(DAYS).isoformat(), draw(DAYS).isoformat()
    exercice = draw(st.none() | st.integers(2025, 2029))
    meeting = PartialDate(other)
    kinds: list[Line] = [
        received(on, exercice=exercice),
        received(on, "documents-utiles", exercice),
        received(on, "fiche", exercice),
        refused(on, exercice),
        dispensed(on, exercice),
        derogation(on, "1", draw(st.none() | st.just(other))),
        asked(on, exercice),
        insured(min(on, other), max(on, other), on),
        called(on, other),
        met(on),
        met(on, "libre"),
        (on, facts.MinutesSent(body="commission", by="ville", to=("mjc",), meeting_on=meeting)),
        (on, facts.ChangeNotified(party="mjc", to=("ville",), what="bureau")),
        (on, facts.SubsidyRequested(beneficiary="mjc", payer="ville", exercice=exercice or 2026)),
        (on, facts.ObligationMet(obligation="rapport-activite", debtor="mjc", exercice=exercice)),
        avenant(draw(st.integers(1, 99)), on, facts.ClauseChanged("1", "une règle", REPORT)),
        (
            on,
            facts.ResiliationPronounced(
                by=("ville",), article="11", ground="faute", takes_effect_on=PartialDate(max(on, other))
            ),
        ),
    ]
    line = draw(st.sampled_from(kinds))
    if draw(st.integers(0, 5)) == 0:
        return (draw(st.sampled_from(["XXXX", "2027", "2027-07", "2028-33"])), *line[1:])
    return line


def body(found: Duties) -> bytes:
    return msgspec.json.encode(found, enc_hook=dates.encode)


def without_positions(found: Duties) -> Any:
    """What is said, whatever was recorded first."""
    places = {"position", "met_by", "waived_at", "refused_at", "held"}

    def stripped(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: stripped(part) for key, part in value.items() if key not in places}
        return [stripped(part) for part in value] if isinstance(value, list) else value

    return stripped(msgspec.json.decode(body(found)))


@settings(max_examples=150, deadline=None)
@examples(st.lists(happenings(), max_size=8), st.lists(happenings(), max_size=4), DAYS)
def test_a_fact_about_the_future_never_changes_the_past(past: list[Line], more: list[Line], on: date) -> None:
    future = [line for line in more if PartialDate(line[0]).after(on)]
    assert body(duties(*WHOLE, *past, *future, on=on.isoformat())) == body(
        duties(*WHOLE, *past, on=on.isoformat())
    )


@settings(max_examples=100, deadline=None)
@examples(st.lists(happenings(), max_size=10), DAYS)
def test_computing_twice_gives_the_same_bytes_and_no_line_is_both_met_and_owed(
    told: list[Line], on: date
) -> None:
    found = duties(*WHOLE, *told, on=on.isoformat())
    assert body(found) == body(duties(*WHOLE, *told, on=on.isoformat()))
    for line in found.obligations:
        assert (line.days_late is None) or (line.state == "met-late" and line.days_late > 0)
        if line.state in ("overdue", "to-come", "due", "without-date"):
            assert line.met_by is None
        if line.state in ("met", "met-late") and line.recurrence != "continuous":
            assert line.met_by is not None
            assert line.met_on is not None
            assert line.met_on.reached(on)
        if line.state in ("overdue", "due", "to-come", "met-late") and line.recurrence != "continuous":
            assert line.due_on is not None
            assert line.rules
        if line.state == "overdue":
            assert (line.deferred_to or line.due_on or date.max) < on
    for year in found.meetings:
        sure = [day for day in year.held_on if day.reached(on)]
        assert (year.state != "missing") or len(sure) < year.at_least
        assert len(year.held_on) == len(set(year.held_on)) == len(year.held)


@settings(max_examples=100, deadline=None)
@examples(st.lists(happenings(), max_size=8, unique_by=lambda line: line[0]), DAYS, st.randoms())
def test_the_order_of_arrival_changes_nothing(told: list[Line], on: date, random: Any) -> None:
    shuffled = list(told)
    random.shuffle(shuffled)
    one, other = (duties(*WHOLE, *lines, on=on.isoformat()) for lines in (told, shuffled))
    assert without_positions(one) == without_positions(other)


def test_every_day_of_a_life_has_its_duties() -> None:
    told = [
        *WHOLE,
        received("2027-07-20"),
        met("2026-11-26"),
        asked("2026-03-01"),
        insured("2026-01-01", "2026-12-31"),
    ]
    start = date(2025, 12, 12)
    for days in range(0, 2_000, 37):
        on = start + timedelta(days=days)
        lines = duties(*told, on=on.isoformat()).obligations
        assert list(lines) == sorted(lines, key=lambda line: line.due_on or date.max)
