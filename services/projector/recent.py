"""What was used last, within a bound."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """
    The values used last, whose weights together are at most *weight_max*.

    For one thread. A value heavier than that alone is kept until the next comes.
    """

    def __init__(self, weight_max: int) -> None:
        self.weight = 0
        self._weight_max = weight_max
        self._kept: OrderedDict[Key, tuple[Value, int]] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        """The value kept for *key*, if it still is."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        self._kept.move_to_end(key)
        return kept[0]

    def pop(self, key: Key) -> Value | None:
        """The value kept for *key*, which is let go of."""
        kept = self._kept.pop(key, None)
        if kept is None:
            return None
        self.weight -= kept[1]
        return kept[0]

    def put(self, key: Key, value: Value, *, weight: int = 1) -> None:
        """Keep *value*, and let go of those not used for longest."""
        old = self._kept.pop(key, None)
        self.weight += weight - (old[1] if old else 0)
        self._kept[key] = (value, weight)
        while self.weight > self._weight_max and len(self._kept) > 1:
            _, (_, gone) = self._kept.popitem(last=False)
            self.weight -= gone

    def clear(self) -> None:
        """Keep nothing."""
        self._kept.clear()
        self.weight = 0
