"""
The guard of tests/allowed_skips, shown on a small suite of its own.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests import conftest

TESTS = {
    "test_skipped": 'def test_waits():\n    pytest.skip("no such machine")',
    "test_expected": '@pytest.mark.xfail(reason="no such machine")\ndef test_waits():\n    assert False',
    "test_uncollected": 'pytest.skip("no such machine", allow_module_level=True)',
}


def run(folder: Path, allowed: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(str(conftest.__file__), folder / "conftest.py")
    (folder / "allowed_skips").write_text(allowed)
    (folder / "test_passes.py").write_text("def test_passes():\n    pass\n")
    for name, test in TESTS.items():
        (folder / f"{name}.py").write_text(f"import pytest\n\n{test}\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "pytest_asyncio", "--rootdir", str(folder)]
    only_ours = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=folder, env=only_ours, capture_output=True, text=True, timeout=60)


def unlisted(done: subprocess.CompletedProcess[str]) -> set[str]:
    lines = done.stdout.partition("allowed_skips does not list")[2].splitlines()
    return {name for name in TESTS for line in lines if line.startswith(f"{name}.py")}


def test_a_skip_of_any_kind_that_is_not_listed_fails_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, allowed="# nothing\n")
    assert done.returncode == 1, done.stdout
    assert unlisted(done) == set(TESTS)


def test_listed_skips_pass(tmp_path: Path) -> None:
    done = run(tmp_path, allowed="".join(f"{name}.py: no such machine\n" for name in TESTS))
    assert done.returncode == 0, done.stdout
    assert unlisted(done) == set()


def test_a_listed_test_that_gives_another_reason_fails_the_run(tmp_path: Path) -> None:
    allowed = (
        "test_skipped.py: too slow\ntest_expected.py: no such machine\ntest_uncollected.py: no such machine\n"
    )
    done = run(tmp_path, allowed)
    assert done.returncode == 1, done.stdout
    assert unlisted(done) == {"test_skipped"}
