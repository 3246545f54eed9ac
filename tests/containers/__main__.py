"""
The image and the whole set, tried as an operator and a partner meet them: `make containers`.

Builds the image, starts deploy/compose.yaml, lets a partner in, sends its commands and reads its feed
from outside, kills every container while commands go on, stops and starts everything, has it reached
by TLS, and takes it down. Prints what it saw; exit code 0 where all of it is as it should be.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx

from contracts.commands import Recording, Unchanged
from contracts.events import AliasRecorded, InstitutionRegistered
from services import asking, runtime
from tests.certificates import certificate_in
from tests.containers import engine as engines
from tests.containers.engine import Engine, Failed

TOWN: Final = "ville-essai"
UID: Final = 10_001
KEPT: Final = ("keys", "ledger", "nats", "persons", "pieces")
"""The volumes that cannot be made again."""

BACKUP: Final = "registre.tar.gz"
KEYS: Final = {
    "nats": sorted(f"{name}.nk" for name in ("ledger", "registrar", "relay", "feeder", "projector", "portal"))
}
"""The files with keys that the server has; each of the others has its own."""

PUBLISHED: Final = ["nats 4222/tcp", "portal 8080/tcp"]

SECONDS_MAX: Final = 560
UP_SECONDS_MAX: Final = 120.0
WELL_SECONDS_MAX: Final = 90.0
STOP_SECONDS_MAX: Final = 8.0
ATTEMPT_SECONDS_MAX: Final = 5.0
COMMANDS_FIRST: Final = 10

CONFINED: Final = """
import json, os
def refuses(path):
    try:
        open(path, "w").close()
    except OSError as error:
        return error.strerror
