"""
The bus, with a real server: a connection that waits, comes back and drains; questions and their answers.
"""

import asyncio
import contextlib
import functools
import itertools
import json
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from os import kill
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.msg import Msg
from nats.errors import ProtocolError
from nats.protocol.parser import Parser
from structlog.testing import capture_logs

from contracts.commands import FieldAtFault, Refusal
from services import embedded_nats, runtime
from services.runtime import Asked, Begun, Bus, Endpoint, framed
from tests.conftest import NatsServer

# -- the connection ------------------------------------------------------------


async def test_where_no_server_is_it_says_so_in_time() -> None:
    started = time.monotonic()
    with pytest.raises(runtime.BusUnreachable, match=r"nats://127\.0\.0\.1:1 within 0\.3 s .*started"):
        async with runtime.connected("nats://127.0.0.1:1", "test", seconds_max=0.3):
            pass
    assert time.monotonic() - started < 3


async def test_it_waits_for_a_server_that_is_starting(nats_server: NatsServer) -> None:
    await nats_server.stop()

    async def connect() -> bool:
        async with runtime.connected(nats_server.url, "test") as bus:
            return bus.is_connected

    connecting = asyncio.create_task(connect())
    await asyncio.sleep(0)
    await nats_server.start()
    assert await connecting


@contextlib.asynccontextmanager
async def refusing(server_port: int, *, times: int) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A door to the server that first refuses *times*, as a server does that reads its configuration anew."""
    refused: list[bytes] = []

    async def pass_on(from_: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        with contextlib.closing(to):
            while chunk := await from_.read(65_536):
                to.write(chunk)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(refused) < times:
            writer.write(b'INFO {"max_payload":1048576}\r\n')
            refused.append(await reader.readline())
            writer.write(b"-ERR 'Authorization Violation'\r\n")
            writer.close()
            return
        up, down = await asyncio.open_connection("127.0.0.1", server_port)
        async with asyncio.TaskGroup() as ways:
            ways.create_task(pass_on(reader, down))
            ways.create_task(pass_on(up, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as door:
        yield f"nats://127.0.0.1:{door.sockets[0].getsockname()[1]}", refused


@pytest.mark.parametrize("times", [1, 2])
async def test_a_server_that_refuses_while_it_reads_its_configuration_anew_is_asked_again(
    nats_server: NatsServer, times: int
) -> None:
    port = int(nats_server.url.rpartition(":")[2])
    async with refusing(port, times=times) as (url, refused), runtime.connected(url, "test") as bus:
        assert bus.is_connected
        assert len(refused) == times


async def test_a_server_that_goes_on_refusing_is_believed(nats_server: NatsServer) -> None:
    port = int(nats_server.url.rpartition(":")[2])
    async with refusing(port, times=runtime.REFUSALS_MAX) as (url, refused):
        with pytest.raises(runtime.NotAllowed, match=url):
            async with runtime.connected(url, "test"):
                pass
        assert len(refused) == runtime.REFUSALS_MAX


async def test_it_comes_back_after_the_server_was_killed(nats_server: NatsServer) -> None:
    async with runtime.connected(nats_server.url, "test") as bus:
        back = asyncio.Event()

        async def hear(_: object) -> None:
            back.set()

        await bus.subscribe("heard", cb=hear)
        await bus.flush()
        with capture_logs() as logged:
            await nats_server.kill()
            await nats_server.start()
            async with asyncio.timeout(10):
                # The library may hand over messages a moment before it tells that it is back.
                while not (back.is_set() and logged[-1]["event"] == "bus.reconnected"):
                    await bus.publish("heard")
                    await asyncio.sleep(0.01)
        assert "bus.disconnected" in {line["event"] for line in logged}


async def test_what_was_published_last_is_sent_before_it_leaves(nats_url: str) -> None:
    async with runtime.connected(nats_url, "listener") as listener:
        heard = await listener.subscribe("last.words")
        await listener.flush()
        async with runtime.connected(nats_url, "speaker") as bus:
            await bus.publish("last.words", b"done")
        assert (await heard.next_msg(timeout=5)).data == b"done"


async def test_what_was_received_is_dealt_with_before_it_leaves(nats_url: str) -> None:
    dealt_with = []

    async def deal(message: Msg) -> None:
        await asyncio.sleep(0)
        dealt_with.append(message.data)

    async with runtime.connected(nats_url, "test") as bus:
        await bus.subscribe("received", cb=deal)
        for number in range(100):
            await bus.publish("received", b"%d" % number)
        await bus.flush()
    assert dealt_with == [b"%d" % number for number in range(100)]


@pytest.mark.parametrize("unsent", [b"", b"never to be sent"])
async def test_it_leaves_at_once_and_well_when_the_server_is_gone(
    nats_server: NatsServer, unsent: bytes
) -> None:
    async with runtime.connected(nats_server.url, "test") as bus:
        await nats_server.kill()
        async with asyncio.timeout(5):
            while bus.is_connected:
                await asyncio.sleep(0.001)
        if unsent:
            await bus.publish("nobody", unsent)
        started = time.monotonic()
    assert time.monotonic() - started < runtime.CLOSE_SECONDS_MAX + 1


@pytest.mark.parametrize("is_ours", [False, True])
async def test_a_cancellation_ends_who_leaves_only_where_it_is_meant(
    is_ours: bool, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library shares what it waits for with tasks of its own: one that is cancelled takes it along."""
    closing, shared = asyncio.Event(), asyncio.get_running_loop().create_future()
    close = Bus.close

    async def waiting(bus: Bus) -> None:
        await close(bus)
        closing.set()
        await shared

    async def connect_and_leave() -> str:
        async with runtime.connected(nats_url, "leaving"):
            pass
        return "left"

    monkeypatch.setattr(Bus, "close", waiting)
    leaving = asyncio.create_task(connect_and_leave())
    await closing.wait()
    if is_ours:
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
    else:
        shared.cancel()
        assert await leaving == "left"


