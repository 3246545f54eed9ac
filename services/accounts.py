"""
Who may connect to the ledger's server, and what they reach: the text of its configuration.

Pure. One account is the ledger's own, where JetStream and the services are. In it each service is a
user of its own, with a list of what it may publish and hear, and the operator is one, who
may all but remove what LEDGER holds. Each partner
institution has an account of its own, a subject space apart, into which come five things and no more:

    JS.LEDGER.API.CONSUMER.MSG.NEXT.FEED.<institution>    the next messages of its feed
    JS.LEDGER.API.CONSUMER.INFO.FEED.<institution>        how far it has read
    JS.LEDGER.API.CONSUMER.RESET.FEED.<institution>       to read again from a sequence
    $JS.ACK.FEED.<institution>.>                          that it has read them
    cmd.<institution>.>                                   its commands

A server publishes to the reply subject of a request without asking whether who sent it may. In an
account of one's own that subject is one's own too: it leads to no stream and no service of the ledger.
"""

from collections.abc import Iterable, Mapping
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


class Reach(msgspec.Struct, frozen=True):
    """What a service may *publish* and *subscribe* to, besides what each of them may."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...] = ()


def _read(stream: str) -> tuple[str, ...]:
    """To read *stream* message by message, and where it ends."""
    return tuple(f"$JS.API.{verb}.{stream}" for verb in ("STREAM.INFO", "STREAM.MSG.GET", "DIRECT.GET"))


def _follow(stream: str) -> tuple[str, ...]:
    """To read *stream* through a consumer of one's own, that is forgotten when one has gone."""
    return tuple(f"$JS.API.CONSUMER.{verb}.{stream}.*" for verb in ("CREATE", "MSG.NEXT", "DELETE"))


SERVICES: Final[dict[str, Reach]] = {
    "registrar": Reach(
        publish=(subjects.APPENDED, *_read(subjects.LEDGER)),
        subscribe=(subjects.COMMANDS,),
    ),
    "relay": Reach(
        publish=(
            subjects.LEDGER_SUBJECTS,
            f"$JS.API.STREAM.CREATE.{subjects.LEDGER}",
            *_read(subjects.LEDGER),
        ),
        subscribe=(subjects.APPENDED,),
    ),
    "feeder": Reach(
        publish=(
            subjects.FEED_SUBJECTS,
            f"$JS.API.STREAM.CREATE.{subjects.FEED}",
            *_read(subjects.FEED),
            *_read(subjects.LEDGER),
            *_follow(subjects.LEDGER),
        ),
        subscribe=(subjects.LEDGER_SUBJECTS,),
    ),
    "projector": Reach(
        publish=("query.status", *_read(subjects.LEDGER), *_follow(subjects.LEDGER)),
        subscribe=("query.*",),
    ),
    "portal": Reach(
        publish=(
            subjects.COMMANDS,
            "query.*",
            "$SRV.*.>",
            *_read(subjects.LEDGER),
            *_follow(subjects.LEDGER),
            *_read(subjects.FEED),
            # Of no name: a consumer that has one may be a partner's.
            f"$JS.API.CONSUMER.CREATE.{subjects.FEED}",
        ),
        subscribe=(subjects.APPENDED,),
    ),
}
"""
The services, each with what it says and hears. A list names what is allowed; all else is refused.

None may delete, purge or change a stream. Two may create one, each its own; where it is, nothing changes.
"""

HEALTH: Final = "health"
"""The connection that looks at a service from beside it, with that service's key (services.health)."""

KEPT_FROM_OPERATOR: Final = tuple(
    f"$JS.API.STREAM.{verb}.{subjects.LEDGER}" for verb in ("DELETE", "PURGE", "MSG.DELETE", "UPDATE")
)
"""
What nobody's key is good for: to remove events from LEDGER.

Whoever has to, an event being no more what the store has, does so as the owner of the server's machine.
"""


class Partner(msgspec.Struct, frozen=True):
    """An institution that may connect: its name, and the public nkey of its user (U…)."""

    institution: str
    key: str


def configuration(
    ledger_key: str, partners: Iterable[Partner], service_keys: Mapping[str, str] | None = None
) -> str:
    """
    The accounts of nats-server, to be included in its configuration.

    *ledger_key* is the public nkey of the operator, *service_keys* are those of the services, by their
    names in SERVICES. The same partners give the same text, whatever their order.
    """
    ordered = sorted(partners, key=lambda partner: partner.institution)
    users = "".join(_user(name, key) for name, key in sorted((service_keys or {}).items()))
    exports = "".join(_exports(partner.institution) for partner in ordered)
    accounts = "".join(map(_account, ordered))
    return f"""\
# Written by `registre`; what is changed here by hand is lost at the next change of partners.
accounts {{
  "{LEDGER}" {{
    jetstream: enabled
    users: [
      {{ nkey: "{ledger_key}", permissions: {{ publish: {{ deny: {_listed(KEPT_FROM_OPERATOR)} }} }} }}
{users}    ]
    exports: [
{exports}    ]
  }}
{accounts}}}
"""


def _user(name: str, key: str) -> str:
    """What the service *name* may, as the server reads it."""
    reach = SERVICES[name]
    publish = (
        *reach.publish,
        # Answers, to those in this account and to those in another.
        "_INBOX.>",
        "_R_.>",
        # For whoever looks at it with its own key.
        "$JS.API.INFO",
        f"$SRV.*.{name}",
        f"admin.{name}.status",
    )
    subscribe = (
        *reach.subscribe,
        f"_INBOX.{name}.>",
        f"_INBOX.{HEALTH}.>",
        "$SRV.*",
        f"$SRV.*.{name}",
        f"$SRV.*.{name}.*",
        f"admin.{name}.*",
    )
    return f"""\
      {{ nkey: "{key}", permissions: {{
        publish: {{ allow: {_listed(publish)} }}
        subscribe: {{ allow: {_listed(subscribe)} }}
      }} }}
"""


def _listed(names: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


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