lines = [line.partition(":") for line in open("/proc/self/status").read().splitlines()]
status = {name: value.strip() for name, _, value in lines}
print(json.dumps({
    "uid": os.getuid(),
    "capabilities": int(status["CapBnd"], 16) | int(status["CapEff"], 16),
    "no_new_privileges": status["NoNewPrivs"],
    "root": refuses("/x"),
    "code": refuses("/srv/registre/x"),
    "keys": sorted(name for _, _, names in os.walk("/data/keys") for name in names),
}))
"""
"""Run inside a container: what the process there may do."""

BEGAN: Final = time.monotonic()


def say(text: str) -> None:
    """One line of what was seen, with the seconds since the start."""
    print(f"{time.monotonic() - BEGAN:6.1f} s  {text}", flush=True)


def check(holds: bool, what: str) -> None:
    """Fail the run where *what* does not hold."""
    if not holds:
        raise Failed(f"not so: {what}")


class Ledger:
    """The set that runs, as an operator has it in hand, and what its partner was told."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.url = self.door = f"nats://127.0.0.1:{_free_port()}"
        """Where the operator reaches the server, and where a partner that reads."""
        self.portal = f"http://127.0.0.1:{_free_port()}"
        self.seed = folder / f"{TOWN}.nk"
        self.acknowledged: dict[str, int] = {}
        """The position of each alias that the ledger says it has recorded."""
        engine.variables = {
            "REGISTRE_NATS_PUBLISHED": self.url.removeprefix("nats://"),
            "REGISTRE_HTTP_PUBLISHED": self.portal.removeprefix("http://"),
            "REGISTRE_PORTAL_URL": self.portal,
            "REGISTRE_ORIGIN": "registre.essai",
            "REGISTRE_TAG": engines.IMAGE.rpartition(":")[2],
        }
        self.services = engine.compose("config", "--services").split()
        self.web = httpx.Client(base_url=self.portal, timeout=ATTEMPT_SECONDS_MAX)

    def up(self) -> None:
        """Start what is down; return once everything is well."""
        began = time.monotonic()
        seconds = str(round(UP_SECONDS_MAX))
        self.engine.compose(
            "up",
            "--detach",
            "--no-build",
            "--wait",
            "--wait-timeout",
            seconds,
            seconds_max=UP_SECONDS_MAX + 10,
        )
        states = {name: state["Health"]["Status"] for name, state in self.states().items()}
        check(set(states.values()) == {"healthy"}, f"all are healthy: {states}")
        say(f"up: {', '.join(self.services)}, all healthy after {time.monotonic() - began:.1f} s")

    def states(self) -> dict[str, dict[str, Any]]:
        """How each container is, by service."""
        return {name: container["State"] for name, container in self.engine.inspect().items()}

    def let_in(self) -> None:
        """Give the partner its account, and take its credentials out."""
        said = self.engine.inside("nats", "registre", "partners", "add", TOWN)
        check("may connect: it was tried" in said, said)
        self.seed.touch(mode=0o600)
        self.seed.write_text(self.engine.inside("nats", "cat", f"{TOWN}.nk"))
        self.engine.inside("nats", "rm", f"{TOWN}.nk")
        say(f"registre partners add {TOWN}: {said.splitlines()[0]}")

    def packed(self, verb: str) -> None:
        """Have tar *verb* the volumes that cannot be made again, from or to the backup, as README says."""
        volumes = [f"--volume={engines.PROJECT}_{name}:/data/{name}" for name in KEPT]
        self.engine.podman(
            "run", "--rm", "--user=0", f"--volume={self.folder}:/backup", *volumes, engines.IMAGE,
            "tar", verb, "--gzip", "--directory=/data", f"--file=/backup/{BACKUP}", *KEPT,
        )  # fmt: skip

    def read_feed(self) -> list[dict[str, Any]]:
        """What the example subscriber prints that was not there the last time, from outside."""
        subscriber = engines.ROOT / "deploy" / "examples" / "subscriber.py"
        command = [sys.executable, str(subscriber), TOWN, "--server", self.door, "--seed", str(self.seed)]
        command += ["--place", str(self.folder / "place"), "--once"]
        printed = engines.run(command, dict(os.environ), engines.STEP_SECONDS_MAX)
        return [json.loads(line) for line in printed.splitlines()]

    def authorise(self) -> None:
        """Give the partner's program a token for the portal."""
        made = self.engine.inside(
            "portal", "registre", "tokens", "make", TOWN, "--right", "saisie", "--for", "make containers"
        )
        self.web.headers["Authorization"] = f"Bearer {made.strip()}"

    def read_feed_over_http(self) -> list[dict[str, Any]]:
        """All of the feed, page by page."""
        events: list[dict[str, Any]] = []
        last, remaining = 0, 1
        while remaining:
            answer = self.web.get("/api/v1/feed", params={"after": last, "wait_seconds": 0})
            check(answer.status_code == httpx.codes.OK, f"the feed is read over HTTP: {answer.text}")
            page = answer.json()
            events += [entry["event"] for entry in page["events"]]
            last, remaining = page["last"], page["remaining"]
        return events

    def record_over_http(self) -> None:
        """Have the partner record an alias of its own by the portal."""
        alias, request = self.declaration()
        answer = self.web.post(
            f"/api/v1/institutions/{TOWN}/declarations",
            content=request,
            headers={"Content-Type": "application/json"},
        )
        check(answer.status_code == httpx.codes.CREATED, f"{alias} is recorded over HTTP: {answer.text}")
        self.acknowledged[alias] = answer.json()["last_position"]

    def declaration(self) -> tuple[str, bytes]:
        """Another alias of the partner, and the request to record it; the first says who it is, too."""
        alias = f"Essai {len(self.acknowledged)}"
        facts = [asking.declared(AliasRecorded(alias=alias), "2026-01-01")]
        if not self.acknowledged:
            registered = InstitutionRegistered(name="Ville d'essai", kind="commune")
            facts.insert(0, asking.declared(registered, "2026-01-01"))
        return alias, asking.declaration(facts, command_id=asking.new_command_id())

    async def record(self) -> None:
        """Have the partner record an alias of its own, asking until the ledger tells."""
        alias, request = self.declaration()
        async with asyncio.timeout(WELL_SECONDS_MAX):
            while True:
                with contextlib.suppress(asking.NoRegistrar, asking.OutcomeUnknown, runtime.BusError):
                    answer = await self.ask(request)
                    # Asked with one id, also after a kill: the position of the one recording.
                    check(isinstance(answer, Recording), f"{alias} is recorded: {answer}")
                    assert isinstance(answer, Recording)
                    self.acknowledged[alias] = answer.last_position
                    return
                await asyncio.sleep(0.1)

    async def ask(self, request: bytes) -> Recording | Unchanged:
        """What the ledger answers to a command of the partner."""
        connection = runtime.connected(self.url, TOWN, seed=self.seed, seconds_max=ATTEMPT_SECONDS_MAX)
        async with connection as bus:
            return await asking.ask(bus, TOWN, f"institution/{TOWN}", request, ATTEMPT_SECONDS_MAX)

    async def record_until(self, done: asyncio.Event) -> None:
        """Record one after the other until *done*."""
        while not done.is_set():
            await self.record()

    async def kill(self, *services: str) -> float:
        """End containers as a crash does: after how many seconds the engine has them well again."""
        before = self.states()
        began = time.monotonic()
        for service in services:
            os.kill(before[service]["Pid"], signal.SIGKILL)
        while True:
            now = await asyncio.to_thread(self.states)
            seconds = time.monotonic() - began
            ill = {
                service: now[service]["Health"]["Status"]
                for service in services
                if now[service]["StartedAt"] == before[service]["StartedAt"]
                or now[service]["Health"]["Status"] != "healthy"
            }
            if not ill:
                return seconds
            check(seconds < WELL_SECONDS_MAX, f"the killed are well after {seconds:.0f} s, also {ill}")
            await asyncio.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def built(engine: Engine) -> None:
    """The image, made where it is not there yet; its size is told."""
    wanted = re.search(r"^ARG BASE_IMAGE=(\S+)$", engines.CONTAINERFILE.read_text(), re.MULTILINE)
    assert wanted is not None
    base = engine.base(wanted[1])
    say(f"base image: {base}")
    revision = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=engines.ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    engine.build(base, revision or "unknown")
    whole, below = (
        json.loads(engine.podman("image", "inspect", name))[0]["Size"] / 1e6 for name in (engines.IMAGE, base)
    )
    say(f"built {engines.IMAGE}: {whole:.0f} MB, {whole - below:.0f} of them on the base")


