"""The program itself: its help, its errors, its exit codes, its processes."""

import contextlib
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import typer
from typer.core import TyperOption
from typer.testing import CliRunner

from services.cli import app
from tests.cli.conftest import FREE_PORTS, Demo, environment, registre

ENDING_S_MAX = 15.0
COMMANDS = typer.main.get_group(app).commands


PARTNERS = COMMANDS["partners"].commands  # type: ignore[attr-defined]  # a group is a command


@pytest.mark.parametrize("name", [*COMMANDS, *(f"partners {name}" for name in PARTNERS)])
def test_the_help_of_each_command_has_an_example_and_describes_every_option(name: str) -> None:
    result = CliRunner().invoke(app, [*name.split(), "--help"])
    command = PARTNERS[name.partition(" ")[2]] if " " in name else COMMANDS[name]
    assert result.exit_code == 0
    assert f"Example: registre {name}" in result.stdout
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, TyperOption):
            assert parameter.help, parameter.name


def test_the_version_is_printed() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert re.fullmatch(r"registre \d+\.\d+\.\d+\n", result.stdout)


@pytest.mark.parametrize("arguments", [["show", "x"], ["list"], ["events"], ["rebuild"]])
def test_no_server_is_one_sentence_and_exit_code_1(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.cli.CONNECT_SECONDS_MAX", 0.2)
    result = CliRunner().invoke(app, [*arguments, "--nats", "nats://127.0.0.1:9"])
    assert result.exit_code == 1
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert line.startswith("registre: no NATS server answered at nats://127.0.0.1:9")


def test_nobody_at_work_is_one_sentence(nats_url: str) -> None:
    result = registre("list", "--nats", nats_url)
    assert (result.returncode, result.stdout) == (1, "")
    [line] = result.stderr.splitlines()
    assert "no service answers on query.list" in line


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["show", "x", "--on", "hier"], "'hier' is no day"),
        (["show", "x", "--known-at", "2026-01-31T09:00"], "has no time zone"),
        (["show", "x", "--known-at", "bientôt"], "is no instant"),
        (["show", "X Y"], "'X Y' is not a name"),
        (["serve", "postier"], "'postier' is none of nats, registrar, relay, feeder, projector, portal"),
    ],
)
def test_what_cannot_be_asked_is_said_with_exit_code_2(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_demo_without_dossiers_says_what_to_do(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["demo", "--dossiers", str(tmp_path), "--data", str(tmp_path / "data")])
    assert result.exit_code == 1
    assert "name another folder with --dossiers" in result.stderr


def on_a_terminal(*arguments: str, **more: str) -> str:
    """What the program prints where stdout is a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "services.cli", *arguments],
        stdout=theirs,
        stderr=theirs,
        env=environment(TERM="xterm-256color", **more),
    )
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while part := os.read(ours, 65_536):
            seen += part
    os.close(ours)
    process.wait(30)
    return seen.decode()


def children_of(pid: int) -> dict[str, int]:
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            parent = int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
            service = re.search(r"services\.(\w+)|(nats-server)", (process / "cmdline").read_text())
            if parent == pid and service:
                found[service[1] or service[2]] = int(process.name)
    return found


def ends(pid: int) -> bool:
    """Whether the process *pid*, told to end, does so. What it wrote to may be closed a moment earlier."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], ENDING_S_MAX)[0])
    finally:
        os.close(process)


def test_where_the_portals_port_is_taken_it_says_where_it_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        demo = Demo(tmp_path / "data", "--http", str(port))
        found = re.search(r"The portal answers at (http://127\.0\.0\.1:(\d+)),", demo.said)
        assert found is not None, demo.said
        assert int(found[2]) not in (0, port)
        assert httpx.get(f"{found[1]}/api/v1/health", trust_env=False).status_code == 200
    assert demo.stop() == 0


def test_a_demo_ends_with_a_service_that_ends_and_the_next_one_finds_its_data(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "data")
    show = ("show", "carsat-sud-est-2014", "--brief")
    assert "\x1b[1m" in on_a_terminal(*show, **demo.variables)
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", on_a_terminal(*show, **demo.variables, NO_COLOR="1"))
    children = children_of(demo.process.pid)
    assert set(children) == {"registrar", "relay", "feeder", "projector", "portal", "nats-server"}
    os.kill(children["relay"], signal.SIGKILL)
    assert demo.wait() == 1
    assert "registre: the relay was killed by signal 9; the end of " in demo.said
    assert all(ends(pid) for pid in children.values())
    for name in ("registrar", "feeder", "projector"):
        log = tmp_path / "data" / "logs" / f"{name}.log"
        assert "process.stopping" in log.read_text(encoding="utf-8")
    again = registre("demo", "--once", "--data", str(tmp_path / "data"), *FREE_PORTS)
    assert again.returncode == 0, again.stderr
    told = [line for line in again.stdout.splitlines() if line.endswith("nothing added")]
    assert len(told) == 5
    assert "facts recorded" not in again.stdout
    assert again.stdout.count("Page abrégée") == 6


def test_services_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "services.cli",
        "serve",
        "nats",
        "registrar",
        "relay",
        "feeder",
        "projector",
    ]
    seed = tmp_path / "our.nk"
    # As a container is told: where the data are, where our key is, and on which address to listen.
    told = {
        "REGISTRE_DATA": str(tmp_path),
        "REGISTRE_NATS_SEED": str(seed),
        "REGISTRE_NATS_LISTEN": "127.0.0.2",
    }
    with subprocess.Popen(
        [*command, "--origin", "registre.essai", "--nats", "nats://127.0.0.1:0"],
        stderr=subprocess.PIPE,
        text=True,
        env=environment() | told,
    ) as process:
        assert process.stderr is not None
        said = ""
        while "at work; NATS at" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        url = said.rstrip().rpartition("NATS at ")[2]
        listed = registre("list", "--nats", url, "--json", REGISTRE_NATS_SEED=str(seed))
        children = children_of(process.pid)
        process.kill()
        process.stderr.read()  # which ends when the last of them has
    assert url.startswith("nats://127.0.0.2:")
    assert listed.stdout.startswith('{"on":')
    assert (tmp_path / "ledger.db").exists()
    assert set(children) == {"registrar", "relay", "feeder", "projector", "nats-server"}
    assert all(ends(pid) for pid in children.values())
