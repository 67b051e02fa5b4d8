"""The page: everything in it, worst first, escaped, nothing fetched; the pictures show what they are given."""

from __future__ import annotations

import base64
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from lightning_tying.errors import ConfigError
from lightning_tying.reports.drawing import write_svg
from lightning_tying.reports.stability.history import History
from lightning_tying.reports.stability.html import MOST_GROUPS, render_report, write_report
from lightning_tying.reports.stability.pictures import draw_cosines, draw_timeline, label_uses
from lightning_tying.reports.stability.rows import RowNumbers
from lightning_tying.reports.stability.text import describe_savings, to_data, write_text
from tests.unit.reports.stability.samples import opposed, record

SAVINGS = {"before": {"parameters": 427904, "trainable": 427904}, "after": {"parameters": 231552, "trainable": 231552}}
HEALTHY = [record(step, "A<b>&", 1 + torch.eye(3)) for step in range(4)]
BAD = [record(step, "block[q]", opposed(4, step)) for step in range(4)]
VOID = {"meta", "img", "br", "link", "input"}


class Balance(HTMLParser):
    """Every tag that is opened is closed, in order; no reference leads out of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in {"src", "href", "action", "data", "srcset"} and not (value or "").startswith("data:"):
                self.outside.append(f"{tag} {name}={value}")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parse(page: str) -> str:
    """The page's text."""
    balance = Balance()
    balance.feed(page)
    assert balance.open == [] and balance.outside == []
    assert "<script" not in page and "url(" not in page
    return re.sub(r"<[^>]*>", " ", page)


def test_the_page_is_whole_and_the_worst_group_comes_first():
    page = render_report(History((*HEALTHY, *BAD), ("stability.jsonl:9: broken off",)), SAVINGS)
    text = parse(page)
    assert text.index("block[q]") < text.index("A&lt;b&gt;&amp;")
    for told in ("427,904 -&gt; 231,552 parameters (46 % saved)", "conflict in 100 %", "share as it is", "broken off"):
        assert told in text
    assert page.count("<h3>") == 2 and page.count("<img") == 4
    assert "A<b>" not in page


def test_pictures_are_inside_the_page():
    page = render_report(History(tuple(BAD)))
    for content in re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page):
        root = ElementTree.fromstring(base64.b64decode(content))
        assert root.tag.endswith("svg")
        references = [value for node in root.iter() for key, value in node.attrib.items() if key.endswith("href")]
        assert all(value.startswith(("#", "data:")) for value in references)


def test_groups_without_pairs_or_of_one_use_have_no_heat_map():
    alone = [replace(each, cosines=None, conflict=math.nan, pairs="none") for each in BAD]
    assert render_report(History(tuple(alone))).count("<img") == 1
    assert render_report(History((record(0, "W", torch.ones(1, 2)),))).count("<img") == 1


def test_broken_zero_and_changing_gradients_are_drawn():
    records = [
        record(0, "W", torch.zeros(2, 3)),
        record(1, "W", torch.full((2, 3), math.nan)),
        record(2, "W", torch.ones(3, 3)),
        record(3, "W", torch.full((3, 3), math.inf)),
    ]
    assert "not finite" in parse(render_report(History(tuple(records))))
    assert write_svg(draw_timeline(records[:1], "W"))


def test_rows_of_a_vocabulary_are_a_table():
    rows = {
        "en": RowNumbers(5, 0.2, (1.0, 2.0, 3.0, 4.0), 0.5),
        "de": RowNumbers(7, 0.8, (1.0, 2.0, 3.0, 4.0), math.nan),
    }
    text = parse(render_report(History((*BAD, replace(BAD[0], step=9, rows=rows)))))
    assert re.search(r"de\s+7\s+80 %\s+-", text) and re.search(r"en\s+5\s+20 %\s+0.50", text)
    assert text.index("80 %") < text.index("20 %")


