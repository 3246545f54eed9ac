"""Cutting a page into batches: pure, so every page is tried."""

from itertools import accumulate, chain, pairwise

from hypothesis import given
from hypothesis import strategies as some

from eventstore.store import Recorded
from services.relay.batches import Bounds, batches

commands = some.lists(some.lists(some.integers(0, 40), min_size=1, max_size=12), max_size=30)
"""The sizes of bodies, a list for each command."""


def page_of(sizes_of_commands: list[list[int]], first: int = 1) -> list[Recorded]:
    positions = iter(range(first, 10_000))
    return [
        Recorded(next(positions), "convention/c", 1, ordinal, len(sizes), b"x" * size, b"")
        for sizes in sizes_of_commands
        for ordinal, size in enumerate(sizes, 1)
    ]


@given(commands, some.integers(1, 20), some.integers(1, 200))
def test_a_page_is_cut_without_losing_or_reordering_an_event(
    sizes: list[list[int]], events_max: int, bytes_max: int
) -> None:
    page = page_of(sizes)
    assert page == list(chain(*batches(page, Bounds(events_max=events_max, bytes_max=bytes_max))))


@given(commands, some.integers(1, 20), some.integers(1, 200))
def test_every_batch_ends_where_a_command_ends(
    sizes: list[list[int]], events_max: int, bytes_max: int
) -> None:
    for batch in batches(page_of(sizes), Bounds(events_max=events_max, bytes_max=bytes_max)):
        assert batch[-1].ends_command


@given(commands, some.integers(1, 20), some.integers(1, 200))
def test_only_a_single_command_may_pass_a_bound(
    sizes: list[list[int]], events_max: int, bytes_max: int
) -> None:
    for batch in batches(page_of(sizes), Bounds(events_max=events_max, bytes_max=bytes_max)):
        alone = sum(event.ends_command for event in batch) == 1
        assert alone or len(batch) <= events_max
        assert alone or sum(len(event.body) for event in batch) <= bytes_max


@given(commands, some.integers(1, 20), some.integers(1, 200))
def test_no_batch_could_have_taken_the_next_command_too(
    sizes: list[list[int]], events_max: int, bytes_max: int
) -> None:
    cut = list(batches(page_of(sizes), Bounds(events_max=events_max, bytes_max=bytes_max)))
    for batch, following in pairwise(cut):
        ends = [index for index, event in enumerate(following, 1) if event.ends_command]
        together = [*batch, *following[: ends[0]]]
        size_bytes = list(accumulate(len(event.body) for event in together))[-1]
        assert len(together) > events_max or size_bytes > bytes_max


def test_a_page_that_starts_inside_a_command_starts_with_its_rest() -> None:
    page = [*page_of([[1, 1, 1], [1]])[1:], *page_of([[1]], 5)]
    cut = batches(page, Bounds(events_max=2, bytes_max=99))
    assert [len(batch) for batch in cut] == [2, 2]
