"""
The types of agrément that the CAF grant, each as it stands from a day to a day, by which circulaire.

Reference data: what a type is changes by circulaire, not by a change of rules, and
a period granted keeps the type it was granted as. What is not here is not refused
anywhere: a coverage says that it does not know the type.

The circulaire Cnaf n° 2012-013 of 20 June 2012 has the CAF's board agree a centre
social (AGC), its work with families (ACF) or an espace de vie sociale (EVS), for
one to four years. That of 18 December 2025 makes one procedure of the first two,
asks every centre social for a family component from 2027, and brings their two
prestations de service together, then merges them between 2027 and 2030.
"""

from datetime import date
from typing import Final

import msgspec

from contracts.dates import PartialDate

YEARS_MIN: Final = 1
YEARS_MAX: Final = 4
"""How long an agrément lasts: one to four years (CIRCULAIRE_2012)."""

CIRCULAIRE_2012: Final = "circulaire Cnaf n° 2012-013 du 20 juin 2012"
CIRCULAIRE_2025: Final = "circulaire Cnaf du 18 décembre 2025"


class AgrementType(msgspec.Struct, frozen=True):
    """
    One type, as it stands for periods that begin from *since* until *until*, both included.

    *since* is None where it is older than any circulaire here, *until* where no end is announced.
    *stands_for*: older types whose holder it makes of who has it. *only_with*: types that must
    be granted beside it. *source*: the circulaire, as cited to readers.
    """

    code: str
    label: str
    source: str
    since: date | None = None
    until: PartialDate | None = None
    stands_for: tuple[str, ...] = ()
    only_with: tuple[str, ...] = ()


TYPES: Final = (
    AgrementType(
        "AGC",
        "animation globale et coordination",
        CIRCULAIRE_2012,
        until=PartialDate("2026-12-31"),
    ),
    AgrementType(
        "AGC",
        "animation globale et coordination",
        CIRCULAIRE_2025,
        since=date(2027, 1, 1),
        # Merged "between 2027 and 2030": the circulaire leaves the day open.
        until=PartialDate("2030"),
        only_with=("ACF",),
    ),
    AgrementType(
        "ACF",
        "animation collective familles",
        CIRCULAIRE_2012,
        until=PartialDate("2026-12-31"),
    ),
    AgrementType(
        "ACF",
        "animation collective familles",
        CIRCULAIRE_2025,
        since=date(2027, 1, 1),
        until=PartialDate("2030"),
    ),
    AgrementType("EVS", "espace de vie sociale", CIRCULAIRE_2012, since=date(2012, 6, 20)),
    # The circulaire gives the merged service no short name: CS, for centre social, is this register's.
    AgrementType(
        "CS",
        "centre social, composante familles comprise",
        CIRCULAIRE_2025,
        since=date(2027, 1, 1),
        stands_for=("AGC", "ACF"),
    ),
)

_BY_CODE: Final = {
    code: tuple(kind for kind in TYPES if kind.code == code) for code in {kind.code for kind in TYPES}
}


def is_known(code: str) -> bool:
    """Whether the circulaires here know a type of that code, on whatever day."""
    return code in _BY_CODE


def sources(code: str) -> str:
    """The circulaires that the versions of a type come from, for a citation."""
    return ", ".join(dict.fromkeys(kind.source for kind in _BY_CODE[code]))


def of(code: str, begins_on: PartialDate) -> tuple[AgrementType, ...]:
    """
    The type *code* as it stands for a period that begins on that day.

    Nothing where there was none by then, or no longer; several where the dates leave open which.
    """
    return tuple(
        kind
        for kind in _BY_CODE.get(code, ())
        if not (kind.since is not None and begins_on.before(kind.since))
        and not (kind.until is not None and begins_on.after(kind.until))
    )


def serves(granted: str, wanted: tuple[str, ...]) -> bool:
    """Whether the type *granted* is one of those *wanted*, or stands for one; any is, where none is named."""
    if not wanted or granted in wanted:
        return True
    return any(older in wanted for kind in _BY_CODE.get(granted, ()) for older in kind.stands_for)
