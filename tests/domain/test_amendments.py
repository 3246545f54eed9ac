"""What each avenant made of the text, whom it waits for, and whether some parties might do it alone."""

import itertools
import random
from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.terms import (
    Amending,
    AnyTerm,
    Due,
    FixedPeriod,
    Instalment,
    InstalmentPlan,
    NoPassingOn,
    NoPeriod,
)
from services.domain import amendments, known, text
from services.domain.amendments import Amendment
from services.domain.known import Known
from services.domain.money import money
from services.domain.text import ClauseLine
from tests.domain.lives import OPENED, SIGNED, Line, avenant, signed, voted, when
from tests.domain.lives import given as after

D = PartialDate
NBSP = "\N{NO-BREAK SPACE}"
THIN = "\N{NARROW NO-BREAK SPACE}"
BOTH, ALL = ("ville", "mjc"), ("ville", "mjc", "agglo")
AGGLO: Line = ("2025-12-11", facts.PartyListed(institution="agglo"))


def clause(article: str, about: str, term: AnyTerm | None = None, on: str = "2025-12-11") -> Line:
    return on, facts.ClauseStated(article=article, about=about, term=term)


def changed(
    number: int,
    on: str,
    article: str,
    about: str,
    term: AnyTerm | None = None,
    binds: tuple[str, ...] = BOTH,
) -> Line:
    return avenant(number, on, facts.ClauseChanged(article, about, term), binds=binds)


def knows(*lines: Line, on: str = "2026-06-01") -> Known:
    return known.of(after(*lines), date.fromisoformat(on))  # type: ignore[arg-type]


def of(*lines: Line, on: str = "2026-06-01") -> tuple[Amendment, ...]:
    return amendments.of(knows(*lines, on=on))


def reads(lines: tuple[ClauseLine, ...]) -> list[tuple[str, str, str, str, tuple[str, ...]]]:
    return [(line.article, line.about, line.avenant, line.come, line.awaiting) for line in lines]


# -- partial effect, until all have signed


STATED = clause("5", "argent")
OLD = ("5", "argent", "", "yes", ())
NEW = ("5", "autrement", "1", "yes", ())
AVENANT = changed(1, "2026-05-01", "5", "autrement")


def waits(*who: str) -> tuple[str, str, str, str, tuple[str, ...]]:
    return ("5", "autrement", "1", "undetermined", who)


SIGNING: list[tuple[str, tuple[Line, ...], list[Any], list[Any], bool | None, tuple[str, ...]]] = [
    ("no signature is told: at the word of who recorded it", (), [NEW], [], None, BOTH),
    (
        "all have signed",
        (signed("ville", "maire", "2026-05-01", 1), signed("mjc", "p", "2026-06-01", 1)),
        [NEW],
        [],
        True,
        (),
    ),
    ("one has signed", (signed("ville", "maire", "2026-05-01", 1),), [OLD], [waits("mjc")], False, ("mjc",)),
    (
        "the other signs tomorrow",
        (signed("ville", "maire", "2026-05-01", 1), signed("mjc", "p", "2026-06-02", 1)),
        [OLD],
        [waits("mjc")],
        False,
        ("mjc",),
    ),
    (
        "the other signed, nobody says when",
        (signed("ville", "maire", "2026-05-01", 1), signed("mjc", "p", "XXXX", 1)),
        [OLD],
        [waits("mjc")],
        False,
        ("mjc",),
    ),
    ("one signs tomorrow", (signed("ville", "maire", "2026-06-02", 1),), [NEW], [], None, BOTH),
    (
        "one signed, nobody says when",
        (signed("ville", "maire", "XXXX", 1),),
        [OLD],
        [waits(*BOTH)],
        False,
        BOTH,
    ),
    ("another avenant was signed", (signed("ville", "maire", "2026-05-01", 2),), [NEW], [], None, BOTH),
    ("the instrument was signed", (signed("ville", "maire", "2026-05-01"),), [NEW], [], None, BOTH),
    (
        "who is not bound has signed",
        (signed("agglo", "presidente", "2026-05-01", 1),),
        [OLD],
        [waits(*BOTH)],
        False,
        BOTH,
    ),
]


