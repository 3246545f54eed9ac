"""
A process from start to end: what a signal does, what an error leaves, what is logged. Real processes.
"""

import asyncio
import json
import signal
import sys
from typing import Any

import pytest

from services import runtime

START = """
import asyncio, logging, os, sys, time
import structlog
from services import runtime

runtime.CUT_OFF_SECONDS, runtime.DRAIN_SECONDS_MAX = {cut_off}, {drain}
log = structlog.get_logger()

class Unkept(Exception):
    pass

Unkept.__module__ = "services.relay"

async def main(stopping):
    print("started", flush=True)
{body}

runtime.run(main, service="relay")
"""


async def start(
    body: str, *flags: str, cut_off: float = 8.0, drain: float = 10.0
) -> asyncio.subprocess.Process:
    indented = "\n".join("    " + line for line in body.splitlines())
    script = START.format(body=indented, cut_off=cut_off, drain=drain)
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, *flags, "-c", script, stdout=pipe, stderr=pipe, stdin=asyncio.subprocess.DEVNULL
    )


async def end(process: asyncio.subprocess.Process) -> tuple[int | None, str, list[dict[str, Any]]]:
    said, logged = await process.communicate()
    return process.returncode, said.decode(), [json.loads(line) for line in logged.splitlines()]


async def after(signal_number: int, process: asyncio.subprocess.Process) -> None:
    assert process.stdout is not None
    assert await process.stdout.readline() == b"started\n"
    process.send_signal(signal_number)


async def test_a_main_that_returns_ends_the_process_well() -> None:
    assert await end(await start("return")) == (0, "started\n", [])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_main_finish_what_it_does(number: int) -> None:
    process = await start("await stopping.wait()\nprint('finished')")
    await after(number, process)
    code, said, logged = await end(process)
    assert (code, said) == (0, "finished\n")
    assert [line["event"] for line in logged] == ["process.stopping"]


async def test_a_main_that_ignores_the_signal_is_cut_off_and_still_closes_what_it_opened() -> None:
    process = await start(
        "try:\n    await asyncio.Event().wait()\nfinally:\n    print('closed')", cut_off=0.05
    )
    await after(signal.SIGTERM, process)
    code, said, logged = await end(process)
    assert (code, said) == (runtime.EXIT_NOT_DRAINED, "closed\n")
    assert logged[-1]["event"] == "process.not_drained"
    assert "0.05 s after the signal" in logged[-1]["detail"]


async def test_a_process_whose_loop_is_stuck_ends_all_the_same() -> None:
    process = await start("await stopping.wait()\ntime.sleep(60)", drain=0.1)
    await after(signal.SIGTERM, process)
    code, _, logged = await end(process)
    assert code == runtime.EXIT_NOT_DRAINED
    assert "0.1 s after the signal" in logged[-1]["detail"]


async def test_what_was_logged_in_a_turn_that_never_ends_is_written_all_the_same() -> None:
    process = await start("await stopping.wait()\nlog.info('relay.last')\ntime.sleep(60)", drain=0.1)
    await after(signal.SIGTERM, process)
    _, _, logged = await end(process)
    assert [line["event"] for line in logged] == ["process.stopping", "relay.last", "process.not_drained"]


async def test_a_log_that_nobody_reads_stops_nothing() -> None:
    body = "os.close(sys.stderr.fileno())\nlog.info('a')\nawait asyncio.sleep(0)\nprint('finished')"
    code, said, _ = await end(await start(body))
    assert (code, said) == (0, "started\nfinished\n")


def test_a_signal_is_obeyed_within_ten_seconds() -> None:
    assert runtime.CUT_OFF_SECONDS < runtime.DRAIN_SECONDS_MAX <= 10


async def test_an_error_of_ours_is_logged_as_its_sentence() -> None:
    code, _, logged = await end(await start("raise Unkept('position 7 is missing')"))
    assert code == runtime.EXIT_FAILED
    assert [(line["error"], line["detail"]) for line in logged] == [("Unkept", "position 7 is missing")]
    assert "exception" not in logged[0]


async def test_a_bug_is_logged_with_its_place() -> None:
    code, _, logged = await end(await start("assert 1 == 2, 'never'"))
    assert code == runtime.EXIT_FAILED
    assert "Traceback" in logged[0]["exception"]


async def test_each_error_of_a_group_is_logged() -> None:
    code, _, logged = await end(await start("raise ExceptionGroup('', [Unkept('a'), OSError('b')])"))
    assert code == runtime.EXIT_FAILED
    assert [line["detail"] for line in logged] == ["a", "b"]


async def test_every_line_of_a_log_is_json_with_level_time_and_service_also_from_a_library() -> None:
    _, _, logged = await end(
        await start("log.info('relay.moved', position=3)\nlogging.getLogger('nats').warning('odd')")
    )
    assert [(line["event"], line["level"], line["service"]) for line in logged] == [
        ("relay.moved", "info", "relay"),
        ("odd", "warning", "relay"),
    ]
    assert all(line["timestamp"].endswith("Z") for line in logged)


async def test_threads_do_not_wait_five_milliseconds_for_each_other() -> None:
    _, said, _ = await end(await start("print(sys.getswitchinterval())"))
    assert float(said.split()[-1]) == pytest.approx(0.002)


async def test_whoever_is_woken_takes_nobodys_place() -> None:
    _, said, _ = await end(await start("print(os.sched_getscheduler(0) == os.SCHED_BATCH)"))
    assert said.split()[-1] == "True"


async def test_no_process_starts_without_its_assertions() -> None:
    process = await start("return", "-O")
    said, complaint = await process.communicate()
    assert process.returncode == 1
    assert said == b""
    assert b"without -O" in complaint
