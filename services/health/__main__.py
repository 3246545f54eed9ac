"""
A look at one service, as a program: `python -m services.health relay`.

Reads from the environment REGISTRE_NATS_URL and REGISTRE_NATS_SEED, and for the portal
REGISTRE_HTTP_ADDRESS and REGISTRE_HTTP_CERTIFICATE, as the service itself does. Exit code 0 where it is
well; else 1, and one sentence on stderr. It ends within SECONDS_MAX.
"""

import argparse
import asyncio
import os
import sys
from http.client import HTTPException

from services import runtime
from services.health.health import PORTAL, look, look_at_portal

CONNECT_SECONDS_MAX = 4.0
SECONDS_MAX = 12.0


async def main(service: str) -> None:
    async with asyncio.timeout(SECONDS_MAX):
        if service == PORTAL:
            port = int(os.environ["REGISTRE_HTTP_ADDRESS"].rpartition(":")[2])
            await look_at_portal(port, is_secure=bool(os.environ.get("REGISTRE_HTTP_CERTIFICATE")))
            return
        connection = runtime.connected(
            os.environ["REGISTRE_NATS_URL"],
            "health",
            seed=runtime.seed_of(os.environ),
            seconds_max=CONNECT_SECONDS_MAX,
        )
        async with connection as bus:
            await look(bus, service)


if __name__ == "__main__":
    asked = argparse.ArgumentParser(prog="python -m services.health", description=__doc__)
    asked.add_argument("service", help="nats, or any of registrar, relay, feeder, projector, portal")
    try:
        asyncio.run(main(asked.parse_args().service))
    except TimeoutError:
        sys.exit(f"no word within {SECONDS_MAX:g} s")
    except (RuntimeError, OSError, HTTPException) as error:  # Unwell, a BusError, a seed that is none
        sys.exit(str(error) or type(error).__name__)
