"""
Where the facts depart from the terms, and what else deserves a look.

Pure.
"""

from typing import Literal

import msgspec

Severity = Literal["minor", "notable", "serious"]


class Finding(msgspec.Struct, frozen=True):
    """
    One departure on the day. *nature*: an écart (a term breached) or a point d'attention.

    *says* and *cleared_by* (how it goes away) are French sentences; *article* of the convention
    or *source* in law, at least one of them; *positions* are the facts it rests on. *settled*
    is the position of the event that settled or waived it, None while it stands.
    """

    code: str
    severity: Severity
    nature: Literal["ecart", "attention"]
    says: str
    article: str | None
    source: str | None
    positions: tuple[int, ...]
    cleared_by: str
    about: str = ""
    settled: int | None = None
