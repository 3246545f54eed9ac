"""
The partner institutions that may connect: who they are, their keys, their consumers, and whether it works.

What is known of them is in one file beside the server's configuration, `partners.json`, public keys
alone. The accounts that the server includes are written from it. A seed is written once, to a
file for the partner, and nothing of it stays here.

Each change is made in this order: the consumer in FEED, the files, the server's reading of
them, and a look from the partner's side. Who is interrupted asks again: each step is made to be done twice.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import APIError, NotFoundError

from contracts import subjects
from services import accounts, credentials, embedded_nats, runtime

LEDGER_SEED: Final = "ledger.nk"
"""The seed of the operator, in the server's folder."""

REGISTER: Final = "partners.json"

SERVICE_KEYS: Final = "services.json"
"""The public keys of the services by name; their seeds are beside the ledger's own, a folder for each."""

ACK_SECONDS_MAX: Final = 30.0
"""After which what a partner has not acknowledged comes again."""

UNACKNOWLEDGED_MAX: Final = 1_000
PULLS_WAITING_MAX: Final = 16

ANSWER_SECONDS_MAX: Final = 2.0
"""Of one request to JetStream."""

LOOK_SECONDS_MAX: Final = 5.0
"""From the server's word that it has read its configuration until a partner sees the effect."""

POLL_SECONDS: Final = 0.2

Connect = Callable[[Path], contextlib.AbstractAsyncContextManager[Client]]
"""A connection to the server with the seed in a file; raises runtime.NotAllowed where it is refused."""


class PartnersError(RuntimeError):
    """What stands against a change of partners; the sentence says what was done and what to do."""


class PartnerAlready(PartnersError):
    """The institution has its account."""

    def __init__(self, institution: str) -> None:
        super().__init__(
            f"{institution} may connect already: `registre partners rotate {institution}` gives it other "
            "credentials, and what it has read stays read"
        )
        self.institution = institution


class NotAPartner(PartnersError):
    """The institution has no account."""

    def __init__(self, institution: str, *, known: Iterable[str]) -> None:
        named = ", ".join(sorted(known)) or "nobody"
        super().__init__(f"{institution} is no partner that may connect; those who are: {named}")
        self.institution = institution


class NoFeed(PartnersError):
    """There is no stream FEED to read from: nothing was changed."""

    def __init__(self) -> None:
        super().__init__(
            f"the server has no stream {subjects.FEED}, and nothing was changed: start the feeder, ask again"
        )


class NoConsumer(PartnersError):
    """The server does not do with the consumer of an institution what the change needs."""

    def __init__(self, institution: str, *, said: str) -> None:
        super().__init__(
            f"the server says of the consumer of {institution} in {subjects.FEED}: {said}; ask again later"
        )
        self.institution = institution
        self.said = said


class FileThere(PartnersError):
    """There is a file where the credentials were to go: nothing was changed."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is there already, and nothing was changed: move it, or name another with --to"
        )
        self.path = path


class RegisterUnfit(PartnersError):
    """The register is not what was written."""

    def __init__(self, path: Path, *, reason: str) -> None:
        super().__init__(f"{path} cannot be read ({reason}): restore it; nothing was changed")
        self.path = path


class AnotherChange(PartnersError):
    """Somebody else changes the partners at this moment."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"another change of partners is under way in {folder}: nothing was changed; ask again"
        )


class NotTried(PartnersError):
    """The change stands in the files, and nothing here can tell whether the server has read it."""

    def __init__(self, file: Path) -> None:
        super().__init__(
            f"the change stands in {file}, and the server is not ours to signal: send its process SIGHUP, "
            "and a second later once more. Until then the old credentials are good, and without their file "
            "nothing can be tried from here"
        )
        self.file = file


class NotSeen(PartnersError):
    """The change stands in the files, and the partner's side does not show it."""

    def __init__(self, institution: str, *, what: str, file: Path, seconds: float) -> None:
        super().__init__(
            f"{what} within {seconds:g} s. The change for {institution} stands in {file}: has the server "
            "read it, twice? (kill -HUP, a second, and once more.) "
            f"`registre partners rotate {institution}` tries again"
        )
        self.institution = institution


