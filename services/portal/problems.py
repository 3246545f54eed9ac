"""
What is refused, as RFC 9457 says it: one shape, application/problem+json, whatever went wrong.

A problem says what it is for a program (`type`, `code`), what it is for a person (`title`, `detail`, in
French where the ledger has no sentence of its own) and which fields are at fault. It quotes no address that
was asked for, no stack and no name of ours: what nobody foresaw goes to the log and is a plain 500 outside.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from contracts.commands import FieldAtFault, Refusal
from services import asking, questions, runtime

MEDIA_TYPE: Final = "application/problem+json"
TYPE: Final = "urn:registre:probleme:"
"""Before the code of a problem; what the code means is said in the API's description."""

RETRY_SECONDS: Final = 2
"""How long to wait, for what is away or busy now."""

TITLES: Final[Mapping[int, str]] = {
    400: "Demande incorrecte",
    401: "Identification nécessaire",
    403: "Accès refusé",
    404: "Introuvable",
    405: "Méthode non admise",
    406: "Format non disponible",
    408: "Demande trop lente",
    409: "Conflit avec ce qui est enregistré",
    412: "Condition non remplie",
    413: "Demande trop volumineuse",
    415: "Type de contenu non admis",
    422: "Refusé : voyez la règle et les champs en cause",
    429: "Trop de demandes",
    500: "Erreur interne",
    503: "Momentanément indisponible",
}

_DETAILS: Final[Mapping[int, str]] = {
    400: "La demande n’est pas bien formée : voyez les champs en cause.",
    404: "Rien de tel n’est à la disposition de votre institution.",
    405: "Cette adresse n’admet pas cette méthode : voyez l’en-tête Allow.",
    413: "La demande dépasse la taille admise à cette adresse.",
    429: "Votre institution a fait trop de demandes : attendez le temps que dit l’en-tête Retry-After.",
    500: "Le service a rencontré une erreur qui lui est propre ; son journal en garde la trace.",
}
"""Where a library's own words would be the only ones."""

STATUSES: Final[Mapping[str, int]] = {
    "malformed": 422,
    "not_authorised": 403,
    "wrong_version": 409,
    "contention": 409,
    "command_reused": 409,
    "too_large": 413,
    "unknown_stream": 404,
    "behind": 503,
    "busy": 503,
    "unavailable": 503,
    "stopped": 503,
    "unfit": 503,
    "ledger_unreachable": 503,
    "store_unavailable": 503,
    "ledger_ahead": 503,
    "ledger_differs": 503,
    "ledger_unknown": 503,
    "internal": 503,
    "outcome_unknown": 503,
}
"""What a refusal of the registrar or of the projector is in HTTP; every other one is a rule's: 422."""

log = structlog.get_logger()


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of every refusal (RFC 9457). *code* is the end of *type*; *fields* are those at fault."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    fields: tuple[FieldAtFault, ...] = ()


class Refused(HTTPException):
    """Raised to answer with a problem: its status, its *code* for programs, the sentence, the fields."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        fields: tuple[FieldAtFault, ...] = (),
        retry_seconds: int | None = None,
    ) -> None:
        headers = {} if retry_seconds is None else {"Retry-After": str(retry_seconds)}
        super().__init__(status_code=status, detail=detail, headers=headers)
        self.code = code
        self.fields = fields


class NotVisible(Refused):
    """Raised for what is not there, and for what whoever asks may not see: nobody can tell which."""

    def __init__(self) -> None:
        super().__init__(404, "not_found", _DETAILS[404])


class Unavailable(Refused):
    """Raised where what is needed is away, busy or too far behind: asking again later helps."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(503, code, detail, retry_seconds=RETRY_SECONDS)


def of_refusal(refusal: Refusal) -> Refused:
    """What the registrar or the projector refuses, as HTTP says it."""
    status = STATUSES.get(refusal.code, 422)
    if status == 404:
        return NotVisible()
    return Refused(
        status,
        refusal.code,
        refusal.message,
        fields=refusal.fields,
        retry_seconds=RETRY_SECONDS if status == 503 else None,
    )


def _of_the_bus(error: Exception) -> Refused:
    match error:
        case questions.NotAnswered():
            return of_refusal(Refusal(error.code, str(error), error.fields))
        case asking.RefusedByRegistrar():
            return of_refusal(error.refusal)
        case asking.OutcomeUnknown():
            return Unavailable(
                "outcome_unknown",
                "On ne sait pas si les faits sont enregistrés. Redemandez avec le même command_id : rien "
                "n’est enregistré deux fois, et la réponse le dira.",
            )
        case asking.NoRegistrar():
            return Unavailable("no_registrar", "Rien n’est enregistré : le greffe ne répond pas.")
        case runtime.RequestTooLarge():
            return Refused(413, "too_large", _DETAILS[413])
        case _:
            log.warning("portal.bus_trouble", error=type(error).__name__, detail=str(error))
            return Unavailable("unreachable", "Le registre ne répond pas pour le moment.")


def answer(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The response that *error* becomes: for the application's exception handlers."""
    match error:
        case HTTPException():
            return _response(error)
        case questions.NotAnswered() | asking.RefusedByRegistrar() | runtime.BusError():
            return _response(_of_the_bus(error))
        case asking.OutcomeUnknown() | asking.NoRegistrar():
            return _response(_of_the_bus(error))
        case _:
            log.error("portal.failed", exc_info=error)
            return _response(Refused(500, "internal", _DETAILS[500]))


def _response(error: HTTPException) -> Response[bytes]:
    status, headers = error.status_code, dict(error.headers or {})
    code = HTTPStatus(status).name.lower()
    fields: tuple[FieldAtFault, ...] = ()
    more: dict[str, Any] = {}
    detail = error.detail
    if isinstance(error, Refused):
        code, fields = error.code, error.fields
    else:
        if type(error).__module__.startswith("litestar.") and status in _DETAILS:
            detail = _DETAILS[status]
        if isinstance(error.extra, list):
            fields = tuple(_field(each) for each in error.extra)
        elif isinstance(error.extra, dict):
            more = error.extra
    if status == HTTPStatus.TOO_MANY_REQUESTS and "Retry-After" not in headers:
        headers["Retry-After"] = headers.get("RateLimit-Reset", "1")
    problem = Problem(
        TYPE + code, TITLES.get(status, HTTPStatus(status).phrase), status, detail, code, fields
    )
    body = msgspec.json.encode({**more, **msgspec.to_builtins(problem)})
    headers["Cache-Control"] = "no-store"
    return Response(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def _field(told: Any) -> FieldAtFault:
    """A field at fault as Litestar tells it."""
    key = told.get("key", "") if isinstance(told, dict) else ""
    message = told.get("message", "") if isinstance(told, dict) else str(told)
    return FieldAtFault(str(key), str(message))
