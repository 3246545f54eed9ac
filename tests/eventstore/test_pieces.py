"""Papers outside the log: kept, given back, destroyed for good."""

import resource
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from eventstore import pieces
from eventstore.pieces import Deposit, FolderPieces, PieceDamaged, PieceGone, PieceTooLarge, State


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


def test_who_handed_a_paper_in_is_kept_with_it(papers: FolderPieces) -> None:
    deposit = Deposit("ville", "bilan 2026.pdf", datetime(2026, 11, 22, 9, 30, tzinfo=UTC))
    ref = papers.put(b"bilan", "application/pdf", deposit)
    assert papers.get(ref.digest).deposit == deposit
    assert papers.get(papers.put(b"bilan", "application/pdf").digest).deposit is None


def test_the_same_paper_twice_cannot_be_told_from_its_digests(papers: FolderPieces) -> None:
    assert papers.put(b"lettre", "text/plain").digest != papers.put(b"lettre", "text/plain").digest


def test_a_destroyed_paper_leaves_a_tombstone_and_no_byte(papers: FolderPieces, tmp_path: Path) -> None:
    ref = papers.put(b"un nom propre", "text/plain")
    papers.destroy(ref.digest)
    papers.destroy(ref.digest)
    assert papers.state(ref.digest) == "détruite"
    with pytest.raises(PieceGone, match=f"{ref.digest} is not here: détruite"):
        papers.get(ref.digest)
    left = [path for path in (tmp_path / "pieces").iterdir()]  # noqa: C416 - the folder, as it is now
    assert [path.name for path in left] == [f"{ref.digest}.destroyed"]
    assert left[0].read_bytes() == b""


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
        with pytest.raises(PieceGone, match=f"{'0' * 64} is not here: manquante"):
            ask("0" * 64)


@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_a_damaged_paper_is_not_served(papers: FolderPieces, tmp_path: Path, content: bytes | None) -> None:
    ref = papers.put(b"lettre", "text/plain")
    path = tmp_path / "pieces" / ref.digest
    path.write_bytes(path.read_bytes().replace(b"lettre", b"Lettre") if content is None else content)
    with pytest.raises(PieceDamaged, match=ref.digest):
        papers.get(ref.digest)


@pytest.mark.parametrize("digest", ["", "../etc/passwd", "0" * 63, "X" * 64, "A" * 64, "0" * 64 + "\n"])
def test_what_is_no_digest_reaches_no_file(papers: FolderPieces, digest: str) -> None:
    for ask in (papers.get, papers.destroy, papers.state):
        with pytest.raises(ValueError, match="is no digest"):
            ask(digest)


def test_a_sentence_cites_no_more_than_the_beginning_of_what_it_refuses(papers: FolderPieces) -> None:
    beginning = repr("x" * 80)
    with pytest.raises(ValueError, match=f"^{beginning} is no digest: 64 lower-case hexadecimal digits$"):
        papers.get("x" * 10_000)
    with pytest.raises(ValueError, match=f"^{beginning} is no media type such as application/pdf$"):
        papers.put(b"x", "x" * 10_000)


@pytest.mark.parametrize("media_type", ["", "pdf", "a/" + "b" * 99, "é/x"])
def test_a_media_type_is_one(papers: FolderPieces, media_type: str) -> None:
    with pytest.raises(ValueError, match="is no media type"):
        papers.put(b"x", media_type)
    for shortest_and_longest in ("a/b", "a/" + "b" * 98):
        assert papers.put(b"x", shortest_and_longest).media_type == shortest_and_longest


def test_a_paper_too_large_is_refused_with_size_and_limit(
    papers: FolderPieces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES_MAX", 10)
    assert papers.put(b"x" * 10, "text/plain").size_bytes == 10
    kept = set((tmp_path / "pieces").iterdir())
    with pytest.raises(PieceTooLarge, match="a paper of 11 bytes is over the limit"):
        papers.put(b"x" * 11, "text/plain")
    assert set((tmp_path / "pieces").iterdir()) == kept


def test_the_folder_is_for_its_owner_alone_and_is_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "pieces"
    ref = FolderPieces(folder).put(b"lettre", "text/plain")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert FolderPieces(folder).get(ref.digest).content == b"lettre"


@pytest.mark.parametrize(
    ("limited", "at_most", "why"),
    [(resource.RLIMIT_FSIZE, 20, "File too large"), (resource.RLIMIT_NOFILE, 3, "Too many open files")],
    ids=["the disk is full", "no more files may be open"],
)
def test_a_paper_that_cannot_be_written_leaves_nothing_and_says_why(
    papers: FolderPieces, tmp_path: Path, limited: int, at_most: int, why: str
) -> None:
    """The limits are the kernel's own, on this process."""
    soft, hard = resource.getrlimit(limited)
    resource.setrlimit(limited, (at_most, hard))
    try:
        with pytest.raises(OSError, match=why):
            papers.put(b"x" * 100, "text/plain")
    finally:
        resource.setrlimit(limited, (soft, hard))
    assert list((tmp_path / "pieces").iterdir()) == []
