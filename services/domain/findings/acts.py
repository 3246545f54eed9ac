"""
Findings about acts and signatures: deliberations, the control of legality, authority to sign, avenants.

Pure. An act is exécutoire once published and transmitted (CGCT L2131-1); that the
préfecture has it proves that it was transmitted, on that day at the latest.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from typing import Final

import msgspec

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.institutions import parse_acte
from contracts.terms import Condition, Delay, Joining
from services.domain import agrement, time_limits
from services.domain.book import Held
from services.domain.findings.view import Raised, View, a_day, on_day, some
from services.domain.french import from_in_words
from services.domain.phase import bound, signed_for

APPEAL: Final = Delay(count=2, unit="month", anchor="publication", franc=True, extended=True)
"""Two months, franc, moved to the next working day (CJA R421-1; CE 29 December 2006, 289818)."""

NUMBER_MAX: Final = 15
"""The longest internal number of an act (actesv1_1.xsd)."""

Act = tuple[str, str]
"""A deliberation: whose, and its key."""


class Passage(msgspec.Struct, frozen=True):
    """
    An act on its way to being exécutoire: the first day known of each step, and the facts that tell it.

    *sent_undated*, *shown_undated*: it was transmitted, or published, on a day that is not known too,
    and so perhaps before.
    """

    transmitted: PartialDate | None
    published: PartialDate | None
    positions: tuple[int, ...]
    sent_undated: bool = False
    shown_undated: bool = False

    @property
    def executoire(self) -> PartialDate | None:
        """The day from which it is exécutoire; None where a step is not recorded or has no date."""
        if self.transmitted is None or self.published is None:
            return None
        return max(self.transmitted, self.published, key=lambda day: day.sort_key)


def signed_before_executoire(view: View) -> Iterator[Raised]:
    """A signature affixed before the deliberation that authorises it was adopted, or was exécutoire."""
    for held, signed, decided, passage in _authorised(view):
        ready = None if _unknown(held, passage) else passage.executoire
        if held.effective_on.before(decided.effective_on):
            when = f"avant la délibération du {a_day(decided.effective_on)} qui l’autorise"
        elif ready is not None and held.effective_on.before(ready):
            when = f"avant que la délibération qui l’autorise soit exécutoire, {on_day(ready)}"
        else:
            continue
        yield Raised(
            f"{_signature(view, signed)} {on_day(held.effective_on)}, {when}.",
            (decided.position, *passage.positions, held.position),
            about=signed.party,
        )


def executoire_unproven(view: View) -> Iterator[Raised]:
    """A signature under a deliberation whose transmission or publication is not recorded with its day."""
    for held, signed, decided, passage in _authorised(view):
        missing = _unknown(held, passage)
        if missing and not held.effective_on.before(decided.effective_on):
            yield Raised(
                f"{_signature(view, signed)} {on_day(held.effective_on)}, sans que soit connu le jour de "
                f"{' ni de '.join(missing)} de la délibération du {a_day(decided.effective_on)}.",
                (decided.position, *passage.positions, held.position),
                about=signed.party,
            )


def party_without_deliberation(view: View) -> Iterator[Raised]:
    """A public party, of an instrument that binds, whose assembly is not known to have decided on it."""
    if view.life.opened is None or view.life.opened.force == "promesse":
        return
    decided = {
        fact.institution for _, fact in view.told(facts.DeliberationAdopted) if _on_the_instrument(fact)
    }
    for member in view.members:
        if view.is_public(member.institution) and member.institution not in decided:
            yield Raised(
                f"Aucune délibération {view.n.of(member.institution)} n’est enregistrée pour cette "
                "convention.",
                (member.position,),
                about=member.institution,
            )


def authority_unproven(view: View) -> Iterator[Raised]:
    """A party whose signatory's authority is announced or unstated, and not established."""
    established = {fact.party for _, fact in view.told(facts.AuthorityRecorded) if fact.established}
    doubtful: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for held, fact in view.told(facts.AuthorityRecorded):
        if not fact.established:
            doubtful[fact.party].append((held.position, fact.capacity))
    for held, signed in view.told(facts.SignatureAffixed):
        if signed.basis.kind == "unstated":
            doubtful[signed.party].append((held.position, signed.capacity))
    for party, told in doubtful.items():
        if party not in established:
            yield Raised(
                f"Le pouvoir de signer pour {view.n.the(party)} n’est pas établi : "
                f"{some(capacity for _, capacity in told)}.",
                tuple(position for position, _ in told),
                about=party,
            )


