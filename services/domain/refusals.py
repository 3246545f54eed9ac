"""
Why a request is refused: it says what cannot be.

A refusal is an answer, not a failure: nothing is recorded, and whoever asked
reads which fact, which field, and which rule. What merely departs from the
terms (paid early, late, too much) is never refused; it is recorded.
"""

from typing import ClassVar


class Refused(Exception):
    """
    The root of all refusals.

    *fact* is the index of the fact at fault in the request, *field* the field
    in it ('' for the fact as a whole); *rule* cites what the refusal rests on.
    """

    code: ClassVar[str] = "refused"

    def __init__(self, message: str, *, fact: int, field: str = "", rule: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fact = fact
        self.field = field
        self.rule = rule

    @property
    def path(self) -> str:
        """Where in the request: '$.facts[0].data.party'."""
        return f"$.facts[{self.fact}]" + (f".{self.field}" if self.field else "")
