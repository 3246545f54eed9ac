"""The operator's side of the file of persons: beside a portal, or without one."""

import asyncio
import re
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from services.cli import app
from tests.portal.identity.conftest import Portal

ADJOINTE = "adjointe.essai@besancon.example"


def registre(file: Path, *words: str) -> Result:
    return CliRunner().invoke(
        app, words, env={"REGISTRE_PERSONS": str(file), "REGISTRE_PORTAL_URL": "https://p.example"}
    )


def test_the_operator_invites_lists_withdraws_and_erases(tmp_path: Path) -> None:
    file = tmp_path / "persons.db"
    told = registre(
        file, "persons", "invite", "ville-besancon", ADJOINTE, "--as", "administration", "--as", "saisie"
    )
    assert told.exit_code == 0, told.output
    assert re.fullmatch(r"https://p\.example/entree/[A-Za-z0-9_-]{43}\n", told.stdout)
    [member] = msgspec.json.decode(registre(file, "persons", "list", "--json").stdout)
    assert (member["address"], member["rights"]) == (ADJOINTE, ["saisie", "administration"])
    told = registre(file, "persons", "withdraw", "ville-besancon", ADJOINTE)
    assert (told.exit_code, "nul n’administre plus" in told.stderr) == (1, True)
    words = ("persons", "invite", "ville-besancon", "b@besancon.example", "--as", "administration")
    assert registre(file, *words, "--by", "provider").stdout == "https://p.example/connexion\n"
    assert registre(file, "persons", "withdraw", "ville-besancon", ADJOINTE).exit_code == 0
    assert "withdrawn" in registre(file, "persons", "list", "ville-besancon").stdout
    assert registre(file, "persons", "erase", ADJOINTE).stdout == "1 principals are nobody's now\n"
    assert registre(file, "persons", "erase", ADJOINTE).stdout == "nobody has that address\n"
    assert ADJOINTE.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_a_token_is_printed_once_and_listed_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "persons.db"
    told = registre(file, "tokens", "make", "ville-besancon", "--right", "lecture", "--for", "finances")
    text = told.stdout.strip()
    assert re.fullmatch(r"registre_[a-z0-9]{8}_[A-Za-z0-9_-]{43}", text)
    name = text.split("_")[1]
    listed = registre(file, "tokens", "list", "ville-besancon").stdout
    assert name in listed
    assert text not in listed
    assert registre(file, "tokens", "revoke", "ccas-besancon", name).exit_code == 1
    assert registre(file, "tokens", "revoke", "ville-besancon", name).exit_code == 0
    assert msgspec.json.decode(registre(file, "tokens", "list", "--json").stdout)[0]["revoked_at"]


def test_a_mandate_is_granted_listed_and_revoked(tmp_path: Path) -> None:
    file = tmp_path / "persons.db"
    words = (
        "mandates",
        "grant",
        "auditrice@crc.example",
        "-i",
        "ville-besancon",
        "-i",
        "ccas-besancon",
        "--for",
        "x",
    )
    told = registre(file, *words, "--years", "2024-2025")
    assert told.exit_code == 0, told.output
    assert "/entree/" in told.stdout
    [mandate] = msgspec.json.decode(registre(file, "mandates", "list", "--json").stdout)
    assert (mandate["first_year"], mandate["last_year"]) == (2024, 2025)
    assert mandate["institutions"] == ["ccas-besancon", "ville-besancon"]
    assert registre(file, "mandates", "revoke", mandate["principal"]).exit_code == 0
    assert "revoked" in registre(file, "mandates", "list").stdout
    assert registre(file, *words, "--years", "2025-2024").exit_code == 1
    assert registre(file, *words, "--years", "some").exit_code == 2


@pytest.mark.asyncio(loop_scope="module")
async def test_the_operator_hands_a_link_to_who_gets_no_letters(portal: Portal) -> None:
    member = await portal.member(ADJOINTE)
    await portal.member("agent@besancon.example", enters_by="provider")
    told = await asyncio.to_thread(registre, portal.file.path, "persons", "link", ADJOINTE)
    async with portal.browser() as browser:
        await browser.post("/entree", {"lien": told.stdout.strip().rpartition("/")[2]})
        assert (await browser.json("GET", "/qui"))[1]["principal"] == member.principal
    for address in ("agent@besancon.example", "nobody@besancon.example"):
        told = await asyncio.to_thread(registre, portal.file.path, "persons", "link", address)
        assert (told.exit_code, told.stdout) == (1, "")


@pytest.mark.asyncio(loop_scope="module")
async def test_what_an_auditor_looked_at_is_told_to_the_operator(portal: Portal) -> None:
    file = portal.file.path
    words = (
        "mandates",
        "grant",
        "auditrice@crc.example",
        "-i",
        "ville-besancon",
        "--years",
        "2024",
        "--for",
        "x",
    )
    told = await asyncio.to_thread(registre, file, *words)
    link = told.stdout.strip().rpartition("/")[2]
    async with portal.browser() as browser:
        assert (await browser.post("/entree", {"lien": link})).status == 200
        await browser.get("/etat?on=2024-05-01")
    told = await asyncio.to_thread(registre, file, "mandates", "consultations", "ville-besancon")
    assert "GET /etat?on=2024-05-01" in told.stdout
    assert (
        await asyncio.to_thread(registre, file, "mandates", "consultations", "ccas-besancon")
    ).stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ("persons", "invite", "ville-besancon", "nobody", "--as", "lecture"),
        ("persons", "invite", "ville-besancon", ADJOINTE, "--as", "tout"),
        ("persons", "invite", "ville-besancon", ADJOINTE, "--as", "lecture", "--by", "pigeon"),
        ("persons", "withdraw", "ville-besancon", ADJOINTE),
        ("tokens", "make", "ville-besancon", "--right", "administration", "--for", "x"),
        ("mandates", "revoke", "nobody"),
    ],
    ids=lambda words: f"{words[0]}-{words[1]}-{words[-1]}",
)
def test_what_cannot_be_is_one_sentence(tmp_path: Path, words: tuple[str, ...]) -> None:
    told = registre(tmp_path / "persons.db", *words)
    assert told.exit_code in {1, 2}
    assert told.stdout == ""
    assert "Traceback" not in told.stderr


def test_a_file_of_something_else_is_said_to_be_one(tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("notes" * 1_000)
    told = registre(other, "persons", "list")
    assert (told.exit_code, "is no file of persons" in told.stderr) == (1, True)
