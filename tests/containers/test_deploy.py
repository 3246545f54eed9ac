"""What deploy/ says, as far as it can be told without an engine."""

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from services import accounts
from tests.containers.engine import COMPOSE_FILE, CONTAINERFILE, ROOT

SERVICES = {path.parent.name for path in ROOT.glob("services/*/__main__.py")} - {"health"}
PUBLISHED = {"nats": ["127.0.0.1:4222:4222"], "portal": ["127.0.0.1:8080:8080"]}
"""What partners use, as it is published where nobody says otherwise."""


BESIDE = {
    "tls": {"REGISTRE_CERTIFICATE": "/etc/c.pem", "REGISTRE_KEY": "/etc/k.pem"},
    "mail": {"REGISTRE_MAIL_URL_FILE": "/etc/mail", "REGISTRE_MAIL_SENDER": "registre@ville.example"},
    "provider": {
        "REGISTRE_OIDC_ISSUER": "https://fca.example.fr/api/v2",
        "REGISTRE_OIDC_CLIENT_ID": "registre",
        "REGISTRE_OIDC_SECRET_FILE": "/etc/secret",
    },
}
"""The files beside compose.yaml, and what each has to be told."""


def config(*beside: str, **told: str) -> subprocess.CompletedProcess[str]:
    """What Docker Compose makes of compose.yaml and the files *beside* it."""
    program = Path(sys.executable).with_name("docker-compose")
    files = [COMPOSE_FILE, *(COMPOSE_FILE.with_name(f"compose.{each}.yaml") for each in beside)]
    return subprocess.run(
        [program, *(f"--file={file}" for file in files), "config", "--format", "json"],
        capture_output=True,
        text=True,
        env={"PATH": "", **told},
    )


def services_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    services: dict[str, Any] = json.loads(done.stdout)["services"]
    return services


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    """The services of compose.yaml, as Docker Compose reads them."""
    return services_of(config())


def test_the_files_beside_it_add_doors_and_take_no_care_away(composed: dict[str, Any]) -> None:
    told = {name: value for each in BESIDE.values() for name, value in each.items()}
    done = config(*BESIDE, **told)
    secrets = {name: it["file"] for name, it in json.loads(done.stdout)["secrets"].items()}
    assert secrets == {
        "certificate": "/etc/c.pem",
        "key": "/etc/k.pem",
        "mail": "/etc/mail",
        "provider": "/etc/secret",
    }
    for name, service in services_of(done).items():
        given = {it["source"] for it in service.pop("secrets", [])}
        assert given == {"nats": {"certificate", "key"}, "portal": set(secrets)}.get(name, set())
        for variable, value in service["environment"].items():
            if value.startswith("/run/secrets/"):
                assert value.rpartition("/")[2] in given, variable
        for variable, value in composed[name]["environment"].items():
            assert service["environment"][variable] == value
        assert {it["host_ip"] for it in service.get("ports", [])} <= {"127.0.0.1"}
        for what in ("environment", "ports"):
            service.pop(what, None)
        assert service == {what: value for what, value in composed[name].items() if what in service}
        assert composed[name].keys() - service.keys() <= {"environment", "ports"}


@pytest.mark.parametrize(
    ("beside", "lacking"), [(each, name) for each, all_ in BESIDE.items() for name in all_]
)
def test_a_file_beside_it_says_what_it_has_to_be_told(beside: str, lacking: str) -> None:
    told = {name: value for name, value in BESIDE[beside].items() if name != lacking}
    done = config(beside, **told)
    assert done.returncode != 0
    assert lacking in done.stderr


def test_every_service_is_in_it_and_the_server(composed: dict[str, Any]) -> None:
    assert set(composed) == {"nats", *SERVICES}
    for name in SERVICES:
        assert composed[name]["command"] == ["python", "-m", f"services.{name}"]


def test_each_is_confined_limited_looked_at_and_started_again(composed: dict[str, Any]) -> None:
    for name, service in composed.items():
        assert service["user"] == "10001:10001", name
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges"]
        assert service["init"] is True
        assert service["restart"] == "unless-stopped"
        assert all(float(service[limit]) > 0 for limit in ("mem_limit", "cpus", "pids_limit"))
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}
        # An argument with a space in it does not come whole to every engine.
        assert service["healthcheck"]["test"] == ["CMD", "python", "-m", "services.health", name]
        assert service["image"] == "localhost/registre:dev"
        assert not {"privileged", "network_mode", "pid", "ipc", "devices", "cap_add"} & service.keys()


def test_what_is_written_is_in_named_volumes_and_only_partners_doors_are_published(
    composed: dict[str, Any],
) -> None:
    for name, service in composed.items():
        assert {volume["type"] for volume in service["volumes"]} == {"volume"}
        published = [f"{it['host_ip']}:{it['published']}:{it['target']}" for it in service.get("ports", [])]
        assert published == PUBLISHED.get(name, [])


