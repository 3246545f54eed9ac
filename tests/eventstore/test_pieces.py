"""Papers outside the log: kept, given back, destroyed for good."""

from hashlib import sha256
from pathlib import Path

import pytest

from eventstore import pieces
from eventstore.pieces import FolderPieces, PieceDamaged, PieceGone, PieceTooLarge, State


@pytest.fixture
def papers(tmp_path: Path) -> FolderPieces:
    return FolderPieces(tmp_path / "pieces")


def test_a_paper_comes_back_as_it_was_and_its_digest_is_of_salt_and_bytes(papers: FolderPieces) -> None:
    ref = papers.put(b"%PDF \x00\xff", "application/pdf")
    piece = papers.get(ref.digest)
    assert (piece.content, piece.media_type, len(piece.salt)) == (b"%PDF \x00\xff", "application/pdf", 32)
    assert ref.digest == sha256(piece.salt + piece.content).hexdigest()
    assert (ref.size_bytes, ref.media_type) == (7, "application/pdf")
    assert papers.state(ref.digest) is State.ATTACHED


def test_the_same_paper_twice_cannot_be_told_from_its_digests(papers: FolderPieces) -> None:
    assert papers.put(b"lettre", "text/plain").digest != papers.put(b"lettre", "text/plain").digest


def test_a_destroyed_paper_leaves_a_tombstone_and_no_byte(papers: FolderPieces, tmp_path: Path) -> None:
    ref = papers.put(b"un nom propre", "text/plain")
    salt = papers.get(ref.digest).salt
    papers.destroy(ref.digest)
    papers.destroy(ref.digest)
    assert papers.state(ref.digest) == "détruite"
    with pytest.raises(PieceGone, match=f"{ref.digest} is not here: détruite"):
        papers.get(ref.digest)
    left = [path for path in (tmp_path / "pieces").iterdir()]  # noqa: C416 - the folder, as it is now
    assert [path.name for path in left] == [f"{ref.digest}.destroyed"]
    assert not any(b"nom propre" in path.read_bytes() or salt in path.read_bytes() for path in left)


def test_a_crash_between_tombstone_and_paper_is_finished_by_destroying_again(
    papers: FolderPieces, tmp_path: Path
) -> None:
    ref = papers.put(b"lettre", "text/plain")
    (tmp_path / "pieces" / f"{ref.digest}.destroyed").touch()
    with pytest.raises(PieceGone):
        papers.get(ref.digest)
    papers.destroy(ref.digest)
    assert not (tmp_path / "pieces" / ref.digest).exists()


def test_a_paper_never_put_is_missing(papers: FolderPieces) -> None:
    assert papers.state("0" * 64) == "manquante"
    for ask in (papers.get, papers.destroy):
        with pytest.raises(PieceGone, match="manquante"):
            ask("0" * 64)


@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_a_damaged_paper_is_not_served(papers: FolderPieces, tmp_path: Path, content: bytes | None) -> None:
    ref = papers.put(b"lettre", "text/plain")
    path = tmp_path / "pieces" / ref.digest
    path.write_bytes(path.read_bytes().replace(b"lettre", b"Lettre") if content is None else content)
    with pytest.raises(PieceDamaged, match=ref.digest):
        papers.get(ref.digest)


@pytest.mark.parametrize("digest", ["", "../etc/passwd", "0" * 63, "G" * 64, "A" * 64, "0" * 64 + "\n"])
def test_what_is_no_digest_reaches_no_file(papers: FolderPieces, digest: str) -> None:
    for ask in (papers.get, papers.destroy, papers.state):
        with pytest.raises(ValueError, match="is no digest"):
            ask(digest)


@pytest.mark.parametrize("media_type", ["", "pdf", "a/" + "b" * 99, "é/x"])
def test_a_media_type_is_one(papers: FolderPieces, media_type: str) -> None:
    with pytest.raises(ValueError, match="is no media type"):
        papers.put(b"x", media_type)


def test_a_paper_too_large_is_refused_with_size_and_limit(
    papers: FolderPieces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES_MAX", 10)
    with pytest.raises(PieceTooLarge, match="a paper of 11 bytes is over the limit"):
        papers.put(b"x" * 11, "text/plain")
    assert list((tmp_path / "pieces").iterdir()) == []
