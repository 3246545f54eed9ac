"""
Two institutions at once, each with its own credentials: what one asks, sends or listens to reaches nothing
of the other's, and nothing of the ledger's, by whatever subject.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import nats
import pytest
import pytest_asyncio
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.js.api import StreamConfig
from nats.js.errors import ServiceUnavailableError

from contracts import subjects
from services import accounts, credentials, partners, runtime
from tests.partners.conftest import A, B, Partner, World, refused, world_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLOSED_SECONDS_MAX = 15.0
OWN = accounts.API_PREFIX
ACK_OF_B = f"$JS.ACK.FEED.{B}.1.2.2.1700000000000000000.0"


class Two:
    """The world, both institutions connected, and what the ledger's account hears."""

    def __init__(self, world: World, a: Partner, b: Partner) -> None:
        self.world, self.a, self.b = world, a, b
        self.heard: list[Msg] = []

    async def state(self) -> dict[str, Any]:
        """Everything the server keeps for the ledger: each stream, each consumer, how far each has read."""
        js = self.world.bus.jetstream()
        kept: dict[str, Any] = {}
        for stream in await js.streams_info():
            name = str(stream.config.name)
            kept[name] = (stream.state.messages, stream.state.first_seq, stream.state.last_seq)
            for consumer in await js.consumers_info(name):
                assert consumer.delivered is not None
                assert consumer.ack_floor is not None
                kept[f"{name}/{consumer.name}"] = (
                    consumer.config.filter_subject,
                    consumer.config.deliver_subject,
                    consumer.delivered.stream_seq,
                    consumer.ack_floor.stream_seq,
                    consumer.num_ack_pending,
                    consumer.num_pending,
                )
        return kept

    async def settled(self) -> None:
        """Returns once what both sent before has had its effect: each is answered after it."""
        for partner in (self.a, self.b):
            await partner.client.flush()
            await partner.js.consumer_info(subjects.FEED, partner.institution)
        await self.world.bus.flush()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def two(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Two]:
    async with world_in(tmp_path_factory.mktemp("isolation") / "nats") as world:
        for institution in (A, B):
            await world.add(institution)
            await world.publish(institution, 6)
        await world.bus.jetstream().publish("ledger.convention", b"{}")
        async with world.partner(A) as a, world.partner(B) as b:
            it = Two(world, a, b)

            async def hear(message: Msg) -> None:
                it.heard.append(message)

            async def answer(message: Msg) -> None:
                await message.respond(f"heard on {message.subject}".encode())

            # What is there to be reached: a registrar, and whoever answers or listens to anything else.
            await world.bus.subscribe("cmd.*.*.*", queue="registrar", cb=answer)
            for service in ("query.>", "admin.>", "$SRV.>"):
                await world.bus.subscribe(service, cb=answer)
            for subject in ("ledger.>", "feed.>", "signal.>", "cmd.>", "query.>", "admin.>", "$SRV.>"):
                await world.bus.subscribe(subject, cb=hear)
            await world.bus.flush()
            yield it


async def test_each_reads_its_own_feed_by_number(two: Two) -> None:
    assert tuple(await asyncio.gather(two.a.read(3), two.b.read(2))) == ([1, 2, 3], [1, 2])


async def test_the_registrar_hears_who_asks(two: Two) -> None:
    for partner, other in ((two.a, two.b), (two.b, two.a)):
        name = partner.institution
        answer = await partner.client.request(f"cmd.{name}.convention.pacte", b"{}", timeout=1)
        assert answer.data == f"heard on cmd.{name}.convention.pacte".encode()
        with pytest.raises(NoRespondersError):
            await partner.client.request(f"cmd.{other.institution}.convention.pacte", b"{}", timeout=1)


