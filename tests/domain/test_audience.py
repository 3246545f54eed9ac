"""Who receives what: a few lives told out, and any log against a reading of the rule that keeps nothing."""

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any, TypeGuard

import msgspec
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.envelope import Entry
from contracts.events import Event
from contracts.terms import AnyTerm, Condition, NoPeriod
from services.domain import convention, streams
from services.domain.audience import Audience, Delivery
from tests.domain.lives import OPENED, avenant, entries, paid

C = "convention/mjc-fictive"
Step = tuple[str, str, Event] | tuple[str, str, Event, str]
"""A stream, a day, what happened, and who recorded it unless it is the clerk."""


def log(*steps: Step) -> list[Entry]:
    """The events that recording *steps* in order would give."""
    versions: dict[str, int] = {}
    made = []
    for position, (stream, on, fact, *by) in enumerate(steps, 1):
        versions[stream] = versions.get(stream, 0) + 1
        [entry] = entries((on, fact), stream=stream, first_position=position, actor=by[0] if by else "agent")
        meta = msgspec.structs.replace(entry.envelope, version=versions[stream])
        made.append(Entry(meta, fact))
    return made


def fed(*steps: Step) -> list[Delivery]:
    audience = Audience()
    return [delivery for entry in log(*steps) for delivery in audience.deliveries(entry)]


def feed_of(institution: str, deliveries: Iterable[Delivery]) -> list[int | tuple[int, int]]:
    """Positions; of what came before, with the position that let it in."""
    mine = (one for one in deliveries if one.institution == institution)
    return [one.position if one.backfill_of is None else (one.position, one.backfill_of) for one in mine]


def by(institution: str, *told: Step) -> list[Step]:
    """*told*, recorded by that institution."""
    return [(stream, on, fact, institution) for stream, on, fact, *_ in told]


def listed(institution: str, *, stream: str = C, on: str = "2026-01-01") -> Step:
    return stream, on, facts.PartyListed(institution=institution)


def joined(institution: str, on: str, *, stream: str = C) -> Step:
    return stream, on, facts.PartyJoined(institution=institution)


def left(institution: str, on: str, *, stream: str = C) -> Step:
    return stream, on, facts.PartyWithdrew(party=institution)


def cancelled(entry: int, *, by: str = "agent") -> Step:
    return C, "2026-06-01", facts.EntryCancelled(entry=entry, reason="erreur de saisie"), by


def mentioned(*, stream: str = C) -> Step:
    return stream, "2026-02-01", facts.ProvisionMentioned(about="la vie", says="rien de nouveau")


def registered(institution: str) -> Step:
    name = facts.InstitutionRegistered(name=institution.title(), kind="autre")
    return f"institution/{institution}", "2020-01-01", name


def granted(holder: str) -> Step:
    grant = facts.AgrementGranted(
        services=("AGC",),
        granted_by="caf",
        starts_on=PartialDate("2026-01-01"),
        ends_on=PartialDate("2029-12-31"),
    )
    return f"agrement/{holder}", "2025-12-01", grant


def condition(holder: str) -> AnyTerm:
    return Condition(of="partnership", requires="agrement", holder=holder, words="être agréé")


def clause(article: str, term: AnyTerm, *, on: str = "2026-01-01") -> Step:
    return C, on, facts.ClauseStated(article=article, about="objet", term=term)


def amended(
    number: int, on: str, *changes: facts.AnyChange, binds: tuple[str, ...] = ("ville", "mjc")
) -> Step:
    return C, *avenant(number, on, *changes, binds=binds)


OPEN: tuple[Step, ...] = ((C, *OPENED), listed("ville"), listed("mjc"))
"""By the clerk, who also keeps the streams of institutions: what they share, all share."""
ADMITTED = amended(1, "2026-03-01", facts.Admission("ccas"), binds=("ville", "mjc"))


# -- told out


def test_a_party_receives_what_came_before_it_and_then_all_that_comes() -> None:
    deliveries = fed(*OPEN, mentioned(), ADMITTED, mentioned())
    assert feed_of("ville", deliveries) == [(1, 2), 2, 3, 4, 5, 6]
    assert feed_of("mjc", deliveries) == [(1, 3), (2, 3), 3, 4, 5, 6]
    assert feed_of("ccas", deliveries) == [(1, 5), (2, 5), (3, 5), (4, 5), 5, 6]
    of_the_avenant = [
        (one.institution, one.position) for one in deliveries if 5 in (one.position, one.backfill_of)
    ]
    assert of_the_avenant == [
        ("ccas", 1),
        ("ccas", 2),
        ("ccas", 3),
        ("ccas", 4),
        ("ccas", 5),
        ("mjc", 5),
        ("ville", 5),
    ]


def test_an_agrement_goes_to_its_holder_and_to_the_parties_of_the_conventions_that_depend_on_it() -> None:
    deliveries = fed(
        granted("mjc"),
        granted("centre"),
        *OPEN,
        clause("3", condition("centre")),
        granted("centre"),
        granted("mjc"),
    )
    assert feed_of("mjc", deliveries) == [1, (3, 5), (4, 5), 5, (2, 6), 6, 7, 8]
    # The mjc's by being a party, the other one by a clause.
    assert feed_of("ville", deliveries) == [(3, 4), 4, (1, 5), 5, (2, 6), 6, 7, 8]
    assert feed_of("centre", deliveries) == [2, 7]
    assert feed_of("caf", deliveries) == []


