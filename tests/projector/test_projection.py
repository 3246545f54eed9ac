"""The writing side, on real files and without a server: what it takes in and what stops it."""

import random
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.events import EntryCancelled
from contracts.queries import ListQuery, StatementQuery
from eventstore import store
from services import history
from services.domain import statement
from services.history import (
    DigestDiffers,
    Gap,
    Misplaced,
    OtherLedger,
    Published,
    Stopped,
    Undecodable,
    Unfoldable,
    Unlabelled,
)
from services.projector import projection
from services.projector.answers import Answers
from services.projector.projection import BACKLOG_EVENTS, Projection
from services.projector.trouble import OtherVersion, ViewsUnfit
from tests.projector.ledgers import TODAY, Ledger, Message, payment


def published(messages: Iterable[Message], *, after: int = 0) -> list[Published]:
    return [
        Published(after + number, message.body, headers(message))
        for number, message in enumerate(messages, 1)
    ]


def headers(message: Message) -> bytes:
    """As they stand on the wire; those that are '' are absent."""
    labels = {"Registre-Digest": message.digest, "Registre-Origin": message.origin}
    lines = [f"{name}: {value}\r\n" for name, value in labels.items() if value]
    return f"NATS/1.0\r\n{''.join(lines)}\r\n".encode()


def dump(path: Path) -> dict[str, list[Any]]:
    """Every row of a file."""
    with sqlite3.connect(path) as connection:
        tables = ("progress", "streams", "events", "conventions", "memberships")
        rows = {
            table: connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables
        }
    connection.close()
    return rows


def folded(path: Path, ledger: Ledger) -> dict[str, list[Any]]:
    """What a file holds that took in the whole ledger at once."""
    fresh = Projection.open(path)
    fresh.take(published(ledger.messages), behind=0)
    fresh.close()
    return dump(path)


@pytest.fixture(scope="module")
def busy() -> Ledger:
    ledger = Ledger()
    ledger.busy_life(120)
    return ledger


def test_the_digest_is_the_one_that_the_event_store_keeps() -> None:
    ledger = Ledger()
    ledger.open_convention("a")
    digest = store.genesis(ledger.origin)
    assert history.genesis(ledger.origin) == digest
    for message in ledger.messages:
        digest = store.link(digest, message.body)
    assert ledger.digest_at(ledger.position) == digest.hex()


def test_offset_and_rows_are_those_of_the_last_event(tmp_path: Path, busy: Ledger) -> None:
    it = Projection.open(tmp_path / "a.db")
    it.take(published(busy.messages), behind=0)
    assert (it.position, it.listed, it.digest.hex()) == (
        busy.position,
        busy.position,
        busy.digest_at(busy.position),
    )
    it.close()
    rows = dump(tmp_path / "a.db")
    assert [row[-1] for row in rows["events"]] == [message.body for message in busy.messages]
    assert len(rows["conventions"]) == len(rows["streams"]) == 5


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_no_redelivery_no_restart_and_no_size_of_page_changes_a_row(
    tmp_path_factory: pytest.TempPathFactory, busy: Ledger, seed: int
) -> None:
    """Pages of any size that overlap what was taken in, far from the end or near it, and restarts between."""
    folder = tmp_path_factory.mktemp("files")
    chance = random.Random(seed)
    it = Projection.open(folder / "a.db")
    sent = 0
    while it.position < busy.position or it.listed < busy.position:
        start = max(min(sent, busy.position) - chance.choice((0, 0, 1, 7, 60)), 0)
        end = min(sent + chance.choice((1, 2, 5, 40)), busy.position)
        behind = 0 if end == busy.position else chance.choice((0, BACKLOG_EVENTS + 1))
        it.take(published(busy.messages[start:end], after=start), behind=behind)
        sent = end
        if chance.random() < 0.3:
            it.close()
            it = Projection.open(folder / "a.db")
            sent = it.position
    it.close()
    assert dump(folder / "a.db") == folded(folder / "fresh.db", busy)


def test_the_beginning_of_a_command_is_not_shown_until_its_end_is_there(tmp_path: Path) -> None:
    ledger = Ledger()
    ledger.open_convention("a", parties=())
    end = ledger.open_convention("b", parties=("x", "y", "z"))
    it = Projection.open(tmp_path / "a.db")
    for position in range(1, end):
        it.take(published(ledger.messages[position - 1 : position], after=position - 1), behind=0)
        assert (it.position, it.listed, it.digest.hex()) == (1, 1, ledger.digest_at(1))
        assert [row[0] for row in dump(tmp_path / "a.db")["events"]] == [1]
    it.take(published(ledger.messages[end - 1 :], after=end - 1), behind=0)
    assert (it.position, it.listed) == (end, end)
    it.close()