async def test_credentials_withdrawn_end_the_block_with_a_sentence(nats_server: NatsServer) -> None:
    with pytest.raises(runtime.BusClosed, match="closed the connection for good"):
        async with runtime.connected(nats_server.url, "test"):
            config = nats_server.folder / "nats-server.conf"
            config.write_text(config.read_text() + 'authorization { user: "u", password: "p" }\n')
            kill(nats_server.pid, signal.SIGHUP)
            await asyncio.Event().wait()


async def test_what_is_tapped_comes_as_it_was_sent_and_past_a_restart_of_the_server(
    nats_server: NatsServer,
) -> None:
    async with runtime.connected(nats_server.url, "test") as bus:
        taken = list[tuple[bytes, ...]]()

        def take(*message: bytes) -> bool:
            taken.append(message)
            return True

        beside = await bus.subscribe("beside")
        async with bus.tapped("tapped", take):
            await bus.publish("tapped", b"one", reply="back", headers={"Key": "value"})
            await bus.publish("beside", b"as ever", headers={"Key": "value"})
            await there_and_back(bus)
            assert taken == [(b"tapped", b"back", b"one", b"NATS/1.0\r\nKey: value\r\n\r\n")]
            assert (await beside.next_msg(timeout=5)).headers == {"Key": "value"}
            await nats_server.kill()
            await nats_server.start()
            async with asyncio.timeout(10):
                while len(taken) == 1:
                    await bus.publish("tapped", b"two")
                    await asyncio.sleep(0.01)
            assert taken[1] == (b"tapped", b"", b"two", b"")
        many = len(taken)
        await bus.publish("tapped", b"three")
        await there_and_back(bus)
        assert len(taken) == many


async def test_what_is_posted_arrives_in_order_with_what_is_published(nats_server: NatsServer) -> None:
    async with runtime.connected(nats_server.url, "test") as bus:
        heard = await bus.subscribe("heard")
        assert bus.post([framed(b"heard", b"one")])
        await bus.publish("heard", b"two")
        assert bus.post([framed(b"heard", b""), framed(b"heard", b"three")])
        assert [(await heard.next_msg(timeout=5)).data for _ in range(4)] == [b"one", b"two", b"", b"three"]
        assert bus.stats["out_msgs"] >= 4