def test_a_clause_that_an_avenant_takes_out_is_depended_on_no_more_and_one_of_another_kind_never() -> None:
    other = Condition(of="partnership", requires="documents", holder="foyer", words="rendre ses comptes")
    removed = facts.ClauseChanged(article="3", about="objet", term=NoPeriod())
    put_back = facts.ClauseChanged(article="3", about="objet", term=condition("centre"))
    deliveries = fed(
        *OPEN,
        clause("3", condition("centre")),
        clause("4", other),
        granted("centre"),  # 6
        granted("foyer"),
        amended(1, "2026-03-01", removed),
        granted("centre"),  # 9
        amended(2, "2026-04-01", put_back),
        cancelled(10),
        granted("centre"),  # 12
    )
    assert feed_of("ville", deliveries) == [(1, 2), 2, 3, 4, 5, 6, 8, (9, 10), 10, 11]
    assert feed_of("centre", deliveries) == [6, 9, 12]
    assert feed_of("foyer", deliveries) == [7]


def test_an_article_may_name_several_holders_and_avenants_of_one_day_stand_in_their_order() -> None:
    both = [facts.ClauseChanged(article="3", about=one, term=condition(one)) for one in ("centre", "foyer")]
    deliveries = fed(
        *OPEN,
        clause("3", condition("relais")),
        clause("3", condition("ludotheque")),
        amended(1, "2026-03-01", *both),
        granted("relais"),
        granted("centre"),  # 8
        granted("foyer"),
        amended(2, "2026-03-01", facts.ClauseChanged(article="3", about="objet")),
        granted("centre"),
        cancelled(10),
        cancelled(6),
        granted("ludotheque"),  # 14
        granted("relais"),
    )
    assert feed_of("ville", deliveries)[2:] == [3, 4, 5, 6, 8, 9, 10, (11, 12), 12, (7, 13), 13, 14, 15]


def test_an_avenant_that_is_cancelled_takes_back_whom_it_let_in_and_what_it_made_a_condition() -> None:
    changed = facts.ClauseChanged(article="3", about="objet", term=condition("centre"))
    deliveries = fed(
        *OPEN, amended(1, "2026-03-01", facts.Admission("ccas"), changed), cancelled(4), mentioned(),
        granted("centre"),
    )  # fmt: skip
    assert feed_of("ccas", deliveries) == [(1, 4), (2, 4), (3, 4), 4, 5]
    assert feed_of("ville", deliveries)[2:] == [3, 4, 5, 6]


def test_an_avenant_that_arrives_before_the_text_it_changes_is_read_after_it() -> None:
    removed = facts.ClauseChanged(article="3", about="objet", term=NoPeriod())
    deliveries = fed(
        *OPEN, amended(1, "2026-03-01", removed), clause("3", condition("centre")), granted("centre")
    )
    assert feed_of("ville", deliveries) == [(1, 2), 2, 3, 4, 5]


def test_what_an_institution_is_goes_to_it_and_to_those_with_whom_it_shares_a_convention() -> None:
    deliveries = fed(
        registered("mjc"), registered("ville"), registered("caf"), *OPEN, registered("mjc"),
        left("mjc", "2026-05-01"), registered("mjc"), registered("ville"),
    )  # fmt: skip
    assert feed_of("mjc", deliveries) == [1, (2, 6), (4, 6), (5, 6), 6, 7, 8, 9]
    assert feed_of("ville", deliveries) == [2, (4, 5), 5, (1, 6), 6, 7, 8, 10]
    assert feed_of("caf", deliveries) == [3]


def test_whoever_lists_an_institution_gets_nothing_of_what_is_that_ones() -> None:
    deliveries = fed(
        registered("mjc"), *by("caf", granted("mjc")),
        *by("foyer", *OPEN, listed("foyer"), mentioned(), clause("3", condition("centre"))),  # 3 to 8
        registered("mjc"), granted("centre"), *by("caf", granted("mjc")),
    )  # fmt: skip
    assert feed_of("foyer", deliveries) == [(3, 6), (4, 6), (5, 6), 6, 7, 8]
    assert feed_of("ville", deliveries) == [(3, 4), 4, 5, 6, 7, 8]
    assert feed_of("mjc", deliveries) == [1, 2, (3, 5), (4, 5), 5, 6, 7, 8, 9, 11]


def test_an_institution_s_own_first_word_opens_its_streams_to_the_parties() -> None:
    deliveries = fed(
        registered("mjc"), *by("caf", granted("mjc")), *by("ville", *OPEN),  # 3 to 5
        *by("mjc", mentioned(), mentioned()), *by("caf", granted("mjc")), *by("mjc", registered("mjc")),
    )  # fmt: skip
    assert feed_of("ville", deliveries) == [(3, 4), 4, 5, (1, 6), (2, 6), 6, 7, 8, 9]


def test_a_keepers_word_opens_the_stream_that_it_keeps_and_no_other() -> None:
    deliveries = fed(
        registered("mjc"), *by("caf", granted("mjc")), *by("ville", *OPEN),  # 3 to 5
        *by("caf", mentioned(), granted("mjc")), registered("mjc"), mentioned(), registered("mjc"),
    )  # fmt: skip
    assert feed_of("ville", deliveries) == [(3, 4), 4, 5, (2, 6), 6, 7, (1, 9), (8, 9), 9, 10]
    deliveries = fed(
        registered("mjc"), *by("caf", granted("mjc")), *by("ville", *OPEN), mentioned(), granted("mjc")
    )  # fmt: skip
    assert feed_of("ville", deliveries) == [(3, 4), 4, 5, (1, 6), 6]


def test_a_stream_is_kept_by_who_recorded_its_first_entry_and_by_no_later_one() -> None:
    deliveries = fed(
        *by("ville", *OPEN), *by("caf", mentioned()), *by("caf", granted("mjc")), *by("caf", granted("mjc")),
        registered("mjc"), *by("caf", registered("mjc")),
    )  # fmt: skip
    # Of the agrément the keeper had spoken before there was any.
    assert feed_of("ville", deliveries) == [(1, 2), 2, 3, 4, 5, 6]


