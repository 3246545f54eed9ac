"""
The rules of the house: who may import whom, what stays pure, what no file may say.

Every rule is a function from one file to its faults, applied to all files, and
shown at the end to find the fault it is there for.
"""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from tests import mutants

ROOT = Path(__file__).parents[1]
PACKAGES = ("contracts", "eventstore", "services")

COMPOSITION = {"__main__.py", "cli.py"}
"""The files that may read the environment and open connections."""

STORE_KEEPERS = {"registrar", "relay", "auditor"}
"""The services that may touch the store; the others know the events from LEDGER."""

SHARED = (
    "services.domain", "services.runtime", "services.history", "services.ledger_pages",
    "services.numbered_streams", "services.signatures",
)  # fmt: skip
"""What stands beside the services and may be imported by each."""

OF_THE_PORTAL = ("services.asking", "services.questions", "eventstore.pieces")
"""What the portal alone of the services may import: it asks the others, and keeps the papers."""

IMPURE = {
    "aiosqlite", "asyncio", "contextvars", "glob", "http", "io", "logging", "multiprocessing", "nats", "os",
    "pathlib", "random", "secrets", "select", "shutil", "signal", "socket", "sqlite3", "ssl", "structlog",
    "subprocess", "sys", "tempfile", "threading", "time", "urllib",
}  # fmt: skip
"""What a pure module does not import: clocks, chance, files, networks, threads, logs."""

IMPURE_CALLS = re.compile(r"(^|\.)(now|utcnow|today|uuid1|uuid4|open|print|input|getrandbits)$")
OPENING_CALLS = {"runtime.connected", "nats.connect", "embedded_nats.running"}
VAGUE_NAMES = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}

# Written in pieces, for this file is checked like the others.
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|root|home|tmp|opt)/\w")
REGISTRY_HOST = re.compile(
    "|".join([r"pypi\.o" + "rg", r"python" + r"hosted\.org", r"npm" + r"js\.(?:org|com)"])
)
UNFINISHED = re.compile(r"\b(?:TO" + "DO|FIX" + "ME|NotImplemented" + r"Error)\b")


# -- the rules -----------------------------------------------------------------


