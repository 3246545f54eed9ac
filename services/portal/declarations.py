"""
What an institution declares over HTTP: POST to the stream it is about, in its own name.

    POST /api/v1/conventions/{slug}/declarations      also /agrements/{slug}, /institutions/{slug}

The body is contracts.commands.Declaration, but for the principal: that is the request's own. Asking again
with the same command id and facts records nothing twice, and is answered 200 in place of 201. What
needs a second person's word is kept as a proposal, and answered 202 (services.portal.identity.seconding).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, Router, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter

from contracts import commands
from contracts.commands import FieldAtFault, Recording, Unchanged
from services.portal.identity.access import Access
from services.portal.identity.identification import needs
from services.portal.identity.seconding import Proposal, SecondingError
from services.portal.ledger import Ledger, declaration_in, stream_named
from services.portal.problems import Refused

BODY_SECONDS_MAX: Final = 20.0
"""From the head of a request to the end of its body."""

Propose = Callable[[Access, str, bytes], Awaitable[Proposal | None]]
"""Keeps a declaration that needs another person's word, and says so; None where it is to be sent at once."""

Proposing = NamedDependency[Any]
"""A Propose: a function is of no class that Litestar could check."""

Asking = Request[Any, Access, State]
Slug = Annotated[str, PathParameter(description="Le nom dans le registre, sans sa catégorie.")]

Outcome: Any = Recording | Unchanged

RECORDED: Final = {
    201: ResponseSpec(
        data_container=Recording, description="Les faits sont enregistrés.", generate_examples=False
    ),
    200: ResponseSpec(
        data_container=Outcome,
        description="Ils l’étaient déjà, par la même commande ou mot pour mot.",
        generate_examples=False,
    ),
    202: ResponseSpec(
        data_container=Proposal,
        description="Ils attendent l’accord d’une autre personne : votre institution l’a voulu ainsi.",
        generate_examples=False,
    ),
}


async def body_of(request: Request[Any, Any, Any], *, seconds_max: float) -> bytes:
    """The body, within its size and time. Raises Refused, and Litestar's own for one that is too large."""
    try:
        async with asyncio.timeout(seconds_max):
            return await request.body()
    except TimeoutError:
        detail = f"Le corps de la demande n’est pas arrivé en {seconds_max:g} secondes."
        raise Refused(408, "too_slow", detail) from None


async def _declared(request: Asking, ledger: Ledger, propose: Propose, stream: str) -> Response[bytes]:
    kind, _ = request.content_type
    if kind != "application/json":
        raise Refused(415, "not_json", "Une déclaration est envoyée en application/json.")
    body = await body_of(request, seconds_max=BODY_SECONDS_MAX)
    declaration = declaration_in(body)
    if declaration.principal is not None:
        field = FieldAtFault("$.principal", "le portail le met lui-même, d’après votre identification")
        raise Refused(
            422, "malformed", "La déclaration porte un champ qui n’est pas à vous.", fields=(field,)
        )
    try:
        proposal = await propose(request.auth, stream, body)
    except SecondingError as error:
        raise Refused(409, "proposal", str(error)) from error
    if proposal is not None:
        return _json(proposal, status=202)
    outcome = await ledger.declare(request.auth, stream, declaration)
    is_new = isinstance(outcome, Recording) and not outcome.repeated
    return _json(outcome, status=201 if is_new else 200)


def _json(told: Recording | Unchanged | Proposal, *, status: int) -> Response[bytes]:
    headers = {"Cache-Control": "no-store"}
    return Response(
        msgspec.json.encode(told), status_code=status, media_type="application/json", headers=headers
    )


@post(
    "/conventions/{slug:str}/declarations",
    operation_id="declareOfConvention",
    summary="Déclarer des faits d’une convention",
    responses=RECORDED,
)
async def of_convention(
    request: Asking, ledger: NamedDependency[Ledger], propose: Proposing, slug: Slug
) -> Response[bytes]:
    """
    Tous ou aucun. Une convention commence par son ouverture, convention.opened.v1.

    Une institution qui n’en a encore rien peut demander à y être admise, par un seul fait,
    convention.admission-requested.v1 ; puis y adhérer, convention.party-joined.v1, une fois qu’une partie ou
    l’institution qui tient le dossier a annoncé son admission. Elle ne la lit qu’une fois admise.
    """
    return await _declared(request, ledger, propose, stream_named("convention", slug))


@post(
    "/agrements/{slug:str}/declarations",
    operation_id="declareOfAgrement",
    summary="Déclarer des faits d’un agrément",
    responses=RECORDED,
)
async def of_agrement(
    request: Asking, ledger: NamedDependency[Ledger], propose: Proposing, slug: Slug
) -> Response[bytes]:
    """Tous ou aucun."""
    return await _declared(request, ledger, propose, stream_named("agrement", slug))


@post(
    "/institutions/{slug:str}/declarations",
    operation_id="declareOfInstitution",
    summary="Déclarer des faits d’une institution",
    responses=RECORDED,
)
async def of_institution(
    request: Asking, ledger: NamedDependency[Ledger], propose: Proposing, slug: Slug
) -> Response[bytes]:
    """Tous ou aucun."""
    return await _declared(request, ledger, propose, stream_named("institution", slug))


def routes() -> Router:
    """The three, for whoever has the right to record."""
    return Router(
        path="/api/v1",
        guards=[needs("saisie")],
        request_max_body_size=commands.REQUEST_BYTES_MAX,
        route_handlers=[of_convention, of_agrement, of_institution],
    )
