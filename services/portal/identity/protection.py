"""
What every answer tells the browser: run nothing, load nothing from elsewhere, be framed by nobody.

One hook for the whole app, so that a refusal or a missing page has the headers too. An answer that
needs another Content-Security-Policy (a page: PAGES_POLICY) says so itself.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from litestar.datastructures import MutableScopeHeaders
from litestar.types import Message, Scope

API_POLICY: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
PAGES_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
HSTS: Final = "max-age=63072000"
"""Two years (RFC 6797): under TLS only, where it means something."""

HEADERS: Final = {
    "Content-Security-Policy": API_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "private, no-cache",
}


def headers(public_url: str) -> Callable[[Message, Scope], Awaitable[None]]:
    """The hook, for Litestar's *before_send*: what an answer does not say itself is said by HEADERS."""
    said = dict(HEADERS)
    if public_url.startswith("https://"):
        said["Strict-Transport-Security"] = HSTS

    async def add(message: Message, _: Scope) -> None:
        if message["type"] != "http.response.start":
            return
        answer = MutableScopeHeaders.from_message(message)
        for name, value in said.items():
            answer.setdefault(name, value)

    return add
