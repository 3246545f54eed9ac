"""
What each avenant made of the text: clause by clause, before and after, and for whom it has effect.

Pure.
"""

import msgspec

from contracts.dates import PartialDate
from services.domain.text import ClauseLine


class ClauseDifference(msgspec.Struct, frozen=True):
    """An article before and after an avenant; empty where it was not or is no more. *says* in French."""

    article: str
    before: tuple[ClauseLine, ...]
    after: tuple[ClauseLine, ...]
    says: str


class Amendment(msgspec.Struct, frozen=True):
    """
    One avenant on the day: whom it binds, who of them signed, and what it changed.

    It has effect among the bound parties once all have signed (*complete*); until then
    it is partial, and *awaiting* names who is missing. *bipartite*: it binds some parties only;
    *allowed*: whether the text lets those parties amend that article alone (None where it does not say).
    """

    number: str
    effective_on: PartialDate
    binds: tuple[str, ...]
    signed_by: tuple[str, ...]
    awaiting: tuple[str, ...]
    complete: bool | None
    bipartite: bool
    allowed: bool | None
    differences: tuple[ClauseDifference, ...]
    rationale: str
    position: int
