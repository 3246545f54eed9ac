"""Every fact and every term has words that an elected official can read."""

import re
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from contracts import dates
from contracts.dates import PartialDate
from contracts.envelope import decode_fact
from contracts.events import (
    EVENTS,
    Basis,
    ClauseStated,
    DeliberationAdopted,
    Event,
    Indicator,
    InstitutionRegistered,
    NameChanged,
    PartyListed,
    PaymentMade,
    SignatureAffixed,
    Source,
    SubsidyVoted,
    Votes,
)
from contracts.terms import (
    AnyTerm,
    Delay,
    Denunciation,
    Due,
    EachYear,
    FixedPeriod,
    Instalment,
    InstalmentPlan,
    NoPassingOn,
    Share,
)
from services.domain import agrement, coverage, findings, french, obligations, phase, schedule
from services.domain.exits import endings, exit_ways, notices
from services.domain.obligations import meetings

NBSP = "\N{NO-BREAK SPACE}"
THIN = "\N{NARROW NO-BREAK SPACE}"

NAMES = {
    "ville": "Ville de Besançon",
    "ccas": "CCAS de Besançon",
    "etat": "État",
    "francas": "Francas du Doubs",
    "gbm": "Grand Besançon Métropole",
    "mjc": "MJC Besançon / Clairs-Soleils",
}

SLUG = "un-nom-court"
ALL_NAMES = {
    SLUG: "Ville de Besançon",
    f"convention/{SLUG}": "Charte de 2014",
    f"#{SLUG}": "commission de suivi",
}

WELL_FORMED = {"siren": "212500565", "siret": "21250056500016", "rna": "W251000001", "value": "212500565"}
"""What a generator of words cannot guess: identifiers with a key."""


def examples(wanted: Any, *, full: bool, name: str = "") -> Iterator[Any]:
    """JSON values of the type *wanted*, with every optional field or none; each word of a Literal in turn."""
    match wanted:
        case msgspec.inspect.Metadata(type=inner):
            yield from examples(inner, full=full, name=name)
        case msgspec.inspect.StructType():
            yield from struct_examples(wanted, full=full)
        case msgspec.inspect.UnionType(types=types):
            kinds = [kind for kind in types if not isinstance(kind, msgspec.inspect.NoneType)]
            for kind in kinds:
                yield from examples(kind, full=full, name=name)
        case msgspec.inspect.LiteralType(values=values):
            yield from values
        case msgspec.inspect.VarTupleType(item_type=item) | msgspec.inspect.ListType(item_type=item):
            yield from ([value] for value in examples(item, full=full, name=name))
        case msgspec.inspect.TupleType(item_types=items):
            yield [next(examples(item, full=full)) for item in items]
        case msgspec.inspect.IntType():
            least = max(wanted.ge or 0, 1)
            yield 1_500 if name == "value" else least if wanted.le is None else min(least, wanted.le)
        case msgspec.inspect.BoolType():
            yield from (True, False)
        case msgspec.inspect.CustomType():
            yield "2026-04-01"
        case msgspec.inspect.StrType():
            yield string(wanted, name)
        case _:
            raise AssertionError(wanted)


def string(wanted: msgspec.inspect.StrType, name: str) -> str:
    if name in ("acte", "siren", "siret", "rna"):
        return {**WELL_FORMED, "acte": "025-212500565-20251203-D12-DE"}[name]
    if wanted.pattern is None:
        return WELL_FORMED["value"] if name == "value" else f"un mot pour {name}"
    return "a" * 64 if "64" in wanted.pattern else "AGC" if "A-Z" in wanted.pattern else SLUG


def struct_examples(wanted: msgspec.inspect.StructType, *, full: bool) -> Iterator[dict[str, Any]]:
    if wanted.cls is Due:
        for field in wanted.fields:
            yield {field.encode_name: next(examples(field.type, full=full, name=field.encode_name))}
        return
    fields = [field for field in wanted.fields if field.required or full]
    columns = {
        field.encode_name: list(examples(field.type, full=full, name=field.encode_name)) for field in fields
    }
    base = {wanted.tag_field: wanted.tag} if wanted.tag_field else {}
    first = {name: values[0] for name, values in columns.items()}
    for name, values in columns.items() or {"": [None]}.items():
        for value in values:
            made = {**base, **first, name: value} if name else base
            # An instalment is fixed or a share, not both; and a share takes off none that comes later.
            left_out = {Instalment: ("share",), Share: ("minus", "less")}.get(wanted.cls, ())
            yield {name: value for name, value in made.items() if name not in left_out}


