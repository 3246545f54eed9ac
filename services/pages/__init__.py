"""
What partners read in a terminal, a file or a print: pages as lines of styled text.

Pure: what to show comes in, lines come out; nothing here knows whether there
is a terminal. States are words, never a colour alone: without colours nothing
is lost.

    layout          lines, and the blocks a page is made of
    statement       where a convention stands; an agrément, an institution
    commitments     its échéancier, its obligations and its findings, each on a page of its own
    lists           conventions, events

The other files are the sections that these are made of: schedule, duties, departures, coverage, exits,
amendments.
"""

from services.pages.commitments import calendar, findings, findings_everywhere, obligations
from services.pages.layout import EMPTY, WIDTH_MAX, WIDTH_MIN, Line
from services.pages.lists import conventions, event
from services.pages.statement import statement

__all__ = [
    "EMPTY",
    "WIDTH_MAX",
    "WIDTH_MIN",
    "Line",
    "calendar",
    "conventions",
    "event",
    "findings",
    "findings_everywhere",
    "obligations",
    "statement",
]