def interested_member_voted(view: View) -> Iterator[Raised]:
    """A public deliberation that members with an interest are not recorded to have kept out of."""
    for held, decided in view.come(facts.DeliberationAdopted):
        stayed = [member for member in decided.interested if member not in decided.withdrew]
        if stayed and view.is_public(decided.institution):
            yield Raised(
                f"{_deliberation(view, held, decided)} : ayant intérêt à l’affaire et non retiré du vote, "
                f"{some(stayed)}.",
                (held.position,),
                about=decided.key,
            )


def assembly_quorum_missed(view: View) -> Iterator[Raised]:
    """A deliberation of a public assembly with half of its members present or fewer: proxies do not count."""
    for held, decided in view.come(facts.DeliberationAdopted):
        votes = decided.votes
        if votes is None or votes.present is None or votes.in_office is None:
            continue
        if view.is_public(decided.institution) and 2 * votes.present <= votes.in_office:
            yield Raised(
                f"{_deliberation(view, held, decided)} : {votes.present} membres présents sur "
                f"{votes.in_office} en exercice.",
                (held.position,),
                about=decided.key,
            )


def votes_do_not_add_up(view: View) -> Iterator[Raised]:
    """More votes counted than members present or represented, or more of these than members in office."""
    for held, decided in view.come(facts.DeliberationAdopted):
        votes = decided.votes
        if votes is None or votes.present is None:
            continue
        could = votes.present + (votes.proxies or 0)
        counted = (votes.votes_for or 0) + (votes.votes_against or 0) + (votes.abstentions or 0)
        if counted > could or (votes.in_office is not None and could > votes.in_office):
            office = "" if votes.in_office is None else f" pour {votes.in_office} membres en exercice"
            yield Raised(
                f"{_deliberation(view, held, decided)} : {counted} voix, {votes.present} présents et "
                f"{votes.proxies or 0} pouvoirs{office}.",
                (held.position,),
                about=decided.key,
            )


def cited_before_held(view: View) -> Iterator[Raised]:
    """A deliberation that the paper cites, later than the first that adopted it, and not recorded."""
    adopted = [
        (held, fact) for held, fact in view.told(facts.DeliberationAdopted) if _on_the_instrument(fact)
    ]
    decided = {fact.institution for _, fact in adopted}
    first = next(((held, fact) for held, fact in adopted if held.effective_on.day is not None), None)
    if first is None:
        return
    adoption, deliberation = first
    for held, authority in view.told(facts.AuthorityRecorded):
        cited = authority.basis.on
        if authority.basis.kind != "deliberation" or cited is None or authority.party in decided:
            continue
        if cited.after(adoption.effective_on):
            yield Raised(
                f"Le texte adopté par {view.n.the(deliberation.institution)} {on_day(adoption.effective_on)} "
                f"cite une délibération {view.n.of(authority.party)} du {a_day(cited)}, qui n’était pas "
                "tenue et n’est pas enregistrée.",
                (adoption.position, held.position),
                about=authority.party,
            )


def act_in_variants(view: View) -> Iterator[Raised]:
    """An identifier read in several ways, that the préfecture's own receipt has not settled."""
    receipts = {(fact.institution, fact.deliberation, fact.acte) for _, fact in view.told(facts.ActeReceived)}
    for held, sent in view.told(facts.ActeTransmitted):
        if sent.variants and (sent.institution, sent.deliberation, sent.acte) not in receipts:
            kept = f"lu {sent.acte}, aussi " if sent.acte else ""
            yield Raised(
                f"{view.n.key(sent.deliberation)}, {view.n.the(sent.institution)} : identifiant {kept}lu "
                f"{some(sent.variants)}.",
                (held.position,),
                about=sent.deliberation,
            )


