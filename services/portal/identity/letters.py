"""
Letters to persons: the port, and what brings them where no mail is set up.

Nobody but the letter's carrier has the address and the link together: neither is ever logged.
"""

import asyncio
import smtplib
import ssl
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from functools import partial
from typing import Final, TextIO
from urllib.parse import unquote, urlsplit

import msgspec

SMTP_SECONDS_MAX: Final = 20.0
SMTPS_PORT: Final = 465
SUBMISSION_PORT: Final = 587


class Letter(msgspec.Struct, frozen=True):
    """What is to reach *address*."""

    address: str
    subject: str
    text: str


Carrier = Callable[[Letter], Awaitable[None]]
"""Takes one letter; may raise NotCarried."""


def link_at(public_url: str, text: str) -> str:
    """The address of the one-time link of secret *text*, at the portal that browsers know by *public_url*."""
    return f"{public_url}/entree/{text}"


class NotCarried(RuntimeError):
    """The letter was not taken; the reason names no address."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            f"a letter did not leave ({kind}): look at REGISTRE_MAIL_URL and at the mail server's log"
        )


class AddressOfServerUnfit(ValueError):
    """The address of the mail server is none."""

    def __init__(self) -> None:
        super().__init__("a mail server is given as smtps://user:password@host:465, or smtp://host:25")


def to_terminal(out: TextIO) -> Carrier:
    """
    The letter is written to *out*, for the operator who sits there: a demo, a first start.

    Where *out* is no terminal it is kept somewhere, as the log of a container is; nothing is written there.
    """

    async def carry(letter: Letter) -> None:
        if not out.isatty():
            raise NotCarried("no mail server, and no terminal")
        out.write(f"\nPour {letter.address} : {letter.subject}\n\n{letter.text}\n\n")
        out.flush()

    return carry


def by_smtp(url: str, *, sender: str) -> Carrier:
    """
    The letter is handed to the mail server at *url*.

    smtps://user:password@host:465 is TLS from the first byte; smtp:// begins TLS where a password is sent,
    and else goes as it is, to a relay on the same machine or network. Raises AddressOfServerUnfit.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise AddressOfServerUnfit
    context = ssl.create_default_context()

    def deliver(message: EmailMessage) -> None:
        assert parts.hostname is not None
        if parts.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                parts.hostname, parts.port or SMTPS_PORT, timeout=SMTP_SECONDS_MAX, context=context
            )
        else:
            server = smtplib.SMTP(parts.hostname, parts.port or SUBMISSION_PORT, timeout=SMTP_SECONDS_MAX)
        with server:
            if parts.username is not None:
                if parts.scheme == "smtp":
                    server.starttls(context=context)
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(message)

    async def carry(letter: Letter) -> None:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = sender, letter.address, letter.subject
        message.set_content(letter.text)
        try:
            await asyncio.to_thread(partial(deliver, message))
        except (smtplib.SMTPException, OSError) as error:
            # Its own sentence may quote the address back.
            raise NotCarried(type(error).__name__) from None

    return carry
