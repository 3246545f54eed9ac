"""From a request to what each partner sees, through every process."""

import asyncio
import json
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from nats.aio.client import Client

from contracts import subjects
from contracts.commands import Recording
from contracts.dates import PartialDate
from contracts.events import AgrementRenewed
from contracts.queries import EventsQuery, ListQuery, StatementQuery
from eventstore import sqlite
from eventstore.store import Command
from services import asking, questions
from services.domain import statement
from tests.conftest import NatsServer
from tests.domain.lives import OPEN, Line, author
from tests.whole import processes

CENTRE = "agrement/mjc-fictive"
V1 = {"ends_on": "2026-12-31", "granted_by": "caf-fictive", "service": "AGC", "starts_on": "2023-01-01"}


async def _as_an_older_registrar_wrote_it(path: Path) -> bytes:
    """An event in the old shape, in the bytes of its day."""

    def seal(position: int, version: int, recorded_at: datetime) -> bytes:
        event = {
            "actor": "caf-fictive",
            "channel": "api",
            "commandid": "019a0000-0000-7000-8000-000000000000",
            "count": 1,
            "data": V1,
            "datacontenttype": "application/json",
            "effectiveon": "2022-12-15",
            "id": "8f7d0a52-9f0e-4a0e-9d0f-0c8f4d1f0a11",
            "ordinal": 1,
            "position": position,
            "source": processes.ORIGIN,
            "specversion": "1.0",
            "subject": CENTRE,
            "time": recorded_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "type": "agrement.granted.v1",
            "version": version,
        }
        return json.dumps(event, sort_keys=True, separators=(",", ":")).encode()

    async with sqlite.opened(path, origin=processes.ORIGIN) as store:
        key = Command("caf-fictive", UUID("019a0000-0000-7000-8000-000000000000").bytes, bytes(32))
        await store.append(CENTRE, [seal], expected=0, command=key)
        [kept] = await store.read(CENTRE)
    return kept.body


async def test_an_event_in_an_old_shape_is_read_in_todays_by_everybody_and_its_bytes_never_change(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    services = processes.Set(tmp_path, nats_server.url)
    old = await _as_an_older_registrar_wrote_it(services.store_path)
    # A store with a past and no LEDGER: an operator has to say that it may be made.
    assert await services.finish("relay", "--create") == 0, services.logs()
    async with processes.running(tmp_path, nats_server.url) as (_, bus):
        # The registrar folds it: a renewal needs a grant.
        renewed = AgrementRenewed(
            services=("AGC", "ACF"),
            granted_by="caf-fictive",
            starts_on=PartialDate("2027-01-01"),
            ends_on=PartialDate("2030-12-31"),
        )
        # Somebody's program still declares in the old shape: it is recorded in today's.
        body = json.dumps(
            {
                "command_id": asking.new_command_id(),
                "facts": [{"type": "agrement.granted.v1", "effective_on": "2018-12-01", "data": V1}],
            }
        ).encode()
        answers = [
            await asking.ask(
                bus,
                "caf-fictive",
                CENTRE,
                asking.declaration(
                    [asking.declared(renewed, "2026-12-01")], command_id=asking.new_command_id()
                ),
            ),
            await asking.ask(bus, "caf-fictive", CENTRE, body),
        ]
        assert [answer.version for answer in answers] == [2, 3]
        ledger = bus.jetstream()
        answer = await questions.statement_answer(
            bus, StatementQuery(CENTRE, on=date(2026, 6, 1), at_least_position=3)
        )
        shown = statement.decode(answer.statement)
        assert isinstance(shown, statement.AgrementStatement)
        assert shown.standing == "granted"
        assert [cover.services for cover in shown.covers] == [("AGC",), ("AGC",), ("AGC", "ACF")]
        page = await questions.events(bus, EventsQuery(stream=CENTRE, at_least_position=3))
        assert bytes(page.events[0]) == old == (await ledger.get_msg(subjects.LEDGER, 1)).data
        types = [json.loads(bytes(event))["type"] for event in page.events]
        assert types == ["agrement.granted.v1", "agrement.renewed.v1", "agrement.granted.v2"]


def request(*lines: Line, command_id: str | None = None) -> bytes:
    facts = [asking.declared(fact, on, on_behalf_of=author(fact)) for on, fact, *_ in lines]
    return asking.declaration(facts, command_id=command_id or asking.new_command_id())


async def test_whoever_recorded_a_fact_sees_it_in_the_statement_and_in_the_list_of_each_party(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    async with processes.running(tmp_path, nats_server.url) as (_, bus):
        answer = await asking.ask(bus, "agent-instructeur", "convention/mjc", request(*OPEN))
        assert isinstance(answer, Recording)
        seen = await questions.statement_answer(
            bus, StatementQuery("convention/mjc", at_least_position=answer.last_position)
        )
        shown = statement.decode(seen.statement)
        assert isinstance(shown, statement.ConventionStatement)
        assert [party.institution for party in shown.parties] == ["ville", "mjc"]
        for institution, expected in (("ville", 1), ("mjc", 1), ("caf", 0)):
            listed = await questions.list_conventions(
                bus, ListQuery(institution, at_least_position=answer.last_position)
            )
            assert len(listed.rows) == expected, institution


async def test_with_nats_away_a_command_says_so_and_asked_again_it_is_recorded_once(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    async with processes.running(tmp_path, nats_server.url) as (services, bus):
        opening = request(*OPEN)
        await nats_server.kill()
        with pytest.raises((asking.OutcomeUnknown, asking.NoRegistrar)) as told:
            await asking.ask(bus, "agent-instructeur", "convention/mjc", opening, timeout_seconds=0.3)
        assert "recorded" in str(told.value)
        await nats_server.start()
        first = await _insisting(bus, opening)
        second = await asking.ask(bus, "agent-instructeur", "convention/mjc", opening)
        assert msgspec.structs.replace(first, repeated=True) == second
        await processes.seen(bus, first.last_position, services)
        async with sqlite.reading(services.store_path) as store:
            assert (await store.head()).position == len(OPEN)


async def _insisting(bus: Client, body: bytes) -> Recording:
    async with asyncio.timeout(20):
        while True:
            try:
                answer = await asking.ask(bus, "agent-instructeur", "convention/mjc", body, timeout_seconds=1)
            except (asking.OutcomeUnknown, asking.NoRegistrar, asking.RefusedByRegistrar):
                await asyncio.sleep(0.05)
            else:
                assert isinstance(answer, Recording)
                return answer
