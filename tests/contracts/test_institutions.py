"""Identifiers: the keys find slips of the hand."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import IdentifierRecorded, InstitutionRegistered
from contracts.institutions import check_rna, check_siren, check_siret, luhn, parse_acte

CHAMBERY, BESANCON, CCAS, POITIERS, ANTIBES = "217300656", "212500565", "262500564", "218601946", "210600045"


@pytest.mark.parametrize("siren", [CHAMBERY, BESANCON, CCAS, POITIERS, ANTIBES, "356000000"])
def test_a_siren_of_the_field_is_well_formed(siren: str) -> None:
    assert check_siren(siren) == siren


@given(st.sampled_from((CHAMBERY, BESANCON, CCAS)), st.integers(0, 8), st.integers(1, 9))
def test_one_wrong_digit_in_a_siren_is_found(siren: str, place: int, shift: int) -> None:
    wrong = siren[:place] + str((int(siren[place]) + shift) % 10) + siren[place + 1 :]
    with pytest.raises(ValueError, match=f"SIREN {wrong} fails its key: a digit is wrong"):
        check_siren(wrong)


@pytest.mark.parametrize(
    "text", ["21730065", "2173006560", "21730065a", "217 300 656", "٢١٧٣٠٠٦٥٦", f"{CCAS}\n", ""]
)
def test_a_siren_is_nine_digits(text: str) -> None:
    with pytest.raises(ValueError, match="is not 9 digits"):
        check_siren(text)


@pytest.mark.parametrize("siret", ["21250056500016", "35600000009075", "35600000000048"])
def test_a_siret_of_the_field_is_well_formed(siret: str) -> None:
    """La Poste's branches have a key of their own: the sum of the digits, its head office the usual one."""
    assert check_siret(siret) == siret


@pytest.mark.parametrize(
    "siret, why",
    [
        ("21250056500017", "SIRET 21250056500017 fails its key"),
        ("35600000009076", "SIRET 35600000009076 fails its key"),
        ("21250056600015", "SIREN 212500566 fails its key"),
        ("2125005650001", "is not 14 digits"),
        ("212500565000161", "is not 14 digits"),
        ("2125005650001A", "is not 14 digits"),
    ],
)
def test_a_siret_that_is_wrong_says_in_what(siret: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_siret(siret)


def test_the_sum_of_digits_is_a_key_for_la_poste_alone() -> None:
    # The digits of this one add up to a multiple of 5; its Luhn key is wrong.
    siret = "21250056500034"
    assert sum(map(int, siret)) % 5 != 0 or not luhn(siret)
    by_sum = next(
        text for n in range(100_000) if sum(map(int, text := f"{CCAS}{n:05}")) % 5 == 0 and not luhn(text)
    )
    with pytest.raises(ValueError, match="fails its key"):
        check_siret(by_sum)


@pytest.mark.parametrize(
    "text", ["w251000001", "W25100000", "W2510000011", "W25100000A", "251000001", "W251000001\n"]
)
def test_an_rna_number_is_w_and_nine_digits(text: str) -> None:
    assert check_rna("W251000001") == "W251000001"
    with pytest.raises(ValueError, match="is not W and 9 digits"):
        check_rna(text)


@pytest.mark.parametrize(
    "text, departement, siren, day, number",
    [
        ("025-262500564-20251203-D00198310-DE", "025", CCAS, date(2025, 12, 3), "D00198310"),
        ("073-217300656-20230710-lmc1H29669H1-DE", "073", CHAMBERY, date(2023, 7, 10), "lmc1H29669H1"),
        ("075-217300656-20150708-2015-294-DE", "075", CHAMBERY, date(2015, 7, 8), "2015-294"),
        ("02A-212500565-20240229-A_1-CC", "02A", BESANCON, date(2024, 2, 29), "A_1"),
        ("971-212500565-20240229-" + "9" * 20 + "-AU", "971", BESANCON, date(2024, 2, 29), "9" * 20),
    ],
)
def test_an_acte_is_read_from_both_ends(
    text: str, departement: str, siren: str, day: date, number: str
) -> None:
    acte = parse_acte(text)
    assert (acte.departement, acte.siren, acte.decided_on, acte.number) == (departement, siren, day, number)
    assert acte.nature == text[-2:]


@pytest.mark.parametrize("nature", ["DE", "AR", "AI", "CC", "BF", "AU"])
def test_an_acte_has_one_of_six_natures(nature: str) -> None:
    assert parse_acte(f"025-{CCAS}-20251203-D1-{nature}").nature == nature


@pytest.mark.parametrize(
    "text, why",
    [
        (f"025-{CCAS}-20251203-D1-TA", "nature TA is none of DE, AR, AI, CC, BF, AU"),
        (f"025-{CCAS}-20250230-D1-DE", "20250230 is no day"),
        (f"025-{CCAS}-20251303-D1-DE", "20251303 is no day"),
        ("025-262500565-20251203-D1-DE", "SIREN 262500565 fails its key"),
        (f"125-{CCAS}-20251203-D1-DE", "is no ACTES identifier"),
        (f"02C-{CCAS}-20251203-D1-DE", "is no ACTES identifier"),
        (f"025-{CCAS}-20251203--DE", "is no ACTES identifier"),
        (f"025-{CCAS}-20251203-{'9' * 21}-DE", "is no ACTES identifier"),
        (f"025-{CCAS}-20251203-D1-de", "is no ACTES identifier"),
        (f"025-{CCAS}-20251203-D1", "is no ACTES identifier"),
        (f"025-{CCAS}-20251203-D1-DE\n", "is no ACTES identifier"),
        (f" 025-{CCAS}-20251203-D1-DE", "is no ACTES identifier"),
    ],
)
def test_an_acte_that_is_wrong_says_in_what(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_acte(text)


def test_a_registration_is_checked_by_every_key_it_gives() -> None:
    InstitutionRegistered(
        name="Ville", kind="commune", siren=BESANCON, siret="21250056500016", rna="W251000001"
    )
    for wrong, why in (
        ({"siren": "212500566"}, "SIREN 212500566 fails"),
        ({"siret": "21250056500017"}, "SIRET 21250056500017 fails"),
        ({"rna": "W1"}, "RNA 'W1'"),
        (
            {"siren": CCAS, "siret": "21250056500016"},
            f"SIRET 21250056500016 does not begin with SIREN {CCAS}",
        ),
    ):
        with pytest.raises(ValueError, match=why):
            InstitutionRegistered(name="Ville", kind="commune", **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "scheme, good, bad",
    [("siren", CCAS, "262500565"), ("siret", "21250056500016", CCAS), ("rna", "W251000001", CCAS)],
)
def test_an_identifier_is_checked_by_the_key_of_its_scheme(scheme: str, good: str, bad: str) -> None:
    assert IdentifierRecorded(scheme=scheme, value=good).value == good  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=scheme.upper()):
        IdentifierRecorded(scheme=scheme, value=bad)  # type: ignore[arg-type]