@pytest.mark.parametrize("reply", ["", "answers.1"])
@pytest.mark.parametrize(
    "headers", [None, {}, {"Registre-Origin": "registre.démo", "Nats-Batch-Sequence": "1"}]
)
async def test_what_is_posted_is_what_the_library_would_have_published(
    nats_server: NatsServer, reply: str, headers: dict[str, str] | None
) -> None:
    async with runtime.connected(nats_server.url, "test") as bus:
        heard = await bus.subscribe("heard")
        await bus.publish("heard", b"body", reply=reply, headers=headers)
        assert bus.post([framed(b"heard", b"body", reply=reply.encode(), headers=headers)])
        published, posted = [await heard.next_msg(timeout=5) for _ in range(2)]
        assert (posted.data, posted.reply) == (published.data, published.reply)
        assert (posted.headers or {}) == (published.headers or {})


async def test_what_has_to_wait_or_cannot_be_sent_is_not_posted(nats_server: NatsServer) -> None:
    async with runtime.connected(nats_server.url, "test") as bus:
        assert not bus.post([framed(b"heard", b"x"), framed(b"heard", b"x" * (bus.max_payload + 1))])
        waiting = 0
        while bus.post([framed(b"heard", b"x" * 1_000_000)]):
            waiting += 1
            assert waiting < 10, "the library holds at most two megabytes ahead"
        await bus.flush()
        assert bus.post([framed(b"heard", b"x")])
        await nats_server.kill()
        async with asyncio.timeout(10):
            while bus.is_connected:
                await asyncio.sleep(0.01)
        assert not bus.post([framed(b"heard", b"x")])
        await nats_server.start()


@given(st.data())
def test_what_is_tapped_and_what_is_not_come_as_the_library_reads_them_however_it_is_cut(
    data: st.DataObject,
) -> None:
    """The oracle is the library's own parser, given the same bytes whole."""
    frames = data.draw(st.lists(FRAMES, max_size=12))
    sent = b"".join(frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=8)))
    pieces = [sent[start:end] for start, end in itertools.pairwise([0, *cuts, len(sent)])]
    alone, tapping = Heard(), Heard()
    asyncio.run(Parser(alone).parse(sent))
    parser = runtime._Frames(tapping, {b"7": tapping.take})  # type: ignore[arg-type]
    for piece in pieces:
        asyncio.run(parser.parse(piece))
    assert tapping.messages == alone.messages
    assert tapping.taken == [message for message in alone.messages if message[0] == 7]
    assert tapping.pings == alone.pings
    assert not parser.buf


class Heard:
    """What a parser tells its client: every message, which of them were taken, and the PINGs."""

    def __init__(self) -> None:
        self.messages = list[tuple[Any, ...]]()
        self.taken = list[tuple[Any, ...]]()
        self.pings = 0

    def take(self, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> bool:
        message = (7, subject, reply, data, headers)
        self.messages.append(message)
        self.taken.append(message)
        return True

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None
    ) -> None:
        self.messages.append((sid, subject, reply, data, headers or b""))

    async def _process_ping(self) -> None:
        self.pings += 1


def _frame(subscription: int, reply: str, headers: str, body: bytes) -> bytes:
    head = f"NATS/1.0\r\n{headers}\r\n".encode() if headers else b""
    sizes = f"{len(head)} {len(head) + len(body)}" if head else str(len(body))
    line = f"{'H' if head else ''}MSG a.subject {subscription} {reply and reply + ' '}{sizes}\r\n"
    return line.encode() + head + body + b"\r\n"


