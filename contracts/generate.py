"""
Write the JSON Schemas and the AsyncAPI 3 document from the contracts: `make schemas`.

Generated, committed, and held by a test: whoever changes a contract sees the
change in the diff as a partner would.
"""

import json
from pathlib import Path
from typing import Any, Final

import msgspec

from contracts import commands, dates, queries, subjects, upcasting
from contracts.envelope import Envelope
from contracts.events import EVENTS, Fact

HERE: Final = Path(__file__).parent
VERSION: Final = "1.0.0"
"""Of the contracts as a whole: the major number moves when a tag of today is replaced."""

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]

REQUESTS: Final = (
    commands.Declaration,
    queries.StatementQuery,
    queries.ListQuery,
    queries.EventsQuery,
    queries.TakeOver,
    commands.ClockSetting,
)
ANSWERS: Final = (
    commands.Recording,
    commands.Unchanged,
    commands.Refusal,
    queries.StatementAnswer,
    queries.ListPage,
    queries.EventsPage,
    queries.Status,
    queries.Progress,
    commands.ClockSet,
)


def documents() -> dict[str, Schema]:
    """Every generated document by its path below contracts/."""
    made = {f"schemas/events/{tag}.json": event_schema(kind) for tag, kind in every_event().items()}
    made |= {f"schemas/{kind.__name__}.json": schema_of(kind) for kind in (*REQUESTS, *ANSWERS)}
    made["schemas/Declaration.json"] = declaration_schema()
    made["asyncapi.json"] = asyncapi()
    return made


def every_event() -> dict[str, type[Fact]]:
    """Today's shapes and the old ones: all that the bytes of a ledger may hold."""
    return dict(sorted((EVENTS | upcasting.OLD_EVENTS).items()))


def schema_of(kind: type[msgspec.Struct]) -> Schema:
    """The JSON Schema of one struct, complete in itself."""
    schema = msgspec.json.schema(kind, schema_hook=dates.schema)
    return {"$schema": DIALECT, "$id": f"urn:registre:{kind.__name__}", **schema}


def event_schema(kind: type[Fact]) -> Schema:
    """The JSON Schema of an event: a CloudEvents object whose data are those of its type."""
    whole = msgspec.json.schema(Envelope, schema_hook=dates.schema)
    data = msgspec.json.schema(kind, schema_hook=dates.schema)
    envelope = whole["$defs"].pop("Envelope")
    properties = {
        **envelope["properties"],
        "type": {"const": kind.TYPE},
        "data": {"$ref": f"#/$defs/{kind.__name__}"},
    }
    return {
        "$schema": DIALECT,
        "$id": f"urn:registre:event:{kind.TYPE}",
        **envelope,
        "title": kind.TYPE,
        "description": (kind.__doc__ or "").strip(),
        "properties": properties,
        "$defs": {**whole["$defs"], **data["$defs"]},
    }


def declaration_schema() -> Schema:
    """The JSON Schema of a request, its facts each as their type says."""
    schema = schema_of(commands.Declaration)
    whole = schema["$defs"]
    declared = whole.pop("Declared")
    kinds = []
    for tag, kind in every_event().items():
        whole |= msgspec.json.schema(kind, schema_hook=dates.schema)["$defs"]
        properties = {
            **declared["properties"],
            "type": {"const": tag},
            "data": {"$ref": f"#/$defs/{kind.__name__}"},
        }
        kinds.append({**declared, "title": tag, "properties": properties})
    whole["Declared"] = {"title": "Declared", "oneOf": kinds}
    return schema


