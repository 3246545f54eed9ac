"""
How a convention ends: dénonciation, résiliation, expiry, renewal; and what is to be given back.

Pure. Each of its parts has its own module, and its own rules with their sources.
"""

import msgspec

from services.domain.exits import denunciations, endings, exit_ways, notices, restitutions
from services.domain.exits.denunciations import DenunciationLine
from services.domain.exits.endings import EndLine
from services.domain.exits.exit_ways import ExitWay
from services.domain.exits.notices import NoticeCourse
from services.domain.exits.restitutions import RestitutionLine
from services.domain.known import Known


class Exits(msgspec.Struct, frozen=True):
    """Everything about how the convention may end, is ending, or has ended."""

    ways: tuple[ExitWay, ...] = ()
    notices: tuple[NoticeCourse, ...] = ()
    denunciations: tuple[DenunciationLine, ...] = ()
    ends: tuple[EndLine, ...] = ()
    restitutions: tuple[RestitutionLine, ...] = ()


def of(known: Known) -> Exits:
    """How the convention may end on the day, what is under way, what ended it, and what is to be returned."""
    sent = notices.of(known)
    served = denunciations.of(known)
    ends = endings.of(known, sent, served)
    return Exits(
        ways=exit_ways.of(known),
        notices=sent,
        denunciations=served,
        ends=ends,
        restitutions=restitutions.of(known, ends),
    )