def test_many_groups_are_in_the_table_and_the_worst_alone_have_pictures(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lightning_tying.reports.stability.html.MOST_GROUPS", 1)
    records = [record(step, f"W[{number}]", opposed(2, step)) for step in range(2) for number in range(3)]
    page = render_report(History(tuple(records)))
    assert page.count("<section>") == 1 and "2 more groups" in page and "W[2]" in page
    assert MOST_GROUPS >= 10


def test_what_is_written_in_a_spec_is_code():
    page = render_report(History((record(0, "W", torch.tensor([[1.0, 0], [0, 9]]), ["<a>", "b"]),)))
    assert "<code>grad: {scale: 0.5}</code>" in page and "`" not in parse(page)


def test_no_records_are_said_plainly():
    assert "No sample" in parse(render_report(History(())))


def test_the_same_records_make_the_same_bytes(tmp_path: Path):
    write_report(BAD[:1], SAVINGS, tmp_path / "new" / "a.html")
    write_report(BAD[:1], SAVINGS, tmp_path / "new" / "b.html")
    assert (tmp_path / "new" / "a.html").read_bytes() == (tmp_path / "new" / "b.html").read_bytes()
    assert len(list((tmp_path / "new").iterdir())) == 2


def test_a_page_that_cannot_be_written_is_one_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_report([], None, tmp_path / "file" / "page.html")


def test_the_heat_map_shows_the_cosines_it_is_given():
    figure = draw_cosines(((1.0, -0.5), (-0.5, 1.0)), ("embed.weight", "head.weight"), "W")
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["1.00", "-0.50", "-0.50", "1.00"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["embed.weight", "head.weight"]
    assert axes.images[0].get_array()[0, 1] == -0.5 and axes.images[0].get_clim() == (-1, 1)


def test_a_heat_map_of_many_uses_stays_readable():
    count = 100
    table = tuple(tuple(float(i == j) for j in range(count)) for i in range(count))
    axes = draw_cosines(table, [f"layers.{place}.w" for place in range(count)], "W").axes[0]
    assert len(axes.get_xticklabels()) <= 24 and not axes.texts


def test_the_timeline_shows_coherence_conflict_and_norms():
    upper, lower = draw_timeline(BAD, "W").axes
    lines = {line.get_label(): list(line.get_ydata()) for line in upper.lines}
    assert lines["coherence κ"] == [each.kappa for each in BAD]
    assert lines["conflict rate"] == [each.conflict for each in BAD]
    norms = {line.get_label(): list(line.get_ydata()) for line in lower.lines}
    assert norms["layers.2"] == [each.norms[2] for each in BAD] and lower.get_yscale() == "log"


def test_of_many_uses_the_largest_have_lines_and_the_rest_a_band():
    _, lower = draw_timeline([record(step, "W", opposed(20, step)) for step in range(3)], "W").axes
    assert len(lower.lines) == 7 and len(lower.collections) == 1


def test_labels_are_numbers_or_short_names():
    assert label_uses(["layers.0.w", "layers.1.w"]) == ["layers.0", "layers.1"]
    assert label_uses(["b.w", "b.w (call 2)"]) == ["call 1", "call 2"]
    long = label_uses(["a" * 60, "b" * 60])
    assert all(len(label) <= 34 and "…" in label for label in long)


def test_text_and_data_say_the_same():
    history = History((*HEALTHY, *BAD), ("a note",))
    text, data = write_text(history, SAVINGS), to_data(history, SAVINGS)
    assert text.startswith("427,904 -> 231,552 parameters (46 % saved)") and text.endswith("note: a note")
    assert [group["group"] for group in data["groups"]] == ["block[q]", "A<b>&"]
    assert all(f"- {sentence}" in text for sentence in data["advice"])


@pytest.mark.parametrize(
    ("savings", "told"),
    [
        (None, ""),
        ({}, ""),
        ({"before": 3, "after": {}}, ""),
        ({"before": {"parameters": 0}, "after": {"parameters": 0}}, ""),
        ({"before": {"parameters": 100}, "after": {"parameters": 101}}, "100 -> 101 parameters (1 % more)"),
    ],
)
def test_savings_that_say_nothing_are_left_out(savings: dict | None, told: str):
    assert describe_savings(savings) == told
