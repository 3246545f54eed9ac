"""The accounts as text: what a partner is given stands there word for word, and nothing else of anybody."""

import asyncio
import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import subjects
from services import credentials, embedded_nats
from services.accounts import Partner, configuration

ONE = """\
# Written by `registre`; what is changed here by hand is lost at the next change of partners.
accounts {
  "LEDGER" {
    jetstream: enabled
    users: [
      { nkey: "ULEDGER", permissions: { publish: { deny: ["$JS.API.STREAM.DELETE.LEDGER", "$JS.API.STREAM.PURGE.LEDGER", "$JS.API.STREAM.MSG.DELETE.LEDGER", "$JS.API.STREAM.UPDATE.LEDGER"] } } }
    ]
    exports: [
      { service: "$JS.API.CONSUMER.MSG.NEXT.FEED.ville-a", response_type: stream, accounts: ["ville-a"] }
      { service: "$JS.API.CONSUMER.INFO.FEED.ville-a", accounts: ["ville-a"] }
      { service: "$JS.API.CONSUMER.RESET.FEED.ville-a", accounts: ["ville-a"] }
      { service: "$JS.ACK.FEED.ville-a.>", accounts: ["ville-a"] }
      { service: "cmd.ville-a.>", accounts: ["ville-a"] }
    ]
  }
  "ville-a" {
    users: [ { nkey: "UVILLEA" } ]
    limits {
      max_connections: 16
      max_subscriptions: 256
      max_payload: 1048576
      max_leafnodes: 0
    }
    imports: [
      { service: { account: "LEDGER", subject: "$JS.API.CONSUMER.MSG.NEXT.FEED.ville-a" }, to: "JS.LEDGER.API.CONSUMER.MSG.NEXT.FEED.ville-a" }
      { service: { account: "LEDGER", subject: "$JS.API.CONSUMER.INFO.FEED.ville-a" }, to: "JS.LEDGER.API.CONSUMER.INFO.FEED.ville-a" }
      { service: { account: "LEDGER", subject: "$JS.API.CONSUMER.RESET.FEED.ville-a" }, to: "JS.LEDGER.API.CONSUMER.RESET.FEED.ville-a" }
      { service: { account: "LEDGER", subject: "$JS.ACK.FEED.ville-a.>" } }
      { service: { account: "LEDGER", subject: "cmd.ville-a.>" } }
    ]
  }
}
"""  # noqa: E501 - as the server reads it
SLUGS = st.from_regex(subjects.SLUG, fullmatch=True).filter(lambda slug: slug != "cmd")


def test_a_partner_is_given_its_consumer_and_its_commands() -> None:
    assert configuration("ULEDGER", [Partner("ville-a", "UVILLEA")]) == ONE


@given(st.lists(SLUGS, unique=True, max_size=5))
def test_what_is_exported_to_one_has_its_name_and_no_others(slugs: list[str]) -> None:
    text = configuration("U", [Partner(slug, f"U{number}") for number, slug in enumerate(slugs)])
    exported = re.findall(r'service: "([^"]+)",.* accounts: \["([^"]+)"\]', text)
    assert sorted({to for _, to in exported}) == sorted(slugs)
    for subject, to in exported:
        assert to in subject.split(".")
        assert [token for token in subject.split(".") if token in slugs] == [to]
    assert len(exported) == 5 * len(slugs)


def test_the_order_of_the_partners_changes_nothing() -> None:
    three = [Partner(name, f"U{name}") for name in ("a", "b", "c")]
    assert len({configuration("U", order) for order in itertools.permutations(three)}) == 1


@pytest.mark.parametrize("names", [[], ["100", "1k", "true", "include", "accounts", "ledger", "a" * 80]])
async def test_the_server_takes_it_whatever_the_names(tmp_path: Path, names: list[str]) -> None:
    """Bare, some of these would be a number, a size, a boolean or a word of the configuration's own."""
    users = [Partner(name, credentials.make(tmp_path / name)) for name in names]
    path = tmp_path / "accounts.conf"
    path.write_text(configuration(credentials.make(tmp_path / "own"), users))
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", await embedded_nats.check(path))


async def test_what_the_server_does_not_take_is_told_in_its_words(tmp_path: Path) -> None:
    path = tmp_path / "accounts.conf"
    path.write_text(configuration("U123", []))
    with pytest.raises(embedded_nats.ConfigRefused, match="Not a valid public nkey"):
        await embedded_nats.check(path)


def test_a_seed_is_its_owners_alone_and_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "a.nk"
    key = credentials.make(path)
    assert key.startswith("U")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().startswith("SU")
    with pytest.raises(FileExistsError):
        credentials.make(path)
    assert credentials.kept(path) == credentials.key_of(path) == key
    assert credentials.kept(tmp_path / "b.nk") != key


@pytest.mark.parametrize("change", ["", "not a seed", "SU" * 40, "account", "digit"])
def test_a_file_that_is_no_seed_is_told(tmp_path: Path, change: str) -> None:
    path = tmp_path / "a.nk"
    credentials.make(path)
    seed = path.read_text().strip()
    others = {"account": f"SA{seed[2:]}", "digit": seed[:20] + ("A" if seed[20] != "A" else "B") + seed[21:]}
    path.write_text(others.get(change, change))
    with pytest.raises(credentials.SeedUnfit, match=r"a\.nk holds no seed"):
        credentials.key_of(path)


async def test_a_check_that_never_ends_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nats-server"
    program.write_text("#!/bin/sh\nexec tail -f /dev/null\n")
    program.chmod(0o755)
    monkeypatch.setattr(embedded_nats, "server_path", lambda: program)
    monkeypatch.setattr(embedded_nats, "CHECK_SECONDS_MAX", 0.05)
    async with asyncio.timeout(5):
        with pytest.raises(embedded_nats.ConfigRefused, match="no word within"):
            await embedded_nats.check(tmp_path / "accounts.conf")
