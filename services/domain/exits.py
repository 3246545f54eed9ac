"""
How a convention ends: dénonciation, résiliation, expiry, renewal; and what is to be given back.

Pure. Each of its parts has its own module, and its own rules with their sources.
"""

import msgspec

from services.domain import denunciations, endings, exit_ways, notices, restitutions
from services.domain.denunciations import DenunciationLine
from services.domain.endings import EndLine
from services.domain.exit_ways import ExitWay
from services.domain.known import Known
from services.domain.notices import NoticeCourse
from services.domain.restitutions import RestitutionLine


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
