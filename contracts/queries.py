"""
What may be asked of the projector, and the shape of its answers.

Every answer names the position it was computed from, so that two readers know
whether they saw the same ledger. *at_least_position* makes a question wait, a
bounded time, until the projector has come that far: whoever recorded a fact
sees it in the next answer.
"""

from datetime import date, datetime
from typing import Annotated, Final

import msgspec

from contracts.dates import PartialDate
from contracts.envelope import Instant

WAIT_SECONDS_MAX: Final = 5.0
"""How long a question waits for *at_least_position* before it is answered 'behind'."""

EVENTS_PER_PAGE_MAX: Final = 500
ROWS_PER_PAGE_MAX: Final = 500
PAGE_BYTES_MAX: Final = 800_000

PROGRESS_INBOX: Final = r"^_INBOX[A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)+$"
"""Progress goes to an inbox and to no other subject: nobody has messages published where they like."""

WORDS_CHARACTERS_MAX: Final = 200

AtLeast = Annotated[int, msgspec.Meta(ge=0)]

Bounds = dict[str, AtLeast]
"""
Streams, each with the last position of which something is looked at there; 0 for nothing of it.

For a reader who may know a stream only so far. What is not named is looked at as far as the rest.
"""


class StatementQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """
    The state of *stream* ('convention/<slug>', 'agrement/...') on a day, as known at an instant.

    *on* absent: today. *known_at* absent: all that is known now, but for the *bounds*.
    """

    stream: str
    on: date | None = None
    known_at: Instant | None = None
    at_least_position: AtLeast = 0
    bounds: Bounds = {}


class ListQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """
    The conventions, all or those of one institution, as they stand on a day: those after a stream.

    *on* absent: today. *after* absent: from the first. *words* are all to be found in the title, the
    nature, the name of the stream or a party's, whatever their case and accents. Of a stream in *bounds* the
    row says what is known up to there; it is in the list whoever its parties are.
    """

    institution: str | None = None
    on: date | None = None
    after: str | None = None
    rows_max: Annotated[int, msgspec.Meta(ge=1, le=ROWS_PER_PAGE_MAX)] = ROWS_PER_PAGE_MAX
    at_least_position: AtLeast = 0
    words: Annotated[str, msgspec.Meta(max_length=WORDS_CHARACTERS_MAX)] = ""
    bounds: Bounds = {}


class ListRow(msgspec.Struct, frozen=True):
    """One convention in a list. *phase* is a word of the statement; *ends_on* its term where known."""

    stream: str
    title: str
    nature: str
    phase: str
    parties: tuple[str, ...]
    ends_on: PartialDate | None
    version: int
    last_position: int


class ListPage(msgspec.Struct, frozen=True):
    """
    Rows by stream; *more* when the page was full. Ask on after the stream of the last row, for the same day.

    Each page tells the one position it was computed from. What is recorded
    between two pages shows in the later one, and nowhere where its row came
    before: the whole is sure to show what was recorded by the first page's
    position, and may show more. Asking on with that position as
    *at_least_position* keeps it so whoever answers.
    """

    rows: tuple[ListRow, ...]
    position: int
    on: date
    more: bool


class EventsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The events after a position, of one stream or of all."""

    stream: str | None = None
    after: AtLeast = 0
    events_max: Annotated[int, msgspec.Meta(ge=1, le=EVENTS_PER_PAGE_MAX)] = EVENTS_PER_PAGE_MAX
    at_least_position: AtLeast = 0


class EventsPage(msgspec.Struct, frozen=True):
    """Events in order, each its own bytes; *more* when the page was full. Ask on after *last_position*."""

    events: tuple[msgspec.Raw, ...]
    last_position: int
    more: bool
    position: int


class Status(msgspec.Struct, frozen=True):
    """Where a projection stands, against the LEDGER: lag in events and in seconds."""

    projection: str
    position: int
    ledger_position: int
    lag_events: int
    lag_seconds: float
    digest: str
    started_at: datetime


class StatementAnswer(msgspec.Struct, frozen=True):
    """
    A statement, as services.domain.statement.encode made it, and what it was computed from.

    *position* is the last one of the ledger that was taken into account: where
    *known_at* was asked, the last one recorded by that instant. *streams* has the position of the
    last event that was looked at in each stream, its own and those that its terms lean on.
    """

    statement: msgspec.Raw
    position: int
    known_at: Instant | None
    on: date
    streams: dict[str, int]


class TakeOver(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """
    An operator's request to rebuild, or to roll back.

    Progress goes to the inbox *progress_to*, the outcome to whoever asked.
    """

    progress_to: Annotated[str, msgspec.Meta(pattern=PROGRESS_INBOX)] | None = None


class Progress(msgspec.Struct, frozen=True):
    """How far what will take over is: at *position* of *target*, after *seconds*; *done*: it took over."""

    position: int
    target: int
    seconds: float
    done: bool = False