def confined(ledger: Ledger) -> None:
    """No container may do more than it has to."""
    read_only = "Read-only file system"
    nothing_more = {
        "uid": UID,
        "capabilities": 0,
        "no_new_privileges": "1",
        "root": read_only,
        "code": read_only,
    }
    published: list[str] = []
    for name, container in ledger.engine.inspect().items():
        found = json.loads(ledger.engine.inside(name, "python", "-c", CONFINED))
        keys = found.pop("keys")
        check(keys == KEYS.get(name, [f"{name}.nk"]), f"{name} has the keys that it needs: {keys}")
        check(found == nothing_more, f"{name} may do no more than {nothing_more}: {found}")
        host = container["HostConfig"]
        limits = {each: host[each] for each in ("Memory", "NanoCpus", "PidsLimit")}
        check(all(each > 0 for each in limits.values()), f"{name} has limits: {limits}")
        published += [f"{name} {port}" for port in container["NetworkSettings"]["Ports"] or {}]
    check(sorted(published) == PUBLISHED, f"published is what partners use: {published}")
    say(f"each is uid {UID}, without a capability, on a read-only root, within limits")
    say(f"each service has its own key and no other, nats has {', '.join(KEYS['nats'])}")
    say(f"published: {', '.join(published)}")


async def used(ledger: Ledger) -> None:
    """A partner sends commands from outside."""
    for _ in range(COMMANDS_FIRST):
        await ledger.record()
    last = max(ledger.acknowledged.values())
    say(f"{TOWN} sent {COMMANDS_FIRST} commands over NATS: all recorded, up to position {last}")
    ledger.authorise()
    ledger.record_over_http()
    say(f"and one over HTTP, with a token: position {max(ledger.acknowledged.values())}")


async def bad_day(ledger: Ledger) -> None:
    """Every container is killed while commands go on."""
    before = len(ledger.acknowledged)
    done = asyncio.Event()
    recording = asyncio.create_task(ledger.record_until(done))
    try:
        for name in ledger.services:
            seconds = await ledger.kill(name)
            say(f"killed {name}: started again by the engine, well after {seconds:.1f} s")
        seconds = await ledger.kill(*ledger.services)
        say(f"killed all at once: well after {seconds:.1f} s")
    finally:
        done.set()
        await recording
    say(f"meanwhile {len(ledger.acknowledged) - before} commands were acknowledged")


