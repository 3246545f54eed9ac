"""
The avenants of a convention: whom each binds, who signed it, and what it changed, before and after.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from services.domain import french
from services.domain.amendments import Amendment
from services.domain.book import Come
from services.domain.french import typeset
from services.domain.statement import AvenantLine
from services.pages.layout import Line, Page, cited, on_day

_COMES: Final[dict[Come, str]] = {"yes": "", "no": " (à venir)", "undetermined": ""}


def whole(page: Page, avenants: Sequence[AvenantLine], amendments: Sequence[Amendment]) -> Iterator[Line]:
    """Every avenant: what it changed of the text it found; what it says it will, where it is to come."""
    made = {one.number: one for one in amendments}
    if avenants:
        yield from page.heading("Avenants")
    for avenant in avenants:
        name = french.capitalised(french.avenant_in_words(avenant.number))
        title = f"{name}, effet {on_day(avenant.effective_on)}{_COMES[avenant.come]}"
        yield from page.paragraph(typeset(title), indent=2)
        amendment = made.get(avenant.number)
        if amendment is None:
            changes = [french.change_in_words(change, page.mapping) for change in avenant.changes]
        else:
            changes = [one.says for one in amendment.differences] + [one.says for one in amendment.effects]
        for words in changes:
            yield from page.paragraph(typeset(french.capitalised(words)), indent=4)
        yield from page.paragraph(typeset(f"Motif : {avenant.rationale}"), "soft", indent=4)
        yield from page.paragraph(typeset(f"Lie : {page.names.all(avenant.binds)}"), "soft", indent=4)
        if avenant.not_signed_by:
            missing = page.names.all(avenant.not_signed_by)
            text = typeset(f"Pas de signature enregistrée pour : {missing}")
            yield from page.paragraph(text, "open", indent=4)
        if amendment is not None:
            yield from _effect(page, amendment)


def _effect(page: Page, one: Amendment) -> Iterator[Line]:
    """Whether it has replaced the text, and whether those who made it could without the others."""
    if one.complete is False:
        yield from page.paragraph("Sans effet tant que tous ceux qu’il lie n’ont pas signé", "open", indent=4)
    if not one.bipartite:
        return
    by = f" ({cited(one.allowed_by)})" if one.allowed_by else ""
    match one.allowed:
        case True:
            text = f"Entre certaines parties seulement, comme le texte le permet{by}"
        case False:
            text = f"Entre certaines parties seulement, ce que le texte ne permet pas{by}"
        case _:
            text = "Entre certaines parties seulement ; le texte ne dit pas si elles le peuvent"
    yield from page.paragraph(typeset(text), "soft" if one.allowed else "open", indent=4)