READ = {"batch": 10, "no_wait": True}
FOREIGN: list[tuple[str, object]] = [
    # the other's consumer, by the way that leads to one's own, and by the server's own names
    *(
        (f"{prefix}.CONSUMER.{request}.FEED.{B}", body)
        for prefix in (OWN, "$JS.API", "JS.LEDGER.API.JS.LEDGER.API", "$JS.LEDGER.API")
        for request, body in (("MSG.NEXT", READ), ("INFO", None), ("RESET", {"seq": 1}), ("DELETE", None))
    ),
    # other requests about consumers and streams, one's own included
    *(
        (f"{prefix}.{request}", body)
        for prefix in (OWN, "$JS.API")
        for request, body in (
            ("INFO", None),
            ("STREAM.NAMES", None),
            ("STREAM.LIST", None),
            ("STREAM.INFO.LEDGER", None),
            ("STREAM.INFO.FEED", None),
            ("STREAM.DELETE.FEED", None),
            ("STREAM.PURGE.FEED", None),
            ("STREAM.PURGE.LEDGER", None),
            ("STREAM.MSG.GET.LEDGER", {"seq": 1}),
            ("STREAM.MSG.GET.FEED", {"last_by_subj": f"feed.{B}.convention"}),
            ("STREAM.MSG.DELETE.FEED", {"seq": 1}),
            ("DIRECT.GET.LEDGER", {"seq": 1}),
            ("DIRECT.GET.FEED", {"seq": 1}),
            (f"DIRECT.GET.FEED.feed.{B}.convention", None),
            ("STREAM.UPDATE.FEED", {"name": "FEED", "subjects": ["feed.>"], "max_msgs": 1}),
            ("STREAM.CREATE.MINE", {"name": "MINE", "subjects": ["mine"]}),
            ("STREAM.CREATE.COPY", {"name": "COPY", "mirror": {"name": "LEDGER"}}),
            ("STREAM.SNAPSHOT.LEDGER", {"deliver_subject": "copy"}),
            ("CONSUMER.NAMES.FEED", None),
            ("CONSUMER.LIST.FEED", None),
            ("CONSUMER.CREATE.FEED", {"stream_name": "FEED", "config": {"deliver_subject": "mine"}}),
            (f"CONSUMER.CREATE.FEED.{A}.feed.{B}.>", {"config": {"filter_subject": f"feed.{B}.>"}}),
            (f"CONSUMER.DURABLE.CREATE.FEED.{A}", {"config": {"filter_subject": "feed.>"}}),
            (f"CONSUMER.CREATE.LEDGER.{A}", {"config": {"durable_name": A}}),
            (f"CONSUMER.DELETE.FEED.{A}", None),
            (f"CONSUMER.PAUSE.FEED.{A}", {"pause_until": "2099-01-01T00:00:00Z"}),
            (f"CONSUMER.MSG.NEXT.LEDGER.{A}", READ),
            ("CONSUMER.MSG.NEXT.FEED.*", READ),
            ("CONSUMER.MSG.NEXT.FEED.>", READ),
        )
    ),
    # the ledger's own subjects
    ("ledger.convention", {}),
    (f"feed.{A}.convention", {}),
    (f"feed.{B}.convention", {}),
    ("signal.appended", None),
    ("query.list", {}),
    ("query.statement", {}),
    ("admin.relay.status", {}),
    ("admin.registrar.clock", {}),
    ("$SRV.PING", None),
    ("$SRV.INFO.registrar", None),
    (f"cmd.{B}.convention.pacte", {}),
    ("cmd.ledger.convention.pacte", {}),
    (f"LEDGER.cmd.{B}.convention.pacte", {}),
    # the server's own account
    ("$SYS.REQ.SERVER.PING", None),
    ("$SYS.REQ.SERVER.PING.SUBSZ", {"acc": "LEDGER"}),
    ("$SYS.REQ.SERVER.PING.JSZ", {"acc": "LEDGER"}),
    ("$SYS.REQ.ACCOUNT.LEDGER.INFO", None),
    ("$SYS.REQ.ACCOUNT.LEDGER.CONNZ", None),
    ("$SYS.ACCOUNT.LEDGER.CONNECT", None),
]


@pytest.mark.parametrize("subject, body", FOREIGN, ids=[subject for subject, _ in FOREIGN])
async def test_what_is_not_its_own_does_not_answer_it(two: Two, subject: str, body: object) -> None:
    await two.settled()
    before, two.heard[:] = await two.state(), []
    payload = b"" if body is None else json.dumps(body).encode()
    try:
        answer = await two.a.client.request(subject, payload, timeout=0.3)
    except (NoRespondersError, nats.errors.TimeoutError, ServiceUnavailableError):
        pass
    except nats.errors.Error as error:
        raise AssertionError(f"{subject} was answered with {error}") from None
    else:
        # JetStream's own names are answered by the institution's own account, which has none of it.
        assert subject.startswith("$JS.API."), answer.data
        assert json.loads(answer.data)["error"]["err_code"] == 10039, answer.data
    await two.settled()
    assert await two.state() == before
    assert two.heard == []