def act_malformed(view: View) -> Iterator[Raised]:
    """An identifier that the scheme of the control of legality does not take, though it can be read."""
    for held, whose, key, acte in _acts(view):
        number = parse_acte(acte).number
        if "-" in number or len(number) > NUMBER_MAX:
            yield Raised(
                f"{view.n.key(key)}, {view.n.the(whose)} : identifiant {acte} hors du schéma, car le numéro "
                f"{number} a plus de {NUMBER_MAX} signes ou un tiret.",
                (held.position,),
                about=key,
            )


def act_disagrees(view: View) -> Iterator[Raised]:
    """An identifier with another day, SIREN or nature than the deliberation, or other on receipt."""
    adopted = {(fact.institution, fact.key): held for held, fact in view.told(facts.DeliberationAdopted)}
    seen: dict[Act, str] = {}
    sirens = _sirens(view)
    for held, whose, key, acte in _acts(view):
        parts, decided = parse_acte(acte), adopted.get((whose, key))
        faults = []
        if decided is not None and decided.effective_on.day not in (None, parts.decided_on):
            faults.append(
                f"il dit le {a_day(parts.decided_on)}, la délibération {on_day(decided.effective_on)}"
            )
        if sirens.get(whose, parts.siren) != parts.siren:
            faults.append(f"il dit le SIREN {parts.siren}, l’institution a le {sirens[whose]}")
        if parts.nature != "DE":
            faults.append(f"sa nature {parts.nature} n’est pas celle d’une délibération")
        if seen.setdefault((whose, key), acte) != acte:
            faults.append(f"un autre est enregistré : {seen[whose, key]}")
        if faults:
            yield Raised(
                f"{view.n.key(key)}, {view.n.the(whose)} : identifiant {acte} ; {' ; '.join(faults)}.",
                (*((decided.position,) if decided else ()), held.position),
                about=key,
            )


def published_too_short(view: View) -> Iterator[Raised]:
    """An act whose publication ended before the time to appeal against it."""
    for held, published in view.come(facts.ActePublished):
        limit = time_limits.counted(APPEAL, held.effective_on)
        if isinstance(limit, time_limits.NotComputable) or published.until is None:
            continue
        # Nothing is told of a day to come: neither the end of the publication nor that it was too early.
        if published.until.reached(view.on) and published.until.before(limit.last_day):
            yield Raised(
                f"{view.n.key(published.deliberation)}, {view.n.the(published.institution)} : publication du "
                f"{a_day(held.effective_on)} au {a_day(published.until)}, et recours possible jusqu’au "
                f"{a_day(limit.last_day)} inclus.",
                (held.position,),
                about=published.deliberation,
            )


def appeal_possible(view: View) -> Iterator[Raised]:
    """An act that may still be appealed against on the day."""
    for held, published in view.come(facts.ActePublished):
        limit = time_limits.counted(APPEAL, held.effective_on)
        if isinstance(limit, time_limits.NotComputable) or limit.last_day < view.on:
            continue
        yield Raised(
            f"{view.n.key(published.deliberation)}, {view.n.the(published.institution)} : publiée "
            f"{on_day(held.effective_on)}, recours possible jusqu’au {a_day(limit.last_day)} inclus.",
            (held.position,),
            about=published.deliberation,
        )


def appeal_pending(view: View) -> Iterator[Raised]:
    """An appeal lodged and not decided."""
    decided = {fact.key for _, fact in view.told(facts.AppealDecided)}
    for held, appeal in view.come(facts.AppealLodged):
        if appeal.key not in decided:
            court = f" ({appeal.court})" if appeal.court else ""
            yield Raised(
                f"Recours formé {on_day(held.effective_on)}{court} contre {view.n.key(appeal.deliberation)}, "
                "sans issue enregistrée.",
                (held.position,),
                about=appeal.deliberation,
            )


