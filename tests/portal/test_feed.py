"""The feed over HTTP, by a real server and real clients: what FEED has, each entry once, whatever happens."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from nats.aio.client import Client

from services import embedded_nats, runtime
from services.portal import feed, feed_reading
from services.portal.feed_reading import NotYetGiven, Place
from tests.feeder.feeds import assert_fed, feeding, read, varied
from tests.portal.feed_clients import ENDS_SECONDS_MAX, Events, Got, Portal, of_feed, page, served, streamed
from tests.projector import ledgers
from tests.projector.ledgers import PARTIES

pytestmark = pytest.mark.asyncio(loop_scope="module")

COMMANDS_FED = 200


class World:
    """A server with a LEDGER and the FEED that a feeder makes of it."""

    def __init__(self, url: str, bus: Client, portal: Portal) -> None:
        self.url, self.bus, self.portal = url, bus, portal
        self.numbers: dict[str, int] = {}

    async def publish(self, institution: str, *, number: int | None = None, size_bytes: int = 0) -> bytes:
        """One entry more, as a feeder puts it."""
        told = self.numbers[institution] = number or self.numbers.get(institution, 0) + 1
        body = b'{"text":"%b","type":"t.v1"}' % (b"%d" % told).ljust(size_bytes, b"x")
        await self.bus.jetstream().publish(
            f"feed.{institution}.convention",
            body,
            headers={"Registre-Position": str(1_000_000 + told), "Registre-Number": str(told)},
        )
        return body


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder: Path = tmp_path_factory.mktemp("nats")
    async with embedded_nats.running(folder, port=0) as server:
        bus = await ledgers.connect(server.url)
        ledger = varied(COMMANDS_FED)
        await ledgers.create(bus)
        await ledgers.publish(bus, ledger)
        async with feeding(server.url):
            await assert_fed(bus, ledger)
        async with served(server.url) as portal:
            yield World(server.url, bus, portal)
        await bus.close()


# What is read


async def test_page_after_page_is_the_feed_entry_for_entry_in_the_events_own_bytes(world: World) -> None:
    fed, chance = await read(world.bus), random.Random(1)
    for institution in PARTIES:
        expected = of_feed(fed, institution)
        got: list[Got] = []
        async with world.portal.client(institution) as client:
            while True:
                some, told = await page(
                    client, after=len(got), events_max=chance.randint(1, 100), wait_seconds=0
                )
                assert told.institution == institution
                if not some:
                    break
                got += some
                assert (told.last, told.remaining) == (len(got), len(expected) - len(got))
        assert got == expected
        assert len(got) > 100


async def test_any_number_is_found_in_few_questions_and_a_page_holds_few_bytes(world: World) -> None:
    fed = await read(world.bus)
    expected = of_feed(fed, "ccas-b")
    async with runtime.connected(world.url, "other") as bus, feed_reading.following(bus) as fresh:
        for number in range(1, len(expected) + 1):
            before = next(fresh._tokens)
            place = await fresh.place("ccas-b", number)
            assert next(fresh._tokens) - before <= 2 + len(fed).bit_length()
            entry = fed[place.sequence - 1]
            assert entry.subject.startswith("feed.ccas-b.")
            assert entry.headers["Registre-Number"] == str(place.number) == str(number)
        some = await fresh.page("ccas-b", Place(), 500)
        before = next(fresh._tokens)
        await fresh.place("ccas-b", some.place.number)
        assert next(fresh._tokens) - before == 2, "where one has just read is not looked for"
        assert sum(len(entry.body) for entry in some.entries) <= feed_reading.PAGE_BYTES_MAX
        with pytest.raises(NotYetGiven):
            await fresh.place("ccas-b", len(expected) + 1)


async def test_a_question_waits_for_what_comes_and_no_longer_than_it_says(world: World) -> None:
    async with world.portal.client("new-one") as client:
        nothing, told = await page(client, after=0, wait_seconds=0.05)
        assert (nothing, told.last, told.remaining) == ([], 0, 0)
        waiting = asyncio.create_task(page(client, after=0))
        while not world.portal.feeds._listeners.get("new-one"):
            await asyncio.sleep(0.005)
        await world.publish("someone-else")
        body = await world.publish("new-one")
        some, _ = await asyncio.wait_for(waiting, 5)
        assert [(it.number, it.body) for it in some] == [(1, body)]


async def test_what_comes_while_the_past_is_read_comes_after_it_once(world: World) -> None:
    before = [await world.publish("border", size_bytes=2_000) for _ in range(150)]
    events = Events()
    async with world.portal.client("border") as client:
        reading = asyncio.create_task(streamed(client, events, 300))
        after = [await world.publish("border", size_bytes=2_000) for _ in range(150)]
        await asyncio.wait_for(reading, ENDS_SECONDS_MAX)
    assert [it.body for it in events.got] == before + after
    assert [it.number for it in events.got] == list(range(1, 301))


async def test_a_stream_begins_after_the_number_asked_for_and_last_event_id_wins(world: World) -> None:
    for _ in range(5):
        await world.publish("anywhere")
    for params, last_id, first in (({"after": 3}, "", 4), ({"after": 1}, "4", 5), ({}, "", 1)):
        events = Events()
        events.last_id = last_id
        async with world.portal.client("anywhere") as client:
            await streamed(client, events, 6 - first, **params)
        assert [it.number for it in events.got] == list(range(first, 6))


# What is refused, and what is bounded


@pytest.mark.parametrize("path", ["", "/stream"])
async def test_a_number_to_come_is_told_with_the_last_there_is(world: World, path: str) -> None:
    last = await read(world.bus)
    end = of_feed(last, "mjc-d")[-1].number
    async with world.portal.client("mjc-d") as client:
        for institution, number, known in (("mjc-d", end + 1, end), ("nobody", 7, 0), ("mjc-d", 2**53, end)):
            answer = await client.get(path, params={"after": number}, headers={"X-Institution": institution})
            assert answer.status_code == 409
            assert f"n° {known} " in answer.json()["detail"]
            assert answer.json()["extra"] == {"last": known}
        answer = await client.get(path, headers={"Last-Event-ID": "-1"}, params={"after": -1})
        assert answer.status_code == 400


@pytest.mark.parametrize("header", ["X-Mandate", "X-Powerless"])
async def test_a_mandate_and_whoever_may_not_read_get_no_feed(world: World, header: str) -> None:
    async with world.portal.client("ville-a", **{header: "yes"}) as client:
        for path in ("", "/stream"):
            assert (await client.get(path, params={"wait_seconds": 0})).status_code == 403


async def test_open_streams_are_bounded_for_each_institution_and_in_all(world: World) -> None:
    async with (
        served(world.url, of_institution_max=2, all_max=3) as portal,
        contextlib.AsyncExitStack() as open_,
    ):

        async def opened(institution: str) -> httpx.Response:
            client = await open_.enter_async_context(portal.client(institution))
            answer = await open_.enter_async_context(client.stream("GET", "/stream"))
            if answer.status_code != 200:
                await answer.aread()
            return answer

        assert [(await opened(name)).status_code for name in ("ville-a", "ville-a", "caf-c")] == [200] * 3
        of_one, of_all = await opened("ville-a"), await opened("mjc-d")
        assert (of_one.status_code, of_all.status_code) == (429, 503)
        assert of_one.headers["retry-after"] == of_all.headers["retry-after"] == "2"
        async with portal.client("ville-a") as client:
            assert (await client.get("", params={"wait_seconds": 0})).status_code == 429
        await open_.aclose()
        async with asyncio.timeout(5):
            while (await opened("ville-a")).status_code != 200:
                await asyncio.sleep(0.02)


async def test_a_client_that_takes_nothing_is_cut_off_and_goes_on_from_its_number(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "SEND_SECONDS_MAX", 0.2)
    sent = [await world.publish("slow-one", size_bytes=50_000) for _ in range(200)]
    events = Events()
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        slow.connect(("127.0.0.1", int(world.portal.url.rpartition(":")[2])))
        slow.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(
            slow, b"GET /api/v1/feed/stream HTTP/1.1\r\nHost: x\r\nX-Institution: slow-one\r\n\r\n"
        )
        async with asyncio.timeout(ENDS_SECONDS_MAX):
            while not world.portal.feeds._listeners.get("slow-one"):
                await asyncio.sleep(0.01)
            while world.portal.feeds._listeners.get("slow-one"):
                await asyncio.sleep(0.01)
            answer = b""
            while more := await loop.sock_recv(slow, 1 << 20):
                answer += more
    assert 0 < len(answer) < sum(map(len, sent)) / 2, "it was to be cut off long before the end"
    _, _, chunked = answer.partition(b"\r\n\r\n")
    events.feed(unchunked(chunked))
    assert 0 < len(events.got) < 100
    events._rest = b""
    async with world.portal.client("slow-one") as client:
        await streamed(client, events, len(sent))
    assert [it.body for it in events.got] == sent


def unchunked(body: bytes) -> bytes:
    """The content of a chunked body that was cut anywhere."""
    content = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        content += body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]
    return content


async def test_a_quiet_stream_shows_that_it_lives_and_ends_after_its_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "HEARTBEAT_SECONDS", 0.02)
    monkeypatch.setattr(feed, "STREAM_SECONDS_MAX", 0.3)
    events = Events()
    async with world.portal.client("quiet") as client, client.stream("GET", "/stream") as answer:
        async for chunk in answer.aiter_raw():
            events.feed(chunk)
    assert events.got == []
    assert 2 <= events.comments <= 15
    assert not world.portal.feeds._listeners.get("quiet")


async def test_a_stream_ends_before_the_next_event_once_its_reader_is_let_in_no_more(world: World) -> None:
    await world.publish("leaving")
    events = Events()
    async with world.portal.client("leaving") as client, client.stream("GET", "/stream") as answer:
        async for chunk in answer.aiter_raw():
            events.feed(chunk)
            if events.got and "leaving" not in world.portal.withdrawn:
                world.portal.withdrawn.add("leaving")
                await world.publish("leaving")
    assert [it.number for it in events.got] == [1]
    world.portal.withdrawn.discard("leaving")
    async with world.portal.client("leaving") as client:
        await streamed(client, events, 2)
    assert [it.number for it in events.got] == [1, 2]


async def test_a_quiet_stream_ends_once_its_reader_is_let_in_no_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "HEARTBEAT_SECONDS", 0.02)
    events = Events()
    async with world.portal.client("idle") as client, client.stream("GET", "/stream") as answer:
        async with asyncio.timeout(ENDS_SECONDS_MAX):
            async for chunk in answer.aiter_raw():
                events.feed(chunk)
                if events.comments == 2:
                    world.portal.withdrawn.add("idle")
    assert events.comments == 2


@pytest.mark.parametrize("has_event", [True, False])
async def test_who_waits_and_is_let_in_no_more_gets_nothing(world: World, has_event: bool) -> None:
    name = f"waits-{has_event}".lower()
    async with world.portal.client(name) as client:
        waiting = asyncio.create_task(client.get("", params={"wait_seconds": 30 if has_event else 0.3}))
        async with asyncio.timeout(5):
            while not world.portal.feeds._listeners.get(name):
                await asyncio.sleep(0.005)
        world.portal.withdrawn.add(name)
        if has_event:
            await world.publish(name)
        answer = await waiting
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert "pris fin" in answer.json()["detail"]


async def test_who_hears_of_something_while_it_reads_reads_on_at_once() -> None:
    listener = feed_reading.Listener()
    listener.caught_up()
    listener.wake(5)
    waiting = asyncio.create_task(listener.wait(30, after=3))
    await asyncio.sleep(0)
    assert waiting.done()


async def test_who_has_all_it_heard_of_waits_and_who_may_have_missed_something_does_not() -> None:
    listener = feed_reading.Listener()
    listener.caught_up()
    listener.wake(5)
    assert listener.knows_of_more(after=3)
    assert not listener.knows_of_more(after=5)
    waiting = asyncio.create_task(listener.wait(30, after=5))
    await asyncio.sleep(0)
    assert not waiting.done()
    listener.wake(0)
    assert listener.knows_of_more(after=5)
    await asyncio.wait_for(waiting, 5)
    listener.caught_up()
    assert not listener.knows_of_more(after=5)


async def test_what_comes_for_who_waits_is_not_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages: list[int] = []
    read = world.portal.feeds.page

    async def counted(institution: str, place: feed_reading.Place, entries_max: int) -> feed_reading.Page:
        page = await read(institution, place, entries_max)
        pages.append(len(page.entries))
        return page

    monkeypatch.setattr(world.portal.feeds, "page", counted)
    events = Events()
    async with world.portal.client("asks") as client, client.stream("GET", "/stream") as answer:
        async for chunk in answer.aiter_raw():
            events.feed(chunk)
            if len(events.got) == 3:
                break
            async with asyncio.timeout(5):
                while not pages:  # what was there before was read
                    await asyncio.sleep(0.005)
            await world.publish("asks")
    assert pages == [0]
    assert [each.number for each in events.got] == [1, 2, 3]


def came(listener: feed_reading.Listener, number: int, *, body_bytes: int = 0) -> None:
    headers = f"NATS/1.0\r\nRegistre-Number: {number}\r\nRegistre-Position: {100 + number}\r\n\r\n"
    body = b'{"type":"t.v1","text":"%b"}' % (b"x" * body_bytes)
    listener.wake(10 * number, headers.encode(), body)


def numbers(page: feed_reading.Page | None) -> list[int] | None:
    return None if page is None else [entry.number for entry in page.entries]


async def test_what_came_is_given_from_where_the_reader_stands_and_no_further_than_it_goes_on() -> None:
    listener = feed_reading.Listener()
    assert listener.page(feed_reading.Place(), 10) is None
    for number in (1, 2, 3, 4):
        came(listener, number)
    page = listener.page(feed_reading.Place(2, 20), 1)
    assert page == feed_reading.Page(
        (feed_reading.Entry(3, 103, "t.v1", b'{"type":"t.v1","text":""}', None),),
        feed_reading.Place(3, 30),
        1,
    )
    came(listener, 6)
    assert numbers(listener.page(feed_reading.Place(3, 30), 10)) == [4]
    assert listener.page(feed_reading.Place(4, 40), 10) is None, "5 never came"
    came(listener, 7)
    assert listener.page(feed_reading.Place(4, 40), 10) is None
    assert listener.page(feed_reading.Place(6, 60), 10) is None, "what does not go on is held no longer"


async def test_no_more_is_held_for_who_waits_than_a_page_and_nothing_once_something_may_be_missing() -> None:
    listener = feed_reading.Listener()
    came(listener, 1)
    came(listener, 2, body_bytes=feed_reading.PAGE_BYTES_MAX)
    assert listener.page(feed_reading.Place(), 10) is None
    came(listener, 1)
    listener.wake(0)
    assert listener.page(feed_reading.Place(), 10) is None
    came(listener, 1, body_bytes=feed_reading.PAGE_BYTES_MAX // 2)
    assert numbers(listener.page(feed_reading.Place(), 10)) == [1]
    came(listener, 2, body_bytes=feed_reading.PAGE_BYTES_MAX // 2 + 1_000)
    assert numbers(listener.page(feed_reading.Place(1, 10), 10)) == [2], "what was given is held no longer"


async def test_who_read_less_than_it_heard_of_reads_again_in_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server of several that answers may have less than the one that told."""
    monkeypatch.setattr(feed_reading, "LOOK_SECONDS", 0.01)
    listener = feed_reading.Listener()
    listener.wake(5)
    listener.caught_up()
    waiting = asyncio.create_task(listener.wait(30, after=3))
    await asyncio.sleep(0)
    assert not waiting.done()
    await asyncio.wait_for(waiting, 5)


