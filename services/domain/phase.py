"""
Where a convention stands on a day (projet, signé, en vigueur, échu, résilié), and what keeps that uncertain.

Pure. The phase is computed from the life of the convention (services.domain.convention), and stored nowhere.
"""

from datetime import date
from typing import Literal

from services.domain.book import Come, may_have_come, whether_come
from services.domain.convention import Life, Membership, Signed

Phase = Literal[
    "inconnu",
    "projet",
    "delibere",
    "signe-en-partie",
    "signe",
    "en-vigueur",
    "echu",
    "denonce",
    "resilie",
    "clos",
    "indetermine",
]


def phase_on(life: Life, on: date) -> tuple[Phase, tuple[str, ...]]:
    """The phase on a day, and what keeps it from being certain (codes, empty when it is)."""
    if life.opened is None:
        return "inconnu", ()
    ended = _ended(life, on)
    if ended is not None:
        return ended, ()
    doubts = ["fin-non-datee"] if _perhaps_ended(life, on) else []
    term = life.ends_on(on)
    if term is not None:
        over = term.before(on)
        if over:
            return "echu", ()
        if over is None:
            doubts.append("terme-imprecis")
    answers = [bound(life, member, on) for member in _members(life, on)]
    if answers and all(answer == "yes" for answer in answers):
        return _started(life, on, doubts)
    if _noted_in_force(life, on):
        return "en-vigueur", tuple(doubts)
    if "undetermined" in answers:
        doubts.append("signatures-non-datees")
    if any(answer == "yes" for answer in answers):
        return "signe-en-partie", tuple(doubts)
    if "undetermined" in answers:
        return "indetermine", tuple(doubts)
    decided = [one for one in life.adopted if one.outcome == "adopted" and one.avenant is None]
    adopted = [whether_come(one.on, on) for one in decided]
    if any(come == "yes" for come in adopted):
        return "delibere", tuple(doubts)
    if "undetermined" in adopted:
        return "indetermine", (*doubts, "deliberation-non-datee")
    return "projet", tuple(doubts)


def _ended(life: Life, on: date) -> Phase | None:
    reached = {ending.kind for ending in life.endings if ending.on.reached(on)}
    if "closing" in reached:
        return "clos"
    if "resiliation" in reached:
        return "resilie"
    if "expiry" in reached:
        return "echu"
    if "denunciation" in reached and sum(life.is_party(party, on) is not False for party in life.parties) < 2:
        return "denonce"
    return None


def _perhaps_ended(life: Life, on: date) -> bool:
    ends = (ending for ending in life.endings if ending.kind in ("closing", "resiliation", "expiry"))
    return any(ending.on.reached(on) is None for ending in ends)


def _started(life: Life, on: date, doubts: list[str]) -> tuple[Phase, tuple[str, ...]]:
    start = life.starts_on()
    reached = True if start is None else start.reached(on)
    if reached is None:
        doubts.append("debut-imprecis")
    return ("signe" if reached is False else "en-vigueur" if reached else "indetermine"), tuple(doubts)


def _noted_in_force(life: Life, on: date) -> bool:
    return any(ending.kind == "entry-into-force" and ending.on.reached(on) for ending in life.endings)


def _members(life: Life, on: date) -> list[Membership]:
    # Who joins an instrument in force and has yet to sign does not put it out of force.
    return [one for one in life.memberships() if one.since is None and one.covers(on) is not False]


def bound(life: Life, party: Membership, on: date) -> Come:
    """Whether enough have signed for a party: its quorum, or all the lines prepared for it, or one."""
    needed = party.quorum or len(party.signatories) or 1
    signed = signed_for(life, party, on)
    # A person who signed two papers is one.
    if len({one.signatory for one in signed if one.on.reached(on)}) >= needed:
        return "yes"
    return "undetermined" if len({one.signatory for one in signed}) >= needed else "no"


def signed_for(life: Life, party: Membership, on: date) -> list[Signed]:
    """The signatures for a party that have, or may have, come, by their days."""
    signed = (one for one in life.signed if one.party == party.institution and one.avenant in party.papers)
    come = (one for one in signed if may_have_come(one.on, on))
    return sorted(come, key=lambda one: (one.on.sort_key, one.position))
