"""Growing: each length of it is a value of its own, whatever grows from it, and it costs no copy."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.growing import Growing

GROWN_FROM = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=50)
"""Each grows from one of those before, by a key of a few."""


@given(GROWN_FROM)
def test_whatever_grows_from_it_each_stays_what_it_was(drawn: list[tuple[int, int]]) -> None:
    lengths: list[tuple[Growing[int, str], dict[int, str]]] = [(Growing(), {})]
    for number, (source, key) in enumerate(drawn):
        grows, expected = lengths[source % len(lengths)]
        if key not in expected:
            value = f"value {number}"
            lengths.append((grows.grown(key, value), {**expected, key: value}))
    for grows, expected in lengths:
        assert len(grows) == len(expected)
        assert list(grows.values()) == list(expected.values())
        assert grows.first == next(iter(expected.values()), None)
        for key in range(10):
            assert (key in grows) is (key in expected)
            assert grows.get(key) == expected.get(key)
            if key in expected:
                assert grows[key] == expected[key]
            else:
                with pytest.raises(KeyError, match=f"^{key}$"):
                    grows[key]
        for other, meant in lengths:
            assert (grows == other) is (list(expected.items()) == list(meant.items()))


def test_a_key_is_taken_once() -> None:
    with pytest.raises(AssertionError):
        Growing[int, str]().grown(1, "first").grown(1, "second")


def test_it_equals_another_of_the_same_items_whatever_has_grown_from_it() -> None:
    one, other = Growing[int, str]().grown(1, "first"), Growing[int, str]().grown(1, "first")
    longer = one.grown(2, "second")
    assert one == other
    assert other == one
    assert longer != one


def test_it_is_no_key_and_equals_nothing_else() -> None:
    assert Growing[int, str]() != {}
    with pytest.raises(TypeError):
        hash(Growing[int, str]())


def test_all_lengths_of_a_long_one_take_the_room_of_the_longest() -> None:
    tracemalloc.start()
    try:
        lengths = [Growing[int, int]()]
        for number in range(5_000):
            lengths.append(lengths[-1].grown(number, number))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # A copy for each would be 5 000 × 2 500 places of 8 bytes: 100 MB.
    assert taken < 4_000_000
    assert [len(each) for each in lengths] == list(range(5_001))