def test_a_keepers_word_counts_until_the_institution_records_in_its_stream_itself() -> None:
    deliveries = fed(
        registered("mjc"), granted("mjc"), *OPEN, registered("mjc"),  # 6
        *by("mjc", registered("mjc")), registered("mjc"), mentioned(), granted("mjc"),  # 10
        *by("mjc", mentioned()), registered("mjc"),  # 12
    )  # fmt: skip
    # The agrément goes on: that stream the mjc has recorded nothing in.
    assert feed_of("ville", deliveries) == [
        (3, 4), 4, (1, 5), (2, 5), 5, 6, 9, 10, (7, 11), (8, 11), 11, 12
    ]  # fmt: skip
    assert feed_of("mjc", deliveries)[-6:] == [7, 8, 9, 10, 11, 12]


def test_an_institution_that_has_spoken_in_a_convention_is_followed_there_whoever_keeps_its_streams() -> None:
    deliveries = fed(
        registered("mjc"), *OPEN, *by("mjc", mentioned()), *by("mjc", registered("mjc")), registered("mjc")
    )
    assert feed_of("ville", deliveries) == [(2, 3), 3, (1, 4), 4, 5, 6, 7]


def test_a_word_opens_in_the_convention_in_which_it_was_said() -> None:
    other = "convention/autre"
    deliveries = fed(
        registered("mjc"), *by("ville", *OPEN),
        *by("foyer", listed("foyer", stream=other), listed("mjc", stream=other)),  # 5 and 6
        *by("mjc", mentioned(stream=other)), *by("mjc", registered("mjc")),
    )  # fmt: skip
    assert feed_of("ville", deliveries) == [(2, 3), 3, 4]
    assert feed_of("foyer", deliveries) == [5, 6, (1, 7), 7, 8]


def test_what_another_records_for_an_institution_is_no_word_of_that_one() -> None:
    received = facts.PaymentMade(payer="mjc", beneficiary="ville", key="p-1", exercice=2026, amount_cents=1)
    for_the_mjc: Step = (C, "2026-02-01", received)
    [_, *_, entry] = log(*OPEN, *by("ville", for_the_mjc))
    assert (entry.envelope.actor, entry.whose) == ("ville", "mjc")
    deliveries = fed(
        registered("mjc"), *by("ville", *OPEN, for_the_mjc), *by("caf", for_the_mjc), registered("mjc")
    )
    assert feed_of("ville", deliveries) == [(2, 3), 3, 4, 5, 6]


def test_a_word_that_is_cancelled_was_said_all_the_same() -> None:
    deliveries = fed(
        registered("mjc"),
        *by("ville", *OPEN),
        *by("mjc", mentioned()),
        cancelled(5, by="ville"),
        registered("mjc"),
    )
    assert feed_of("ville", deliveries) == [(2, 3), 3, 4, (1, 5), 5, 6, 7]


def test_the_agrement_of_a_holder_that_a_clause_names_is_opened_by_that_one_or_its_keeper() -> None:
    deliveries = fed(
        *by("caf", granted("centre"), granted("relais")), registered("centre"),
        *by("ville", *OPEN, clause("3", condition("centre")), clause("4", condition("relais"))),  # 4 to 8
        *by("centre", mentioned()), *by("caf", mentioned()),  # 9 and 10
        *by("relais", granted("relais")), *by("caf", granted("centre")),
    )  # fmt: skip
    assert feed_of("ville", deliveries) == [(4, 5), 5, 6, 7, 8, (1, 9), 9, (2, 10), 10, 12]
    assert feed_of("centre", deliveries) == [1, 3, 12]


def test_who_takes_over_a_party_is_let_in_by_the_same_words_as_that_one() -> None:
    deliveries = fed(
        registered("mjc"), registered("ville"), *by("ville", *OPEN), succeeded("ville", "metropole"),  # 6
        *by("metropole", mentioned()), *by("mjc", mentioned()), *by("mjc", registered("mjc")),
    )  # fmt: skip
    assert feed_of("metropole", deliveries) == [*((at, 6) for at in (2, 3, 4, 5)), 6, 7, (1, 8), 8, 9]
    # Who takes over an institution is not that institution: its word opens its own streams.
    deliveries = fed(
        *by("mjc", registered("mjc")),
        *by("ville", *OPEN),
        succeeded("mjc", "union"),
        *by("union", mentioned()),
    )
    assert feed_of("ville", deliveries) == [(2, 3), 3, 4, 6]


def test_the_first_word_of_an_institution_in_its_stream_may_be_that_another_takes_over() -> None:
    deliveries = fed(
        registered("mjc"), registered("ville"), *OPEN, succeeded("mjc", "union"), *by("mjc", mentioned())
    )  # fmt: skip
    assert feed_of("ville", deliveries) == [2, (3, 4), 4, (1, 5), 5, (6, 7), 7]
    assert feed_of("union", deliveries) == [*((at, 6) for at in range(1, 6)), 6, 7]


def test_two_conventions_are_two_reasons_and_the_last_one_that_ends_ends_it() -> None:
    other = "convention/autre"
    deliveries = fed(
        *OPEN, listed("ville", stream=other), listed("mjc", stream=other), left("mjc", "2026-05-01"),
        granted("mjc"), left("mjc", "2026-05-01", stream=other), granted("mjc"),
    )  # fmt: skip
    assert feed_of("ville", deliveries) == [(1, 2), 2, 3, 4, 5, 6, 7, 8]


