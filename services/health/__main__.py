"""
A look at one service, as a program: `python -m services.health relay`.

Reads from the environment REGISTRE_NATS_URL and REGISTRE_NATS_SEED, as the service itself does. Exit
code 0 where it is well; else 1, and one sentence on stderr. It ends within SECONDS_MAX.
"""

import argparse
import asyncio
import os
import sys

from services import runtime
from services.health.health import look

CONNECT_SECONDS_MAX = 4.0
SECONDS_MAX = 12.0


async def main(service: str) -> None:
    async with (
        asyncio.timeout(SECONDS_MAX),
        runtime.connected(
            os.environ["REGISTRE_NATS_URL"],
            "health",
            seed=runtime.seed_of(os.environ),
            seconds_max=CONNECT_SECONDS_MAX,
        ) as bus,
    ):
        await look(bus, service)


if __name__ == "__main__":
    asked = argparse.ArgumentParser(prog="python -m services.health", description=__doc__)
    asked.add_argument("service", help="nats, or the name of a service: registrar, relay, feeder, projector")
    try:
        asyncio.run(main(asked.parse_args().service))
    except TimeoutError:
        sys.exit(f"no word within {SECONDS_MAX:g} s")
    except (RuntimeError, OSError) as error:  # Unwell, a BusError, a seed that is none: each a sentence
        sys.exit(str(error))
