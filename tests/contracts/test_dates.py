"""Partial dates: what may be written, and what two of them tell about each other."""

import pickle
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import dates
from contracts.dates import PartialDate, parse
from tests.contracts.strategies import DAYS, partial_dates


@pytest.mark.parametrize(
    "text, precision, first, last",
    [
        ("2026-01-15", "day", (2026, 1, 15), (2026, 1, 15)),
        ("2024-02-29", "day", (2024, 2, 29), (2024, 2, 29)),
        ("2024-02", "month", (2024, 2, 1), (2024, 2, 29)),
        ("2026-01", "month", (2026, 1, 1), (2026, 1, 31)),
        ("2026-12", "month", (2026, 12, 1), (2026, 12, 31)),
        ("2014-33", "quarter", (2014, 1, 1), (2014, 3, 31)),
        ("2014-34", "quarter", (2014, 4, 1), (2014, 6, 30)),
        ("2014-35", "quarter", (2014, 7, 1), (2014, 9, 30)),
        ("2014-36", "quarter", (2014, 10, 1), (2014, 12, 31)),
        ("2026", "year", (2026, 1, 1), (2026, 12, 31)),
        ("0001", "year", (1, 1, 1), (1, 12, 31)),
    ],
)
def test_a_date_spans_the_days_it_can_be(
    text: str, precision: str, first: tuple[int, int, int], last: tuple[int, int, int]
) -> None:
    written = PartialDate(text)
    assert (written.precision, written.first, written.last) == (precision, date(*first), date(*last))
    assert written.day == (date(*first) if precision == "day" else None)
    assert (str(written), repr(written)) == (text, f"PartialDate({text!r})")


def test_a_blank_stays_unknown() -> None:
    blank = PartialDate("XXXX")
    assert (blank.precision, blank.first, blank.last, blank.day) == ("unknown", None, None, None)


@pytest.mark.parametrize(
    "text, why",
    [
        ("2026-02-30", "that day does not exist"),
        ("2025-02-29", "that day does not exist"),
        ("2026-13-01", "that day does not exist"),
        ("2026-36-01", "that day does not exist"),
        ("2026-00", "0 is neither a month (01 to 12) nor a quarter (33 to 36)"),
        ("2026-13", "13 is neither a month"),
        ("2026-32", "32 is neither a month"),
        ("2026-37", "37 is neither a month"),
        ("0000", "there is no year 0000"),
        ("2026-1-5", "write 2026-01-15, 2026-01, 2014-36 (a quarter, 33 to 36), 2026, or XXXX"),
        ("", "write 2026-01-15"),
        ("15/01/2026", "write 2026-01-15"),
        ("2026-01-15T00:00", "write 2026-01-15"),
        ("٢٠٢٦", "write 2026-01-15"),
        ("2026\n", "write 2026-01-15"),
        (" 2026", "write 2026-01-15"),
        ("xxxx", "write 2026-01-15"),
    ],
)
def test_a_date_that_is_none_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse(text)
    assert str(refused.value).startswith(f"{text!r} is no date: ")
    assert why in str(refused.value)


def days_of(one: PartialDate) -> range:
    assert one.first is not None
    assert one.last is not None
    return range(one.first.toordinal(), one.last.toordinal() + 1)


def by_counting(one: PartialDate, other: PartialDate | date, relation: Any) -> bool | None:
    """The answer, from every pair of days the two can be."""
    if one.first is None or (isinstance(other, PartialDate) and other.first is None):
        return None
    others = range(other.toordinal(), other.toordinal() + 1) if isinstance(other, date) else days_of(other)
    mine = days_of(one)
    # The extremes answer for all the days between them: the relations are monotonous in each.
    answers = {relation(a, b) for a in (mine[0], mine[-1]) for b in (others[0], others[-1])}
    return answers.pop() if len(answers) == 1 else None


@given(partial_dates(), partial_dates() | DAYS)
def test_an_answer_is_given_only_where_every_pair_of_days_agrees(
    one: PartialDate, other: PartialDate | date
) -> None:
    assert one.before(other) is by_counting(one, other, lambda a, b: a < b)
    assert one.after(other) is by_counting(one, other, lambda a, b: a > b)
    if isinstance(other, date):
        assert one.reached(other) is by_counting(one, other, lambda a, b: a <= b)


@pytest.mark.parametrize(
    "text, day, reached",
    [
        ("2026-02-01", (2026, 1, 31), False),
        ("2026-02-01", (2026, 2, 1), True),
        ("2026-02", (2026, 1, 31), False),
        ("2026-02", (2026, 2, 1), None),
        ("2026-02", (2026, 2, 27), None),
        ("2026-02", (2026, 2, 28), True),
        ("XXXX", (2026, 2, 28), None),
    ],
)
def test_a_date_is_reached_on_its_last_day_and_not_before_its_first(
    text: str, day: tuple[int, int, int], reached: bool | None
) -> None:
    assert PartialDate(text).reached(date(*day)) is reached


def test_dates_sort_by_their_first_day_then_their_last_and_the_unknown_ones_come_last() -> None:
    order = ["2025-12-31", "2026-01-01", "2026-01", "2026-33", "2026", "2026-01-02", "2026-02", "XXXX"]
    mixed = [*order[1::2], *order[::2]]
    assert order == sorted(mixed, key=lambda text: PartialDate(text).sort_key)


@given(partial_dates())
def test_a_date_is_its_text_wherever_it_goes(one: PartialDate) -> None:
    again = pickle.loads(pickle.dumps(one))
    assert again == one == parse(one.text)
    assert hash(again) == hash(one)
    encoded = msgspec.json.encode(one, enc_hook=dates.encode)
    assert encoded == f'"{one.text}"'.encode()
    assert msgspec.json.decode(encoded, type=PartialDate, dec_hook=dates.decode) == one
    assert one != one.text


@given(DAYS)
def test_a_day_is_known_to_the_day(day: date) -> None:
    assert PartialDate.of(day).day == day
    assert PartialDate.of(day).reached(day) is True
    assert PartialDate.of(day + timedelta(days=1)).reached(day) is False


def test_a_date_is_never_changed() -> None:
    one = PartialDate("2026")
    with pytest.raises(AttributeError, match=r"a date is never changed .tried to set text of 2026"):
        one.text = "2027"
    assert one.text == "2026"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("2026", "the number 2026"),
        ("20.26", "the number 20.26"),
        ("null", "null"),
        ("true", "true"),
        ("false", "false"),
        ('["2026"]', "an array"),
        ('{"year": null}', "an object"),
    ],
)
def test_a_date_is_written_as_text(written: str, said: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=rf"^a date is written as text, got {said}$"):
        msgspec.json.decode(written, type=PartialDate, dec_hook=dates.decode)


def test_the_hooks_know_dates_and_refuse_the_rest() -> None:
    for hook in (lambda: dates.encode(1j), lambda: dates.decode(complex, "1"), lambda: dates.schema(complex)):
        with pytest.raises(TypeError, match="complex has no"):
            hook()
    assert dates.schema(PartialDate)["pattern"] == dates.PATTERN


@given(st.text(max_size=12))
def test_whatever_the_text_the_answer_is_a_date_or_a_sentence(text: str) -> None:
    said = text
    try:
        said = PartialDate(text).text
    except ValueError as error:
        said = str(error)
    assert said in (text, *(line for line in (said,) if line.startswith(f"{text!r} is no date: ")))
