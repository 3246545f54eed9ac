"""
The five papers as transcribed, against a table of their figures made apart from the files.

Independent of services/: each file is read with PyYAML, each fact decoded by the contracts.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import yaml

from contracts.commands import FACTS_MAX, REQUEST_BYTES_MAX
from contracts.dates import PartialDate
from contracts.envelope import decode_fact
from contracts.events import EVENTS, AnyChange, AvenantConcluded, ClauseStated, Event, field_of
from contracts.institutions import check_siren
from contracts.subjects import parse_stream
from contracts.terms import AnyTerm

DEMO = Path(__file__).parents[2] / "deploy" / "demo"
CHARTE, PACTE, MJC, DEPARTEMENT, CARSAT = (
    "charte-besancon-2014",
    "pacte-chambery-2023",
    "mjc-clairs-soleils-2026",
    "convention-departementale-2015",
    "carsat-sud-est-2014",
)
REAL = (CHARTE, PACTE, MJC, DEPARTEMENT, CARSAT)
FICTIF = "mjc-cas-fictif"
FICTIFS = (FICTIF, "departement-cas-fictif")
ALL = (*REAL, *FICTIFS)
AGENT = "registre-instruction"
PREDECESSOR = "convention/mjc-clairs-soleils-precedente"

Mapping = dict[str, Any]


class Reader(yaml.SafeLoader):
    """YAML with plain integers and booleans; everything else stays text; a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        twice = [key for key, count in Counter(keys).items() if count > 1]
        assert not twice, f"{node.start_mark}: key {twice} is given twice"
        return super().construct_mapping(node, deep=deep)