def deliberation_annulled(view: View) -> Iterator[Raised]:
    """An appeal upheld against a deliberation of the convention, with none adopted since by that assembly."""
    lodged = {fact.key: fact for _, fact in view.told(facts.AppealLodged)}
    adopted = [
        (held, fact) for held, fact in view.told(facts.DeliberationAdopted) if fact.outcome == "adopted"
    ]
    by_key = {fact.key: (held, fact) for held, fact in adopted}
    last = {fact.institution: held.effective_on for held, fact in adopted}
    for held, decided in view.come(facts.AppealDecided):
        appeal = lodged.get(decided.key)
        found = by_key.get(appeal.deliberation) if appeal else None
        if decided.outcome != "upheld" or found is None:
            continue
        adoption, deliberation = found
        if last[deliberation.institution].after(held.effective_on) is False:
            yield Raised(
                f"{_deliberation(view, adoption, deliberation)} : recours accueilli "
                f"{on_day(held.effective_on)}, et aucune délibération depuis.",
                (adoption.position, held.position),
                about=deliberation.key,
            )


# -- signatures


def signature_undated(view: View) -> Iterator[Raised]:
    """A signature whose day is not known."""
    for held, signed in view.told(facts.SignatureAffixed):
        if held.effective_on.day is None:
            yield Raised(
                f"{_signature(view, signed)}, sans que le jour soit connu ({a_day(held.effective_on)}).",
                (held.position,),
                about=signed.party,
            )


def signature_contested(view: View) -> Iterator[Raised]:
    """A signature said not to bind, and no authority to sign established since."""
    established = {
        fact.party: held.effective_on for held, fact in view.told(facts.AuthorityRecorded) if fact.established
    }
    capacities = {(one.party, one.signatory): one.capacity for one in view.life.signed}
    for held, contest in view.come(facts.SignatureContested):
        capacity = capacities.get((contest.party, contest.signatory), view.n.key(contest.signatory))
        since = established.get(contest.party)
        if since is not None and not since.before(held.effective_on):
            continue
        yield Raised(
            f"Signature pour {view.n.the(contest.party)} ({capacity}) contestée par "
            f"{view.n.the(contest.by)} {on_day(held.effective_on)} : {contest.reason}",
            (held.position,),
            about=contest.party,
        )


def quorum_of_signatures(view: View) -> Iterator[Raised]:
    """A convention that has begun, and a party for which too few have signed."""
    start = view.life.starts_on()
    if start is None or not start.reached(view.on):
        return
    for member in view.members:
        signed = {one.signatory for one in signed_for(view.life, member, view.on)}
        needed = member.quorum or len(member.signatories)
        if signed and bound(view.life, member, view.on) == "no":
            yield Raised(
                f"La convention court {from_in_words(start)} ; pour {view.n.the(member.institution)}, "
                f"{len(signed)} signature{'s' if len(signed) > 1 else ''} sur {needed}.",
                (member.position,),
                about=member.institution,
            )


def begun_unsigned(view: View) -> Iterator[Raised]:
    """A convention whose start has passed, and parties for which nobody has signed."""
    start = view.life.starts_on()
    opened = view.life.opened
    if start is None or not start.reached(view.on) or opened is None or opened.force == "promesse":
        return
    missing = [member for member in view.members if not signed_for(view.life, member, view.on)]
    if missing:
        yield Raised(
            f"La convention court {from_in_words(start)} sans signature enregistrée pour "
            f"{view.n.all(member.institution for member in missing)}.",
            tuple(member.position for member in missing),
        )


