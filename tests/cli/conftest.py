"""A demo that runs for the tests of one module, as a stranger would start it."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 10
FREE_PORTS = "--port", "0", "--websocket", "0", "--http", "0"


class Demo:
    """`registre demo`, up until it is stopped; *url* is its server, *seed* our key, *data* its folder."""

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        self.lines: list[str] = []
        with (data.parent / "stdout").open("w") as printed:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "services.cli", "demo", "--data", str(data)),
                    *FREE_PORTS,
                    *options,
                ],
                stdout=printed,
                stderr=subprocess.PIPE,
                text=True,
                env=environment(),
                start_new_session=True,
            )
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._ready.wait(START_SECONDS_MAX), self.lines
        found = re.search(r"The ledger answers at (\S+)\. ", self.said)
        assert found is not None, self.said
        self.url = found[1]
        self.seed = data / "nats" / "ledger.nk"

    @property
    def variables(self) -> dict[str, str]:
        """What the environment says to a program that is to ask it."""
        return {"REGISTRE_NATS_URL": self.url, "REGISTRE_NATS_SEED": str(self.seed)}

    @property
    def said(self) -> str:
        """What it wrote to stderr so far."""
        return "".join(self.lines)

    @property
    def printed(self) -> str:
        """What it wrote to stdout."""
        return (self.data.parent / "stdout").read_text(encoding="utf-8")

    def stop(self, number: int = signal.SIGINT) -> int:
        """Ask it to stop, as Ctrl-C does: every process in the foreground gets the signal. Its exit code."""
        os.killpg(self.process.pid, number)
        return self.wait()

    def wait(self) -> int:
        """Its exit code, once it has ended and everything it said was read."""
        code = self.process.wait(STOP_SECONDS_MAX)
        self._reader.join(STOP_SECONDS_MAX)
        return code

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            for line in stream:
                self.lines.append(line)
                if line.startswith("Ctrl-C stops it"):
                    self._ready.set()
        self._ready.set()


def environment(**more: str) -> dict[str, str]:
    """Ours, without what would change how the program speaks or whom it asks."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("REGISTRE_") and name not in ("FORCE_COLOR", "NO_COLOR", "COLUMNS")
    }
    return {**kept, **more}


def registre(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """One call of the program, its output piped."""
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(**more),
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One demo for the tests of a module that only look."""
    running = Demo(tmp_path_factory.mktemp("demo") / "data")
    yield running
    assert running.stop() == 0