def facts() -> Iterator[Event]:
    for tag, kind in EVENTS.items():
        made = 0
        info = msgspec.inspect.type_info(kind)
        for full in (False, True):
            for data in examples(info, full=full):
                if tag == "institution.identifier-recorded.v1":
                    data["value"] = WELL_FORMED[data["scheme"]]
                yield decode_fact(tag, msgspec.json.encode(data))
                made += 1
        assert made, tag


def terms() -> Iterator[AnyTerm]:
    for kind in AnyTerm.__args__:
        for full in (False, True):
            for data in examples(msgspec.inspect.type_info(kind), full=full):
                yield msgspec.convert(data, kind, dec_hook=dates.decode)


def assert_reads_well(text: str) -> None:
    assert text
    assert text[0] == text[0].upper()
    assert not text.endswith((".", ":", ",", " "))
    for wrong in ("None", "PartialDate", "Struct", "True", "False", "('", "['", "{", "()", "  ", " ,", "’ "):
        assert wrong not in text, text
    # A plain space may break the line, and these marks must not begin one.
    assert not re.search(r" [:;?!»€]", text), text
    assert "« " not in text
    assert "n° " not in text


def test_every_fact_has_a_sentence_without_a_trace_of_the_program() -> None:
    told = set()
    for fact in facts():
        assert_reads_well(french.sentence(fact, ALL_NAMES))
        told.add(fact.TYPE)
    assert told == set(EVENTS)


def test_every_term_has_words_without_a_trace_of_the_program() -> None:
    told = set()
    for term in terms():
        assert_reads_well(french.term_in_words(term, ALL_NAMES))
        told.add(type(term))
    assert told == set(AnyTerm.__args__)


def test_a_sentence_says_the_name_and_not_the_slug() -> None:
    for fact in facts():
        assert SLUG not in french.sentence(fact, ALL_NAMES)


def hint(kind: type, field: str) -> Any:
    """The words that a field of a struct may be."""
    return get_type_hints(kind)[field]


@pytest.mark.parametrize(
    "table, words",
    [
        (french.PHASES, phase.Phase),
        (french.STANDINGS, agrement.Standing),
        (french.GAPS, coverage.Reason),
        (french.PRECISIONS, dates.Precision),
        (french.INSTALMENT_KINDS, hint(schedule.InstalmentLine, "kind")),
        (french.INSTALMENT_STATES, schedule.InstalmentState),
        (french.OBLIGATION_STATES, obligations.ObligationState),
        (french.MEETING_STATES, hint(meetings.MeetingsLine, "state")),
        (french.EXITS, hint(exit_ways.ExitWay, "kind")),
        (french.NOTICE_STATES, hint(notices.NoticeCourse, "state")),
        (french.ENDS, hint(endings.EndLine, "kind")),
        (french.FINDING_SEVERITIES, hint(findings.Finding, "severity")),
    ],
)
def test_every_word_of_the_program_has_its_french(table: dict[str, str], words: Any) -> None:
    assert set(table) == set(get_args(words))


def test_a_fact_with_all_its_details_says_more_than_the_bare_one() -> None:
    bare = SignatureAffixed(
        party="ville", signatory="maire", capacity="la Maire", basis=Basis(kind="unstated")
    )
    full = SignatureAffixed(
        party="ville",
        signatory="maire",
        capacity="la Maire",
        basis=Basis(kind="deliberation", reference="12", on=PartialDate("2025-12-04")),
        mode="electronique",
        avenant="2",
    )
    assert (
        french.sentence(bare, NAMES)
        == "Signature pour la Ville de Besançon par la Maire (pouvoir non précisé)"
    )
    assert french.sentence(full, NAMES) == (
        f"Signature électronique de l’avenant n°{NBSP}2 pour la Ville de Besançon par la Maire "
        f"(délibération n°{NBSP}12, le 4 décembre 2025)"
    )


def test_money_is_told_with_who_pays_whom_and_for_which_year() -> None:
    paid = PaymentMade(
        payer="ville",
        beneficiary="mjc",
        key="p1",
        exercice=2026,
        amount_cents=8_100_000,
        instalment="acompte-1",
    )
    assert french.sentence(paid, {**NAMES, "#acompte-1": "premier acompte"}) == (
        f"Paiement de 81{THIN}000,00{NBSP}€ par la Ville de Besançon à la MJC Besançon / Clairs-Soleils, "
        "exercice 2026 (premier acompte)"
    )
    voted = SubsidyVoted(payer="ccas", beneficiary="francas", exercice=2026, amount_cents=1)
    assert french.sentence(voted, NAMES) == (
        "Subvention de fonctionnement votée par le CCAS de Besançon aux Francas du Doubs, exercice 2026"
        f"{NBSP}: 0,01{NBSP}€"
    )