@pytest.mark.parametrize(
    "signatures, in_force, pending, complete, awaiting",
    [case[1:] for case in SIGNING],
    ids=[case[0] for case in SIGNING],
)
def test_an_avenant_replaces_the_text_once_all_it_binds_have_signed(
    signatures: tuple[Line, ...],
    in_force: list[Any],
    pending: list[Any],
    complete: bool | None,
    awaiting: tuple[str, ...],
) -> None:
    told = knows(OPENED, AGGLO, STATED, AVENANT, *signatures)
    assert (reads(told.clauses), reads(told.pending)) == (in_force, pending)
    one = amendments.of(told)[0]
    assert (one.complete, one.awaiting) == (complete, awaiting)
    assert one.signed_by == tuple(who for who in BOTH if who not in awaiting)
    assert reads(text.side_by_side(told.clauses, told.pending)) == [*in_force, *pending]


def test_a_party_has_signed_when_its_quorum_has() -> None:
    three = ("2025-12-11", facts.PartyListed(institution="agglo", quorum=2))
    avenant_ = changed(1, "2026-05-01", "5", "autrement", binds=("agglo",))
    life = (OPENED, three, STATED, avenant_, signed("agglo", "a", "2026-05-01", 1))
    assert reads(knows(*life).clauses) == [OLD]
    assert reads(knows(*life, signed("agglo", "b", "2026-05-02", 1)).clauses) == [NEW]
    undated = knows(*life, signed("agglo", "b", "XXXX", 1))
    assert (reads(undated.clauses), reads(undated.pending)) == ([OLD], [waits("agglo")])


def test_who_an_avenant_lets_in_signs_it_too() -> None:
    admits = avenant(
        1, "2026-05-01", facts.Admission("agglo"), facts.ClauseChanged("5", "autrement"), binds=ALL
    )
    life = (
        *SIGNED,
        STATED,
        admits,
        signed("ville", "maire", "2026-05-01", 1),
        signed("mjc", "p", "2026-05-01", 1),
    )
    assert reads(knows(*life).pending) == [waits("agglo")]
    told = knows(*life, signed("agglo", "p", "2026-05-02", 1))
    assert (NEW in reads(told.clauses), told.pending) == (True, ())


def test_a_prorogation_prolongs_once_all_have_signed() -> None:
    life = (*SIGNED, avenant(1, "2026-05-01", facts.Prorogation(D("2031-12-31"))))
    one = signed("ville", "maire", "2026-05-01", 1)
    both = (one, signed("mjc", "p", "2026-06-01", 1))
    assert [
        str(after_.life.ends_on(date(2026, 6, 1)))
        for after_ in (knows(*life), knows(*life, one), knows(*life, *both))
    ] == ["2031-12-31", "2029-12-31", "2031-12-31"]
    assert str(knows(*life, *both).life.ends_on(date(2026, 5, 31))) == "2029-12-31"


def test_what_waits_stands_beside_what_came_before_and_goes_with_what_comes_after() -> None:
    waiting = (changed(1, "2026-03-01", "5", "autrement"), signed("ville", "maire", "2026-03-01", 1))
    second = changed(2, "2026-04-01", "5", "encore")
    assert reads(knows(OPENED, STATED, *waiting, second).pending) == []
    earlier = changed(2, "2026-02-01", "5", "encore")
    told = knows(OPENED, STATED, *waiting, earlier)
    assert reads(told.clauses) == [("5", "encore", "2", "yes", ())]
    assert reads(told.pending) == [waits("mjc")]
    also = (changed(2, "2026-04-01", "5", "encore"), signed("mjc", "p", "2026-04-01", 2))
    told = knows(OPENED, STATED, *waiting, *also)
    assert reads(told.pending) == [waits("mjc"), ("5", "encore", "2", "undetermined", ("ville",))]
    assert reads(knows(OPENED, STATED, *also, *waiting).pending) == reads(told.pending)
    new = changed(1, "2026-03-01", "12", "article ajouté")
    told = knows(OPENED, STATED, new, signed("ville", "maire", "2026-03-01", 1))
    assert reads(told.clauses) == [OLD]
    assert reads(told.pending) == [("12", "article ajouté", "1", "undetermined", ("mjc",))]


def test_a_later_avenant_is_not_refused_while_a_prorogation_waits_for_a_signature() -> None:
    """Its scan may come late: a refusal would make the order of arrival count."""
    life = after(
        *SIGNED,
        avenant(1, "2029-05-01", facts.Prorogation(D("2031-12-31"))),
        signed("ville", "maire", "2029-05-01", 1),
    )
    assert len(when(life, changed(2, "2030-05-01", "5", "autrement"))) == 1


