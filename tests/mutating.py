"""
The mutation tester, with the tests collected once instead of once for each mutant.

`make mutants` runs it as `python -P tests/mutating.py run`, for the package `tests` that is imported
has to be the copy beside the mutants; its arguments are mutmut's own.
Each mutant is a fork of a process that has run the whole suite once. There mutmut would
let pytest collect the mutant's tests again, which takes ten times as long as running most
of them.
"""

import os
from collections.abc import Callable, Iterable
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from _pytest.config import _prepareconfig
from mutmut import __main__ as program
from mutmut.runners.harness import PytestRunner
from mutmut.stats import print_stats
from mutmut.utils.file_utils import change_cwd
from mutmut.workers import isolation

RESULTS_PER_COUNT = 100


class CollectedOnce(PytestRunner):
    """Runs what is asked for of the items of one session, that of the process it was forked from."""

    def __init__(self) -> None:
        super().__init__()
        self._items: dict[str, pytest.Item] = {}

    def run_forced_fail(self) -> int:
        """As of every runner: the last thing before the mutants, so that all is imported by now."""
        code = super().run_forced_fail()
        with change_cwd("mutants"):
            # Output is let through, so that no capture is open in the process all others are forked from.
            config = _prepareconfig(
                [
                    *("--rootdir=.", "-x", "-q", "--tb=no", "--capture=no"),
                    *self._pytest_add_cli_args_test_selection,
                    *self._pytest_add_cli_args,
                ]
            )
            config._do_configure()
            session = pytest.Session.from_config(config)
            config.hook.pytest_sessionstart(session=session)
            config.hook.pytest_collection(session=session)
        self._items = {item.nodeid: item for item in session.items}
        return code

    def run_tests(self, *, mutant_name: str | None, tests: Iterable[str]) -> int:
        """0 when all of *tests* pass, 1 at the first that does not."""
        if not self._items:
            return super().run_tests(mutant_name=mutant_name, tests=tests)
        items = [self._items[name] for name in sorted(tests, key=partial(_is_elsewhere, mutant_name))]
        session = items[0].session
        session.items = items
        with change_cwd("mutants"), Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            session.config.get_terminal_writer()._file = nowhere
            try:
                session.config.hook.pytest_runtestloop(session=session)
            except session.Failed:
                return 1
        return 1 if session.testsfailed else 0


def _is_elsewhere(mutant_name: str | None, test: str) -> bool:
    """Whether *test* is in a file that is named after no part of the mutant's module: those come last."""
    parts = (mutant_name or "").split(".")[:-1]
    return test.partition("::")[0].rpartition("/test_")[2].removesuffix(".py") not in parts


def seldom(show: Callable[..., None]) -> Callable[..., None]:
    """*show* at each RESULTS_PER_COUNT results: it goes through all of them every time."""
    turns = count()

    def shown(results: object, *, force_output: bool = False) -> None:
        if force_output or next(turns) % RESULTS_PER_COUNT == 0:
            show(results, force_output=force_output)

    return shown


if __name__ == "__main__":
    vars(isolation)["PytestRunner"] = CollectedOnce
    vars(program)["print_stats"] = seldom(print_stats)
    program.cli()
