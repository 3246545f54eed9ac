"""
What a request may do: for which institution it acts, by which right, and how it was let in.

Rights are given one by one and include others: who may enter facts may read, and who may validate may
enter. Administering is a right of its own: whoever has it alone invites and withdraws, and enters nothing.
"""

from collections.abc import Iterable
from typing import Annotated, Final, Literal, get_args

import msgspec

from contracts.institutions import InstitutionId

Right = Literal["lecture", "saisie", "validation", "administration"]
RIGHTS: Final[tuple[Right, ...]] = get_args(Right)

INCLUDED: Final[dict[Right, frozenset[Right]]] = {
    "lecture": frozenset({"lecture"}),
    "saisie": frozenset({"lecture", "saisie"}),
    "validation": frozenset({"lecture", "saisie", "validation"}),
    "administration": frozenset({"lecture", "administration"}),
}

Through = Literal["token", "session"]
"""How a request was let in: by a program's token, or by the session of a person."""

Year = Annotated[int, msgspec.Meta(ge=1900, le=2999)]


class Mandate(msgspec.Struct, frozen=True):
    """
    What an auditor may look at: an institution's days of some years, read-only.

    *institutions* has those that the request may look at: one, for whoever has several mandated acts for
    one at a time, and each is to know what was looked at of it. The years are whole, and both count.
    Consultations are recorded under the principal of the Access.
    """

    institutions: frozenset[InstitutionId]
    first_year: Year
    last_year: Year


class Access(msgspec.Struct, frozen=True):
    """
    Who asks, as far as anybody else has to know.

    *institution* is on whose behalf the request acts ("agir au titre de"), *principal* an opaque id of
    that person (or program) at that institution, as contracts.commands.Declaration.principal has it.
    *rights* has every right that is included in those given.
    """

    institution: InstitutionId
    principal: str
    rights: frozenset[Right]
    mandate: Mandate | None = None
    through: Through = "token"


def with_included(given: Iterable[Right]) -> frozenset[Right]:
    """The rights *given*, and all that they include."""
    return frozenset[Right]().union(*(INCLUDED[right] for right in given))
