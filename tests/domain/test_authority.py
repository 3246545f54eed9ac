"""
Who may record what: every row of the table both ways, against a table written here by hand.

The oracle goes by what each act is in the field: a party signs for itself, the payer records a payment,
the CAF decides on an agrément, an institution tells its own particulars, who keeps the record writes for
those who do not. It is written by tag, and knows nothing of the rules under test.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import pytest

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.events import EVENTS, Event
from services.domain import authority, streams
from services.domain.authority import NotAuthorised
from services.domain.book import InAnothersName, NotYours, Proposed
from tests.domain.lives import CLERK, CONVENTION, OPEN, Line, author, avenant, entries, given, paid, when
from tests.domain.test_french import facts as every_fact

AGREMENT, INSTITUTION = "agrement/mjc", "institution/mjc"
BEFORE, AFTER = "2026-06-01", "2027-06-01"
"""Around the day on which agglo left."""

SAMPLES: Final[dict[str, Event]] = {}
for _fact in every_fact():
    SAMPLES.setdefault(_fact.TYPE, _fact)

# -- a convention: kept by a clerk, between ville, mjc and caf; agglo was a party and left

LIFE: tuple[Line, ...] = (
    *OPEN,
    ("2025-12-11", facts.PartyListed(institution="caf")),
    ("2025-12-11", facts.PartyListed(institution="agglo")),
    ("2027-01-01", facts.PartyWithdrew(party="agglo")),
)

KEPT: Final = given(*LIFE)

ACTS = """
    convention.party-listed.v1              -             K
    convention.clause-stated.v1             -             K
    convention.annex-attached.v1            -             K A P
    convention.annex-pending.v1             -             K A P
    convention.mentioned.v1                 -             K A P
    convention.deliberation-convened.v1     institution   K A L
    convention.deliberation-adopted.v1      institution   K A L
    convention.acte-transmitted.v1          institution   K A L
    convention.acte-received.v1             institution   K A L
    convention.acte-published.v1            institution   K A L
    convention.appeal-lodged.v1             -             K A P
    convention.appeal-decided.v1            -             K A P
    convention.authority-recorded.v1        party         K A L
    convention.signature-affixed.v1         party         K A L
    convention.signature-contested.v1       by            K A L F
    convention.entry-into-force-noted.v1    -             K A P
    convention.avenant-proposed.v1          by            K A L
    convention.party-withdrew.v1            party         K A L
    convention.material-error-corrected.v1  -             K A P
    convention.renewal-decided.v1           -             K A P
    convention.subsidy-requested.v1         beneficiary   K A L
    convention.subsidy-pledged.v1           payer         K A L
    convention.subsidy-voted.v1             payer         K A L
    convention.subsidy-changed.v1           payer         K A L F
    convention.subsidy-refused.v1           payer         K A L
    convention.funds-committed.v1           payer         K A L
    convention.payment-ordered.v1           payer         K A L F
    convention.payment-made.v1              payer         K A L F
    convention.payment-rejected.v1          payer         K A L F
    convention.advance-set-off.v1           payer         K A L F
    convention.overpayment-found.v1         payer         K A L F
    convention.recovery-ordered.v1          payer         K A L F
    convention.restitution-received.v1      payer         K A L F
    convention.aid-in-kind-valued.v1        giver         K A L F
    convention.document-requested.v1        by            K A L F
    convention.document-received.v1         received_by   K A L F
    convention.document-refused.v1          by            K A L F
    convention.document-dispensed.v1        by            K A L F
    convention.insurance-shown.v1           party         K A L
    convention.republican-commitment-noted.v1 party       K A L
    convention.control-carried-out.v1       by            K A L F
    convention.change-notified.v1           party         K A L F
    convention.indicators-declared.v1       party         K A L F
    convention.meeting-convened.v1          by            K A L
    convention.meeting-held.v1              -             K A P
    convention.minutes-sent.v1              by            K A L
    convention.observations-received.v1     by            K A L
    convention.notice-sent.v1               by            K A L F
    convention.notice-satisfied.v1          by            K A L F
    convention.notice-unheeded.v1           by            K A L F
    convention.denunciation-served.v1       by            K A L
    convention.denunciation-took-effect.v1  by            K A L
    convention.resiliation-pronounced.v1    by            K A L
    convention.resiliation-took-effect.v1   -             K A P
    convention.dispute-opened.v1            by            K A L F
    convention.mediation-proposed.v1        by            K A L F
    convention.dispute-closed.v1            -             K A P
    convention.payments-suspended.v1        by            K A L F
    convention.suspension-lifted.v1         by            K A L F
    convention.derogation-granted.v1        by            K A L F
    convention.obligation-met.v1            debtor        K A L F
    convention.essential-data-published.v1  by            K A L F
    convention.expired.v1                   -             K A P
    convention.closed.v1                    -             K A P
    contradiction.found.v1                  -             K A P
    contradiction.settled.v1                by            K A
    piece.announced.v1                      -             K A P
    piece.filed.v1                          -             K A P
    piece.missing.v1                        -             K A P
