"""
A statement as a mandate shows it: without the facts of later years.

What a statement computes, it computes for its day, which lies in the years mandated. Its journal has every
fact that is known, and those that took effect after these years are none of the auditor's business.
Earlier ones are: the state on a day is made of them.
"""

from typing import Any, Final

import msgspec

from contracts import dates
from contracts.queries import StatementAnswer
from services.portal.identity.access import Access

FACT_BY_FACT: Final = ("journal", "cancelled")
"""The parts of a statement that have a line for each fact."""


def shown(access: Access, answer: StatementAnswer) -> StatementAnswer:
    """*answer* as *access* may see it: the same, but for an auditor."""
    if access.mandate is None:
        return answer
    last_year = access.mandate.last_year
    told: dict[str, Any] = msgspec.json.decode(answer.statement)
    for part in FACT_BY_FACT:
        told[part] = [line for line in told[part] if _is_within(line, last_year)]
    return msgspec.structs.replace(answer, statement=msgspec.Raw(msgspec.json.encode(told)))


def _is_within(line: dict[str, Any], last_year: int) -> bool:
    """Whether the fact of *line* can have taken effect by the end of *last_year*."""
    first = dates.parse(line["effective_on"]).first
    return first is None or first.year <= last_year
