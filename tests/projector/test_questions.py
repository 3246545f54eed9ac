"""What is asked over NATS, and what is answered, by a projector at work on a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client

from contracts import envelope, events, subjects
from contracts.dates import parse
from contracts.events import AgrementGranted, ClauseStated, InstitutionRegistered
from contracts.queries import EventsQuery, ListPage, ListQuery, StatementAnswer, StatementQuery
from contracts.terms import Condition
from services import questions, runtime
from services.domain import convention, known, statement
from services.projector import answers, projector
from services.questions import NotAnswered
from tests.cli.conftest import registre
from tests.conftest import NatsServer
from tests.projector import ledgers
from tests.projector.conftest import projecting
from tests.projector.ledgers import TODAY, Ledger


@pytest.fixture
async def working(nats_server: NatsServer, bus: Client, tmp_path: Path) -> AsyncIterator[None]:
    await ledgers.create(bus)
    async with projecting(nats_server.url, tmp_path / "views"):
        yield


def expected(ledger: Ledger, stream: str, *, on: date = TODAY, position: int | None = None) -> bytes:
    """The statement that the domain makes of the bytes up to *position*, beside what it leans on."""
    told: dict[str, list[envelope.Entry]] = {}
    for message in ledger.messages[:position]:
        entry = envelope.decode(message.body)
        told.setdefault(entry.envelope.stream, []).append(entry)
    state = statement.folded(stream, told[stream])
    pairs = set(known.aided(state))
    aiding = [name for name in told if any(pairs & {*known.aids(entry.fact)} for entry in told[name])]
    leaning = known.leans_on(state) if isinstance(state, convention.State) else ()
    beside = {name: told[name] for name in {*leaning, *aiding} - {stream} if name in told}
    return statement.encode(statement.of(told[stream], stream=stream, on=on, beside=beside))


async def test_what_is_recorded_shows_to_whoever_knows_its_position(working: None, bus: Client) -> None:
    ledger = Ledger()
    ledger.open_convention("a")
    for number in range(20):
        before = ledger.position
        position = ledger.pay("a", f"p{number}")
        await ledgers.publish(bus, ledger, after=before if number else 0)
        query = StatementQuery("convention/a", at_least_position=position)
        answer = await questions.statement_answer(bus, query)
        assert bytes(answer.statement) == expected(ledger, "convention/a")
        assert (answer.position, answer.known_at, answer.on) == (position, None, TODAY)


async def test_the_list_shows_what_is_recorded_by_title_and_by_institution(
    working: None, bus: Client
) -> None:
    ledger = Ledger()
    ledger.open_convention("a", title="Zèle", parties=("ville-a", "ccas-b"))
    ledger.open_convention("b", title="Accueil", parties=("ville-a", "caf-c"))
    ledger.record(
        "institution/ville-a",
        ("2026-01-01", InstitutionRegistered(name="Ville A", kind="commune")),
    )
    await ledgers.publish(bus, ledger)

    everything = await questions.list_conventions(bus, ListQuery(at_least_position=ledger.position))
    assert [row.title for row in everything.rows] == ["Accueil", "Zèle"]
    assert (everything.position, everything.on) == (ledger.position, TODAY)
    assert set(everything.rows[0].parties) == {"ville-a", "caf-c"}
    for institution, streams in (("ccas-b", ["convention/a"]), ("ville-a", ["convention/b", "convention/a"])):
        some = await questions.list_conventions(bus, ListQuery(institution=institution))
        assert [row.stream for row in some.rows] == streams
    assert (await questions.list_conventions(bus, ListQuery(institution="nobody"))).rows == ()


async def test_a_ledger_of_5_000_conventions_is_listed_wholly(
    working: None, bus: Client, nats_server: NatsServer
) -> None:
    """More than a message can carry, asked for page by page; of each institution too."""
    ledger = Ledger()
    opened: dict[str, set[str]] = {"ville-a": set(), "ccas-b": set()}
    for number in range(5_000):
        party = "ville-a" if number % 4 else "ccas-b"
        ledger.open_convention(f"c-{number}", title=f"{'Longue convention ' * 10}{number}", parties=[party])
        opened[party].add(f"convention/c-{number}")
    await ledgers.publish(bus, ledger)
    await questions.list_page(bus, ListQuery(rows_max=1, at_least_position=ledger.position))

    listed = {
        who: await asyncio.to_thread(registre, "list", "--json", *who, "--nats", nats_server.url)
        for who in ((), ("--institution", "ville-a"), ("--institution", "ccas-b"))
    }
    everything = msgspec.json.decode(listed[()].stdout)
    assert len(listed[()].stdout) > 1024 * 1024
    assert everything["position"] == ledger.position
    titles = [row["title"] for row in everything["rows"]]
    assert titles == sorted(titles)
    assert {row["stream"] for row in everything["rows"]} == opened["ville-a"] | opened["ccas-b"]
    assert len(titles) == 5_000
    for who, streams in opened.items():
        rows = msgspec.json.decode(listed["--institution", who].stdout)["rows"]
        assert len(rows) == len(streams)
        assert {row["stream"] for row in rows} == streams


async def test_the_list_comes_in_pages_by_stream(
    working: None, bus: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger()
    for slug in "cabed":
        ledger.open_convention(slug, parties=("ville-a",) if slug == "b" else ("ville-a", "caf-c"))
    ledger.record("institution/caf-c", ("2026-01-01", InstitutionRegistered(name="CAF", kind="caf")))
    await ledgers.publish(bus, ledger)

    async def page(**asked: Any) -> tuple[str, bool]:
        """The slugs of a page, and whether there are more."""
        one = await questions.list_page(bus, ListQuery(**asked, at_least_position=ledger.position))
        assert (one.position, one.on) == (ledger.position, TODAY)
        return "".join(row.stream.removeprefix("convention/") for row in one.rows), one.more

    assert await page() == ("abcde", False)
    assert await page(rows_max=2) == ("ab", True)
    assert await page(rows_max=2, after="convention/b") == ("cd", True)
    assert await page(rows_max=2, after="convention/d") == ("e", False)
    assert await page(rows_max=2, after="convention/c") == ("de", False)
    assert await page(after="convention/bb") == ("cde", False)
    assert await page(after="convention/e") == ("", False)
    assert await page(after="agrement/z") == ("abcde", False)
    assert await page(after="institution/a") == ("", False)
    assert await page(institution="caf-c", rows_max=2) == ("ac", True)
    assert await page(institution="caf-c", rows_max=2, after="convention/c") == ("de", False)
    size_bytes = len(msgspec.json.encode((await questions.list_page(bus, ListQuery())).rows[0], enc_hook=str))
    monkeypatch.setattr(answers, "PAGE_BYTES_MAX", 2 * size_bytes)
    assert await page() == ("ab", True)
    monkeypatch.setattr(answers, "PAGE_BYTES_MAX", 1)
    assert await page() == ("a", True), "one at least, or nobody gets on"
    assert len((await questions.list_conventions(bus, ListQuery())).rows) == 5


async def test_a_list_of_several_pages_shows_what_was_recorded_by_the_first(
    working: None, bus: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes between two pages shows in the later one, or nowhere where its row came before."""
    ledger = Ledger()
    for slug in "bde":
        ledger.open_convention(slug, title=f"Convention {slug}")
    await ledgers.publish(bus, ledger)
    first_position = ledger.position
    asked: list[ListQuery] = []
    page_of = questions.list_page
    await page_of(bus, ListQuery(at_least_position=first_position))

    async def page_after_others_came(bus: Client, query: ListQuery) -> ListPage:
        if len(asked) == 1:
            ledger.open_convention("a", title="Avant la première page")
            ledger.open_convention("c", title="Après la première page")
            await ledgers.publish(bus, ledger, after=first_position)
            await page_of(bus, ListQuery(at_least_position=ledger.position))
        asked.append(query)
        return await page_of(bus, query)

    monkeypatch.setattr(questions, "list_page", page_after_others_came)
    listed = await questions.list_conventions(bus, ListQuery(rows_max=1))
    assert [row.stream for row in listed.rows] == [f"convention/{slug}" for slug in "cbde"]
    assert (listed.position, listed.on) == (first_position, TODAY)
    assert len(asked) == 4
    assert {one.at_least_position for one in asked[1:]} == {first_position}
    assert {one.on for one in asked[1:]} == {TODAY}, "all pages are of one day, at midnight too"


