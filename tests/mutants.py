"""
What became of the mutants: the share that died, and the survivors that nobody explained.

`make mutants` feeds it mutmut's results. Exit code 1 under KILLED_PERCENT_MIN,
for a survivor that tests/surviving_mutants does not list with its reason, and
for a run that did not reach its end.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

KILLED_PERCENT_MIN = 85
SURVIVORS_LISTED = Path(__file__).with_name("surviving_mutants")
DEAD = {"killed", "timeout", "segfault", "caught by type check"}


def parsed(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each mutant's name and what became of it."""
    for line in lines:
        name, separator, fate = line.strip().rpartition(": ")
        if separator:
            yield name, fate


def explained(text: str) -> list[str]:
    """The patterns that have a reason."""
    entries = [line.partition(": ") for line in text.splitlines() if line.strip() and line[0] != "#"]
    return [pattern.strip() for pattern, _, reason in entries if reason.strip()]


def report(results: Iterable[tuple[str, str]], patterns: list[str]) -> tuple[list[str], bool]:
    """The lines to print, and whether the tests are as good as promised."""
    fates = dict(results)
    # 'eventstore.clock.x_utc_now__mutmut_1', 'eventstore.clock.xǁInstantsǁ__init____mutmut_1'
    modules = {name: name.rpartition(".")[0] for name in fates}
    all_of, dead_of = Counter(modules.values()), Counter(modules[m] for m in fates if fates[m] in DEAD)
    unexplained = [
        f"{name}: {fate}"
        for name, fate in fates.items()
        if fate not in DEAD and not any(fnmatchcase(name, pattern) for pattern in patterns)
    ]
    percent = 100 * dead_of.total() / max(all_of.total(), 1)
    lines = [f"{dead_of[m]:6} of {all_of[m]:6} died in {m}" for m in sorted(all_of)]
    lines += [f"survived without a reason: {each}" for each in unexplained]
    lines.append(f"{dead_of.total()} of {all_of.total()} mutants died: {percent:.1f} %")
    lines.append(f"wanted: {KILLED_PERCENT_MIN} %, and no survivor without a reason ({len(unexplained)} now)")
    return lines, percent >= KILLED_PERCENT_MIN and not unexplained


if __name__ == "__main__":
    printed, is_good = report(parsed(sys.stdin), explained(SURVIVORS_LISTED.read_text(encoding="utf-8")))
    print("\n".join(printed))
    sys.exit(not is_good)
