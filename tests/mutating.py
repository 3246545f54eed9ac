"""
The mutation tester, made quick enough for thousands of mutants of rules that every statement goes through.

`make mutants` runs it as `python -P tests/mutating.py run`, for the package `tests` that is imported
has to be the copy beside the mutants; its arguments are mutmut's own. What it does otherwise than mutmut:

- A call of a mutated function is a call of that function. mutmut goes through a wrapper that asks the
  environment each time which mutant is the one, which makes the tests five times as slow; here the
  process of a mutant puts the mutant's code into the function once.
- The tests are collected once, in the process that all mutants are forked from, and not for each.
- The tests that found other mutants of the same function come first, then those of the file named after
  the mutant's module, the quick ones before the slow ones.
- Results are written at the end, and not all those of a file at each of them; SIGTERM is such an end.
"""

import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import FrameType, FunctionType, MethodType
from typing import Any
from unittest.mock import patch

import pytest
from _pytest.config import _prepareconfig
from mutmut import __main__ as program
from mutmut.mutation import trampoline
from mutmut.mutation.data import SourceFileMutationData
from mutmut.runners.harness import PytestRunner
from mutmut.state import state
from mutmut.stats import print_stats
from mutmut.utils.file_utils import change_cwd
from mutmut.utils.format_utils import mangled_name_from_mutant_name
from mutmut.workers import isolation

STARTED = os.getpid()

RESULTS_PER_COUNT = 100

WATCHED_SECONDS_MAX = 300
"""For a test that is watched: each call of a function then takes several times as long."""

SUSPICIOUS = 35
"""What mutmut wants to hear of a mutant of which nothing can be said."""

FOUND = Path("mutants/found").absolute()
"""A file for each mutated function: the tests that found its mutants, one a line."""

Mutants = dict[str, Any]
"""The variants of one function by name, and the original as "_mutmut_orig"; methods of a class are bound."""

_mutated: list[tuple[FunctionType, Mutants]] = []


def mutated(mutants: Mutants, is_classmethod: bool = False) -> Callable[[FunctionType], FunctionType]:
    """In place of mutmut's wrapper: the function as it is, remembered."""

    def remembered(function: FunctionType) -> FunctionType:
        _mutated.append((function, mutants))
        return function

    return remembered


def become(mutant_name: str) -> None:
    """Give the function the code of that mutant, wherever it is held. For the rest of the process."""
    module, _, name = mutant_name.rpartition(".")
    [(function, mutants)] = [one for one in _mutated if one[0].__module__ == module and name in one[1]]
    mutant = mutants[name]
    if isinstance(mutant, MethodType):
        mutant = mutant.__func__
    function.__code__ = mutant.__code__
    function.__defaults__, function.__kwdefaults__ = mutant.__defaults__, mutant.__kwdefaults__