# -- slips of the paper


def slip(article: str, on: str) -> Line:
    return on, facts.MaterialErrorCorrected(
        article=article, reads="art. 5.3", should_read="art. 5.1", evidence="il n'y a pas de 5.3"
    )


@pytest.mark.parametrize(
    "article, on, lines, expected",
    [
        ("8.2", "2026-02-02", (), {"8.2": ["yes"], "8.2, al. 2": ["yes"], "8": [], "8.20": []}),
        ("8.2, al. 2", "2026-02-02", (), {"8.2": [], "8.2, al. 2": ["yes"], "8": [], "8.20": []}),
        ("8", "2026-02-02", (), {"8.2": [], "8.2, al. 2": [], "8": ["yes"], "8.20": []}),
        ("8", "2026-06-02", (), {"8.2": [], "8.2, al. 2": [], "8": [], "8.20": []}),
        ("8", "XXXX", (), {"8.2": [], "8.2, al. 2": [], "8": ["undetermined"], "8.20": []}),
        ("8", "2026-02-02", (changed(1, "2026-03-01", "8", "autrement"),), {"8": []}),
        ("8", "2026-04-02", (changed(1, "2026-03-01", "8", "autrement"),), {"8": ["yes"]}),
    ],
)
def test_a_slip_put_right_stands_beside_its_clause_and_is_no_avenant(
    article: str, on: str, lines: tuple[Line, ...], expected: dict[str, list[str]]
) -> None:
    stated = [clause(one, f"au {one}") for one in ("8", "8.2", "8.2, al. 2", "8.20")]
    told = knows(OPENED, *stated, *lines, slip(article, on))
    beside = {line.article: [one.come for one in line.corrections] for line in told.clauses}
    assert {one: beside[one] for one in expected} == expected
    assert len(amendments.of(told)) == len(lines)


def test_a_slip_tells_what_it_put_right_and_where_that_is_recorded() -> None:
    line = knows(OPENED, clause("8", "fin"), slip("8", "2026-02-02")).clauses[0]
    (one,) = line.corrections
    assert (one.reads, one.should_read, one.evidence) == ("art. 5.3", "art. 5.1", "il n'y a pas de 5.3")
    assert (str(one.effective_on), one.position) == ("2026-02-02", 3)
    assert line.about == "fin"


# -- clause by clause


PERIOD = FixedPeriod(D("2026-01-01"), D("2029-12-31"))


def test_each_avenant_is_told_against_the_text_before_it() -> None:
    life = (
        OPENED,
        clause("5", "argent"),
        clause("5", "calendrier"),
        clause("10", "durée", PERIOD),
        changed(2, "2026-04-01", "5", "tout autrement"),
        changed(1, "2026-03-01", "5", "autrement"),
        avenant(
            3,
            "2026-05-01",
            facts.ClauseChanged("10", "durée", NoPeriod()),
            facts.ClauseChanged("12", "locaux"),
        ),
        changed(4, "2026-05-02", "12", "locaux"),
        changed(5, "2026-06-02", "12", "à venir"),
        changed(6, "XXXX", "5", "un jour"),
    )
    told = of(*life)
    assert [(one.number, one.position) for one in told] == [("1", 6), ("2", 5), ("3", 7), ("4", 8), ("6", 10)]
    assert [[difference.says for difference in one.differences] for one in told] == [
        [f"art.{NBSP}5{NBSP}: «{NBSP}argent{THIN}; calendrier{NBSP}» devient «{NBSP}autrement{NBSP}»"],
        [f"art.{NBSP}5{NBSP}: «{NBSP}autrement{NBSP}» devient «{NBSP}tout autrement{NBSP}»"],
        [
            (
                f"art.{NBSP}10{NBSP}: «{NBSP}Durée{NBSP}: du 1er janvier 2026 au "
                f"31 décembre 2029 inclus{NBSP}» devient «{NBSP}durée. Le texte ne fixe aucune durée{NBSP}»"
            ),
            f"art.{NBSP}12, ajouté{NBSP}: «{NBSP}locaux{NBSP}»",
        ],
        [f"art.{NBSP}12, repris sans changement{NBSP}: «{NBSP}locaux{NBSP}»"],
        [f"art.{NBSP}5{NBSP}: «{NBSP}tout autrement{NBSP}» devient «{NBSP}un jour{NBSP}»"],
    ]
    assert [
        [(difference.article, len(difference.before)) for difference in one.differences] for one in told
    ] == [
        [("5", 2)],
        [("5", 1)],
        [("10", 1), ("12", 0)],
        [("12", 1)],
        [("5", 1)],
    ]
    assert told[2].differences[1].before == ()
    first = told[0].differences[0]
    assert [line.about for line in first.before] == ["argent", "calendrier"]
    assert [(line.about, line.avenant, line.position) for line in first.after] == [("autrement", "1", 6)]
    assert (told[0].rationale, str(told[0].effective_on), told[0].binds) == (
        "pour l'essai",
        "2026-03-01",
        BOTH,
    )
    assert told[4].differences[0].after[0].come == "undetermined"