FRAMES = st.one_of(
    st.builds(
        _frame,
        st.sampled_from([7, 8, 77]),
        st.sampled_from(["", "a.reply"]),
        st.sampled_from(["", "Key: value\r\n"]),
        st.binary(max_size=40) | st.sampled_from([b"\r\n", b"MSG a.subject 7 2\r\n", b"PING\r\n"]),
    ),
    st.sampled_from([b"PING\r\n", b"+OK\r\n"]),
)


async def test_a_line_of_no_protocol_is_an_error_of_the_protocol() -> None:
    for line in (b"MSG 5\r\n", b"MSG a 7 x\r\n", b"HELLO\r\n"):
        with pytest.raises(ProtocolError):
            await runtime._Frames(Heard(), {}).parse(line)  # type: ignore[arg-type]


async def there_and_back(bus: Bus) -> None:
    """All that was sent has been to the server and back; the library's PING overtakes what is pending."""
    await bus.flush()
    await bus.flush()


# -- questions and answers -----------------------------------------------------


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    async with runtime.connected(nats_url, "test") as client:
        yield client


def answering(
    bus: Bus, *endpoints: Endpoint, fatal: Mapping[type[Exception], str] | None = None
) -> AbstractAsyncContextManager[None]:
    return runtime.answering(
        bus, name="tested", description="Answers tests.", endpoints=endpoints, fatal=fatal
    )


def endpoint(handler: runtime.Handler, *, name: str = "echo", at_once_max: int = 256) -> Endpoint:
    return Endpoint(name=name, subject=f"query.{name}", handler=handler, at_once_max=at_once_max)


async def echo(asked: Asked) -> bytes:
    return asked.body


class StoreStopped(Exception):
    pass


async def test_a_question_gets_its_answer(bus: Bus) -> None:
    async with answering(bus, endpoint(echo)):
        assert await runtime.ask(bus, "query.echo", b'{"a":1}') == b'{"a":1}'


async def test_a_service_is_found_and_described_by_the_protocol_of_nats(bus: Bus) -> None:
    async with answering(bus, endpoint(echo)):
        ping = json.loads((await bus.request("$SRV.PING.tested")).data)
        info = json.loads((await bus.request("$SRV.INFO.tested")).data)
    assert ping["name"] == "tested"
    assert info["description"] == "Answers tests."
    assert [(each["name"], each["subject"]) for each in info["endpoints"]] == [("echo", "query.echo")]


async def test_a_service_is_gone_after_its_block(bus: Bus) -> None:
    async with answering(bus, endpoint(echo)):
        await runtime.answers(bus, "tested")
    with pytest.raises(runtime.NobodyAnswers, match=r"query\.echo, so nothing was done"):
        await runtime.ask(bus, "query.echo")
    with pytest.raises(runtime.NobodyAnswers):
        await runtime.answers(bus, "tested", seconds_max=0.05)


async def test_a_refusal_arrives_whole_with_code_sentence_and_fields(bus: Bus) -> None:
    refusal = Refusal(
        "unknown-party", "« x » n'est pas partie:\nvoir §2", (FieldAtFault("$.party", "inconnue"),)
    )

    async def refuse(_: Asked) -> Refusal:
        return refusal

    async with answering(bus, endpoint(refuse)):
        assert await runtime.ask(bus, "query.echo") == refusal
        raw = await bus.request("query.echo")
    assert msgspec.json.decode(raw.data, type=Refusal) == refusal
    assert raw.headers is not None
    assert raw.headers["Nats-Service-Error-Code"] == "400"


async def test_a_bug_in_a_handler_is_ours_alone_and_the_service_goes_on(bus: Bus) -> None:
    async def fail(asked: Asked) -> bytes:
        if asked.body == b"bad":
            raise KeyError("secret detail")
        return b"fine"

    async with answering(bus, endpoint(fail)):
        with capture_logs() as logged:
            raw = await bus.request("query.echo", b"bad")
        assert await runtime.ask(bus, "query.echo", b"good") == b"fine"
    assert msgspec.json.decode(raw.data, type=Refusal).code == "internal"
    assert b"secret" not in raw.data
    assert "secret" not in str(raw.headers)
    assert "KeyError" not in str(raw.headers)
    assert [(line["event"], repr(line["exc_info"])) for line in logged] == [
        ("answer.failed", "KeyError('secret detail')")
    ]