def test_far_behind_the_list_stays_what_it_was_and_says_so(tmp_path: Path, busy: Ledger) -> None:
    it = Projection.open(tmp_path / "a.db")
    it.take(published(busy.messages[:4]), behind=BACKLOG_EVENTS + 1)
    assert (it.position, it.listed) == (4, 0)
    assert dump(tmp_path / "a.db")["conventions"] == []
    it.take(published(busy.messages[4:], after=4), behind=BACKLOG_EVENTS)
    assert (it.position, it.listed) == (busy.position, busy.position)
    it.close()
    assert dump(tmp_path / "a.db") == folded(tmp_path / "fresh.db", busy)


def test_far_behind_every_answer_names_the_position_that_it_is_true_of(tmp_path: Path, busy: Ledger) -> None:
    it = Projection.open(tmp_path / "a.db")
    it.take(published(busy.messages[:9]), behind=0)
    listed = it.position
    answers = Answers.open(tmp_path / "a.db")
    before = msgspec.json.decode(answers.conventions(ListQuery(), today=TODAY))
    it.take(published(busy.messages[9:], after=9), behind=BACKLOG_EVENTS + 1)
    assert msgspec.json.decode(answers.conventions(ListQuery(), today=TODAY)) == before
    assert before["position"] == listed
    answer = msgspec.json.decode(answers.statement(StatementQuery("convention/busy-1"), today=TODAY))
    assert answer["position"] == busy.position
    answers.close()
    it.close()


def test_a_restart_far_behind_forgets_no_stream_that_the_list_waits_for(tmp_path: Path, busy: Ledger) -> None:
    it = Projection.open(tmp_path / "a.db")
    it.take(published(busy.messages[:9]), behind=0)
    it.take(published(busy.messages[9:], after=9), behind=BACKLOG_EVENTS + 1)
    it.close()
    it = Projection.open(tmp_path / "a.db")
    assert it.listed < it.position == busy.position
    it.take([], behind=0)
    it.close()
    assert dump(tmp_path / "a.db") == folded(tmp_path / "fresh.db", busy)


def test_more_streams_than_are_held_change_nothing(
    tmp_path: Path, busy: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection, "SUMMARIES_HELD_MAX", 2)
    monkeypatch.setattr(projection, "STREAMS_KNOWN_MAX", 1)
    it = Projection.open(tmp_path / "a.db")
    for start in range(0, busy.position, 9):
        messages = busy.messages[start : start + 9]
        it.take(published(messages, after=start), behind=0 if start % 2 else BACKLOG_EVENTS + 1)
    it.take([], behind=0)
    it.close()
    monkeypatch.undo()
    assert dump(tmp_path / "a.db") == folded(tmp_path / "fresh.db", busy)


# -- what stops it


Messages = Callable[[], list[Published]]


def small() -> Ledger:
    ledger = Ledger()
    ledger.open_convention("a")
    return ledger


def spoiled(change: Callable[[Message], Message]) -> Messages:
    """Three messages, the last of them changed."""
    *good, last = small().messages
    return lambda: published([*good, change(last)])


def bent(**fields: object) -> Messages:
    """Three messages and one more, in whose bytes *fields* say something else. Its digest is right."""
    ledger = small()
    body = msgspec.json.decode(ledger.messages[-1].body)
    ledger.add(
        msgspec.json.encode(
            body | {"position": 4, "version": 4, "ordinal": 1, "count": 1} | fields, order="sorted"
        )
    )
    return lambda: published(ledger.messages)


def unreadable() -> list[Published]:
    ledger = small()
    ledger.add(b"no event of ours")
    return published(ledger.messages)


def holed() -> list[Published]:
    ledger = small()
    return published(ledger.messages) + published(ledger.messages[:1], after=4)


STOPS: list[tuple[str, Messages, int, type[Stopped]]] = [
    ("a position is missing", holed, 4, Gap),
    ("no digest", spoiled(lambda it: Message(it.body, "")), 3, Unlabelled),
    ("no origin", spoiled(lambda it: Message(it.body, it.digest, "")), 3, Unlabelled),
    ("another origin in the header", spoiled(lambda it: Message(it.body, it.digest, "x")), 3, OtherLedger),
    ("another origin in the bytes", bent(source="x"), 4, OtherLedger),
    ("one bit", spoiled(lambda it: Message(it.body.replace(b"cas", b"cbs"), it.digest)), 3, DigestDiffers),
    ("another digest", spoiled(lambda it: Message(it.body, "0" * 64)), 3, DigestDiffers),
    ("bytes that are no event", unreadable, 4, Undecodable),
    ("an unknown type", bent(type="convention.sold.v1"), 4, Undecodable),
    ("a fact without its fields", bent(type="convention.payment-made.v1"), 4, Undecodable),
    ("a stream of no category", bent(subject="dream/a", version=1), 4, Undecodable),
    ("another position in the bytes", bent(position=9), 4, Misplaced),
    ("another version", bent(version=5), 4, Misplaced),
    ("the middle of a command", bent(ordinal=2, count=2), 4, Misplaced),
    ("an instant before the last", bent(time="2025-12-31T00:00:00Z"), 4, Misplaced),
]


