"""
The events that make something due, or that a délai is counted from, as the facts of the ledger tell them.

Pure. Kinds of contracts.terms.Happening: some are in the convention's own stream,
some in the agrément's or the institution's of the debtor.
"""

from collections.abc import Iterable
from datetime import date

import msgspec

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.terms import Happening, Obligation
from services.domain import french, time_limits
from services.domain.obligations.duties_view import Lasting, View


class Occasion(msgspec.Struct, frozen=True):
    """An event that makes something due: its day, its words in French, and the meeting it is about."""

    when: PartialDate
    words: str
    meeting: PartialDate | None = None
    exercice: int | None = None


def happenings(kind: Happening, term: Obligation, view: View) -> list[Occasion]:
    """The events of *kind* that concern an obligation, in the order of life."""
    lasting = view.lasting
    match kind:
        case "meeting" | "meeting-held":
            return _meetings_of(term.body, view, called=kind == "meeting")
        case "minutes-sent":
            return [
                Occasion(
                    held.effective_on,
                    f"compte-rendu envoyé {french.day_in_words(held.effective_on)}",
                    held.fact.meeting_on,
                )
                for held in view.of(facts.MinutesSent)
                if held.fact.body == term.body and (not held.fact.to or term.debtor in held.fact.to)
            ]
        case "document-requested":
            return [
                Occasion(
                    held.effective_on,
                    f"demande faite {french.day_in_words(held.effective_on)}",
                    exercice=held.fact.exercice,
                )
                for held in view.of(facts.DocumentRequested)
                if (held.fact.of, held.fact.document) == (term.debtor, term.document)
            ]
        case "agrement-notified":
            return [one for one in _notified(term, view) if _while_it_lasts(one.when, lasting)]
        case "change":
            return [one for one in _changed(term, view) if _while_it_lasts(one.when, lasting)]
        case "notice-sent" | "notice-presented" | "notice-received":
            return _notices(kind, term, view)
        case "published":
            return [
                Occasion(held.effective_on, f"acte publié {french.day_in_words(held.effective_on)}")
                for held in view.of(facts.ActePublished)
            ]
        case "signed":
            return _on("signature par toutes les parties", [lasting.signed_on])
        case "took-effect":
            return _on("prise d’effet", [lasting.start])
        case "anniversary":
            return _on("date anniversaire", _anniversaries(view))


def _on(words: str, days: Iterable[date | None]) -> list[Occasion]:
    told = [PartialDate.of(day) for day in days if day is not None]
    return [Occasion(day, f"{words} {french.day_in_words(day)}") for day in told]


def _anniversaries(view: View) -> list[date]:
    """Those that have come by the day, while the instrument lasts."""
    start, end, on = view.lasting.start, view.lasting.end, view.known.on
    if start is None:
        return []
    last = min(end, on) if end else on
    days = [time_limits.anniversary(start, years) for years in range(1, last.year - start.year + 1)]
    return [day for day in days if day <= last]


def _while_it_lasts(when: PartialDate, lasting: Lasting) -> bool:
    """Whether it falls, or may fall, while the instrument lasts: what came before makes nothing due."""
    too_early = lasting.start is not None and when.before(lasting.start)
    too_late = lasting.end is not None and when.after(lasting.end)
    return not too_early and not too_late


def _meetings_of(body: str | None, view: View, *, called: bool) -> list[Occasion]:
    """
    The meetings of a body by their day: held ones, and where *called* those it is called to.

    A day that has passed and on which nobody recorded a meeting counts no more once
    the body has met later that year: the meeting was put off.
    """
    held = {one.effective_on: one for one in view.of(facts.MeetingHeld) if one.fact.body == body}
    days = {day: f"réunion tenue {french.day_in_words(day)}" for day in held}
    if called:
        for one in view.of(facts.MeetingConvened):
            day = one.fact.meeting_on
            if one.fact.body != body or day in held or any(_put_off(day, other, view) for other in held):
                continue
            days[day] = f"réunion prévue {french.day_in_words(day)}"
    ordered = sorted(days, key=lambda day: day.sort_key)
    return [Occasion(day, days[day], meeting=day) for day in ordered]


def _put_off(day: PartialDate, held_on: PartialDate, view: View) -> bool:
    """Whether the body was called to a *day* that passed without it, and met on another of that year."""
    years = [one.first.year for one in (day, held_on) if one.first]
    passed = bool(day.before(view.known.on))
    return passed and len(set(years)) == 1 and held_on.after(day) is True


def _notified(term: Obligation, view: View) -> list[Occasion]:
    state, on = view.known.agrements.get(term.debtor), view.known.on
    found = [
        held.fact.received_on
        for held in (state.book.live() if state else ())
        if isinstance(held.fact, facts.AgrementNotified)
        and held.fact.received_by == term.debtor
        and held.effective_on.reached(on) is not False
        and held.fact.received_on.reached(on) is not False
    ]
    days = sorted(dict.fromkeys(found), key=lambda day: day.sort_key)
    return [Occasion(day, f"notification reçue {french.day_in_words(day)}") for day in days]


def _changed(term: Obligation, view: View) -> list[Occasion]:
    state, on = view.known.institutions.get(term.debtor), view.known.on
    kinds = (facts.RepresentativeChanged, facts.NameChanged)
    days = sorted(
        {
            held.effective_on
            for held in (state.book.live() if state else ())
            if isinstance(held.fact, kinds) and held.effective_on.reached(on) is not False
        },
        key=lambda day: day.sort_key,
    )
    return [Occasion(day, f"changement survenu {french.day_in_words(day)}") for day in days]


def _notices(kind: Happening, term: Obligation, view: View) -> list[Occasion]:
    keys = {held.fact.key for held in view.of(facts.NoticeSent) if held.fact.to == term.debtor}
    which, words = {
        "notice-sent": (facts.NoticeSent, "envoyée"),
        "notice-presented": (facts.NoticePresented, "présentée"),
        "notice-received": (facts.NoticeReceived, "reçue"),
    }[kind]
    return [
        Occasion(held.effective_on, f"mise en demeure {words} {french.day_in_words(held.effective_on)}")
        for held in view.of(which)
        if held.fact.key in keys
    ]
