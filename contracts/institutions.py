"""
Who: the kinds of institution, and the identifiers the State gives them.

    SIREN   9 digits, Luhn                       (Code de commerce R123-221)
    SIRET   SIREN + 5 digits, Luhn over all 14   (La Poste's branches: digit sum a multiple of 5)
    RNA     W + 9 digits, no key                 (arrêté du 14 octobre 2009)
    ACTES   dép-SIREN-date-number-nature         (contrôle de légalité, actesv1_1.xsd)

A well-formed identifier can still be another body's: the key finds slips of the
hand, never a mistake of person.
"""

import re
from datetime import date
from typing import Annotated, Final, Literal

import msgspec

from contracts.subjects import SLUG

InstitutionId = Annotated[
    str, msgspec.Meta(pattern=SLUG, description="the slug of an institution's stream", extra={"role": "any"})
]
PartyId = Annotated[
    str,
    msgspec.Meta(pattern=SLUG, description="the slug of a party to the instrument", extra={"role": "party"}),
]

InstitutionKind = Literal[
    "commune",
    "ccas",
    "epci",
    "departement",
    "region",
    "etat",
    "caf",
    "cnaf",
    "carsat",
    "cnav",
    "msa",
    "association",
    "federation",
    "autre",
]
PUBLIC_KINDS: Final = frozenset({"commune", "ccas", "epci", "departement", "region"})
"""Those whose acts go to the préfecture (CGCT L2131-1 and what refers to it)."""

LA_POSTE: Final = "356000000"
NATURES: Final = ("DE", "AR", "AI", "CC", "BF", "AU")


def luhn(digits: str) -> bool:
    """Whether the key of *digits* is right (ISO/IEC 7812-1 annex B)."""
    total = 0
    for place, char in enumerate(reversed(digits)):
        value = int(char) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def check_siren(text: str) -> str:
    """*text*, a SIREN whose key is right. Raises ValueError."""
    if not re.fullmatch(r"[0-9]{9}", text):
        raise ValueError(f"SIREN {text!r} is not 9 digits")
    if not luhn(text):
        raise ValueError(f"SIREN {text} fails its key: a digit is wrong")
    return text


def check_siret(text: str) -> str:
    """*text*, a SIRET whose key is right, and whose first nine digits are a SIREN. Raises ValueError."""
    if not re.fullmatch(r"[0-9]{14}", text):
        raise ValueError(f"SIRET {text!r} is not 14 digits")
    check_siren(text[:9])
    by_sum = text[:9] == LA_POSTE and sum(map(int, text)) % 5 == 0
    if not (luhn(text) or by_sum):
        raise ValueError(f"SIRET {text} fails its key: a digit is wrong")
    return text


def check_rna(text: str) -> str:
    """*text*, an RNA number. Raises ValueError."""
    if not re.fullmatch(r"W[0-9]{9}", text):
        raise ValueError(f"RNA {text!r} is not W and 9 digits")
    return text


class ActeId(msgspec.Struct, frozen=True):
    """What an ACTES identifier says: who decided, on which day, which number, which nature of act."""

    departement: str
    siren: str
    decided_on: date
    number: str
    nature: str


_ACTE = re.compile(
    r"(?P<departement>[09]\d[0-9AB])-(?P<siren>\d{9})-(?P<day>\d{8})"
    r"-(?P<number>[A-Za-z0-9_-]{1,20})-(?P<nature>[A-Z]{2})"
)


def parse_acte(text: str) -> ActeId:
    """
    The parts of the ACTES identifier *text*.

    Lenient where published acts are: hyphens inside the number, up to 20
    characters. Strict on the rest: a day that exists, a SIREN whose key is
    right, a nature that is one of the six. Raises ValueError.
    """
    found = _ACTE.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is no ACTES identifier: expected département-SIREN-AAAAMMJJ-number-nature"
        )
    if found["nature"] not in NATURES:
        raise ValueError(f"{text!r}: nature {found['nature']} is none of {', '.join(NATURES)}")
    check_siren(found["siren"])
    day = found["day"]
    try:
        decided_on = date(int(day[:4]), int(day[4:6]), int(day[6:]))
    except ValueError as error:
        raise ValueError(f"{text!r}: {day} is no day") from error
    return ActeId(found["departement"], found["siren"], decided_on, found["number"], found["nature"])
