"""Which days of a convention its agrément covers, which not and why, and what a loss opens."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.terms import AnyTerm, Condition, Delay, FixedPeriod, PeriodFrom, Termination
from services.domain import agrement_types, coverage, known
from services.domain.coverage import Coverage, Days, Gap
from tests.contracts.strategies import partial_dates
from tests.domain.lives import OPENED, SIGNED, Line, avenant
from tests.domain.lives import given as after

D = PartialDate
AGREMENT = "agrement/mjc"
NBSP = "\N{NO-BREAK SPACE}"
THIN = "\N{NARROW NO-BREAK SPACE}"


def condition(*services: str, article: str = "3", holder: str = "mjc") -> Line:
    term = Condition(of="partnership", requires="agrement", holder=holder, words="agréé", services=services)
    return "2025-12-11", facts.ClauseStated(article=article, about="agrément", term=term)


def termination(article: str, *, loss: bool, by: tuple[str, ...] = ("ville",)) -> Line:
    term = Termination(
        by=by,
        grounds=("perte",),
        form="LRAR",
        cure=Delay(15, "day", "réception"),
        opens_on_loss_of_agrement=loss,
    )
    return "2025-12-11", facts.ClauseStated(article=article, about="résiliation", term=term)


def granted(on: str, starts_on: str, ends_on: str, *services: str) -> Line:
    return on, facts.AgrementGranted(
        services=services or ("AGC",), granted_by="caf", starts_on=D(starts_on), ends_on=D(ends_on)
    )


def suspended(on: str) -> Line:
    return on, facts.AgrementSuspended(by="caf", reason="direction vacante")


def lifted(on: str) -> Line:
    return on, facts.AgrementSuspensionLifted(by="caf", reason="direction pourvue")


def withdrawn(on: str) -> Line:
    return on, facts.AgrementWithdrawn(by="caf", reason="contrôle")


def lapsed(on: str) -> Line:
    return on, facts.AgrementLapsed()


def covers(
    agrement: tuple[Line, ...],
    *,
    on: str = "2026-06-01",
    convention: tuple[Line, ...] = (*SIGNED, condition()),
) -> Coverage:
    """The coverage of the one condition, of a convention from 1 January 2026 to 31 December 2029."""
    others = [after(*agrement, stream=AGREMENT)] if agrement else []
    told = coverage.of(known.of(after(*convention), date.fromisoformat(on), others))  # type: ignore[arg-type]
    assert len(told) == 1
    return told[0]


def parts(told: Coverage) -> list[tuple[str, str | None, str]]:
    """All of the convention's days in order: from, to, and covered or why not."""
    days = [(one.first, one.last, "covered") for one in told.covered]
    days += [(gap.first, gap.last, gap.because) for gap in told.gaps]
    return [
        (first.isoformat(), last.isoformat() if last else None, what)
        for first, last, what in sorted(days, key=_first)
    ]


def _first(part: tuple[date, Any, str]) -> date:
    return part[0]


ALL = ("2025-12-01", "2026-01-01", "2029-12-31")

