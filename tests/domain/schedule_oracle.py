"""
Art. 7.1 of the MJC convention, reckoned a second time: day after day, in fractions, by a code of its own.

    A1 (February) = P/3
    A2 (May)      = 50 % × (S − A1) if S is voted, else P/3
    balance (August) = S − A1 − A2

S is the subsidy voted for the year, P that of the year before. Every part is rounded to the
cent, halves up, and the balance takes up what rounding leaves. The second part is settled on
the day it is paid, or else on the last day of May; until then it follows the votes.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from fractions import Fraction
from math import floor


def parts(
    before: int, votes: Mapping[date, int], *, year: int, on: date, second_paid_on: date | None = None
) -> tuple[int, int, int | None]:
    """
    The three parts in cents on the day *on*; the balance None while nothing is voted.

    *before* is P. *votes* are the figures of S by the day of the vote, the last one standing.
    """
    first = cents(Fraction(before, 3))
    voted = None
    second = cents(Fraction(before, 3))
    settled = False
    day = date(year - 1, 1, 1)
    while day <= on:
        voted = votes.get(day, voted)
        if not settled:
            second = cents(Fraction(before, 3) if voted is None else Fraction(voted - first, 2))
        in_may = day.year == year and day.month == 5
        # What is paid before its month has come is settled as the month begins.
        paid = second_paid_on is not None and second_paid_on <= day
        settled = settled or day >= date(year, 5, 31) or (in_may and paid)
        day += timedelta(days=1)
    return first, second, None if voted is None else voted - first - second


def cents(amount: Fraction) -> int:
    """To the nearest cent, halves up."""
    return floor(amount + Fraction(1, 2))