def imports(tree: ast.AST) -> Iterator[str]:
    """The full names a module imports, wherever it does: 'a.b.c' for `from a.b import c`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import hides where it leads"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def calls(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)


def forbidden_import(path: PurePosixPath, name: str) -> bool:
    """Whether the module at *path* may not import *name*; the whole of the import rules."""
    match path.parts:
        case ("contracts", *_):
            return within(name, "eventstore", "services")
        case ("eventstore", *_):
            return within(name, "contracts", "services")
        case ("services", "domain", *_):
            return within(name, "eventstore", "services") and not within(name, "services.domain")
        case ("services", service, _, *_):
            own = (f"services.{service}", *SHARED, *(OF_THE_PORTAL if service == "portal" else ()))
            of_another = within(name, "services") and not within(name, *own) and name != "services"
            of_the_store = within(name, "eventstore") and not within(name, *own)
            return of_another or (of_the_store and service not in STORE_KEEPERS)
        case ("services", module) if module != "cli.py":
            # What stands beside the services speaks to them over the bus.
            return within(name, "eventstore", "services.cli") or is_service(name)
    return False


def is_service(name: str) -> bool:
    """Whether *name* is one of the services, or lies in one."""
    _, _, rest = name.partition(".")
    first = rest.partition(".")[0]
    return (
        within(name, "services")
        and first != "domain"
        and (ROOT / "services" / first / "__init__.py").exists()
    )


def house_faults(path: PurePosixPath, source: str) -> list[str]:
    """Imports against the direction of the house, and connections opened out of their place."""
    tree = ast.parse(source)
    faults = [f"{path} imports {name}" for name in imports(tree) if forbidden_import(path, name)]
    if path.parts[0] == "services" and path.name not in COMPOSITION:
        faults += [f"{path}:{line} opens {call}" for line, call in calls(tree) if call in OPENING_CALLS]
        faults += [
            f"{path}:{node.lineno} reads the environment"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
        ]
    faults += [
        f"{path} is named after nothing" for part in path.parts if part.removesuffix(".py") in VAGUE_NAMES
    ]
    return faults


def purity_faults(path: PurePosixPath, source: str) -> list[str]:
    """What a pure module may not do: import, call or await the world."""
    tree = ast.parse(source)
    roots = {name.partition(".")[0] for name in imports(tree)}
    faults = [f"{path} imports {root}" for root in sorted(roots & IMPURE)]
    faults += [f"{path}:{line} calls {call}" for line, call in calls(tree) if IMPURE_CALLS.search(call)]
    faults += [
        f"{path}:{node.lineno} awaits"
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith)
    ]
    return faults


def text_faults(path: PurePosixPath, text: str) -> list[str]:
    """What no file says: where some machine keeps things, who serves packages, what is left undone."""
    return [
        f"{path}:{number} says {found.group()}"
        for number, line in enumerate(text.splitlines(), 1)
        for rule in (MACHINE_PATH, REGISTRY_HOST, UNFINISHED)
        if (found := rule.search(line))
    ]


# -- all files keep them -------------------------------------------------------


def sources(*folders: str) -> list[PurePosixPath]:
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return [PurePosixPath(path.relative_to(ROOT).as_posix()) for path in sorted(found)]


def tracked() -> list[PurePosixPath]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [PurePosixPath(name) for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("path", sources(*PACKAGES), ids=str)
def test_imports_and_openings_keep_to_the_house(path: PurePosixPath) -> None:
    assert house_faults(path, (ROOT / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "path", [*sources("services/domain"), PurePosixPath("services/accounts.py")], ids=str
)
def test_the_rules_of_the_domain_and_of_accounts_are_pure(path: PurePosixPath) -> None:
    assert purity_faults(path, (ROOT / path).read_text(encoding="utf-8")) == []


def test_no_file_speaks_of_a_machine_a_registry_or_work_left_undone() -> None:
    files = tracked()
    assert PurePosixPath("Makefile") in files, "git lists nothing: is this a checkout?"
    texts = [(path, (ROOT / path).read_text(encoding="utf-8", errors="replace")) for path in files]
    assert [fault for path, text in texts for fault in text_faults(path, text)] == []


def test_the_lock_has_every_dependency_with_its_hashes_and_no_address() -> None:
    def name(requirement: str) -> str:
        return re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0].lower().replace("_", "-")

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [
        project["build-system"]["requires"],
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        [each for group in project["dependency-groups"].values() for each in group if isinstance(each, str)],
    ]
    lock = (ROOT / "requirements.lock").read_text()
    blocks = re.split(r"\n(?=[A-Za-z0-9])", lock.strip())
    assert {name(each) for group in groups for each in group} <= {name(block) for block in blocks}
    assert [block for block in blocks if "==" not in block or "--hash=sha256:" not in block] == []
    assert "://" not in lock


# -- each rule finds what it is there for --------------------------------------


SURVIVOR = "  a.A.f\n    - log('x')\n    + log('X')\n"
DIFF = "--- a.py\n+++ a.py\n@@ -1,2 +1,2 @@\n def f():\n-    log('x')\n+    log('X')"


@pytest.mark.parametrize(
    "dead, alive, listed, is_good",
    [
        (9, 0, "", True),
        (9, 1, "", False),  # a survivor nobody explains
        (9, 1, f"only wording\n{SURVIVOR}", True),
        (9, 1, "only wording\n  a.A.*\n", True),
        (9, 1, "only wording\n  a.A.f\n    - log('x')\n", True),
        (9, 1, f"# only wording\n{SURVIVOR}", False),  # listed, but without a reason
        (9, 1, "only wording\n  a.A.f\n    - log('x')\n    + log('y')\n", False),  # another change
        (9, 1, "only wording\n  a.B.f\n    - log('x')\n    + log('X')\n", False),  # of another function
        (5, 1, "only wording\n  a.*\n", False),  # 83 %
    ],
)
def test_mutants_that_live_need_a_reason_and_must_be_few(
    dead: int, alive: int, listed: str, is_good: bool
) -> None:
    fates = ["survived"] * alive + ["killed"] * dead
    results = mutants.parsed(f"    a.xǁAǁf__mutmut_{number}: {fate}\n" for number, fate in enumerate(fates))
    assert mutants.report(results, mutants.explained(listed), lambda _: DIFF)[1] == is_good


def test_a_survivor_is_printed_as_it_is_to_be_listed() -> None:
    assert f"{mutants.change('a.xǁAǁf__mutmut_3', DIFF)}\n" == SURVIVOR


@pytest.mark.parametrize(
    "path, source",
    [
        ("contracts/events.py", "import eventstore.store"),
        ("contracts/events.py", "from services import domain"),
        ("eventstore/sqlite.py", "from contracts.events import Signed"),
        ("eventstore/sqlite.py", "def late():\n    import services.runtime"),
        ("services/domain/convention.py", "from services import runtime"),
        ("services/domain/convention.py", "from eventstore.store import Recorded"),
        ("services/registrar/registrar.py", "from services.relay import ledger"),
        ("services/registrar/registrar.py", "from services import relay"),
        ("services/registrar/__main__.py", "import services.cli"),
        ("services/projector/projector.py", "from services.questions import ask"),
        ("services/projector/__main__.py", "from eventstore import sqlite"),
        ("services/runtime.py", "from services.relay import ledger"),
        ("services/runtime.py", "from services import cli"),
        ("services/questions.py", "from services.projector import answers"),
        ("services/portal/ledger.py", "from services.projector import answers"),
        ("services/portal/pieces.py", "from eventstore import sqlite"),
        ("services/relay/relay.py", "from services import asking"),
        ("services/relay/relay.py", "import os\nurl = os.environ['URL']"),
        ("services/relay/relay.py", "from os import environ as e\nimport os\nurl = os.getenv('URL')"),
        ("services/relay/relay.py", "async with runtime.connected(url, 'relay') as bus:\n    pass"),
        ("services/relay/utils.py", ""),
    ],
)
def test_a_breach_of_the_house_is_found(path: str, source: str) -> None:
    wrapped = f"async def f():\n    {source}" if source.startswith("async with") else source
    assert house_faults(PurePosixPath(path), wrapped.replace("\n    pass", "\n        pass")) != []


@pytest.mark.parametrize(
    "path, source",
    [
        ("contracts/events.py", "from contracts import dates"),
        ("eventstore/sqlite.py", "import aiosqlite"),
        (
            "services/domain/convention.py",
            "from services.domain.refusals import Refused\nimport contracts.terms",
        ),
        (
            "services/registrar/registrar.py",
            "from eventstore.store import EventStore\nfrom services import runtime",
        ),
        ("services/relay/__main__.py", "import os\nurl = os.environ['URL']\nrun = runtime.connected(url)"),
        ("services/cli.py", "from services.relay import ledger\nfrom eventstore import sqlite"),
        ("services/portal/pieces.py", "from services import questions\nfrom eventstore.pieces import Pieces"),
    ],
)
def test_what_the_house_allows_is_allowed(path: str, source: str) -> None:
    assert house_faults(PurePosixPath(path), source) == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from asyncio import Lock",
        "from datetime import datetime\nat = datetime.now()",
        "from datetime import date\non = date.today()",
        "from uuid import uuid4\nid = uuid4()",
        "open('x')",
        "async def decide(): ...",
    ],
)
def test_an_impure_rule_is_found(source: str) -> None:
    assert purity_faults(PurePosixPath("services/domain/convention.py"), source) != []


@pytest.mark.parametrize(
    "text",
    [
        "cache = '/" + "home/me'",
        "see /" + "work/notes",
        "index-url = https://py" + "pi.org/simple",
        "# TO" + "DO: later",
        "raise NotImplemented" + "Error",
    ],
)
def test_a_line_that_says_too_much_is_found(text: str) -> None:
    assert text_faults(PurePosixPath("x.py"), f"fine\n{text}\n") != []


def test_a_path_of_an_address_or_a_relative_one_is_no_machine_path() -> None:
    assert text_faults(PurePosixPath("x.md"), "https://example.org/tmp/x and ../opt/x") == []