def test_each_has_its_own_key_and_no_other_and_only_the_server_may_write_there(
    composed: dict[str, Any],
) -> None:
    def keys(name: str) -> dict[str, bool]:
        """The volumes with keys that a service has, and whether it may only read there."""
        return {
            f"{volume['source']} at {volume['target']}": volume.get("read_only", False)
            for volume in composed[name]["volumes"]
            if "key" in volume["source"] or "key" in volume["target"]
        }

    assert set(accounts.SERVICES) == set(SERVICES)
    own = {name: f"key-{name} at /data/keys/{name}" for name in SERVICES}
    for name in SERVICES:
        assert keys(name) == {own[name]: True}
        assert composed[name]["environment"]["REGISTRE_NATS_SEED"] == f"/data/keys/{name}/{name}.nk"
    assert keys("nats") == dict.fromkeys(["keys at /data/keys", *own.values()], False)
    assert composed["nats"]["environment"]["REGISTRE_NATS_SEED"] == "/data/keys/ledger.nk"


def test_what_an_operator_runs_is_not_started_with_the_others_and_as_confined() -> None:
    """Keys and store of the whole ledger in one container: only while somebody asks for it."""
    everything = services_of(config(COMPOSE_PROFILES="operator"))
    operator = everything.pop("operator")
    assert set(everything) == {"nats", *SERVICES}
    assert operator["profiles"] == ["operator"]
    assert operator["restart"] == "no"
    for of in ("user", "read_only", "cap_drop", "security_opt", "mem_limit", "cpus", "pids_limit"):
        assert operator[of] == everything["relay"][of], of
    assert "ports" not in operator
    assert {it["source"]: it.get("read_only", False) for it in operator["volumes"]} == {
        "keys": True,
        "ledger": False,  # SQLite has readers write beside it
    }


def test_nobody_starts_before_what_it_needs(composed: dict[str, Any]) -> None:
    needs = {name: set(service.get("depends_on", {})) for name, service in composed.items()}
    assert needs["registrar"] == {"nats"}
    assert needs["relay"] == {"registrar"}, "it reads the store that the registrar makes"
    for service in composed.values():
        assert all(it["condition"] == "service_healthy" for it in service.get("depends_on", {}).values())


def test_the_image_is_built_on_what_it_is_told_as_nobody_in_particular_and_by_hash() -> None:
    lines = CONTAINERFILE.read_text().splitlines()
    base = next(line.removeprefix("ARG BASE_IMAGE=") for line in lines if line.startswith("ARG BASE_IMAGE="))
    assert re.fullmatch(r"[a-z0-9.]+/[a-z/]+:(?!latest)[a-z0-9.-]+", base)
    assert {line.split()[1] for line in lines if line.startswith("FROM")} == {"${BASE_IMAGE}"}
    assert "USER 10001:10001" in lines
    assert base in COMPOSE_FILE.read_text()
    installs = re.findall(r"pip(?: --python \S+)? (?:install|wheel)\b(.*)", CONTAINERFILE.read_text())
    assert len(installs) == 4
    for options in installs:
        assert any(option in options for option in ("--require-hashes", "--no-index", "--no-deps")), options


def test_what_goes_into_the_image_is_named_and_no_test_is_in_it() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    let_in = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", CONTAINERFILE.read_text(), re.MULTILINE)
    assert {name for line in copied for name in line.split()} == let_in
    assert all((ROOT / name).exists() for name in let_in)


def requirements(of: str, extras: frozenset[str]) -> set[str]:
    """Names that the installed *of* asks for, and what these ask for in their turn."""
    found: set[str] = set()
    left = [(canonicalize_name(of), extras)]
    while left:
        name, wanted = left.pop()
        for line in importlib.metadata.requires(name) or []:
            asked = Requirement(line)
            environments = [{"extra": extra} for extra in ("", *wanted)]
            if asked.marker is None or any(asked.marker.evaluate(each) for each in environments):
                called = canonicalize_name(asked.name)
                if called not in found:
                    found.add(called)
                    left.append((called, frozenset(asked.extras)))
    return found


def test_the_image_has_what_the_lock_names_for_running_and_building_and_nothing_else() -> None:
    def blocks(path: Path) -> dict[str, str]:
        """The lines of each requirement that this machine would install, by name."""
        split = re.split(r"\n(?=[A-Za-z0-9])", path.read_text().strip())
        named = {canonicalize_name(block.partition("==")[0]): block.strip() for block in split}
        heads = {name: Requirement(block.partition(" \\")[0]) for name, block in named.items()}
        here = {name for name, it in heads.items() if it.marker is None or it.marker.evaluate()}
        return {name: block for name, block in named.items() if name in here}

    image, whole = blocks(ROOT / "deploy" / "requirements.lock"), blocks(ROOT / "requirements.lock")
    assert image.items() <= whole.items(), "another version, or other hashes, than what is tested"
    building = {"hatchling", "editables", *requirements("hatchling", frozenset())}
    assert set(image) == requirements("registre", frozenset({"embedded"})) | building
