"""
Findings about what is recorded: papers, words awaited or denied, identifiers.

Pure.
"""

from collections.abc import Iterator

from contracts import events as facts
from services.domain.book import Held
from services.domain.findings.view import Raised, View, on_day
from services.domain.french import count_in_words, sentence


def unconfirmed(view: View) -> Iterator[Raised]:
    """Facts recorded for an institution, or about it, that it has not confirmed: one finding for each."""
    words = _words(view)
    awaited: dict[str, list[int]] = {}
    for held in view.known.live:
        answerable = held.answerable
        if answerable and held.effective_on.reached(view.on) is not False:
            for institution in answerable:
                if institution not in words.get(held.position, {}):
                    awaited.setdefault(institution, []).append(held.position)
    for institution, positions in awaited.items():
        many = "s" if len(positions) > 1 else ""
        yield Raised(
            f"{view.n.the(institution)} n’a pas confirmé {count_in_words(len(positions))} fait{many} "
            f"enregistré{many} en son nom ou à son égard.",
            tuple(sorted(positions)),
            about=institution,
        )


def contested(view: View) -> Iterator[Raised]:
    """A fact denied by whom it was recorded for or its counterparty, but for a payment that was sent back."""
    live = {held.position: held for held in view.known.live}
    for position, words in _words(view).items():
        held = live.get(position)
        if held is None or held.effective_on.reached(view.on) is False:
            continue
        if isinstance(held.fact, facts.PaymentMade) and (held.fact.payer, held.fact.key) in view.sent_back:
            continue
        for institution, word in words.items():
            if isinstance(word.fact, facts.FactContested):
                yield Raised(
                    f"{view.n.the(institution)} conteste {on_day(word.effective_on)} : "
                    f"« {sentence(held.fact, view.names)} » ; {word.fact.reason}",
                    (position, word.position),
                    about=institution,
                )


def _words(view: View) -> dict[int, dict[str, Held]]:
    """The last word of each institution on each entry, as told by the day."""
    said: list[tuple[Held, facts.FactConfirmed | facts.FactContested]] = [
        *view.told(facts.FactConfirmed),
        *view.told(facts.FactContested),
    ]
    words: dict[int, dict[str, Held]] = {}
    for held, fact in sorted(said, key=lambda one: one[0].position):
        words.setdefault(fact.entry, {})[fact.by] = held
    return words


def piece_missing(view: View) -> Iterator[Raised]:
    """A paper that was looked for and not found."""
    filed = {fact.key for _, fact in view.told(facts.PieceFiled) if fact.key}
    for held, missing in view.told(facts.PieceMissing):
        if missing.key not in filed:
            yield Raised(f"Pièce manquante : {missing.what}.", (held.position,), None, missing.key)


def piece_announced(view: View) -> Iterator[Raised]:
    """A paper announced and not filed; where it is said to be missing, that is told instead."""
    known = {fact.key for _, fact in view.told(facts.PieceFiled) if fact.key}
    known |= {fact.key for _, fact in view.told(facts.PieceMissing)}
    for held, announced in view.told(facts.PieceAnnounced):
        if announced.key not in known:
            yield Raised(
                f"Pièce annoncée et non jointe : {announced.what}.", (held.position,), None, announced.key
            )


def party_unidentified(view: View) -> Iterator[Raised]:
    """Parties of which neither SIREN, SIRET nor RNA is recorded: nothing about them can be published."""
    unknown = [member for member in view.members if not _identified(view, member.institution)]
    if unknown:
        yield Raised(
            f"Ni SIREN, ni SIRET, ni RNA enregistré pour {view.n.all(one.institution for one in unknown)} : "
            "rien ne peut être publié à ce nom.",
            tuple(sorted(member.position for member in unknown)),
        )


def _identified(view: View, institution: str) -> bool:
    """Whether an identifier is recorded; where nothing is known of the institution, nothing is said of it."""
    state = view.known.institutions.get(institution)
    registered = state.registered if state else None
    if state is None or registered is None or registered.siren or registered.siret or registered.rna:
        return True
    return any(
        isinstance(held.fact, facts.IdentifierRecorded) and held.effective_on.reached(view.on) is not False
        for held in state.book.live()
    )
