"""
What it is to be well: to answer, and to move as long as there is something to catch up with.

A service that is behind is not ill, whatever the distance; one that is behind and stays where it is, is.
"""

import asyncio
import http.client
import ssl
from typing import Any, Final

import msgspec
from nats.aio.client import Client

from contracts import subjects
from contracts.commands import Refusal
from services import runtime

SERVER: Final = "nats"
"""The server itself; every other name is that of a service."""

REPORTS: Final = {
    "relay": (subjects.admin("relay", "status"), "ledger_sequence"),
    "feeder": (subjects.admin("feeder", "status"), "position"),
    "projector": (subjects.query("status"), "position"),
}
"""Who tells how far behind it is: on which subject, and under which name how far it has come."""

ANSWER_SECONDS_MAX: Final = 4.0
MOVE_SECONDS_MAX: Final = 4.0
"""How long a service that is behind may stay where it is, answering questions meanwhile."""

POLL_SECONDS: Final = 0.2
SAID_BYTES_MAX: Final = 2_000


class Unwell(RuntimeError):
    """The service answers, and does not do its work; the sentence says what it says of itself."""


class NotMoving(Unwell):
    """The service is behind by *lag_events* and was at *reached* all the time."""

    def __init__(self, service: str, *, reached: int, lag_events: int) -> None:
        super().__init__(
            f"the {service} is {lag_events} events behind, and stayed at {reached} for {MOVE_SECONDS_MAX:g} s"
        )
        self.service = service
        self.reached = reached
        self.lag_events = lag_events


PORTAL: Final = "portal"
READY: Final = "/api/v1/health"


async def look_at_portal(port: int, *, is_secure: bool) -> None:
    """
    Return where the portal that listens at *port* on this machine is ready to answer anybody.

    Raises Unwell with what it answers, or an OSError where it does not.
    """
    status, said = await asyncio.to_thread(_got, port, is_secure=is_secure)
    if status != http.HTTPStatus.OK:
        raise Unwell(f"the portal answers {status}: {said}")


def _got(port: int, *, is_secure: bool) -> tuple[int, str]:
    if is_secure:
        # Asked on this machine whether it answers: the name in its certificate is for others to check.
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=ANSWER_SECONDS_MAX, context=trusting
        )
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS_MAX)
    try:
        connection.request("GET", READY)
        response = connection.getresponse()
        return response.status, response.read(SAID_BYTES_MAX).decode(errors="replace")
    finally:
        connection.close()


async def look(bus: Client, service: str) -> None:
    """
    Return where *service* is well; it takes MOVE_SECONDS_MAX at most where it is behind.

    Raises Unwell, or the errors of runtime.ask and runtime.answers.
    """
    if service == SERVER:
        await _ask(bus, "$JS.API.INFO")
    elif service in REPORTS:
        await _moving(bus, service)
    else:
        await runtime.answers(bus, service, seconds_max=ANSWER_SECONDS_MAX)


async def _moving(bus: Client, service: str) -> None:
    subject, name = REPORTS[service]
    first = await _ask(bus, subject)
    deadline = asyncio.get_running_loop().time() + MOVE_SECONDS_MAX
    now = first
    while now["lag_events"] and now[name] == first[name]:
        if asyncio.get_running_loop().time() > deadline:
            raise NotMoving(service, reached=now[name], lag_events=now["lag_events"])
        await asyncio.sleep(POLL_SECONDS)
        now = await _ask(bus, subject)


async def _ask(bus: Client, subject: str) -> dict[str, Any]:
    answer = await runtime.ask(bus, subject, seconds_max=ANSWER_SECONDS_MAX)
    if isinstance(answer, Refusal):
        raise Unwell(answer.message)
    report: dict[str, Any] = msgspec.json.decode(answer)
    if "error" in report:
        raise Unwell(f"{subject}: {report['error']}")
    return report