def _watching() -> Callable[[FrameType, str, object], None]:
    """A profiler that tells mutmut which mutated functions are called."""
    names = {
        id(function.__code__): f"{function.__module__}.{mangled_name_from_mutant_name(original.__name__)}"
        for function, mutants in _mutated
        for original in [mutants["_mutmut_orig"]]
    }

    def watch(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and (name := names.get(id(frame.f_code))):
            state()._stats.add(name)

    return watch


class CollectedOnce(PytestRunner):
    """Runs what is asked for of the items of one session, that of the process it was forked from."""

    def __init__(self) -> None:
        super().__init__()
        self._items: dict[str, pytest.Item] = {}
        self._failed = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember the test that failed."""
        if report.failed:
            self._failed = report.nodeid

    def run_stats(self, *, tests: Iterable[str]) -> int:
        """Note which tests call which functions; mutmut wants the exit code."""
        self._collect()
        watch = _watching()
        threading.setprofile(watch)
        sys.setprofile(watch)
        unhurried = [*self._pytest_add_cli_args, f"--timeout={WATCHED_SECONDS_MAX}"]
        try:
            with patch.object(self, "_pytest_add_cli_args", unhurried):
                code = super().run_stats(tests=tests)
            if sys.getprofile() is not watch:
                raise RuntimeError("a test took the profiler away: nobody knows which tests call what")
            return code
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def run_forced_fail(self) -> int:
        """Whether a mutant is what the tests run: 1 when some of them fail without their functions."""
        self._collect()

        def remove_all() -> None:
            for function, _ in _mutated:
                if not function.__code__.co_freevars:
                    function.__code__ = _gone.__code__

        return self._run_beside(self._items, remove_all)

    def _collect(self) -> None:
        if self._items:
            return
        with change_cwd("mutants"):
            # Output is let through, so that no capture is open in the process all others are forked from.
            config = _prepareconfig(
                [
                    *("--rootdir=.", "-x", "-q", "--tb=no", "--capture=no"),
                    *self._pytest_add_cli_args_test_selection,
                    *self._pytest_add_cli_args,
                ]
            )
            config.pluginmanager.register(self)
            config._do_configure()
            session = pytest.Session.from_config(config)
            config.hook.pytest_sessionstart(session=session)
            config.hook.pytest_collection(session=session)
        self._items = {_plain(item.nodeid): item for item in session.items}
        assert len(self._items) == len(session.items), "two tests of one name"

    def run_tests(self, *, mutant_name: str | None, tests: Iterable[str]) -> int:
        """0 when all of *tests* pass, 1 at the first that does not, SUSPICIOUS where they cannot be run."""
        if not self._items or not tests:  # all of them, before there is a mutant
            return super().run_tests(mutant_name=mutant_name, tests=tests)
        if mutant_name is None:
            return self._run_beside(tests, lambda: None)
        try:
            become(mutant_name)
            return self._run(tests, mutant_name)
        except Exception:  # noqa: BLE001 - this process is the mutant's: whatever fails in it is no kill
            return SUSPICIOUS

    def _run_beside(self, tests: Iterable[str], prepare: Callable[[], None]) -> int:
        """As _run, in a process of its own, once *prepare* was called there."""
        child = os.fork()
        if child:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        code = SUSPICIOUS
        try:
            prepare()
            code = self._run(tests, "none.none__mutmut_0")
        finally:
            os._exit(code)

    def _run(self, tests: Iterable[str], mutant_name: str) -> int:
        found = FOUND / mutant_name.rpartition("__mutmut_")[0]
        earlier = found.read_text().splitlines() if found.exists() else []
        seconds = state().duration_by_test

        def promise(test: str) -> tuple[int, bool, float]:
            return -earlier.count(_plain(test)), _is_elsewhere(mutant_name, test), seconds.get(test, 0.0)

        items = [self._items[_plain(name)] for name in sorted(tests, key=promise)]
        session = items[0].session
        session.items = items
        with change_cwd("mutants"), Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            session.config.get_terminal_writer()._file = nowhere
            with suppress(session.Failed):
                session.config.hook.pytest_runtestloop(session=session)
        if not session.testsfailed:
            return 0
        FOUND.mkdir(exist_ok=True)
        with found.open("a", encoding="utf-8") as lines:
            lines.write(f"{_plain(self._failed)}\n")
        return 1


def _plain(test: str) -> str:
    """The name of *test*, whose accents pytest escapes once more at each time that it collects it."""
    return re.sub(r"\\+", "/", test)


def _gone(*_: object, **__: object) -> None:
    """In place of any function."""


def _is_elsewhere(mutant_name: str, test: str) -> bool:
    """Whether *test* is in a file that is named after no part of the mutant's module: those come last."""
    parts = mutant_name.split(".")[:-1]
    return test.partition("::")[0].rpartition("/test_")[2].removesuffix(".py") not in parts


def seldom(show: Callable[..., None]) -> Callable[..., None]:
    """*show* at each RESULTS_PER_COUNT results: it goes through all of them every time."""
    turns = count()

    def shown(results: object, *, force_output: bool = False) -> None:
        if force_output or next(turns) % RESULTS_PER_COUNT == 0:
            show(results, force_output=force_output)

    return shown


def saving_at_the_end(
    register: Callable[..., None], unsaved: dict[str, SourceFileMutationData]
) -> Callable[..., None]:
    """*register*, which writes all results of a file at each; now it notes in *unsaved* whose to write."""

    def put_off(results: SourceFileMutationData) -> None:
        unsaved[str(results.path)] = results

    def registered(*arguments: object) -> None:
        with patch.object(SourceFileMutationData, "save", put_off):
            register(*arguments)

    return registered


def end(*_: object) -> None:
    """End as if all were tried: what was found until now is written. A process of a mutant just dies."""
    if os.getpid() != STARTED:
        os._exit(SUSPICIOUS)
    raise SystemExit("ended before all mutants were tried")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end)
    vars(trampoline)["wrap_in_trampoline"] = mutated
    vars(isolation)["PytestRunner"] = CollectedOnce
    vars(program)["print_stats"] = seldom(print_stats)
    unsaved: dict[str, SourceFileMutationData] = {}
    vars(program)["_register_mutant_result"] = saving_at_the_end(program._register_mutant_result, unsaved)
    try:
        program.cli()
    finally:
        for results in unsaved.values():
            results.save()