def test_who_has_left_keeps_what_it_has_and_receives_its_own_settlement() -> None:
    notice = facts.NoticeSent(
        key="m-1", by="ville", to="ccas", article="9", grievance="comptes", form="lettre"
    )
    owed: dict[str, Any] = {"payer": "ville", "beneficiary": "ccas", "exercice": 2026, "amount_cents": 1}
    others = owed | {"beneficiary": "mjc"}
    about_it: list[tuple[Event, bool]] = [
        (facts.SubsidyVoted(**others), False),
        (facts.RecoveryOrdered(**owed, number="1", ground="undue"), True),
        (facts.OverpaymentFound(**owed, ground="undue"), True),
        (facts.RestitutionReceived(**others), False),
        (facts.RestitutionReceived(**owed), True),
        (paid("p-1", 1, "2026-06-01")[1], False),
        (facts.PaymentMade(**owed, key="p-2"), True),
        (facts.PaymentRejected(payer="ville", payment="p-1", reason="RIB"), False),
        (facts.PaymentRejected(payer="ville", payment="p-2", reason="RIB"), True),
        (notice, True),
        (facts.NoticePresented(key="m-1"), True),
        (facts.DisputeOpened(key="l-1", by="ccas", about="solde"), True),
        (facts.DisputeClosed(key="l-1", outcome="agreement"), True),
        (facts.DisputeOpened(key="l-2", by="ville", about="autre"), False),
        (facts.DisputeClosed(key="l-2", outcome="agreement"), False),
        (facts.PaymentRejected(payer="ccas", payment="of-another-day", reason="RIB"), True),
    ]  # fmt: skip
    steps: list[Step] = [*OPEN, ADMITTED, left("ccas", "2026-05-01")]
    first = len(steps) + 1
    steps += [(C, "2026-06-01", fact) for fact, _ in about_it]
    expected = [at for at, (_, is_told) in enumerate(about_it, first) if is_told]
    # Words on those entries: each goes to whom the entry concerned.
    words: list[tuple[Event, bool]] = [
        (facts.FactConfirmed(entry=first, by="mjc"), False),
        (facts.FactContested(entry=first, by="ccas", reason="non"), True),
        (facts.FactContested(entry=first + 1, by="ville", reason="non"), True),
        (facts.EntryReplaced(entry=first + 6, reason="montant"), True),
        (facts.EntryCancelled(entry=first + 5, reason="erreur"), False),
        (facts.FactConfirmed(entry=999, by="mjc"), False),
    ]
    expected += [at for at, (_, is_told) in enumerate(words, len(steps) + 1) if is_told]
    steps += [(C, "2026-07-01", fact) for fact, _ in words]
    deliveries = fed(*steps)
    assert feed_of("ccas", deliveries) == [(1, 4), (2, 4), (3, 4), 4, 5, *expected]
    assert feed_of("mjc", deliveries)[-len(about_it) :] == list(
        range(len(steps) - len(about_it) + 1, len(steps) + 1)
    )


def test_what_it_recorded_or_was_recorded_for_it_concerns_who_has_left() -> None:
    by_it: Step = (*mentioned()[:3], "ccas")
    for_the_town: Step = (C, *paid("p-1", 1, "2026-06-01"), "ccas")
    deliveries = fed(
        *OPEN, ADMITTED, left("ccas", "2026-05-01"), by_it, cancelled(6), mentioned(), for_the_town
    )
    assert feed_of("ccas", deliveries)[-4:] == [5, 6, 7, 9]
    [entry] = entries(("2026-06-01", mentioned()[2], "ccas"), stream=C, first_position=6)
    audience = Audience()
    for earlier in log(*OPEN, ADMITTED, left("ccas", "2026-05-01")):
        audience.deliveries(earlier)
    assert feed_of("ccas", audience.deliveries(entry)) == [6]


@pytest.mark.parametrize(
    "departure", [facts.PartyWithdrew(party="ccas"), facts.DenunciationTookEffect(by="ccas")]
)
def test_who_comes_back_receives_what_it_missed_and_nothing_again(departure: Event) -> None:
    payment = facts.PaymentMade(payer="ville", beneficiary="ccas", key="p-2", exercice=2026, amount_cents=1)
    deliveries = fed(
        *OPEN, ADMITTED, (C, "2026-05-01", departure), mentioned(), (C, "2026-06-01", payment), mentioned(),
        joined("ccas", "2026-09-01"), mentioned(),
    )  # fmt: skip
    assert feed_of("ccas", deliveries)[4:] == [5, 7, (6, 9), (8, 9), 9, 10]


def test_a_withdrawal_by_avenant_ends_a_feed_and_its_cancelling_takes_it_up_again() -> None:
    out = amended(2, "2026-05-01", facts.Withdrawal("ccas"))
    deliveries = fed(*OPEN, ADMITTED, out, mentioned(), cancelled(5), mentioned())
    assert feed_of("ccas", deliveries)[3:] == [4, 5, (6, 7), 7, 8]


def test_an_admission_that_is_cancelled_ends_the_feed_with_its_cancelling() -> None:
    deliveries = fed(*OPEN, listed("caf"), mentioned(), cancelled(4), mentioned())
    assert feed_of("caf", deliveries)[3:] == [4, 5, 6]


def test_a_scan_of_an_old_withdrawal_does_not_put_out_who_came_back_since() -> None:
    back = joined("ccas", "2026-09-01")
    deliveries = fed(*OPEN, joined("ccas", "2026-02-01"), back, left("ccas", "2026-05-01"), mentioned())
    assert feed_of("ccas", deliveries)[-1] == 7
    deliveries = fed(*OPEN, joined("ccas", "2026-02-01"), back, left("ccas", "2026-10-01"), mentioned())
    assert feed_of("ccas", deliveries)[-1] == 6