async def test_a_statement_has_two_clocks(working: None, bus: Client) -> None:
    """In force on any day, as known at any instant: what the domain makes of the events recorded by then."""
    ledger = Ledger()
    known: list[tuple[int, datetime]] = [(ledger.open_convention("a"), ledger.recorded_at)]
    for number in range(5):
        known.append((ledger.open_convention(f"other-{number}"), ledger.recorded_at))
        known.append((ledger.pay("a", f"p{number}", on=f"2026-0{number + 1}-01"), ledger.recorded_at))
    await ledgers.publish(bus, ledger)
    await questions.statement(bus, StatementQuery("convention/a", at_least_position=ledger.position))

    microsecond = timedelta(microseconds=1)
    for position, instant in known:
        for known_at in (instant, instant + microsecond, instant + timedelta(seconds=1) - microsecond):
            for on in (date(2026, 3, 15), date(2027, 1, 1)):
                query = StatementQuery("convention/a", on=on, known_at=known_at)
                answer = await questions.statement_answer(bus, query)
                assert (answer.position, answer.known_at, answer.on) == (position, known_at, on)
                assert bytes(answer.statement) == expected(ledger, "convention/a", on=on, position=position)


def depends_on_agrement(holder: str) -> ClauseStated:
    term = Condition(of="partnership", requires="agrement", holder=holder, words="être agréé")
    return ClauseStated(article="3", about="agrément", term=term)


