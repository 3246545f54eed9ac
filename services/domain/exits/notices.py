"""
A mise en demeure on a day: until when it runs, whether it was heeded, and the right it opened.

Pure. It is counted by the clause that it invokes, as that read on the day it was
sent. It stays valid where nobody collects the letter, for it belongs to no court
procedure (CPC 665 to 670-3 do not apply). It ends nothing: it opens a right.
"""

from collections.abc import Sequence
from datetime import date
from typing import Literal

import msgspec

from contracts.dates import PartialDate
from contracts.events import (
    NoticePresented,
    NoticeReceived,
    NoticeSatisfied,
    NoticeSent,
    NoticeUnheeded,
    ResiliationPronounced,
)
from contracts.terms import Termination
from services.domain import french
from services.domain.book import Held
from services.domain.exits import exit_ways, leaving
from services.domain.exits.leaving import Counted, day_in_words
from services.domain.known import Known
from services.domain.text import ClauseLine, is_in

NoticeState = Literal["running", "satisfied", "unheeded", "run-out", "undetermined"]


class NoticeCourse(msgspec.Struct, frozen=True):
    """
    A mise en demeure: its days, until when it runs, and what it opened. It ends nothing by itself.

    *state*: satisfied or unheeded as the sender said last; else running, run-out, or undetermined
    where the dates do not tell. *opens_right* in French, None while none is open. *followed_by*:
    the position of the résiliation that rests on it. *because* in French what is not known or not right.
    """

    key: str
    by: str
    to: str
    article: str
    sent_on: PartialDate | None
    presented_on: PartialDate | None
    received_on: PartialDate | None
    ends_on: date | None
    rules: tuple[str, ...]
    because: tuple[str, ...]
    state: NoticeState
    opens_right: str | None
    positions: tuple[int, ...]
    grievance: str = ""
    form: str = ""
    followed_by: int | None = None


def of(known: Known) -> tuple[NoticeCourse, ...]:
    """Every mise en demeure that was sent by the day, or may have been, in order."""
    return tuple(_notice(known, held, sent) for held, sent in known.told(NoticeSent))


def clause_of(clauses: tuple[ClauseLine, ...], article: str) -> tuple[ClauseLine, Termination] | None:
    """The clause on résiliation that *article* names, as a whole or by an alinéa of it."""
    found = [(clause, clause.term) for clause in clauses if isinstance(clause.term, Termination)]
    return next(
        (one for one in found if one[0].article == article),
        next(
            (one for one in found if is_in(one[0].article, article) or is_in(article, one[0].article)), None
        ),
    )


def _notice(known: Known, held: Held, sent: NoticeSent) -> NoticeCourse:
    presented = _first(known.told(NoticePresented), sent.key)
    received = _first(known.told(NoticeReceived), sent.key)
    days = {
        "notice-sent": held.effective_on,
        "notice-presented": presented.effective_on if presented else None,
        "notice-received": received.effective_on if received else None,
    }
    found = clause_of(leaving.clauses_on(known, held.effective_on), sent.article)
    limit = _limit(found, days, sent)
    over = _over(known, found, days, limit)
    words = _words(known, sent.key)
    state, doubts = _state(known, held, words, over=over)
    said_on = words[-1].effective_on if words else None
    if state == "unheeded" and said_on and limit.last_day and said_on.after(limit.last_day) is False:
        when, end = french.day_in_words(said_on), day_in_words(limit.last_day)
        doubts = (*doubts, f"dite sans effet {when}, avant la fin du délai ({end})")
    may = found is not None and sent.by in exit_ways.entitled(found[1], known, held.effective_on)
    if found is not None and not may:
        doubts = (*doubts, f"l’{french.article_in_words(found[0].article)} n’ouvre rien à son auteur")
    opened = over is True and may and state in ("unheeded", "run-out")
    followed = next(
        (other.position for other, fact in known.told(ResiliationPronounced) if fact.notice == sent.key),
        None,
    )
    steps = (presented, received, *words)
    return NoticeCourse(
        key=sent.key,
        by=sent.by,
        to=sent.to,
        article=sent.article,
        sent_on=held.effective_on,
        presented_on=days["notice-presented"],
        received_on=days["notice-received"],
        ends_on=limit.last_day,
        rules=limit.rules,
        because=tuple(french.typeset(reason) for reason in (*limit.because, *doubts)),
        state=state,
        opens_right=_right(found[0].article, state) if found and opened else None,
        positions=(held.position, *(step.position for step in steps if step)),
        grievance=sent.grievance,
        form=sent.form,
        followed_by=followed,
    )


def _limit(
    found: tuple[ClauseLine, Termination] | None, days: dict[str, PartialDate | None], sent: NoticeSent
) -> Counted:
    """The last day to comply."""
    if found is None:
        article = french.article_in_words(sent.article)
        return Counted(None, because=(f"{article} n’attache ni délai ni résiliation à une mise en demeure",))
    _, term = found
    if term.cure.starts_at is None:
        return exit_ways.unstated(term)
    return leaving.counted(term.cure, days.get(term.cure.starts_at))


def _over(
    known: Known,
    found: tuple[ClauseLine, Termination] | None,
    days: dict[str, PartialDate | None],
    limit: Counted,
) -> bool | None:
    """
    Whether the time to comply is over on the day; None where the dates do not tell.

    Where the paper leaves open what starts the count, or that day is not known, the sending
    is the earliest it can be and the reception the latest: what holds of both holds.
    """
    if limit.last_day is not None:
        return known.on > limit.last_day
    if found is None:
        return None
    _, term = found
    if term.cure.starts_at not in (None, *exit_ways.FROM_A_NOTICE):
        return None
    earliest = leaving.counted(term.cure, days["notice-sent"]).last_day
    latest = leaving.counted(term.cure, days["notice-received"]).last_day
    if earliest is not None and known.on <= earliest:
        return False
    return True if latest is not None and known.on > latest else None


def _state(
    known: Known, held: Held, words: list[Held], *, over: bool | None
) -> tuple[NoticeState, tuple[str, ...]]:
    """Where it stands, and what keeps that open."""
    if not held.effective_on.reached(known.on):
        return "undetermined", ("on ne sait pas si elle est déjà envoyée",)
    if any(not word.effective_on.reached(known.on) for word in words):
        return "undetermined", ("la suite donnée n’est pas datée",)
    if words:
        return ("satisfied" if isinstance(words[-1].fact, NoticeSatisfied) else "unheeded"), ()
    if over is None:
        return "undetermined", ()
    return "run-out" if over else "running", ()


def _right(article: str, state: NoticeState) -> str:
    right = f"droit de résilier ({french.article_in_words(article)})"
    if state == "unheeded":
        return french.typeset(f"{right}, par une décision de qui le tient : rien ne prend fin de soi-même")
    return french.typeset(
        f"si rien n’a été fait, {right}, une fois cela constaté : rien ne prend fin de soi-même"
    )


def _first(told: Sequence[tuple[Held, NoticePresented | NoticeReceived]], key: str) -> Held | None:
    return next((held for held, fact in told if fact.key == key), None)


def _words(known: Known, key: str) -> list[Held]:
    """What the sender said of it, in order."""
    said: list[tuple[Held, NoticeSatisfied | NoticeUnheeded]] = [
        *known.told(NoticeSatisfied),
        *known.told(NoticeUnheeded),
    ]
    mine = [held for held, fact in said if fact.key == key]
    return sorted(mine, key=lambda held: (held.effective_on.sort_key, held.position))