class Partner(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An institution that may connect, or might once: *key* is the public one it had last."""

    institution: str
    key: str
    added_at: datetime
    rotated_at: datetime | None = None
    revoked_at: datetime | None = None


# -- the files -----------------------------------------------------------------


def register(folder: Path) -> tuple[Partner, ...]:
    """All partners there are and were, by name. Raises RegisterUnfit."""
    path = folder / REGISTER
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[Partner, ...])
    except FileNotFoundError:
        return ()
    except msgspec.MsgspecError as error:
        raise RegisterUnfit(path, reason=str(error)) from None


async def prepare(folder: Path, seed: Path | None = None) -> Path:
    """
    Give the server that is to start in *folder* its accounts: the path of the ledger's own seed.

    That is *seed*, or the usual file in the folder; the services have theirs beside it, each in a folder of
    its own, so that it can be given that one alone. What is not there is made.

    Raises RegisterUnfit, credentials.SeedUnfit, and what embedded_nats.check raises.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seed = seed or folder / LEDGER_SEED
    credentials.kept(seed)
    keys = {}
    for name in accounts.SERVICES:
        own = _seed_of(name, seed)
        own.parent.mkdir(mode=0o700, exist_ok=True)
        keys[name] = credentials.kept(own)
    with _locked(folder):
        listed = msgspec.json.format(msgspec.json.encode(keys), indent=2) + b"\n"
        _written(folder / f"{SERVICE_KEYS}.new", listed).replace(folder / SERVICE_KEYS)
        await _change(folder, register(folder), seed)
    return seed


def seed_of_service(name: str, ledger_seed: Path) -> Path:
    """
    With which seed the service *name* connects, where the operator's is in the file *ledger_seed*.

    Its own, where it has one there: a server that is not ours may know the operator's alone.
    """
    own = _seed_of(name, ledger_seed)
    return own if name in accounts.SERVICES and own.exists() else ledger_seed


def _seed_of(name: str, ledger_seed: Path) -> Path:
    return ledger_seed.with_name(name) / f"{name}.nk"


def _service_keys(folder: Path) -> dict[str, str]:
    """The public keys of the services; none where the server has not been started since they have any."""
    path = folder / SERVICE_KEYS
    try:
        keys = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return {}
    except msgspec.MsgspecError as error:
        raise RegisterUnfit(path, reason=str(error)) from None
    return {name: key for name, key in keys.items() if name in accounts.SERVICES}


async def _change(folder: Path, partners: Iterable[Partner], ledger_seed: Path) -> None:
    """Write the register and the accounts, each whole; neither, where the server would not take it."""
    ordered = tuple(sorted(partners, key=lambda partner: partner.institution))
    users = [accounts.Partner(it.institution, it.key) for it in _active(ordered)]
    text = accounts.configuration(credentials.key_of(ledger_seed), users, _service_keys(folder))
    included = _written(folder / f"{embedded_nats.ACCOUNTS}.new", text.encode())
    # Where the server is on another machine, so is its program.
    with contextlib.suppress(embedded_nats.ServerMissing):
        await embedded_nats.check(included)
    listed = msgspec.json.format(msgspec.json.encode(ordered), indent=2) + b"\n"
    _written(folder / f"{REGISTER}.new", listed).replace(folder / REGISTER)
    included.replace(folder / embedded_nats.ACCOUNTS)


def _written(path: Path, content: bytes) -> Path:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return path


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One change at a time."""
    lock = os.open(folder / "partners.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AnotherChange(folder) from None
        yield
    finally:
        os.close(lock)


# -- the changes ---------------------------------------------------------------


class Office(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a change of partners needs.

    *folder* has the server's configuration, *ledger_seed* is the file with the operator's own key.
    *tell* is given what a person has to do where the server is not ours to signal, and
    *wait_seconds_max* is how long that person may take.
    """

    folder: Path
    ledger_seed: Path
    connect: Connect
    tell: Callable[[str], None]
    wait_seconds_max: float


async def add(office: Office, institution: str, to: Path) -> None:
    """
    Let *institution* connect, its seed in a new file at *to*: returns once that works.

    Raises a PartnersError, an EmbeddedNatsError, a BusError, SeedUnfit or an OSError.
    """
    with _locked(office.folder):
        partners = register(office.folder)
        if any(it.institution == institution for it in _active(partners)):
            raise PartnerAlready(institution)
        others = [it for it in partners if it.institution != institution]
        async with _provided(office, institution):
            with _new_credentials(to) as key:
                added = Partner(institution=institution, key=key, added_at=datetime.now(UTC))
                await _change(office.folder, [*others, added], office.ledger_seed)
            await _seen(office, institution, to, seconds=await _take_effect(office), is_new=True)


async def rotate(office: Office, institution: str, to: Path) -> bool:
    """
    Give *institution* other credentials, in the file at *to*: returns once they work.

    The old ones end at once, with the connections made by them. Where the file at *to* has them,
    it is replaced, and True says that they were tried and refused. Raises what add raises.
    """
    with _locked(office.folder):
        partners = register(office.folder)
        partner = _named(_active(partners), institution)
        others = [it for it in partners if it is not partner]
        has_old = _holds(to, partner)
        if to.exists() and not has_old:
            raise FileThere(to)
        fresh = to.with_name(f"{to.name}.new") if has_old else to
        async with _provided(office, institution):
            with _new_credentials(fresh) as key:
                changed = msgspec.structs.replace(partner, key=key, rotated_at=datetime.now(UTC))
                await _change(office.folder, [*others, changed], office.ledger_seed)
            try:
                seconds = await _take_effect(office)
                await _seen(office, institution, fresh, seconds=seconds, is_new=False)
                if has_old:
                    await _shut_out(office, institution, to, seconds=seconds)
            finally:
                # Seen or not, these are the ones that the register names.
                fresh.replace(to)
    return has_old


async def revoke(office: Office, institution: str, old: Path) -> bool:
    """
    Let *institution* connect no more; its open connections end, and its place in the feed is forgotten.

    May be asked again, where it was interrupted. Where the file at *old* has its credentials, True
    says that they were tried and refused; else the server's word that it has read its configuration
    is what we have. Raises NotTried where there is neither, and what add raises.
    """
    with _locked(office.folder):
        partners = register(office.folder)
        partner = _named(partners, institution)
        others = [it for it in partners if it is not partner]
        has_old = _holds(old, partner)
        async with office.connect(office.ledger_seed) as bus:
            gone = msgspec.structs.replace(partner, revoked_at=partner.revoked_at or datetime.now(UTC))
            await _change(office.folder, [*others, gone], office.ledger_seed)
            try:
                seconds = await _take_effect(office, is_awaited=has_old)
            finally:
                # Without it there is nothing to read, also where the server does not know of the rest yet.
                await _forget(bus, institution)
            if has_old:
                await _shut_out(office, institution, old, seconds=seconds)
    return has_old


async def restore(office: Office) -> list[str]:
    """Give every partner its consumer where FEED was made anew, from the beginning: their names."""
    with _locked(office.folder):
        names = [it.institution for it in _active(register(office.folder))]
        for institution in names:
            async with _provided(office, institution):
                pass
    return names


def _active(partners: Iterable[Partner]) -> list[Partner]:
    return [it for it in partners if it.revoked_at is None]


def _named(partners: Iterable[Partner], institution: str) -> Partner:
    by_name = {it.institution: it for it in partners}
    if institution not in by_name:
        raise NotAPartner(institution, known=[it.institution for it in _active(by_name.values())])
    return by_name[institution]


def _holds(seed: Path, partner: Partner) -> bool:
    """Whether the file at *seed* has the credentials that *partner* has now."""
    with contextlib.suppress(OSError, credentials.SeedUnfit):
        return credentials.key_of(seed) == partner.key
    return False


@contextlib.contextmanager
def _new_credentials(path: Path) -> Iterator[str]:
    """A new pair, its seed in a file at *path*, which goes again where the block fails: the public key."""
    try:
        key = credentials.make(path)
    except FileExistsError:
        raise FileThere(path) from None
    try:
        yield key
    except BaseException:
        path.unlink()
        raise


@contextlib.asynccontextmanager
async def _provided(office: Office, institution: str) -> AsyncIterator[None]:
    """A block in which *institution* has its consumer, with the ledger's own connection kept to the end."""
    consumer = ConsumerConfig(
        name=institution,
        durable_name=institution,
        filter_subject=subjects.feed_of(institution),
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_SECONDS_MAX,
        max_ack_pending=UNACKNOWLEDGED_MAX,
        max_waiting=PULLS_WAITING_MAX,
    )
    async with office.connect(office.ledger_seed) as bus:
        try:
            await bus.jetstream(timeout=ANSWER_SECONDS_MAX).add_consumer(subjects.FEED, consumer)
        except NotFoundError:
            raise NoFeed from None
        except NatsError as error:
            raise NoConsumer(institution, said=str(error)) from error
        yield


async def _forget(bus: Client, institution: str) -> None:
    """Remove the consumer of *institution*, and with it how far it has read."""
    try:
        await bus.jetstream(timeout=ANSWER_SECONDS_MAX).delete_consumer(subjects.FEED, institution)
    except NotFoundError:
        pass  # so be it
    except NatsError as error:
        raise NoConsumer(institution, said=str(error)) from error


async def _take_effect(office: Office, *, is_awaited: bool = True) -> float:
    """Have the server read the change: how long the partner's side may take to show it, in seconds."""
    try:
        await embedded_nats.reload(office.folder)
    except embedded_nats.NotOurs:
        file = office.folder / embedded_nats.ACCOUNTS
        if not is_awaited:
            raise NotTried(file) from None
        office.tell(
            f"The server is not ours to signal. Its configuration has to include {file}; have it read that "
            f"twice: send its process SIGHUP, and a second later once more. "
            f"Waiting up to {office.wait_seconds_max:g} s for the effect."
        )
        return office.wait_seconds_max
    return LOOK_SECONDS_MAX


async def _seen(office: Office, institution: str, seed: Path, *, seconds: float, is_new: bool) -> None:
    """Returns once *institution* reaches its feed with the key in *seed*. Raises NotSeen."""
    what = "the server did not let it in"
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    async with office.connect(seed) as bus:
                        what = "it was let in, and did not reach its consumer"
                        await _reach(bus, institution, is_new=is_new)
                        return
                except (runtime.BusError, NatsError):
                    await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        file = office.folder / embedded_nats.ACCOUNTS
        raise NotSeen(institution, what=what, file=file, seconds=seconds) from None


async def _reach(bus: Client, institution: str, *, is_new: bool) -> None:
    """Use what a partner has been given; raises what the server, or its silence, makes of it."""
    api = f"{accounts.API_PREFIX}.CONSUMER"
    await bus.jetstream(prefix=accounts.API_PREFIX, timeout=ANSWER_SECONDS_MAX).consumer_info(
        subjects.FEED, institution
    )
    if is_new:
        # Nobody reads yet whose place this could disturb; the second puts the consumer back to its beginning.
        of = f"{subjects.FEED}.{institution}"
        inbox = bus.new_inbox()
        answers = await bus.subscribe(inbox)
        await bus.publish(f"{api}.MSG.NEXT.{of}", b'{"batch":1,"no_wait":true}', reply=inbox)
        await answers.next_msg(timeout=ANSWER_SECONDS_MAX)
        reply = await bus.request(f"{api}.RESET.{of}", b'{"seq":1}', timeout=ANSWER_SECONDS_MAX)
        answer = msgspec.json.decode(reply.data, type=dict[str, Any])
        if "error" in answer:
            raise APIError.from_error(answer["error"])


async def _shut_out(office: Office, institution: str, seed: Path, *, seconds: float) -> None:
    """Returns once the key in *seed* is refused. Raises NotSeen."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    async with office.connect(seed):
                        pass
                except runtime.NotAllowed:
                    return
                except runtime.BusError:
                    pass
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        file = office.folder / embedded_nats.ACCOUNTS
        what = "the old credentials were not refused"
        raise NotSeen(institution, what=what, file=file, seconds=seconds) from None
