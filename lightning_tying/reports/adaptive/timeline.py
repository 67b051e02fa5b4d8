"""The decisions of a run in; a page with a picture and a table, in the order in which they fell, out."""

# pyright: reportUnknownMemberType=false
# matplotlib's own annotations are partial.

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

from matplotlib.figure import Figure

from lightning_tying.reports.adaptive.decision import Decision, list_names
from lightning_tying.reports.drawing import COLORS, make_figure, write_svg
from lightning_tying.reports.page import page, picture, wide, write_sentence

NOTHING = "No policy wanted to change anything."
MARKS = {"split": ("^", 0), "join": ("v", 2), "undo": ("x", 1), "refuse": ("s", 7)}  # a marker and a color for each


def render_timeline(decisions: Sequence[Decision], begun: int, steps: int, spec: str = "") -> str:
    """The page, which opens alone in a browser.

    Args:
        decisions: of the run, by step.
        begun: parameters at its start.
        steps: of the optimizer, in all.
        spec: the sharing at its end, as canonical text; empty for none.
    """
    last = decisions[-1].parameters if decisions else begun
    told = f"{begun} parameters at the start, {last} after {steps} steps; {_count(decisions)}."
    drawn = picture(write_svg(draw_timeline(decisions, begun, steps)), "parameters by step, with every decision")
    table = wide(_write_table(decisions)) if decisions else f"<p>{NOTHING}</p>"
    ending = f"<h2>The sharing at the end</h2><pre>{escape(spec)}</pre>" if spec else ""
    return page("Sharing over time", f'<p class="summary">{told}</p>{drawn}<h2>Decisions</h2>{table}{ending}')


def draw_timeline(decisions: Sequence[Decision], begun: int, steps: int) -> Figure:
    """The number of parameters over the steps, with a mark for each decision.

    Args:
        decisions: of the run, by step.
        begun: parameters at its start.
        steps: of the optimizer, in all.
    """
    figure = make_figure(7.2, 3.2)
    axes = figure.add_subplot()
    times = [0, *(each.step for each in decisions), steps]
    sizes = [begun, *(each.parameters for each in decisions)]
    axes.step(times, [*sizes, sizes[-1]], where="post", color="#555555", linewidth=1.3)
    for action, (mark, color) in MARKS.items():
        mine = [each for each in decisions if each.action == action]
        if mine:
            axes.scatter(
                [each.step for each in mine],
                [each.parameters for each in mine],
                marker=mark,
                color=COLORS[color],
                label=f"{action} ({len(mine)})",
                zorder=3,
            )
    axes.set_xlabel("step")
    axes.set_ylabel("parameters")
    axes.set_ylim(bottom=0)
    axes.grid(color="#dddddd", linewidth=0.5)
    if decisions:
        axes.legend(fontsize=8, frameon=False)
    return figure


def _count(decisions: Sequence[Decision]) -> str:
    counts = [(action, sum(each.action == action for each in decisions)) for action in MARKS]
    return ", ".join(f"{count} × {action}" for action, count in counts if count) or "no decision"


def _write_table(decisions: Sequence[Decision]) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("step", "policy", "decision", "parameters", "why"))
    rows = "".join(_write_row(each) for each in decisions)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _write_row(decision: Decision) -> str:
    changed = decision.action in ("split", "join")
    groups = list_names(decision.before) + (f" into {list_names(decision.after)}" if changed else "")
    evidence = escape(json.dumps(decision.to_dict()["evidence"], ensure_ascii=False))
    why = f"{write_sentence(decision.reason)}<details><summary>evidence</summary><code>{evidence}</code></details>"
    cells = (
        f"{decision.step}",
        escape(decision.policy),
        f"{decision.action}: {write_sentence(groups)}",
        f"{decision.parameters}",
        why,
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
