"""
Follow the feed of an institution, with nats-py and nothing else.

    pip install 'nats-py[nkeys]'
    python subscriber.py ville-besancon --server nats://127.0.0.1:4222 --seed ville-besancon.nk

Where only port 443 is open to the outside, the server is a wss:// address, and aiohttp is installed too.
Prints each event, the ledger's own bytes, one a line. Every message has a number of the institution's
own, from 1 without gaps. The last one that was printed, and where it stood in the stream, are
kept in a file: there it begins again, whatever was delivered and not dealt with when it ended. With
--from it begins at any number, as often as you like.
"""

import argparse
import asyncio
import json
import ssl
import sys
from pathlib import Path

import nats
from nats.aio.msg import Msg

PREFIX = "JS.LEDGER.API"


class Feed:
    """The feed of one institution, and how far it was dealt with."""

    def __init__(self, bus: nats.NATS, institution: str, place: Path) -> None:
        self.bus, self.institution, self.place = bus, institution, place
        kept = json.loads(place.read_text()) if place.exists() else {"number": 0, "sequence": 0}
        self.number, self.sequence = kept["number"], kept["sequence"]

    async def begin_after(self, sequence: int) -> None:
        """Have everything after *sequence* of the stream delivered, whether it was before or not."""
        subject = f"{PREFIX}.CONSUMER.RESET.FEED.{self.institution}"
        reply = await self.bus.request(subject, json.dumps({"seq": sequence + 1}).encode())
        if error := json.loads(reply.data).get("error"):
            raise SystemExit(f"the server does not begin again at {sequence + 1}: {error['description']}")

    async def follow(self, *, once: bool) -> None:
        """Print what comes, in order; until there is no more, where *once*."""
        consumer = await self.bus.jetstream(prefix=PREFIX).pull_subscribe_bind(
            self.institution, stream="FEED"
        )
        await self.begin_after(self.sequence)
        missed = 0
        while True:
            try:
                messages = await consumer.fetch(100, timeout=1 if once else 5)
            except TimeoutError:
                if once:
                    return
                continue
            except nats.errors.Error as error:
                # The server stops, or is away: the connection comes back by itself, unless it is closed.
                if self.bus.is_closed:
                    raise
                await told(error)
                await asyncio.sleep(1)
                continue
            for message in messages:
                number = int(message.headers["Registre-Number"])
                if number > self.number + 1:
                    if missed == number:
                        raise SystemExit(f"after number {self.number} comes {number}: a gap, tell the ledger")
                    # Perhaps only late: once more, from the last one that we have.
                    missed = number
                    await self.begin_after(self.sequence)
                    break
                if number == self.number + 1:
                    print(message.data.decode(), flush=True)
                    self.keep(number, message)
                await message.ack()

    def keep(self, number: int, message: Msg) -> None:
        """Write down how far we are: before the acknowledgement, so that nothing is lost in between."""
        self.number, self.sequence = number, message.metadata.sequence.stream
        fresh = self.place.with_suffix(".new")
        fresh.write_text(json.dumps({"number": self.number, "sequence": self.sequence}))
        fresh.replace(self.place)


async def told(error: Exception) -> None:
    """A connection that is lost comes back by itself; one line says why it was."""
    print(error, file=sys.stderr)


async def main() -> None:
    """Connect, and follow."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("institution")
    asked.add_argument("--server", default="nats://127.0.0.1:4222", metavar="URL")
    asked.add_argument("--seed", metavar="FILE", help="the credentials; default: INSTITUTION.nk")
    asked.add_argument("--place", type=Path, metavar="FILE", help="default: INSTITUTION.place")
    asked.add_argument("--from", dest="first", type=int, metavar="NUMBER", help="begin at this number")
    asked.add_argument("--ca", metavar="FILE", help="who vouches for the server, where that is nobody known")
    asked.add_argument("--once", action="store_true", help="end when there is no more")
    of = asked.parse_args()
    seed = of.seed or f"{of.institution}.nk"
    bus = await nats.connect(
        of.server,
        nkeys_seed=seed,
        error_cb=told,
        max_reconnect_attempts=-1,
        tls=ssl.create_default_context(cafile=of.ca) if of.ca else None,
    )
    feed = Feed(bus, of.institution, of.place or Path(f"{of.institution}.place"))
    if of.first is not None:
        # Number n stands at sequence n or later: the stream has the messages of the others too.
        feed.number, feed.sequence = of.first - 1, of.first - 1
    try:
        await feed.follow(once=of.once)
    finally:
        await bus.close()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(130)
