"""
What became of the mutants: the share that died, and the survivors that nobody explained.

`make mutants` feeds it mutmut's results. Exit code 1 under KILLED_PERCENT_MIN,
for a survivor that tests/surviving_mutants does not list with its reason, and
for a run that did not reach its end.

A survivor is known by its function and the lines it changes. Its number would
be another one as soon as anybody edits that function.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

KILLED_PERCENT_MIN = 85
SURVIVORS_LISTED = Path(__file__).with_name("surviving_mutants")
DEAD = {"killed", "timeout", "segfault", "caught by type check"}


class Change(NamedTuple):
    """What a mutant does to a function: "- was" and "+ is". Listed without an end, whatever that is."""

    function: str
    lines: tuple[str, ...] = ()

    def covers(self, other: "Change") -> bool:
        """Whether the reason of this one is the reason of *other*."""
        return fnmatchcase(other.function, self.function) and other.lines[: len(self.lines)] == self.lines

    def __str__(self) -> str:
        return "\n    ".join([f"  {self.function}", *self.lines])


def parsed(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each mutant's name and what became of it."""
    for line in lines:
        name, separator, fate = line.strip().rpartition(": ")
        if separator:
            yield name, fate


def change(name: str, diff: str) -> Change:
    """What the mutant *name* does, by its unified diff."""
    # 'eventstore.clock.x_utc_now__mutmut_1', 'eventstore.clock.xǁInstantsǁ__init____mutmut_1'
    module, _, mangled = name.rpartition("__mutmut_")[0].rpartition(".")
    return Change(
        f"{module}.{mangled[2:].replace('ǁ', '.')}",
        tuple(
            f"{line[0]} {line[1:].strip()}".rstrip()
            for line in diff.splitlines()[2:]
            if line[:1] in {"-", "+"}
        ),
    )


def explained(text: str) -> list[Change]:
    """The changes listed under a reason."""
    has_reason = False
    changes: list[Change] = []
    for line in text.splitlines():
        content = line.strip()
        if not content or line[0] == "#":
            continue
        if line[0] != " ":
            has_reason = True
        elif changes and content[0] in "-+":
            changes[-1] = changes[-1]._replace(lines=(*changes[-1].lines, content))
        elif has_reason:
            changes.append(Change(content))
    return changes


def report(
    results: Iterable[tuple[str, str]], listed: list[Change], diff_of: Callable[[str], str]
) -> tuple[list[str], bool]:
    """The lines to print, and whether the tests are as good as promised."""
    fates = dict(results)
    modules = {name: name.rpartition(".")[0] for name in fates}
    all_of, dead_of = Counter(modules.values()), Counter(modules[m] for m in fates if fates[m] in DEAD)
    alive = [(fate, change(name, diff_of(name))) for name, fate in fates.items() if fate not in DEAD]
    unexplained = [(fate, it) for fate, it in alive if not any(known.covers(it) for known in listed)]
    outdated = [known for known in listed if not any(known.covers(it) for _, it in alive)]
    percent = 100 * dead_of.total() / max(all_of.total(), 1)
    lines = [f"{dead_of[m]:6} of {all_of[m]:6} died in {m}" for m in sorted(all_of)]
    lines += [f"listed, and no such mutant lived this time:\n{known}" for known in outdated]
    lines += [f"{fate}, without a reason:\n{it}" for fate, it in unexplained]
    by_timeout = sum(fate == "timeout" for fate in fates.values())
    lines.append(f"{dead_of.total()} of {all_of.total()} mutants died: {percent:.1f} %")
    lines.append(f"{by_timeout} of them of a time limit: a test waited for ever, or the machine was too busy")
    lines.append(f"wanted: {KILLED_PERCENT_MIN} %, and no survivor without a reason ({len(unexplained)} now)")
    return lines, percent >= KILLED_PERCENT_MIN and not unexplained


if __name__ == "__main__":
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    printed, is_good = report(
        parsed(sys.stdin), explained(SURVIVORS_LISTED.read_text(encoding="utf-8")), get_diff_for_mutant
    )
    print("\n".join(printed))
    sys.exit(not is_good)
