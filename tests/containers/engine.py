"""
A container engine for the time of one run: podman, its API socket, and Docker Compose that talks to it.

Where no registry can be reached, the base image is made from Debian's packages. What podman is given
beyond its own settings it needs where we may not raise limits, and where no systemd asks containers how
they are.
"""

import contextlib
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
COMPOSE_FILE: Final = ROOT / "deploy" / "compose.yaml"
BY_TLS: Final = ROOT / "deploy" / "compose.tls.yaml"
CONTAINERFILE: Final = ROOT / "deploy" / "Containerfile"

PROJECT: Final = "registre-check"
"""So that no ledger that runs on this machine is taken for ours."""

OF_PROJECT: Final = f"label=com.docker.compose.project={PROJECT}"
IMAGE: Final = "localhost/registre:check"
OF_IMAGE: Final = "label=org.opencontainers.image.title=registre"

STEP_SECONDS_MAX: Final = 60.0
BUILD_SECONDS_MAX: Final = 300.0
PULL_SECONDS_MAX: Final = 60.0
SOCKET_SECONDS_MAX: Final = 15.0
SILENCE_SECONDS_MAX: Final = 900
LOOK_SECONDS: Final = 1.0
"""Between two rounds of health checks, where nobody else makes them."""

ROUNDS_IN_PEACE: Final = 20