def granted(starts_on: str, ends_on: str) -> AgrementGranted:
    return AgrementGranted(
        services=("AGC",), granted_by="caf-c", starts_on=parse(starts_on), ends_on=parse(ends_on)
    )


async def test_a_late_fact_of_another_stream_changes_the_statement_from_then_on(
    working: None, bus: Client
) -> None:
    """The agrément was granted in January and recorded in June: known now, and not known then."""
    ledger = Ledger()
    ledger.open_convention("a", parties=("ville-a", "mjc-d"))
    ledger.record("convention/a", ("2026-01-01", depends_on_agrement("mjc-d")))
    before, then = ledger.recorded_at, ledger.position
    await ledgers.publish(bus, ledger)
    first = await questions.statement_answer(bus, StatementQuery("convention/a", at_least_position=then))
    ledger.record("agrement/mjc-d", ("2026-01-01", granted("2026-01-01", "2029-12-31")))
    await ledgers.publish(bus, ledger, after=then)
    now = await questions.statement_answer(
        bus, StatementQuery("convention/a", at_least_position=ledger.position)
    )
    known_then = await questions.statement_answer(bus, StatementQuery("convention/a", known_at=before))

    def standing(answer: StatementAnswer) -> str:
        shown = statement.decode(bytes(answer.statement))
        assert isinstance(shown, statement.ConventionStatement)
        return shown.coverage[0].standing

    assert (standing(first), standing(now), standing(known_then)) == ("none", "granted", "none")
    assert bytes(known_then.statement) == bytes(first.statement)
    assert bytes(now.statement) == expected(ledger, "convention/a")
    assert (first.position, now.position, known_then.position) == (then, ledger.position, then)


async def test_a_statement_looks_at_what_the_same_payer_gave_elsewhere(working: None, bus: Client) -> None:
    """Thresholds are counted over all that a beneficiary has from one payer, as known at the position."""
    ledger = Ledger()
    for slug in ("a", "b", "c"):
        ledger.open_convention(slug)
    ledger.pay("a", "p1")
    alone, instant = ledger.position, ledger.recorded_at
    ledger.pay("b", "p2")
    ledger.record("convention/c", ("2026-03-01", events.SubsidyVoted("ccas-b", "ville-a", 2026, 100)))
    await ledgers.publish(bus, ledger)
    seen: list[set[str]] = []
    own = {"convention/a"}
    with pytest.MonkeyPatch.context() as patch:
        for known_at in (None, instant):
            query = StatementQuery("convention/a", known_at=known_at, at_least_position=ledger.position)
            answer = await questions.statement_answer(bus, query)
            position = None if known_at is None else alone
            assert bytes(answer.statement) == expected(ledger, "convention/a", position=position)
            seen.append(answer.streams.keys() - own)
        patch.setattr(known, "AIDING_MAX", 1)
        ledger.open_convention("d")
        ledger.pay("d", "p3")
        await ledgers.publish(bus, ledger, after=alone + 2)
        query = StatementQuery("convention/a", at_least_position=ledger.position)
        seen.append((await questions.statement_answer(bus, query)).streams.keys() - own)
    assert seen == [{"convention/b"}, set(), {"convention/d"}], "the last ones count, where there are many"


