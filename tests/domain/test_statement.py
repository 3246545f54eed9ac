"""The state on a day, as tables: the phase, the money, the clauses, the papers, who stands by what."""

import itertools
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.terms import Condition, Due, FixedPeriod, LumpSum, NoPeriod, Obligation, PeriodFrom, PeriodOf
from services.domain import (
    amendments,
    convention,
    coverage,
    exits,
    findings,
    known,
    obligations,
    schedule,
    statement,
    streams,
)
from services.domain.money import MoneyLine
from services.domain.statement import (
    AgrementStatement,
    ConventionStatement,
    InstitutionStatement,
    PaperLine,
    PartyLine,
)
from tests.domain.lives import (
    BASIS,
    CLERK,
    CONVENTION,
    MJC,
    OPEN,
    OPENED,
    SIGNED,
    START,
    TERM,
    VILLE,
    Line,
    avenant,
    entries,
    given,
    paid,
    signed,
    voted,
)

AGREMENT, INSTITUTION = "agrement/mjc", "institution/mjc"
D = PartialDate


def of(*lines: Line, on: str = "2026-06-01") -> ConventionStatement:
    told = statement.of(entries(*lines), stream=CONVENTION, on=date.fromisoformat(on))
    assert isinstance(told, ConventionStatement)
    return told


def agrement(*lines: Line, on: str) -> AgrementStatement:
    told = statement.of(entries(*lines, stream=AGREMENT), stream=AGREMENT, on=date.fromisoformat(on))
    assert isinstance(told, AgrementStatement)
    return told


def institution(*lines: Line, on: str = "2026-06-01") -> InstitutionStatement:
    told = statement.of(entries(*lines, stream=INSTITUTION), stream=INSTITUTION, on=date.fromisoformat(on))
    assert isinstance(told, InstitutionStatement)
    return told


def deliberated(on: str, outcome: Any = "adopted", avenant: str | None = None, who: str = "ville") -> Line:
    return on, facts.DeliberationAdopted(
        institution=who, organ="conseil", key="d-1", about="convention", outcome=outcome, avenant=avenant
    )


def clause(term: Any, article: str = "10", on: str = "2025-12-11", about: str = "durée") -> Line:
    return on, facts.ClauseStated(article=article, about=about, term=term)


def listed(who: str, *keys: str, quorum: int | None = None) -> Line:
    return "2025-12-11", facts.PartyListed(
        institution=who,
        signatories=tuple(facts.Signatory(key, f"capacité {key}") for key in keys),
        quorum=quorum,
        written_as=f"ci-après {who}",
    )


def left(who: str, on: str) -> Line:
    return on, facts.PartyWithdrew(party=who)


def joined(who: str, on: str, avenant: str | None = None) -> Line:
    return on, facts.PartyJoined(institution=who, avenant=avenant)


def resiliated(on: str, takes_effect_on: str) -> Line:
    return on, facts.ResiliationPronounced(
        by=("ville",), article="9", ground="bilan absent", takes_effect_on=D(takes_effect_on)
    )


def cancelled(entry: int) -> Line:
    return "2026-05-01", facts.EntryCancelled(entry=entry, reason="saisie en double")


ENDED: dict[str, Line] = {
    "closed": ("2027-03-01", facts.InstrumentClosed()),
    "expired": ("2027-03-01", facts.InstrumentExpired()),
    "resiliated": ("2027-03-01", facts.ResiliationTookEffect()),
    "denounced": ("2027-03-01", facts.DenunciationTookEffect(by="mjc")),
}
SIGNERS: tuple[Line, ...] = (signed("ville", "maire", "2025-12-15"), signed("mjc", "president", "2025-12-18"))
TIMELESS = (OPENED, VILLE, MJC)

PHASES: list[tuple[str, tuple[Line, ...], str, str, tuple[str, ...]]] = [
    ("nothing is recorded", (), "2026-06-01", "inconnu", ()),
    ("it is written", OPEN, "2026-06-01", "projet", ()),
    ("nobody is listed", (OPENED,), "2026-06-01", "projet", ()),
    ("the day before an assembly decides", (*OPEN, deliberated("2025-12-12")), "2025-12-11", "projet", ()),
    ("the day an assembly decides", (*OPEN, deliberated("2025-12-12")), "2025-12-12", "delibere", ()),
    ("an assembly rejects", (*OPEN, deliberated("2025-12-12", "rejected")), "2026-06-01", "projet", ()),
    ("an assembly defers", (*OPEN, deliberated("2025-12-12", "deferred")), "2026-06-01", "projet", ()),
    ("it decides on an avenant", (*OPEN, deliberated("2025-12-12", avenant="1")), "2026-06-01", "projet", ()),
    (
        "it decided on a day left blank",
        (*OPEN, deliberated("XXXX")),
        "2026-06-01",
        "indetermine",
        ("deliberation-non-datee",),
    ),
    ("the day before the first signature", SIGNED, "2025-12-14", "projet", ()),
    ("the day of the first signature", SIGNED, "2025-12-15", "signe-en-partie", ()),
    ("the day before the last signature", SIGNED, "2025-12-17", "signe-en-partie", ()),
    ("the day of the last signature", SIGNED, "2025-12-18", "signe", ()),
    ("the day before it starts", SIGNED, "2025-12-31", "signe", ()),
    ("the day it starts", SIGNED, "2026-01-01", "en-vigueur", ()),
    ("the last day of the term", SIGNED, "2029-12-31", "en-vigueur", ()),
    ("the day after the term", SIGNED, "2030-01-01", "echu", ()),
    ("the term passed unsigned", OPEN, "2030-01-01", "echu", ()),
    ("no duration: in force once signed", (*TIMELESS, *SIGNERS), "2025-12-18", "en-vigueur", ()),
    (
        "who signs an avenant has not signed the instrument",
        (*OPEN, signed("ville", "maire", "2025-12-15", 1), signed("mjc", "president", "2025-12-18", 1)),
        "2026-06-01",
        "projet",
        (),
    ),
    (
        "it is prolonged",
        (*SIGNED, avenant(1, "2029-06-01", facts.Prorogation(D("2030-06-30")))),
        "2030-06-30",
        "en-vigueur",
        (),
    ),
    (
        "the prolonged term passed",
        (*SIGNED, avenant(1, "2029-06-01", facts.Prorogation(D("2030-06-30")))),
        "2030-07-01",
        "echu",
        (),
    ),
    (
        "it is shortened",
        (
            *SIGNED,
            avenant(1, "2026-06-01", facts.ClauseChanged("10", "durée", FixedPeriod(D("2026"), D("2027")))),
        ),
        "2028-01-01",
        "echu",
        (),
    ),
    (
        "the day before the résiliation",
        (*SIGNED, resiliated("2027-01-01", "2027-03-01")),
        "2027-02-28",
        "en-vigueur",
        (),
    ),
    (
        "the day of the résiliation",
        (*SIGNED, resiliated("2027-01-01", "2027-03-01")),
        "2027-03-01",
        "resilie",
        (),
    ),
    ("the day before one of two leaves", (*SIGNED, ENDED["denounced"]), "2027-02-28", "en-vigueur", ()),
    ("the day one of two leaves", (*SIGNED, ENDED["denounced"]), "2027-03-01", "denonce", ()),
    (
        "one of three leaves",
        (
            OPENED,
            VILLE,
            MJC,
            listed("caf"),
            TERM,
            *SIGNERS,
            signed("caf", "directrice", "2025-12-18"),
            ENDED["denounced"],
        ),
        "2027-03-01",
        "en-vigueur",
        (),
    ),
    (
        "one of three leaves, and another perhaps",
        (
            OPENED,
            VILLE,
            MJC,
            listed("caf"),
            TERM,
            *SIGNERS,
            signed("caf", "directrice", "2025-12-18"),
            ENDED["denounced"],
            left("caf", "XXXX"),
        ),
        "2027-03-01",
        "en-vigueur",
        (),
    ),
    (
        "one of three leaves what nobody signed",
        (OPENED, VILLE, MJC, listed("caf"), ENDED["denounced"]),
        "2027-03-01",
        "projet",
        (),
    ),
    (
        "one of two leaves on a day left blank",
        (*SIGNED, ("XXXX", ENDED["denounced"][1])),
        "2027-03-01",
        "en-vigueur",
        (),
    ),
    ("it is noted over before the term", (*SIGNED, ENDED["expired"]), "2027-03-01", "echu", ()),
    (
        "a résiliation outweighs an expiry",
        (*SIGNED, ENDED["expired"], ENDED["resiliated"]),
        "2027-03-01",
        "resilie",
        (),
    ),
    ("the closing outweighs all", (*SIGNED, *ENDED.values()), "2027-03-01", "clos", ()),
    ("the day before the end of all", (*SIGNED, *ENDED.values()), "2027-02-28", "en-vigueur", ()),
    *(
        (
            f"{how} on a day left blank",
            (*SIGNED, ("XXXX", ENDED[how][1])),
            "2026-06-01",
            "en-vigueur",
            ("fin-non-datee",),
        )
        for how in ("closed", "expired", "resiliated")
    ),
    (
        "a term known to the year, in that year",
        (*TIMELESS, clause(FixedPeriod(D("2026-01-01"), D("2029"))), *SIGNERS),
        "2029-06-01",
        "en-vigueur",
        ("terme-imprecis",),
    ),
    (
        "a term known to the year, on its last day",
        (*TIMELESS, clause(FixedPeriod(D("2026-01-01"), D("2029"))), *SIGNERS),
        "2029-12-31",
        "en-vigueur",
        ("terme-imprecis",),
    ),
    (
        "a term known to the year, after it",
        (*TIMELESS, clause(FixedPeriod(D("2026-01-01"), D("2029"))), *SIGNERS),
        "2030-01-01",
        "echu",
        (),
    ),
    (
        "a start known to the year, in that year",
        (*TIMELESS, clause(FixedPeriod(D("2026"), D("2029-12-31"))), *SIGNERS),
        "2026-06-01",
        "indetermine",
        ("debut-imprecis",),
    ),
    (
        "all signatures undated",
        (*OPEN, signed("ville", "maire", "XXXX"), signed("mjc", "president", "XXXX")),
        "2026-06-01",
        "indetermine",
        ("signatures-non-datees",),
    ),
    (
        "one signature undated",
        (*OPEN, signed("ville", "maire", "XXXX"), signed("mjc", "president", "2025-12-18")),
        "2026-06-01",
        "signe-en-partie",
        ("signatures-non-datees",),
    ),
    (
        "said to be in force, unsigned",
        (*OPEN, ("2026-02-01", facts.EntryIntoForceNoted())),
        "2026-02-01",
        "en-vigueur",
        (),
    ),
    (
        "said to come into force later",
        (*OPEN, ("2026-02-01", facts.EntryIntoForceNoted())),
        "2026-01-31",
        "projet",
        (),
    ),
    (
        "signed, and in force from the day a paper says",
        (*TIMELESS, *SIGNERS, ("2026-02-01", facts.EntryIntoForceNoted())),
        "2026-01-31",
        "signe",
        (),
    ),
    (
        "two of three signatures with a quorum of two",
        (
            OPENED,
            listed("mjc", "a", "b", "c", quorum=2),
            signed("mjc", "a", "2026-01-01"),
            signed("mjc", "c", "2026-01-02"),
        ),
        "2026-01-02",
        "en-vigueur",
        (),
    ),
    (
        "one of three signatures with a quorum of two",
        (
            OPENED,
            listed("mjc", "a", "b", "c", quorum=2),
            signed("mjc", "a", "2026-01-01"),
            signed("mjc", "c", "2026-01-02"),
        ),
        "2026-01-01",
        "projet",
        (),
    ),
    (
        "two of three signatures where the paper has no quorum",
        (
            OPENED,
            listed("mjc", "a", "b", "c"),
            signed("mjc", "a", "2026-01-01"),
            signed("mjc", "c", "2026-01-02"),
        ),
        "2026-06-01",
        "projet",
        (),
    ),
    (
        "an undated signature that may make the quorum",
        (
            OPENED,
            listed("mjc", "a", "b", quorum=2),
            signed("mjc", "a", "2026-01-01"),
            signed("mjc", "b", "XXXX"),
        ),
        "2026-06-01",
        "indetermine",
        ("signatures-non-datees",),
    ),
    (
        "one signature where the paper names nobody",
        (OPENED, listed("mjc"), signed("mjc", "quelqu-un", "2026-01-01")),
        "2026-01-01",
        "en-vigueur",
        (),
    ),
    ("a newcomer has yet to sign", (*SIGNED, joined("agglo", "2026-05-01")), "2026-06-01", "en-vigueur", ()),
    (
        "who left need not have signed",
        (*OPEN, SIGNERS[0], left("mjc", "2026-02-01")),
        "2026-02-01",
        "en-vigueur",
        (),
    ),
    (
        "who is to leave must have signed",
        (*OPEN, SIGNERS[0], left("mjc", "2026-02-01")),
        "2026-01-31",
        "signe-en-partie",
        (),
    ),
    ("the opening was a mistake", (*SIGNED, cancelled(1)), "2026-06-01", "inconnu", ()),
    ("a signature was a mistake", (*SIGNED, cancelled(6)), "2026-06-01", "signe-en-partie", ()),
    (
        "the résiliation was a mistake",
        (*SIGNED, ENDED["resiliated"], cancelled(7)),
        "2027-06-01",
        "en-vigueur",
        (),
    ),
]


