"""
Whether the agrément that a convention depends on covers it: periods, gaps, and the right a loss opens.

Pure.
"""

from datetime import date
from typing import Literal

import msgspec

from services.domain.agrement import Cover, Standing


class Gap(msgspec.Struct, frozen=True):
    """Days of the convention that no period covers, both included; *last* None where no term is known."""

    first: date
    last: date | None
    because: Literal[
        "never-granted", "before", "between", "after", "suspended", "withdrawn", "lapsed", "uncertain"
    ]


class Coverage(msgspec.Struct, frozen=True):
    """
    One condition on an agrément, against the convention's own time.

    *right_opened* says in French which right its loss opens, by which article; a loss ends nothing by itself.
    """

    holder: str
    article: str
    position: int
    standing: Standing
    covers: tuple[Cover, ...]
    gaps: tuple[Gap, ...]
    ends_before_convention: bool | None
    right_opened: str | None = None
    right_article: str | None = None
    services: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