def test_a_withdrawal_to_come_ends_a_feed_when_it_is_recorded() -> None:
    deliveries = fed(*OPEN, left("mjc", "2199-01-01"), mentioned())
    assert feed_of("mjc", deliveries)[-1] == 4


def succeeded(whose: str, successor: str, *, by: str = "") -> Step:
    return (
        f"institution/{whose}",
        "2026-07-01",
        facts.Succeeded(successor=successor, manner="fusion"),
        by or whose,
    )


def said_of(entry: int, whose: str, word: Event, *, by: str) -> Step:
    return f"institution/{whose}", "2026-07-02", msgspec.structs.replace(word, entry=entry), by


def test_who_takes_over_gets_the_whole_past_at_once_and_what_comes() -> None:
    deliveries = fed(
        registered("mjc"), *OPEN, mentioned(), granted("mjc"),
        succeeded("mjc", "union"), mentioned(), granted("mjc"), left("mjc", "2026-08-01"), mentioned(),
        (C, *paid("p-1", 1, "2026-09-01"), "mjc"),
    )  # fmt: skip
    assert feed_of("union", deliveries) == [*((at, 7) for at in range(1, 7)), 7, 8, 9, 10, 12]
    assert feed_of("mjc", deliveries)[-5:] == [7, 8, 9, 10, 12]


def test_who_takes_over_has_what_is_left_to_one_who_had_left_before() -> None:
    deliveries = fed(
        *OPEN, ADMITTED, left("ccas", "2026-05-01"), mentioned(), (*mentioned()[:3], "ccas"), mentioned(),
        succeeded("ccas", "cias"), mentioned(), (*mentioned()[:3], "ccas"), (*mentioned()[:3], "cias"),
    )  # fmt: skip
    assert feed_of("ccas", deliveries)[4:] == [5, 7, 9, 11]
    assert feed_of("cias", deliveries) == [*((at, 9) for at in (1, 2, 3, 4, 5, 7)), 9, 11, 12]


def test_who_takes_over_one_whose_streams_it_follows_already_gets_what_is_left_to_that_one() -> None:
    other = "convention/autre"
    deliveries = fed(
        *OPEN, ADMITTED, left("ccas", "2026-05-01"),  # 1 to 5
        *(listed(name, stream=other) for name in ("agglo", "ccas", "cias")),
        (other, *clause("3", condition("ccas"))[1:]), registered("ccas"), granted("ccas"),  # 9 to 11
        succeeded("ccas", "cias"), mentioned(),
    )  # fmt: skip
    assert feed_of("cias", deliveries)[-6:] == [*((at, 12) for at in range(1, 6)), 12]
    assert feed_of("cias", deliveries)[:-6] == [(6, 8), (7, 8), 8, 9, 10, 11]


def test_who_takes_over_has_left_what_that_one_had_left() -> None:
    audience = Audience()
    for entry in log(*OPEN, ADMITTED, left("ccas", "2026-05-01"), succeeded("ccas", "cias")):
        audience.deliveries(entry)
    assert (audience.received("cias", C), C in audience.left("cias")) == ([1, 2, 3, 4, 5], True)


def test_anothers_word_for_a_succession_opens_nothing_until_the_institution_says_so_itself() -> None:
    confirmed = facts.FactConfirmed(entry=1, by="mjc")
    contested = facts.FactContested(entry=1, by="mjc", reason="non")
    deliveries = fed(
        *OPEN,
        succeeded("mjc", "union", by="ville"),  # 4
        said_of(4, "mjc", confirmed, by="ville"),
        mentioned(),
        said_of(4, "mjc", confirmed, by="mjc"),  # 7
        mentioned(),
        said_of(4, "mjc", contested, by="mjc"),  # 9
        mentioned(),
    )
    assert feed_of("union", deliveries) == [*((at, 7) for at in range(1, 7)), 7, 8]


def test_a_succession_that_is_cancelled_gives_no_more_and_takes_nothing_back() -> None:
    cancelling = facts.EntryCancelled(entry=1, reason="erreur")
    deliveries = fed(
        *OPEN, succeeded("mjc", "union"), said_of(4, "mjc", cancelling, by="mjc"), mentioned(),
        succeeded("mjc", "union"), mentioned(),
    )  # fmt: skip
    assert feed_of("union", deliveries) == [(1, 4), (2, 4), (3, 4), 4, (5, 7), (6, 7), 7, 8]


def test_who_takes_over_one_that_took_over_another_gets_both() -> None:
    deliveries = fed(*OPEN, succeeded("mjc", "union"), succeeded("union", "maison"), mentioned())
    assert feed_of("maison", deliveries) == [(1, 5), (2, 5), (3, 5), (4, 5), 5, 6]


def test_who_is_named_and_no_party_receives_nothing() -> None:
    asked = facts.AdmissionRequested(institution="caf", by="caf")
    held = facts.MeetingHeld(body="comite", attended_by=("caf", "ville"))
    deliveries = fed(*OPEN, (C, "2026-02-01", asked), (C, "2026-02-01", held))
    assert feed_of("caf", deliveries) == feed_of("agent", deliveries) == []


# -- whatever is recorded