def test_what_waits_for_a_signature_is_no_text_for_the_next() -> None:
    life = (OPENED, clause("5", "argent"), AVENANT, signed("ville", "maire", "2026-05-01", 1))
    first, second = of(*life, changed(2, "2026-05-02", "5", "encore"))
    assert first.differences[0].says.endswith(f"devient «{NBSP}autrement{NBSP}»")
    assert second.differences[0].says == (
        f"art.{NBSP}5{NBSP}: «{NBSP}argent{NBSP}» devient «{NBSP}encore{NBSP}»"
    )


# -- what else an avenant changes


def effects(*lines: Line, on: str = "2026-06-01") -> list[list[tuple[str, str | None, str | None, str]]]:
    return [
        [(one.kind, one.before, one.after, one.says) for one in each.effects] for each in of(*lines, on=on)
    ]


def test_a_prorogation_is_told_against_the_term_before_it() -> None:
    life = (
        *SIGNED,
        avenant(1, "2026-03-01", facts.Prorogation(D("2031-12-31"))),
        avenant(2, "2026-04-01", facts.Prorogation(D("2033-12-31"))),
        signed("mjc", "p", "2026-04-01", 2),
        avenant(3, "2026-05-01", facts.Prorogation(D("XXXX"))),
    )
    assert effects(*life) == [
        [
            (
                "prorogation",
                before,
                after_,
                f"terme{NBSP}: «{NBSP}{before}{NBSP}» devient «{NBSP}{after_}{NBSP}»",
            )
        ]
        for before, after_ in (
            ("31 décembre 2029", "31 décembre 2031"),
            ("31 décembre 2031", "31 décembre 2033"),
            ("31 décembre 2031", "date inconnue"),
        )
    ]
    assert effects(OPENED, *life[1:3], avenant(1, "2026-03-01", facts.Prorogation(D("2031")))) == [
        [("prorogation", None, "2031", "prorogation jusqu’en 2031")]
    ]


def test_who_comes_and_who_goes_is_told() -> None:
    life = (*SIGNED, avenant(1, "2026-03-01", facts.Admission("agglo", "financeur"), facts.Withdrawal("mjc")))
    assert effects(*life) == [
        [
            ("admission", None, "financeur", "admission d’agglo comme financeur"),
            ("withdrawal", None, None, "retrait de mjc"),
        ]
    ]


def sets(number: int, on: str, cents: int, **who: Any) -> Line:
    change = facts.SubsidySet(
        **{"payer": "ville", "beneficiary": "mjc", "exercice": 2026, "amount_cents": cents, **who}
    )
    return avenant(number, on, change)


def test_a_subsidy_is_told_against_what_was_voted_or_set_before_it() -> None:
    gel = facts.SubsidyChanged(
        payer="ville", beneficiary="mjc", exercice=2026, amount_cents=70_00, reason="gel"
    )
    life = (
        *SIGNED,
        sets(5, "2026-05-20", 90_00, exercice=2027),
        sets(1, "2026-03-01", 50_00),
        voted(100_00, on="2026-03-20"),
        sets(2, "2026-04-01", 100_00),
        ("2026-04-02", gel),
        sets(3, "2026-05-01", 60_00),
        signed("ville", "maire", "2026-05-01", 3),
        sets(4, "2026-05-02", 80_00),
        sets(6, "2026-05-21", 95_00, exercice=2027),
    )
    plain = f"subvention de ville à mjc fixée à 50,00{NBSP}€, exercice 2026"
    assert effects(*life)[0] == [("subsidy", None, f"50,00{NBSP}€", plain)]
    assert effects(*life)[1] == [
        ("subsidy", f"100,00{NBSP}€", f"100,00{NBSP}€", plain.replace("50,00", "100,00"))
    ]
    assert effects(*life)[2] == [
        (
            "subsidy",
            f"70,00{NBSP}€",
            f"60,00{NBSP}€",
            (
                f"subvention de ville à mjc, exercice 2026{NBSP}: «{NBSP}70,00{NBSP}€{NBSP}» devient "
                f"«{NBSP}60,00{NBSP}€{NBSP}»"
            ),
        )
    ]
    # The third waits for a signature, so the fourth comes after what was voted; the sixth after the fifth.
    assert [one[0][1] for one in effects(*life)[3:]] == [f"70,00{NBSP}€", None, f"90,00{NBSP}€"]