@pytest.mark.parametrize(
    "slug, the, of, to",
    [
        ("ville", "la Ville de Besançon", "de la Ville de Besançon", "à la Ville de Besançon"),
        ("ccas", "le CCAS de Besançon", "du CCAS de Besançon", "au CCAS de Besançon"),
        ("etat", "l’État", "de l’État", "à l’État"),
        ("francas", "les Francas du Doubs", "des Francas du Doubs", "aux Francas du Doubs"),
        ("gbm", "Grand Besançon Métropole", "de Grand Besançon Métropole", "à Grand Besançon Métropole"),
        ("unnamed", "unnamed", "d’unnamed", "à unnamed"),
    ],
)
def test_names_take_their_article_and_preposition(slug: str, the: str, of: str, to: str) -> None:
    names = french.Names(NAMES)
    assert (names.the(slug), names.of(slug), names.to(slug)) == (the, of, to)


def test_a_name_that_begins_with_its_article_keeps_it() -> None:
    names = french.Names({"x": "Les Francas", "y": "Le Relais", "z": "l'Escale"})
    assert [names.of("x"), names.to("y"), names.the("y")] == ["des Francas", "au Relais", "le Relais"]
    assert [names.the("z"), names.of("z"), names.to("z")] == ["l’Escale", "de l’Escale", "à l’Escale"]


@pytest.mark.parametrize(
    "cents, words",
    [
        (8_100_000, f"81{THIN}000,00{NBSP}€"),
        (5, f"0,05{NBSP}€"),
        (-1_200_000, f"\N{MINUS SIGN}12{THIN}000,00{NBSP}€"),
        (123_456_789_01, f"123{THIN}456{THIN}789,01{NBSP}€"),
        (0, f"0,00{NBSP}€"),
    ],
)
def test_amounts_are_written_the_french_way(cents: int, words: str) -> None:
    assert french.euros(cents) == words


@pytest.mark.parametrize(
    "text, words, until, since",
    [
        ("2025-12-04", "le 4 décembre 2025", "jusqu’au 4 décembre 2025", "à compter du 4 décembre 2025"),
        ("2026-01-01", "le 1er janvier 2026", "jusqu’au 1er janvier 2026", "à compter du 1er janvier 2026"),
        ("2023-03", "en mars 2023", "jusqu’en mars 2023", "à compter de mars 2023"),
        ("2023-08", "en août 2023", "jusqu’en août 2023", "à compter d’août 2023"),
        ("2014-36", "au 4e trimestre 2014", "jusqu’au 4e trimestre 2014", "à compter du 4e trimestre 2014"),
        (
            "2014-33",
            "au 1er trimestre 2014",
            "jusqu’au 1er trimestre 2014",
            "à compter du 1er trimestre 2014",
        ),
        ("2014", "en 2014", "jusqu’en 2014", "à compter de 2014"),
        (
            "XXXX",
            "date inconnue (laissée en blanc)",
            "jusqu’à une date inconnue",
            "à compter d’une date inconnue",
        ),
    ],
)
def test_partial_dates_are_said_as_precisely_as_they_are_known(
    text: str, words: str, until: str, since: str
) -> None:
    when = PartialDate(text)
    assert french.day_in_words(when) == words
    assert french.until_in_words(when) == until
    assert french.from_in_words(when) == since


@pytest.mark.parametrize(
    "first, last, words",
    [
        ("2025-01-01", "2029-12-31", "du 1er janvier 2025 au 31 décembre 2029"),
        ("2015", "2017", "de 2015 à 2017"),
        ("2023-10", "2025-36", "d’octobre 2023 au 4e trimestre 2025"),
        ("2014", "2014", "en 2014"),
        ("2023-07-10", "XXXX", "à compter du 10 juillet 2023, jusqu’à une date inconnue"),
    ],
)
def test_a_period_names_both_ends(first: str, last: str, words: str) -> None:
    assert french.period_in_words(PartialDate(first), PartialDate(last)) == words


def test_votes_give_only_the_figures_of_the_paper() -> None:
    assert french.votes_in_words(Votes()) == ""
    assert french.votes_in_words(Votes(in_office=17, present=10, proxies=1, unanimous=True)) == (
        "17 membres en exercice, 10 présents, 1 pouvoir, à l’unanimité"
    )
    assert french.votes_in_words(Votes(votes_for=3, votes_against=0, abstentions=2, unanimous=False)) == (
        "3 voix pour, 0 voix contre, 2 abstentions, sans unanimité"
    )