NAMES = ("ville", "mjc", "ccas", "caf")
STREAMS = ("convention/a", "convention/b")
DAYS = st.sampled_from(("2025", "2026-02-01", "2026-05", "2026-09-01", "XXXX"))
names = st.sampled_from(NAMES)
conditions = st.one_of(st.just(NoPeriod()), st.builds(condition, names))
articles = st.sampled_from(("3", "4"))
changes = st.one_of(
    st.builds(facts.Admission, names),
    st.builds(facts.Withdrawal, names),
    st.builds(facts.ClauseChanged, article=articles, about=st.just("objet"), term=conditions),
)
of_conventions = st.one_of(
    st.builds(facts.PartyListed, institution=names),
    st.builds(facts.PartyListed, institution=names),
    st.builds(facts.PartyJoined, institution=names),
    st.builds(facts.PartyWithdrew, party=names),
    st.builds(facts.DenunciationTookEffect, by=names),
    st.builds(
        facts.AvenantConcluded,
        number=st.sampled_from(("1", "2")),
        binds=st.tuples(names),
        rationale=st.just("essai"),
        changes=st.lists(changes, min_size=1, max_size=2).map(tuple),
    ),
    st.builds(facts.ClauseStated, article=articles, about=st.just("objet"), term=conditions),
    st.builds(
        facts.PaymentMade,
        payer=names,
        beneficiary=names,
        key=st.sampled_from(("p-1", "p-2")),
        exercice=st.just(2026),
        amount_cents=st.just(1),
    ),
    st.builds(
        facts.PaymentRejected, payer=names, payment=st.sampled_from(("p-1", "p-2")), reason=st.just("RIB")
    ),
    st.builds(facts.EntryCancelled, entry=st.integers(1, 20), reason=st.just("erreur")),
    st.builds(facts.FactContested, entry=st.integers(1, 20), by=names, reason=st.just("non")),
)  # fmt: skip
of_institutions = st.one_of(
    st.builds(facts.Succeeded, successor=names, manner=st.just("fusion")),
    st.builds(facts.Succeeded, successor=names, manner=st.just("fusion")),
    st.builds(facts.EntryCancelled, entry=st.integers(1, 20), reason=st.just("erreur")),
    st.builds(facts.FactConfirmed, entry=st.integers(1, 20), by=names),
    st.builds(facts.FactContested, entry=st.integers(1, 20), by=names, reason=st.just("non")),
)


SPEAKERS = st.sampled_from((*NAMES, *NAMES, "agent", "foyer"))


@st.composite
def stories(draw: st.DrawFn) -> list[Step]:
    """
    Steps of few speakers: some conventions hear whom they name, or who keeps its streams, and some do not.

    Some institutions and parties are there from the beginning.
    """
    registering, granting = draw(st.permutations(("agent", "caf", "foyer")))[:2]
    some_keepers = st.lists(st.sampled_from((registering, granting)), max_size=2)
    some_speakers = st.lists(SPEAKERS, min_size=1, max_size=4)
    heard = {stream: draw(st.permutations(draw(some_speakers) + draw(some_keepers))) for stream in STREAMS}

    def in_a_convention(stream: str) -> st.SearchStrategy[Step]:
        return st.tuples(st.just(stream), DAYS, of_conventions, st.sampled_from(heard[stream]))

    def of_an_institution(whose: str) -> st.SearchStrategy[Step]:
        """A fact in one of the streams of an institution, by itself or by a keeper."""
        told = of_institutions.map(lambda fact: (f"institution/{whose}", "2026-01-01", fact))
        return st.one_of(
            st.builds(by, st.sampled_from((whose, registering)), st.one_of(told, st.just(registered(whose)))),
            st.builds(by, st.sampled_from((whose, granting, granting, registering)), st.just(granted(whose))),
        ).map(lambda one: one[0])

    steps = st.one_of(
        st.sampled_from(STREAMS).flatmap(in_a_convention),
        st.sampled_from(STREAMS).flatmap(in_a_convention),
        names.flatmap(of_an_institution),
    )
    some = st.lists(names, max_size=3, unique=True)
    known = [
        step
        for one in draw(some)
        for step in [*by(registering, registered(one)), *by(granting, granted(one))]
    ]
    there = [
        step
        for stream in STREAMS
        for one in draw(some)
        for step in by(heard[stream][0], listed(one, stream=stream))
    ]
    length = draw(st.integers(0, 28))
    return [*known, *there, *draw(st.lists(steps, min_size=length, max_size=length))]


def _of_what_is_there(told: Sequence[Step]) -> list[Entry]:
    """The log of *told*, where what is about an entry is about an earlier one, as the registrar sees to."""
    made: list[Step] = []
    for step in told:
        fact = step[2]
        if isinstance(fact, facts.EntryCancelled | facts.FactContested | facts.FactConfirmed):
            there = [at for at, one in enumerate(made, 1) if one[0] == step[0] or step[0] in STREAMS]
            if not there:
                continue
            fact = msgspec.structs.replace(fact, entry=there[fact.entry % len(there)])
        made.append((*step[:2], fact, *step[3:]))
    return log(*made)


logs = stories().map(_of_what_is_there)


def _taken_over(past: Sequence[Entry], institution: str) -> set[str]:
    """Those that *institution* has taken over after *past*, by their own last word, and whom those had."""
    found: set[str] = set()
    for entry in past:
        fact = entry.fact
        if not isinstance(fact, facts.Succeeded) or fact.successor != institution:
            continue
        stream = entry.envelope.stream
        _, _, whose = stream.partition("/")
        words = [
            one
            for one in past
            if one.envelope.stream == stream and getattr(one.fact, "entry", 0) == entry.position
        ]
        if any(isinstance(word.fact, facts.EntryCancelled) for word in words):
            continue
        own = [word.fact for word in words if word.envelope.actor == whose]
        if isinstance(own[-1], facts.FactConfirmed) if own else entry.envelope.actor == whose:
            found |= {whose, *_taken_over([one for one in past if one is not entry], whose)}
    return found - {institution}


