"""
One door to the rules, whatever a stream is about: initial, evolve, decide.

The category in the stream's name says which rules apply. A command's facts are
judged one after the other, each against the state that those before it would make.
"""

from collections.abc import Sequence
from typing import assert_never

from contracts.envelope import Entry
from contracts.subjects import parse_stream
from services.domain import agrement, convention, institution
from services.domain.book import UNRECORDED, Held, Proposed

__all__ = ["Held", "Proposed", "State", "advance", "decide", "evolve", "initial"]

State = convention.State | agrement.State | institution.State


def initial(stream: str) -> State:
    """A stream of which nothing is recorded yet. Raises ValueError for a name of no category."""
    match parse_stream(stream)[0]:
        case "convention":
            return convention.initial(stream)
        case "agrement":
            return agrement.initial(stream)
        case _:
            return institution.initial(stream)


def evolve(state: State, entry: Entry) -> State:
    """The state once *entry* is recorded; its version becomes the entry's. Never refuses."""
    assert entry.envelope.stream == state.stream, (entry.envelope.stream, state.stream)
    assert entry.envelope.version == state.version + 1, (entry.envelope.version, state.version)
    return advance(state, Held.of(entry))


def decide(state: State, *, actor: str, proposed: Sequence[Proposed]) -> tuple[Proposed, ...]:
    """
    The facts of *proposed* to record, in order; without those recorded before word for word.

    Raises refusals.Refused for the first that cannot be.
    """
    taken: list[Proposed] = []
    last: Held | None = None
    for index, one in enumerate(proposed):
        # Nobody is judged by what the last fact makes of the state: it is not made.
        if last is not None:
            state = advance(state, last)
            last = None
        if _decide(state, actor, one, index):
            taken.append(one)
            last = Held(UNRECORDED + index, one.effective_on, actor, one.on_behalf_of, one.fact)
    return tuple(taken)


def check_authority(state: State, *, actor: str, proposed: Sequence[Proposed]) -> None:
    """Refuse what is not for *actor* to record as the stream stands. Raises authority.NotAuthorised."""
    for index, one in enumerate(proposed):
        match state:
            case convention.State():
                convention.check_authority(state, actor=actor, proposed=one, fact=index)
            case agrement.State():
                agrement.check_authority(state, actor=actor, proposed=one, fact=index)
            case institution.State():
                institution.check_authority(state, actor=actor, proposed=one, fact=index)
            case _:
                assert_never(state)


def advance(state: State, held: Held) -> State:
    """As evolve, for a fact taken out of its entry, or none yet: the version becomes the next one."""
    version = state.version + 1
    match state:
        case convention.State():
            return convention.evolve(state, held, version=version)
        case agrement.State():
            return agrement.evolve(state, held, version=version)
        case institution.State():
            return institution.evolve(state, held, version=version)
        case _:
            assert_never(state)


def _decide(state: State, actor: str, proposed: Proposed, fact: int) -> bool:
    match state:
        case convention.State():
            return convention.decide(state, actor=actor, proposed=proposed, fact=fact)
        case agrement.State():
            return agrement.decide(state, actor=actor, proposed=proposed, fact=fact)
        case institution.State():
            return institution.decide(state, actor=actor, proposed=proposed, fact=fact)
        case _:
            assert_never(state)