def nothing_lost(ledger: Ledger, so_far: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The feed has each acknowledged fact once, at its position, and the ledger agrees with its copies."""
    last = max(ledger.acknowledged.values())
    feed = so_far
    deadline = time.monotonic() + WELL_SECONDS_MAX
    while not feed or feed[-1]["position"] < last:
        check(time.monotonic() < deadline, f"the feed has come to position {last}")
        feed = feed + ledger.read_feed()
    found = {event["data"]["alias"]: event["position"] for event in feed if "alias" in event["data"]}
    check(found == ledger.acknowledged, "each acknowledged command is in the feed, at its position")
    check([event["position"] for event in feed] == list(range(1, last + 1)), "nothing is missing or doubled")
    check(ledger.read_feed_over_http() == feed, "the feed over HTTP is the same")
    say(f"the example subscriber has read positions 1 to {last}: each acknowledged fact once; so over HTTP")
    verified = ledger.engine.compose("run", "--rm", "--no-TTY", "operator", "registre", "verify")
    say(f"registre verify: {' '.join(verified.split())}")
    return feed


def stopped_and_restored(ledger: Ledger) -> None:
    """Everything stops in good order, is backed up, lost, and goes on from the backup in other containers."""
    began = time.monotonic()
    ledger.engine.compose("stop")
    seconds = time.monotonic() - began
    codes = {name: state["ExitCode"] for name, state in ledger.states().items()}
    check(set(codes.values()) == {0}, f"all ended by themselves: {codes}")
    check(seconds < STOP_SECONDS_MAX * len(codes), f"stopped within seconds: {seconds:.1f}")
    say(f"stopped in {seconds:.1f} s, exit codes 0")
    ledger.packed("--create")
    ledger.engine.compose("down", "--volumes")
    check(ledger.engine.left() == [], "nothing of ours is left")
    size = (ledger.folder / BACKUP).stat().st_size / 1e3
    say(f"backed up ({size:.0f} kB), taken down with every volume")
    ledger.engine.compose("create", "--no-build")
    ledger.packed("--extract")
    ledger.up()


def by_tls(ledger: Ledger) -> None:
    """With compose.tls.yaml beside it the same set is reached by TLS, and no more without."""
    certificate, key = certificate_in(ledger.folder, address="127.0.0.1")
    key.chmod(0o644)  # for the user in there; it is good for a day, and for this run
    plain, door = ledger.portal, f"127.0.0.1:{_free_port()}"
    ledger.portal = plain.replace("http", "https")
    ledger.engine.files.append(engines.BY_TLS)
    ledger.engine.variables |= {
        "REGISTRE_CERTIFICATE": str(certificate),
        "REGISTRE_KEY": str(key),
        "REGISTRE_WEBSOCKET_PUBLISHED": door,
        "REGISTRE_PORTAL_URL": ledger.portal,
    }
    # Compose would stop the server first, and each service then looks for it as long as it may.
    ledger.engine.compose("stop")
    ledger.up()
    with contextlib.suppress(httpx.TransportError):
        raise Failed(f"not so: the portal says nothing without TLS: {ledger.web.get(plain).status_code}")
    ledger.web = httpx.Client(
        base_url=ledger.portal,
        headers=ledger.web.headers,
        timeout=ATTEMPT_SECONDS_MAX,
        verify=ssl.create_default_context(cafile=certificate),
    )
    ledger.door = f"wss://{door}"
    os.environ["SSL_CERT_FILE"] = str(certificate)
    say(f"with compose.tls.yaml: the portal at {ledger.portal}, NATS at {ledger.door} as well")


async def shut_out(ledger: Ledger) -> None:
    """A partner that is revoked is refused at once."""
    said = ledger.engine.inside("nats", "registre", "partners", "revoke", TOWN)
    try:
        async with runtime.connected(ledger.url, TOWN, seed=ledger.seed):
            raise Failed(f"not so: {TOWN} is shut out")
    except runtime.NotAllowed:
        say(f"registre partners revoke {TOWN}: {said.strip()} From outside it is refused")


def tried(engine: Engine, folder: Path) -> None:
    """The whole run. Raises Failed where something is not as it should be."""
    built(engine)
    ledger = Ledger(engine, folder)
    try:
        ledger.up()
        confined(ledger)
        ledger.let_in()
        asyncio.run(used(ledger))
        feed = nothing_lost(ledger, [])
        asyncio.run(bad_day(ledger))
        feed = nothing_lost(ledger, feed)
        stopped_and_restored(ledger)
        asyncio.run(ledger.record())
        feed = nothing_lost(ledger, feed)
        by_tls(ledger)
        asyncio.run(ledger.record())
        ledger.record_over_http()
        nothing_lost(ledger, feed)
        asyncio.run(shut_out(ledger))
    except BaseException:
        with contextlib.suppress(Failed):
            print(engine.compose("ps", "--all"), engine.compose("logs", "--tail", "30"), file=sys.stderr)
        raise


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """A block that ends with Failed after SECONDS_MAX, or when we are asked to stop."""

    def end(number: int, _: object) -> None:
        raise Failed("it took too long" if number == signal.SIGALRM else "stopped")

    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    signal.alarm(SECONDS_MAX)
    yield
    signal.alarm(0)


def main() -> int:
    """The exit code of the run."""
    with tempfile.TemporaryDirectory(prefix="registre-") as name:
        folder = Path(name)
        try:
            with bounded(), engines.started(folder) as engine:
                tried(engine, folder)
            check(engine.left() == [], "nothing of ours is left")
        except (Failed, TimeoutError, httpx.HTTPError) as failure:
            say(f"FAILED: {type(failure).__name__} {failure}")
            return 1
    say("taken down; nothing is left. All is as it should be")
    return 0


if __name__ == "__main__":
    sys.exit(main())
