"""
Old tags to today's.

The bytes in the ledger never change; what they say is read in today's shape. An
upcaster takes the data of an old tag and gives the next tag and its data. It
invents nothing: what the old shape did not know stays absent.
"""

from collections.abc import Callable
from typing import Any, Final

from contracts.events import EVENTS

Data = dict[str, Any]


def _granted_v1(data: Data) -> tuple[str, Data]:
    # v1 granted one service an event; the CAF may now grant several in one decision.
    return "agrement.granted.v2", {**data, "services": [data["service"]], "service": None}


UPCASTERS: Final[dict[str, Callable[[Data], tuple[str, Data]]]] = {"agrement.granted.v1": _granted_v1}
"""The step that leaves each old tag."""


def today(tag: str, data: Data) -> tuple[str, Data]:
    """The tag and data of today for those of *tag*. Raises KeyError for a tag that never was."""
    while tag not in EVENTS:
        tag, data = UPCASTERS[tag](data)
        data = {name: value for name, value in data.items() if value is not None}
    return tag, data


for _old in UPCASTERS:
    assert _old not in EVENTS, f"{_old} is a tag of today: it needs no upcaster"