def _follows(past: Sequence[Entry], institution: str) -> set[str]:
    """What *institution* follows after *past*: the rule read again from the first event."""
    found = {f"institution/{institution}", f"agrement/{institution}"}
    for other in _taken_over(past, institution):
        found |= {f"institution/{other}", f"agrement/{other}"}
    for stream in STREAMS:
        parties, to_be_opened = _to_be_opened(past, stream)
        if parties & {institution, *_taken_over(past, institution)}:
            found |= {stream, *(name for name in to_be_opened if _opening(past, name) & _heard(past, stream))}
    return found


def _to_be_opened(past: Sequence[Entry], stream: str) -> tuple[set[str], set[str]]:
    """The parties of a convention, and the streams that they follow for it once a word opens them there."""
    state = reduce(
        streams.evolve, (one for one in past if one.envelope.stream == stream), streams.initial(stream)
    )
    assert isinstance(state, convention.State)
    parties = {join.institution for join in state.life.joins if state.life.until(join) is None}
    holders = parties | _holders(state)
    return parties, {*(f"institution/{one}" for one in parties), *(f"agrement/{one}" for one in holders)}


def _heard(past: Sequence[Entry], stream: str) -> set[str]:
    return {one.envelope.actor for one in past if one.envelope.stream == stream}


def _opening(past: Sequence[Entry], name: str) -> set[str]:
    """Whose word in a convention opens the stream *name*."""
    whose = name.partition("/")[2]
    recorded = [one.envelope.actor for one in past if one.envelope.stream == name]
    return {whose} if whose in recorded else {whose, *recorded[:1]}


def _holders(state: convention.State) -> set[str]:
    live = list(state.book.live())
    found = set()
    for article in ("3", "4"):
        changed = [
            (
                held.effective_on.sort_key,
                held.position,
                [one.term for one in held.fact.changes if _of(one, article)],
            )
            for held in live
            if isinstance(held.fact, facts.AvenantConcluded)
            and any(_of(one, article) for one in held.fact.changes)
        ]
        stated = [
            one.fact.term
            for one in live
            if isinstance(one.fact, facts.ClauseStated) and one.fact.article == article
        ]
        terms = max(changed)[2] if changed else stated
        found |= {term.holder for term in terms if isinstance(term, Condition)}
    return found


def _of(change: facts.AnyChange, article: str) -> TypeGuard[facts.ClauseChanged]:
    return isinstance(change, facts.ClauseChanged) and change.article == article


def _concerns(past: Sequence[Entry], entry: Entry) -> set[str]:
    """Whom *entry* names, by hand for the few kinds of fact that are drawn here."""
    fact, meta = entry.fact, entry.envelope
    found = {meta.actor, meta.on_behalf_of or meta.actor}
    about: Entry | None = None
    of_stream = [one for one in past if one.envelope.stream == meta.stream]
    match fact:
        case facts.PartyListed() | facts.PartyJoined():
            found.add(fact.institution)
        case facts.PartyWithdrew():
            found.add(fact.party)
        case facts.DenunciationTookEffect():
            found.add(fact.by)
        case facts.AvenantConcluded():
            found |= set(fact.binds)
            for change in fact.changes:
                found |= {getattr(change, name) for name in ("institution", "party") if hasattr(change, name)}
                term = getattr(change, "term", None)
                found |= {term.holder} if isinstance(term, Condition) else set()
        case facts.ClauseStated(term=Condition(holder=holder)):
            found.add(holder)
        case facts.PaymentMade():
            found |= {fact.payer, fact.beneficiary}
        case facts.PaymentRejected():
            found.add(fact.payer)
            about = next(
                (
                    one
                    for one in reversed(of_stream)
                    if isinstance(one.fact, facts.PaymentMade)
                    and (one.fact.payer, one.fact.key) == (fact.payer, fact.payment)
                ),
                None,
            )
        case facts.EntryCancelled() | facts.FactContested():
            found |= {fact.by} if isinstance(fact, facts.FactContested) else set()
            about = next((one for one in of_stream if one.position == fact.entry), None)
        case _:
            pass
    return found | (_concerns(past[: about.position - 1], about) if about else set())


def expected(past: list[Entry]) -> list[Delivery]:
    """What the rule gives, told without keeping anything but who has what."""
    has: dict[str, set[int]] = {name: set() for name in NAMES}
    was_party: set[tuple[str, str]] = set()
    given: list[Delivery] = []
    for at, entry in enumerate(past, 1):
        here = entry.envelope.stream
        due: dict[str, set[int]] = {}
        after: set[tuple[str, str]] = set()
        for institution in NAMES:
            follows = _follows(past[:at], institution)
            due[institution] = {one.position for one in past[:at] if one.envelope.stream in follows}
            acts_for = {institution, *_taken_over(past[:at], institution)}
            if (institution, here) in was_party and acts_for & _concerns(past[: at - 1], entry):
                due[institution].add(at)
            after |= {(institution, stream) for stream in follows & set(STREAMS)}
        was_party |= after
        whole = {name: has[name] | due[name] for name in NAMES}
        for institution in sorted(NAMES):
            for other in _taken_over(past[:at], institution):
                due[institution] |= whole[other]
                was_party |= {(institution, stream) for stream in STREAMS if (other, stream) in was_party}
            for position in sorted(due[institution] - has[institution]):
                stream = past[position - 1].envelope.stream
                given.append(Delivery(institution, position, stream, None if position == at else at))
            has[institution] |= due[institution]
    return given


