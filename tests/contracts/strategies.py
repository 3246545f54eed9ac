"""Any value that the contracts admit, made from the contracts themselves."""

import functools
import uuid
from datetime import UTC, date, datetime
from typing import Any, Final

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from msgspec import inspect

from contracts import dates, envelope
from contracts.dates import PartialDate
from contracts.envelope import POSITION_MAX, Envelope
from contracts.events import EVENTS, Event
from contracts.terms import Instalment

# The same examples in every run, and no example judged by how busy the machine is.
settings.register_profile("registre", derandomize=True, deadline=None, max_examples=60, database=None)
settings.load_profile("registre")

DAYS: Final = st.dates(date(2019, 12, 1), date(2030, 3, 1))
TEXTS: Final = st.text(max_size=20)
CHANNELS: Final[st.SearchStrategy[envelope.Channel]] = st.sampled_from(("api", "cli", "import", "portal"))


def partial_texts() -> st.SearchStrategy[str]:
    """Every written form of a date, within eleven years."""
    years = st.integers(2019, 2030)
    months, quarters = st.integers(1, 12), st.integers(33, 36)
    return st.one_of(
        st.just("XXXX"),
        years.map(str),
        st.builds("{}-{:02}".format, years, months | quarters),
        DAYS.map(date.isoformat),
    )


def partial_dates() -> st.SearchStrategy[PartialDate]:
    return partial_texts().map(PartialDate)


# What a generator cannot guess from the types: keys to compute, fields that depend on each other.
_BY_NAME: Final[dict[str, st.SearchStrategy[Any]]] = {
    "siren": st.sampled_from(("217300656", "262500564")),
    "siret": st.none(),
    "rna": st.just("W251000001"),
    "acte": st.sampled_from((None, "025-262500564-20251203-D00198310-DE")),
    "minus": st.just([]),
    "less": st.just([]),
    "other_reading": st.none(),
    "fallback": st.none(),
    "share": st.none(),
    "quorum": st.none(),
    "at_most_per_year": st.none(),
    "day": st.none() | st.integers(1, 28),
}
_BY_KIND: Final[dict[str, tuple[dict[str, Any], ...]]] = {
    "Share": ({"numerator": 3, "denominator": 4}, {"numerator": 1, "denominator": 1}),
    "IdentifierRecorded": (
        {"scheme": "siret", "value": "21250056500016"},
        {"scheme": "rna", "value": "W251000001"},
    ),
    "Due": ({"words": "sans délai"}, {"on": "2026-36"}, {"each_year": {"month": 2, "day": 29}}),
}
_NO_SHORTER: Final = frozenset({"FixedPeriod", "AgrementGranted", "AgrementRenewed", "InsuranceShown"})


def _values(wanted: Any, name: str = "") -> st.SearchStrategy[Any]:
    match wanted:
        case inspect.Metadata(type=inner):
            return _values(inner, name)
        case inspect.StructType(cls=kind) if kind.__name__ in _BY_KIND:
            return st.sampled_from(_BY_KIND[kind.__name__])
        case inspect.StructType():
            return _struct(wanted.cls)
        case inspect.UnionType(types=types):
            return st.one_of([_values(one, name) for one in types])
        case inspect.LiteralType(values=values):
            return st.sampled_from(values)
        case inspect.VarTupleType(item_type=item, min_length=least):
            return st.lists(_values(item, name), min_size=least or 0, max_size=max(2, least or 0))
        case inspect.TupleType(item_types=items):
            return st.tuples(*(_values(item, name) for item in items)).map(list)
        case inspect.StrType(pattern=pattern, min_length=least, max_length=most):
            if pattern:
                return st.from_regex(pattern, fullmatch=True)
            return st.text(min_size=least or 0, max_size=min(most or 20, 20))
        case inspect.IntType(ge=least, le=most):
            return st.integers(least, most)
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.CustomType():
            return partial_texts()
        case _:
            raise AssertionError(wanted)


def _struct(kind: type[msgspec.Struct]) -> st.SearchStrategy[dict[str, Any]]:
    wanted = inspect.type_info(kind)
    assert isinstance(wanted, inspect.StructType)
    required: dict[str, st.SearchStrategy[Any]] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for field in wanted.fields:
        if field.required:
            required[field.encode_name] = _values(field.type, field.name)
        else:
            optional[field.encode_name] = _BY_NAME.get(field.name, _values(field.type, field.name))
    if wanted.tag_field is not None:
        required[wanted.tag_field] = st.just(wanted.tag)
    if kind.__name__ == "PartyListed":
        optional["signatories"] = st.sampled_from(([], [{"key": "maire", "capacity": "la Maire"}]))
    if kind.__name__ == "InstalmentPlan":
        required["instalments"] = st.lists(
            _struct(Instalment), min_size=1, max_size=2, unique_by=lambda one: str(one["key"])
        )
    made = st.fixed_dictionaries(required, optional=optional)
    return made.map(_in_order) if kind.__name__ in _NO_SHORTER else made


def _in_order(period: dict[str, Any]) -> dict[str, Any]:
    start, end = PartialDate(period["starts_on"]), PartialDate(period["ends_on"])
    return {**period, "starts_on": end.text, "ends_on": start.text} if end.before(start) else period


@functools.cache
def facts_of(kind: type[Event]) -> st.SearchStrategy[Event]:
    """Facts of one type, of every shape its struct admits."""
    if kind.__name__ in _BY_KIND:
        made: st.SearchStrategy[Any] = st.sampled_from(_BY_KIND[kind.__name__])
    else:
        made = _struct(kind)
    return made.map(lambda data: msgspec.convert(data, kind, dec_hook=dates.decode))


def any_facts() -> st.SearchStrategy[Event]:
    """Facts of every type."""
    return st.sampled_from(sorted(EVENTS)).flatmap(lambda tag: facts_of(EVENTS[tag]))


@st.composite
def envelopes(draw: st.DrawFn) -> Envelope:
    """Envelopes as a store would seal them, around a fact of any type."""
    fact = draw(any_facts())
    count = draw(st.integers(1, 200))
    position = draw(st.integers(1, POSITION_MAX))
    return Envelope(
        specversion="1.0",
        datacontenttype="application/json",
        id=str(uuid.UUID(int=draw(st.integers(0, 2**128 - 1)), version=4)),
        source="registre.test",
        tag=fact.TYPE,
        stream="convention/" + draw(st.from_regex(r"[a-z0-9]{1,80}", fullmatch=True)),
        recorded_at=draw(st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))),  # noqa: DTZ001
        position=position,
        version=draw(st.integers(1, position)),
        ordinal=draw(st.integers(1, count)),
        count=count,
        effective_on=draw(partial_dates()),
        command_id="019a0000-0000-7000-8000-000000000000",
        actor="agent-instructeur",
        channel=draw(CHANNELS),
        data=msgspec.Raw(envelope.encode_fact(fact)),
        on_behalf_of=draw(st.none() | st.just("ville")),
        principal=draw(st.none() | st.just("opaque-0001")),
        correlation_id=draw(st.none() | TEXTS),
        causation_id=draw(st.none() | TEXTS),
    )