def test_an_avenant_on_one_year_leaves_what_was_voted_of_another() -> None:
    life = (
        *SIGNED,
        voted(100_00, on="2026-03-20"),
        sets(1, "2026-04-01", 90_00, exercice=2027),
        sets(2, "2026-05-01", 80_00),
    )
    assert [one[0][1:3] for one in effects(*life)] == [
        (None, f"90,00{NBSP}€"),
        (f"100,00{NBSP}€", f"80,00{NBSP}€"),
    ]


def test_a_subsidy_is_set_once_all_have_signed() -> None:
    life = (*SIGNED, voted(100_00, on="2026-03-20"), sets(1, "2026-04-01", 80_00))
    one = signed("ville", "maire", "2026-04-01", 1)
    both = (one, signed("mjc", "p", "2026-05-01", 1))
    assert [
        money(told.live, told.life, told.on)[0].voted_cents
        for told in (knows(*life), knows(*life, one), knows(*life, *both))
    ] == [80_00, 100_00, 80_00]


def test_it_calls_institutions_by_the_names_they_bear() -> None:
    city = after(
        ("1990", facts.InstitutionRegistered(name="Ville de Besançon", kind="commune")),
        stream="institution/ville",
    )
    state = after(*SIGNED, sets(1, "2026-03-01", 50_00))
    (one,) = amendments.of(known.of(state, date(2026, 6, 1), [city]))  # type: ignore[arg-type]
    assert one.effects[0].says.startswith("subvention de la Ville de Besançon à mjc")
    forbids = [
        clause("5", "reversement", NoPassingOn("mjc")),
        changed(1, "2026-03-01", "5", "reversement", NoPassingOn("ville")),
    ]
    (one,) = amendments.of(known.of(after(*SIGNED, *forbids), date(2026, 6, 1), [city]))  # type: ignore[arg-type]
    assert one.differences[0].says == (
        f"art.{NBSP}5{NBSP}: «{NBSP}Reversement de la subvention à un tiers interdit à mjc{NBSP}» devient "
        f"«{NBSP}Reversement de la subvention à un tiers interdit à la Ville de Besançon{NBSP}»"
    )


# -- between some of the parties


PLAN = InstalmentPlan(
    payer="ville",
    beneficiary="mjc",
    instalments=(Instalment(key="a-1", label="acompte", due=Due(on=D("2026-02-01")), fixed_cents=1),),
)
OPEN_TO_TWO = Amending(by_avenant=True, bipartite_for=("5.1", "6"))
MAY = clause("7", "avenants", OPEN_TO_TWO)
OF_FOUR = (*SIGNED, AGGLO, clause("5.1", "subvention", PLAN))
ALONE: list[tuple[str, Line | None, facts.AnyChange, bool | None, str | None]] = [
    ("the article that may be", MAY, facts.ClauseChanged("5.1", "montant"), True, "7"),
    ("an alinéa of it", MAY, facts.ClauseChanged("5.1, al. 2", "montant"), True, "7"),
    ("the article that holds it", MAY, facts.ClauseChanged("5", "montant"), False, "7"),
    ("another one that may be", MAY, facts.ClauseChanged("6", "montant"), True, "7"),
    ("another article", MAY, facts.ClauseChanged("5.2", "montant"), False, "7"),
    ("the subsidy that it plans", MAY, facts.SubsidySet("ville", "mjc", 2026, 1), True, "7"),
    ("a subsidy nothing plans", MAY, facts.SubsidySet("ville", "agglo", 2026, 1), None, "7"),
    ("the term", MAY, facts.Prorogation(D("2031")), False, "7"),
    ("who is in it", MAY, facts.Admission("caf"), False, "7"),
    ("nothing is said", None, facts.ClauseChanged("5.1", "montant"), None, None),
    (
        "by avenant is all it says",
        clause("7", "avenants", Amending(by_avenant=True)),
        facts.ClauseChanged("5.1", "montant"),
        None,
        None,
    ),
    (
        "it is said later",
        changed(9, "2026-04-02", "7", "avenants", OPEN_TO_TWO),
        facts.ClauseChanged("5.1", "montant"),
        None,
        None,
    ),
]