def asyncapi() -> Schema:
    """The AsyncAPI 3 document: what is sent where, in which shape."""
    event_messages = {
        tag: {
            "name": tag,
            "contentType": "application/cloudevents+json",
            "summary": (kind.__doc__ or "").strip().splitlines()[0],
            "headers": {
                "type": "object",
                "properties": {
                    subjects.DIGEST_HEADER: {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                    subjects.ORIGIN_HEADER: {"type": "string"},
                },
            },
            "payload": {"$ref": f"./schemas/events/{tag}.json"},
        }
        for tag, kind in every_event().items()
    }
    plain = {
        kind.__name__: {
            "name": kind.__name__,
            "contentType": "application/json",
            "summary": (kind.__doc__ or "").strip().splitlines()[0],
            "payload": {"$ref": f"./schemas/{kind.__name__}.json"},
        }
        for kind in (*REQUESTS, *ANSWERS)
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "registre",
            "version": VERSION,
            "description": "A ledger of partnership commitments: what may be declared, recorded and asked.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": _channels(event_messages),
        "operations": _operations(),
        "components": {"messages": {**event_messages, "FeedEntry": _feed_entry(), **plain}},
    }


def _feed_entry() -> Schema:
    counted = {"type": "string", "pattern": "^[1-9][0-9]*$"}
    headers = {
        subjects.POSITION_HEADER: {"description": "the event's position in the ledger", **counted},
        subjects.NUMBER_HEADER: {
            "description": "the place in the feed of this institution, from 1 and without gaps",
            **counted,
        },
        subjects.BACKFILL_HEADER: {
            "description": "where the event came before its institution was let in: the position of the one "
            "that let it in",
            **counted,
        },
    }
    return {
        "name": "FeedEntry",
        "contentType": "application/cloudevents+json",
        "summary": "An event in its own bytes, as one institution receives it.",
        "headers": {
            "type": "object",
            "required": [subjects.POSITION_HEADER, subjects.NUMBER_HEADER],
            "properties": headers,
        },
        "payload": {"oneOf": [{"$ref": f"./schemas/events/{tag}.json"} for tag in every_event()]},
    }


def _channels(event_messages: Schema) -> Schema:
    def messages(*names: str) -> Schema:
        return {name: {"$ref": f"#/components/messages/{name}"} for name in names}

    channels: Schema = {
        "ledger": {
            "address": "ledger.{category}",
            "description": f"The events, in the JetStream stream {subjects.LEDGER}: sequence is position.",
            "parameters": {"category": {"enum": list(subjects.CATEGORIES)}},
            "messages": messages(*event_messages),
        },
        "feed": {
            "address": "feed.{institution}.{category}",
            "description": f"What each institution receives, in the JetStream stream {subjects.FEED}.",
            "parameters": {
                "institution": {"description": "the slug of who receives it"},
                "category": {"enum": list(subjects.CATEGORIES)},
            },
            "messages": messages("FeedEntry"),
        },
        "command": {
            "address": "cmd.{institution}.{category}.{id}",
            "description": "A request to record facts in one stream, by the institution in the subject.",
            "parameters": {
                "institution": {"description": "the slug of who asks"},
                "category": {"enum": list(subjects.CATEGORIES)},
                "id": {"description": "the rest of the stream's name"},
            },
            "messages": messages("Declaration"),
        },
        "command-answer": {
            "address": None,
            "description": "The reply to a command.",
            "messages": messages("Recording", "Unchanged", "Refusal"),
        },
    }
    channels["admin-registrar-clock"] = {
        "address": subjects.admin("registrar", "clock"),
        "messages": messages("ClockSetting"),
    }
    channels["admin-registrar-clock-answer"] = {
        "address": None,
        "messages": messages("ClockSet", "Refusal"),
    }
    for verb in _TAKE_OVERS:
        channels[f"admin-projector-{verb}"] = {
            "address": subjects.admin("projector", verb),
            "messages": messages("TakeOver"),
        }
        channels[f"admin-projector-{verb}-answer"] = {
            "address": None,
            "messages": messages("Progress", "Refusal"),
        }
    for view, asks, answers in _QUERIES:
        channels[f"query-{view}"] = {
            "address": subjects.query(view),
            "messages": messages(asks) if asks else {},
        }
        channels[f"query-{view}-answer"] = {
            "address": None,
            "messages": messages(answers, "Refusal"),
        }
    return channels


_QUERIES: Final = (
    ("statement", "StatementQuery", "StatementAnswer"),
    ("list", "ListQuery", "ListPage"),
    ("events", "EventsQuery", "EventsPage"),
    ("status", "", "Status"),
)


_TAKE_OVERS: Final = ("rebuild", "rollback")


def _operations() -> Schema:
    operations: Schema = {
        "read-ledger": {
            "action": "receive",
            "channel": {"$ref": "#/channels/ledger"},
            "summary": "Read the events in order, from any position.",
        },
        "read-feed": {
            "action": "receive",
            "channel": {"$ref": "#/channels/feed"},
            "summary": "Read what one institution receives, each event once, from any place in its feed.",
        },
        "declare": _asked("command", "command-answer", "Record facts, all or none."),
    }
    for view, _, _ in _QUERIES:
        operations[f"ask-{view}"] = _asked(f"query-{view}", f"query-{view}-answer", f"Ask for the {view}.")
    operations["admin-registrar-clock"] = _asked(
        "admin-registrar-clock",
        "admin-registrar-clock-answer",
        "Set the clock of a ledger of made-up cases; any other refuses.",
    )
    for verb in _TAKE_OVERS:
        channel = f"admin-projector-{verb}"
        operations[channel] = _asked(channel, f"{channel}-answer", f"Have the read models {verb}.")
    return operations


def _asked(channel: str, answer: str, summary: str) -> Schema:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "reply": {"channel": {"$ref": f"#/channels/{answer}"}},
    }


def text(document: Schema) -> str:
    """A document as it is committed."""
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> None:
    """Write every document, and remove those that are no longer made."""
    made = documents()
    for old in HERE.glob("schemas/**/*.json"):
        if old.relative_to(HERE).as_posix() not in made:
            old.unlink()
    for path, document in made.items():
        target = HERE / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text(document), encoding="utf-8")


if __name__ == "__main__":
    main()
