"""Letters: brought to a mail server as it is spoken to (RFC 5321), or written where the operator sits."""

import asyncio
import contextlib
import email
import email.policy
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.portal.__main__ import carrier_of
from services.portal.identity import letters
from services.portal.identity.letters import Letter

LETTER = Letter(
    "tresorier@mjc.example", "Votre lien de connexion", "Ouvrez ce lien :\n\nhttps://p.example/entree/x\n"
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class MailServer:
    """As much of a mail server as a client needs; it knows no TLS."""

    def __init__(self, *, refuses: str = "") -> None:
        self.heard: list[str] = []
        self.messages: list[bytes] = []
        self._refuses = refuses

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example\r\n")
        while line := (await reader.readline()).decode().strip():
            self.heard.append(line)
            verb = line.split()[0].upper()
            if verb == self._refuses:
                writer.write(f"550 no such box: {line}\r\n".encode())
            elif verb == "DATA":
                writer.write(b"354 go on\r\n")
                self.messages.append((await reader.readuntil(b"\r\n.\r\n"))[:-5])
                writer.write(b"250 taken\r\n")
            elif verb == "QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 fine\r\n")
        writer.close()


@contextlib.asynccontextmanager
async def listening(server: MailServer) -> AsyncIterator[str]:
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as it:
        yield f"smtp://127.0.0.1:{it.sockets[0].getsockname()[1]}"


async def test_a_letter_reaches_the_mail_server() -> None:
    server = MailServer()
    async with listening(server) as url:
        await letters.by_smtp(url, sender="registre@besancon.example")(LETTER)
    [message] = [email.message_from_bytes(it, policy=email.policy.default) for it in server.messages]
    assert (message["To"], message["From"]) == (LETTER.address, "registre@besancon.example")
    assert message["Subject"] == LETTER.subject
    assert message.get_content().replace("\r\n", "\n").strip() == LETTER.text.strip()


async def test_the_address_of_the_mail_server_may_be_in_a_file(tmp_path: Path) -> None:
    server, file = MailServer(), tmp_path / "mail"
    settings = {"REGISTRE_MAIL_URL_FILE": str(file), "REGISTRE_MAIL_SENDER": "registre@besancon.example"}
    async with listening(server) as url:
        file.write_text(f"{url}\n")
        await carrier_of(settings)(LETTER)
    assert len(server.messages) == 1
    file.write_text("")
    with pytest.raises(letters.AddressOfServerUnfit):
        carrier_of(settings)
    with pytest.raises(ValueError, match="REGISTRE_MAIL_SENDER"):
        carrier_of({"REGISTRE_MAIL_URL_FILE": str(file)})
    file.unlink()
    with pytest.raises(FileNotFoundError):
        carrier_of(settings)


async def test_a_letter_that_is_not_taken_is_told_without_its_address() -> None:
    async with listening(MailServer(refuses="RCPT")) as url:
        carry = letters.by_smtp(url, sender="registre@besancon.example")
        with pytest.raises(letters.NotCarried) as told:
            await carry(LETTER)
    with pytest.raises(letters.NotCarried) as unreachable:
        await carry(LETTER)
    for error in (told.value, unreachable.value):
        assert "mjc.example" not in str(error)
        assert error.__cause__ is None


async def test_a_password_is_not_sent_in_the_open() -> None:
    server = MailServer()
    async with listening(server) as url:
        with pytest.raises(letters.NotCarried):
            await letters.by_smtp(url.replace("//", "//user:secret@"), sender="r@b.example")(LETTER)
    assert server.messages == []
    assert not [line for line in server.heard if line.upper().startswith("AUTH")]


@pytest.mark.parametrize("url", ["", "mail.example", "https://mail.example", "smtp://"])
def test_an_address_of_a_server_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(letters.AddressOfServerUnfit):
        letters.by_smtp(url, sender="r@b.example")


async def test_a_letter_is_written_to_a_terminal_and_to_no_log() -> None:
    terminal, log = Terminal(), io.StringIO()
    await letters.to_terminal(terminal)(LETTER)
    assert LETTER.text in terminal.getvalue()
    with pytest.raises(letters.NotCarried):
        await letters.to_terminal(log)(LETTER)
    assert log.getvalue() == ""
