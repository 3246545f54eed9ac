"""
Papers over HTTP: handed in with an accusé de dépôt, given back to whoever an event shows them.

    POST /api/v1/pieces?name=rapport.pdf     the bytes as the body; the accusé has the digest, to be cited
    GET  /api/v1/pieces/{digest}             the paper
    GET  /api/v1/pieces/{digest}/accuse      the accusé again

A paper is for the institution that handed it in and for those whose feed has an event citing it. It is sent
to be saved, never to be shown: whatever is in it runs nowhere.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import quote

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter, QueryParameter

from eventstore.pieces import Deposit, Piece, PieceGone, Pieces
from services.portal.declarations import body_of
from services.portal.identity.access import Access
from services.portal.identity.identification import needs
from services.portal.ledger import Ledger
from services.portal.problems import NotVisible, Refused, Unavailable
from services.portal.reads import AtLeast

PIECE_BYTES_MAX: Final = 20_000_000
"""Of one paper over HTTP: a thick scan; what is thicker the operator brings in."""

UPLOAD_SECONDS_MAX: Final = 120.0
"""For one paper: some 170 kB a second at the least."""

AT_ONCE_MAX: Final = 4
"""Papers in memory at once."""

WINDOW_SECONDS: Final = 3_600.0
WINDOW_BYTES_MAX: Final = 1_000_000_000
"""Handed in by one institution within WINDOW_SECONDS."""

NAME_CHARACTERS_MAX: Final = 200

MEDIA_TYPES: Final = frozenset(
    {
        "application/pdf",
        "application/msword",
        "application/vnd.oasis.opendocument.spreadsheet",
        "application/vnd.oasis.opendocument.text",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "image/jpeg",
        "image/png",
        "image/tiff",
        "message/rfc822",
        "text/csv",
        "text/plain",
    }
)
"""What papers are; a page that a browser would run is none."""

Asking = Request[Any, Access, State]
Digest = Annotated[
    str, PathParameter(pattern=r"^[0-9a-f]{64}$", description="Le condensat que donne l’accusé de dépôt.")
]


class Accuse(msgspec.Struct, frozen=True):
    """What was handed in, by whom and when: the digest is sha256(salt + bytes), to be cited in a fact."""

    digest: str
    name: str
    media_type: str
    size_bytes: int
    deposited_by: str
    deposited_at: datetime


class Papers:
    """Keeps papers in *pieces*, a few at once; *now* is the UTC instant of an accusé."""

    def __init__(self, pieces: Pieces, *, now: Callable[[], datetime]) -> None:
        self._pieces = pieces
        self._now = now
        self._room = asyncio.Semaphore(AT_ONCE_MAX)
        self._windows: dict[str, tuple[float, int]] = {}

    async def deposit(self, request: Asking, name: str) -> Accuse:
        """Keep the body of *request*. Raises Refused, and Litestar's own for one that is too large."""
        kind, _ = request.content_type
        if kind not in MEDIA_TYPES:
            raise Refused(
                415, "media_type", f"Une pièce est de l’un de ces types : {', '.join(sorted(MEDIA_TYPES))}."
            )
        institution = request.auth.institution
        if self._room.locked():
            raise Unavailable("busy", "Trop de dépôts à la fois : redemandez-le dans un instant.")
        async with self._room:
            content = await body_of(request, seconds_max=UPLOAD_SECONDS_MAX)
            if not content:
                raise Refused(422, "empty", "Une pièce n’est pas vide.")
            self._count(institution, len(content))
            deposit = Deposit(institution, name, self._now())
            try:
                ref = await asyncio.to_thread(self._pieces.put, content, kind, deposit)
            except OSError as error:
                raise Unavailable("storage", "La pièce n’a pas pu être conservée.") from error
        return Accuse(ref.digest, name, kind, len(content), deposit.by, deposit.at)

    async def piece(self, access: Access, ledger: Ledger, digest: str, at_least_position: int) -> Piece:
        """The paper, for whoever may have it. Raises NotVisible, for others and where there is none."""
        is_cited = bool(await ledger.citations(access, digest, at_least_position))
        async with self._room:
            try:
                piece = await asyncio.to_thread(self._pieces.get, digest)
            except PieceGone:
                raise NotVisible from None
        is_own = piece.deposit is not None and piece.deposit.by == access.institution
        if not (is_cited or is_own):
            raise NotVisible
        return piece

    def _count(self, institution: str, size_bytes: int) -> None:
        now = time.monotonic()
        began, so_far = self._windows.get(institution, (now, 0))
        if now - began >= WINDOW_SECONDS:
            began, so_far = now, 0
        if so_far + size_bytes > WINDOW_BYTES_MAX:
            raise Refused(
                429,
                "too_many_deposits",
                "Votre institution a déposé beaucoup de pièces en une heure : attendez un peu.",
                retry_seconds=int(began + WINDOW_SECONDS - now) + 1,
            )
        self._windows[institution] = (began, so_far + size_bytes)


