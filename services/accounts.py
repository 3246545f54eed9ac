"""
Who may connect to the ledger's server, and what they reach: the text of its configuration.

Pure. One account is the ledger's own, where JetStream and the services are. Each partner
institution has an account of its own, a subject space apart, into which come five things and no more:

    JS.LEDGER.API.CONSUMER.MSG.NEXT.FEED.<institution>    the next messages of its feed
    JS.LEDGER.API.CONSUMER.INFO.FEED.<institution>        how far it has read
    JS.LEDGER.API.CONSUMER.RESET.FEED.<institution>       to read again from a sequence
    $JS.ACK.FEED.<institution>.>                          that it has read them
    cmd.<institution>.>                                   its commands

A server publishes to the reply subject of a request without asking whether who sent it may. In an
account of one's own that subject is one's own too: it leads to no stream and no service of the ledger.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from contracts import subjects

LEDGER: Final = "LEDGER"
"""The ledger's own account. No institution has this name: theirs are in lower case."""

API_PREFIX: Final = "JS.LEDGER.API"
"""
What a partner's client puts before its requests to JetStream.

Those that begin with $JS.API go to its own account, which has none.
"""

CONNECTIONS_MAX: Final = 16
SUBSCRIPTIONS_MAX: Final = 256
"""Of one connection."""

PAYLOAD_BYTES_MAX: Final = 1_048_576
"""A command has at most 1 000 000 bytes (contracts.commands), and a message some headers."""


class Partner(msgspec.Struct, frozen=True):
    """An institution that may connect: its name, and the public nkey of its user (U…)."""

    institution: str
    key: str


def configuration(ledger_key: str, partners: Iterable[Partner]) -> str:
    """
    The accounts of nats-server, to be included in its configuration.

    *ledger_key* is the public nkey of the services and the operator. The same partners give the
    same text, whatever their order.
    """
    ordered = sorted(partners, key=lambda partner: partner.institution)
    exports = "".join(_exports(partner.institution) for partner in ordered)
    accounts = "".join(map(_account, ordered))
    return f"""\
# Written by `registre`; what is changed here by hand is lost at the next change of partners.
accounts {{
  "{LEDGER}" {{
    jetstream: enabled
    users: [ {{ nkey: "{ledger_key}" }} ]
    exports: [
{exports}    ]
  }}
{accounts}}}
"""


def _requests(institution: str) -> list[str]:
    """What of JetStream's API is for the consumer of *institution*."""
    return [f"CONSUMER.{verb}.{subjects.FEED}.{institution}" for verb in ("MSG.NEXT", "INFO", "RESET")]


def _acks(institution: str) -> str:
    return f"$JS.ACK.{subjects.FEED}.{institution}.>"


def _exports(institution: str) -> str:
    following, *others = [f"$JS.API.{request}" for request in _requests(institution)]
    to = f'accounts: ["{institution}"]'
    lines = [f'{{ service: "{following}", response_type: stream, {to} }}']
    lines += [
        f'{{ service: "{subject}", {to} }}'
        for subject in (*others, _acks(institution), subjects.commands_of(institution))
    ]
    return "".join(f"      {line}\n" for line in lines)


def _account(partner: Partner) -> str:
    def of_ledger(subject: str) -> str:
        return f'service: {{ account: "{LEDGER}", subject: "{subject}" }}'

    imports = [
        f'{{ {of_ledger(f"$JS.API.{request}")}, to: "{API_PREFIX}.{request}" }}'
        for request in _requests(partner.institution)
    ]
    imports += [
        f"{{ {of_ledger(subject)} }}"
        for subject in (_acks(partner.institution), subjects.commands_of(partner.institution))
    ]
    lines = "".join(f"      {line}\n" for line in imports)
    return f"""\
  "{partner.institution}" {{
    users: [ {{ nkey: "{partner.key}" }} ]
    limits {{
      max_connections: {CONNECTIONS_MAX}
      max_subscriptions: {SUBSCRIPTIONS_MAX}
      max_payload: {PAYLOAD_BYTES_MAX}
      max_leafnodes: 0
    }}
    imports: [
{lines}    ]
  }}
"""
