"""One whole ledger behind a portal for each module of tests."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.portal.worlds import World, world_in


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world_in(tmp_path_factory.mktemp("portal")) as it:
        yield it