@post(
    "/pieces",
    operation_id="depositPiece",
    summary="Déposer une pièce",
    guards=[needs("saisie")],
    request_max_body_size=PIECE_BYTES_MAX,
    responses={
        201: ResponseSpec(data_container=Accuse, description="L’accusé de dépôt.", generate_examples=False)
    },
)
async def deposit(
    request: Asking,
    papers: NamedDependency[Papers],
    name: Annotated[
        str,
        QueryParameter(
            min_length=1, max_length=NAME_CHARACTERS_MAX, description="Le nom du fichier, pour les personnes."
        ),
    ],
) -> Response[bytes]:
    """Le corps de la demande est la pièce elle-même ; son type est celui de l’en-tête Content-Type."""
    accuse = await papers.deposit(request, name)
    return _json(accuse, status=201, headers={"Location": f"/api/v1/pieces/{accuse.digest}"})


@get(
    "/pieces/{digest:str}",
    operation_id="readPiece",
    summary="Télécharger une pièce",
    guards=[needs("lecture")],
    responses={
        200: ResponseSpec(
            data_container=bytes,
            media_type="application/octet-stream",
            description="La pièce, à enregistrer, sous son propre type.",
            generate_examples=False,
        )
    },
)
async def read(
    request: Asking,
    ledger: NamedDependency[Ledger],
    papers: NamedDependency[Papers],
    digest: Digest,
    at_least_position: AtLeast = 0,
) -> Response[bytes]:
    """Pour qui l’a déposée, et pour les parties dont un événement la cite."""
    piece = await papers.piece(request.auth, ledger, digest, at_least_position)
    name = piece.deposit.name if piece.deposit else digest
    return Response(
        piece.content,
        media_type=piece.media_type if piece.media_type in MEDIA_TYPES else "application/octet-stream",
        headers={
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": "private, no-store",
        },
    )


@get(
    "/pieces/{digest:str}/accuse",
    operation_id="readAccuse",
    summary="L’accusé de dépôt d’une pièce",
    guards=[needs("lecture")],
    responses={200: ResponseSpec(data_container=Accuse, description="L’accusé.", generate_examples=False)},
)
async def accuse(
    request: Asking,
    ledger: NamedDependency[Ledger],
    papers: NamedDependency[Papers],
    digest: Digest,
    at_least_position: AtLeast = 0,
) -> Response[bytes]:
    """Le même que lors du dépôt."""
    piece = await papers.piece(request.auth, ledger, digest, at_least_position)
    if piece.deposit is None:
        raise NotVisible  # the operator brought it in: nobody handed it in
    size_bytes = len(piece.content)
    return _json(
        Accuse(digest, piece.deposit.name, piece.media_type, size_bytes, piece.deposit.by, piece.deposit.at)
    )


def _json(told: Accuse, *, status: int = 200, headers: dict[str, str] | None = None) -> Response[bytes]:
    return Response(
        msgspec.json.encode(told),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "private, no-store", **(headers or {})},
    )


def routes() -> Router:
    """The three routes of papers."""
    return Router(path="/api/v1", route_handlers=[deposit, read, accuse])