TRUSTED: Final = (Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pip.conf"))
"""What pip on this machine goes by; in a build, too, where they are here."""

PACKAGES: Final = "python3,python3-venv,ca-certificates"
"""Of a base image of our own: what the ordinary Python image has, as far as we need it."""


class Failed(RuntimeError):
    """What was asked of the engine did not work; the sentence has its own words."""


class Engine:
    """Podman with what it needs here; *folder* is for files of this run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "BUILDAH_FORMAT": "docker",
            "CONTAINERS_CONF": str(folder / "containers.conf"),
        }
        self.address = f"unix://{folder / 'podman.sock'}"
        self.files = [COMPOSE_FILE]
        self.variables: dict[str, str] = {}
        """What they are told."""

    def podman(self, *arguments: str, seconds_max: float = STEP_SECONDS_MAX) -> str:
        """What `podman` prints. Raises Failed."""
        return run(["podman", *arguments], self.environment, seconds_max)

    def compose(self, *arguments: str, seconds_max: float = STEP_SECONDS_MAX) -> str:
        """What Docker Compose prints. Raises Failed."""
        command = [str(Path(sys.executable).with_name("docker-compose")), "--project-name", PROJECT]
        command += [option for file in self.files for option in ("--file", str(file))]
        command += ["--progress", "quiet", *arguments]
        client = {"DOCKER_CONFIG": str(self.folder), "DOCKER_HOST": self.address}
        return run(command, {**self.environment, **client, **self.variables}, seconds_max)

    def inside(self, service: str, *command: str, seconds_max: float = STEP_SECONDS_MAX) -> str:
        """What *command* prints in the container of *service*. Raises Failed."""
        return self.compose("exec", "--no-TTY", service, *command, seconds_max=seconds_max)

    def inspect(self) -> dict[str, dict[str, Any]]:
        """What podman knows of our containers, by service."""
        names = self.podman("ps", "--all", "--quiet", "--filter", OF_PROJECT).split()
        found: list[dict[str, Any]] = json.loads(self.podman("inspect", *names))
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in found}

    def has(self, image: str) -> bool:
        """Whether *image* is on this machine."""
        with contextlib.suppress(Failed):
            self.podman("image", "exists", image)
            return True
        return False

    def base(self, wanted: str) -> str:
        """*wanted*, from its registry; or an image of our own, where that cannot be reached."""
        if self.has(wanted):
            return wanted
        with contextlib.suppress(Failed):
            self.podman("pull", "--quiet", wanted, seconds_max=PULL_SECONDS_MAX)
            return wanted
        suite = platform.freedesktop_os_release().get("VERSION_CODENAME", "stable")
        own = f"localhost/registre-base:{suite}"
        if not self.has(own):
            self._make_base(suite, own)
        return own

    def _make_base(self, suite: str, name: str) -> None:
        if shutil.which("mmdebstrap") is None:
            raise Failed("no registry has the base image for us, and there is no mmdebstrap to make one with")
        archive = str(self.folder / "base.tar")
        run(
            [
                "mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}",
                '--aptopt=Acquire::Languages "none"',
                "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*",
                suite, archive,
            ],
            self.environment,
            BUILD_SECONDS_MAX,
        )  # fmt: skip
        self.podman("import", "--quiet", "--change", 'CMD=["python3"]', archive, name)
        Path(archive).unlink()

    def build(self, base: str, revision: str) -> None:
        """Build IMAGE from deploy/Containerfile on *base*. Raises Failed."""
        # What earlier builds have left, unless it is fresh enough to build on.
        self.podman("image", "prune", "--force", "--filter", OF_IMAGE, "--filter", "until=24h")
        volumes = [f"--volume={path}:{path}:ro" for path in TRUSTED if path.exists()]
        self.podman(
            "build", "--quiet", "--pull=never", *volumes,
            "--build-arg", f"BASE_IMAGE={base}", "--build-arg", f"REVISION={revision}",
            "--file", str(CONTAINERFILE), "--tag", IMAGE, str(ROOT),
            seconds_max=BUILD_SECONDS_MAX,
        )  # fmt: skip

    def look_around(self, stopping: threading.Event) -> None:
        """Ask our containers how they are, again and again, as systemd has podman do elsewhere."""
        rounds = 0
        while not stopping.wait(LOOK_SECONDS):
            rounds += 1
            with contextlib.suppress(Failed):
                for line in self._running():
                    name, _, status = line.partition(" ")
                    # One that is well is left in peace most of the time: a look is a process of its own.
                    if "(healthy)" not in status or rounds % ROUNDS_IN_PEACE == 0:
                        # A look that finds something fails; compose reads what podman wrote down of it.
                        with contextlib.suppress(Failed):
                            self.podman("healthcheck", "run", name)

    def _running(self) -> list[str]:
        listed = self.podman("ps", "--filter", OF_PROJECT, "--format", "{{.ID}} {{.Status}}")
        return listed.splitlines()

    def left(self) -> list[str]:
        """What of ours the engine still has: containers, volumes, networks."""
        return [
            *self.podman("ps", "--all", "--quiet", "--filter", OF_PROJECT).split(),
            *self.podman("volume", "ls", "--quiet", "--filter", OF_PROJECT).split(),
            *self.podman("network", "ls", "--quiet", "--filter", OF_PROJECT).split(),
        ]


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Engine]:
    """An engine whose API answers, with nothing left of an earlier run, nor of this one afterwards."""
    engine = Engine(folder)
    (folder / "containers.conf").write_text(_settings())
    log = (folder / "podman.log").open("wb")
    service = subprocess.Popen(
        # Should we be killed, it ends by itself when nobody has asked for so long; a build asks nothing.
        ["podman", "system", "service", f"--time={SILENCE_SECONDS_MAX}", engine.address],
        env=engine.environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    stopping = threading.Event()
    looking = threading.Thread(target=engine.look_around, args=(stopping,))
    try:
        deadline = time.monotonic() + SOCKET_SECONDS_MAX
        while not (folder / "podman.sock").exists():
            if service.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"podman does not answer: {(folder / 'podman.log').read_text()[-1_000:]}")
            time.sleep(0.05)
        _take_down(engine)
        looking.start()
        yield engine
    finally:
        stopping.set()
        if looking.ident is not None:
            looking.join()
        _take_down(engine)
        service.terminate()
        service.wait(STEP_SECONDS_MAX)
        log.close()


def _take_down(engine: Engine) -> None:
    engine.compose("down", "--volumes", "--remove-orphans", "--timeout", "10")


def _settings() -> str:
    """What podman has to know where limits may not be raised, and where crun does not run."""
    files = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 20_000)
    processes = min(resource.getrlimit(resource.RLIMIT_NPROC)[1], 16_384)
    runtime = 'runtime = "runc"\n' if shutil.which("runc") else ""
    return (
        "[containers]\n"
        f'default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]\n'
        f"[engine]\n{runtime}"
    )


def run(command: list[str], environment: Mapping[str, str], seconds_max: float) -> str:
    """What *command* prints. Raises Failed with what it said."""
    shown = " ".join(command)
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds_max,
        )
    except FileNotFoundError:
        raise Failed(f"there is no {command[0]} here: install it") from None
    except subprocess.TimeoutExpired:
        raise Failed(f"{shown}: not done within {seconds_max:g} s") from None
    if done.returncode != 0:
        raise Failed(f"{shown}: exit code {done.returncode}\n{done.stdout[-2_000:]}{done.stderr[-4_000:]}")
    return done.stdout