async def test_a_failed_assertion_is_answered_and_ends_the_service(bus: Bus) -> None:
    async def fail(_: Asked) -> bytes:
        raise AssertionError("digests differ")

    with pytest.raises(AssertionError, match="digests differ"):
        async with answering(bus, endpoint(fail)):
            asking = asyncio.create_task(runtime.ask(bus, "query.echo"))
            await asyncio.Event().wait()
    answer = await asking
    assert isinstance(answer, Refusal)
    assert (answer.code, "digests" in answer.message) == ("internal", False)


async def test_a_fatal_error_is_answered_with_its_own_sentence_and_ends_the_service(bus: Bus) -> None:
    async def fail(_: Asked) -> bytes:
        raise StoreStopped("the disk is full: nothing was written")

    with pytest.raises(StoreStopped):
        async with answering(bus, endpoint(fail), fatal={StoreStopped: "store-stopped"}):
            asking = asyncio.create_task(runtime.ask(bus, "query.echo"))
            await asyncio.Event().wait()
    assert await asking == Refusal("store-stopped", "the disk is full: nothing was written")


async def test_an_error_of_the_block_itself_is_raised_as_it_is(bus: Bus) -> None:
    with pytest.raises(StoreStopped):
        async with answering(bus, endpoint(echo)):
            raise StoreStopped


class Beginning:
    """Begins what says so in its body: "raises", "again", or anything else that is its own answer."""

    def __init__(self) -> None:
        self.waits_for = asyncio.get_running_loop().create_future()
        self.begun = 0

    def begin(self, batch: Sequence[Asked]) -> list[Begun | None]:
        return [self._begun(asked) for asked in batch]

    def _begun(self, asked: Asked) -> Begun | None:
        if asked.body.startswith(b"handler"):
            return None
        if asked.body == b"begins badly":
            raise KeyError("secret detail")
        self.begun += 1
        return Begun(self.waits_for, lambda: self._conclude(asked.body))

    def _conclude(self, body: bytes) -> bytes | Refusal | None:
        match body:
            case b"raises":
                raise KeyError("secret detail")
            case b"breaks":
                raise AssertionError("digests differ")
            case b"again":
                return None
            case b"refused":
                return Refusal("no", "no")
            case _:
                return b"begun " + body

    def endpoint(self) -> Endpoint:
        async def handler(asked: Asked) -> bytes:
            return b"handler " + asked.body

        return Endpoint(name="echo", subject="query.echo", handler=handler, begin=self.begin)


async def test_what_is_begun_is_answered_without_the_handler_once_it_is_done(bus: Bus) -> None:
    beginning = Beginning()
    async with answering(bus, beginning.endpoint()), asyncio.timeout(5):
        asking = [asyncio.create_task(runtime.ask(bus, "query.echo", body)) for body in (b"a", b"refused")]
        assert await runtime.ask(bus, "query.echo", b"handler's") == b"handler handler's"
        assert beginning.begun == 2
        assert not any(each.done() for each in asking)
        beginning.waits_for.set_result(None)
        assert await asyncio.gather(*asking) == [b"begun a", Refusal("no", "no")]
        assert await runtime.ask(bus, "query.echo", b"again") == b"handler again"
        [endpoint] = json.loads((await bus.request("$SRV.STATS.tested")).data)["endpoints"]
    assert (endpoint["num_requests"], endpoint["num_errors"], endpoint["last_error"]) == (4, 1, "no")
    assert endpoint["data"] == {"in_hand": 0}


