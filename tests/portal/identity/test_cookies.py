"""The key that signs cookies: made once, its owner's alone, and the same after a restart."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest

from services.portal.identity import identity, secret
from services.portal.identity.cookies import KeyUnfit, key_in
from services.portal.identity.identity import Identity, Settings


async def _unused(*_: object) -> NoReturn:
    raise AssertionError("nobody asks")


async def test_a_cookie_is_good_after_a_restart_and_at_no_other_portal(tmp_path: Path) -> None:
    async def signed_by(folder: Path) -> tuple[str, Identity]:
        settings = Settings(folder / "persons.db", "https://portail.example.fr")
        async with identity.opened(
            settings, now=lambda: datetime.now(UTC), carry=_unused, sirens=_unused, send=_unused
        ) as it:
            return str(it.cookies.made(it.cookies.session, text).value), it

    text = secret.make()
    (tmp_path / "other").mkdir()
    cookie, before = await signed_by(tmp_path)
    again, after = await signed_by(tmp_path)
    _, other = await signed_by(tmp_path / "other")
    assert (tmp_path / "persons.key").stat().st_mode & 0o777 == 0o600
    assert cookie == again
    read = [
        it.cookies.read({it.cookies.session: cookie}, it.cookies.session) for it in (before, after, other)
    ]
    assert read == [text, text, ""]


def test_of_several_that_start_at_once_all_have_one_key(tmp_path: Path) -> None:
    path = tmp_path / "persons.key"
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(key_in, [path] * 40))
    assert keys == {path.read_text()}
    assert [it.name for it in tmp_path.iterdir()] == ["persons.key"]


@pytest.mark.parametrize("kept", ["", "short", "k" * 44, "é" * 43, "k" * 43 + "\nmore"])
def test_what_is_no_key_is_said_and_left(tmp_path: Path, kept: str) -> None:
    path = tmp_path / "persons.key"
    path.write_text(kept)
    with pytest.raises(KeyUnfit, match="remove it, and another is made") as raised:
        key_in(path)
    assert str(path) in str(raised.value)
    assert path.read_text() == kept
