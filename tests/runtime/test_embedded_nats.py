"""
The embedded server, with the real program: its lock, its port, its durability, its end.
"""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nats
import pytest
from nats.js.api import StorageType, StreamConfig

from services import embedded_nats
from tests.conftest import NatsServer

HOLDER = """
import asyncio, sys
from pathlib import Path
from services import embedded_nats

async def main():
    async with embedded_nats.running(Path(sys.argv[1]), port=0) as server:
        print("pid", server.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_it_answers_where_it_says_and_stops_with_the_block(tmp_path: Path) -> None:
    async with embedded_nats.running(tmp_path, port=0) as server:
        client = await nats.connect(server.url)
        assert client.max_payload == embedded_nats.PAYLOAD_BYTES_MAX
        await client.close()
        assert is_alive(server.pid)
    assert not is_alive(server.pid)


async def test_a_server_that_does_not_sync_is_refused_and_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = embedded_nats._write_config

    def without_sync(folder: Path, *listening: Any) -> None:
        written(folder, *listening)
        path = folder / "nats-server.conf"
        path.write_text(path.read_text().replace("sync_interval: always", ""))

    monkeypatch.setattr(embedded_nats, "_write_config", without_sync)
    with pytest.raises(embedded_nats.NotSyncing, match="sync_interval to always"):
        async with embedded_nats.running(tmp_path, port=0):
            pass
    assert list((tmp_path / "ports").iterdir()) == [], "it is still running"


async def test_a_second_server_on_the_folder_is_refused_and_names_who_has_it(nats_server: NatsServer) -> None:
    with pytest.raises(embedded_nats.FolderInUse) as refused:
        async with embedded_nats.running(nats_server.folder, port=0):
            pass
    assert f"process {os.getpid()}" in str(refused.value)
    assert str(nats_server.pid) in str(refused.value)
    assert is_alive(nats_server.pid)


async def test_a_folder_is_free_again_once_its_server_has_stopped(tmp_path: Path) -> None:
    for _ in range(2):
        async with embedded_nats.running(tmp_path, port=0):
            pass


async def test_where_the_port_is_taken_it_takes_another(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        async with embedded_nats.running(tmp_path, port=taken) as server:
            assert not server.url.endswith(f":{taken}")
            await (await nats.connect(server.url)).close()


async def test_where_the_port_is_free_it_takes_that_one(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        free = other.getsockname()[1]
    async with embedded_nats.running(tmp_path, port=free) as server:
        assert server.url.endswith(f":{free}")


async def test_it_listens_on_the_address_that_it_is_given_and_on_no_other(tmp_path: Path) -> None:
    async with embedded_nats.running(tmp_path, port=0, host="127.0.0.2") as server:
        address = urlsplit(server.url)
        assert address.hostname == "127.0.0.2"
        client = await nats.connect(server.url)
        await client.close()
        with socket.socket() as other, pytest.raises(ConnectionRefusedError):
            other.connect(("127.0.0.1", address.port))


async def test_whoever_knocks_at_the_port_does_not_fill_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_nats, "LOG_BYTES_MAX", 20_000)
    async with embedded_nats.running(tmp_path, port=0) as server:
        address = urlsplit(server.url)
        for _ in range(400):
            with socket.create_connection((address.hostname, address.port)) as stranger:
                stranger.recv(4_096)
                stranger.sendall(b"NONSENSE " * 20 + b"\r\n")
                stranger.recv(4_096)
        logs = list(tmp_path.glob(f"{embedded_nats.LOG}*"))
        assert 1 < len(logs) <= embedded_nats.LOGS_MAX
        assert sum(path.stat().st_size for path in logs) < 20_000 * (embedded_nats.LOGS_MAX + 1)


async def test_a_killed_server_comes_back_with_its_data_at_the_same_address(nats_server: NatsServer) -> None:
    async def stored() -> int:
        client = await nats.connect(nats_server.url)
        state = (await client.jetstream().stream_info("S")).state
        await client.close()
        return state.messages

    client = await nats.connect(nats_server.url)
    js = client.jetstream()
    await js.add_stream(StreamConfig(name="S", subjects=["s"], storage=StorageType.FILE))
    for number in range(20):
        await js.publish("s", str(number).encode())
    await client.close()
    await nats_server.kill()
    await nats_server.start()
    assert await stored() == 20


async def test_it_says_when_the_server_has_ended_by_itself(tmp_path: Path) -> None:
    async with embedded_nats.running(tmp_path, port=0) as server:
        ended = asyncio.create_task(server.ended())
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(embedded_nats.ServerFailed, match="killed by signal 9"):
            await ended


async def test_a_server_that_cannot_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "jetstream").write_text("a file where the server wants a folder")
    with pytest.raises(embedded_nats.ServerFailed, match=r"exit code 1[\s\S]*storage directory"):
        async with embedded_nats.running(tmp_path, port=0):
            pass


async def test_without_the_program_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(embedded_nats.ServerMissing, match="extra 'embedded'"):
        async with embedded_nats.running(tmp_path, port=0):
            pass


async def test_when_its_parent_is_killed_the_server_ends_and_the_folder_is_free(tmp_path: Path) -> None:
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    said = await holder.stdout.readuntil(b"\npid ") + await holder.stdout.readline()
    server_pid = int(said.split()[-1])
    assert is_alive(server_pid)
    holder.kill()
    await holder.wait()
    async with embedded_nats.running(tmp_path, port=0):
        assert not is_alive(server_pid)


async def test_the_server_sleeps_a_little_longer_than_it_asks_and_we_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slack = Path("/proc/self/timerslack_ns")
    ours = slack.read_text()
    program, found = tmp_path / "program", tmp_path / "found"
    program.write_text(f"#!/bin/sh\nread -r slack < {slack}\necho $slack > {found}\n")
    program.chmod(0o700)
    monkeypatch.setattr(embedded_nats, "server_path", lambda: program)
    with pytest.raises(embedded_nats.ServerFailed):
        async with embedded_nats.running(tmp_path / "nats", port=0):
            pass
    assert int(found.read_text()) == 1_000 * embedded_nats.SLEEP_SLACK_MICROSECONDS
    assert slack.read_text() == ours
