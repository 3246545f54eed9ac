"""What the environment may say; what is not safe is not started."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from services.portal.identity import identity, protection
from services.portal.identity.identity import Settings
from services.portal.identity.provider import ProviderSettings

FINE = {"REGISTRE_PERSONS": "persons.db", "REGISTRE_PORTAL_URL": "https://portail.example.fr"}


def test_what_is_set_is_what_is_used(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    assert identity.settings_of(FINE) == Settings(Path("persons.db"), "https://portail.example.fr")
    with_provider = {
        **FINE,
        "REGISTRE_OIDC_ISSUER": "https://proconnect.example.fr/api/v2",
        "REGISTRE_OIDC_CLIENT_ID": "registre",
        "REGISTRE_OIDC_SECRET_FILE": str(file),
    }
    assert identity.settings_of(with_provider).provider == ProviderSettings(
        "https://proconnect.example.fr/api/v2",
        "registre",
        "s3cret",
        "openid given_name usual_name email siret",
    )


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"])
def test_without_tls_a_portal_is_for_this_machine(url: str) -> None:
    assert identity.settings_of({**FINE, "REGISTRE_PORTAL_URL": url}).public_url == url


@pytest.mark.parametrize(
    "wrong",
    [
        {"REGISTRE_PERSONS": ""},
        {"REGISTRE_PORTAL_URL": ""},
        {"REGISTRE_PORTAL_URL": "http://portail.example.fr"},
        {"REGISTRE_PORTAL_URL": "http://0.0.0.0:8080"},
        {"REGISTRE_PORTAL_URL": "https://portail.example.fr/"},
        {"REGISTRE_PORTAL_URL": "https://portail.example.fr?x"},
        {"REGISTRE_PORTAL_URL": "ftp://portail.example.fr"},
        {"REGISTRE_PORTAL_URL": "https://"},
        {"REGISTRE_PORTAL_URL": "portail.example.fr"},
        {"REGISTRE_OIDC_ISSUER": "https://proconnect.example.fr"},
        {"REGISTRE_OIDC_ISSUER": "https://proconnect.example.fr", "REGISTRE_OIDC_CLIENT_ID": "registre"},
        {
            "REGISTRE_OIDC_ISSUER": "http://proconnect.example.fr",
            "REGISTRE_OIDC_CLIENT_ID": "registre",
            "REGISTRE_OIDC_SECRET_FILE": __file__,
        },
    ],
    ids=lambda wrong: ",".join(
        f"{name.removeprefix('REGISTRE_')}={value}"[:40] for name, value in wrong.items()
    ),
)
def test_what_is_not_safe_is_not_started(wrong: Mapping[str, str]) -> None:
    with pytest.raises(identity.SettingsUnfit):
        identity.settings_of({**FINE, **wrong})


async def test_under_tls_browsers_are_told_to_come_back_by_tls() -> None:
    for url, is_told in (("https://portail.example.fr", True), ("http://127.0.0.1:8080", False)):
        message = {"type": "http.response.start", "status": 200, "headers": []}
        await protection.headers(url)(message, {})  # type: ignore[arg-type]
        said = {name.lower() for name, _ in message["headers"]}  # type: ignore[attr-defined]
        assert (b"strict-transport-security" in said) is is_told