@pytest.mark.parametrize(
    "says, change, allowed, by", [case[1:] for case in ALONE], ids=[case[0] for case in ALONE]
)
def test_two_parties_may_change_alone_what_the_text_lets_them(
    says: Line | None, change: facts.AnyChange, allowed: bool | None, by: str | None
) -> None:
    told = of(*OF_FOUR, *((says,) if says else ()), avenant(1, "2026-04-01", change, binds=BOTH))[0]
    assert (told.bipartite, told.allowed, told.allowed_by) == (True, allowed, by)


def test_of_several_changes_one_that_needs_all_makes_it_not_allowed() -> None:
    changes = (facts.ClauseChanged("5.1", "montant"), facts.Prorogation(D("2031")))
    assert of(*OF_FOUR, MAY, avenant(1, "2026-04-01", *changes, binds=BOTH))[0].allowed is False
    unplanned = (facts.ClauseChanged("5.1", "montant"), facts.SubsidySet("ville", "agglo", 2026, 1))
    assert of(*OF_FOUR, MAY, avenant(1, "2026-04-01", *unplanned, binds=BOTH))[0].allowed is None
    other_year = clause("5.1", "subvention", msgspec.structs.replace(PLAN, exercices=(2027,)))
    sets_ = avenant(1, "2026-04-01", facts.SubsidySet("ville", "mjc", 2026, 1), binds=BOTH)
    assert of(*SIGNED, AGGLO, other_year, MAY, sets_)[0].allowed is None


@pytest.mark.parametrize(
    "binds, lines, bipartite",
    [
        (ALL, (), False),
        (BOTH, (), True),
        (BOTH, (("2026-03-01", facts.PartyWithdrew(party="agglo")),), False),
        (BOTH, (("XXXX", facts.PartyWithdrew(party="agglo")),), False),
        (ALL, (("2026-03-01", facts.PartyJoined(institution="caf")),), True),
        (ALL, (("2026-04-02", facts.PartyJoined(institution="caf")),), False),
    ],
    ids=[
        "all",
        "two of three",
        "the third had left",
        "the third may have left",
        "a fourth had come",
        "it came later",
    ],
)
def test_it_is_between_some_parties_where_one_of_the_day_is_left_out(
    binds: tuple[str, ...], lines: tuple[Line, ...], bipartite: bool
) -> None:
    change = avenant(1, "2026-04-01", facts.ClauseChanged("5.2", "montant"), binds=binds)
    told = of(*OF_FOUR, MAY, *lines, change)[0]
    assert (told.bipartite, told.allowed) == (bipartite, not bipartite)
    assert told.allowed_by == ("7" if bipartite else None)


# -- whatever the order


LIFE: tuple[Line, ...] = (
    changed(1, "2026-02-01", "5", "autrement"),
    changed(2, "2026-03-01", "5", "encore"),
    signed("ville", "maire", "2026-02-01", 1),
    signed("mjc", "p", "2026-02-02", 1),
    signed("ville", "maire", "2026-03-01", 2),
    slip("5", "2026-02-15"),
    avenant(3, "2026-04-01", facts.Prorogation(D("2031-12-31")), facts.SubsidySet("ville", "mjc", 2026, 5)),
)


def plain(told: Known) -> Any:
    """The text and the amendments without the places of recording, which the order of arrival decides."""
    lines = [
        (*reads((line,)), line.term, [(one.reads, one.come) for one in line.corrections])
        for line in text.side_by_side(told.clauses, told.pending)
    ]
    each = [
        (
            one.number,
            one.complete,
            one.awaiting,
            [difference.says for difference in one.differences],
            [effect.says for effect in one.effects],
        )
        for one in amendments.of(told)
    ]
    return lines, each