async def test_bounds_hold_back_what_a_reader_may_not_know(working: None, bus: Client) -> None:
    """Its own stream up to a position, others up to theirs or not at all: as if no more were recorded."""
    ledger = Ledger()
    ledger.open_convention("a")
    until = ledger.pay("a", "p1")
    ledger.open_convention("b")
    ledger.pay("b", "p2")
    ledger.pay("a", "p3")
    ledger.record("convention/a", ("2026-04-01", events.PartyJoined(institution="caf-c")))
    await ledgers.publish(bus, ledger)
    at_least = ledger.position

    async def asked(**bounds: int) -> StatementAnswer:
        names = {f"convention/{slug}": position for slug, position in bounds.items()}
        query = StatementQuery("convention/a", at_least_position=at_least, bounds=names)
        return await questions.statement_answer(bus, query)

    alone = Ledger()
    alone.open_convention("a")
    alone.pay("a", "p1")
    for bounds in ({"a": until, "b": 0}, {"a": until, "b": until}, {"a": until + 1, "b": 0}):
        bounded = await asked(**bounds)
        assert bytes(bounded.statement) == expected(alone, "convention/a")
        assert (bounded.streams, bounded.position) == ({"convention/a": until}, at_least)
    assert bytes((await asked()).statement) == expected(ledger, "convention/a")
    assert (await asked()).streams == {"convention/a": at_least, "convention/b": 8}
    with pytest.raises(NotAnswered) as refused:
        await asked(a=0)
    assert refused.value.code == "unknown_stream"

    # The list: the row as of then, and for whom it is bounded whether it is a party or not.
    query = ListQuery(institution="stranger", at_least_position=at_least, bounds={"convention/a": until})
    [row] = (await questions.list_conventions(bus, query)).rows
    assert (row.version, row.last_position, row.parties) == (4, until, ("ville-a", "ccas-b"))
    for words, rows in (("caf-c", 0), ("ccas-b", 1)):
        found = await questions.list_conventions(bus, msgspec.structs.replace(query, words=words))
        assert len(found.rows) == rows
    nothing = msgspec.structs.replace(query, bounds={"convention/a": 0})
    assert (await questions.list_conventions(bus, nothing)).rows == ()


@pytest.mark.parametrize(
    "words, found",
    [
        ("", "abc"),
        ("ecole", "ab"),
        ("ÉCOLE ville", "b"),
        ("  objectifs   ecole ", "ab"),
        ("100%", "c"),
        ("_", ""),
        ("caf-c", "a"),
        ("ecole ecoles", ""),
    ],
)
async def test_a_list_is_searched_by_title_nature_and_party(
    working: None, bus: Client, words: str, found: str
) -> None:
    ledger = Ledger()
    ledger.open_convention("a", title="L’École des arts", parties=("ccas-b", "caf-c"))
    ledger.open_convention("b", title="Bibliothèque de l’école", parties=("ccas-b", "ville-a"))
    ledger.open_convention("c", title="Cantine à 100%", parties=("ccas-b",))
    await ledgers.publish(bus, ledger)
    for institution in (None, "ccas-b"):
        query = ListQuery(institution=institution, words=words, at_least_position=ledger.position)
        rows = (await questions.list_conventions(bus, query)).rows
        assert "".join(sorted(row.stream[-1] for row in rows)) == found


async def test_what_was_not_known_yet_is_unknown(working: None, bus: Client) -> None:
    ledger = Ledger()
    ledger.open_convention("a")
    before_b = ledger.recorded_at
    ledger.open_convention("b")
    await ledgers.publish(bus, ledger)
    await questions.statement(bus, StatementQuery("convention/b", at_least_position=ledger.position))

    for known_at, position in ((before_b, 3), (datetime(2020, 1, 1, tzinfo=UTC), 0)):
        with pytest.raises(NotAnswered, match=f"'convention/b' up to position {position}") as caught:
            await questions.statement(bus, StatementQuery("convention/b", known_at=known_at))
        assert caught.value.code == "unknown_stream"


