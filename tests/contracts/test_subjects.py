"""Subjects: what goes in comes out, and nothing with a dot, a star or a space goes in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import subjects

SLUGS = st.from_regex(subjects.SLUG, fullmatch=True)


@given(SLUGS, st.sampled_from(subjects.CATEGORIES), SLUGS)
def test_a_command_says_who_asks_and_about_which_stream(
    institution: str, category: str, identifier: str
) -> None:
    stream = subjects.stream(category, identifier)
    assert stream == f"{category}/{identifier}"
    assert subjects.parse_stream(stream) == (category, identifier)
    subject = subjects.command(institution, stream)
    assert subject == f"cmd.{institution}.{category}.{identifier}"
    assert subjects.parse_command(subject) == (institution, stream)


def test_every_subject_has_its_place() -> None:
    assert subjects.ledger("convention") == "ledger.convention"
    assert subjects.feed("ccas-besancon", "convention") == "feed.ccas-besancon.convention"
    assert subjects.query("statement") == "query.statement"
    assert subjects.admin("relay", "status") == "admin.relay.status"
    assert subjects.commands_of("ville-a") == "cmd.ville-a.>"
    assert subjects.feed_of("ville-a") == "feed.ville-a.>"
    assert subjects.stream("convention", "a" * 80) == "convention/" + "a" * 80


@pytest.mark.parametrize(
    "name", ["", "-a", "a-", "A", "a.b", "a*", ">", "a b", "é", "a\n", "a/b", "a" * 81, "a_b"]
)
def test_a_name_that_is_none_is_refused_wherever_it_stands(name: str) -> None:
    for make in (
        lambda: subjects.stream("convention", name),
        lambda: subjects.parse_stream(f"convention/{name}"),
        lambda: subjects.command(name, "convention/a"),
        lambda: subjects.commands_of(name),
        lambda: subjects.feed_of(name),
        lambda: subjects.ledger(name),
        lambda: subjects.feed(name, "convention"),
        lambda: subjects.query(name),
        lambda: subjects.admin(name, "status"),
        lambda: subjects.admin("relay", name),
    ):
        with pytest.raises(ValueError) as refused:
            make()
        assert "is not a name of a-z, 0-9 and hyphens, 80 characters at most" in str(refused.value)


@pytest.mark.parametrize("name", ["note/a", "a", "conventions/a", "/a", ""])
def test_a_stream_has_one_of_three_categories(name: str) -> None:
    with pytest.raises(ValueError, match="is none of agrement, convention, institution"):
        subjects.parse_stream(name)
    with pytest.raises(ValueError, match="is none of agrement, convention, institution"):
        subjects.feed("ville", name)


@pytest.mark.parametrize(
    "subject",
    ["cmd.ville.convention", "cmd.ville.convention.a.b", "query.ville.convention.a", "", "cmd.ville.note.a"],
)
def test_a_subject_that_is_no_command_is_refused(subject: str) -> None:
    with pytest.raises(ValueError, match=r"is not cmd.<institution>.<category>.<id>|is none of"):
        subjects.parse_command(subject)