@pytest.mark.parametrize(
    "messages, bad, wanted", [stop[1:] for stop in STOPS], ids=[stop[0] for stop in STOPS]
)
def test_what_cannot_be_taken_in_stops_it_there_and_says_where(
    tmp_path: Path, messages: Messages, bad: int, wanted: type[Stopped]
) -> None:
    it = Projection.open(tmp_path / "a.db")
    with pytest.raises(Stopped) as caught:
        it.take(messages(), behind=0)
    it.close()
    assert type(caught.value) is wanted
    assert caught.value.position == bad
    assert str(caught.value).startswith(f"position {bad}: ")
    assert dump(tmp_path / "a.db")["events"] == [], "the whole page is left out, its good part too"


def test_a_stream_that_begins_again_is_misplaced_after_a_restart_too(tmp_path: Path) -> None:
    messages = bent(version=1)()
    it = Projection.open(tmp_path / "a.db")
    it.take(messages[:3], behind=0)
    it.close()
    it = Projection.open(tmp_path / "a.db")
    with pytest.raises(Misplaced, match="says version of convention/a 1, where 4 comes next"):
        it.take(messages[3:], behind=0)
    it.close()


def test_every_way_to_stop_is_tested() -> None:
    """LedgerLost and Unfoldable have tests of their own."""
    tested = {kind for _, _, _, kind in STOPS}
    assert tested == {
        kind for kind in Stopped.__subclasses__() if kind.__name__ not in ("LedgerLost", "Unfoldable")
    }


def test_an_event_that_the_rules_fail_on_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = small()
    ledger.pay("a", "p1")
    summary_after = statement.summary_after

    def failing(summary: Any, entry: Any) -> Any:
        assert entry.position != 4, "the rules are broken"
        return summary_after(summary, entry)

    monkeypatch.setattr(statement, "summary_after", failing)
    it = Projection.open(tmp_path / "a.db")
    with pytest.raises(
        Unfoldable, match=r"position 4: the rules cannot take in this event .*the rules are broken"
    ):
        it.take(published(ledger.messages), behind=0)
    it.close()
    assert dump(tmp_path / "a.db")["events"] == []


def test_a_ledger_that_tells_another_history_is_found_where_we_stand(tmp_path: Path) -> None:
    ours, other = small(), Ledger(seed=2)
    other.open_convention("a")
    it = Projection.open(tmp_path / "a.db")
    it.take(published(ours.messages), behind=0)
    it.close()
    it = Projection.open(tmp_path / "a.db")
    with pytest.raises(DigestDiffers) as caught:
        it.take(published(other.messages[-1:], after=2), behind=0)
    it.close()
    assert (caught.value.position, caught.value.computed, caught.value.published) == (
        3,
        ours.digest_at(3),
        other.digest_at(3),
    )


def test_a_file_of_another_version_is_not_opened(tmp_path: Path) -> None:
    Projection.open(tmp_path / "a.db").close()
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("UPDATE progress SET version = '0-9'")
    connection.close()
    with pytest.raises(OtherVersion, match="was made by the projection statements 0-9"):
        Projection.open(tmp_path / "a.db")


def test_a_file_that_is_no_database_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"all sorts of things" * 100)
    with pytest.raises(ViewsUnfit, match=r"a\.db: it cannot be opened \(file is not a database\)"):
        Projection.open(tmp_path / "a.db")


def test_a_full_disk_is_said_and_leaves_the_file_as_it_was(tmp_path: Path, busy: Ledger) -> None:
    it = Projection.open(tmp_path / "a.db")
    it.take(published(busy.messages[:3]), behind=0)
    before = dump(tmp_path / "a.db")
    it._connection.execute(
        f"PRAGMA max_page_count = {it._connection.execute('PRAGMA page_count').fetchone()[0]}"
    )
    with pytest.raises(ViewsUnfit, match="database or disk is full"):
        it.take(published(busy.messages[3:], after=3), behind=0)
    it.close()
    assert dump(tmp_path / "a.db") == before
    it = Projection.open(tmp_path / "a.db")
    it.take(published(busy.messages), behind=0)
    it.close()
    assert dump(tmp_path / "a.db") == folded(tmp_path / "fresh.db", busy)


def test_a_party_that_a_cancelled_entry_had_listed_is_no_member_any_more(tmp_path: Path) -> None:
    ledger = Ledger()
    ledger.open_convention("a", parties=("x", "y"))
    it = Projection.open(tmp_path / "a.db")
    it.take(published(ledger.messages), behind=0)
    ledger.record("convention/a", ("2026-01-02", EntryCancelled(entry=3, reason="saisie en double")))
    ledger.record("convention/a", ("2026-01-03", payment("p1")))
    it.take(published(ledger.messages[3:], after=3), behind=0)
    it.close()
    assert [row[0] for row in dump(tmp_path / "a.db")["memberships"]] == ["x"]