@pytest.mark.parametrize(
    "subject",
    [
        "$SYS.REQ.SERVER.PING.CONNZ",
        "$SYS.REQ.ACCOUNT.PING.CONNZ",
        "$SYS.REQ.ACCOUNT.PING.STATZ",
        "$SYS.REQ.USER.INFO",
    ],
)
async def test_what_the_server_tells_of_itself_is_of_ones_own_account(two: Two, subject: str) -> None:
    for asked in (
        b"",
        b'{"acc":"LEDGER","auth":true}',
        b'{"accounts":["LEDGER","caf-b"],"acc":"caf-b","auth":true}',
    ):
        data = json.loads((await two.a.client.request(subject, asked, timeout=1)).data)["data"]
        mine = data.get("connections", data.get("account_statz", [data]))
        assert len(mine) == 1
        told = json.dumps(data)
        for other in (accounts.LEDGER, B, credentials.key_of(two.world.seed)):
            assert f'"{other}"' not in told


@pytest.mark.parametrize("word", [b"", b"+ACK", b"-NAK", b"+TERM", b"+WPI", b'+NXT {"batch":10}'])
async def test_nobody_acknowledges_for_another(two: Two, word: bytes) -> None:
    """The acknowledgement of B's second message, delivered and not acknowledged yet."""
    await two.b.client.request(f"{OWN}.CONSUMER.RESET.FEED.{B}", b'{"seq":1}', timeout=1)
    consumer = await two.b.js.pull_subscribe_bind(B, stream=subjects.FEED)
    first, *_ = await consumer.fetch(2, timeout=1)
    await two.settled()
    before, two.heard[:] = await two.state(), []
    for subject in (first.reply, ACK_OF_B, f"{OWN}.ACK.FEED.{B}.1"):
        await two.a.client.publish(subject, word, reply="ledger.convention")
        await two.a.client.publish(subject, word)
    await two.settled()
    assert await two.state() == before
    assert two.heard == []
    await consumer.unsubscribe()


TARGETS = [
    "ledger.convention",
    f"feed.{B}.convention",
    f"feed.{A}.convention",
    "signal.appended",
    "query.list",
    "admin.registrar.clock",
    f"cmd.{B}.convention.pacte",
    "$SRV.PING",
    "$JS.API.STREAM.PURGE.FEED",
    "$JS.API.STREAM.PURGE.LEDGER",
    "$JS.API.STREAM.DELETE.LEDGER",
    f"$JS.API.CONSUMER.DELETE.FEED.{B}",
    f"$JS.API.CONSUMER.RESET.FEED.{B}",
    ACK_OF_B,
]


@pytest.mark.parametrize("target", TARGETS)
async def test_no_reply_subject_leads_into_the_ledger(two: Two, target: str) -> None:
    """The server publishes to the reply subject unasked: it is to be one of the asker's own account."""
    await two.settled()
    two.heard[:] = []
    before = await two.state()
    for subject, body in (
        (f"{OWN}.CONSUMER.MSG.NEXT.FEED.{A}", b'{"batch":2,"no_wait":true}'),
        (f"{OWN}.CONSUMER.INFO.FEED.{A}", b""),
        (f"{OWN}.CONSUMER.RESET.FEED.{A}", b'{"seq":1}'),
        (f"$JS.ACK.FEED.{A}.1.1.1.1700000000000000000.0", b'+NXT {"batch":2,"no_wait":true}'),
        (f"$JS.ACK.FEED.{A}.1.1.1.1700000000000000000.0", b"+ACK"),
        (f"cmd.{A}.convention.pacte", b"{}"),
    ):
        await two.a.client.publish(subject, body, reply=target)
    await two.settled()
    after = await two.state()
    # Its own consumer has moved, as it may; its commands were heard, as such.
    mine = f"FEED/{A}"
    assert {name: kept for name, kept in after.items() if name != mine} == {
        name: kept for name, kept in before.items() if name != mine
    }
    assert {message.subject for message in two.heard} <= {f"cmd.{A}.convention.pacte"}
    assert target not in {message.reply for message in two.heard}


