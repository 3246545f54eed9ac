"""
The folded states a registrar keeps at hand, so that it does not read a stream for every command.

A state is only as good as its version: the store compares it at each append,
and a refusal is given after the version was confirmed. So forgetting one, or
holding an old one, costs time and never truth.
"""

from collections import OrderedDict

from services.domain.streams import State

STREAMS_MAX = 20_000
EVENTS_MAX = 600_000
"""
Over all states held: a state is about as large as its events are many, some 500 bytes each, so 300 MB.

A ledger of 10 000 conventions and 500 000 events fits. Where it does not, and its streams are written in
turn, each command reads and folds its stream again, which halves what the registrar can.
"""


class States:
    """The states used last, at most *streams_max* of them, made of at most *events_max* events."""

    def __init__(self, *, streams_max: int = STREAMS_MAX, events_max: int = EVENTS_MAX) -> None:
        self.events = 0
        """Of all states held."""
        self._streams_max = streams_max
        self._events_max = events_max
        self._held: OrderedDict[str, State] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, stream: str) -> State | None:
        """The state of *stream* as it was last seen; None when it is not held."""
        state = self._held.get(stream)
        if state is not None:
            self._held.move_to_end(stream)
        return state

    def keep(self, state: State) -> None:
        """Hold *state* in place of what was held of its stream; what was used longest ago gives way."""
        held, stream = self._held, state.stream
        before = held.get(stream)
        held[stream] = state
        held.move_to_end(stream)
        self.events += state.version if before is None else state.version - before.version
        while len(self._held) > self._streams_max or self.events > self._events_max:
            _, oldest = self._held.popitem(last=False)
            self.events -= oldest.version

    def forget(self, stream: str) -> None:
        """Hold nothing of *stream*."""
        state = self._held.pop(stream, None)
        if state is not None:
            self.events -= state.version
