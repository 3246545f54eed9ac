"""
Whether the agréments that a convention depends on cover it.
"""

from collections.abc import Iterator, Sequence

from services.domain import french
from services.domain.coverage import Coverage, Gap
from services.domain.french import typeset
from services.pages.layout import Line, Page, Style, cited, day_in_full


def whole(page: Page, coverage: Sequence[Coverage]) -> Iterator[Line]:
    """Each condition on an agrément: how it stands, the periods granted, the days not covered."""
    if coverage:
        yield from page.heading("Agréments dont la convention dépend")
    for one in coverage:
        style: Style = "good" if one.standing == "granted" else "open"
        title = f"{french.capitalised(page.names.bare(one.holder))} ({cited(one.article)})"
        yield from page.paragraph(typeset(title), indent=2)
        yield from page.labelled("État", french.STANDINGS[one.standing], style)
        for cover in one.covers:
            period = french.period_in_words(cover.starts_on, cover.ends_on)
            services = french.list_in_words(cover.services)
            who = page.names.the(cover.granted_by)
            told = f"{services}, {period}, par {who} (fait n° {cover.position})"
            yield from page.labelled("Période", told)
        for gap in one.gaps:
            yield from page.labelled("Non couvert", _uncovered(gap), "bad")
        if one.ends_before_convention:
            yield from page.labelled("À savoir", "l’agrément se termine avant la convention", "open")
        if one.right_opened:
            where = f" ({cited(one.right_article)})" if one.right_article else ""
            yield from page.labelled("Droit ouvert", f"{one.right_opened}{where}", "bad")
        for note in one.notes:
            yield from page.labelled("À savoir", note)


def _uncovered(gap: Gap) -> str:
    until = f"au {day_in_full(gap.last)}" if gap.last else "sans terme connu"
    return f"du {day_in_full(gap.first)} {until} : {french.GAPS[gap.because]}"
