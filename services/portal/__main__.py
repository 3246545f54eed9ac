"""
The portal as a process: `python -m services.portal`.

Reads from the environment

    REGISTRE_NATS_URL, REGISTRE_NATS_SEED   the server, and the path of the seed it connects with
    REGISTRE_HTTP_ADDRESS                   where it listens: 127.0.0.1:8080 unless given, [::]:443, …
    REGISTRE_HTTP_CERTIFICATE, _KEY         PEM files: with both, TLS
    REGISTRE_PORTAL_URL                     what browsers know it by; the address it listens at unless given
    REGISTRE_PERSONS                        the file of persons
    REGISTRE_PIECES                         the folder of papers
    REGISTRE_MAIL_URL, REGISTRE_MAIL_SENDER who takes letters to persons (smtps://…); else they are printed
    REGISTRE_MAIL_URL_FILE                  in place of the first, a file that it is in
    REGISTRE_OIDC_…                         the provider of identity (services.portal.identity.identity)

It opens no store and no read model: it asks the services that have them.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import structlog

from contracts.commands import Recording, Unchanged
from eventstore.pieces import FolderPieces
from services import runtime
from services.portal import feed, feed_reading, server, sight
from services.portal.app import create_app
from services.portal.identity import administration, identity, letters, pages
from services.portal.identity.access import Access
from services.portal.identity.identity import Settings
from services.portal.ledger import Ledger, declaration_in
from services.portal.pieces import Papers

ADDRESS_DEFAULT: Final = "127.0.0.1:8080"

log = structlog.get_logger()


class Address(msgspec.Struct, frozen=True):
    """Where the portal listens; with both files, by TLS."""

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None


def address_of(environ: Mapping[str, str]) -> Address:
    """Where *environ* says to listen. Raises ValueError."""
    text = environ.get("REGISTRE_HTTP_ADDRESS") or ADDRESS_DEFAULT
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise ValueError(f"REGISTRE_HTTP_ADDRESS is {text!r}: say a host and a port, as in {ADDRESS_DEFAULT}")
    files = [environ.get(f"REGISTRE_HTTP_{name}") for name in ("CERTIFICATE", "KEY")]
    certificate, key = (Path(each) if each else None for each in files)
    if (certificate is None) != (key is None):
        raise ValueError("REGISTRE_HTTP_CERTIFICATE and REGISTRE_HTTP_KEY go together: say both or neither")
    return Address(host.strip("[]"), int(port), certificate, key)


def carrier_of(environ: Mapping[str, str]) -> letters.Carrier:
    """
    Who takes letters.

    Raises AddressOfServerUnfit, ValueError for a server without a sender, OSError for a file not read.
    """
    url, file = environ.get("REGISTRE_MAIL_URL"), environ.get("REGISTRE_MAIL_URL_FILE")
    if not url and not file:
        return letters.to_terminal(sys.stdout)
    sender = environ.get("REGISTRE_MAIL_SENDER")
    if not sender:
        raise ValueError(
            "with REGISTRE_MAIL_URL, or its file, goes REGISTRE_MAIL_SENDER, the address letters are from"
        )
    return letters.by_smtp(url or Path(file or "").read_text(encoding="utf-8").strip(), sender=sender)


def _now() -> datetime:
    return datetime.now(UTC)


async def serve(
    nats_url: str,
    *,
    listening: socket.socket,
    address: Address,
    settings: Settings,
    papers: Path,
    carry: letters.Carrier,
    stopping: asyncio.Event,
    seed: Path | None = None,
) -> None:
    """
    Answer HTTP on the socket *listening*, which is at *address*, until *stopping* is set.

    Raises what stops following LEDGER (services.history.Stopped), and the errors of runtime.connected,
    of identity.opened and of server.serving.
    """
    async with (
        runtime.connected(nats_url, "portal", seed=seed) as bus,
        sight.following(bus) as (seen, following),
        feed_reading.following(bus) as feeds,
    ):
        ledger = Ledger(bus, seen)

        async def send(access: Access, stream: str, body: bytes) -> Recording | Unchanged:
            return await ledger.declare(access, stream, declaration_in(body))

        async with identity.opened(
            settings, now=_now, carry=carry, sirens=ledger.sirens, send=send
        ) as persons:
            app = create_app(
                ledger,
                Papers(FolderPieces(papers), now=_now),
                identification=persons.identification,
                headers=persons.headers,
                propose=persons.proposed,
                routes=[
                    feed.routes(feeds, stands=persons.identification.stands),
                    administration.routes(persons),
                    pages.routes(persons),
                ],
            )
            async with (
                server.serving(app, listening, certificate=address.certificate, key=address.key) as it,
                runtime.answering(
                    bus,
                    name="portal",
                    description="The API and the pages.",
                    endpoints=[],
                    metadata={runtime.URL: server.url_of(listening, is_secure=address.key is not None)},
                ),
            ):
                log.info("portal.listening", url=settings.public_url)
                told = asyncio.create_task(stopping.wait())
                ended = asyncio.create_task(it.ended())
                await asyncio.wait((told, ended, following), return_when=asyncio.FIRST_COMPLETED)
                told.cancel()
                ended.cancel()
                if following.done():
                    following.result()


async def main(stopping: asyncio.Event) -> None:
    address = address_of(os.environ)
    with server.bound(address.host, address.port) as listening:
        url = server.url_of(listening, is_secure=address.certificate is not None)
        await serve(
            os.environ["REGISTRE_NATS_URL"],
            listening=listening,
            address=address,
            settings=identity.settings_of({"REGISTRE_PORTAL_URL": url, **os.environ}),
            papers=Path(os.environ["REGISTRE_PIECES"]),
            carry=carrier_of(os.environ),
            stopping=stopping,
            seed=runtime.seed_of(os.environ),
        )


if __name__ == "__main__":
    runtime.run(main, service="portal")