async def test_of_what_was_begun_together_each_is_answered_once_and_none_before_it_is_done(bus: Bus) -> None:
    loop = asyncio.get_running_loop()
    waits = {body: loop.create_future() for body in (b"a", b"b", b"c")}
    begun: list[bytes] = []

    def begin(batch: Sequence[Asked]) -> list[Begun | None]:
        begun.extend(asked.body for asked in batch)
        return [Begun(waits[asked.body], functools.partial(bytes.upper, asked.body)) for asked in batch]

    async def never(asked: Asked) -> bytes:
        raise AssertionError(asked.body)

    endpoint = Endpoint(name="echo", subject="query.echo", handler=never, begin=begin)
    async with answering(bus, endpoint), asyncio.timeout(5):
        asking = {body: asyncio.create_task(runtime.ask(bus, "query.echo", body)) for body in waits}
        while len(begun) < len(waits):
            await asyncio.sleep(0)
        assert begun == [b"a", b"b", b"c"]
        waits[b"a"].set_result(None)
        waits[b"c"].set_result(None)
        assert [await asking[b"c"], await asking[b"a"]] == [b"C", b"A"]
        assert not asking[b"b"].done()
        waits[b"b"].set_result(None)
        assert await asking[b"b"] == b"B"


async def test_answers_that_are_too_much_together_are_sent_one_by_one(bus: Bus) -> None:
    done = asyncio.get_running_loop().create_future()
    batches: list[int] = []
    bodies = [b"%c" % letter for letter in b"abcdefghijkl"]

    def begin(batch: Sequence[Asked]) -> list[Begun | None]:
        batches.append(len(batch))
        return [Begun(done, functools.partial(bytes.__mul__, asked.body, 400_000)) for asked in batch]

    endpoint = Endpoint(name="echo", subject="query.echo", handler=echo, begin=begin)
    async with answering(bus, endpoint), asyncio.timeout(5):
        asking = [asyncio.create_task(runtime.ask(bus, "query.echo", body)) for body in bodies]
        while sum(batches) < len(bodies):
            await asyncio.sleep(0)
        assert max(batches) * 400_000 > bus.max_payload, "the server hands them over together, but for a few"
        done.set_result(None)
        assert await asyncio.gather(*asking) == [body * 400_000 for body in bodies]


async def test_what_was_begun_is_answered_before_the_service_ends(bus: Bus) -> None:
    beginning = Beginning()
    async with asyncio.timeout(5):
        async with answering(bus, beginning.endpoint()):
            asking = asyncio.create_task(runtime.ask(bus, "query.echo", b"a"))
            await runtime.ask(bus, "query.echo", b"handler's")
            asyncio.get_running_loop().call_later(0.05, beginning.waits_for.set_result, None)
        assert beginning.waits_for.done()
        assert await asking == b"begun a"


async def test_a_bug_in_what_was_begun_is_ours_alone_and_a_failed_assertion_ends_the_service(
    bus: Bus,
) -> None:
    beginning = Beginning()
    beginning.waits_for.set_result(None)
    with pytest.raises(AssertionError, match="digests differ"):
        async with answering(bus, beginning.endpoint()), asyncio.timeout(5):
            refused = await runtime.ask(bus, "query.echo", b"raises")
            assert isinstance(refused, Refusal)
            assert (refused.code, "secret" in refused.message) == ("internal", False)
            assert await runtime.ask(bus, "query.echo", b"a") == b"begun a"
            assert await runtime.ask(bus, "query.echo", b"begins badly") == b"handler begins badly"
            with_headers = await bus.request("query.echo", b"a", headers={"Key": "value"})
            assert with_headers.data == b"handler a"
            await runtime.ask(bus, "query.echo", b"breaks")
            await asyncio.Event().wait()


async def test_requests_are_answered_side_by_side(bus: Bus) -> None:
    second_came = asyncio.Event()

    async def first_waits_for_second(asked: Asked) -> bytes:
        if asked.body == b"first":
            await second_came.wait()
        second_came.set()
        return asked.body

    async with answering(bus, endpoint(first_waits_for_second)), asyncio.timeout(5):
        first = asyncio.create_task(runtime.ask(bus, "query.echo", b"first"))
        assert await runtime.ask(bus, "query.echo", b"second") == b"second"
        assert await first == b"first"