@pytest.mark.parametrize(
    "life, on, phase, doubts", [one[1:] for one in PHASES], ids=[one[0] for one in PHASES]
)
def test_the_phase_on_a_day(life: tuple[Line, ...], on: str, phase: str, doubts: tuple[str, ...]) -> None:
    told = of(*life, on=on)
    assert (told.phase, told.undetermined) == (phase, doubts)
    summary = statement.summary(given(*life))
    if summary.opened is not None:
        row = statement.row(summary, on=date.fromisoformat(on))
        assert (row.phase, row.ends_on, row.title) == (phase, told.ends_on, told.title)


def both(on: str) -> tuple[Line, Line]:
    return signed("ville", "maire", on), signed("mjc", "president", on)


def last(months: int, anchor: Any = "last-signature") -> Line:
    return clause(PeriodFrom(anchor=anchor, months=months))


A_SIGNED = (*both("2026-02-01")[:1], signed("mjc", "a", "2026-02-01"))
B_SIGNED = (signed("mjc", "b", "2026-02-02"),)


@pytest.mark.parametrize(
    "claim, life, start, end, article",
    [
        ("a fixed period", SIGNED, "2026-01-01", "2029-12-31", "10"),
        ("no word on it", (*TIMELESS, *SIGNERS), None, None, None),
        ("the paper says there is none", (*TIMELESS, clause(NoPeriod()), *SIGNERS), None, None, "10"),
        ("as long as something else", (OPENED, clause(PeriodOf("le contrat de ville"))), None, None, "10"),
        (
            "as long as something else, dated",
            (OPENED, clause(PeriodOf("la COG", D("2023"), D("2027")))),
            "2023",
            "2027",
            "10",
        ),
        ("two years from the last signature", (*TIMELESS, last(24), *SIGNERS), None, "2027-12-17", "10"),
        (
            "a month from a day that the next month lacks ends with that month",
            (*TIMELESS, last(1), *both("2026-01-31")),
            None,
            "2026-02-28",
            "10",
        ),
        (
            "a month from the 30th, in a leap year",
            (*TIMELESS, last(1), *both("2024-01-30")),
            None,
            "2024-02-29",
            "10",
        ),
        (
            "a month from the 31st to a month of thirty days",
            (*TIMELESS, last(1), *both("2026-03-31")),
            None,
            "2026-04-30",
            "10",
        ),
        (
            "a month from the first of January ends with January",
            (*TIMELESS, last(1), *both("2026-01-01")),
            None,
            "2026-01-31",
            "10",
        ),
        (
            "twelve months from the first of December",
            (*TIMELESS, last(12), *both("2025-12-01")),
            None,
            "2026-11-30",
            "10",
        ),
        (
            "twelve months from the last day of a month end the day before it",
            (*TIMELESS, last(12), *both("2025-12-31")),
            None,
            "2026-12-30",
            "10",
        ),
        (
            "a signature of an avenant starts no period",
            (*TIMELESS, last(24), *SIGNERS, signed("mjc", "president", "2026-03-01", 1)),
            None,
            "2027-12-17",
            "10",
        ),
        ("nobody signed", (*TIMELESS, last(24)), None, None, "10"),
        (
            "a signature is undated",
            (*TIMELESS, last(24), *SIGNERS, signed("mjc", "p", "XXXX")),
            None,
            None,
            "10",
        ),
        (
            "the last signature is known to the month",
            (*TIMELESS, last(24), SIGNERS[0], signed("mjc", "president", "2026-03")),
            None,
            None,
            "10",
        ),
        (
            "one party has yet to sign: no signature is the last",
            (*TIMELESS, last(24), SIGNERS[0]),
            None,
            None,
            "10",
        ),
        (
            "the last signature is still to come",
            (*TIMELESS, last(24), SIGNERS[0], signed("mjc", "president", "2026-06-02")),
            None,
            None,
            "10",
        ),
        *(
            (claim, (OPENED, VILLE, party_, last(24), *signatures), None, end, "10")
            for claim, party_, signatures, end in (
                ("one of two lines is signed", listed("mjc", "a", "b"), A_SIGNED, None),
                ("both lines are signed", listed("mjc", "a", "b"), (*A_SIGNED, *B_SIGNED), "2028-02-01"),
                ("one of two lines is enough", listed("mjc", "a", "b", quorum=1), A_SIGNED, "2028-01-31"),
                ("no line is prepared for it", listed("mjc"), A_SIGNED, "2028-01-31"),
            )
        ),
        (
            "a year from the entry into force",
            (OPENED, last(12, "entry-into-force"), ("2026-02-01", facts.EntryIntoForceNoted())),
            "2026-02-01",
            "2027-01-31",
            "10",
        ),
        ("from an entry into force nobody noted", (OPENED, last(12, "entry-into-force")), None, None, "10"),
        (
            "a paper notes an earlier start",
            (*SIGNED, ("2025-11-01", facts.EntryIntoForceNoted())),
            "2025-11-01",
            "2029-12-31",
            "10",
        ),
        ("a start left blank", (OPENED, clause(FixedPeriod(D("XXXX"), D("2029")))), None, "2029", "10"),
        (
            "two clauses of the text: the furthest day",
            (
                OPENED,
                clause(FixedPeriod(D("2026"), D("2029")), "3"),
                clause(FixedPeriod(D("2025"), D("2028")), "4"),
            ),
            "2025",
            "2029",
            "4",
        ),
        (
            "two clauses of the text: the furthest day, told last",
            (
                OPENED,
                clause(FixedPeriod(D("2025"), D("2028")), "3"),
                clause(FixedPeriod(D("2026"), D("2029")), "4"),
            ),
            "2025",
            "2029",
            "4",
        ),
        (
            "a prorogation to come",
            (*SIGNED, avenant(1, "2026-06-02", facts.Prorogation(D("2031-01-31")))),
            "2026-01-01",
            "2029-12-31",
            "10",
        ),
        (
            "a prorogation come",
            (*SIGNED, avenant(1, "2026-06-01", facts.Prorogation(D("2031-01-31")))),
            "2026-01-01",
            "2031-01-31",
            "avenant 1",
        ),
        (
            "a prorogation undated",
            (*SIGNED, avenant(1, "XXXX", facts.Prorogation(D("2031-01-31")))),
            "2026-01-01",
            "2031-01-31",
            "avenant 1",
        ),
        (
            "two prorogations, the last first",
            (
                *SIGNED,
                avenant(2, "2026-05-01", facts.Prorogation(D("2032"))),
                avenant(1, "2026-04-01", facts.Prorogation(D("2031"))),
            ),
            "2026-01-01",
            "2032",
            "avenant 2",
        ),
        (
            "two prorogations of one day, the last recorded",
            (
                *SIGNED,
                avenant(2, "2026-05-01", facts.Prorogation(D("2032"))),
                avenant(1, "2026-05-01", facts.Prorogation(D("2031"))),
            ),
            "2026-01-01",
            "2031",
            "avenant 1",
        ),
        (
            "two changes of the clause on one day, the last recorded",
            (
                *SIGNED,
                avenant(
                    2, "2026-05-01", facts.ClauseChanged("10", "durée", FixedPeriod(D("2026"), D("2032")))
                ),
                avenant(
                    1, "2026-05-01", facts.ClauseChanged("11", "durée", FixedPeriod(D("2026"), D("2031")))
                ),
            ),
            "2026-01-01",
            "2031",
            "11",
        ),
        (
            "an avenant that lifts the term",
            (*SIGNED, avenant(1, "2026-05-01", facts.ClauseChanged("11", "durée", NoPeriod()))),
            "2026-01-01",
            None,
            "11",
        ),
        (
            "an avenant that counts from the last signature",
            (
                *SIGNED,
                avenant(
                    1, "2026-05-01", facts.ClauseChanged("10", "durée", PeriodFrom("last-signature", 36))
                ),
            ),
            "2026-01-01",
            "2028-12-17",
            "10",
        ),
        (
            "an avenant that counts from the entry into force",
            (
                *SIGNED,
                avenant(
                    1, "2026-05-01", facts.ClauseChanged("10", "durée", PeriodFrom("entry-into-force", 36))
                ),
            ),
            "2026-01-01",
            "2028-12-31",
            "10",
        ),
        (
            "an avenant on something else",
            (*SIGNED, avenant(1, "2026-05-01", facts.ClauseChanged("11", "locaux"))),
            "2026-01-01",
            "2029-12-31",
            "10",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "-",
)
def test_how_long_it_lasts(
    claim: str, life: tuple[Line, ...], start: str | None, end: str | None, article: str | None
) -> None:
    told = of(*life)
    assert (str(told.starts_on), str(told.ends_on), told.duration_article) == (
        str(start),
        str(end),
        article,
    ), claim


def test_a_convention_is_told_by_its_opening() -> None:
    opened = facts.InstrumentOpened(
        nature="pacte", title="Pacte", force="promesse", under="cadre", succeeds="pacte-2017"
    )
    told = of(
        ("2026-01-01", opened),
        ("2026-02-01", facts.RenewalDecided(successor="pacte-2027")),
        ("2026-06-02", facts.RenewalDecided(successor="pacte-2028")),
    )
    assert (told.title, told.nature, told.force) == ("Pacte", "pacte", "promesse")
    assert (told.under, told.succeeds, told.renewed_by) == ("cadre", "pacte-2017", "pacte-2027")
    assert (told.stream, told.position, told.version, told.rules) == (
        CONVENTION,
        3,
        3,
        statement.RULES_VERSION,
    )
    unknown = of()
    assert (unknown.title, unknown.nature, unknown.force, unknown.position) == (CONVENTION, None, None, 0)
    assert (unknown.under, unknown.succeeds, unknown.renewed_by) == (None, None, None)


def test_a_statement_looks_at_the_streams_it_leans_on() -> None:
    wanted = Condition(of="partnership", requires="agrement", holder="mjc", words="agréée")
    life = entries(*SIGNED, clause(wanted, "3"))
    beside = {AGREMENT: entries(granted("2022-01-01", "2029-12-31"), stream=AGREMENT)}
    for others, standing in ((beside, "granted"), ({}, "none")):
        told = statement.of(life, stream=CONVENTION, on=date(2026, 6, 1), beside=others)
        assert isinstance(told, ConventionStatement)
        assert [one.standing for one in told.coverage] == [standing]
        assert statement.decode(statement.encode(told)) == told


def test_a_statement_has_what_each_of_its_parts_tells_of_the_day() -> None:
    wanted = Condition(of="partnership", requires="agrement", holder="mjc", words="agréée")
    owed = Obligation("bilan", "mjc", ("ville",), "bilan", "yearly", Due(words="chaque année"))
    pays = LumpSum("ville", "an", 1_00, 2026)
    life = (
        *SIGNED,
        *(clause(term, str(number)) for number, term in enumerate((wanted, owed, pays), 3)),
        avenant(1, "2026-03-01", facts.Prorogation(D("2030-12-31"))),
        resiliated("2026-05-01", "2026-09-01"),
    )
    told, on = of(*life), date(2026, 6, 1)
    state = given(*life)
    assert isinstance(state, convention.State)
    view = known.of(state, on)
    duties, covered, ways_out = obligations.of(view), coverage.of(view), exits.of(view)
    calendar, amended = schedule.of(view, duties), amendments.of(view)
    assert told.on == on
    assert (told.duties, told.coverage, told.exits) == (duties, covered, ways_out)
    assert (told.calendar, told.amendments) == (calendar, amended)
    assert told.findings == findings.of(view, calendar, duties, covered, ways_out, amended)
    assert all((duties.obligations, covered, calendar.instalments, amended, told.findings))


# -- the list


def test_the_list_needs_only_what_was_opened() -> None:
    assert statement.summary(given()).opened is None
    assert [statement.is_listed(name) for name in (CONVENTION, INSTITUTION, AGREMENT)] == [True, False, False]
    life = (*SIGNED, joined("agglo", "2026-05-01"), left("mjc", "2026-07-01"))
    summary = statement.summary(given(*life))
    assert statement.memberships(summary) == ("ville", "mjc", "agglo")
    for on, parties in (
        ("2026-04-30", ("ville", "mjc")),
        ("2026-05-01", ("ville", "mjc", "agglo")),
        ("2026-07-01", ("ville", "agglo")),
    ):
        assert statement.row(summary, on=date.fromisoformat(on)).parties == parties
    row = statement.row(summary, on=date(2026, 6, 1))
    assert (row.stream, row.title, row.nature) == (CONVENTION, "Convention fictive", "convention-cadre")
    assert (row.phase, str(row.ends_on), row.version, row.last_position) == ("en-vigueur", "2029-12-31", 8, 8)
    kept = statement.summary(given(*life, cancelled(8)))
    assert (kept.version, kept.last_position) == (9, 9)


def test_a_search_looks_in_title_nature_name_and_parties_without_capitals_and_accents() -> None:
    named = msgspec.structs.replace(OPENED[1], title="Convention de l’École du Bœuf ÎLE")
    summary = statement.summary(given(("2025-12-11", named), *OPEN[1:]))
    for text in ("ecole", "ÉCOLE", "île", "bœuf", "convention-cadre", "mjc-fictive", "ville", "mjc", ""):
        assert statement.says(summary, statement.searched(text)), text
    assert statement.says(summary, statement.searched("Île  MJC\nville"))
    for text in ("agglo", "convention/mjc", "ecole agglo", "agglo ecole"):
        assert not statement.says(summary, statement.searched(text)), text
    assert statement.searched(" Été  l’été ÉTÉ ") == ("ete", "l’ete")
    assert statement.words(summary).splitlines() == [
        "convention de l’ecole du bœuf ile", "convention-cadre", "mjc-fictive", "ville", "mjc",
    ]  # fmt: skip
    untold = statement.summary(given(*OPEN[1:]))
    assert statement.words(untold).splitlines() == [CONVENTION, "", "mjc-fictive", "ville", "mjc"]


@pytest.mark.parametrize("life", [one[1] for one in PHASES], ids=[one[0] for one in PHASES])
def test_the_list_follows_entry_by_entry_and_gives_up_where_one_cancels(life: tuple[Line, ...]) -> None:
    summary: statement.Summary | None = statement.Summary(CONVENTION)
    for entry in entries(*life):
        upto = statement.summary(statement.folded(CONVENTION, entries(*life)[: entry.envelope.version]))
        after = None if summary is None else statement.summary_after(summary, entry)
        if after is None:
            assert isinstance(entry.fact, facts.EntryCancelled | facts.EntryReplaced)
        else:
            assert after == upto
        summary = upto


def test_the_line_of_a_life_that_lost_an_entry_takes_the_whole_stream() -> None:
    *life, last = entries(*SIGNED, cancelled(4))
    assert statement.summary_after(statement.summary(statement.folded(CONVENTION, life)), last) is None


# -- parties and signatures


def party(told: ConventionStatement, who: str) -> PartyLine:
    return next(line for line in told.parties if line.institution == who)


def test_a_party_is_told_with_its_lines_signed_or_not() -> None:
    told = of(
        OPENED,
        listed("mjc", "president", "tresorier"),
        signed("mjc", "secretaire", "2026-02-01"),
        signed("mjc", "president", "2026-01-01"),
        signed("mjc", "adjoint", "2026-06-02"),
    )
    line = party(told, "mjc")
    assert (line.role, line.written_as, line.quorum, line.bound) == (
        "partenaire",
        "ci-après mjc",
        None,
        "yes",
    )
    assert [(one.key, one.capacity, str(one.signed_on), one.position) for one in line.signatories] == [
        ("president", "capacité president", "2026-01-01", 4),
        ("tresorier", "capacité tresorier", "None", None),
        ("secretaire", "secretaire", "2026-02-01", 3),
    ]
    assert [one.basis for one in line.signatories] == [BASIS, None, BASIS]
    assert not any(one.contested for one in line.signatories)


def contested(party: str, key: str, on: str, avenant: str | None = None) -> Line:
    return on, facts.SignatureContested(
        party=party, signatory=key, by="ville", reason="sans mandat", avenant=avenant
    )


@pytest.mark.parametrize(
    "contestation, marked",
    [
        (contested("mjc", "president", "2026-06-01"), True),
        (contested("mjc", "president", "XXXX"), True),
        (contested("mjc", "president", "2026-06-02"), False),
        (contested("mjc", "president", "2026-06-01", "1"), False),
        (contested("ville", "maire", "2026-06-01"), False),
    ],
    ids=["on the day", "undated", "later", "on an avenant", "another's"],
)
def test_a_contested_signature_is_marked_and_no_other(contestation: Line, marked: bool) -> None:
    told = of(*SIGNED, signed("mjc", "president", "2026-03-01", 1), contestation)
    assert [one.contested for one in party(told, "mjc").signatories] == [marked]


@pytest.mark.parametrize(
    "on, since, until, is_party",
    [
        ("2026-03-31", ("None", "2026-04-01"), ("None", "None"), ("yes", "no")),
        ("2026-04-01", ("None", "2026-04-01"), ("None", "None"), ("yes", "yes")),
        ("2026-09-01", ("None", "2026-04-01"), ("2026-09-01", "None"), ("no", "yes")),
        ("2027-06-01", ("None", "2026-04-01"), ("2026-09-01", "2027"), ("no", "undetermined")),
        ("2028-01-01", ("None", "2026-04-01"), ("2026-09-01", "2027"), ("no", "no")),
    ],
)
def test_who_is_a_party_on_a_day(
    on: str, since: tuple[str, str], until: tuple[str, str], is_party: tuple[str, str]
) -> None:
    life = (OPENED, MJC, joined("agglo", "2026-04-01"), left("mjc", "2026-09-01"), left("agglo", "2027"))
    told = of(*life, on=on)
    assert [line.institution for line in told.parties] == ["mjc", "agglo"]
    assert tuple(str(line.since) for line in told.parties) == since
    assert tuple(str(line.until) for line in told.parties) == until
    assert tuple(line.is_party for line in told.parties) == is_party


def test_who_comes_back_is_told_twice() -> None:
    life = (OPENED, MJC, left("mjc", "2026-03-01"), joined("mjc", "2026-05-01"), left("mjc", "2026-08-01"))
    lines = of(*life).parties
    assert [(str(one.since), str(one.until), one.is_party) for one in lines] == [
        ("None", "2026-03-01", "no"),
        ("2026-05-01", "None", "yes"),
    ]
    assert [str(one.until) for one in of(*life, on="2026-08-01").parties] == ["2026-03-01", "2026-08-01"]


def test_whom_an_avenant_lets_in_is_a_party_once_all_it_binds_have_signed() -> None:
    bound = ("ville", "mjc", "agglo")
    admitted = avenant(1, "2026-03-01", facts.Admission("agglo", "financeur"), binds=bound)
    assert party(of(*SIGNED, admitted, on="2026-03-01"), "agglo").is_party == "yes", "nobody is told to sign"
    life = (
        *SIGNED,
        admitted,
        signed("ville", "maire", "2026-02-10", 1),
        signed("agglo", "vice", "2026-02-12", 1),
    )
    half = of(*life, on="2026-06-01")
    assert (party(half, "agglo").is_party, half.phase) == ("undetermined", "en-vigueur")
    assert statement.row(statement.summary(given(*life)), on=date(2026, 6, 1)).parties == bound
    assert party(of(*life, on="2026-02-28"), "agglo").is_party == "no", "its day has not come"
    whole = of(*life, signed("mjc", "president", "2026-06-15", 1), on="2026-06-15")
    assert party(whole, "agglo").is_party == "yes"
    unsigned = (signed("ville", "maire", "2026-02-10", 1), signed("mjc", "president", "2026-02-11", 1))
    newcomer = party(of(*SIGNED, admitted, *unsigned, on="2026-06-01"), "agglo")
    assert (newcomer.is_party, newcomer.bound) == ("yes", "no"), "let in by the others, and not bound yet"


def test_a_party_with_a_quorum_has_signed_an_avenant_once_enough_persons_have() -> None:
    life = (
        *OPEN,
        listed("agglo", "presidente", "vice", quorum=2),
        avenant(1, "2026-03-01", binds=("ville", "agglo")),
    )
    signatures = (signed("ville", "maire", "2026-02-10", 1), signed("agglo", "vice", "2026-02-12", 1))
    [line] = of(*life, *signatures).avenants
    assert (line.signed_by, line.not_signed_by) == (("ville",), ("agglo",))
    [line] = of(*life, *signatures, signed("agglo", "presidente", "2026-02-20", 1)).avenants
    assert (line.signed_by, line.not_signed_by) == (("ville", "agglo"), ())


def test_who_joined_and_is_listed_too_is_one_party_of_whom_both_are_known() -> None:
    life = (
        *SIGNED,
        avenant(1, "2026-03-01", facts.Admission("agglo", "financeur"), binds=("ville", "mjc", "agglo")),
        listed("agglo", "presidente", "vice", quorum=2),
        signed("agglo", "presidente", "2026-02-01", 1),
        signed("agglo", "vice", "2026-02-02"),
        signed("ville", "maire", "2026-02-03", 1),
        signed("mjc", "president", "2026-02-03", 1),
        deliberated("2026-01-15", who="agglo", avenant="1"),
    )
    told = of(*life)
    assert [one.institution for one in told.parties] == ["ville", "mjc", "agglo"]
    line = party(told, "agglo")
    assert (line.role, str(line.since), line.until, line.is_party) == ("financeur", "2026-03-01", None, "yes")
    assert (line.quorum, line.written_as, line.deliberated) == (2, "ci-après agglo", "yes")
    assert [(one.key, one.capacity, str(one.signed_on)) for one in line.signatories] == [
        ("presidente", "capacité presidente", "2026-02-01"),
        ("vice", "capacité vice", "2026-02-02"),
    ]
    assert line.bound == "yes"
    assert party(of(*life, on="2026-02-01"), "agglo").bound == "no", "one of two has signed"
    assert party(of(*life, on="2026-02-28"), "agglo").is_party == "no", "it was none before it joined"
    assert told.phase == "en-vigueur"
    assert of(*life, on="2026-01-31").phase == "en-vigueur", "a newcomer's signature is not awaited"


@pytest.mark.parametrize(
    "coming, since",
    [
        ((joined("agglo", "2026-05-01"), joined("agglo", "2026-04-01")), "2026-04-01"),
        ((joined("agglo", "XXXX"), joined("agglo", "2026-04-01")), "2026-04-01"),
        ((joined("agglo", "2026"), listed("agglo")), "2026"),
        ((joined("agglo", "XXXX"), listed("agglo")), "None"),
        ((joined("agglo", "XXXX"),), "XXXX"),
    ],
    ids=["joined twice", "joined undated too", "joined in a year", "joined undated, and listed", "undated"],
)
def test_a_party_is_one_since_the_first_day_that_is_told(coming: tuple[Line, ...], since: str) -> None:
    for order in itertools.permutations(coming):
        [line] = of(OPENED, *order).parties
        assert str(line.since) == since


def test_who_joined_twice_has_the_role_it_first_had() -> None:
    first: Line = ("2026-04-01", facts.PartyJoined(institution="agglo", role="beneficiaire"))
    then: Line = ("2026-05-01", facts.PartyJoined(institution="agglo", role="financeur"))
    for order in ((first, then), (then, first)):
        assert [line.role for line in of(OPENED, *order).parties] == ["beneficiaire"]


def test_who_joins_by_an_avenant_is_bound_by_signing_it() -> None:
    life = (*SIGNED, joined("agglo", "2026-03-01", "1"), avenant(1, "2026-03-01", binds=("ville", "agglo")))
    assert party(of(*life), "agglo").bound == "no"
    assert party(of(*life, signed("agglo", "presidente", "2026-02-01", 1)), "agglo").bound == "yes"


def test_who_signs_two_papers_is_one_signatory() -> None:
    told = of(
        OPENED,
        joined("agglo", "2026-03-01", "1"),
        listed("agglo", quorum=2),
        signed("agglo", "presidente", "2026-02-01", 1),
        signed("agglo", "presidente", "2026-01-01"),
    )
    [line] = told.parties
    assert [(one.key, str(one.signed_on)) for one in line.signatories] == [("presidente", "2026-01-01")]
    assert line.bound == "no", "two persons are needed"


def test_parties_stand_in_the_order_of_their_dates() -> None:
    told = of(
        OPENED, joined("agglo", "2026-05-01"), joined("caf", "2026-04-01"), listed("mjc"), on="2027-01-01"
    )
    assert [line.institution for line in told.parties] == ["mjc", "caf", "agglo"]


@pytest.mark.parametrize(
    "decision, deliberated_",
    [
        (deliberated("2026-06-01", who="mjc"), "yes"),
        (deliberated("2026-06-02", who="mjc"), "no"),
        (deliberated("XXXX", who="mjc"), "undetermined"),
        (deliberated("2026-06-01", who="ville"), "no"),
        (deliberated("2026-06-01", "rejected", who="mjc"), "no"),
        (deliberated("2026-06-01", avenant="1", who="mjc"), "no"),
    ],
    ids=["on the day", "later", "undated", "another's", "rejected", "on an avenant"],
)
def test_a_party_has_deliberated_when_its_own_assembly_adopted_the_instrument(
    decision: Line, deliberated_: str
) -> None:
    told = of(*OPEN, decision)
    assert party(told, "mjc").deliberated == deliberated_


def test_a_newcomer_is_bound_by_what_it_signs_and_deliberated_on() -> None:
    admitted = avenant(
        1, "2026-03-01", facts.Admission("agglo", "financeur"), binds=("ville", "mjc", "agglo")
    )
    life = (*SIGNED, admitted)
    line = party(of(*life), "agglo")
    assert (line.role, str(line.since), line.bound, line.deliberated) == (
        "financeur",
        "2026-03-01",
        "no",
        "no",
    )
    line = party(
        of(*life, signed("agglo", "p", "2026-02-01"), deliberated("2026-02-01", who="agglo")), "agglo"
    )
    assert (line.bound, line.deliberated) == ("no", "yes"), "it signed the instrument, and not what admits it"
    line = party(
        of(*life, signed("agglo", "p", "2026-02-01", 1), deliberated("2026-02-01", who="agglo", avenant="1")),
        "agglo",
    )
    assert (line.bound, line.deliberated) == ("yes", "yes")
    assert [one.key for one in line.signatories] == ["p"]


# -- avenants and clauses


def test_an_avenant_says_whom_it_binds_and_who_of_them_signed() -> None:
    changes = (facts.Prorogation(D("2030")), facts.Withdrawal("mjc"))
    told = of(
        *SIGNED,
        avenant(2, "2026-05-01", *changes, binds=("mjc", "ville")),
        avenant(1, "2026-05-02", changes[0]),
        avenant(3, "2026-06-02", changes[0]),
        avenant(4, "XXXX", changes[0]),
        signed("ville", "maire", "2026-06-02", 2),
        signed("mjc", "president", "2026-06-01", 2),
        signed("ville", "maire", "XXXX", 1),
    )
    assert [
        (one.number, one.come, one.signed_by, one.not_signed_by, one.position) for one in told.avenants
    ] == [
        ("2", "yes", ("mjc",), ("ville",), 7),
        ("1", "yes", ("ville",), ("mjc",), 8),
        ("3", "no", (), ("ville", "mjc"), 9),
        ("4", "undetermined", (), ("ville", "mjc"), 10),
    ]
    first = told.avenants[0]
    assert (first.binds, first.changes, first.rationale) == (("mjc", "ville"), changes, "pour l'essai")
    assert str(first.effective_on) == "2026-05-01"


def clauses(*lines: Line, on: str = "2026-06-01") -> list[tuple[str, str, str, str]]:
    return [(one.article, one.about, one.avenant, one.come) for one in of(OPENED, *lines, on=on).clauses]


def changed(number: int, on: str, article: str, about: str = "autrement") -> Line:
    return avenant(number, on, facts.ClauseChanged(article, about), binds=("ville",))


def test_clauses_read_as_the_instrument_says_until_an_avenant_comes() -> None:
    stated = (
        clause(None, "5", about="argent"),
        clause(None, "5", about="calendrier"),
        clause(None, "6", about="bilan"),
    )
    text = [("5", "argent", "", "yes"), ("5", "calendrier", "", "yes"), ("6", "bilan", "", "yes")]
    assert clauses(*stated) == text
    assert clauses(*stated, changed(1, "2026-06-02", "5")) == text
    assert clauses(*stated, changed(1, "2026-06-01", "5")) == [("5", "autrement", "1", "yes"), text[2]]
    assert clauses(*stated, changed(1, "XXXX", "6")) == [*text[:2], ("6", "autrement", "1", "undetermined")]
    # The order of the dates counts, not that of arrival.
    assert clauses(*stated, changed(2, "2026-05-01", "5", "la suite"), changed(1, "2026-04-01", "5")) == [
        ("5", "la suite", "2", "yes"),
        text[2],
    ]
    two_rules = avenant(
        1, "2026-04-01", facts.ClauseChanged("5", "ceci"), facts.ClauseChanged("5", "cela"), binds=("ville",)
    )
    assert clauses(*stated, two_rules) == [("5", "ceci", "1", "yes"), ("5", "cela", "1", "yes"), text[2]]
    line = of(OPENED, clause(NoPeriod(), on="2026-01-01")).clauses[0]
    assert (line.term, str(line.effective_on), line.position) == (NoPeriod(), "2026-01-01", 2)


def test_the_text_of_the_instrument_comes_before_every_avenant_dated_or_not() -> None:
    assert clauses(clause(None, "5", "XXXX", "argent"), changed(1, "2026-04-01", "5", "argent")) == [
        ("5", "argent", "1", "yes")
    ]
    assert clauses(clause(None, "5", "XXXX", "argent")) == [("5", "argent", "", "yes")]
    assert clauses(clause(None, "5", "2027", "argent")) == []


def test_clauses_stand_in_the_order_of_the_paper() -> None:
    order = [
        "1",
        "article 2",
        "3",
        "3, al. 1",
        "3, al. 2",
        "3, al. 10",
        "3.1",
        "3.2",
        "3.10",
        "10",
        "annexe",
        "préambule",
    ]
    shuffled = (clause(None, article, about=f"{article}") for article in order[::-1])
    assert [one[0] for one in clauses(*shuffled)] == order
    # Of one article, as it was read in, whatever its rules are dated.
    for on in ("2025-12-11", "2025-12-10"):
        two = (clause(None, "5", about="b"), clause(None, "5", on, about="a"))
        assert [one[1] for one in clauses(*two)] == ["b", "a"]


# -- money


def on_day(fact: facts.Event, on: str = "2026-03-20") -> Line:
    return on, fact


WHO: dict[str, Any] = {"payer": "ville", "beneficiary": "mjc", "exercice": 2026}
CENTS: dict[str, Any] = {**WHO, "amount_cents": 100}
MONEY: dict[str, facts.Event] = {
    "requested_cents": facts.SubsidyRequested(**CENTS),
    "pledged_cents": facts.SubsidyPledged(
        payer="ville", to="les MJC", beneficiary="mjc", exercice=2026, amount_cents=100
    ),
    "voted_cents": facts.SubsidyVoted(**CENTS),
    "committed_cents": facts.FundsCommitted(number="1", **CENTS),
    "ordered_cents": facts.PaymentOrdered(number="1", **CENTS),
    "paid_cents": facts.PaymentMade(key="p-1", **CENTS),
    "overpaid_cents": facts.OverpaymentFound(ground="undue", **CENTS),
    "recovery_ordered_cents": facts.RecoveryOrdered(number="1", ground="undue", **CENTS),
    "returned_cents": facts.RestitutionReceived(**CENTS),
    "in_kind_cents": facts.AidInKindValued(
        giver="ville", beneficiary="mjc", exercice=2026, what="locaux", value_cents=100
    ),
}


def line(**columns: Any) -> MoneyLine:
    return MoneyLine("ville", "mjc", 2026, **columns)


@pytest.mark.parametrize("column", MONEY)
def test_each_kind_of_money_has_a_column_of_its_own(column: str) -> None:
    entered = on_day(MONEY[column])
    assert of(*SIGNED, entered).money == (line(**{column: 100}),)
    assert of(*SIGNED, entered, on="2026-03-19").money == (), "what is to come is not there"
    undated = on_day(MONEY[column], "XXXX")
    assert of(*SIGNED, undated).money == (line(undetermined=1),)
    twice = of(*SIGNED, entered, on_day(MONEY[column], "2026-04"))
    sums = 100 if column in ("requested_cents", "voted_cents") else 200
    assert twice.money == (line(**{column: sums}),)


def rejected(on: str) -> Line:
    return on, facts.PaymentRejected(payer="ville", payment="p-1", reason="RIB")


@pytest.mark.parametrize(
    "claim, lines, columns",
    [
        (
            "a vote set to another amount",
            (
                voted(100),
                on_day(facts.SubsidyChanged(reason="gel", **{**WHO, "amount_cents": 70}), "2026-04"),
            ),
            {"voted_cents": 70},
        ),
        (
            "a change that arrived first",
            (
                on_day(facts.SubsidyChanged(reason="gel", **{**WHO, "amount_cents": 70}), "2026-04"),
                voted(100),
            ),
            {"voted_cents": 70},
        ),
        (
            "an avenant that sets it",
            (voted(100), avenant(1, "2026-04", facts.SubsidySet(**{**WHO, "amount_cents": 60}))),
            {"voted_cents": 60},
        ),
        (
            "an avenant that one of two has signed",
            (
                voted(100),
                avenant(1, "2026-04-01", facts.SubsidySet(**{**WHO, "amount_cents": 60})),
                signed("ville", "maire", "2026-04-02", 1),
            ),
            {"voted_cents": 100},
        ),
        (
            "an avenant that both have signed",
            (
                voted(100),
                avenant(1, "2026-04-01", facts.SubsidySet(**{**WHO, "amount_cents": 60})),
                signed("ville", "maire", "2026-04-02", 1),
                signed("mjc", "president", "2026-04-03", 1),
            ),
            {"voted_cents": 60},
        ),
        (
            "an avenant undated",
            (
                voted(100),
                avenant(
                    1,
                    "XXXX",
                    facts.SubsidySet(**{**WHO, "amount_cents": 60}),
                    facts.SubsidySet(**{**WHO, "amount_cents": 50}),
                ),
            ),
            {"voted_cents": 100, "undetermined": 1},
        ),
        (
            "an avenant to come",
            (voted(100), avenant(1, "2026-06-02", facts.SubsidySet(**{**WHO, "amount_cents": 60}))),
            {"voted_cents": 100},
        ),
        ("a request left open", (on_day(facts.SubsidyRequested(**WHO)),), {"requested_cents": 0}),
        (
            "a refusal",
            (on_day(facts.SubsidyRequested(**CENTS)), on_day(facts.SubsidyRefused(reason="budget", **WHO))),
            {"requested_cents": 100, "refused": True},
        ),
        (
            "a payment rejected",
            (paid("p-1", 100, "2026-03-01"), paid("p-2", 30, "2026-03-01"), rejected("2026-06-01")),
            {"paid_cents": 30, "rejected_cents": 100},
        ),
        (
            "a rejection to come",
            (paid("p-1", 100, "2026-03-01"), rejected("2026-06-02")),
            {"paid_cents": 100},
        ),
        (
            "a rejection undated",
            (paid("p-1", 100, "2026-03-01"), rejected("XXXX")),
            {"paid_cents": 100, "undetermined": 1},
        ),
        (
            "a rejection of a payment undated",
            (paid("p-1", 100, "XXXX"), rejected("2026-06-01")),
            {"rejected_cents": 100, "undetermined": 1},
        ),
        (
            "a rejection that arrived dated first",
            (paid("p-1", 100, "2026-05-01"), rejected("2026-04-01")),
            {"paid_cents": 0, "rejected_cents": 100},
        ),
        (
            "an advance set off",
            (
                paid("p-1", 100, "2026-03-01"),
                on_day(facts.AdvanceSetOff(payer="ville", payment="p-1", exercice=2026, amount_cents=40)),
            ),
            {"paid_cents": 100, "set_off_cents": 40},
        ),
        (
            "a payment that was a mistake of the hand",
            (
                paid("p-1", 100, "2026-03-01"),
                rejected("2026-04-01"),
                paid("p-2", 1, "2026-03-01"),
                cancelled(7),
            ),
            {"paid_cents": 1},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "-",
)
def test_what_becomes_of_an_amount(claim: str, lines: tuple[Line, ...], columns: dict[str, Any]) -> None:
    assert of(*SIGNED, *lines).money == (line(**columns),), claim


def test_purposes_add_up_within_one_account_and_one_column() -> None:
    project: dict[str, Any] = {"beneficiary": "mjc", "amount_cents": 7, "purpose": "projet"}
    [agglo_2026, ville_2026, ville_2027] = of(
        *SIGNED,
        joined("agglo", "2026-01-02"),
        voted(100),
        ("2026-03-21", facts.SubsidyVoted(payer="agglo", exercice=2026, **project)),
        ("2026-03-21", facts.SubsidyVoted(payer="ville", exercice=2027, **project)),
        ("2026-03-22", facts.SubsidyRequested(payer="ville", exercice=2026, **project)),
    ).money
    assert (agglo_2026.payer, agglo_2026.voted_cents) == ("agglo", 7)
    assert (ville_2026.voted_cents, ville_2026.requested_cents, ville_2027.voted_cents) == (100, 7, 7)


def test_money_stands_by_exercice_then_payer_then_beneficiary() -> None:
    told = of(
        OPENED,
        VILLE,
        MJC,
        listed("agglo"),
        voted(1, 2027),
        voted(2, 2026),
        paid("a", 3, "2026-03-01", 2026),
        paid("b", 4, "2026-03-01", 2028),
        on_day(facts.SubsidyPledged(payer="agglo", to="les MJC", exercice=2027, amount_cents=5)),
        on_day(facts.SubsidyVoted(payer="ville", beneficiary="agglo", exercice=2027, amount_cents=6)),
    )
    assert [(one.exercice, one.payer, one.beneficiary) for one in told.money] == [
        (2026, "ville", "mjc"),
        (2027, "agglo", "les MJC"),
        (2027, "ville", "agglo"),
        (2027, "ville", "mjc"),
        (2028, "ville", "mjc"),
    ]
    assert (told.money[0].voted_cents, told.money[0].paid_cents) == (2, 3)


def test_an_advance_is_set_off_against_the_exercice_that_takes_it() -> None:
    off = facts.AdvanceSetOff(payer="ville", payment="p-1", exercice=2027, amount_cents=40)
    told = of(*SIGNED, paid("p-1", 100, "2026-03-01"), on_day(off))
    assert told.money == (
        MoneyLine("ville", "mjc", 2026, paid_cents=100),
        MoneyLine("ville", "mjc", 2027, set_off_cents=40),
    )


# -- what is open


def test_what_is_open_is_open_until_it_is_closed() -> None:
    def suspended(key: str, on: str) -> Line:
        return on, facts.PaymentsSuspended(key=key, by="ville", decided_by="la Maire", reason="bilan")

    def lifted(key: str, on: str) -> Line:
        return on, facts.SuspensionLifted(key=key, by="ville", decided_by="la Maire", reason="reçu")

    def noticed(key: str, on: str) -> Line:
        return on, facts.NoticeSent(
            key=key, by="ville", to="mjc", article="9", grievance="bilan", form="LRAR"
        )

    told = of(
        *SIGNED,
        suspended("a", "2026-05-01"),
        suspended("b", "2026-05-02"),
        suspended("c", "2026-06-02"),
        suspended("d", "2026-04-01"),
        suspended("e", "XXXX"),
        lifted("b", "2026-06-01"),
        lifted("a", "2026-06-02"),
        noticed("n", "2026-05-01"),
        noticed("o", "2026-05-01"),
        noticed("p", "2026-05-01"),
        noticed("q", "2026-05-01"),
        ("2026-06-01", facts.NoticeSatisfied(key="o", by="ville")),
        ("2026-06-01", facts.NoticeUnheeded(key="p", by="ville")),
        ("2026-06-02", facts.NoticeSatisfied(key="q", by="ville")),
    )
    assert told.payments_suspended == ("d", "a")
    assert told.notices_pending == ("n", "q")


# -- what any stream has

SOURCE = facts.Source(document="convention")


def found(key: str, on: str = "2026-01-01", severity: Any = "notable") -> Line:
    return on, facts.ContradictionFound(
        key=key,
        about=f"à propos de {key}",
        claims=(facts.Claim(says="trois ans", source=SOURCE),),
        severity=severity,
    )


def settled(key: str, retained: str, on: str) -> Line:
    return on, facts.ContradictionSettled(
        key=key, retained=retained, reason="l'original fait foi", by="ville"
    )


def test_contradictions_are_told_and_the_last_settlement_with_them() -> None:
    told = of(
        *SIGNED,
        found("b", "2026-02-01", "serious"),
        found("a"),
        settled("b", "quatre ans", "2026-05-01"),
        settled("b", "trois ans", "2026-04-01"),
    )
    assert [(one.key, one.about, one.severity, one.position) for one in told.contradictions] == [
        ("a", "à propos de a", "notable", 8),
        ("b", "à propos de b", "serious", 7),
    ]
    second, first = told.contradictions
    assert (first.retained, first.settled_by, first.reason) == ("quatre ans", "ville", "l'original fait foi")
    assert (second.retained, second.settled_by, second.reason) == (None, None, None)
    assert first.claims == (facts.Claim(says="trois ans", source=SOURCE),)
    assert of(*SIGNED, found("a"), settled("a", "x", "2026-02-01"), cancelled(7)).contradictions == ()


@pytest.mark.parametrize(
    "on, retained",
    [
        ("2025-12-31", {"undated": "un mois"}),
        ("2026-01-01", {"undated": "un mois", "a": None}),
        ("2026-03-31", {"undated": "un mois", "a": None}),
        ("2026-04-01", {"undated": "un mois", "a": "trois ans"}),
        ("2026-05-01", {"undated": "un mois", "a": "quatre ans"}),
    ],
)
def test_a_contradiction_is_of_the_day_and_so_is_what_is_retained(
    on: str, retained: dict[str, str | None]
) -> None:
    life = (
        found("a"),
        settled("a", "quatre ans", "2026-05-01"),
        settled("a", "trois ans", "2026-04-01"),
        found("undated", "XXXX"),
        settled("undated", "un mois", "XXXX"),
    )
    statements = (of(*OPEN, *life, on=on), agrement(*life, on=on), institution(*life, on=on))
    assert [{one.key: one.retained for one in told.contradictions} for told in statements] == [retained] * 3


def piece(digit: str, what: str = "bilan") -> facts.Piece:
    return facts.Piece(digest=digit * 64, media_type="application/pdf", size_bytes=1, what=what)


def announced(on: str) -> Line:
    return on, facts.PieceAnnounced(key="bilan", what="le bilan")


def missing(on: str) -> Line:
    return on, facts.PieceMissing(key="bilan", what="le bilan introuvable")


def filed(on: str, key: str | None = "bilan") -> Line:
    return on, facts.PieceFiled(piece=piece("a"), key=key)


def destroyed(on: str, digit: str = "a") -> Line:
    return on, facts.PieceDestroyed(digest=digit * 64, reason="dix ans")


@pytest.mark.parametrize(
    "on, states",
    [
        ("2025-12-31", {"vieux bilan": "jointe"}),
        ("2026-01-01", {"vieux bilan": "jointe", "le bilan": "annoncee"}),
        ("2026-02-01", {"vieux bilan": "jointe", "le bilan introuvable": "manquante"}),
        ("2026-03-01", {"vieux bilan": "jointe", "bilan": "jointe"}),
        ("2026-04-01", {"vieux bilan": "jointe", "bilan": "jointe", "annexe": "jointe"}),
        ("2026-05-01", {"vieux bilan": "jointe", "bilan": "detruite", "annexe": "jointe"}),
    ],
)
def test_a_paper_is_in_the_state_it_was_in_on_the_day(on: str, states: dict[str, str]) -> None:
    life = (
        destroyed("2026-05-01"),
        filed("2026-03-01"),
        missing("2026-02-01"),
        announced("2026-01-01"),
        ("2026-04-01", facts.PieceFiled(piece=piece("c", "un plan"), pieces=(piece("b", "annexe"),))),
        ("XXXX", facts.PieceFiled(piece=piece("d", "vieux bilan"))),
    )
    states = states if on < "2026-04-01" else {**states, "un plan": "jointe"}
    statements = (of(*OPEN, *life, on=on), agrement(*life, on=on), institution(*life, on=on))
    for told in statements:
        assert {one.what: one.state for one in told.papers} == states


@pytest.mark.parametrize(
    "claim, lines, papers",
    [
        ("announced", (announced("2026-01-01"),), [("le bilan", "annoncee", 7, None)]),
        (
            "announced, then missing",
            (missing("2026-02-01"), announced("2026-01-01")),
            [("le bilan introuvable", "manquante", 7, None)],
        ),
        (
            "missing, then filed",
            (filed("2026-03-01"), missing("2026-02-01")),
            [("bilan", "jointe", 7, "a" * 64)],
        ),
        (
            "filed, then announced",
            (filed("2026-01-01"), announced("2026-02-01")),
            [("bilan", "jointe", 7, "a" * 64)],
        ),
        (
            "filed, then lost",
            (filed("2026-01-01"), missing("2026-02-01")),
            [("le bilan introuvable", "manquante", 8, None)],
        ),
        (
            "filed under no key",
            (filed("2026-01-01", None), announced("2026-02-01")),
            [("bilan", "jointe", 7, "a" * 64), ("le bilan", "annoncee", 8, None)],
        ),
        (
            "filed, then destroyed",
            (filed("2026-01-01"), destroyed("2026-05-01")),
            [("bilan", "detruite", 8, "a" * 64)],
        ),
        (
            "another destroyed",
            (filed("2026-01-01"), destroyed("2026-05-01", "b")),
            [("bilan", "jointe", 7, "a" * 64)],
        ),
        (
            "joined to another fact",
            (
                (
                    "2026-01-01",
                    facts.AnnexAttached(name="annexe 1", pieces=(piece("c", "annexe"), piece("d", "plan"))),
                ),
            ),
            [("annexe", "jointe", 7, "c" * 64), ("plan", "jointe", 7, "d" * 64)],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "-",
)
def test_a_paper_is_jointe_annoncee_manquante_or_detruite(
    claim: str, lines: tuple[Line, ...], papers: list[tuple[Any, ...]]
) -> None:
    assert of(*SIGNED, *lines).papers == tuple(PaperLine(*one) for one in papers), claim


def answered(entry: int, by: str, kind: Any = facts.FactConfirmed, **other: Any) -> Line:
    return "2026-05-02", kind(entry=entry, by=by, **other), None


def test_whose_word_is_awaited_and_what_they_said() -> None:
    paid_, other = paid("p-1", 1, "2026-05-01"), paid("p-2", 1, "2026-05-01")
    contest: Any = {"kind": facts.FactContested, "reason": "non reçu"}
    told = of(
        *SIGNED,
        paid_,
        other,
        answered(7, "mjc"),
        answered(7, "ville", **contest),
        answered(8, "mjc", **contest),
        answered(8, "mjc"),
    )
    words = {one.position: (one.awaiting, one.confirmed_by, one.contested_by) for one in told.journal}
    assert words[7] == ((), ("mjc",), ("ville",))
    assert words[8] == (("ville",), ("mjc",), ()), "the last word stands"
    assert words[1] == ((), (), ()), "nobody else answers for an opening"
    assert words[5] == (("ville",), (), ())
    assert given(*SIGNED, paid_).book.awaiting(7) == ("ville", "mjc"), "nobody has said anything of it"
    own = statement.of(entries(*OPEN, paid_, actor="ville"), stream=CONVENTION, on=date(2026, 6, 1))
    assert own.journal[-1].awaiting == ("mjc",), "the payer recorded it: the payee confirms"
    payees = statement.of(entries(*OPEN, paid_, actor="mjc"), stream=CONVENTION, on=date(2026, 6, 1))
    assert payees.journal[-1].awaiting == ("ville",), "who recorded it has said its word"


def test_the_journal_tells_every_fact_with_its_two_dates_and_who_recorded_it() -> None:
    told = of(
        *SIGNED,
        paid("p-1", 1, "2026-05-01"),
        voted(1, on="2026-06-02"),
        voted(1, 2027, on="XXXX"),
        voted(1, 2028, on="2026-06"),
    )
    assert [one.position for one in told.journal] == [1, 2, 3, 4, 5, 6, 7, 10, 8, 9]
    assert [one.come for one in told.journal[-4:]] == ["yes", "undetermined", "no", "undetermined"]
    line = told.journal[6]
    assert (line.type, line.section, str(line.effective_on)) == (
        "convention.payment-made.v1",
        "argent",
        "2026-05-01",
    )
    assert (line.actor, line.on_behalf_of, line.cancelled_by) == (CLERK, "ville", None)
    assert line.recorded_at == START + timedelta(seconds=7)
    assert (
        bytes(line.fact)
        == b'{"amount_cents":1,"beneficiary":"mjc","exercice":2026,"key":"p-1","payer":"ville"}'
    )


def test_a_cancelled_entry_is_gone_from_the_statement_and_seen_among_the_cancelled() -> None:
    life = (*SIGNED, paid("p-1", 100, "2026-04-01"), paid("p-2", 1, "2026-03-01"))
    before, after = (
        of(*life),
        of(
            *life,
            cancelled(7),
            ("2026-05-02", facts.EntryReplaced(entry=8, reason="montant")),
            paid("p-2", 2, "2026-03-01"),
        ),
    )
    assert [one.paid_cents for one in before.money] == [101]
    assert before.cancelled == ()
    assert [one.paid_cents for one in after.money] == [2]
    assert [(one.position, one.cancelled_by) for one in after.cancelled] == [(7, 9), (8, 10)]
    assert [one.position for one in after.journal] == [1, 2, 3, 4, 5, 6, 11, 9, 10]
    # As known before: the same entries without what came later.
    assert of(*life) == before


def test_what_a_fact_brought_goes_with_it_when_it_was_a_mistake() -> None:
    avenant_ = avenant(
        1, "2026-03-01", facts.Prorogation(D("2035")), facts.Admission("agglo"), facts.Withdrawal("mjc")
    )
    assert of(*SIGNED, avenant_, cancelled(7), on="2026-06-01").parties == of(*SIGNED).parties
    told = of(*SIGNED, avenant_, cancelled(7))
    assert (str(told.ends_on), told.avenants, told.version, told.position) == ("2029-12-31", (), 8, 8)
    again = of(*SIGNED, avenant_, cancelled(7), avenant_)
    assert (str(again.ends_on), [one.position for one in again.avenants]) == ("2035", [9])


# -- agréments


def granted(start: str, end: str, kind: Any = facts.AgrementGranted, on: str = "2021-12-01") -> Line:
    return on, kind(services=("AGC",), granted_by="caf", starts_on=D(start), ends_on=D(end), reference="CA")


GRANT = granted("2022-01-01", "2025-12-31")
RENEWAL = granted("2026-01-01", "2029-12-31", facts.AgrementRenewed, on="2025-12-12")
ANEW = granted("2024-01-01", "2025-12-31", on="2023-12-01")
REQUEST: Line = ("2021-09-01", facts.AgrementRequested(services=("AGC",), to="caf"))


def stopped(on: str) -> Line:
    return on, facts.AgrementSuspended(by="caf", reason="contrôle")


def lifted(on: str) -> Line:
    return on, facts.AgrementSuspensionLifted(by="caf", reason="régularisé")


def withdrawn(on: str) -> Line:
    return on, facts.AgrementWithdrawn(by="caf", reason="contrôle")


STANDINGS: list[tuple[str, tuple[Line, ...], str, str]] = [
    ("nothing is recorded", (), "2022-06-01", "none"),
    ("the day before it is asked", (REQUEST,), "2021-08-31", "none"),
    ("the day it is asked", (REQUEST,), "2021-09-01", "requested"),
    ("asked on a day left blank", (("XXXX", REQUEST[1]),), "2021-09-01", "undetermined"),
    ("the day before the first", (REQUEST, GRANT), "2021-12-31", "requested"),
    ("the day before the first, unasked", (GRANT,), "2021-12-31", "none"),
    ("the first day", (REQUEST, GRANT), "2022-01-01", "granted"),
    ("the last day", (GRANT,), "2025-12-31", "granted"),
    ("the day after the last", (GRANT,), "2026-01-01", "lapsed"),
    ("renewed", (GRANT, RENEWAL), "2026-01-01", "granted"),
    ("renewed, the renewal arriving first", (RENEWAL, GRANT), "2025-12-31", "granted"),
    (
        "a gap before the renewal",
        (GRANT, granted("2027-01-01", "2029-12-31", facts.AgrementRenewed)),
        "2026-06-01",
        "lapsed",
    ),
    ("a start known to the year", (granted("2022", "2025-12-31"),), "2022-06-01", "undetermined"),
    ("an end known to the year", (granted("2022-01-01", "2025"),), "2025-06-01", "undetermined"),
    ("an end known to the year, after it", (granted("2022-01-01", "2025"),), "2026-01-01", "lapsed"),
    ("an end left blank", (granted("2022-01-01", "XXXX"),), "2024-06-01", "undetermined"),
    (
        "an end left blank, and noted lapsed",
        (granted("2022-01-01", "XXXX"), ("2024-06-01", facts.AgrementLapsed())),
        "2024-06-01",
        "lapsed",
    ),
    (
        "noted lapsed on the last day",
        (GRANT, ("2025-12-31", facts.AgrementLapsed())),
        "2025-12-31",
        "granted",
    ),
    (
        "noted lapsed before a new grant",
        (
            granted("2022-01-01", "XXXX"),
            ("2024-06-01", facts.AgrementLapsed()),
            granted("2025-01-01", "XXXX", on="2024-12-01"),
        ),
        "2025-06-01",
        "undetermined",
    ),
    ("the day before a suspension", (GRANT, stopped("2023-03-01")), "2023-02-28", "granted"),
    ("the day of a suspension", (GRANT, stopped("2023-03-01")), "2023-03-01", "suspended"),
    ("the day it is lifted", (GRANT, stopped("2023-03-01"), lifted("2023-05-01")), "2023-05-01", "granted"),
    (
        "the day before it is lifted",
        (GRANT, stopped("2023-03-01"), lifted("2023-05-01")),
        "2023-04-30",
        "suspended",
    ),
    (
        "suspended again, arriving out of order",
        (GRANT, stopped("2023-06-01"), stopped("2023-03-01"), lifted("2023-05-01")),
        "2023-06-01",
        "suspended",
    ),
    (
        "suspended and lifted on one day",
        (GRANT, stopped("2023-03-01"), lifted("2023-03-01")),
        "2023-03-01",
        "granted",
    ),
    ("suspended in a month, within it", (GRANT, stopped("2023-03")), "2023-03-15", "undetermined"),
    ("suspended in a month, after it", (GRANT, stopped("2023-03")), "2023-03-31", "suspended"),
    (
        "lifted on a day left blank",
        (GRANT, stopped("2023-03-01"), lifted("XXXX")),
        "2023-04-01",
        "undetermined",
    ),
    ("the day before a withdrawal", (GRANT, withdrawn("2023-03-01")), "2023-02-28", "granted"),
    ("the day of a withdrawal", (GRANT, withdrawn("2023-03-01")), "2023-03-01", "withdrawn"),
    ("withdrawn, after its end", (GRANT, withdrawn("2023-03-01")), "2026-03-01", "withdrawn"),
    ("withdrawn on a day left blank", (GRANT, withdrawn("XXXX")), "2023-03-01", "undetermined"),
    ("withdrawn on the first day", (GRANT, withdrawn("2022-01-01")), "2022-01-01", "withdrawn"),
    (
        "granted anew after a withdrawal",
        (GRANT, withdrawn("2023-03-01"), ANEW),
        "2024-01-01",
        "granted",
    ),
    (
        "before it is granted anew",
        (GRANT, withdrawn("2023-03-01"), ANEW),
        "2023-12-31",
        "withdrawn",
    ),
    (
        "withdrawn, with a period to come that was granted before",
        (GRANT, RENEWAL, withdrawn("2025-12-20")),
        "2026-01-01",
        "withdrawn",
    ),
    (
        "suspended, granted anew, the day before",
        (GRANT, stopped("2023-03-01"), ANEW),
        "2023-12-31",
        "suspended",
    ),
    ("suspended, granted anew, the first day", (GRANT, stopped("2023-03-01"), ANEW), "2024-01-01", "granted"),
    ("suspended, renewed, the last day", (GRANT, stopped("2025-10-01"), RENEWAL), "2025-12-31", "suspended"),
    ("suspended, renewed, the first day", (RENEWAL, stopped("2025-10-01"), GRANT), "2026-01-01", "granted"),
    (
        "suspended once renewed, before the renewal begins",
        (GRANT, RENEWAL, stopped("2025-12-20")),
        "2026-01-01",
        "suspended",
    ),
    (
        "suspended on the day of the renewal",
        (GRANT, RENEWAL, stopped("2025-12-12")),
        "2026-01-01",
        "suspended",
    ),
    (
        "suspended, then granted anew from a day past",
        (GRANT, stopped("2023-03-01"), granted("2023-01-01", "2025-12-31", on="2023-06-01")),
        "2023-05-31",
        "suspended",
    ),
    (
        "suspended, granted anew from a day past, on the day of that decision",
        (GRANT, stopped("2023-03-01"), granted("2023-01-01", "2025-12-31", on="2023-06-01")),
        "2023-06-01",
        "granted",
    ),
    (
        "suspended in the year of the renewal",
        (GRANT, RENEWAL, stopped("2025")),
        "2026-01-01",
        "undetermined",
    ),
    (
        "suspended in the year of the renewal, and lifted",
        (GRANT, RENEWAL, stopped("2025"), lifted("2026-02-01")),
        "2026-02-01",
        "granted",
    ),
    (
        "suspended, renewed on a day left blank",
        (GRANT, stopped("2025-10-01"), granted("2026-01-01", "2029-12-31", on="XXXX")),
        "2026-01-01",
        "granted",
    ),
    (
        "granted on a day left blank, and suspended",
        (granted("2022-01-01", "2025-12-31", on="XXXX"), stopped("2023-03-01")),
        "2024-01-01",
        "suspended",
    ),
    (
        "suspended in a month, and lifted within it",
        (GRANT, lifted("2023-03-15"), stopped("2023-03")),
        "2023-03-31",
        "granted",
    ),
    (
        "suspended on a day left blank, and lifted",
        (GRANT, stopped("XXXX"), lifted("2023-03-15")),
        "2023-03-15",
        "granted",
    ),
    (
        "suspended again after a new grant",
        (GRANT, stopped("2023-03-01"), ANEW, stopped("2024-03-01")),
        "2024-03-01",
        "suspended",
    ),
    (
        "lifted once granted anew",
        (GRANT, stopped("2023-03-01"), ANEW, lifted("2024-03-01")),
        "2024-03-01",
        "granted",
    ),
    (
        "a suspension is lifted once the agrément is withdrawn",
        (GRANT, stopped("2023-03-01"), withdrawn("2023-04-01"), lifted("2023-05-01")),
        "2023-05-01",
        "withdrawn",
    ),
    (
        "suspended, withdrawn, granted anew",
        (GRANT, stopped("2023-03-01"), withdrawn("2023-05-01"), ANEW),
        "2024-01-01",
        "granted",
    ),
    (
        "suspended, lapsed, granted anew",
        (
            granted("2022-01-01", "XXXX"),
            stopped("2023-03-01"),
            ("2023-05-01", facts.AgrementLapsed()),
            ANEW,
        ),
        "2024-01-01",
        "granted",
    ),
    (
        "asked anew after it lapsed",
        (GRANT, ("2026-03-01", REQUEST[1])),
        "2026-03-01",
        "lapsed",
    ),
]


@pytest.mark.parametrize(
    "life, on, standing", [one[1:] for one in STANDINGS], ids=[one[0] for one in STANDINGS]
)
def test_the_standing_of_an_agrement_on_a_day(life: tuple[Line, ...], on: str, standing: str) -> None:
    """Whatever the order of arrival."""
    for order in itertools.permutations(life):
        assert agrement(*order, on=on).standing == standing


def test_an_agrement_granted_by_mistake_is_not_granted() -> None:
    mistake: Line = ("2026-01-01", facts.EntryCancelled(entry=2, reason="erreur"))
    assert agrement(REQUEST, GRANT, mistake, on="2023-01-01").standing == "requested"


def test_an_agrement_is_told_with_its_periods_in_order() -> None:
    told = agrement(
        RENEWAL,
        GRANT,
        found("a"),
        filed("2026-01-01"),
        ("2026-02-01", facts.EntryCancelled(entry=4, reason="x")),
        on="2026-06-01",
    )
    assert [(str(one.starts_on), str(one.ends_on), one.renewal, one.position) for one in told.covers] == [
        ("2022-01-01", "2025-12-31", False, 2),
        ("2026-01-01", "2029-12-31", True, 1),
    ]
    first = told.covers[0]
    assert (first.services, first.granted_by, str(first.effective_on), first.reference) == (
        ("AGC",),
        "caf",
        "2021-12-01",
        "CA",
    )
    assert (told.stream, str(told.on), told.position, told.version, told.rules) == (
        AGREMENT,
        "2026-06-01",
        5,
        5,
        statement.RULES_VERSION,
    )
    assert [one.key for one in told.contradictions] == ["a"]
    assert (told.papers, [one.position for one in told.cancelled]) == ((), [4])
    assert [one.position for one in told.journal] == [2, 1, 3, 5]
    assert [one.come for one in told.journal] == ["yes"] * 4


# -- institutions

REGISTERED: Line = (
    "XXXX",
    facts.InstitutionRegistered(name="MJC", kind="association", rna="W251000001", siren="217300656"),
)


def renamed(name: str, on: str) -> Line:
    return on, facts.NameChanged(name=name)


@pytest.mark.parametrize(
    "on, name",
    [
        ("2026-02-28", "MJC"),
        ("2026-03-01", "Maison A"),
        ("2026-04-30", "Maison A"),
        ("2026-05-31", "Maison B"),
    ],
)
def test_an_institution_has_the_name_it_last_took(on: str, name: str) -> None:
    life = (
        REGISTERED,
        renamed("Maison B", "2026-05"),
        renamed("Maison A", "2026-03-01"),
        renamed("Jamais", "XXXX"),
    )
    assert institution(*life, on=on).name == name


def test_other_names_of_an_institution_are_those_written_by_the_day() -> None:
    written = {"la MJC": "2026-02-01", "la Maison": "2026-02-02", "la vieille MJC": "XXXX"}
    life = (REGISTERED, *((day, facts.AliasRecorded(alias=alias)) for alias, day in written.items()))
    assert institution(*life, on="2026-02-01").aliases == ("la MJC", "la vieille MJC")
    assert institution(*life, on="2026-02-02").aliases == ("la MJC", "la Maison", "la vieille MJC")


def test_an_institution_is_told_with_its_particulars() -> None:
    told = institution(
        REGISTERED,
        ("2026-06-01", facts.IdentifierRecorded(scheme="siret", value="21250056500016")),
        ("2026-06-02", facts.IdentifierRecorded(scheme="siren", value="262500564")),
        ("XXXX", facts.IdentifierRecorded(scheme="rna", value="W251000002")),
        ("2026-02-01", facts.AliasRecorded(alias="la MJC")),
        ("2026-01-01", facts.AliasRecorded(alias="la Maison")),
        ("2026-03-01", facts.AliasRecorded(alias="la MJC")),
        ("2026-05-01", facts.Succeeded(successor="centre", manner="fusion")),
        ("2026-04-01", facts.Succeeded(successor="autre", manner="scission")),
        ("2026-06-02", facts.Succeeded(successor="encore", manner="scission")),
        ("XXXX", facts.Succeeded(successor="jamais", manner="scission")),
        found("a"),
        filed("2026-01-01"),
        ("2026-01-01", facts.EntryCancelled(entry=13, reason="x")),
    )
    assert (told.name, told.kind, told.succeeded_by) == ("MJC", "association", "centre")
    assert told.identifiers == (("siren", "217300656"), ("rna", "W251000002"), ("siret", "21250056500016"))
    assert told.aliases == ("la Maison", "la MJC")
    assert (told.stream, str(told.on), told.position, told.version, told.rules) == (
        INSTITUTION,
        "2026-06-01",
        14,
        14,
        statement.RULES_VERSION,
    )
    assert [one.key for one in told.contradictions] == ["a"]
    assert (told.papers, [one.position for one in told.cancelled]) == ((), [13])
    assert len(told.journal) == 13
    assert {one.section for one in told.journal} == {"institution", "contradictions", "saisies"}


def test_an_institution_has_the_identifiers_it_was_registered_with() -> None:
    ville = facts.InstitutionRegistered(
        name="Ville", kind="commune", siren="212500565", siret="21250056500016", rna="W251000001"
    )
    assert institution(("XXXX", ville)).identifiers == (
        ("siren", "212500565"),
        ("siret", "21250056500016"),
        ("rna", "W251000001"),
    )


def test_an_institution_nobody_registered_has_nothing() -> None:
    told = institution()
    assert (told.name, told.kind, told.identifiers, told.aliases, told.succeeded_by) == (
        None,
        None,
        (),
        (),
        None,
    )
    gone = institution(REGISTERED, ("2026-01-01", facts.EntryCancelled(entry=1, reason="x")))
    assert (gone.name, gone.kind, gone.identifiers) == (None, None, ())


def test_events_of_another_stream_or_out_of_step_are_a_bug_and_not_a_statement() -> None:
    with pytest.raises(AssertionError):
        statement.of(entries(OPENED), stream="convention/autre", on=date(2026, 6, 1))
    with pytest.raises(AssertionError):
        statement.of(entries(OPENED, VILLE)[1:], stream=CONVENTION, on=date(2026, 6, 1))
    with pytest.raises(ValueError, match="is none of"):
        statement.of([], stream="note/autre", on=date(2026, 6, 1))
    assert streams.initial(CONVENTION).version == 0


def test_purposes_add_up_a_later_figure_replaces_its_own_and_an_advance_is_no_more_money() -> None:
    account: dict[str, Any] = {"payer": "ville", "beneficiary": "mjc", "exercice": 2026}

    def vote(cents: int, purpose: Any, **more: Any) -> Any:
        kind = facts.SubsidyChanged if more else facts.SubsidyVoted
        return kind(**account, amount_cents=cents, purpose=purpose, **more)

    shown = statement.of(
        entries(
            *SIGNED,
            ("2026-03-20", vote(243_000_00, "fonctionnement")),
            ("2026-03-21", vote(40_000_00, "investissement")),
            ("2026-03-22", vote(72_900_00, "avance")),
            ("2026-05-01", vote(250_000_00, "fonctionnement", reason="pour l'essai")),
        ),
        stream=CONVENTION,
        on=date(2026, 6, 1),
    )
    assert isinstance(shown, statement.ConventionStatement)
    [line] = shown.money
    assert line.voted_cents == 250_000_00 + 40_000_00


def test_a_deliberation_on_leaving_is_none_on_the_instrument() -> None:
    leaving = facts.DeliberationAdopted(
        institution="ville", organ="conseil", key="d-9", about="sortie", authorises_exit="resiliation"
    )
    told = of(OPENED, VILLE, ("2026-03-01", leaving))
    assert told.phase == "projet"
    assert [party.deliberated for party in told.parties] == ["no"]