def test_every_order_of_arrival_gives_the_same_text() -> None:
    for on in ("2026-02-01", "2026-02-20", "2026-06-01"):
        expected = plain(knows(*SIGNED, STATED, *LIFE, on=on))
        for order in itertools.permutations(LIFE, len(LIFE)):
            if random.Random(str(order)).random() < 0.02:
                assert plain(knows(*SIGNED, STATED, *order, on=on)) == expected


CHANGES: st.SearchStrategy[facts.AnyChange] = st.sampled_from(
    (
        facts.ClauseChanged("5", "a"),
        facts.ClauseChanged("5", "b", NoPeriod()),
        facts.ClauseChanged("6", "c"),
        facts.Prorogation(D("2031-12-31")),
        facts.SubsidySet("ville", "mjc", 2026, 7),
        facts.Admission("agglo"),
    )
)
DAYS = st.dates(date(2026, 1, 1), date(2026, 12, 31)).map(date.isoformat) | st.sampled_from(
    ("XXXX", "2026-05")
)


@st.composite
def lives(draw: st.DrawFn) -> list[Line]:
    lines: list[Line] = []
    # Of two avenants of one day the one recorded last reads: an order of arrival that counts, so none here.
    for number, on in enumerate(draw(st.lists(DAYS, unique=True, max_size=4)), 1):
        lines.append(avenant(number, on, *draw(st.lists(CHANGES, min_size=1, max_size=3))))
        signing = draw(st.sets(st.sampled_from(BOTH)))
        lines.extend(signed(party, "un", draw(DAYS), number) for party in sorted(signing))
    return draw(st.permutations(lines))


@settings(max_examples=80)
@given(lives(), st.randoms(use_true_random=False), st.dates(date(2026, 1, 1), date(2026, 12, 31)))
def test_whatever_the_order_the_text_and_what_changed_it_are_the_same(
    lines: list[Line], rng: random.Random, on: date
) -> None:
    one, other = (
        plain(knows(*SIGNED, STATED, *arrived, on=on.isoformat()))
        for arrived in (lines, rng.sample(lines, len(lines)))
    )
    assert one == other


@settings(max_examples=80)
@given(lives(), st.lists(CHANGES, min_size=1, max_size=3))
def test_what_is_to_come_changes_nothing(lines: list[Line], changes: list[facts.AnyChange]) -> None:
    before = knows(*SIGNED, STATED, *lines)
    later = knows(
        *SIGNED,
        STATED,
        *lines,
        avenant(9, "2026-06-02", *changes),
        signed("ville", "maire", "2026-06-02", 1),
        slip("5", "2026-06-02"),
    )
    assert (later.clauses, later.pending) == (before.clauses, before.pending)
    assert amendments.of(later) == amendments.of(before)
    assert later.life.ends_on(before.on) == before.life.ends_on(before.on)


@given(st.lists(st.sampled_from((STATED, clause("6", "bilan"), MAY)), max_size=3), lives())
def test_no_avenant_changes_nothing_and_the_rest_of_the_text_stands(
    stated: list[Line], lines: list[Line]
) -> None:
    bare = knows(OPENED, *stated)
    assert (amendments.of(bare), bare.pending) == ((), ())
    told = knows(*SIGNED, *stated, *lines, on="2026-12-31")
    touched = {
        change.article
        for line in lines
        for change in getattr(line[1], "changes", ())
        if isinstance(change, facts.ClauseChanged)
    }
    rest = [line for line in reads(bare.clauses) if line[0] not in touched]
    assert [line for line in reads(told.clauses) if line[0] not in {*touched, "10"}] == rest


@settings(max_examples=80)
@given(lives())
def test_the_differences_told_lead_from_the_first_text_to_the_last(lines: list[Line]) -> None:
    """Each avenant in force applied in turn to the instrument's own text gives the text in force."""
    told = knows(*SIGNED, STATED, *lines, on="2026-12-31")
    articles: dict[str, tuple[ClauseLine, ...]] = {
        line.article: (line,) for line in knows(*SIGNED, STATED, on="2026-12-31").clauses
    }
    for one in amendments.of(told):
        for difference in one.differences:
            assert difference.before == articles.get(difference.article, ())
            if one.complete is not False:
                articles[difference.article] = difference.after
    lines_ = [line for each in articles.values() for line in each]
    assert sorted(reads(tuple(lines_))) == sorted(reads(told.clauses))