def test_a_payment_plan_shows_its_formula() -> None:
    plan = InstalmentPlan(
        payer="ville",
        beneficiary="mjc",
        instalments=(
            Instalment(
                key="a1",
                label="premier acompte",
                due=Due(each_year=EachYear(month=2)),
                share=Share(numerator=1, denominator=3, exercice_offset=-1),
            ),
            Instalment(
                key="a2",
                label="second acompte",
                due=Due(each_year=EachYear(month=5)),
                share=Share(numerator=1, denominator=2, minus=("a1",)),
                fallback=Share(numerator=1, denominator=3, exercice_offset=-1),
            ),
            Instalment(
                key="solde", label="solde", due=Due(each_year=EachYear(month=8, day=15, inclusive=False))
            ),
        ),
    )
    names = {**NAMES, "#a1": "premier acompte"}
    assert french.term_in_words(plan, names) == french.typeset(
        "Versement de la subvention par la Ville de Besançon à la MJC Besançon / Clairs-Soleils : "
        "premier acompte, en février : un tiers de la subvention de l’exercice précédent ; "
        "second acompte, en mai : la moitié de la subvention de l’exercice, déduction faite de : premier "
        "acompte (à défaut de vote : un tiers de la subvention de l’exercice précédent) ; "
        "solde, avant le 15 août : ce qui reste dû"
    )


def test_terms_say_their_days_and_delays() -> None:
    period = FixedPeriod(starts_on=PartialDate("2025-01-01"), ends_on=PartialDate("2029-12-31"))
    assert french.term_in_words(period) == (f"Durée{NBSP}: du 1er janvier 2025 au 31 décembre 2029 inclus")
    leaving = Denunciation(
        form="lettre recommandée avec avis de réception",
        notice=Delay(count=3, unit="month", anchor="l’échéance", direction="before"),
        at_anniversary=True,
        to_all_others=True,
    )
    assert french.term_in_words(leaving) == french.typeset(
        "Dénonciation possible par chaque partie à chaque échéance anniversaire, notifiée à toutes les "
        "autres parties par lettre recommandée avec avis de réception, 3 mois avant : l’échéance"
    )


def test_a_declared_figure_is_read_in_its_unit() -> None:
    cases = {
        Indicator("effectif", 12_500, "thousandths-of-fte"): "effectif : 12,5 équivalent temps plein",
        Indicator("adhérents", 1_428, "persons"): f"adhérents : 1{THIN}428 personnes",
        Indicator("charges", -5_00, "cents", "n-1"): (
            f"charges (budget de l’exercice précédent) : \N{MINUS SIGN}5,00{NBSP}€"
        ),
        Indicator("taux", 2_000, "thousandths"): "taux : 2",
        Indicator("familles", 1, "families"): "familles : 1 famille",
    }
    for indicator, words in cases.items():
        assert french.indicator_in_words(indicator) == words


def test_a_source_is_cited_with_article_and_line() -> None:
    source = Source(document="Convention-cadre", article="7.2", line=310)
    assert french.source_in_words(source) == f"Convention-cadre, art.{NBSP}7.2, ligne 310"


def test_names_come_from_the_facts_and_the_registered_one_wins() -> None:
    day = PartialDate("2025-12-03")
    adopted = DeliberationAdopted(
        institution="gbm", organ="conseil communautaire", key="cc", about="signature", reference="7"
    )
    names = french.names_from(
        [
            ("institution/mjc", day, InstitutionRegistered(name="MJC de Besançon", kind="association")),
            ("institution/mjc", day, NameChanged(name="MJC Besançon / Clairs-Soleils")),
            ("convention/c", day, PartyListed(institution="mjc", written_as="la MJC")),
            ("convention/c", day, PartyListed(institution="gbm", written_as="Grand Besançon")),
            ("convention/c", day, adopted),
        ]
    )
    assert names == {
        "mjc": "MJC Besançon / Clairs-Soleils",
        "gbm": "Grand Besançon",
        "#cc": "délibération n° 7 (conseil communautaire, 3 décembre 2025)",
    }


def test_every_institution_that_a_fact_names_is_found_in_its_parts_too() -> None:
    for fact in facts():
        named = SLUG in french.sentence(fact, {f"#{SLUG}": "x", f"convention/{SLUG}": "y"})
        assert not named or french.institutions_in(fact) == {SLUG}, fact
    joined = ClauseStated(article="7", about="reversement", term=NoPassingOn(beneficiary="mjc"))
    assert french.institutions_in(joined) == {"mjc"}


@pytest.mark.parametrize(
    "what, words",
    [
        ("le poste d’animation", "au poste d’animation"),
        ("les centres sociaux", "aux centres sociaux"),
        ("la MJC", "à la MJC"),
        ("chaque centre social", "à chaque centre social"),
        ("le", "à le"),
    ],
)
def test_the_article_of_what_something_is_for_joins_its_preposition(what: str, words: str) -> None:
    assert french.to_in_words(what) == words
