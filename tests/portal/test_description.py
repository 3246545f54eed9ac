"""The API's own description held against the API: whatever it lets one ask is answered as it says."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import hypothesis
import pytest
import pytest_asyncio
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis import strategies as st
from schemathesis import checks
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks as openapi_checks

from services import dossiers
from tests.cli.conftest import registre
from tests.portal.test_visibility import routed
from tests.portal.worlds import World, world_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOSSIER: Final = Path(__file__).parents[2] / "deploy/demo/dossiers/mjc-clairs-soleils-2026.yaml"
WHO: Final = "ville-besancon"
SLUGS: Final = {
    "conventions": "mjc-clairs-soleils-2026",
    "agrements": "mjc-clairs-soleils",
    "institutions": WHO,
}
EXAMPLES: Final = 6
"""Of each operation; half of those with a name in the path are of one that is there."""

ELSEWHERE: Final = {"/api/v1/feed/stream"}
"""It has no end: tests/portal/test_feed.py reads it."""

CHECKS: Final = (
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world_in(tmp_path_factory.mktemp("described"), origin=dossiers.read(DOSSIER).origin) as it:
        brought_in = await asyncio.to_thread(registre, "import", str(DOSSIER), "--nats", it.nats.url)
        assert brought_in.returncode == 0, brought_in.stderr
        yield it


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def document(world: World) -> dict[str, Any]:
    async with world.client() as client:
        answer = await client.get("/api/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    told: dict[str, Any] = answer.json()
    return told


async def test_every_route_is_described_and_nothing_is_fetched_from_elsewhere(
    world: World, document: dict[str, Any]
) -> None:
    assert document["openapi"].startswith("3.1")
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert described == {(method, path) for method, path in routed(world) if path.startswith("/api/v1/")}
    names = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(set(names)) == len(names)
    assert "://" not in str(document)


async def test_whatever_the_description_allows_is_answered_as_it_says(
    world: World, document: dict[str, Any]
) -> None:
    schema = schemathesis.openapi.from_dict(document)
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        if found.ok().path in ELSEWHERE:
            continue
        await asyncio.to_thread(_tried, found.ok(), world.url)


def _tried(operation: Any, url: str) -> None:
    """Ask *operation* what its description allows, and now and then what is there."""
    slug = SLUGS.get(operation.path.split("/")[3])

    @hypothesis.settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(operation.as_strategy(), st.booleans())
    def ask(case: Any, is_there: bool) -> None:
        if is_there and slug and "slug" in case.path_parameters:
            case.path_parameters["slug"] = slug
        case.query.pop("at_least_position", None)  # of a position to come: it would wait for that
        headers = {"X-Test-Institution": WHO}
        answer = case.call(base_url=url, headers=headers)
        case.validate_response(answer, checks=CHECKS)

    ask()