async def test_events_come_in_pages_and_in_their_own_bytes(working: None, bus: Client) -> None:
    ledger = Ledger()
    ledger.busy_life(60, conventions=3)
    await ledgers.publish(bus, ledger)
    for stream in (None, "convention/busy-1"):
        wanted = [
            message.body
            for message in ledger.messages
            if stream is None or envelope.decode(message.body).envelope.stream == stream
        ]
        got: list[bytes] = []
        after, more = 0, True
        while more:
            query = EventsQuery(stream=stream, after=after, events_max=7, at_least_position=ledger.position)
            page = await questions.events(bus, query)
            assert page.position == ledger.position
            assert len(page.events) == 7 or not page.more
            got += map(bytes, page.events)
            after, more = page.last_position, page.more
        assert got == wanted
        end = await questions.events(bus, EventsQuery(stream=stream, after=after))
        assert (end.events, end.last_position, end.more) == ((), after, False)


async def test_a_page_of_events_is_bounded_in_bytes(
    working: None, bus: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger()
    ledger.busy_life(20)
    await ledgers.publish(bus, ledger)
    monkeypatch.setattr(answers, "PAGE_BYTES_MAX", 2_000)
    page = await questions.events(bus, EventsQuery(at_least_position=ledger.position))
    assert page.more
    assert sum(len(event) for event in page.events) <= 2_000
    monkeypatch.setattr(answers, "PAGE_BYTES_MAX", 1)
    page = await questions.events(bus, EventsQuery())
    assert (len(page.events), page.more, page.last_position) == (1, True, 1), (
        "one at least, or nobody gets on"
    )


async def test_whoever_follows_gets_every_event_as_it_comes(working: None, bus: Client) -> None:
    ledger = Ledger()
    ledger.open_convention("a")
    await ledgers.publish(bus, ledger)
    async with aclosing(questions.follow(bus, stream="convention/a", after=1)) as following:
        got = [await anext(following) for _ in range(2)]
        for number in range(3):
            before = ledger.position
            ledger.open_convention(f"other-{number}")
            ledger.pay("a", f"p{number}")
            await ledgers.publish(bus, ledger, after=before)
            got.append(await anext(following))
    ours = [m.body for m in ledger.messages if envelope.decode(m.body).envelope.stream == "convention/a"]
    assert got == ours[1:]


async def test_whoever_asks_for_more_than_is_there_hears_it_is_behind(
    working: None, bus: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector, "WAIT_SECONDS_MAX", 0.2)
    ledger = Ledger()
    ledger.open_convention("a")
    await ledgers.publish(bus, ledger)
    for view, query in (
        ("statement", StatementQuery("convention/a", at_least_position=4)),
        ("list", ListQuery(at_least_position=4)),
        ("events", EventsQuery(at_least_position=4)),
    ):
        with pytest.raises(NotAnswered, match="is at position 3, the question needs 4") as caught:
            await questions._asked(bus, view, query)
        assert caught.value.code == "behind"


async def test_a_question_waits_for_the_event_and_not_a_moment_longer(working: None, bus: Client) -> None:
    """Nobody polls: the answer comes with the event."""
    ledger = Ledger()
    ledger.open_convention("a")
    await ledgers.publish(bus, ledger)
    position = ledger.pay("a", "p1")
    asked = [
        asyncio.create_task(
            questions.statement_answer(bus, StatementQuery("convention/a", at_least_position=each))
        )
        for each in (position, position, 3)
    ]
    await asked[2]
    assert not asked[0].done()
    await ledgers.publish(bus, ledger, after=3)
    assert [(await each).position for each in asked[:2]] == [4, 4]


@pytest.mark.parametrize(
    "view, body, path, message",
    [
        ("statement", b"", "$", "truncated"),
        ("statement", b"{}", "$", "missing required field `stream`"),
        ("statement", b'{"stream": "convention/a", "no": 1}', "$", "unknown field `no`"),
        ("statement", b'{"stream": "convention"}', "$.stream", "category 'convention/'|is not a name"),
        ("statement", b'{"stream": "dream/a"}', "$.stream", "category 'dream' is none of"),
        ("statement", b'{"stream": "convention/a", "on": "2026-02-30"}', "$.on", "Invalid RFC3339"),
        (
            "statement",
            b'{"stream": "convention/a", "known_at": "2026-02-03T00:00:00"}',
            "$.known_at",
            "timezone",
        ),
        ("list", b'{"at_least_position": -1}', "$.at_least_position", ">= 0"),
        ("list", b'{"rows_max": 0}', "$.rows_max", ">= 1"),
        ("list", b'{"rows_max": 501}', "$.rows_max", "<= 500"),
        ("list", b'{"after": "b"}', "$.after", "category 'b' is none of"),
        ("events", b'{"events_max": 501}', "$.events_max", "<= 500"),
        ("events", b'{"stream": "a/b"}', "$.stream", "category 'a' is none of"),
    ],
)
async def test_a_question_that_is_none_hears_which_field_is_wrong(
    working: None, bus: Client, view: str, body: bytes, path: str, message: str
) -> None:
    with pytest.raises(NotAnswered, match=message) as caught:
        questions._answered(await runtime.ask(bus, subjects.query(view), body))
    assert caught.value.code == "malformed"
    assert caught.value.fields[0].path == path


async def test_the_status_tells_the_lag_and_the_digest(working: None, bus: Client) -> None:
    empty = await questions.status(bus)
    assert (empty.position, empty.ledger_position, empty.lag_events, empty.lag_seconds) == (0, 0, 0, 0.0)
    ledger = Ledger()
    ledger.open_convention("a")
    await ledgers.publish(bus, ledger)
    await questions.list_conventions(bus, ListQuery(at_least_position=3))
    status = await questions.status(bus)
    assert (status.position, status.ledger_position, status.lag_events, status.lag_seconds) == (3, 3, 0, 0.0)
    assert status.digest == ledger.digest_at(3)
    assert status.projection == f"statements 3-{statement.RULES_VERSION}"

    # The beginning of a command is in LEDGER, and not shown.
    ledger.open_convention("b")
    await ledgers.publish(bus, ledger, after=3, to=5)
    behind = await questions.status(bus)
    assert (behind.position, behind.ledger_position, behind.lag_events) == (3, 5, 2)
    assert 0 < behind.lag_seconds < 60


async def test_the_projector_is_found_by_its_name(working: None, bus: Client) -> None:
    reply = await bus.request("$SRV.INFO.projector")
    found = msgspec.json.decode(reply.data)
    assert {endpoint["subject"] for endpoint in found["endpoints"]} == {
        "query.statement",
        "query.list",
        "query.events",
        "query.status",
        "admin.projector.rebuild",
        "admin.projector.rollback",
    }


async def test_without_a_projector_whoever_asks_hears_so(bus: Client) -> None:
    with pytest.raises(runtime.NobodyAnswers):
        await questions.status(bus)


async def test_an_event_in_an_old_shape_is_shown_in_the_shape_of_today(working: None, bus: Client) -> None:
    """Its bytes stay: the events come as they were recorded."""
    ledger = Ledger()
    granted = AgrementGranted(
        services=("ACG",),
        granted_by="caf-c",
        starts_on=parse("2026-01-01"),
        ends_on=parse("2029-12-31"),
    )
    ledger.record("agrement/mjc-d", ("2026-01-01", granted))
    old = ledger.messages.pop().body.replace(b"granted.v2", b"granted.v1")
    old = old.replace(b'"services":["ACG"]', b'"service":"ACG"')
    ledger = Ledger()
    ledger.add(old)
    await ledgers.publish(bus, ledger)

    answer = await questions.statement_answer(bus, StatementQuery("agrement/mjc-d", at_least_position=1))
    shown = msgspec.json.decode(answer.statement)
    assert shown["journal"][0]["type"] == "agrement.granted.v2"
    assert shown["journal"][0]["fact"]["services"] == ["ACG"]
    assert [bytes(event) for event in (await questions.events(bus, EventsQuery())).events] == [old]
