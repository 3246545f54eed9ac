"""Given / when / then in a few lines: entries from facts, and what a stream answers."""

import uuid
from datetime import UTC, datetime, timedelta
from functools import reduce

import msgspec

from contracts import envelope
from contracts import events as facts
from contracts.dates import PartialDate
from contracts.envelope import Entry, Envelope
from contracts.events import Basis, Event
from contracts.terms import FixedPeriod
from services.domain import streams
from services.domain.book import Proposed

CONVENTION = "convention/mjc-fictive"
CLERK = "agent-instructeur"
START = datetime(2026, 1, 1, tzinfo=UTC)
BASIS = Basis(kind="unstated")

Line = tuple[str, Event] | tuple[str, Event, str | None]
"""When it took effect, what happened, and for whom it was recorded (its author, unless said)."""


def author(fact: Event) -> str | None:
    """Whose act a fact is, None when it is anybody's."""
    return getattr(fact, fact.AUTHOR) if fact.AUTHOR else None


def entries(
    *lines: Line, stream: str = CONVENTION, actor: str = CLERK, first_position: int = 1
) -> list[Entry]:
    """The events that recording *lines* in order would give, one a second."""
    made = []
    for index, (on, fact, *whose) in enumerate(lines):
        made.append(
            Entry(
                Envelope(
                    specversion="1.0",
                    datacontenttype="application/json",
                    id=str(uuid.uuid4()),
                    source="registre.test",
                    tag=fact.TYPE,
                    stream=stream,
                    recorded_at=START + timedelta(seconds=first_position + index),
                    position=first_position + index,
                    version=index + 1,
                    ordinal=1,
                    count=1,
                    effective_on=PartialDate(on),
                    command_id="019a0000-0000-7000-8000-000000000000",
                    actor=actor,
                    on_behalf_of=whose[0] if whose else author(fact),
                    channel="api",
                    data=msgspec.Raw(envelope.encode_fact(fact)),
                ),
                fact,
            )
        )
    return made


def given(*lines: Line, stream: str = CONVENTION, first_position: int = 1) -> streams.State:
    """The state once *lines* are recorded."""
    recorded = entries(*lines, stream=stream, first_position=first_position)
    return reduce(streams.evolve, recorded, streams.initial(stream))


def when(state: streams.State, *lines: Line, actor: str = CLERK) -> tuple[Proposed, ...]:
    """What *actor* gets recorded by declaring *lines*; raises Refused."""
    asked = [
        Proposed(fact, PartialDate(on), whose[0] if whose else author(fact)) for on, fact, *whose in lines
    ]
    return streams.decide(state, actor=actor, proposed=asked)


OPENED: Line = (
    "2025-12-11",
    facts.InstrumentOpened(nature="convention-cadre", title="Convention fictive", force="engagement-ferme"),
)
VILLE: Line = (
    "2025-12-11",
    facts.PartyListed(
        institution="ville",
        role="financeur",
        signatories=(facts.Signatory("maire", "la Maire"),),
    ),
)
MJC: Line = (
    "2025-12-11",
    facts.PartyListed(
        institution="mjc",
        role="beneficiaire",
        signatories=(facts.Signatory("president", "le Président"),),
    ),
)
TERM: Line = (
    "2025-12-11",
    facts.ClauseStated(
        article="10",
        about="durée",
        term=FixedPeriod(PartialDate("2026-01-01"), PartialDate("2029-12-31")),
    ),
)
OPEN: tuple[Line, ...] = (OPENED, VILLE, MJC, TERM)


def signed(party: str, key: str, on: str, avenant: int | str | None = None) -> Line:
    """A signature."""
    return (
        on,
        facts.SignatureAffixed(
            party=party,
            signatory=key,
            capacity=key,
            basis=BASIS,
            mode="manuscrite",
            avenant=None if avenant is None else str(avenant),
        ),
    )


SIGNED: tuple[Line, ...] = (
    *OPEN,
    signed("ville", "maire", "2025-12-15"),
    signed("mjc", "president", "2025-12-18"),
)


def voted(cents: int, exercice: int = 2026, on: str = "2026-03-20") -> Line:
    """A vote of the ville for the mjc."""
    return (
        on,
        facts.SubsidyVoted(payer="ville", beneficiary="mjc", exercice=exercice, amount_cents=cents),
    )


def paid(key: str, cents: int, on: str, exercice: int = 2026) -> Line:
    """A payment of the ville to the mjc."""
    return (
        on,
        facts.PaymentMade(payer="ville", beneficiary="mjc", key=key, exercice=exercice, amount_cents=cents),
    )


def avenant(
    number: int, on: str, *changes: facts.AnyChange, binds: tuple[str, ...] = ("ville", "mjc")
) -> Line:
    """An avenant between some of the parties."""
    return on, facts.AvenantConcluded(
        number=str(number), binds=binds, rationale="pour l'essai", changes=changes
    )
