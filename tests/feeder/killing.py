"""
Feeders to be killed by the dozen: real processes, forked from one that has done the imports.

Starting an interpreter takes longer than all that a feeder does here in its life.
"""

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess

from services import runtime
from services.feeder import __main__ as process

_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload([__name__])


@contextmanager
def forked(url: str) -> Iterator[ForkServerProcess]:
    """A feeder at work; killed at the end, if it was not before."""
    running = _forking.Process(target=_feed, args=(url,), daemon=True)
    running.start()
    try:
        yield running
    finally:
        running.kill()
        running.join()
        running.close()


def _feed(url: str) -> None:
    os.environ["REGISTRE_NATS_URL"] = url
    runtime.run(process.main, service="feeder")
