"""
`registre persons`, `registre tokens`, `registre mandates`: the operator's side of the file of persons.

They work on the file itself, beside a portal that runs or without one. What they print is the operator's;
a link or a token is printed once, to whoever asked for it, and is kept nowhere.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, NoReturn, TypeVar

import msgspec
import typer

from services.portal.identity import (
    consultations,
    letters,
    links,
    mandates,
    members,
    persons_file,
    tokens,
)
from services.portal.identity.access import RIGHTS, Right
from services.portal.identity.consultations import Consultation
from services.portal.identity.mandates import Granted
from services.portal.identity.members import EntersBy, Member
from services.portal.identity.persons_file import PersonsFile
from services.portal.identity.tokens import Token

DATA: Final = Path(".registre")
USUAL: Final = tuple(DATA / folder / "persons.db" for folder in ("", "demo", "cas-fictifs"))
"""Where `registre serve` and the demos keep theirs."""

_T = TypeVar("_T")


def _group(about: str, example: str) -> typer.Typer:
    return typer.Typer(
        help=about, epilog=f"Example: {example}", no_args_is_help=True, rich_markup_mode="markdown"
    )


persons = _group(
    "The persons that institutions let in, and who they are.",
    "registre persons invite ville-besancon adjointe@besancon.example --as administration",
)
tokens_ = _group("The tokens that programs of institutions have.", "registre tokens list ville-besancon")
mandates_ = _group(
    "The mandates of auditors, and what they looked at.", "registre mandates consultations ville-besancon"
)

File = Annotated[
    Path | None,
    typer.Option(
        "--persons",
        envvar="REGISTRE_PERSONS",
        metavar="FILE",
        help="The file of persons. Default: that of `registre serve` or of a demo, in this folder.",
    ),
]
Url = Annotated[
    str,
    typer.Option(
        "--url", envvar="REGISTRE_PORTAL_URL", metavar="URL", help="What browsers know the portal by."
    ),
]
URL_DEFAULT: Final = "http://127.0.0.1:8080"
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for a program to read.")]
Institution = Annotated[
    str, typer.Argument(metavar="INSTITUTION", help="Its name in the ledger: ville-besancon.")
]
AnyInstitution = Annotated[
    str | None, typer.Argument(metavar="INSTITUTION", help="Only this one. Default: all.")
]
Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="Their address of electronic mail.")]
Days = Annotated[int, typer.Option("--days", min=1, max=366, help="How many days it is good for.")]
For = Annotated[str, typer.Option("--for", metavar="TEXT", help="What it is for; no name of a person.")]


# -- what each does alike


def _now() -> datetime:
    return datetime.now(UTC)


def _file(named: Path | None) -> Path:
    """The file that is *named*, or the usual one that is there."""
    found = named or next((path for path in USUAL if path.exists()), None)
    if found is None:
        raise typer.BadParameter("no file of persons is here: name it with --persons FILE")
    return found


def _done(named: Path | None, work: Callable[[sqlite3.Connection], _T], *, is_wiped: bool = False) -> _T:
    """What *work* on the file returns; what goes wrong in the world is one sentence and exit code 1."""

    async def do() -> _T:
        async with persons_file.opened(_file(named)) as file:
            return await _worked(file, work, is_wiped=is_wiped)

    try:
        return asyncio.run(do())
    except (
        members.MembersError,
        tokens.TokenError,
        mandates.MandateError,
        persons_file.PersonsFileError,
        OSError,
    ) as error:
        _fail(str(error))


async def _worked(file: PersonsFile, work: Callable[[sqlite3.Connection], _T], *, is_wiped: bool) -> _T:
    result = await file.change(work)
    if is_wiped:
        await file.wipe()
    return result


def _fail(sentence: str) -> NoReturn:
    typer.echo(f"registre: {sentence}", err=True)
    raise typer.Exit(1)


def _print_json(told: Iterable[msgspec.Struct]) -> None:
    typer.echo(msgspec.json.encode(list(told)).decode())


def _day(instant: datetime | None) -> str:
    return "" if instant is None else f"{instant:%Y-%m-%d}"


# -- persons


@persons.command(
    "invite",
    epilog="Example: registre persons invite ville-besancon adjointe@besancon.example --as administration",
)
def invite(
    institution: Institution,
    address: Address,
    rights: Annotated[
        list[str],
        typer.Option(
            "--as", metavar="RIGHT", help="lecture, saisie, validation or administration; or several."
        ),
    ],
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="Their name.")] = "",
    by: Annotated[
        str, typer.Option("--by", metavar="HOW", help="link: a one-time link; provider: OpenID Connect.")
    ] = "link",
    persons: File = None,
    url: Url = URL_DEFAULT,
) -> None:
    """
    Let a person act for an institution: its first administrator, who invites the others.

    Prints the one-time link to hand over, where they enter by one. Who is there already has these rights from
    now on, and no others.
    """
    given = [_right(right) for right in rights]
    enters_by = _way(by)

    def work(db: sqlite3.Connection) -> tuple[Member, str | None]:
        now = _now()
        member = members.invite(
            db,
            institution=institution,
            address=address,
            name=name,
            rights=given,
            enters_by=enters_by,
            now=now,
        )
        if enters_by == "provider":
            return member, None
        return member, links.make(db, members.known(db, address), lifetime=links.INVITATION, now=now)

    member, link = _done(persons, work)
    typer.echo(
        f"{member.address} is {', '.join(member.rights)} at {institution}: {member.principal}", err=True
    )
    if link is None:
        typer.echo(f"{url}/connexion")
    else:
        typer.echo(f"The link is good once, for {links.INVITATION.days} days:", err=True)
        typer.echo(letters.link_at(url, link))


def _right(text: str) -> Right:
    for right in RIGHTS:
        if text == right:
            return right
    raise typer.BadParameter(f"{text!r} is none of {', '.join(RIGHTS)}")


def _way(text: str) -> EntersBy:
    if text not in {"link", "provider"}:
        raise typer.BadParameter(f"{text!r} is neither link nor provider")
    return "link" if text == "link" else "provider"


@persons.command("list", epilog="Example: registre persons list ville-besancon --json")
def list_persons(institution: AnyInstitution = None, persons: File = None, as_json: AsJson = False) -> None:
    """
    List who may act for an institution, and who no longer may.

    Prints for each the principal that the ledger has, the address, the name and the rights.
    """
    listed = _done(persons, lambda db: members.listed(db, institution))
    if as_json:
        _print_json(listed)
        return
    for it in listed:
        parts = [it.institution, it.principal, it.address, it.name, "+".join(it.rights), f"by {it.enters_by}"]
        parts += [f"withdrawn {_day(it.withdrawn_at)}"] if it.withdrawn_at else []
        typer.echo("  ".join(part for part in parts if part))


@persons.command("link", epilog="Example: registre persons link adjointe@besancon.example")
def link(address: Address, persons: File = None, url: Url = URL_DEFAULT) -> None:
    """
    Print a one-time link to sign in with, for a person who enters by one and gets no letters.

    Hand it over yourself, to that person: who opens it is them.
    """
    text = _done(persons, lambda db: links.asked_for(db, address, now=_now()))
    if text is None:
        _fail("nobody who enters by a link has that address, or they have unused ones: see persons list")
    typer.echo(letters.link_at(url, text))


@persons.command(
    "withdraw", epilog="Example: registre persons withdraw ville-besancon adjointe@besancon.example"
)
def withdraw(institution: Institution, address: Address, persons: File = None) -> None:
    """
    Let a person act for an institution no more.

    Their sessions end at the next request; who they are stays known.
    """

    def work(db: sqlite3.Connection) -> str:
        kept = members.address_of(address)
        found = next((it for it in members.listed(db, institution) if it.address == kept), None)
        if found is None:
            raise members.NoSuchMember(institution, kept)
        members.withdraw(db, institution=institution, principal=found.principal, now=_now())
        return found.principal

    principal = _done(persons, work)
    typer.echo(f"{principal} acts for {institution} no more")


@persons.command("erase", epilog="Example: registre persons erase adjointe@besancon.example")
def erase(address: Address, persons: File = None) -> None:
    """
    Erase who a person was, everywhere.

    Their principals stay in the ledger and are nobody's: no file has their name or address any more, nor what
    was left of them in free pages. A copy of the file, a backup, is to be dealt with by whoever made it.
    """
    principals = _done(persons, lambda db: members.forget_everywhere(db, address), is_wiped=True)
    typer.echo(f"{principals} principals are nobody's now" if principals else "nobody has that address")


# -- tokens


@tokens_.command(
    "make", epilog='Example: registre tokens make ville-besancon --right saisie --for "logiciel des finances"'
)
def make_token(
    institution: Institution,
    rights: Annotated[
        list[str], typer.Option("--right", metavar="RIGHT", help="lecture, saisie or validation; or several.")
    ],
    purpose: For,
    days: Days = 90,
    persons: File = None,
) -> None:
    """
    Make a token for a program of an institution, and print it: it is shown once.

    The program sends it with each request, as `Authorization: Bearer TOKEN`.
    """
    now = _now()
    given = [_right(right) for right in rights]
    text, token = _done(
        persons,
        lambda db: tokens.make(
            db,
            institution=institution,
            rights=given,
            purpose=purpose,
            expires_at=now + timedelta(days=days),
            made_by=None,
            now=now,
        ),
    )
    typer.echo(f"{token.name} is good until {_day(token.expires_at)}; there is no other copy:", err=True)
    typer.echo(text)


@tokens_.command("list", epilog="Example: registre tokens list ville-besancon")
def list_tokens(institution: AnyInstitution = None, persons: File = None, as_json: AsJson = False) -> None:
    """List the tokens by their names: also those that are good no more."""
    listed: list[Token] = _done(persons, lambda db: tokens.listed(db, institution))
    if as_json:
        _print_json(listed)
        return
    for it in listed:
        parts = [it.institution, it.name, "+".join(it.rights), f"until {_day(it.expires_at)}", it.purpose]
        parts += [f"revoked {_day(it.revoked_at)}"] if it.revoked_at else []
        typer.echo("  ".join(parts))


@tokens_.command("revoke", epilog="Example: registre tokens revoke ville-besancon k3f9a2bc")
def revoke_token(
    institution: Institution,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `registre tokens list` gives it.")],
    persons: File = None,
) -> None:
    """Have a token refused from the next request on."""
    _done(persons, lambda db: tokens.revoke(db, institution=institution, name=name, now=_now()))
    typer.echo(f"{name} is refused from now on")


# -- mandates


@mandates_.command(
    "grant",
    epilog="Example: registre mandates grant auditrice@crc.example --institution ville-besancon "
    '--years 2024-2025 --for "contrôle des comptes"',
)
def grant(
    address: Address,
    institutions: Annotated[
        list[str],
        typer.Option("--institution", "-i", metavar="NAME", help="Whom they may look at; or several."),
    ],
    years: Annotated[
        str, typer.Option("--years", metavar="FIRST-LAST", help="Of which years: 2024-2025, or 2025.")
    ],
    purpose: For,
    days: Days = 90,
    persons: File = None,
    url: Url = URL_DEFAULT,
) -> None:
    """
    Let an auditor look at the days of some years of some institutions, and record what they look at.

    Prints the one-time link to hand over.
    """
    first, _, last = years.partition("-")
    if not (first.isascii() and first.isdigit() and (last or first).isascii() and (last or first).isdigit()):
        raise typer.BadParameter(f"{years!r} are no years: write 2024-2025, or 2025")
    now = _now()

    def work(db: sqlite3.Connection) -> tuple[Granted, str]:
        granted = mandates.grant(
            db,
            address=address,
            institutions=institutions,
            first_year=int(first),
            last_year=int(last or first),
            purpose=purpose,
            expires_at=now + timedelta(days=days),
            now=now,
        )
        return granted, links.make(db, members.known(db, address), lifetime=links.INVITATION, now=now)

    granted, link = _done(persons, work)
    typer.echo(f"mandate {granted.principal} is good until {_day(granted.expires_at)}", err=True)
    typer.echo(f"The link is good once, for {links.INVITATION.days} days:", err=True)
    typer.echo(letters.link_at(url, link))


@mandates_.command("list", epilog="Example: registre mandates list --json")
def list_mandates(persons: File = None, as_json: AsJson = False) -> None:
    """List the mandates, with who has them: also those that are over."""
    listed = _done(persons, mandates.listed)
    if as_json:
        _print_json(listed)
        return
    for it in listed:
        years = f"{it.first_year}-{it.last_year}"
        parts = [it.principal, it.address, "+".join(it.institutions), years, f"until {_day(it.expires_at)}"]
        parts += [it.purpose, f"revoked {_day(it.revoked_at)}" if it.revoked_at else ""]
        typer.echo("  ".join(part for part in parts if part))


@mandates_.command("revoke", epilog="Example: registre mandates revoke 3kT0y1q5m0cGQm9rJ4vX2A")
def revoke_mandate(
    principal: Annotated[
        str, typer.Argument(metavar="PRINCIPAL", help="As `registre mandates list` gives it.")
    ],
    persons: File = None,
) -> None:
    """End a mandate at the next request; what was looked at under it stays recorded."""
    _done(persons, lambda db: mandates.revoke(db, principal, now=_now()))
    typer.echo(f"{principal} gives no access from now on")


@mandates_.command("consultations", epilog="Example: registre mandates consultations ville-besancon")
def list_consultations(
    institution: AnyInstitution = None, persons: File = None, as_json: AsJson = False
) -> None:
    """Tell what auditors looked at, the oldest first, for as long as it is kept: five years."""
    listed = _done(persons, lambda db: _all_consultations(db, institution))
    if as_json:
        _print_json(listed)
        return
    for it in listed:
        typer.echo(f"{it.at:%Y-%m-%d %H:%M:%S}Z  {it.institution}  {it.principal}  {it.asked}")


def _all_consultations(db: sqlite3.Connection, institution: str | None) -> list[Consultation]:
    told: list[Consultation] = []
    while page := consultations.listed(db, institution, after=told[-1].number if told else 0):
        told += page
    return told
