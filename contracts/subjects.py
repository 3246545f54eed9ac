"""
Every NATS subject and stream, as functions: nobody else writes one by hand.

    cmd.<institution>.<category>.<id>   a request to record facts in one stream
    query.<view>                        a question to the projector
    admin.<service>.<verb>              an operator's request
    ledger.<category>                   the events, in the LEDGER stream
    feed.<institution>.<category>       the events that an institution receives, in the FEED stream
    signal.appended                     a nudge, no content that counts

The second token of a command is who asks: the server lets an institution
publish under its own name only, so the token is its proof.
"""

import re
from functools import lru_cache
from typing import Final

LEDGER: Final = "LEDGER"
"""The stream of all events; the sequence of a message is the event's position."""

FICTIONAL_ENDING: Final = ".cas-fictifs"
"""
How the name of a ledger of made-up cases ends, and no other's does.

The running digest of a ledger starts from its name, and each event carries it: one that was begun
without this ending can never have it.
"""

LEDGER_SUBJECTS: Final = "ledger.>"

FEED: Final = "FEED"
"""The stream of what each institution is to know; each has a durable consumer there, of its own name."""

DIGEST_HEADER: Final = "Registre-Digest"
"""The running digest over all bytes up to this event, in lower-case hexadecimal."""
ORIGIN_HEADER: Final = "Registre-Origin"
"""The name of the ledger; the registrar says it of itself too, under the same key of its INFO."""

FEED_SUBJECTS: Final = "feed.>"
POSITION_HEADER: Final = "Registre-Position"
"""The position in the ledger of the event that a message of FEED brings, in decimal."""
NUMBER_HEADER: Final = "Registre-Number"
"""The place of a message in the feed of its institution, from 1 and without gaps: a gap is a loss."""
BACKFILL_HEADER: Final = "Registre-Backfill-Of"
"""Where an event came before its institution was let in: the position of the one that let it in."""

APPENDED: Final = "signal.appended"
COMMANDS: Final = "cmd.*.*.*"

SLUG: Final = r"^[a-z0-9](?:[a-z0-9-]{0,78}[a-z0-9])?$(?!\n)"
"""
A name of an institution or a convention: at most 80 of a-z, 0-9 and the hyphen.

Python's $ also matches before a last line break, which is no part of any name: hence what follows it.
"""

CATEGORIES: Final = ("agrement", "convention", "institution")

_slug = re.compile(SLUG)

SUBJECTS_CACHED_MAX: Final = 8_192
"""Subjects and streams whose parts are kept at hand: they come again and again, and are short."""


def ledger(category: str) -> str:
    """The subject of events of one category: as many subjects as categories, however many conventions."""
    return f"ledger.{_token(category)}"


@lru_cache(SUBJECTS_CACHED_MAX)
def feed(institution: str, category: str) -> str:
    """The subject of what *institution* receives of one category: three each, however many conventions."""
    if category not in CATEGORIES:
        raise ValueError(f"category {category!r} is none of {', '.join(CATEGORIES)}")
    return f"feed.{_token(institution)}.{category}"


def command(institution: str, stream: str) -> str:
    """The subject of a request by *institution* to record facts in *stream* ('category/id')."""
    category, identifier = parse_stream(stream)
    return f"cmd.{_token(institution)}.{category}.{identifier}"


def commands_of(institution: str) -> str:
    """Every subject on which *institution* may ask, and nobody else."""
    return f"cmd.{_token(institution)}.>"


def feed_of(institution: str) -> str:
    """Every subject of what *institution* is to know: the filter of its consumer."""
    return f"feed.{_token(institution)}.>"


@lru_cache(SUBJECTS_CACHED_MAX)
def parse_command(subject: str) -> tuple[str, str]:
    """The institution that asks and the stream it asks about. Raises ValueError."""
    match subject.split("."):
        case ["cmd", institution, category, identifier]:
            return _token(institution), stream(category, identifier)
        case _:
            raise ValueError(f"subject {subject!r} is not cmd.<institution>.<category>.<id>")


def stream(category: str, identifier: str) -> str:
    """The name of a stream of events. Raises ValueError."""
    if category not in CATEGORIES:
        raise ValueError(f"category {category!r} is none of {', '.join(CATEGORIES)}")
    return f"{category}/{_token(identifier)}"


@lru_cache(SUBJECTS_CACHED_MAX)
def parse_stream(name: str) -> tuple[str, str]:
    """The category and the id of the stream *name*. Raises ValueError."""
    category, _, identifier = name.partition("/")
    stream(category, identifier)
    return category, identifier


def query(view: str) -> str:
    """The subject of a question to the projector: 'statement', 'list', 'events', 'status'."""
    return f"query.{_token(view)}"


def admin(service: str, verb: str) -> str:
    """The subject of an operator's request to one service."""
    return f"admin.{_token(service)}.{_token(verb)}"


def is_fictional(origin: str) -> bool:
    """Whether the ledger of that name tells of made-up cases only: its clock may be set."""
    return origin.endswith(FICTIONAL_ENDING)


def _token(text: str) -> str:
    if not _slug.match(text):
        raise ValueError(f"{text!r} is not a name of a-z, 0-9 and hyphens, 80 characters at most")
    return text