async def test_a_client_that_goes_is_noticed_though_nothing_is_sent(world: World) -> None:
    async with world.portal.client("goes") as client, client.stream("GET", "/stream") as answer:
        assert answer.status_code == 200
        async with asyncio.timeout(5):
            while not world.portal.feeds._listeners.get("goes"):
                await asyncio.sleep(0.005)
    async with asyncio.timeout(5):
        while world.portal.feeds._listeners.get("goes"):
            await asyncio.sleep(0.005)


# Bad days


async def test_a_missing_number_is_not_passed_over(world: World) -> None:
    await world.publish("torn")
    await world.publish("torn")
    await world.publish("torn", number=4)
    async with world.portal.client("torn") as client:
        assert len((await page(client, after=0, events_max=2))[0]) == 2
        assert (await client.get("", params={"after": 2})).status_code == 500
        assert (await client.get("", params={"after": 3})).status_code == 500
        events = Events()
        with pytest.raises(AssertionError, match="it ended after 0 entries"):
            await streamed(client, events, 1, after=2)


async def test_a_consumer_that_the_server_lost_is_made_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_reading, "SILENCE_SECONDS_MAX", 0.3)
    async with world.portal.client("lost") as client:
        waiting = asyncio.create_task(page(client, after=0))
        while not world.portal.feeds._listeners.get("lost"):
            await asyncio.sleep(0.005)
        stream = world.bus.jetstream()
        for consumer in await stream.consumers_info("FEED"):
            await stream.delete_consumer("FEED", consumer.name)
        await world.publish("lost")
        some, _ = await asyncio.wait_for(waiting, 10)
        assert [it.number for it in some] == [1]
