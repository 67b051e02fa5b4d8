"""From a sharing graph to a piece of HTML for notebooks: one table, no script, no style sheet, everything escaped."""

from __future__ import annotations

from html import escape

from lightning_tying.graph.fold import fold_fqns
from lightning_tying.graph.parts import GraphView, SharingGroup
from lightning_tying.graph.render_text import describe_meta, describe_policy, fold_private, summarize_graph

CELL = ' style="text-align: left; vertical-align: top"'
SHOWN_SITES = 8  # more are behind a triangle


def graph_to_html(graph: GraphView) -> str:
    """A table of the shared parameters with their sites, and the private parameters behind a triangle."""
    head = "".join(f"<th{CELL}>{title}</th>" for title in ("shared parameter", "shape", "sites", "policy"))
    rows = "".join(_write_row(group) for group in graph.groups)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    private = _write_details("private parameters", fold_private(graph.private)) if graph.private else ""
    warnings = "".join(f"<p>{escape(f'{warning.code} {warning}')}</p>" for warning in graph.warnings)
    return f"<div><p>{escape(summarize_graph(graph))}</p>{table}{private}{warnings}</div>"


def _write_row(group: SharingGroup) -> str:
    policy = ", ".join(describe_policy(group.policy, group.meta))
    texts = (f"<code>{escape(str(group.name))}</code>", escape(describe_meta(group.meta)), _write_sites(group))
    cells = "".join(f"<td{CELL}>{text}</td>" for text in (*texts, escape(policy)))
    return f"<tr>{cells}</tr>"


def _write_sites(group: SharingGroup) -> str:
    lines = fold_fqns(group.sites)
    shown = "<br>".join(f"<code>{escape(line)}</code>" for line in lines[:SHOWN_SITES])
    more = lines[SHOWN_SITES:]
    return shown + (_write_details(f"{len(more)} more", more) if more else "")


def _write_details(title: str, lines: list[str] | tuple[str, ...]) -> str:
    inside = "<br>".join(f"<code>{escape(line)}</code>" for line in lines)
    return f"<details><summary>{escape(title)}</summary>{inside}</details>"
