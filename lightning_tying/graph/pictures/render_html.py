"""From a sharing graph to a piece of HTML for notebooks: one table, no script, no style sheet, everything escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from lightning_tying.graph.parts import GraphView, SharingGroup
from lightning_tying.graph.pictures.bundles import fold_penalties, forms_of_sites, is_shared, list_forms, list_readers
from lightning_tying.graph.pictures.fold import fold_fqns
from lightning_tying.graph.pictures.render_text import (
    describe_meta,
    describe_policy,
    fold_alone,
    fold_private,
    summarize_graph,
)

CELL = ' style="text-align: left; vertical-align: top"'
SHOWN_SITES = 8  # more are behind a triangle


def graph_to_html(graph: GraphView) -> str:
    """A table of the shared parameters, one of what derived sites read, and the rest behind triangles."""
    forms = forms_of_sites(graph)
    shared = [_list_cells(group, forms) for group in graph.groups if is_shared(group)]
    derived = [(_code([form]), _write_sites(fold_fqns(sites))) for form, sites in list_forms(graph).items()]
    tables = [_write_table(("shared parameter", "shape", "sites", "policy"), shared)] if shared or not derived else []
    if derived:
        tables.append(_write_table(("value", "derived sites"), derived))
    hidden = {
        "parameters of one derived site each": fold_alone(graph.groups),
        "penalties": fold_penalties(graph.penalties),
        "private parameters": fold_private(graph.private),
    }
    details = "".join(_write_details(title, lines) for title, lines in hidden.items() if lines)
    warnings = "".join(f"<p>{escape(f'{warning.code} {warning}')}</p>" for warning in graph.warnings)
    return f"<div><p>{escape(summarize_graph(graph))}</p>{''.join(tables)}{details}{warnings}</div>"


def _list_cells(group: SharingGroup, forms: dict[str, str]) -> tuple[str, ...]:
    policy = ", ".join(describe_policy(group.policy, group.meta))
    sites = _write_sites(list_readers(group, forms))
    return _code([str(group.name)]), escape(describe_meta(group.meta)), sites, escape(policy)


def _write_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th{CELL}>{title}</th>" for title in titles)
    body = "".join(f"<tr>{''.join(f'<td{CELL}>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _write_sites(lines: Sequence[str]) -> str:
    more = lines[SHOWN_SITES:]
    return _code(lines[:SHOWN_SITES]) + (_write_details(f"{len(more)} more", more) if more else "")


def _code(lines: Sequence[str]) -> str:
    return "<br>".join(f"<code>{escape(line)}</code>" for line in lines)


def _write_details(title: str, lines: Sequence[str]) -> str:
    return f"<details><summary>{escape(title)}</summary>{_code(lines)}</details>"