def begun_before_signature(view: View) -> Iterator[Raised]:
    """A convention that takes effect before its last signature."""
    start = view.life.starts_on()
    if start is not None and view.signed_on is not None and start.before(view.signed_on):
        places = tuple(
            held.position for held, fact in view.told(facts.SignatureAffixed) if fact.avenant is None
        )
        span = view.life.span(view.on)
        yield Raised(
            f"La convention prend effet {on_day(start)}, et la dernière signature est du "
            f"{a_day(view.signed_on)}.",
            places,
            span.article if span else None,
        )


# -- avenants and admissions


def avenant_unsigned(view: View) -> Iterator[Raised]:
    """An avenant whose day has come, that not all it binds have signed."""
    signed = {(fact.party, fact.avenant) for _, fact in view.told(facts.SignatureAffixed)}
    for amendment in view.amendments:
        awaiting = [who for who in amendment.awaiting if (who, amendment.number) not in signed]
        if amendment.complete is False and awaiting and amendment.effective_on.reached(view.on):
            yield Raised(
                f"L’avenant n° {amendment.number}, daté du {a_day(amendment.effective_on)}, n’est pas signé "
                f"par {view.n.all(awaiting)}, qu’il lie.",
                (amendment.position,),
                about=amendment.number,
            )


def avenant_not_allowed(view: View) -> Iterator[Raised]:
    """An avenant between some parties, where the text does not let them amend it alone."""
    for amendment in view.amendments:
        if amendment.bipartite and amendment.allowed is False and amendment.effective_on.reached(view.on):
            # To prolong the whole, or to admit somebody, is about no article.
            articles = [difference.article for difference in amendment.differences]
            whole = "les articles" if len(articles) > 1 else "l’article"
            what = f" sur {whole} {some(articles)}" if articles else ""
            yield Raised(
                f"L’avenant n° {amendment.number}{what} ne lie que {view.n.all(amendment.binds)} ; le texte "
                "ne permet pas de le conclure sans les autres parties.",
                (amendment.position,),
                about=amendment.number,
            )


def avenant_proposed_only(view: View) -> Iterator[Raised]:
    """An avenant put to the parties and not concluded."""
    concluded = {fact.number for _, fact in view.told(facts.AvenantConcluded)}
    for held, proposed in view.come(facts.AvenantProposed):
        if proposed.number not in concluded:
            yield Raised(
                f"Avenant n° {proposed.number} proposé par {view.n.the(proposed.by)} "
                f"{on_day(held.effective_on)} et non conclu : {proposed.about}.",
                (held.position,),
                about=proposed.number,
            )


def admitted_without_agrement(view: View) -> Iterator[Raised]:
    """An institution that joined without the agrément that joining requires."""
    required: dict[str, str] = {
        term.holder: clause.article
        for clause, term in view.terms(Condition)
        if term.of == "membership" and term.requires == "agrement"
    }
    everybody = next(
        (clause.article for clause, term in view.terms(Joining) if term.requires == "agrement"), None
    )
    for member in view.life.memberships():
        article = required.get(member.institution, everybody)
        if article is None or member.since is None or member.since.day is None:
            continue
        held = view.known.agrements.get(member.institution)
        covers = held and agrement.standing(held.book, member.since.day) in ("granted", "undetermined")
        if member.since.reached(view.on) and not covers:
            yield Raised(
                f"Adhésion {view.n.of(member.institution)} {on_day(member.since)}, sans agrément en cours "
                "ce jour-là.",
                (member.position,),
                article,
                member.institution,
                member.institution,
                member.since.day,
            )


# -- what several rules ask


def _on_the_instrument(fact: facts.DeliberationAdopted) -> bool:
    """Whether it approves the instrument itself: neither an avenant, nor leaving."""
    return fact.outcome == "adopted" and fact.avenant is None and fact.authorises_exit is None


_NOTHING: Final = Passage(None, None, ())