async def test_no_more_requests_are_in_hand_than_the_endpoint_allows(bus: Bus) -> None:
    in_hand, most = 0, 0
    full = asyncio.Event()
    go_on = asyncio.Event()

    async def count(asked: Asked) -> bytes:
        nonlocal in_hand, most
        in_hand += 1
        most = max(most, in_hand)
        if in_hand == 3:
            full.set()
        await go_on.wait()
        in_hand -= 1
        return asked.body

    async with answering(bus, endpoint(count, at_once_max=3)), asyncio.timeout(5):
        asking = [asyncio.create_task(runtime.ask(bus, "query.echo", b"%d" % n)) for n in range(12)]
        await full.wait()
        await bus.flush()  # all twelve are with the client of the service now
        go_on.set()
        assert await asyncio.gather(*asking) == [b"%d" % n for n in range(12)]
    assert most == 3


async def test_requests_in_hand_are_answered_before_the_block_ends(bus: Bus) -> None:
    taken = asyncio.Event()
    go_on = asyncio.Event()

    async def slow(_: Asked) -> bytes:
        taken.set()
        await go_on.wait()
        return b"answered"

    async with answering(bus, endpoint(slow)):
        asking = asyncio.create_task(runtime.ask(bus, "query.echo"))
        await taken.wait()
        asyncio.get_running_loop().call_soon(go_on.set)
    assert await asking == b"answered"


async def test_stats_count_what_was_answered_and_how_long_it_took(bus: Bus) -> None:
    taken = asyncio.Event()
    go_on = asyncio.Event()

    async def answer(asked: Asked) -> bytes | Refusal:
        taken.set()
        await go_on.wait()
        return Refusal("refused", "no") if asked.body == b"bad" else b"ok"

    async with answering(bus, endpoint(answer)):
        asking = [asyncio.create_task(runtime.ask(bus, "query.echo", body)) for body in (b"bad", b"good")]
        await taken.wait()
        started_ns = time.perf_counter_ns()
        [while_working] = json.loads((await bus.request("$SRV.STATS.tested")).data)["endpoints"]
        worked_ns = time.perf_counter_ns() - started_ns
        go_on.set()
        await asyncio.gather(*asking)
        [at_rest] = json.loads((await bus.request("$SRV.STATS.tested")).data)["endpoints"]
    assert while_working["data"] == {"in_hand": 2}
    assert at_rest["data"] == {"in_hand": 0}
    assert (at_rest["num_requests"], at_rest["num_errors"], at_rest["last_error"]) == (2, 1, "refused")
    assert at_rest["average_processing_time"] >= worked_ns


async def test_an_answer_too_large_for_a_message_is_a_refusal(bus: Bus) -> None:
    async def too_much(_: Asked) -> bytes:
        return bytes(embedded_nats.PAYLOAD_BYTES_MAX + 1)

    async with answering(bus, endpoint(too_much)):
        answer = await runtime.ask(bus, "query.echo")
    assert isinstance(answer, Refusal)
    assert answer.code == "answer-too-large"


async def test_a_request_nobody_waits_for_is_carried_out_all_the_same(bus: Bus) -> None:
    done = asyncio.Event()

    async def note(_: Asked) -> bytes:
        done.set()
        return b""

    async with answering(bus, endpoint(note)), asyncio.timeout(5):
        await bus.publish("query.echo", b"x")
        await done.wait()


async def test_a_request_of_two_mebibytes_is_not_sent(bus: Bus) -> None:
    with pytest.raises(runtime.RequestTooLarge, match="2097152 bytes, the server carries at most 1048576"):
        await runtime.ask(bus, "query.echo", bytes(2 * 1_048_576))


async def test_where_no_answer_comes_the_outcome_is_said_to_be_unknown(bus: Bus) -> None:
    async def keep_silent(_: object) -> None:
        pass

    await bus.subscribe("query.silence", cb=keep_silent)
    with pytest.raises(runtime.NoAnswerInTime, match="outcome is unknown; ask again with the same id"):
        await runtime.ask(bus, "query.silence", seconds_max=0.05)
