"""The figures of a vocabulary in; one HTML page with pictures that opens alone out."""

from __future__ import annotations

from html import escape

from lightning_tying.reports.drawing import write_svg
from lightning_tying.reports.page import page, picture, wide, write_sentence
from lightning_tying.reports.vocabulary.advice import advise
from lightning_tying.reports.vocabulary.figures import VocabularyFigures
from lightning_tying.reports.vocabulary.pictures import draw_divergences, draw_premiums, draw_shared, order_languages
from lightning_tying.reports.vocabulary.render import TITLE, list_tables


def to_html(figures: VocabularyFigures) -> str:
    """The report as a page: the vocabulary, languages and advice, pictures, pairs, false friends.

    Args:
        figures: of a vocabulary.
    """
    parts = [f"<h2>{escape(heading)}</h2>{wide(table.to_html())}" for heading, table in list_tables(figures)]
    sentences = "".join(f"<li>{write_sentence(sentence)}</li>" for sentence in advise(figures))
    advice = f"<h2>Advice, the worst first</h2><ol>{sentences}</ol>"
    notes = "".join(f'<p class="note">note: {escape(note)}</p>' for note in figures.notes)
    return page(TITLE, "".join([notes, *parts[:2], advice, _draw(figures), *parts[2:]]))


def _draw(figures: VocabularyFigures) -> str:
    drawn = picture(write_svg(draw_premiums(figures)), "What each language pays")
    if figures.pairs:
        order = order_languages(figures)
        drawn += picture(write_svg(draw_divergences(figures, order)), "Jensen–Shannon divergence of each two languages")
        drawn += picture(write_svg(draw_shared(figures, order)), "Share of running tokens on shared rows")
    return f'<div class="pictures">{drawn}</div>'