CASES: list[tuple[str, tuple[Line, ...], str, list[tuple[str, str | None, str]]]] = [
    ("nothing is recorded", (), "2026-06-01", [("2026-01-01", "2029-12-31", "never-granted")]),
    (
        "it was only asked for, nobody says when",
        (("XXXX", facts.AgrementRequested(services=("AGC",), to="caf")),),
        "2026-06-01",
        [("2026-01-01", "2029-12-31", "never-granted")],
    ),
    ("one period covers it all", (granted(*ALL),), "2026-06-01", [("2026-01-01", "2029-12-31", "covered")]),
    (
        "it ends before the convention",
        (granted("2022-12-01", "2023-01-01", "2026-12-31"),),
        "2026-06-01",
        [("2026-01-01", "2026-12-31", "covered"), ("2027-01-01", "2029-12-31", "after")],
    ),
    (
        "it ended before the convention began",
        (granted("2021-12-01", "2022-01-01", "2025-12-31"),),
        "2026-06-01",
        [("2026-01-01", "2029-12-31", "after")],
    ),
    (
        "two periods with days between",
        (
            granted("2022-12-01", "2023-01-01", "2026-12-31"),
            granted("2026-05-01", "2027-03-01", "2029-12-31"),
        ),
        "2026-06-01",
        [
            ("2026-01-01", "2026-12-31", "covered"),
            ("2027-01-01", "2027-02-28", "between"),
            ("2027-03-01", "2029-12-31", "covered"),
        ],
    ),
    (
        "a renewal on the day after is one cover",
        (
            granted("2022-12-01", "2023-01-01", "2026-12-31"),
            granted("2026-05-01", "2027-01-01", "2029-12-31"),
        ),
        "2026-06-01",
        [("2026-01-01", "2029-12-31", "covered")],
    ),
    (
        "a period granted for later counts as granted",
        (granted("2026-05-01", "2026-09-01", "2029-12-31"),),
        "2026-06-01",
        [("2026-01-01", "2026-08-31", "before"), ("2026-09-01", "2029-12-31", "covered")],
    ),
    (
        "a decision to come counts for nothing",
        (granted("2026-06-02", "2026-09-01", "2029-12-31"),),
        "2026-06-01",
        [("2026-01-01", "2029-12-31", "never-granted")],
    ),
    (
        "a decision on the day counts",
        (granted("2026-06-01", "2026-01-01", "2029-12-31"),),
        "2026-06-01",
        [("2026-01-01", "2029-12-31", "covered")],
    ),
    (
        "suspended, then lifted",
        (granted(*ALL), suspended("2026-03-01"), lifted("2026-05-01")),
        "2026-06-01",
        [
            ("2026-01-01", "2026-02-28", "covered"),
            ("2026-03-01", "2026-04-30", "suspended"),
            ("2026-05-01", "2029-12-31", "covered"),
        ],
    ),
    (
        "suspended, and lifted later than the day",
        (granted(*ALL), suspended("2026-03-01"), lifted("2026-06-02")),
        "2026-06-01",
        [("2026-01-01", "2026-02-28", "covered"), ("2026-03-01", "2029-12-31", "suspended")],
    ),
    (
        "withdrawn",
        (granted(*ALL), withdrawn("2026-06-01")),
        "2026-06-01",
        [("2026-01-01", "2026-05-31", "covered"), ("2026-06-01", "2029-12-31", "withdrawn")],
    ),
    (
        "withdrawn on a day to come",
        (granted(*ALL), withdrawn("2026-06-02")),
        "2026-06-01",
        [("2026-01-01", "2029-12-31", "covered")],
    ),
    (
        "withdrawn and granted anew",
        (granted(*ALL), withdrawn("2026-02-01"), granted("2026-04-01", "2026-05-01", "2029-12-31")),
        "2026-06-01",
        [
            ("2026-01-01", "2026-01-31", "covered"),
            ("2026-02-01", "2026-04-30", "withdrawn"),
            ("2026-05-01", "2029-12-31", "covered"),
        ],
    ),
    (
        "a lapse is recorded",
        (granted("2022-12-01", "2023-01-01", "2026-02-28"), lapsed("2026-03-01")),
        "2026-06-01",
        [("2026-01-01", "2026-02-28", "covered"), ("2026-03-01", "2029-12-31", "lapsed")],
    ),
    (
        "a lapse that a later period made good, and that period's end",
        (
            granted("2022-12-01", "2023-01-01", "2026-02-28"),
            lapsed("2026-03-01"),
            granted("2026-04-01", "2026-05-01", "2027-04-30"),
        ),
        "2026-06-01",
        [
            ("2026-01-01", "2026-02-28", "covered"),
            ("2026-03-01", "2026-04-30", "lapsed"),
            ("2026-05-01", "2027-04-30", "covered"),
            ("2027-05-01", "2029-12-31", "after"),
        ],
    ),
    (
        "the period is known by its years",
        (granted("2026-02", "2026-03", "2028"),),
        "2026-06-01",
        [
            ("2026-01-01", "2026-02-28", "before"),
            ("2026-03-01", "2026-03-30", "uncertain"),
            ("2026-03-31", "2028-01-01", "covered"),
            ("2028-01-02", "2028-12-31", "uncertain"),
            ("2029-01-01", "2029-12-31", "after"),
        ],
    ),
    (
        "nobody says when the period ends",
        (granted("2025-12-01", "2026-01-01", "XXXX"),),
        "2026-06-01",
        [("2026-01-01", "2029-12-31", "uncertain")],
    ),
    (
        "nobody says when it was withdrawn",
        (granted(*ALL), withdrawn("XXXX")),
        "2026-06-01",
        [("2026-01-01", "2029-12-31", "uncertain")],
    ),
    (
        "suspended some day of the month it is",
        (granted(*ALL), suspended("2026-06")),
        "2026-06-15",
        [("2026-01-01", "2026-05-31", "covered"), ("2026-06-01", "2029-12-31", "uncertain")],
    ),
    (
        "suspended some day of a month gone by",
        (granted(*ALL), suspended("2026-05")),
        "2026-06-15",
        [
            ("2026-01-01", "2026-04-30", "covered"),
            ("2026-05-01", "2026-05-30", "uncertain"),
            ("2026-05-31", "2029-12-31", "suspended"),
        ],
    ),
    (
        "decided some day of the month it is",
        (granted("2026-06", "2026-01-01", "2029-12-31"),),
        "2026-06-15",
        [("2026-01-01", "2029-12-31", "uncertain")],
    ),
    (
        "decided on no known day, and begun",
        (granted("XXXX", "2026-01-01", "2029-12-31"),),
        "2026-06-01",
        [("2026-01-01", "2029-12-31", "covered")],
    ),
    (
        "decided on no known day, and not begun",
        (granted("XXXX", "2026-07-01", "2029-12-31"),),
        "2026-06-01",
        [("2026-01-01", "2026-06-30", "never-granted"), ("2026-07-01", "2029-12-31", "uncertain")],
    ),
]