"""
"""
By tag: the field that says whose act it is, and who may record it: K who keeps the record, A the party
whose act it is, P another party, L who has left, of its own act before that, F of one after. Nobody else:
S a stranger whose act it is said to be, O who has left, of another's act.
"""

ON_THEIR_OWN = {
    "convention.opened.v1",
    "convention.avenant-concluded.v1",
    "convention.admission-requested.v1",
    "convention.party-joined.v1",
    "convention.notice-presented.v1",
    "convention.notice-received.v1",
    "entry.cancelled.v1",
    "entry.replaced.v1",
    "entry.confirmed.v1",
    "entry.contested.v1",
    "piece.destroyed.v1",
}
"""What the rest of the file looks at one by one: who may depends on what the stream holds."""

CAST = {
    # who asks, whose act it is said to be, the day
    "K": (CLERK, "ville", BEFORE),
    "A": ("ville", "ville", BEFORE),
    "P": ("mjc", "ville", BEFORE),
    "L": ("agglo", "agglo", BEFORE),
    "F": ("agglo", "agglo", AFTER),
    "O": ("agglo", "ville", BEFORE),
    "S": ("etranger", "etranger", BEFORE),
}

OF_CONVENTIONS = {tag: (field, set(may)) for tag, field, *may in map(str.split, ACTS.strip().splitlines())}


def sample(tag: str, field: str, whose: str) -> Event:
    """A fact of that tag, said to be the act of *whose*."""
    fact = SAMPLES[tag]
    if field == "-":
        return fact
    named: Any = (whose,) if isinstance(getattr(fact, field), tuple) else whose
    return msgspec.structs.replace(fact, **{field: named})


def allowed(
    state: streams.State, actor: str, fact: Event, day: str = BEFORE, whose: str | None = None
) -> bool | str:
    """Whether the table lets *actor* record *fact*; refused, it says by which rule."""
    proposed = Proposed(fact, PartialDate(day), whose)
    try:
        streams.check_authority(state, actor=actor, proposed=[proposed])
    except NotAuthorised as refusal:
        words = f"it is for {authority.RULES[type(fact)].words}"
        quoted = words if whose in (None, actor) else authority.FOR_OTHERS
        return "the rule is not told" if (refusal.rule, actor in str(refusal)) != (quoted, True) else False
    return True


def who_may(state: streams.State, fact: Event) -> list[str]:
    """Who of all in and around the convention may record *fact*."""
    everybody = (CLERK, "ville", "mjc", "caf", "agglo", "etranger")
    return [who for who in everybody if allowed(state, who, fact) is True]


@pytest.mark.parametrize("tag", OF_CONVENTIONS)
def test_a_convention_is_written_by_those_whose_acts_they_are(tag: str) -> None:
    field, may = OF_CONVENTIONS[tag]
    for who, (actor, whose, day) in CAST.items():
        assert allowed(KEPT, actor, sample(tag, field, whose), day) is (who in may), who


@pytest.mark.parametrize("tag", OF_CONVENTIONS)
def test_only_who_keeps_the_record_writes_for_others(tag: str) -> None:
    fact = sample(tag, OF_CONVENTIONS[tag][0], "ville")
    assert allowed(KEPT, CLERK, fact, whose="ville") is True
    for actor in ("mjc", "agglo", "etranger"):
        assert allowed(KEPT, actor, fact, whose="ville") is False, actor


def test_the_tables_name_every_fact_and_no_other() -> None:
    told = {*OF_CONVENTIONS, *ON_THEIR_OWN, *OF_AGREMENTS, *OF_INSTITUTIONS, *OF_KEYS}
    assert told == set(EVENTS) == {kind.TYPE for kind in authority.RULES}


# -- what depends on what the stream holds


def test_whoever_opens_a_convention_keeps_its_record_even_once_the_opening_is_cancelled() -> None:
    opening = SAMPLES["convention.opened.v1"]
    assert allowed(given(), "quiconque", opening) is True
    taken_back = given(*LIFE, (BEFORE, facts.EntryCancelled(entry=1, reason="essai")))
    assert allowed(taken_back, CLERK, opening) is True
    for actor in ("ville", "agglo", "etranger"):
        assert allowed(taken_back, actor, opening) is False


def test_a_stranger_is_told_nothing_of_what_a_convention_holds() -> None:
    known = [*("mjc", "ville", "agglo"), "Convention fictive", CLERK]
    for fact in SAMPLES.values():
        if not allowed_somewhere(fact):
            continue
        with pytest.raises(NotAuthorised) as refused:
            when(given(*LIFE), (BEFORE, fact), actor="etranger")
        said = refused.value.message.replace(CONVENTION, "").replace(author(fact) or "-", "")
        assert not [name for name in known if name in said], said


def allowed_somewhere(fact: Event) -> bool:
    return fact.TYPE in OF_CONVENTIONS or fact.TYPE in ("convention.opened.v1", "convention.party-joined.v1")


def test_once_its_keeper_has_left_each_party_keeps_the_record() -> None:
    listed = (*LIFE, ("2025-12-11", facts.PartyListed(institution=CLERK)))
    clause = SAMPLES["convention.clause-stated.v1"]
    assert allowed(given(*listed), "mjc", clause) is False
    gone = given(*listed, ("2027-01-01", facts.PartyWithdrew(party=CLERK)))
    assert allowed(gone, "mjc", clause) is True
    assert allowed(gone, "mjc", paid("p", 1, BEFORE)[1], whose="ville") is True
    assert allowed(gone, CLERK, clause) is False
    assert allowed(gone, "etranger", clause) is False


def test_who_came_back_is_a_party_again() -> None:
    back = given(*LIFE, ("2028-01-01", facts.PartyJoined(institution="agglo")))
    assert allowed(back, "agglo", SAMPLES["convention.meeting-held.v1"]) is True


def test_a_leaving_to_come_ends_a_say_when_it_is_recorded() -> None:
    assert allowed(given(*LIFE), "agglo", SAMPLES["convention.meeting-held.v1"], "2026-01-01") is False


def test_an_avenant_is_recorded_by_whom_it_binds() -> None:
    between = avenant(1, BEFORE, facts.Prorogation(PartialDate("2031")))[1]
    assert who_may(given(*LIFE), between) == [CLERK, "ville", "mjc"]


def test_an_avenant_that_lets_a_party_go_is_recorded_by_that_party_or_the_keeper() -> None:
    state = given(*LIFE)
    leaving = avenant(1, BEFORE, facts.Withdrawal(party="mjc"))[1]
    assert allowed(state, "mjc", leaving) is True
    assert allowed(state, CLERK, leaving) is True
    assert allowed(state, "ville", leaving) is False


def asked(institution: str, by: str) -> facts.AdmissionRequested:
    return facts.AdmissionRequested(institution=institution, by=by)


def test_a_stranger_asks_to_be_admitted_for_itself_and_once() -> None:
    state = given(*LIFE)
    assert allowed(state, "msa", asked("msa", "msa")) is True
    assert allowed(state, "msa", asked("autre", "msa")) is False
    assert allowed(state, "msa", asked("msa", "ville")) is False
    assert allowed(state, "ville", asked("msa", "ville")) is True
    assert allowed(state, "ville", asked("msa", "mjc")) is False
    (own,) = entries((BEFORE, asked("msa", "msa"), None), actor="msa", first_position=len(LIFE) + 1)
    own = msgspec.structs.replace(own, envelope=msgspec.structs.replace(own.envelope, version=len(LIFE) + 1))
    waiting = streams.evolve(state, own)
    assert allowed(waiting, "msa", asked("msa", "msa")) is False
    assert allowed(waiting, "autre", asked("autre", "autre")) is True
    taken_back = facts.EntryCancelled(entry=own.position, reason="erreur")
    assert len(when(waiting, (BEFORE, taken_back), actor="msa")) == 1


def test_nobody_joins_by_its_own_word_alone() -> None:
    joining = facts.PartyJoined(institution="msa")
    for told in ((), ((BEFORE, asked("autre", "ville")),)):
        assert allowed(given(*LIFE, *told), "msa", joining) is False
    announced = given(*LIFE, (BEFORE, asked("msa", "ville")))
    assert allowed(announced, "msa", joining) is True
    assert allowed(announced, "etranger", joining) is False
    assert allowed(announced, "ville", joining) is False
    assert allowed(given(*LIFE), CLERK, joining, whose="msa") is True


@pytest.mark.parametrize(
    "leaving",
    [
        facts.PartyWithdrew(party="msa"),
        facts.DenunciationTookEffect(by="msa"),
        avenant(1, AFTER, facts.Withdrawal(party="msa"))[1],
    ],
    ids=lambda fact: type(fact).__name__,
)
def test_who_left_comes_back_only_when_it_is_announced_anew(leaving: Event) -> None:
    joining = facts.PartyJoined(institution="msa")
    life = (*LIFE, (BEFORE, asked("msa", "ville")), (BEFORE, joining), (AFTER, leaving))
    assert allowed(given(*life), "msa", joining, "2028-01-01") is False
    assert allowed(given(*life, (AFTER, asked("msa", "caf"))), "msa", joining, "2028-01-01") is True


def test_a_letter_arrived_says_who_wrote_it_or_got_it() -> None:
    sent = facts.NoticeSent(key="n", by="ville", to="agglo", article="9", grievance="bilan", form="LRAR")
    state = given(*LIFE, (BEFORE, sent))
    for arrived in (facts.NoticePresented(key="n"), facts.NoticeReceived(key="n")):
        assert who_may(state, arrived) == [CLERK, "ville", "agglo"]
        assert allowed(state, "ville", msgspec.structs.replace(arrived, key="autre")) is False


def test_who_opened_a_dispute_closes_it_even_after_it_left() -> None:
    opened = facts.DisputeOpened(key="d", by="agglo", about="le solde")
    closed = facts.DisputeClosed(key="d", outcome="agreement")
    assert allowed(given(*LIFE, (BEFORE, opened)), "agglo", closed, AFTER) is True
    assert allowed(given(*LIFE), "agglo", closed, AFTER) is False


def test_a_paper_is_destroyed_by_whoever_cited_it() -> None:
    paper = facts.Piece(digest="a" * 64, media_type="application/pdf", size_bytes=1, what="bilan")
    destroyed = facts.PieceDestroyed(digest="a" * 64, reason="dix ans")
    for citing in (
        facts.PieceFiled(piece=paper),
        facts.ObligationMet(obligation="o", debtor="mjc", pieces=(paper,)),
    ):
        state = given(*LIFE, (BEFORE, citing, "mjc"))
        assert who_may(state, destroyed) == [CLERK, "mjc"]
    assert allowed(given(*LIFE), "mjc", destroyed) is False


@pytest.mark.parametrize("kind", [facts.FactConfirmed, facts.FactContested])
def test_who_a_fact_was_recorded_for_answers_for_it_and_nobody_in_its_place(kind: Any) -> None:
    more = {"reason": "jamais reçu"} if kind is facts.FactContested else {}
    state = given(*LIFE, paid("p", 1, BEFORE))
    at = len(LIFE) + 1
    for actor in ("ville", "mjc"):
        word = kind(entry=at, by=actor, **more)
        assert len(when(state, (AFTER, word, None), actor=actor)) == 1
        for other in {"ville", "mjc", CLERK, "caf"} - {actor}:
            for behalf in (None, actor):
                with pytest.raises((NotYours, NotAuthorised, InAnothersName)):
                    when(state, (AFTER, word, behalf), actor=other)
    for stranger in ("agglo", "etranger"):
        with pytest.raises(NotAuthorised):
            when(state, (AFTER, kind(entry=at, by=stranger, **more), None), actor=stranger)


def test_a_stranger_for_whom_something_was_recorded_answers_for_it() -> None:
    state = given(*LIFE, (BEFORE, asked("msa", "msa")))
    at = len(LIFE) + 1
    for word in (
        facts.FactConfirmed(entry=at, by="msa"),
        facts.FactContested(entry=at, by="msa", reason="non"),
        facts.EntryCancelled(entry=at, reason="non"),
    ):
        assert len(when(state, (AFTER, word, None), actor="msa")) == 1
        with pytest.raises(NotAuthorised):
            when(state, (AFTER, msgspec.structs.replace(word, entry=1), None), actor="msa")


# -- an agrément: kept by a clerk; asked of caf by mjc, granted by it

GRANTED: tuple[Line, ...] = (
    ("2025-10-01", facts.AgrementRequested(services=("AGC",), to="caf")),
    (
        "2025-12-01",
        facts.AgrementGranted(
            services=("AGC",),
            granted_by="caf",
            starts_on=PartialDate("2026-01-01"),
            ends_on=PartialDate("2029-12-31"),
        ),
    ),
)

OF_AGREMENTS = {
    # the field that names whose act it is, and who may: K the keeper, C the centre, G the grantor, named
    # so; nobody else: g the grantor, of another's act, X a body that nobody asked, S a stranger
    "agrement.requested.v1": ("-", "KC"),
    "agrement.granted.v2": ("granted_by", "KG"),
    "agrement.notified.v1": ("-", "KCG"),
    "agrement.renewed.v1": ("granted_by", "KG"),
    "agrement.suspended.v1": ("by", "KG"),
    "agrement.suspension-lifted.v1": ("by", "KG"),
    "agrement.withdrawn.v1": ("by", "KG"),
    "agrement.lapsed.v1": ("-", "KCG"),
}


@pytest.mark.parametrize("tag", OF_AGREMENTS)
@pytest.mark.parametrize(
    "told",
    [
        GRANTED,
        GRANTED[:1],
        GRANTED[1:],
        (
            *GRANTED,
            ("2025-12-08", facts.AgrementNotified(received_by="mjc", received_on=PartialDate("2025-12-08"))),
        ),
    ],
    ids=["both", "requested", "granted", "notified"],
)
def test_an_agrement_is_written_by_the_centre_and_by_who_grants_it(tag: str, told: tuple[Line, ...]) -> None:
    field, may = OF_AGREMENTS[tag]
    state = given(*told, stream=AGREMENT)
    cast = {"K": (CLERK, "caf"), "C": ("mjc", "caf"), "G": ("caf", "caf"), "X": ("autre-caf", "autre-caf")}
    for who, (actor, whose) in cast.items():
        assert allowed(state, actor, sample(tag, field, whose)) is (who in may), who
    if field != "-":
        assert allowed(state, "caf", sample(tag, field, "autre-caf")) is False
    assert allowed(state, "mjc", sample(tag, field, "caf"), whose="caf") is False
    assert allowed(state, CLERK, sample(tag, field, "caf"), whose="caf") is True


def test_what_is_recorded_of_an_agrement_word_for_word_adds_nothing_whoever_says_it() -> None:
    state = given(*GRANTED, stream=AGREMENT)
    assert when(state, GRANTED[0], actor="etranger") == ()


# -- an institution

REGISTERED: Line = ("XXXX", facts.InstitutionRegistered(name="MJC fictive", kind="association"))
OF_INSTITUTIONS = {
    "institution.registered.v1",
    "institution.identifier-recorded.v1",
    "institution.alias-recorded.v1",
    "institution.name-changed.v1",
    "institution.succeeded.v1",
    "institution.representative-changed.v1",
}


@pytest.mark.parametrize("tag", sorted(OF_INSTITUTIONS))
def test_an_institution_tells_its_own_particulars(tag: str) -> None:
    fact = SAMPLES[tag]
    kept = given(REGISTERED, stream=INSTITUTION)
    assert allowed(kept, "mjc", fact) is True
    assert allowed(kept, CLERK, fact) is True
    assert allowed(kept, "etranger", fact) is False
    assert allowed(kept, "mjc", fact, whose="ville") is False
    own = entries((BEFORE, fact), stream=INSTITUTION, actor="mjc", first_position=2)[0]
    own = msgspec.structs.replace(own, envelope=msgspec.structs.replace(own.envelope, version=2))
    told = streams.evolve(kept, own)
    assert allowed(told, "mjc", fact) is True
    assert allowed(told, CLERK, fact) is False


OF_KEYS = {"institution.key-declared.v1", "institution.key-withdrawn.v1"}


@pytest.mark.parametrize("tag", sorted(OF_KEYS))
@pytest.mark.parametrize("past", [(), (REGISTERED,)], ids=["unknown", "registered"])
def test_an_institution_alone_speaks_of_its_keys(tag: str, past: tuple[Line, ...]) -> None:
    state, fact = given(*past, stream=INSTITUTION), SAMPLES[tag]
    assert allowed(state, "mjc", fact) is True
    for actor in (CLERK, "etranger"):
        assert allowed(state, actor, fact) is False
        assert allowed(state, actor, fact, whose="mjc") is False


def test_a_word_on_an_entry_does_not_take_the_particulars_over() -> None:
    registered = given((*REGISTERED, "mjc"), stream=INSTITUTION)
    word = entries(
        (BEFORE, facts.FactConfirmed(entry=1, by="mjc"), None),
        stream=INSTITUTION,
        actor="mjc",
        first_position=2,
    )[0]
    word = msgspec.structs.replace(word, envelope=msgspec.structs.replace(word.envelope, version=2))
    assert allowed(streams.evolve(registered, word), CLERK, SAMPLES["institution.alias-recorded.v1"]) is True


def test_an_institution_takes_back_what_others_recorded_in_its_stream() -> None:
    taken_back = (BEFORE, facts.EntryCancelled(entry=1, reason="ce n'est pas nous"), None)
    assert len(when(given(REGISTERED, stream=INSTITUTION), taken_back, actor="mjc")) == 1
    with pytest.raises(NotAuthorised):
        when(given(REGISTERED, stream=INSTITUTION), taken_back, actor="etranger")
    with pytest.raises(NotYours):
        when(given(*GRANTED, stream=AGREMENT), taken_back, actor="mjc")


@pytest.mark.parametrize("stream", [CONVENTION, AGREMENT, INSTITUTION])
def test_whoever_begins_a_stream_keeps_it(stream: str) -> None:
    for tag in ("contradiction.found.v1", "piece.announced.v1"):
        assert allowed(given(stream=stream), "quiconque", SAMPLES[tag]) is True


def test_of_several_facts_the_one_that_is_not_to_be_recorded_is_named() -> None:
    for state, tags, actor in (
        (KEPT, ("convention.meeting-held.v1", "convention.party-listed.v1"), "mjc"),
        (given(*GRANTED, stream=AGREMENT), ("agrement.requested.v1", "agrement.granted.v2"), "mjc"),
        (
            given(REGISTERED, stream=INSTITUTION),
            ("institution.registered.v1", "institution.key-declared.v1"),
            CLERK,
        ),
    ):
        may, may_not = (Proposed(SAMPLES[tag], PartialDate(BEFORE), actor) for tag in tags)
        streams.check_authority(state, actor=actor, proposed=[may, may])
        for proposed, place in (([may_not, may], 0), ([may, may_not], 1)):
            with pytest.raises(NotAuthorised) as refused:
                streams.check_authority(state, actor=actor, proposed=proposed)
            assert refused.value.fact == place
            assert state.stream in str(refused.value)


def members() -> Iterator[tuple[str, streams.State, str]]:
    yield "party", given(*LIFE), "ville"
    yield "centre", given(*GRANTED, stream=AGREMENT), "mjc"
    yield "grantor", given(*GRANTED, stream=AGREMENT), "caf"
    yield "itself", given(REGISTERED, stream=INSTITUTION), "mjc"


@pytest.mark.parametrize(("part", "state", "who"), list(members()), ids=lambda value: str(value)[:8])
def test_papers_and_contradictions_are_for_whoever_has_a_part(
    part: str, state: streams.State, who: str
) -> None:
    for tag in ("contradiction.found.v1", "piece.announced.v1", "piece.filed.v1", "piece.missing.v1"):
        for actor, may in ((who, True), (CLERK, True), ("etranger", False)):
            assert allowed(state, actor, SAMPLES[tag]) is may, (part, tag, actor)
    settled = sample("contradiction.settled.v1", "by", who)
    assert allowed(state, who, settled) is True
    assert allowed(state, "etranger", settled) is False
    assert allowed(state, who, sample("contradiction.settled.v1", "by", "autre")) is False
