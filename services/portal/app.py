"""
The portal's application: every route, who may come in, what every answer carries.

    create_app(ledger, papers, identification=..., routes=...)

Nothing is opened here. *identification* puts an Access into `request.auth`; each route says by a guard
which right it asks for, or in its opt that it answers anybody. A request is asked who it is, then how much it
asked for lately; then comes its route.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec
from litestar import Litestar, MediaType, Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException
from litestar.middleware.rate_limit import RateLimitConfig
from litestar.stores.memory import MemoryStore
from litestar.types import ControllerRouterHandler, Message, Middleware, Scope

from contracts import commands
from contracts.queries import Status
from services.portal import declarations, description, pieces, problems, reads
from services.portal.identity.access import Access
from services.portal.identity.identification import PUBLIC, needs
from services.portal.ledger import Ledger
from services.portal.pieces import Papers
from services.portal.problems import Unavailable

REQUESTS_PER_SECOND: Final = 100
"""Of one institution; of whoever is not known, by address."""

FORGET_SECONDS: Final = 60.0
"""Between two sweeps of those who asked and went."""

Asking = Request[Any, Access | None, State]
Headers = Callable[[Message, Scope], Awaitable[None]]


class Health(msgspec.Struct, frozen=True):
    """The portal is at work, and what it needs is there."""

    status: str = "ok"


@get("/api/v1/health", operation_id="health", summary="Si le portail peut répondre", opt=PUBLIC)
async def health(ledger: NamedDependency[Ledger]) -> Health:
    """Pour une sonde : 200, ou 503 tant que le registre n’est pas là ou n’est pas relu."""
    if not ledger.is_ready:
        raise Unavailable("not_ready", "Le portail attend le registre, ou le relit.")
    return Health()


@get(
    "/api/v1/status",
    operation_id="status",
    summary="Où en sont les réponses du registre",
    guards=[needs("lecture")],
)
async def status(ledger: NamedDependency[Ledger]) -> Status:
    """La position jusqu’où le registre répond, et son retard en événements et en secondes."""
    return await ledger.status()


def create_app(
    ledger: Ledger,
    papers: Papers,
    *,
    identification: Middleware,
    headers: Headers,
    propose: declarations.Propose,
    routes: Sequence[ControllerRouterHandler] = (),
    requests_per_second: int = REQUESTS_PER_SECOND,
) -> Litestar:
    """
    The application; *routes* are those of persons and feeds.

    *identification* says who asks, *propose* what waits for a second person, *headers* what every
    answer carries.
    """
    handlers = [health, status, reads.routes(), declarations.routes(), pieces.routes(), *routes]
    dependencies = {
        "ledger": Provide(lambda: ledger, sync_to_thread=False),
        "papers": Provide(lambda: papers, sync_to_thread=False),
        "propose": Provide(lambda: propose, sync_to_thread=False),
    }
    described = description.of(handlers, dependencies)

    @get(
        "/api/openapi.json",
        opt=PUBLIC,
        include_in_schema=False,
        media_type=MediaType.JSON,
        sync_to_thread=False,
    )
    def openapi(request: Request[Any, Any, State]) -> Response[bytes]:
        """The description of all of this, OpenAPI 3.1."""
        return reads.answer(request, described, position=None, cache="public, no-cache")

    counted = MemoryStore()
    limit = RateLimitConfig(
        rate_limit=("second", requests_per_second), identifier_for_request=_whose, store="rate_limit"
    )

    async def sweep(app: Litestar) -> None:
        app.state.sweeping = asyncio.create_task(_forget(counted))

    async def stop(app: Litestar) -> None:
        app.state.sweeping.cancel()
        await asyncio.gather(app.state.sweeping, return_exceptions=True)

    return Litestar(
        [*handlers, openapi],
        middleware=[identification, limit.middleware],
        stores={"rate_limit": counted},
        dependencies=dependencies,
        exception_handlers={HTTPException: problems.answer, Exception: problems.answer},
        before_send=[headers],
        request_max_body_size=commands.REQUEST_BYTES_MAX,
        openapi_config=None,
        logging_config=None,
        on_startup=[sweep],
        on_shutdown=[stop],
    )


def _whose(request: Asking) -> str:
    """Whom a request is counted for."""
    if request.scope.get("auth") is not None:
        assert isinstance(request.auth, Access)
        return f"institution {request.auth.institution}"
    return f"address {request.client.host if request.client else ''}"


async def _forget(counted: MemoryStore) -> None:
    while True:
        await asyncio.sleep(FORGET_SECONDS)
        await counted.delete_expired()