@pytest.mark.parametrize(
    "agrement, on, expected", [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_every_day_is_covered_or_in_a_gap_with_its_reason(
    agrement: tuple[Line, ...], on: str, expected: list[tuple[str, str | None, str]]
) -> None:
    assert parts(covers(agrement, on=on)) == expected


def test_what_is_not_handed_over_is_not_known_and_nothing_depends_on_it_unasked() -> None:
    assert coverage.of(known.of(after(*SIGNED), date(2026, 6, 1))) == ()  # type: ignore[arg-type]
    told = covers(())
    assert (told.holder, told.article, told.position, told.standing, told.covers) == (
        "mjc",
        "3",
        7,
        "none",
        (),
    )
    for_a_deliberation = Condition(of="payments", requires="deliberation", holder="mjc", words="votée")
    stated = ("2025-12-11", facts.ClauseStated(article="4", about="vote", term=for_a_deliberation))
    assert coverage.of(known.of(after(*SIGNED, stated), date(2026, 6, 1))) == ()  # type: ignore[arg-type]


def test_a_condition_is_asked_by_itself_for_the_day() -> None:
    term = Condition(of="payments", requires="agrement", holder="mjc", words="agréé", services=("AGC",))
    agrement = after(granted(*ALL), withdrawn("2026-05-01"), stream=AGREMENT)
    for on, expected in ((date(2026, 4, 30), "granted"), (date(2026, 5, 1), "withdrawn")):
        assert coverage.standing(known.of(after(*SIGNED), on, [agrement]), term) == expected  # type: ignore[arg-type]
    assert coverage.standing(known.of(after(*SIGNED), date(2026, 5, 1)), term) == "none"  # type: ignore[arg-type]
    of_another_type = after(granted(*ALL, "EVS"), stream=AGREMENT)
    view = known.of(after(*SIGNED), date(2026, 5, 1), [of_another_type])  # type: ignore[arg-type]
    assert coverage.standing(view, term) == "none"


def test_each_condition_of_the_text_in_force_has_its_coverage() -> None:
    convention = after(*SIGNED, condition(article="5", holder="agglo"), condition(article="3"))
    told = coverage.of(known.of(convention, date(2026, 6, 1)))  # type: ignore[arg-type]
    assert [(one.article, one.holder) for one in told] == [("3", "mjc"), ("5", "agglo")]
    changed = avenant(1, "2026-05-01", facts.ClauseChanged("3", "agrément"))
    told = coverage.of(known.of(after(*SIGNED, condition(), changed), date(2026, 6, 1)))  # type: ignore[arg-type]
    assert told == ()


# -- the convention's own time


def clause_of(term: AnyTerm) -> Line:
    return "2025-12-11", facts.ClauseStated(article="10", about="durée", term=term)


def lasts(starts_on: str, ends_on: str) -> Line:
    return clause_of(FixedPeriod(D(starts_on), D(ends_on)))


LONG = (granted("2019-12-01", "2020-01-01", "2040-12-31"),)
NONE: tuple[Line, ...] = ()
TIMES: list[tuple[str, tuple[Line, ...], tuple[Line, ...], list[tuple[str, str | None, str]]]] = [
    (
        "no term is known",
        (OPENED, lasts("2026-01-01", "XXXX"), condition()),
        NONE,
        [("2026-01-01", None, "never-granted")],
    ),
    (
        "no term is known, and the agrément has one",
        (OPENED, lasts("2026-01-01", "XXXX"), condition()),
        LONG,
        [("2026-01-01", "2040-12-31", "covered"), ("2041-01-01", None, "after")],
    ),
    (
        "it lasts two years from the last signature",
        (*SIGNED[:3], *SIGNED[4:], clause_of(PeriodFrom("last-signature", 24)), condition()),
        NONE,
        [("2025-12-18", "2027-12-17", "never-granted")],
    ),
    (
        "one has yet to sign, and no first day is stated",
        (*SIGNED[:3], *SIGNED[4:5], clause_of(PeriodFrom("last-signature", 24)), condition()),
        NONE,
        [],
    ),
    ("no first day is known", (OPENED, lasts("XXXX", "2029-12-31"), condition()), LONG, []),
    (
        "the first and the last day are known to the month",
        (OPENED, lasts("2026-01", "2029-12"), condition()),
        NONE,
        [
            ("2026-01-01", "2026-01-30", "uncertain"),
            ("2026-01-31", "2029-12-01", "never-granted"),
            ("2029-12-02", "2029-12-31", "uncertain"),
        ],
    ),
    (
        "whatever they are, the agrément covers them",
        (OPENED, lasts("2026-01", "2029-12"), condition()),
        LONG,
        [("2026-01-01", "2029-12-31", "covered")],
    ),
    (
        "an avenant prolongs it",
        (*SIGNED, condition(), avenant(1, "2026-05-01", facts.Prorogation(D("2031-01-31")))),
        NONE,
        [("2026-01-01", "2031-01-31", "never-granted")],
    ),
    (
        "a résiliation ends it on the day it takes effect",
        (
            *SIGNED,
            condition(),
            (
                "2026-05-01",
                facts.ResiliationPronounced(
                    by=("ville",), article="9", ground="x", takes_effect_on=D("2026-09-01")
                ),
            ),
        ),
        LONG,
        [("2026-01-01", "2026-08-31", "covered")],
    ),
    (
        "a résiliation pronounced later ends nothing yet",
        (
            *SIGNED,
            condition(),
            (
                "2026-06-02",
                facts.ResiliationPronounced(
                    by=("ville",), article="9", ground="x", takes_effect_on=D("2026-09-01")
                ),
            ),
        ),
        LONG,
        [("2026-01-01", "2029-12-31", "covered")],
    ),
    (
        "a résiliation that took effect some day of May",
        (*SIGNED, condition(), ("2026-05", facts.ResiliationTookEffect())),
        NONE,
        [("2026-01-01", "2026-04-30", "never-granted"), ("2026-05-01", "2026-05-30", "uncertain")],
    ),
    (
        "an end on no known day leaves every day open",
        (*SIGNED, condition(), ("XXXX", facts.InstrumentClosed())),
        NONE,
        [("2026-01-01", "2029-12-31", "uncertain")],
    ),
    (
        "one party of two has left: it is at an end",
        (*SIGNED, condition(), ("2026-04-01", facts.DenunciationTookEffect(by="mjc"))),
        LONG,
        [("2026-01-01", "2026-03-31", "covered")],
    ),
    (
        "one party of three has left: it goes on",
        (
            *SIGNED,
            condition(),
            ("2026-02-01", facts.PartyJoined(institution="agglo")),
            ("2026-04-01", facts.DenunciationTookEffect(by="mjc")),
        ),
        LONG,
        [("2026-01-01", "2029-12-31", "covered")],
    ),
    (
        "it was at an end before its first day",
        (*SIGNED, condition(), ("2025-12-20", facts.InstrumentClosed())),
        LONG,
        [],
    ),
]


@pytest.mark.parametrize(
    "convention, agrement, expected", [case[1:] for case in TIMES], ids=[case[0] for case in TIMES]
)
def test_the_days_are_those_of_the_convention_as_it_stands(
    convention: tuple[Line, ...], agrement: tuple[Line, ...], expected: list[tuple[str, str | None, str]]
) -> None:
    assert parts(covers(agrement, convention=convention)) == expected


def test_without_a_first_day_it_says_that_nothing_is_computable() -> None:
    told = covers(LONG, convention=(OPENED, lasts("XXXX", "2029-12-31"), condition()))
    assert told.notes[0] == (
        f"Couverture non calculable (art.{NBSP}3){NBSP}: le premier jour de la convention n’est pas connu."
    )
    assert (told.standing, told.ends_before_convention) == ("granted", None)


@pytest.mark.parametrize(
    "ends_on, term, expected",
    [
        (("2029-12-30",), "2029-12-31", True),
        (("2029-12-31",), "2029-12-31", False),
        (("2026-12-31", "2030-12-31"), "2029-12-31", False),
        (("2026-12-31", "2028-12-31"), "2029-12-31", True),
        (("2029",), "2029-12-31", None),
        (("2028",), "2029-12-31", True),
        (("XXXX",), "2029-12-31", None),
        (("2029-12-30",), "2029-12", None),
        (("2029-11-30",), "2029-12", True),
        (("2029-11-30",), "XXXX", None),
        ((), "2029-12-31", None),
    ],
)
def test_whether_the_agrement_ends_before_the_convention(
    ends_on: tuple[str, ...], term: str, expected: bool | None
) -> None:
    agrement = tuple(granted(f"2025-12-0{n}", "2026-01-01", day) for n, day in enumerate(ends_on, 1))
    convention = (OPENED, lasts("2026-01-01", term), condition())
    assert covers(agrement, convention=convention).ends_before_convention is expected


def test_an_end_that_may_be_is_no_term_for_the_agrement_to_end_before() -> None:
    convention = (OPENED, lasts("2026-01-01", "XXXX"), condition(), ("2026", facts.InstrumentClosed()))
    told = covers((granted("2025-12-01", "2026-01-01", "2026-12-31"),), convention=convention)
    assert told.ends_before_convention is None


# -- types


@pytest.mark.parametrize(
    "wanted, services, met",
    [
        ((), ("EVS",), True),
        (("AGC",), ("AGC",), True),
        (("AGC",), ("ACF",), False),
        (("AGC",), ("ACF", "AGC"), True),
        (("AGC",), ("EVS",), False),
        (("ACF",), ("CS",), True),
        (("AGC",), ("CS",), True),
        (("EVS",), ("CS",), False),
        (("CS",), ("AGC",), False),
        (("AGC", "EVS"), ("EVS",), True),
        (("AGC",), ("NEUF",), False),
    ],
)
def test_a_newer_type_stands_for_those_it_took_the_place_of(
    wanted: tuple[str, ...], services: tuple[str, ...], met: bool
) -> None:
    told = covers((granted(*ALL, *services),), convention=(*SIGNED, condition(*wanted)))
    assert (told.gaps == (), len(told.covers), told.standing == "granted") == (met, int(met), met)
    assert told.services == wanted


def test_the_types_are_those_of_the_circulaires_with_no_day_of_two_versions() -> None:
    assert {kind.code for kind in agrement_types.TYPES} == {"AGC", "ACF", "EVS", "CS"}
    assert (agrement_types.YEARS_MIN, agrement_types.YEARS_MAX) == (1, 4)
    for code in ("AGC", "ACF"):
        assert [kind.source for kind in agrement_types.of(code, D("2026-12-31"))] == [
            "circulaire Cnaf n° 2012-013 du 20 juin 2012"
        ]
        assert [kind.source for kind in agrement_types.of(code, D("2027-01-01"))] == [
            "circulaire Cnaf du 18 décembre 2025"
        ]
        assert len(agrement_types.of(code, D("XXXX"))) == 2
        assert agrement_types.of(code, D("2031-01-01")) == ()
        assert agrement_types.of(code, D("1998-01-01")) != ()
    assert agrement_types.of("EVS", D("2012-06-19")) == ()
    assert len(agrement_types.of("EVS", D("2012-06-20"))) == 1
    assert agrement_types.of("CS", D("2026-12-31")) == ()
    assert agrement_types.of("CS", D("2027"))[0].stands_for == ("AGC", "ACF")
    assert agrement_types.of("NEUF", D("2027")) == ()


OLD, NEW = (
    "circulaire Cnaf n°\N{NO-BREAK SPACE}2012-013 du 20 juin 2012",
    "circulaire Cnaf du 18 décembre 2025",
)
LIMITS = f"un agrément est accordé pour un à quatre ans ({OLD})."
NOTES: list[tuple[str, tuple[Line, ...], list[str]]] = [
    ("four years to the day", (granted("2025-12-01", "2026-01-01", "2029-12-31"),), []),
    (
        "four years and a day",
        (granted("2025-12-01", "2026-01-01", "2030-01-01"),),
        [f"Période de plus de quatre ans (du 1er janvier 2026 au 1er janvier 2030){NBSP}: {LIMITS}"],
    ),
    ("four years or more, by its years", (granted("2025-12-01", "2026", "2030"),), []),
    (
        "more than four years, by its years",
        (granted("2025-12-01", "2026", "2031"),),
        ["Période de plus de quatre ans"],
    ),
    ("one year to the day", (granted("2025-12-01", "2026-01-01", "2026-12-31"),), []),
    (
        "a day less than one year",
        (granted("2025-12-01", "2026-01-01", "2026-12-30"),),
        [f"Période de moins d’un an (du 1er janvier 2026 au 30 décembre 2026){NBSP}: {LIMITS}"],
    ),
    ("from a 29 February, four years", (granted("2023-12-01", "2024-02-29", "2028-02-28"),), []),
    ("some days of an unknown end", (granted("2025-12-01", "2026-01-01", "XXXX"),), []),
    (
        "a type nobody knows",
        (granted(*ALL, "NEUF"),),
        [
            (
                f"«{NBSP}NEUF{NBSP}» (du 1er janvier 2026 au 31 décembre 2029) n’est pas un type d’agrément "
                f"connu du registre ({OLD}, {NEW})."
            )
        ],
    ),
    (
        "a type before its time",
        (granted("2026-05-01", "2026-06-01", "2029-12-31", "CS"),),
        [f"«{NBSP}CS{NBSP}» (du 1er juin 2026 au 31 décembre 2029) n’existe pas à cette date ({NEW})."],
    ),
    (
        "a type after its time",
        (granted("2026-05-01", "2031-01-01", "2032-12-31", "ACF"),),
        [
            (
                f"«{NBSP}ACF{NBSP}» (du 1er janvier 2031 au 31 décembre 2032) n’existe pas à cette date "
                f"({OLD}, {NEW})."
            )
        ],
    ),
    (
        "alone from 2027",
        (granted("2026-05-01", "2027-01-01", "2029-12-31", "AGC"),),
        [
            (
                f"AGC accordé seul (du 1er janvier 2027 au 31 décembre 2029){NBSP}: depuis 2027 la "
                f"composante familles (ACF) est obligatoire ({NEW})."
            )
        ],
    ),
    ("alone from 2026", (granted("2026-05-01", "2026-12-31", "2029-12-31", "AGC"),), []),
    ("with the families from 2027", (granted("2026-05-01", "2027-01-01", "2029-12-31", "AGC", "ACF"),), []),
    (
        "with the families by another decision",
        (
            granted("2026-05-01", "2027-01-01", "2029-12-31", "AGC"),
            granted("2026-05-02", "2026-01-01", "2027-01-01", "ACF"),
        ),
        [],
    ),
    (
        "with the families until the day before",
        (
            granted("2026-05-01", "2027-01-01", "2029-12-31", "AGC"),
            granted("2025-05-02", "2025-01-01", "2026-12-31", "ACF"),
        ),
        ["AGC accordé seul"],
    ),
    (
        "with the families by a decision to come",
        (
            granted("2026-05-01", "2027-01-01", "2029-12-31", "AGC"),
            granted("2026-06-02", "2026-01-01", "2028-12-31", "ACF"),
        ),
        ["AGC accordé seul"],
    ),
    (
        "the merged service is with the families",
        (granted("2026-05-01", "2027-01-01", "2029-12-31", "CS"),),
        [],
    ),
    ("long ago, and no more", (granted("2010-01-01", "2010-01-01", "2020-12-31", "NEUF"),), []),
    ("a decision to come", (granted("2026-06-02", "2027-01-01", "2037-12-31", "NEUF"),), []),
]


@pytest.mark.parametrize("agrement, expected", [case[1:] for case in NOTES], ids=[case[0] for case in NOTES])
def test_notes_tell_what_departs_from_the_circulaires(
    agrement: tuple[Line, ...], expected: list[str]
) -> None:
    notes = covers(agrement).notes
    assert len(notes) == len(expected)
    for note, start in zip(notes, expected, strict=True):
        assert note.startswith(start)


# -- the right that a loss opens


OF_THE_ENTITIES = termination("11.2", loss=True, by=("ville", "agglo"))
PLENTY = (*SIGNED, condition(), termination("11.1", loss=False), OF_THE_ENTITIES)
WORDS = (
    f"La perte de l’agrément ouvre un droit de résiliation (art.{NBSP}11.2){THIN}; "
    "elle ne met fin à rien par elle-même."
)


@pytest.mark.parametrize(
    "agrement, convention, on, right",
    [
        ((granted(*ALL), withdrawn("2026-06-01")), PLENTY, "2026-06-01", True),
        ((granted(*ALL), withdrawn("2026-06-02")), PLENTY, "2026-06-01", False),
        ((granted(*ALL), withdrawn("2026-06")), PLENTY, "2026-06-15", False),
        ((granted(*ALL), suspended("2026-05-01")), PLENTY, "2026-06-01", False),
        ((granted("2025-12-01", "2026-01-01", "2026-05-31"),), PLENTY, "2026-06-01", True),
        ((granted("2025-12-01", "2026-01-01", "2026-06-01"),), PLENTY, "2026-06-01", False),
        ((), PLENTY, "2026-06-01", False),
        ((granted(*ALL), withdrawn("2026-05-01")), (*SIGNED, condition()), "2026-06-01", False),
        ((granted(*ALL), withdrawn("2026-05-01")), PLENTY, "2030-01-01", False),
    ],
    ids=[
        "withdrawn",
        "withdrawn tomorrow",
        "perhaps withdrawn",
        "a suspension is no loss",
        "run out",
        "the last day",
        "never had",
        "no clause says so",
        "the convention is over",
    ],
)
def test_a_loss_opens_the_right_that_an_article_makes_of_it(
    agrement: tuple[Line, ...], convention: tuple[Line, ...], on: str, right: bool
) -> None:
    told = covers(agrement, convention=convention, on=on)
    assert (told.right_opened, told.right_article, told.right_of) == (
        (WORDS, "11.2", ("ville", "agglo")) if right else (None, None, ())
    )


def test_two_articles_may_make_a_right_of_it_and_a_right_is_gone_with_the_agrement_back() -> None:
    convention = (*PLENTY, termination("12", loss=True, by=("ville", "mjc")))
    lost = (granted(*ALL), withdrawn("2026-03-01"))
    told = covers(lost, convention=convention)
    assert told.right_opened is not None
    assert f"(art.{NBSP}11.2 et art.{NBSP}12)" in told.right_opened
    assert (told.right_article, told.right_of) == ("11.2", ("ville", "agglo", "mjc"))
    again = covers((*lost, granted("2026-04-01", "2026-05-01", "2029-12-31")), convention=convention)
    assert (again.right_opened, again.standing) == (None, "granted")


# -- whatever is recorded


KINDS = ("grant", "suspend", "lift", "withdraw", "lapse")
SOON = st.dates(date(2025, 6, 1), date(2030, 6, 1)).map(date.isoformat) | partial_dates().map(str)


@st.composite
def agrement_lines(draw: st.DrawFn) -> Line:
    on = draw(SOON)
    match draw(st.sampled_from(KINDS)):
        case "grant":
            first = draw(st.dates(date(2025, 1, 1), date(2030, 1, 1)))
            last = first + timedelta(days=draw(st.integers(0, 1600)))
            cut = draw(st.sampled_from((10, 10, 7, 4)))
            return granted(on, first.isoformat()[:cut], last.isoformat()[:cut])
        case "suspend":
            return suspended(on)
        case "lift":
            return lifted(on)
        case "withdraw":
            return withdrawn(on)
        case _:
            return lapsed(on)


def stretches(told: Coverage) -> list[Days | Gap]:
    return [*told.covered, *told.gaps]


def days(told: Coverage, until: date) -> Iterator[date]:
    """Every day of its parts, one by one."""
    for part in stretches(told):
        last = min(part.last or until, until)
        yield from (part.first + timedelta(days=n) for n in range((last - part.first).days + 1))


@settings(max_examples=60)
@given(
    st.lists(agrement_lines(), max_size=6),
    st.dates(date(2026, 1, 1), date(2029, 12, 31)),
    st.sampled_from(("2029-12-31", "2028-06", "XXXX")),
)
def test_covered_days_and_gaps_are_the_convention_s_own_days_each_once(
    lines: list[Line], on: date, term: str
) -> None:
    convention = (OPENED, lasts("2026-01-01", term), condition())
    told = covers(tuple(lines), convention=convention, on=on.isoformat())
    until = D(term).last or date(2032, 12, 31)
    expected = [date(2026, 1, 1) + timedelta(days=n) for n in range((until - date(2026, 1, 1)).days + 1)]
    assert sorted(days(told, until)) == expected
    if term == "XXXX":
        assert [part.last for part in stretches(told)].count(None) == 1


@settings(max_examples=40)
@given(st.lists(agrement_lines(), max_size=5), st.randoms(use_true_random=False))
def test_every_order_of_arrival_parts_the_days_alike(lines: list[Line], rng: Any) -> None:
    shuffled = rng.sample(lines, len(lines))
    one, other = covers(tuple(lines)), covers(tuple(shuffled))
    assert (parts(one), one.standing, set(one.notes)) == (parts(other), other.standing, set(other.notes))


@settings(max_examples=40)
@given(st.lists(agrement_lines(), max_size=5), agrement_lines())
def test_a_decision_to_come_changes_nothing(lines: list[Line], later: Line) -> None:
    announced = ("2026-06-02", *later[1:])
    assert covers((*lines, announced)) == covers(tuple(lines))


@settings(max_examples=40)
@given(st.lists(agrement_lines(), min_size=1, max_size=5))
def test_a_day_asked_by_itself_has_the_answer_of_its_stretch(lines: list[Line]) -> None:
    """The stretches are found from the dates alone: a day in the midst of one must not think otherwise."""
    told = covers(tuple(lines))
    for part in stretches(told):
        assert part.last is not None
        middle = part.first + (part.last - part.first) / 2
        for day in {part.first, middle, part.last}:
            alone = covers(
                tuple(lines), convention=(OPENED, lasts(day.isoformat(), day.isoformat()), condition())
            )
            assert [one[2] for one in parts(alone)] == [getattr(part, "because", "covered")]