@settings(max_examples=200)
@given(logs)
def test_any_log_is_delivered_as_the_rule_reads_and_the_feeds_keep_their_promises(past: list[Entry]) -> None:
    audience = Audience()
    by_event = [audience.deliveries(entry) for entry in past]
    deliveries = [one for each in by_event for one in each]
    assert deliveries == expected(past)
    # Once only, ever.
    pairs = [(one.institution, one.position) for one in deliveries]
    assert len(set(pairs)) == len(pairs)
    # A convention goes to those it names; what an institution is, to those that a convention names with it
    # where a word let them in: two feeds overlap in no other stream.
    stands_for = {name: {name} for name in NAMES}
    for end in range(1, len(past) + 1):
        for name in NAMES:
            for other in _taken_over(past[:end], name):
                stands_for[name] |= stands_for[other]
    for one in deliveries:
        mine = stands_for[one.institution]
        assert _may_have(past, mine, one) or any(
            (other, one.position) in pairs for other in mine - {one.institution}
        )


def _may_have(past: Sequence[Entry], mine: set[str], one: Delivery) -> bool:
    """Whether a convention lets *mine* have *one*, by whom it names and by who has spoken there so far."""
    category, _, of = one.stream.partition("/")
    so_far = past[: one.backfill_of or one.position]
    for stream in STREAMS:
        named = {name for entry in so_far if entry.envelope.stream == stream for name in _concerns([], entry)}
        if mine & named and one.stream == stream:
            return True
        if mine & named and of in named and _opening(so_far, one.stream) & _heard(so_far, stream):
            return True
    return category != "convention" and of in mine


def _turns(past: Sequence[Entry]) -> set[str]:
    """What happens in *past* to those who do not follow a stream on their own account."""
    found = set()
    followed: dict[str, set[str]] = {name: _follows((), name) for name in NAMES}
    to_be_opened: dict[str, set[str]] = {stream: set() for stream in STREAMS}
    for end, entry in enumerate(past, 1):
        actor, here = entry.envelope.actor, entry.envelope.stream
        there = {one.envelope.stream for one in past[:end]}
        before = to_be_opened
        to_be_opened = {stream: _to_be_opened(past[:end], stream)[1] for stream in STREAMS}
        for institution in NAMES:
            follows = _follows(past[:end], institution)
            begun, ended = follows - followed[institution], followed[institution] - follows
            followed[institution] = follows
            if to_be_opened == before and here in STREAMS:
                found |= {
                    "its own word opens it" if name.endswith(f"/{actor}") else "its keeper's word opens it"
                    for name in begun & there
                }
            elif isinstance(entry.fact, facts.AgrementGranted | facts.InstitutionRegistered):
                found |= {"its first entry opens it" for _ in begun & {here}}
            if here.endswith(f"/{actor}"):
                found |= {"its own first entry shuts it" for _ in ended & {here}}
            if any(to_be_opened[stream] & there - follows for stream in follows.intersection(STREAMS)):
                found.add("it stays shut")
    return found


@pytest.mark.parametrize(
    "turn",
    [
        "its own word opens it",
        "its keeper's word opens it",
        "its own first entry shuts it",
        "its first entry opens it",
        "it stays shut",
    ],
)
def test_the_logs_that_are_drawn_take_every_turn(turn: str) -> None:
    drawing = settings(
        max_examples=400, phases=[Phase.generate], derandomize=True, database=None, deadline=None
    )
    assert turn in _turns(find(logs, lambda past: turn in _turns(past), settings=drawing))


@settings(max_examples=60)
@given(logs)
def test_what_a_feed_has_of_a_stream_is_what_was_delivered(past: list[Entry]) -> None:
    audience = Audience()
    deliveries = [one for entry in past for one in audience.deliveries(entry)]
    for institution in {one.institution for one in deliveries} | {"stranger"}:
        for stream in {entry.envelope.stream for entry in past} | {"convention/unheard-of"}:
            there = [entry.position for entry in past if entry.envelope.stream == stream]
            had = {
                one.position for one in deliveries if (one.institution, one.stream) == (institution, stream)
            }
            assert audience.received(institution, stream) == sorted(had)
            lacking = [position for position in there if position not in had]
            before = [position for position in there if not lacking or position < lacking[0]]
            assert audience.whole_until(institution, stream) == (before[-1] if before else 0)
            # What it received something of is followed, or was left.
            assert not had or audience.follows(institution, stream) != (stream in audience.left(institution))
            if audience.follows(institution, stream):
                assert had
                assert not lacking


def test_who_left_knows_a_convention_until_then_and_its_own_settlement() -> None:
    audience = Audience()
    left_at = 7
    log_ = log(
        *OPEN, ADMITTED, mentioned(), mentioned(), left("ccas", "2026-06-30"), mentioned(), cancelled(7)
    )
    assert log_[left_at - 1].fact == facts.PartyWithdrew(party="ccas")
    for entry in log_:
        audience.deliveries(entry)
        if entry.position == left_at:
            assert (audience.follows("ccas", C), audience.whole_until("ccas", C)) == (False, left_at)
            assert C in audience.left("ccas")
    # The cancelling of its leaving has it follow again, from the first event it missed.
    assert (audience.follows("ccas", C), audience.whole_until("ccas", C)) == (True, 9)
    assert not audience.follows("stranger", C)
    assert audience.left("ccas") == set()
    assert not audience.follows("ville", "convention/unheard-of")


@settings(max_examples=40)
@given(logs, st.data())
def test_the_feeds_of_a_beginning_are_the_beginning_of_the_feeds(
    past: list[Entry], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(past)))
    whole, beginning = Audience(), Audience()
    told = [one for entry in past for one in whole.deliveries(entry)]
    first = [one for entry in past[:cut] for one in beginning.deliveries(entry)]
    assert first == told[: len(first)]


def test_a_log_is_taken_in_without_a_gap() -> None:
    audience = Audience()
    first, _, third = log(*OPEN)
    audience.deliveries(first)
    with pytest.raises(AssertionError):
        audience.deliveries(third)
