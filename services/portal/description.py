"""
The API's description, OpenAPI 3.1: what Litestar reads off the handlers, the shapes of bodies, the problems.

Bodies are described from the structs that they are made of, as contracts/schemas are. Served as a file of
ours, /api/openapi.json, and by no page that would fetch a viewer from elsewhere.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from litestar import Litestar
from litestar.di import Provide
from litestar.openapi.config import OpenAPIConfig
from litestar.types import ControllerRouterHandler

from contracts import dates
from contracts.commands import Declaration
from services.domain.statement import AgrementStatement, ConventionStatement, InstitutionStatement
from services.portal import pieces, reads
from services.portal.problems import MEDIA_TYPE, TITLES, Problem

VERSION: Final = "1.0.0"

ANSWERS: Final[Mapping[str, type[msgspec.Struct]]] = {
    "listConventions": reads.ConventionsPage,
    "listFindings": reads.FindingsPage,
    "readConvention": ConventionStatement,
    "readAgrement": AgrementStatement,
    "readInstitution": InstitutionStatement,
    "readCalendar": reads.CalendarPart,
    "readObligations": reads.DutiesPart,
    "readFindings": reads.FindingsPart,
    "listConventionEvents": reads.EventsPage,
    "listAgrementEvents": reads.EventsPage,
    "listInstitutionEvents": reads.EventsPage,
}
"""What operations answer that give the projector's own bytes on."""

COMMON: Final = (400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 503)
"""What any route may answer: who asks, how often, how much and whether the ledger is there are all one."""

_REF: Final = "#/components/schemas/{name}"


def of(handlers: Sequence[ControllerRouterHandler], dependencies: Mapping[str, Provide]) -> bytes:
    """The JSON of the description of *handlers*, which are given *dependencies*."""
    # An application that only describes: the one that serves has no route of Litestar's own for this.
    described = Litestar(
        list(handlers),
        dependencies=dict(dependencies),
        openapi_config=OpenAPIConfig(
            title="registre",
            version=VERSION,
            description="Un registre d’engagements de partenariat : ce que votre institution peut y lire et "
            "y déclarer.",
        ),
        logging_config=None,
    )
    document: dict[str, Any] = described.openapi_schema.to_schema()
    kinds = [Problem, Declaration, *dict.fromkeys(ANSWERS.values())]
    _, schemas = msgspec.json.schema_components(kinds, schema_hook=dates.schema, ref_template=_REF)
    # The portal puts it in: who sends one is refused.
    del schemas["Declaration"]["properties"]["principal"]
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(schemas)
    components["securitySchemes"] = {"jeton": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"jeton": []}]
    document.pop("servers", None)
    for item in document["paths"].values():
        for operation in item.values():
            _describe(operation)
    return msgspec.json.encode(document)


def _describe(operation: dict[str, Any]) -> None:
    """Say what Litestar cannot read off a handler that answers bytes."""
    name, responses = operation["operationId"], operation["responses"]
    if name in ANSWERS:
        responses["200"]["content"] = {"application/json": {"schema": _ref(ANSWERS[name])}}
    if name in ANSWERS or name == "readConventionEvent":
        responses["304"] = {"description": "Rien n’a changé depuis la réponse de cet ETag."}
    if name.startswith("declareOf"):
        operation["requestBody"] = _body({"application/json": _ref(Declaration)})
    if name == "depositPiece":
        operation["requestBody"] = _body({kind: {} for kind in sorted(pieces.MEDIA_TYPES)})
    if name == "readPiece":
        responses["200"]["content"] = {kind: {} for kind in sorted(pieces.MEDIA_TYPES)}
    for status in sorted({*COMMON, *(int(each) for each in responses if int(each) >= 400)}):
        responses[str(status)] = {
            "description": TITLES[status],
            "content": {MEDIA_TYPE: {"schema": _ref(Problem)}},
        }


def _ref(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": _REF.format(name=kind.__name__)}


def _body(kinds: Mapping[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {kind: {"schema": schema} for kind, schema in kinds.items()}}
