"""The report as text, Markdown, JSON and a page: the same figures, the same sentence for each language."""

from __future__ import annotations

import json
import re

import pytest

from lightning_tying.reports.rich_tables import to_rich
from lightning_tying.reports.vocabulary import measure_vocabulary
from lightning_tying.reports.vocabulary.advice import advise
from lightning_tying.reports.vocabulary.html import to_html
from lightning_tying.reports.vocabulary.pictures import order_languages
from lightning_tying.reports.vocabulary.render import to_json, to_markdown, to_text
from lightning_tying.reports.vocabulary.tables import language_table, summary_table
from tests.unit.reports.vocabulary.samples import figures, subject
from tests.unit.vocab.measures.samples import TEXTS


def test_every_language_gets_one_sentence_the_worst_first() -> None:
    sentences = advise(figures())
    assert [sentence.partition(":")[0] for sentence in sentences] == [each.language for each in figures().languages]
    assert all(sentence.endswith(".") and sentence.count(". ") == 0 for sentence in sentences)
    english = next(sentence for sentence in sentences if sentence.startswith("en:"))
    assert "the reference" in english


def test_advice_names_the_gravest_trouble() -> None:
    lost = {sentence.partition(":")[0]: sentence for sentence in advise(figures("word_piece"))}
    assert "of its tokens are unknown; train with bytes as pieces" in lost["zh"]
    alone = advise(measure_vocabulary(subject(), TEXTS))
    assert all("parallel texts would tell what that costs" in sentence for sentence in alone)


@pytest.mark.parametrize("render", [to_text, to_markdown])
def test_text_and_markdown_tell_the_same(render) -> None:
    told = render(figures())
    for sentence in advise(figures()):
        assert sentence in told
    for heading in ("The vocabulary", "Languages, the worst first", "Pairs of languages", "False friends"):
        assert heading in told
    for cell in (cell for row in language_table(figures()).rows for cell in row):
        assert cell in told


def test_json_has_figures_and_advice() -> None:
    data = json.loads(to_json(figures()))
    assert data["gini"] == figures().gini and data["advice"] == advise(figures())
    assert [each["language"] for each in data["languages"]] == [each.language for each in figures().languages]


def test_bits_are_a_column_where_they_were_measured() -> None:
    measured = figures().with_bits({"en": 1.23456, "de": 2.0}, "test")
    table = language_table(measured)
    assert table.header[-1] == "bits / byte" and "bits / byte" not in language_table(figures()).header
    assert {row[0]: row[-1] for row in table.rows} == {"en": "1.235", "de": "2.000", "es": "-", "zh": "-"}


def test_tables_for_a_terminal_have_all_rows() -> None:
    table = language_table(figures())
    assert to_rich(table).row_count == 4 and to_rich(table, 2).row_count == 3
    assert len(to_rich(table).columns) == len(table.header)
    assert dict(summary_table(figures()).rows)["Gini"] == f"{figures().gini:.4f}"


def test_the_page_opens_alone() -> None:
    page = to_html(figures())
    assert page.count("<img") == 3 and "<script" not in page and not re.search(r'(src|href)="(?!data:)', page)
    assert page == to_html(figures())  # the same figures, the same bytes
    one = to_html(measure_vocabulary(subject(), {"en": TEXTS["en"]}))
    assert one.count("<img") == 1


def test_names_are_escaped_in_the_page() -> None:
    texts = {"<b>": TEXTS["en"], "de": TEXTS["de"]}
    page = to_html(measure_vocabulary(subject(), texts))
    assert "<b>" not in page and "&lt;b&gt;" in page


def test_alike_languages_stand_side_by_side() -> None:
    order = order_languages(figures())
    assert order[0] == "en" and order[-1] == "zh" and sorted(order) == sorted(TEXTS)
