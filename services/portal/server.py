"""
The HTTP server: uvicorn, with bounds on connections, on the time of a request's head, and on its last words.

A connection that has not sent the whole head of a request in time is closed; the time of a body is bounded
by whoever reads it. What comes of a body after its answer (too large, not signed in) is thrown away for a
while, so that a client which sends all before it reads still finds the answer; then the connection is closed.
A client that reads slowly holds up its own answer and nothing else; one that hardly reads at all is cut off.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import h11
import uvicorn
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS_MAX: Final = 10.0
"""From the first byte of a connection, or from its last answer, to the end of a request's head."""

REST_SECONDS_MAX: Final = 30.0
"""From an answer that did not wait for the whole body of its request to the end of that body."""

SEND_SECONDS_MAX: Final = 30.0
"""In which a client takes what was sent to it, a part of an answer at most."""

PART_BYTES: Final = 65_536
"""Of an answer, sent when the part before it is taken."""

IDLE_SECONDS_MAX: Final = 15
CONNECTIONS_MAX: Final = 1_000
BACKLOG: Final = 256
STOP_SECONDS_MAX: Final = 5
"""After a signal, how long answers on their way may take."""


class Timed(H11Protocol):
    """
    The library's protocol, with time limits.

    For the head of each request, for a body that goes on after its answer, and for taking the answers.
    """

    head_seconds_max: float = HEAD_SECONDS_MAX
    rest_seconds_max: float = REST_SECONDS_MAX
    send_seconds_max: float = SEND_SECONDS_MAX
    _late: asyncio.TimerHandle | None = None
    _untaken: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the library has it
        """A client: it has to say something."""
        super().connection_made(transport)
        # To be told of what the client does not take at once, and when it has. 0 would be always, over TLS.
        transport.set_write_buffer_limits(high=1, low=0)
        self._expect(self.head_seconds_max)

    def data_received(self, data: bytes) -> None:
        """More of a request, or of its body."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            # A head has begun, or the rest of a body has ended: the library forgets how long it may idle.
            if self._late is None:
                self._expect(self.head_seconds_max)
        elif not self._is_answered_early():
            self._heard()

    def on_response_complete(self) -> None:
        """A request is answered, and perhaps not all of its body was waited for."""
        super().on_response_complete()
        if self._is_answered_early():
            self._heard()
            self._expect(self.rest_seconds_max)

    def _is_answered_early(self) -> bool:
        return self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._heard()
        self._has_taken()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not take all of what is sent at once."""
        super().pause_writing()
        # Closing would wait for it to take the rest.
        self._untaken = self.loop.call_later(self.send_seconds_max, self.transport.abort)

    def resume_writing(self) -> None:
        """It has taken it."""
        super().resume_writing()
        self._has_taken()

    def _has_taken(self) -> None:
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None

    def _expect(self, seconds_max: float) -> None:
        self._late = self.loop.call_later(seconds_max, self._cut_off)

    def _heard(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _cut_off(self) -> None:
        self._late = None
        self.transport.close()


def in_parts(app: ASGIApp) -> ASGIApp:
    """*app*, whose answers go part by part, so that a client has its time for each of them."""

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.body" and len(body := message.get("body", b"")) > PART_BYTES:
                starts = range(0, len(body), PART_BYTES)
                for start in starts[:-1]:
                    part = body[start : start + PART_BYTES]
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                message = {**message, "body": body[starts[-1] :]}
            await send(message)

        await app(scope, receive, sending)

    return answering


class Listening:
    """A server that takes requests."""

    def __init__(self, task: "asyncio.Task[None]") -> None:
        self._task = task

    async def ended(self) -> None:
        """Returns, or raises, when the server has ended."""
        await asyncio.shield(self._task)


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens at *host* and *port* (0: a free one). Raises an OSError where it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), backlog=BACKLOG, family=family)
    # Connections inherit it. asyncio sets it only where a socket names its protocol, as none made this way
    # does: the second part of an answer then waits 40 ms for a delayed acknowledgement of the first.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # The system holds megabytes otherwise, and asks for more when a third of them is taken: a slow client
    # would look like one that takes nothing.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, PART_BYTES)
    return listening


def url_of(listening: socket.socket, *, is_secure: bool = False) -> str:
    """The address of what listens there."""
    host, port = listening.getsockname()[:2]
    return f"http{'s' if is_secure else ''}://{f'[{host}]' if ':' in host else host}:{port}"


@contextlib.asynccontextmanager
async def serving(
    app: ASGIApp, listening: socket.socket, *, certificate: Path | None = None, key: Path | None = None
) -> AsyncIterator[Listening]:
    """
    *app* behind the socket *listening* as long as the block lasts; requests in hand at its end are answered.

    With TLS where there is a *certificate* and its *key*. Raises an OSError where these cannot be read.
    """
    config = uvicorn.Config(
        in_parts(app),
        http=Timed,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_keep_alive=IDLE_SECONDS_MAX,
        timeout_graceful_shutdown=STOP_SECONDS_MAX,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await server.is_up(task)
        yield Listening(task)
    finally:
        server.should_exit = True
        await task


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves signals to the process and says when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._up = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Signals are services.runtime's business."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self._up.set()

    async def is_up(self, task: "asyncio.Task[None]") -> None:
        """Returns once it listens; raises what ended *task* before."""
        up = asyncio.create_task(self._up.wait())
        await asyncio.wait((up, task), return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        if task.done():
            task.result()
            raise OSError("the HTTP server ended before it listened")