def _authorised(
    view: View,
) -> Iterator[tuple[Held, facts.SignatureAffixed, Held, Passage]]:
    """Each dated signature of a public party, with the deliberation for it that was exécutoire first."""
    passages = _passages(view)
    adopted: dict[tuple[str, str | None], tuple[Held, Passage]] = {}
    for held, fact in view.told(facts.DeliberationAdopted):
        if fact.outcome == "adopted" and fact.authorises_exit is None:
            whose = (fact.institution, fact.avenant)
            found = (held, passages.get((fact.institution, fact.key), _NOTHING))
            adopted[whose] = min(adopted.get(whose, found), found, key=_ready)
    for held, signed in view.come(facts.SignatureAffixed):
        authorising = adopted.get((signed.party, signed.avenant))
        if authorising is not None and view.is_public(signed.party):
            yield held, signed, *authorising


def _unknown(signature: Held, passage: Passage) -> list[str]:
    """The steps of which it is not known whether they came before the signature."""

    def late(step: PartialDate | None, *, undated: bool) -> bool:
        return step is None or (undated and bool(signature.effective_on.before(step)))

    told = ["la transmission"] if late(passage.transmitted, undated=passage.sent_undated) else []
    return told + (["la publication"] if late(passage.published, undated=passage.shown_undated) else [])


def _ready(adopted: tuple[Held, Passage]) -> tuple[date, int]:
    held, passage = adopted
    ready = passage.executoire
    return (ready.first if ready and ready.first else date.max), held.position


def _passages(view: View) -> dict[Act, Passage]:
    sent: dict[Act, list[tuple[PartialDate, int]]] = defaultdict(list)
    shown: dict[Act, list[tuple[PartialDate, int]]] = defaultdict(list)
    for held, transmitted in view.told(facts.ActeTransmitted):
        sent[transmitted.institution, transmitted.deliberation].append((held.effective_on, held.position))
    for held, received in view.told(facts.ActeReceived):
        sent[received.institution, received.deliberation].append((held.effective_on, held.position))
    for held, published in view.told(facts.ActePublished):
        shown[published.institution, published.deliberation].append((held.effective_on, held.position))
    return {
        act: Passage(
            _earliest(sent[act]),
            _earliest(shown[act]),
            tuple(position for _, position in (*sent[act], *shown[act])),
            any(day.day is None for day, _ in sent[act]),
            any(day.day is None for day, _ in shown[act]),
        )
        for act in {*sent, *shown}
    }


def _earliest(steps: list[tuple[PartialDate, int]]) -> PartialDate | None:
    days = [day for day, _ in steps if day.day is not None]
    return min(days, key=lambda day: day.sort_key, default=None)


def _acts(view: View) -> Iterator[tuple[Held, str, str, str]]:
    """Each identifier recorded: by which fact, whose act, of which deliberation."""
    for held, sent in view.told(facts.ActeTransmitted):
        if sent.acte is not None:
            yield held, sent.institution, sent.deliberation, sent.acte
    for held, received in view.told(facts.ActeReceived):
        if received.acte is not None:
            yield held, received.institution, received.deliberation, received.acte


def _sirens(view: View) -> dict[str, str]:
    """The SIREN of each institution whose identifiers are known."""
    found: dict[str, str] = {}
    for slug, state in view.known.institutions.items():
        registered = state.registered
        entered = (registered.siren or registered.siret) if registered else None
        if entered:
            found[slug] = entered[:9]
        for held in state.book.live():
            fact = held.fact
            known = held.effective_on.reached(view.on) is not False
            if known and isinstance(fact, facts.IdentifierRecorded) and fact.scheme != "rna":
                found[slug] = fact.value[:9]
    return found


def _signature(view: View, signed: facts.SignatureAffixed) -> str:
    paper = "la convention" if signed.avenant is None else f"l’avenant n° {signed.avenant}"
    return f"{signed.capacity} a signé {paper} pour {view.n.the(signed.party)}"


def _deliberation(view: View, held: Held, decided: facts.DeliberationAdopted) -> str:
    return f"Délibération {view.n.of(decided.institution)} du {a_day(held.effective_on)} ({decided.about})"
