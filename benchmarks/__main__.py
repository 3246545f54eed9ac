"""
Every benchmark, one after the other: `make bench`.

Each prints ratios to a raw limit or a peer, measured side by side in one run, so
that the machine's mood falls on both. Nothing here fails a build.
"""

import subprocess
import sys

BENCHMARKS = ("store", "registrar", "relay", "projector", "statement", "feed", "portal")


def main() -> int:
    """Run them all: 0 when each ran to its end and met its targets."""
    codes = {}
    for name in BENCHMARKS:
        print(f"\n== {name}", flush=True)
        codes[name] = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode
    missed = [name for name, code in codes.items() if code]
    print(f"\nbelow a target, or not run to the end: {', '.join(missed)}" if missed else "\nevery target met")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
