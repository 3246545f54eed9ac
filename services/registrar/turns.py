"""
One command at a time on each stream, in the order they came.

Mostly nobody else is there, and then a turn is one entry in a dictionary: a
lock for each stream, made and dropped with each command, took a tenth of its time.
"""

import asyncio
from collections import deque


class Turns:
    """The streams that somebody holds, each with those who wait for it: never more than requests in hand."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def take_free(self, stream: str) -> bool:
        """Hold *stream* if nobody does; whether that is so."""
        if stream in self._waiting:
            return False
        self._waiting[stream] = deque()
        return True

    async def take(self, stream: str) -> None:
        """Wait until nobody else holds *stream*, and hold it. Whoever is cancelled meanwhile does not."""
        if self.take_free(stream):
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting[stream].append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it had just come
                self.leave(stream)
            raise

    def leave(self, stream: str) -> None:
        """Hand *stream* over to whoever has waited longest."""
        waiting = self._waiting[stream]
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._waiting[stream]
