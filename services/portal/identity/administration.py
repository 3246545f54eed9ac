"""
The same for programs: who am I, tokens, persons, what needs two persons, what auditors looked at.

    GET  /api/v1/me
    GET  /api/v1/tokens             POST: the new token, shown once     DELETE /{name}
    GET  /api/v1/persons            POST: invite, or give other rights
                                    POST /{principal}/withdrawal        DELETE /{principal}
    GET  /api/v1/seconding          PUT: the kinds of facts that need two persons
    GET  /api/v1/proposals          POST /{proposal}/approval, DELETE /{proposal}
    GET  /api/v1/consultations      what auditors looked at, by pages

Each about the institution that the request acts for, and no other.
"""

import contextlib
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
import structlog
from litestar import Request, Response, Router, delete, get, post, put
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import JSONBody, PathParameter, QueryParameter

from services.portal.identity import consultations, members, pages, persons_file, seconding, tokens
from services.portal.identity.access import Access, Right, Through
from services.portal.identity.consultations import Consultation
from services.portal.identity.identification import OF_NO_DAY, needs
from services.portal.identity.identity import Identity
from services.portal.identity.members import EntersBy, Member
from services.portal.identity.seconding import Kind, Proposal
from services.portal.identity.sessions import Session
from services.portal.identity.tokens import Token

log = structlog.get_logger()

NO_STORE: Final = {"Cache-Control": "no-store"}

Asked = Request[Session | None, Access, Any]
It = NamedDependency[Identity]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class Me(msgspec.Struct, frozen=True):
    """Who asks, as the portal knows them: no name, no address."""

    institution: str
    principal: str
    rights: tuple[Right, ...]
    through: Through
    first_year: int | None = None
    last_year: int | None = None


class TokenWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token for a program of the institution."""

    rights: tuple[Right, ...]
    purpose: str
    expires_at: Instant


class TokenMade(msgspec.Struct, frozen=True):
    """A new token: *text* is shown here, and never again."""

    text: str
    token: Token


class Invitation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to invite, with which rights, and how they enter."""

    address: str
    rights: tuple[Right, ...]
    enters_by: EntersBy = "link"
    name: str = ""