Reader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.endswith((":int", ":bool"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def path_of(dossier: str) -> Path:
    return DEMO / ("cas-fictifs" if dossier in FICTIFS else "dossiers") / f"{dossier}.yaml"


@cache
def load(dossier: str) -> Mapping:
    with path_of(dossier).open(encoding="utf-8") as file:
        # Reader is a SafeLoader: it builds text, integers, booleans, lists and mappings only.
        loaded: Mapping = yaml.load(file, Reader)
    return loaded


def declared(dossier: str) -> Iterator[tuple[str, Mapping]]:
    """Every fact of a dossier as written, with the stream it goes to."""
    for command in load(dossier)["commands"]:
        for fact in command["facts"]:
            yield command["stream"], fact


def data_of(fact: Mapping) -> Mapping:
    """What a fact says; the entry that it names by the fact that made it has no position in a file."""
    return {"entry": 1, **fact["data"]} if "entry_of" in fact else fact["data"]


@cache
def decoded(dossier: str) -> tuple[tuple[str, Mapping, Event], ...]:
    """Every fact of a dossier: its stream, as written, as the contracts read it."""
    return tuple(
        (stream, fact, decode_fact(fact["type"], msgspec.json.encode(data_of(fact))))
        for stream, fact in declared(dossier)
    )


def within(wanted: Any, given: Any) -> bool:
    """Whether *given* says all that *wanted* says, and perhaps more."""
    if isinstance(wanted, dict):
        return isinstance(given, dict) and all(
            key in given and within(value, given[key]) for key, value in wanted.items()
        )
    return bool(wanted == given)


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield key
            yield from texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts(part)
    elif isinstance(value, str):
        yield value


def clauses(dossier: str) -> list[Mapping]:
    return [fact["data"] for _, fact in declared(dossier) if fact["type"] == ClauseStated.TYPE]


# -- the files


def test_there_are_five_dossiers_and_two_cas_fictifs() -> None:
    assert {path.stem for path in (DEMO / "dossiers").glob("*.y*ml")} == set(REAL)
    assert {path.stem for path in (DEMO / "cas-fictifs").glob("*.y*ml")} == set(FICTIFS)


@pytest.mark.parametrize("dossier", ALL)
def test_a_dossier_says_what_it_is(dossier: str) -> None:
    head = load(dossier)
    assert set(head) == {"dossier", "title", "origin", "recorded_by", "prepared_at", "commands"}
    assert head["dossier"] == dossier
    assert head["recorded_by"] == AGENT
    assert head["origin"] == ("registre.cas-fictifs" if dossier in FICTIFS else "registre.demo")
    assert re.fullmatch(r"2026-11-\d\dT\d\d:\d\d:\d\dZ", head["prepared_at"])
    assert f"convention/{dossier}" in {stream for stream, _ in declared(dossier)}
    assert head["commands"][0]["stream"] == f"institution/{AGENT}"


@pytest.mark.parametrize("dossier", ALL)
def test_every_fact_is_in_the_shape_of_the_contracts(dossier: str) -> None:
    for stream, fact, read in decoded(dossier):
        assert set(fact) - {"entry_of"} <= {"type", "effective_on", "on_behalf_of", "data"}, fact
        assert isinstance(fact["effective_on"], str), f"{fact['type']}: quote the year {fact['effective_on']}"
        PartialDate(fact["effective_on"])
        category, _ = parse_stream(stream)
        group = read.TYPE.partition(".")[0]
        assert group == category or group in {"piece", "contradiction", "entry"}, (stream, read.TYPE)
        assert ("entry_of" in fact) == (group == "entry"), "a file cannot know a position"
        assert "entry" not in fact["data"]


@pytest.mark.parametrize("dossier", ALL)
def test_a_command_has_a_key_of_its_own_one_stream_and_a_size_that_is_taken(dossier: str) -> None:
    commands = load(dossier)["commands"]
    optional = {"sent_at", "recorded_by"} if dossier in FICTIFS else set()
    assert all(set(command) - optional == {"key", "stream", "facts"} for command in commands)
    keys = Counter(command["key"] for command in commands)
    assert [key for key, count in keys.items() if count > 1] == []
    for command in commands:
        assert 1 <= len(command["facts"]) <= FACTS_MAX, command["key"]
        assert len(msgspec.json.encode(command["facts"])) < REQUEST_BYTES_MAX / 2, command["key"]


@pytest.mark.parametrize("dossier", ALL)
def test_an_act_recorded_for_another_says_for_whom(dossier: str) -> None:
    for stream, fact, read in decoded(dossier):
        author = field_of(read, read.AUTHOR)
        # Whether it stands by an entry, an institution says itself.
        itself = read.TYPE in {"entry.confirmed.v1", "entry.contested.v1"}
        wanted = None if itself or author in {None, AGENT} else author
        assert fact.get("on_behalf_of") == wanted, (stream, fact)


@pytest.mark.parametrize("dossier", ALL)
def test_every_fact_cites_its_source(dossier: str) -> None:
    for _, fact, read in decoded(dossier):
        claims = getattr(read, "claims", ())
        assert read.source is not None or (claims and all(claim.source for claim in claims)), fact


@pytest.mark.parametrize("dossier", ALL)
def test_institutions_are_registered_before_anything_names_them(dossier: str) -> None:
    registered: set[str] = set()
    for stream, fact, read in decoded(dossier):
        if read.TYPE == "institution.registered.v1":
            registered.add(stream.removeprefix("institution/"))
        for field in ("institution", "party", "by", "to", "payer", "beneficiary", "holder", "granted_by"):
            named = fact["data"].get(field)
            if isinstance(named, str) and read.TYPE not in {
                "convention.appeal-lodged.v1",
                "convention.subsidy-pledged.v1",
            }:
                assert named in registered, (stream, fact)


@pytest.mark.parametrize("dossier", ALL)
def test_an_instrument_states_an_article_once(dossier: str) -> None:
    articles = Counter(
        (stream, fact["data"]["article"])
        for stream, fact in declared(dossier)
        if fact["type"] == ClauseStated.TYPE
    )
    assert [article for article, count in articles.items() if count > 1] == []


def test_what_is_common_to_two_dossiers_is_said_word_for_word() -> None:
    said: dict[tuple[str, str, str], Mapping] = {}
    shared = 0
    for dossier in REAL:
        for stream, fact in declared(dossier):
            if stream.startswith("institution/"):
                name = fact["data"].get("alias") or fact["data"].get("value") or ""
                earlier = said.setdefault((stream, fact["type"], name), fact)
                shared += earlier is not fact
                assert earlier == fact
    assert shared >= 15  # the agent four more times, and seven institutions of Besançon with their aliases


# -- what the papers say: a table made from the papers, not from the files

FIGURES: tuple[tuple[str, str, str, Mapping], ...] = (
    # Charte of Besançon, 2014
    (CHARTE, "convention.opened.v1", "2014", {"nature": "charte", "force": "engagement-de-principe"}),
    (
        CHARTE,
        "convention.deliberation-adopted.v1",
        "XXXX",
        {
            "institution": "ville-besancon",
            "votes": {"unanimous": True},
            "authorises": "le Maire ou l'Adjoint délégué",
        },
    ),
    (CHARTE, "convention.acte-received.v1", "2014-07-18", {"institution": "ville-besancon"}),
    # Pacte of Chambéry, 2023
    (PACTE, "institution.registered.v1", "XXXX", {"kind": "commune", "siren": "217300656"}),
    (PACTE, "convention.deliberation-convened.v1", "2023-06-30", {"session_on": "2023-07-10"}),
    (
        PACTE,
        "convention.deliberation-adopted.v1",
        "2023-07-10",
        {
            "institution": "ville-chambery",
            "reference": "DCM-2023-117",
            "votes": {"in_office": 45, "present": 32, "proxies": 13, "unanimous": True},
        },
    ),
    (
        PACTE,
        "convention.acte-transmitted.v1",
        "2023-07-11",
        {"acte": "073-217300656-20230710-lmc1H29669H1-DE"},
    ),
    (PACTE, "convention.acte-received.v1", "2023-07-11", {}),
    (PACTE, "convention.acte-published.v1", "2023-07-11", {"until": "2023-09-11"}),
    (PACTE, "convention.deliberation-adopted.v1", "2023-03-15", {"institution": "aqcvc-chambery"}),
    (PACTE, "convention.deliberation-adopted.v1", "2023-03", {"institution": "csc-moulins"}),
    (PACTE, "convention.deliberation-adopted.v1", "2023-04", {"institution": "csa-biollay"}),
    (PACTE, "convention.mentioned.v1", "2022-05-31", {}),
    (PACTE, "convention.mentioned.v1", "2022-06-16", {}),
    (PACTE, "convention.mentioned.v1", "2022-07-05", {}),
    (PACTE, "convention.mentioned.v1", "2022-10-07", {}),
    (PACTE, "convention.mentioned.v1", "2023-01-23", {}),
    (PACTE, "convention.mentioned.v1", "2023-02-28", {}),
    (PACTE, "convention.clause-stated.v1", "2023-07-10", {"term": {"kind": "period-from", "months": 24}}),
    (
        PACTE,
        "convention.clause-stated.v1",
        "2023-07-10",
        {
            "article": "6",
            "term": {
                "kind": "denunciation",
                "notice": {"count": 3, "unit": "month", "direction": "before"},
                "at_anniversary": True,
                "to_all_others": True,
            },
        },
    ),
    (
        PACTE,
        "convention.clause-stated.v1",
        "2023-07-10",
        {
            "term": {
                "kind": "advance-plan",
                "payer": "ville-chambery",
                "share": {"numerator": 30, "denominator": 100, "exercice_offset": -1},
            }
        },
    ),
    (
        PACTE,
        "convention.admission-requested.v1",
        "2023-07-10",
        {"condition": "obtention de l'agrément centre social"},
    ),
    # Convention-cadre of the MJC, and the one before it
    (MJC, "institution.registered.v1", "XXXX", {"kind": "ccas", "siren": "262500564"}),
    (MJC, "institution.identifier-recorded.v1", "XXXX", {"scheme": "siren", "value": "212500565"}),
    (MJC, "convention.opened.v1", "2025-01-01", {"copies": 4, "succeeds": "mjc-clairs-soleils-precedente"}),
    (
        MJC,
        "convention.deliberation-adopted.v1",
        "2025-12-03",
        {
            "institution": "ccas-besancon",
            "reference": "Question n° 17",
            "votes": {"in_office": 17, "present": 10, "proxies": 2, "unanimous": True},
        },
    ),
    (MJC, "convention.deliberation-convened.v1", "2025-11-26", {"session_on": "2025-12-03"}),
    (MJC, "convention.acte-received.v1", "2025-12-05", {"acte": "025-262500564-20251203-D00198310-DE"}),
    (MJC, "convention.acte-transmitted.v1", "XXXX", {"acte": "025-262500564-20251203-D00198310-DE"}),
    (MJC, "convention.authority-recorded.v1", "2025-12-03", {"party": "ccas-besancon", "established": True}),
    (
        MJC,
        "convention.authority-recorded.v1",
        "2025-12-04",
        {"party": "ville-besancon", "established": False},
    ),
    (
        MJC,
        "convention.authority-recorded.v1",
        "2025-12-11",
        {"party": "grand-besancon-metropole", "established": False},
    ),
    (MJC, "convention.authority-recorded.v1", "XXXX", {"party": "mjc-clairs-soleils", "established": False}),
    (MJC, "convention.deliberation-adopted.v1", "2024-12-12", {"institution": "ville-besancon"}),
    (MJC, "convention.deliberation-adopted.v1", "2024-12-04", {"institution": "ccas-besancon"}),
    (MJC, "convention.deliberation-adopted.v1", "2024-12-19", {"institution": "grand-besancon-metropole"}),
    (
        MJC,
        "convention.clause-stated.v1",
        "2025-01-01",
        {"term": {"kind": "fixed-period", "starts_on": "2025-01-01", "ends_on": "2029-12-31"}},
    ),
    (
        MJC,
        "convention.clause-stated.v1",
        "2025-01-01",
        {"article": "11.1", "term": {"kind": "termination", "cure": {"count": 3, "unit": "month"}}},
    ),
    (MJC, "convention.republican-commitment-noted.v1", "2025-01-01", {"manner": "repute-satisfait"}),
    (MJC, "convention.mentioned.v1", "2024-12-10", {}),
    *((MJC, "convention.mentioned.v1", f"2025-01-{day}", {}) for day in (10, 13, 17, 23, 24, 31)),
    (MJC, "convention.mentioned.v1", "2025-02-07", {}),
    # Convention-cadre of a department
    (
        DEPARTEMENT,
        "convention.clause-stated.v1",
        "2015",
        {"term": {"kind": "fixed-period", "starts_on": "2015", "ends_on": "2017"}},
    ),
    (DEPARTEMENT, "convention.clause-stated.v1", "2015", {"term": {"kind": "joining"}}),
    # Note of the Carsat
    (CARSAT, "convention.opened.v1", "2014-10-24", {"nature": "note", "force": "promesse"}),
    (CARSAT, "convention.mentioned.v1", "2009-10-16", {}),
    (CARSAT, "convention.mentioned.v1", "2011-04-22", {}),
    (
        CARSAT,
        "convention.clause-stated.v1",
        "2014-10-24",
        {"term": {"kind": "lump-sum", "amount_cents": 5_000_00}},
    ),
    (
        CARSAT,
        "convention.clause-stated.v1",
        "2014-10-24",
        {"term": {"kind": "lump-sum", "amount_cents": 10_000_00}},
    ),
)


@pytest.mark.parametrize("dossier, tag, on, says", FIGURES)
def test_what_the_paper_says_is_there(dossier: str, tag: str, on: str, says: Mapping) -> None:
    found = [
        fact
        for _, fact in declared(dossier)
        if fact["type"] == tag and fact["effective_on"] == on and within(says, fact["data"])
    ]
    assert found, f"{dossier}: no {tag} on {on} that says {says}"


def test_the_pledges_of_the_carsat_are_those_of_the_note() -> None:
    pledges = [
        (fact["data"]["exercice"], fact["data"]["amount_cents"], fact["data"].get("per"))
        for _, fact in declared(CARSAT)
        if fact["type"] == "convention.subsidy-pledged.v1"
    ]
    assert pledges == [
        (2014, 2_000_00, None),
        (2014, 20_000_00, None),
        (2015, 5_000_00, "fédération"),
        (2015, 10_000_00, "centre social"),
        (2015, 120_000_00, None),
    ]


def test_the_first_instalment_of_2026_is_81_000_euros_and_the_formula_is_reading_a() -> None:
    plans = {
        clause["article"]: clause["term"]
        for clause in clauses(MJC)
        if clause.get("term", {}).get("kind") == "instalment-plan"
    }
    assert set(plans) == {"7.1, al. 4", "7.2, al. 2"}
    third = {"numerator": 1, "denominator": 3, "exercice_offset": -1}
    first, second, last = plans["7.1, al. 4"]["instalments"]
    assert (first["share"], first["due"]) == (third, {"each_year": {"month": 2}})
    assert second["share"] == {"numerator": 1, "denominator": 2, "minus": ["acompte-1"]}
    assert (second["fallback"], second["due"]) == (third, {"each_year": {"month": 5}})
    assert last == {"key": "solde", "label": "solde", "due": {"each_year": {"month": 8}}}
    of_2026 = plans["7.2, al. 2"]
    assert of_2026["exercices"] == [2026]
    assert of_2026["instalments"][0]["fixed_cents"] == 81_000_00
    assert of_2026["instalments"][0]["due"] == {"on": "2026-01"}
    assert of_2026["instalments"][1:] == [second, last]
    assert [plan["conditional_on_articles"] for plan in plans.values()] == [["6.2", "6.3", "6.4"]] * 2


def test_no_other_amount_stands_in_the_real_dossiers() -> None:
    amounts = {
        (dossier, value)
        for dossier in REAL
        for _, fact in declared(dossier)
        for key, value in pairs(fact["data"])
        if key.endswith("_cents")
    }
    assert amounts == {
        (MJC, 81_000_00),
        *((CARSAT, euros * 100) for euros in (2_000, 20_000, 5_000, 10_000, 120_000)),
    }


def pairs(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield key, part
            yield from pairs(part)
    elif isinstance(value, list):
        for part in value:
            yield from pairs(part)


JULY = {"month": 7, "day": 15}
AUGUST = {"month": 8, "day": 30, "inclusive": False, "of_exercice": -1}
OWED: tuple[tuple[str, str, str, Any], ...] = (
    # obligation, article, debtor, when
    ("tenir-l-agrement", "3", "mjc-clairs-soleils", None),
    ("projet-associatif-mis-en-oeuvre", "6.1", "mjc-clairs-soleils", None),
    ("actions-qpv", "6.1", "mjc-clairs-soleils", None),
    ("notification-agrement", "6.2", "mjc-clairs-soleils", {"on": "2025-01-30"}),
    ("projet-social", "6.2", "mjc-clairs-soleils", {"on": "2025-01-30"}),
    (
        "nouvelle-notification-agrement",
        "6.2",
        "mjc-clairs-soleils",
        {
            "delay": {
                "count": 15,
                "unit": "calendar-day",
                "anchor": "réception de la notification",
                "starts_at": "agrement-notified",
            }
        },
    ),
    ("rapport-activite", "6.3", "mjc-clairs-soleils", {"each_year": {**JULY, "of_exercice": 1}}),
    ("projet-associatif", "6.3", "mjc-clairs-soleils", {"each_year": JULY}),
    ("rapport-financier", "6.3", "mjc-clairs-soleils", {"each_year": {**JULY, "of_exercice": 1}}),
    ("rapport-cac", "6.3", "mjc-clairs-soleils", {"each_year": {**JULY, "of_exercice": 1}}),
    ("rapport-special-cac", "6.3", "mjc-clairs-soleils", {"each_year": {**JULY, "of_exercice": 1}}),
    ("assemblees-generales", "6.4", "mjc-clairs-soleils", {"words": "sans délai"}),
    ("elu-au-ca", "6.4", "mjc-clairs-soleils", {"words": "sans délai"}),
    ("changements", "6.4", "mjc-clairs-soleils", {"words": "sans délai"}),
    ("laicite-neutralite", "6.5", "mjc-clairs-soleils", None),
    ("assurances", "6.6", "mjc-clairs-soleils", None),
    ("mention-soutien", "6.7", "mjc-clairs-soleils", None),
    ("referent-democratie-participative", "5.2", "mjc-clairs-soleils", {"words": "sans date"}),
    ("demande-subvention", "7.1", "mjc-clairs-soleils", {"each_year": AUGUST}),
    ("demande-investissement", "7.3", "mjc-clairs-soleils", {"each_year": AUGUST}),
    ("valorisation-comptes", "7.4", "mjc-clairs-soleils", {"words": "dans les comptes annuels"}),
    (
        "valorisation-deliberee",
        "7.4",
        "ville-besancon",
        {"words": "dans la délibération qui fixe la subvention"},
    ),
    (
        "fiche-de-travail",
        "8.1.3",
        "mjc-clairs-soleils",
        {
            "delay": {
                "count": 15,
                "unit": "calendar-day",
                "anchor": "Commission de suivi",
                "direction": "before",
                "starts_at": "meeting",
            }
        },
    ),
    (
        "reponse-compte-rendu",
        "8.1.3",
        "mjc-clairs-soleils",
        {"delay": {"count": 15, "unit": "calendar-day", "anchor": "compte-rendu (point de départ non dit)"}},
    ),
    ("faciliter-controle", "9", "mjc-clairs-soleils", None),
    ("subvention-annuelle", "7.1", "ville-besancon", None),
    ("compte-rendu", "8.1.3", "ville-besancon", {"words": "après chaque commission"}),
    (
        "engagement-republicain",
        "6.5",
        "mjc-clairs-soleils",
        {"words": "réputée satisfaite du fait de l'agrément"},
    ),
    (
        "inviter-commission",
        "8.1.1",
        "ville-besancon",
        {"words": "au moins une fois par an, au plus tard au dernier trimestre"},
    ),
)


@pytest.mark.parametrize("key, article, debtor, due", OWED)
def test_the_mjc_convention_owes_what_its_articles_say(key: str, article: str, debtor: str, due: Any) -> None:
    [clause] = [clause for clause in clauses(MJC) if clause.get("term", {}).get("key") == key]
    assert clause["article"] == article or clause["article"].startswith(f"{article}, ")
    assert clause["term"]["debtor"] == debtor
    assert clause["term"].get("due") == due


def test_payments_are_gated_by_the_documents_of_articles_6_2_to_6_4_alone() -> None:
    gating = {
        clause["article"].partition(",")[0]
        for clause in clauses(MJC)
        if clause.get("term", {}).get("gates_payments")
    }
    assert gating == {"6.2", "6.3", "6.4"}


def test_the_bodies_of_chambery_meet_as_article_4_says() -> None:
    meetings = {
        clause["term"]["body"]: (clause["term"]["at_least_per_year"], clause["term"].get("at_most_per_year"))
        for clause in clauses(PACTE)
        if clause.get("term", {}).get("kind") == "meetings"
    }
    assert meetings == {
        "comite-technique": (1, None),
        "comite-financeurs": (1, 1),
        "comite-pilotage": (1, 2),
        "rencontres-thematiques": (1, 3),
    }


def test_the_entities_may_terminate_after_fifteen_days_on_four_grounds() -> None:
    [term] = [clause["term"] for clause in clauses(MJC) if clause["article"] == "11.2, al. 1"]
    assert (term["cure"]["count"], term["cure"]["unit"]) == (15, "day")
    assert len(term["grounds"]) == 4
    assert term["by"] == ["ville-besancon", "ccas-besancon", "grand-besancon-metropole"]


# -- what the papers leave blank


@pytest.mark.parametrize("dossier", REAL)
def test_no_signature_payment_or_agrement_is_invented(dossier: str) -> None:
    tags = {fact["type"] for _, fact in declared(dossier)}
    assert not tags & {
        "convention.signature-affixed.v1",
        "convention.entry-into-force-noted.v1",
        "convention.party-joined.v1",
        "convention.subsidy-voted.v1",
        "convention.payment-made.v1",
        "convention.payment-ordered.v1",
    }
    assert not any(tag.startswith("agrement.") for tag in tags)


def test_the_one_avenant_is_that_which_prolonged_the_former_convention_its_number_and_end_unknown() -> None:
    avenants = [
        (stream, fact)
        for dossier in REAL
        for stream, fact in declared(dossier)
        if fact["type"] == "convention.avenant-concluded.v1"
    ]
    [(stream, avenant)] = avenants
    assert stream == PREDECESSOR
    assert avenant["effective_on"] == "XXXX"
    assert avenant["data"]["number"] == "sans-numero"
    assert avenant["data"]["changes"] == [{"kind": "prorogation", "ends_on": "XXXX"}]


def test_the_lines_prepared_for_signature_are_those_of_the_papers() -> None:
    lines = {
        dossier: {
            fact["data"]["institution"]: len(fact["data"].get("signatories", ()))
            for stream, fact in declared(dossier)
            if fact["type"] == "convention.party-listed.v1" and stream == f"convention/{dossier}"
        }
        for dossier in REAL
    }
    assert lines[PACTE] == {
        "ville-chambery": 1,
        "caf-savoie": 2,
        "federation-deux-savoie": 1,
        "csa-biollay": 1,
        "aqcvc-chambery": 1,
        "csc-moulins": 8,
    }
    assert sum(lines[PACTE].values()) == 14
    assert lines[MJC] == dict.fromkeys(
        ("ville-besancon", "ccas-besancon", "grand-besancon-metropole", "mjc-clairs-soleils"), 1
    )
    assert len(lines[CHARTE]) == 7
    assert set(lines[DEPARTEMENT]) == {"caf-departement-non-nomme"}
    assert set(lines[CARSAT]) == {"carsat-sud-est"}
    for dossier in REAL:
        assert not any("quorum" in fact["data"] for _, fact in declared(dossier))


def test_the_avenant_that_prolonged_the_predecessor_is_announced_and_not_made_up() -> None:
    tags = [fact["type"] for stream, fact in declared(MJC) if stream == PREDECESSOR]
    assert tags.count("convention.deliberation-adopted.v1") == 3
    assert tags.count("piece.announced.v1") == 1
    assert "convention.renewal-decided.v1" in tags


def test_no_identifier_stands_in_a_file_but_the_three_that_are_known() -> None:
    digits = {
        number
        for dossier in ALL
        for text in texts(load(dossier))
        for number in re.findall(r"(?<!\d)(?:\d{9}|\d{14})(?!\d)", text)
    }
    assert digits == {"212500565", "217300656", "262500564"}
    for number in digits:
        check_siren(number)


# -- contradictions

PER_PAPER = {CHARTE: ("s0", 8), PACTE: ("s1", 19), MJC: ("s2", 22), DEPARTEMENT: ("s3", 4), CARSAT: ("s4", 8)}


@pytest.mark.parametrize("dossier", REAL)
def test_every_contradiction_of_the_paper_is_there(dossier: str) -> None:
    prefix, count = PER_PAPER[dossier]
    found = [
        fact["data"]["key"]
        for stream, fact in declared(dossier)
        if fact["type"] == "contradiction.found.v1" and stream == f"convention/{dossier}"
    ]
    wanted = [f"{prefix}-{number}" for number in range(1, count + 1)]
    assert found == [*wanted, "s2-f"] if dossier == MJC else found == wanted


def test_the_contradictions_are_61_and_the_formula_of_the_mjc() -> None:
    assert sum(count for _, count in PER_PAPER.values()) == 61


@pytest.mark.parametrize("dossier", REAL)
def test_what_is_settled_was_found_and_says_by_whom_and_why(dossier: str) -> None:
    found: set[str] = set()
    for _, fact in declared(dossier):
        if fact["type"] == "contradiction.found.v1":
            found.add(fact["data"]["key"])
        if fact["type"] == "contradiction.settled.v1":
            assert fact["data"]["key"] in found
            assert fact["data"]["by"] == AGENT
            assert fact["data"]["retained"]
            assert fact["data"]["reason"]


def test_reading_a_of_the_formula_is_retained_and_reading_b_kept() -> None:
    [formula] = [
        fact["data"]
        for _, fact in declared(MJC)
        if fact["data"].get("key") == "s2-f" and "claims" in fact["data"]
    ]
    assert [claim["says"].partition(" :")[0] for claim in formula["claims"]] == [
        "Lecture A",
        "Lecture B",
        "À défaut de vote",
    ]
    [settled] = [
        fact["data"]
        for _, fact in declared(MJC)
        if fact["data"].get("key") == "s2-f" and "retained" in fact["data"]
    ]
    assert settled["retained"].startswith("Lecture A")


# -- no person, no long copy

# The surnames of the papers, so that no file of the project spells them: the first 16 digits of the SHA-256
# of each word, in lower case and without accents.
SURNAMES = frozenset(Path(__file__).with_name("surnames.sha256").read_text(encoding="ascii").split())


def name_digest(word: str) -> str:
    letters = unicodedata.normalize("NFD", word.casefold())
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return sha256(plain.encode()).hexdigest()[:16]


@pytest.mark.parametrize("dossier", ALL)
def test_no_surname_of_the_papers_stands_in_a_file(dossier: str) -> None:
    whole = path_of(dossier).read_text(encoding="utf-8")
    named = [word for word in re.findall(r"[^\W\d_]+", whole) if name_digest(word) in SURNAMES]
    assert named == []
    assert re.findall(r"\b(?:M\.|Mme|Monsieur|Madame)\s+[A-ZÉÈ]", whole) == []
    assert "@" not in whole


def test_the_list_of_surnames_is_whole_and_its_digest_ignores_case_and_accents() -> None:
    assert len(SURNAMES) == 90
    assert name_digest("ÉLAN") == name_digest("elan") == sha256(b"elan").hexdigest()[:16]


@pytest.mark.parametrize("dossier", ALL)
def test_citations_are_short_and_few(dossier: str) -> None:
    citations = [
        value for _, fact in declared(dossier) for key, value in pairs(fact["data"]) if key == "citation"
    ]
    assert all(len(citation) <= 160 for citation in citations)
    assert sum(map(len, citations)) <= 200
    assert all(len(text.split()) <= 60 for text in texts(load(dossier)))


# -- the cas fictif


@pytest.mark.parametrize("dossier", FICTIFS)
def test_a_cas_fictif_says_so_wherever_it_is_named(dossier: str) -> None:
    assert "cas fictif" in load(dossier)["title"]
    slugs = set()
    for stream, fact in declared(dossier):
        if fact["type"] in {
            "institution.registered.v1",
            "institution.name-changed.v1",
        } and not stream.endswith(AGENT):
            assert re.search(r"\bficti(f|ve)\b", fact["data"]["name"])
        if fact["type"] == "convention.opened.v1":
            assert "(cas fictif)" in fact["data"]["title"]
        if stream != f"institution/{AGENT}":
            slugs.add(stream)
    assert all(re.search(r"ficti(f|ve)$", slug) for slug in slugs)
    assert not slugs & {stream for real in REAL for stream, _ in declared(real)}


@pytest.mark.parametrize("dossier", FICTIFS)
def test_a_cas_fictif_is_told_in_the_order_of_time_and_never_before_it_happened(dossier: str) -> None:
    commands = load(dossier)["commands"]
    sent = [command["sent_at"] for command in commands if "sent_at" in command]
    assert sent == sorted(sent)
    assert "sent_at" in commands[0]
    told_on = ""
    for command in commands:
        told_on = command.get("sent_at", told_on)
        for fact in command["facts"]:
            assert fact["effective_on"] == "XXXX" or fact["effective_on"] <= told_on[:10], (
                command["key"],
                fact,
            )


def test_a_grant_in_its_old_shape_is_read_in_todays() -> None:
    old = [(fact, read) for _, fact, read in decoded(FICTIF) if fact["type"] == "agrement.granted.v1"]
    [(fact, read)] = old
    assert fact["data"]["service"] == "AGC"
    assert (read.TYPE, getattr(read, "services", None)) == ("agrement.granted.v2", ("AGC",))


def test_the_payments_of_2026_come_to_the_subsidy_as_changed() -> None:
    paid: dict[str, int] = {}
    for _, fact in declared(FICTIF):
        data = fact["data"]
        if fact["type"] == "convention.payment-made.v1" and data["exercice"] == 2026:
            paid[data["key"]] = data["amount_cents"]
        if fact["type"] == "convention.payment-rejected.v1":
            paid.pop(data["payment"], None)
    # The solde was typed twice, and the second entry cancelled.
    assert paid.pop("solde-bis") == paid["solde"]
    [subsidy] = [
        fact["data"]["amount_cents"]
        for _, fact in declared(FICTIF)
        if fact["type"] == "convention.subsidy-changed.v1"
    ]
    assert list(paid.values()) == [81_000_00, 84_500_00, 80_500_00]
    assert sum(paid.values()) == subsidy == 246_000_00


# -- all together: nothing of the contracts is left unshown


def test_every_fact_that_a_file_can_hold_is_shown_by_one_of_them() -> None:
    shown = {read.TYPE for dossier in ALL for _, _, read in decoded(dossier)}
    # An institution tells of its keys with its own credentials, and of no made-up one.
    of_keys = {"institution.key-declared.v1", "institution.key-withdrawn.v1"}
    assert set(EVENTS) - shown == {"entry.replaced.v1", *of_keys}


def test_every_kind_of_term_and_of_change_is_shown_by_one_of_them() -> None:
    facts = [read for dossier in ALL for _, _, read in decoded(dossier)]
    terms = {type(fact.term) for fact in facts if isinstance(fact, ClauseStated)}
    changes = {
        type(change) for fact in facts if isinstance(fact, AvenantConcluded) for change in fact.changes
    }
    assert set(get_args(AnyTerm)) - terms == set()
    assert set(get_args(AnyChange)) - changes == set()
