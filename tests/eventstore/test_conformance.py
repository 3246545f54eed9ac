"""What every engine promises, asked of each in turn, against an oracle that shares no code with them."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from eventstore.store import (
    BODY_BYTES_MAX,
    EVENTS_PER_APPEND_MAX,
    BodyTooLarge,
    ClockJumped,
    ClockWentBack,
    CommandReused,
    EventStore,
    NoSuchPosition,
    Recorded,
    WrongVersion,
)
from tests.eventstore.conftest import ORIGIN, SetClock, body, command


def oracle_digests(bodies: list[bytes]) -> list[bytes]:
    """The running digests, written from the text of the contract."""
    digests = [sha256(b"registre-digest-v1\n" + ORIGIN.encode()).digest()]
    for each in bodies:
        state = sha256()
        state.update(digests[-1])
        state.update(each)
        digests.append(state.digest())
    return digests


async def whole_log(store: EventStore, events_max: int = 1_000) -> list[Recorded]:
    log: list[Recorded] = []
    while page := await store.read_all(after=len(log), events_max=events_max):
        log += page
    return log


async def test_an_empty_store_stands_at_zero_with_the_digest_of_its_origin(store: EventStore) -> None:
    head = await store.head()
    assert store.origin == ORIGIN
    assert (head.position, head.digest) == (0, oracle_digests([])[0])
    assert await store.digest_at(0) == head.digest
    assert await store.read_all(after=0) == []
    assert await store.read("convention/a") == []
    assert await store.version("convention/a") == 0
    assert await store.find("caf", bytes(16)) is None
    assert await store.position_at(datetime.max.replace(tzinfo=UTC)) == 0


async def test_an_append_answers_its_place_and_seals_know_it(store: EventStore, clock: SetClock) -> None:
    await store.append("convention/a", [body("one")], expected=0, command=command())
    clock.passes(1)
    appended = await store.append("convention/b", [body("two"), body("three")], expected=0, command=command())
    assert (appended.first_position, appended.last_position, appended.version) == (2, 3, 2)
    assert appended.recorded_at == clock.now
    assert not appended.repeated
    assert [each.body for each in await store.read("convention/b")] == [
        b"2 1 2026-03-01T12:00:01+00:00 two",
        b"3 2 2026-03-01T12:00:01+00:00 three",
    ]


async def test_positions_are_gapless_and_digests_are_those_of_the_oracle(store: EventStore) -> None:
    for turn in range(7):
        await store.append(
            f"convention/{turn % 2}",
            [body(f"{turn}.{each}") for each in range(3)],
            expected=turn // 2 * 3,
            command=command(),
        )
    log = await whole_log(store)
    digests = oracle_digests([each.body for each in log])
    assert [each.position for each in log] == list(range(1, 22))
    assert [each.digest for each in log] == digests[1:]
    assert [await store.digest_at(position) for position in range(22)] == digests
    assert (await store.head()).digest == digests[-1]
    assert [(each.ordinal, each.count) for each in log[:4]] == [(1, 3), (2, 3), (3, 3), (1, 3)]


async def test_any_bytes_come_back_as_they_were(store: EventStore) -> None:
    bodies = [b"", b"\x00", b"\xff\xfe\x00\n", bytes(range(256)) * 4, b"x" * BODY_BYTES_MAX]
    await store.append("octets", [lambda *_, b=each: b for each in bodies], expected=0, command=command())
    assert [each.body for each in await store.read("octets")] == bodies
    assert [each.body for each in await store.read_all(after=0)] == bodies


async def test_a_conflict_names_both_versions_and_adds_nothing(store: EventStore) -> None:
    await store.append("convention/a", [body("one")], expected=0, command=command())
    for expected in (0, 2):
        with pytest.raises(WrongVersion) as caught:
            await store.append("convention/a", [body("two")], expected=expected, command=command())
        assert (caught.value.expected, caught.value.actual) == (expected, 1)
        assert str(caught.value) == f"stream 'convention/a': expected version {expected}, found 1"
    assert (await store.head()).position == 1


async def test_the_same_command_twice_is_answered_as_the_first_time(
    store: EventStore, clock: SetClock
) -> None:
    asked = command()
    first = await store.append("convention/a", [body("one"), body("two")], expected=0, command=asked)
    clock.passes(60)
    await store.append("convention/a", [body("three")], expected=2, command=command())
    again = await store.append("convention/a", [body("other")], expected=0, command=asked)
    assert again.repeated
    assert (again.first_position, again.last_position, again.version, again.recorded_at) == (
        first.first_position,
        first.last_position,
        first.version,
        first.recorded_at,
    )
    assert (await store.head()).position == 3
    assert await store.find(asked.owner, asked.command_id) == (again, asked.body_digest)


async def test_the_same_id_with_another_body_is_refused(store: EventStore) -> None:
    await store.append("convention/a", [body("one")], expected=0, command=command(number=1))
    with pytest.raises(CommandReused) as caught:
        await store.append("convention/a", [body("two")], expected=1, command=command(number=1, asked=b"!"))
    assert (caught.value.owner, caught.value.command_id) == ("caf", (1).to_bytes(16, "big"))
    assert caught.value.position == 1
    assert (await store.head()).position == 1


async def test_two_owners_may_use_the_same_id(store: EventStore) -> None:
    await store.append("convention/a", [body("one")], expected=0, command=command("caf", number=1))
    second = await store.append("convention/a", [body("two")], expected=1, command=command("ville", number=1))
    assert not second.repeated
    assert second.first_position == 2


async def test_a_refused_command_is_not_remembered(store: EventStore) -> None:
    asked = command()
    with pytest.raises(WrongVersion):
        await store.append("convention/a", [body("one")], expected=1, command=asked)
    assert await store.find(asked.owner, asked.command_id) is None
    assert not (await store.append("convention/a", [body("one")], expected=0, command=asked)).repeated


async def test_a_seal_that_raises_fails_its_own_append_only(store: EventStore) -> None:
    def broken(position: int, version: int, recorded_at: datetime) -> bytes:
        raise RuntimeError("no seal today")

    outcomes = await asyncio.gather(
        store.append("convention/a", [body("one")], expected=0, command=command()),
        store.append("convention/b", [body("two"), broken], expected=0, command=command()),
        store.append("convention/c", [body("three")], expected=0, command=command()),
        return_exceptions=True,
    )
    assert [getattr(each, "first_position", str(each)) for each in outcomes] == [1, "no seal today", 2]
    assert await store.version("convention/b") == 0


async def test_a_body_over_the_limit_is_refused_with_size_and_limit(store: EventStore) -> None:
    with pytest.raises(BodyTooLarge, match=f"60001 bytes is over the limit of {BODY_BYTES_MAX}") as caught:
        await store.append(
            "convention/a",
            [body("small"), lambda *_: b"x" * (BODY_BYTES_MAX + 1)],
            expected=0,
            command=command(),
        )
    refused = caught.value
    assert (refused.stream, refused.size_bytes) == ("convention/a", BODY_BYTES_MAX + 1)
    assert (await store.head()).position == 0


async def test_a_seal_gives_bytes_and_nothing_else(store: EventStore) -> None:
    with pytest.raises(TypeError, match="stream 'convention/a': a seal gives bytes, not str"):
        await store.append("convention/a", [lambda *_: "text"], expected=0, command=command())  # type: ignore[list-item]
    assert (await store.head()).position == 0


@pytest.mark.parametrize(
    ("stream", "events", "expected", "asked", "sentence"),
    [
        ("a", 0, 0, command(), "1 to 500 events, not 0"),
        ("a", EVENTS_PER_APPEND_MAX + 1, 0, command(), "1 to 500 events, not 501"),
        ("a", 1, -1, command(), "expected version -1"),
        ("", 1, 0, command(), "stream ''"),
        (
            "x" * 201,
            1,
            0,
            command(),
            f"^stream {'x' * 80!r}: a name is 1 to 200 printable characters$",
        ),
        ("a\x00b", 1, 0, command(), "printable"),
        ("\ud800", 1, 0, command(), "printable"),
        ("a", 1, 0, command(owner="o" * 201), f"^owner {'o' * 80!r}: a name is 1 to 200 "),
        ("a", 1, 0, command(asked=b"d" * 33), "32 bytes, not 33"),
        (
            "a",
            1,
            0,
            type(command())(owner="a", command_id=b"short", body_digest=bytes(32)),
            "16 bytes, not 5",
        ),
    ],
)
async def test_what_could_never_be_kept_is_refused_at_the_door(
    store: EventStore, stream: str, events: int, expected: int, asked: object, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        await store.append(stream, [body("x")] * events, expected=expected, command=asked)  # type: ignore[arg-type]
    assert (await store.head()).position == 0


async def test_the_longest_names_there_may_be_are_kept(store: EventStore) -> None:
    asked = command(owner="o" * 200)
    await store.append("x" * 200, [body("y")], expected=0, command=asked)
    assert await store.version("x" * 200) == 1
    assert await store.find("o" * 200, asked.command_id) is not None


async def test_the_largest_append_is_one_page_however_short_pages_are(store: EventStore) -> None:
    await store.append("a", [body("x")] * EVENTS_PER_APPEND_MAX, expected=0, command=command())
    assert len(await store.read_all(after=0, events_max=1)) == EVENTS_PER_APPEND_MAX
    assert len(await store.read_all(after=EVENTS_PER_APPEND_MAX - 1)) == 1


async def test_a_page_has_a_thousand_events_unless_asked_otherwise(store: EventStore) -> None:
    for turn, count in enumerate((500, 500, 1)):
        await store.append(f"s{turn}", [body("x")] * count, expected=0, command=command())
    pages = store.follow(after=0)
    assert len(await anext(pages)) == len(await store.read_all(after=0)) == 1_000
    await pages.aclose()  # type: ignore[attr-defined]


async def test_a_stream_is_read_from_any_version(store: EventStore) -> None:
    await store.append("a", [body("one"), body("two")], expected=0, command=command())
    await store.append("b", [body("other")], expected=0, command=command())
    await store.append("a", [body("three")], expected=2, command=command())
    for after in range(4):
        events = await store.read("a", after=after)
        assert [each.version for each in events] == list(range(after + 1, 4))
        assert {each.stream for each in events} <= {"a"}
    assert [each.position for each in await store.read("a")] == [1, 2, 4]
    assert await store.read("a", after=4) == []


@pytest.mark.parametrize("events_max", [0, 1, 2, 3, 4, 5, 100])
async def test_pages_end_where_commands_end(store: EventStore, events_max: int) -> None:
    """However the pages are come by: asked for one after the other, or followed."""
    counts = [1, 3, 2, 4, 1, 1, 2]
    for turn, count in enumerate(counts):
        await store.append(f"s{turn}", [body("x")] * count, expected=0, command=command())
    after = -1
    pages = store.follow(after=after, events_max=events_max)
    while page := await store.read_all(after=after, events_max=events_max):
        assert await anext(pages) == page
        assert page[0].position == max(after, 0) + 1
        assert page[0].ordinal == 1
        assert page[-1].ends_command
        assert len(page) <= events_max or len(page) == page[0].count
        after = page[-1].position
    assert after == sum(counts)
    await pages.aclose()  # type: ignore[attr-defined]


async def test_following_gives_the_past_and_then_what_comes(store: EventStore) -> None:
    await store.append("a", [body("one")], expected=0, command=command())
    pages = store.follow(after=0)
    assert [each.position for each in await anext(pages)] == [1]
    coming = asyncio.ensure_future(anext(pages))
    await asyncio.sleep(0)
    assert not coming.done()
    await store.append("a", [body("two"), body("three")], expected=1, command=command())
    assert [each.position for each in await asyncio.wait_for(coming, timeout=5)] == [2, 3]
    await pages.aclose()  # type: ignore[attr-defined]


async def test_a_follower_is_cancelled_at_any_moment_and_harms_nobody(store: EventStore) -> None:
    await store.append("a", [body("x")], expected=0, command=command())

    async def following() -> None:
        async for _ in store.follow(after=0, events_max=1):
            pass

    for turns_of_the_loop in range(12):
        follower = asyncio.ensure_future(following())
        for _ in range(turns_of_the_loop):
            await asyncio.sleep(0)
        follower.cancel()
        with pytest.raises(asyncio.CancelledError):
            await follower
    assert await store.version("a") == 1


async def test_while_the_store_goes_on_nobody_is_told_that_it_failed(store: EventStore) -> None:
    told = asyncio.ensure_future(store.failed())
    await asyncio.sleep(0)
    await store.append("a", [body("x")], expected=0, command=command())
    assert not told.done()
    told.cancel()


async def test_no_position_after_the_last_has_a_digest(store: EventStore) -> None:
    await store.append("a", [body("one")], expected=0, command=command())
    for position in (2, -1):
        with pytest.raises(NoSuchPosition, match=f"there is no position {position}: the last one is 1"):
            await store.digest_at(position)


async def test_what_was_known_at_an_instant(store: EventStore, clock: SetClock) -> None:
    start = clock.now
    for turn in range(3):
        await store.append("a", [body("x"), body("y")], expected=turn * 2, command=command())
        clock.passes(10)
    second = timedelta(seconds=1)
    microsecond = timedelta(microseconds=1)
    assert [
        await store.position_at(start + delta)
        for delta in (-microsecond, 0 * second, 10 * second - microsecond, 10 * second, 99 * second)
    ] == [0, 2, 2, 4, 6]


async def test_an_instant_without_time_zone_is_no_instant(store: EventStore) -> None:
    with pytest.raises(ValueError, match="says no time zone"):
        await store.position_at(datetime(2026, 1, 1))  # noqa: DTZ001 - the point


async def test_instants_keep_their_microseconds(store: EventStore, clock: SetClock) -> None:
    clock.now = clock.now.replace(microsecond=999_999)
    asked = command()
    first = await store.append("a", [body("x")], expected=0, command=asked)
    found = await store.find(asked.owner, asked.command_id)
    assert found is not None
    assert first.recorded_at == found[0].recorded_at == clock.now


async def test_instants_are_recorded_in_utc_wherever_the_machine_is(
    store: EventStore, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Europe/Paris")
        time.tzset()
        clock.now = clock.now.astimezone()
        appended = await store.append("a", [body("x")], expected=0, command=command())
    time.tzset()
    assert appended.recorded_at.isoformat() == "2026-03-01T12:00:00+00:00"
    assert [each.body for each in await store.read("a")] == [b"1 1 2026-03-01T12:00:00+00:00 x"]


async def test_a_clock_a_little_behind_repeats_the_last_instant(store: EventStore, clock: SetClock) -> None:
    first = await store.append("a", [body("x")], expected=0, command=command())
    clock.set(-5)
    second = await store.append("a", [body("y")], expected=1, command=command())
    assert second.recorded_at == first.recorded_at


async def test_a_clock_set_back_stops_appends_with_both_instants(store: EventStore, clock: SetClock) -> None:
    first = await store.append("a", [body("x")], expected=0, command=command())
    clock.set(-5.001)
    with pytest.raises(ClockWentBack, match="set the clock right") as caught:
        await store.append("a", [body("y")], expected=1, command=command())
    assert (caught.value.now, caught.value.last) == (clock.now, first.recorded_at)
    assert (await store.head()).position == 1
    clock.set(5.001)
    await store.append("a", [body("y")], expected=1, command=command())


async def test_a_clock_set_ahead_stops_appends(store: EventStore, clock: SetClock) -> None:
    clock.passes(86_400)
    clock.set(60)
    await store.append("a", [body("x")], expected=0, command=command())
    clock.set(60.001)
    with pytest.raises(ClockJumped, match=r"only 0\.0 seconds passed since"):
        await store.append("a", [body("y")], expected=1, command=command())
    clock.set(-30)
    await store.append("a", [body("y")], expected=1, command=command())


async def test_a_cancelled_caller_harms_nobody(store: EventStore) -> None:
    asked = command()
    cancelled = asyncio.ensure_future(store.append("a", [body("x")], expected=0, command=asked))
    other = asyncio.ensure_future(store.append("b", [body("y")], expected=0, command=command()))
    await asyncio.sleep(0)
    cancelled.cancel()
    await other
    kept = await store.find(asked.owner, asked.command_id) is not None
    log = await whole_log(store)
    assert [each.position for each in log] == list(range(1, len(log) + 1))
    assert await store.version("a") == int(kept)
    again = await store.append("a", [body("x")], expected=0, command=asked)
    assert again.repeated == kept