class Seconded(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The kinds of facts that need two persons."""

    kinds: tuple[Kind, ...]


class Approval(msgspec.Struct, frozen=True):
    """What became of a proposal: *outcome* once it was sent, or none while it waits for another word."""

    proposal: Proposal
    outcome: Any = None
    """A Recording or an Unchanged; of those two no union can be described, for neither carries a tag."""


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """A block in which what cannot be done becomes an answer."""
    try:
        yield
    except (tokens.NoSuchToken, members.NoSuchMember, seconding.NoSuchProposal) as error:
        raise NotFoundException(str(error)) from error
    except persons_file.NotYetErased as error:
        log.error("persons.not_wiped", detail=str(error))  # noqa: TRY400 - the error says it all
        raise HTTPException(pages.NOT_WIPED, status_code=503) from error
    except (seconding.NotAPerson, seconding.SamePerson) as error:
        raise HTTPException(str(error), status_code=403) from error
    except seconding.ProposedOtherwise as error:
        raise HTTPException(str(error), status_code=409) from error
    except (tokens.TokenError, members.MembersError, seconding.SecondingError) as error:
        raise HTTPException(str(error), status_code=422) from error


@get(
    "/me",
    operation_id="me",
    summary="Qui vous êtes pour le registre",
    guards=[needs("lecture")],
    opt=OF_NO_DAY,
)
async def me(request: Asked) -> Me:
    """L’institution au titre de laquelle vous agissez, vos droits, l’identifiant que portent vos saisies."""
    access = request.auth
    mandate = access.mandate
    return Me(
        access.institution,
        access.principal,
        tuple(sorted(access.rights)),
        access.through,
        first_year=mandate.first_year if mandate else None,
        last_year=mandate.last_year if mandate else None,
    )


# -- tokens


@get(
    "/tokens", operation_id="tokens", summary="Les jetons de l’institution", guards=[needs("administration")]
)
async def list_tokens(request: Asked, identity: It) -> list[Token]:
    """Aussi ceux qui ne sont plus valables."""
    return await identity.file.read(lambda db: tokens.listed(db, request.auth.institution))


@post("/tokens", operation_id="makeToken", summary="Un nouveau jeton", guards=[needs("administration")])
async def make_token(request: Asked, identity: It, data: JSONBody[TokenWanted]) -> Response[TokenMade]:
    """Le texte du jeton n’est donné qu’ici."""
    with _told():
        text, token = await identity.file.change(
            lambda db: tokens.make(
                db,
                institution=request.auth.institution,
                rights=data.rights,
                purpose=data.purpose,
                expires_at=data.expires_at,
                made_by=request.auth.principal,
                now=identity.now(),
            )
        )
    return Response(TokenMade(text, token), headers=NO_STORE)


@delete(
    "/tokens/{name:str}",
    operation_id="revokeToken",
    summary="Révoquer un jeton",
    guards=[needs("administration")],
)
async def revoke_token(request: Asked, identity: It, name: Annotated[str, PathParameter()]) -> None:
    """Il est refusé dès la demande suivante."""
    with _told():
        await identity.file.change(
            lambda db: tokens.revoke(db, institution=request.auth.institution, name=name, now=identity.now())
        )


# -- persons


@get(
    "/persons",
    operation_id="persons",
    summary="Les personnes de l’institution",
    guards=[needs("administration")],
)
async def list_persons(request: Asked, identity: It) -> Response[list[Member]]:
    """Aussi celles qui ont été retirées."""
    listed = await identity.file.read(lambda db: members.listed(db, request.auth.institution))
    return Response(listed, headers=NO_STORE)


@post("/persons", operation_id="invite", summary="Inviter une personne", guards=[needs("administration")])
async def invite(request: Asked, identity: It, data: JSONBody[Invitation]) -> Response[Member]:
    """Une personne déjà invitée a désormais ces droits, et aucun autre."""
    with _told():
        member = await pages.invited(
            identity,
            request.auth.institution,
            address=data.address,
            name=data.name,
            rights=list(data.rights),
            enters_by=data.enters_by,
        )
    return Response(member, headers=NO_STORE)


Principal = Annotated[str, PathParameter(description="L’identifiant opaque de la personne.")]


@post(
    "/persons/{principal:str}/withdrawal",
    operation_id="withdraw",
    summary="Retirer une personne",
    guards=[needs("administration")],
    status_code=204,
)
async def withdraw(request: Asked, identity: It, principal: Principal) -> None:
    """Elle n’agit plus dès la demande suivante."""
    with _told():
        await identity.file.change(
            lambda db: members.withdraw(
                db, institution=request.auth.institution, principal=principal, now=identity.now()
            )
        )


@delete(
    "/persons/{principal:str}",
    operation_id="erase",
    summary="Effacer une personne",
    guards=[needs("administration")],
)
async def erase(request: Asked, identity: It, principal: Principal) -> None:
    """Plus rien ne dit qui elle était ; les faits qu’elle a saisis restent."""
    with _told():
        await identity.file.change(
            lambda db: members.forget(db, institution=request.auth.institution, principal=principal)
        )
        await identity.file.wipe()


# -- four eyes


@get(
    "/seconding", operation_id="seconding", summary="Ce qui demande deux personnes", guards=[needs("lecture")]
)
async def get_seconding(request: Asked, identity: It) -> Seconded:
    """Les sortes de faits que l’institution ne laisse personne enregistrer seul."""
    return Seconded(await identity.file.read(lambda db: seconding.seconded(db, request.auth.institution)))


@put(
    "/seconding",
    operation_id="setSeconding",
    summary="Dire ce qui demande deux personnes",
    guards=[needs("administration")],
)
async def put_seconding(request: Asked, identity: It, data: JSONBody[Seconded]) -> Seconded:
    """Remplace ce qui était dit."""
    institution = request.auth.institution
    await identity.file.change(lambda db: seconding.set_seconded(db, institution, data.kinds))
    return Seconded(await identity.file.read(lambda db: seconding.seconded(db, institution)))


@get("/proposals", operation_id="proposals", summary="Les propositions", guards=[needs("lecture")])
async def list_proposals(request: Asked, identity: It) -> list[Proposal]:
    """Celles qui attendent une autre personne, et celles qui ont été enregistrées depuis un an."""
    return await identity.file.read(
        lambda db: seconding.listed(db, request.auth.institution, now=identity.now())
    )


ProposalId = Annotated[str, PathParameter(description="L’identifiant de la proposition.")]


@post(
    "/proposals/{proposal:str}/approval",
    operation_id="approve",
    summary="Valider une proposition",
    guards=[needs("validation")],
    status_code=200,
)
async def approve(request: Asked, identity: It, proposal: ProposalId) -> Approval:
    """
    Les faits sont enregistrés dès que deux personnes ont donné leur accord.

    Si l’issue n’est pas connue, redemandez : rien n’est enregistré deux fois.
    """
    access = request.auth
    with _told():
        waiting = await identity.file.change(
            lambda db: seconding.approved(db, access=access, proposal=proposal, now=identity.now())
        )
    if len(waiting.words) < waiting.words_needed:
        return Approval(waiting)
    outcome = await identity.send(access, waiting.stream, bytes(waiting.declaration))
    now = identity.now()
    await identity.file.change(lambda db: seconding.recorded(db, proposal=proposal, now=now))
    return Approval(msgspec.structs.replace(waiting, recorded_at=now.replace(microsecond=0)), outcome)


@delete(
    "/proposals/{proposal:str}",
    operation_id="takeBack",
    summary="Retirer une proposition",
    guards=[needs("saisie")],
)
async def take_back(request: Asked, identity: It, proposal: ProposalId) -> None:
    """Elle n’attend plus ; rien n’est enregistré."""
    with _told():
        await identity.file.change(
            lambda db: seconding.taken_back(
                db, institution=request.auth.institution, proposal=proposal, now=identity.now()
            )
        )


# -- auditors


@get(
    "/consultations",
    operation_id="consultations",
    summary="Ce que des auditeurs ont consulté",
    guards=[needs("administration")],
)
async def list_consultations(
    request: Asked,
    identity: It,
    after: Annotated[int, QueryParameter(ge=0, le=2**53, description="Le dernier numéro que vous avez.")] = 0,
) -> list[Consultation]:
    """Une page, la plus ancienne d’abord. Gardé cinq ans."""
    return await identity.file.read(
        lambda db: consultations.listed(db, request.auth.institution, after=after)
    )


def routes(identity: Identity) -> Router:
    """All of them, on *identity*."""
    return Router(
        path="/api/v1",
        route_handlers=[
            me, list_tokens, make_token, revoke_token, list_persons, invite, withdraw, erase,
            get_seconding, put_seconding, list_proposals, approve, take_back, list_consultations,
        ],
        dependencies={"identity": Provide(lambda: identity, sync_to_thread=False)},
        request_max_body_size=pages.FORM_BYTES_MAX,
        tags=["identité"],
    )  # fmt: skip
