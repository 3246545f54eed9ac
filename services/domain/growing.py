"""
A mapping that only ever gets longer, and of which every length stays what it was.

A state is a value: the one before a fact is not changed by it. To copy a book for
each fact would make a long stream dear, and the longest are those that matter.
"""

from collections.abc import Hashable, Iterator
from itertools import islice
from typing import Generic, TypeVar

import msgspec

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Growing(msgspec.Struct, Generic[K, V], frozen=True, gc=False, eq=False):
    """
    Values by key, in the order they came; frozen, as everything made of it.

    With one more it is another, which shares with this one what both have: each looks
    no further than its own length. Only where two grow from one does the second copy.
    One thread at a time may grow what is shared.
    """

    _places: dict[K, int] = {}
    _values: list[V] = []
    _length: int = 0

    def __len__(self) -> int:
        return self._length

    def __contains__(self, key: K) -> bool:
        return self._places.get(key, self._length) < self._length

    def __getitem__(self, key: K) -> V:
        place = self._places[key]
        if place >= self._length:
            raise KeyError(key)
        return self._values[place]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Growing):
            return NotImplemented
        return self._keys() == other._keys() and list(self.values()) == list(other.values())

    __hash__ = None  # type: ignore[assignment]

    def get(self, key: K) -> V | None:
        """The value of *key*, None when it is not here."""
        place = self._places.get(key, self._length)
        return self._values[place] if place < self._length else None

    @property
    def first(self) -> V | None:
        """The value that came first, None where there is none."""
        return self._values[0] if self._length else None

    def values(self) -> Iterator[V]:
        """All values, in the order they came."""
        return islice(self._values, self._length)

    def grown(self, key: K, value: V) -> "Growing[K, V]":
        """This and *value* under *key*, which is new."""
        places, values, length = self._places, self._values, self._length
        if not length or len(values) != length:
            places, values = dict(islice(places.items(), length)), values[:length]
        assert key not in places, key
        places[key] = length
        values.append(value)
        return Growing(places, values, length + 1)

    def _keys(self) -> list[K]:
        return list(islice(self._places, self._length))