@pytest.mark.parametrize("target", ["ledger.convention", f"feed.{B}.convention"])
async def test_in_one_shared_account_the_same_request_forges_events(two: Two, target: str) -> None:
    """So the tests above look in the right place, and one account for all is not enough."""
    js = two.world.bus.jetstream()
    stream = await js.find_stream_name_by_subject(target)
    before = (await js.stream_info(stream)).state.messages
    await two.world.bus.publish(f"$JS.API.CONSUMER.INFO.FEED.{A}", b"", reply=target)
    async with asyncio.timeout(5):
        while (await js.stream_info(stream)).state.messages == before:
            await asyncio.sleep(0.01)
    # And put back what was, for the tests of this module read the same feeds; LEDGER gives nothing back.
    if stream == subjects.FEED:
        await js.delete_msg(stream, (await js.stream_info(stream)).state.last_seq)


async def test_whoever_listens_to_everything_hears_nothing_of_the_others(two: Two) -> None:
    heard: list[str] = []

    async def hear(message: Msg) -> None:
        heard.append(message.subject)

    every = [
        ">",
        "*",
        "feed.>",
        f"feed.{B}.>",
        "ledger.>",
        "cmd.>",
        "cmd.*.*.*",
        "_INBOX.>",
        "_R_.>",
        "$JS.>",
    ]
    every += ["$SYS.>", "$SRV.>", "signal.>", f"{OWN}.>", f"$JS.ACK.FEED.{B}.>", "$JS.EVENT.>"]
    listening = [await two.a.client.subscribe(subject, cb=hear) for subject in every]
    await two.a.client.flush()
    await two.b.client.request(f"{OWN}.CONSUMER.RESET.FEED.{B}", b'{"seq":1}', timeout=1)
    assert await two.b.read(2) == [1, 2]
    await two.b.client.request(f"cmd.{B}.convention.pacte", b"{}", timeout=1)
    await two.world.publish(B)
    await two.world.bus.publish("signal.appended")
    await two.world.bus.flush()
    await two.b.client.flush()
    await two.a.client.publish("mine")
    for each in listening:
        await each.drain()  # type: ignore[no-untyped-call]  # what was on its way is heard too
    assert set(heard) == {"mine"}, "to itself, by > and by *"


async def test_a_partner_has_no_streams_of_its_own(two: Two) -> None:
    js = two.a.client.jetstream(timeout=1)
    with pytest.raises(nats.js.errors.APIError) as error:
        await js.add_stream(StreamConfig(name="MINE", subjects=["mine"]))
    assert error.value.err_code == 10039


async def test_connections_subscriptions_and_messages_are_bounded(two: Two) -> None:
    greedy = [Partner(A) for _ in range(accounts.CONNECTIONS_MAX - 1)]
    for partner in greedy:
        await partner.connect(two.world.url, two.world.seed_of(A))
    said = await refused(two.world.url, nkeys_seed=str(two.world.seed_of(A)))
    assert "maximum account active connections exceeded" in said
    async with two.world.partner(B):
        pass
    first = greedy[0]
    for number in range(accounts.SUBSCRIPTIONS_MAX + 1):
        await first.client.subscribe(f"mine.{number}")
    assert first.client.max_payload == accounts.PAYLOAD_BYTES_MAX
    async with asyncio.timeout(CLOSED_SECONDS_MAX):
        await first.closed.wait()  # the library leaves at the server's first complaint
    assert "maximum subscriptions exceeded" in f"{first.client.last_error}, {first.errors}"
    for partner in greedy:
        await partner.client.close()


@pytest.mark.parametrize(
    "given", [{}, {"user": A, "password": ""}, {"token": A}, {"user": "ledger", "password": "ledger"}]
)
async def test_nobody_enters_without_a_key(two: Two, given: dict[str, str]) -> None:
    assert "Authorization Violation" in await refused(two.world.url, **given)


async def test_a_key_that_nobody_gave_is_refused_with_what_to_do(two: Two) -> None:
    seed = two.world.handed_over / "nobody.nk"
    credentials.make(seed)
    for unknown in (None, seed):
        with pytest.raises(runtime.NotAllowed, match="let REGISTRE_NATS_SEED be the path of a seed"):
            async with runtime.connected(two.world.url, "stranger", seed=unknown):
                pass


async def test_what_the_server_and_its_files_know_are_public_keys(two: Two) -> None:
    seeds = {name: two.world.seed_of(name).read_text().strip() for name in (A, B)}
    own = two.world.seed.read_text().strip()
    for path in two.world.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [name for name, seed in seeds.items() if seed.encode() in content], path
            assert own.encode() not in content or path == two.world.seed
    assert [it.institution for it in partners.register(two.world.folder)] == [B, A]
