"""
What all tests share: real servers to talk to, and no skip that nobody allowed.
"""

import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import hypothesis
import pytest
import pytest_asyncio

from services import embedded_nats

ALLOWED_SKIPS = Path(__file__).with_name("allowed_skips")


class NatsServer:
    """A server of one test, to be killed and started again at the same address with the same data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self._port = 0
        self._running = contextlib.AsyncExitStack()
        self._server: embedded_nats.EmbeddedNats | None = None

    @property
    def pid(self) -> int:
        """The process that runs now."""
        assert self._server is not None, "the server is not started"
        return self._server.pid

    async def start(self) -> None:
        """Start it, or start it again: the address is the one clients already know."""
        assert self._server is None, "the server is started already"
        self._server = await self._running.enter_async_context(
            embedded_nats.running(self.folder, port=self._port)
        )
        assert self.url in ("", self._server.url), "another process took the port meanwhile"
        self.url = self._server.url
        self._port = int(self.url.rpartition(":")[2])

    async def stop(self) -> None:
        """End it as an operator would."""
        self._server = None
        await self._running.aclose()

    async def kill(self) -> None:
        """End it as a power cut would."""
        os.kill(self.pid, signal.SIGKILL)
        await self.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def nats_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """One real server for the whole session: for tests that do not mind each other's streams."""
    async with embedded_nats.running(tmp_path_factory.mktemp("nats"), port=0) as server:
        yield server.url


@pytest.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A server of one's own, with its own data: for tests that kill it, or count on an empty one."""
    server = NatsServer(tmp_path / "nats")
    await server.start()
    yield server
    await server.stop()


def _allowed() -> list[tuple[str, str]]:
    """Pairs of the beginning of a test's id and the reason it may give."""
    lines = ALLOWED_SKIPS.read_text(encoding="utf-8").splitlines()
    entries = [line.partition(": ") for line in lines if line.strip() and not line.startswith("#")]
    assert all(reason.strip() for _, _, reason in entries), f"{ALLOWED_SKIPS}: an entry gives no reason"
    return [(test, reason.strip()) for test, _, reason in entries]


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str | None:
    """Why a test was skipped or expected to fail; None when it was neither."""
    if hasattr(report, "wasxfail"):
        return str(report.wasxfail).removeprefix("reason: ")
    if report.skipped:
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        return text.removeprefix("Skipped: ")
    return None


class SkipsAreListed:
    """Fails the session for every skip or expected failure that tests/allowed_skips does not list."""

    def __init__(self) -> None:
        self.allowed = _allowed()
        self.unlisted: list[str] = []

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        reason = _reason(report)
        if reason is not None and not any(
            report.nodeid.startswith(test) and reason == listed for test, listed in self.allowed
        ):
            self.unlisted.append(f"{report.nodeid}: {reason}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unlisted and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.unlisted:
            terminalreporter.section("skips that tests/allowed_skips does not list", red=True)
            for line in self.unlisted:
                terminalreporter.line(line, red=True)


# For `make mutants`: the same examples for every mutant, and no search for the smallest that fails.
hypothesis.settings.register_profile(
    "mutants",
    derandomize=True,
    database=None,
    deadline=None,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(SkipsAreListed(), "skips-are-listed")
