"""Write docs/gallery from configs/sharing and tests/gallery/schemes: `python -m tests.gallery.make_pages`.

Every scheme gets its paper, formula, equations, a picture of its graph on a small tree, the counts that the tests
reckon again, and what else they check.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lightning_tying import make_plan
from tests.gallery.picture import draw_graph
from tests.gallery.schemes import FAMILIES, SCHEMES, Count, Scheme, make_module, write_files

FOLDER = Path(__file__).parents[2] / "docs" / "gallery"
TITLES = {
    "embeddings": ("Embeddings and vocabularies", "Tables of words that several sites read, or that few numbers make."),
    "vocabularies": (
        "Several vocabularies",
        "Tables of several vocabularies, whose words find their rows by a row map.",
    ),
    "layers": ("Layers", "Blocks that are read at several depths."),
    "dictionaries": (
        "Deltas, dictionaries and templates",
        "Weights of a shared part and a small one of their own.",
    ),
    "attention": ("Inside attention", "Heads, queries, keys and values."),
    "subspaces": ("Hashes, subspaces and deltas", "Many cells from few numbers, and small changes to a frozen model."),
    "symmetry": ("Convolution and symmetry", "Weights that obey a symmetry because their cells are shared."),
    "recurrence": ("Recurrent networks", "Cells over directions and layers, and what one forward pass holds still."),
    "models": ("Several models", "Towers, tasks and parts that share a trunk, or stay near each other."),
}
ALWAYS = (
    "every site's value (1e-10) and every shared parameter's gradient (1e-8) against an implementation of its own in "
    "plain torch, float64; the counts; that the spec, the graph and the weights survive being written and read"
)


@dataclass(frozen=True)
class Page:
    """What the comment of a scheme's file says, and its equations."""

    name: str
    sentence: str
    paper: str
    notes: str
    equations: str


def read_file(file: Path) -> Page:
    """The parts of a file of configs/sharing."""
    lines = file.read_text(encoding="utf-8").splitlines()[1:]
    comment = list(_take_comment(lines))
    equations = "\n".join(lines[len(comment) :])
    paper, _, notes = "\n".join(comment[1:]).partition("\n\n")
    name, _, rest = comment[0].partition(": ")
    return Page(name, rest[:1].upper() + rest[1:], paper.replace("\n", " "), notes.replace("\n", " "), equations)


def _take_comment(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if not line.startswith("#"):
            return
        yield line[2:]


def make_anchor(name: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", name).strip().lower())


def render_scheme(scheme: Scheme) -> str:
    """One section of a page."""
    page = read_file(scheme.file)
    parts = [
        f"## {page.name}",
        page.sentence,
        page.paper,
        f"```text\n{scheme.formula}\n```",
        f'```yaml title="configs/sharing/{scheme.name}.yaml"\n{page.equations}\n```',
        f"![{page.name}: which sites read which shared parameters](pictures/{scheme.name}.svg)",
        page.notes,
        render_counts(scheme.counts),
        render_checks(scheme.checked),
    ]
    return "\n\n".join(parts)


def render_checks(checked: tuple[str, ...]) -> str:
    """What the tests of every scheme check, and what they check of this one."""
    always = "Checked as [every scheme](index.md) is"
    return f"{always}, and: {'; '.join(checked)}." if checked else f"{always}."


def render_counts(counts: tuple[Count, ...]) -> str:
    """A table: parameters before and after."""
    lines = ["| parameters before | after | left | with |", "| ---: | ---: | ---: | :--- |"]
    for count in counts:
        values = ", ".join(f"`{name}: {value}`" for name, value in count.let.items())
        note = "; ".join(text for text in (values, count.note) if text)
        share = f"{100 * count.after / count.before:.1f} %"
        lines.append(f"| {count.before:,} | {count.after:,} | {share} | {note} |")
    return "\n".join(lines)


def render_page(family: str) -> str:
    title, sentence = TITLES[family]
    schemes = [scheme for scheme in SCHEMES.values() if scheme.family == family]
    return "\n\n".join([f"# {title}", sentence, *map(render_scheme, schemes)]) + "\n"


def render_index() -> str:
    """The first page: all schemes by family, with their counts."""
    parts = [
        "# Gallery",
        f"{len(SCHEMES)} ways of sharing from the literature, each a file of ten lines or fewer in `configs/sharing`. "
        "In the pictures, shared parameters are at the left and the sites that read them at the right: a solid line is "
        "an alias, a dashed one goes into a value that is computed once in each forward pass. They show a part "
        "of a small tree; sites that read the same and differ in a number only share a box.",
        f"Checked for every scheme: {ALWAYS}. Frozen parameters count; fixed maps, which come from a seed, do not.",
    ]
    for family, (title, sentence) in TITLES.items():
        rows = ["| scheme | parameters before | after |", "| :--- | ---: | ---: |"]
        for scheme in (scheme for scheme in SCHEMES.values() if scheme.family == family):
            name, count = read_file(scheme.file).name, scheme.counts[0]
            rows.append(f"| [{name}]({family}.md#{make_anchor(name)}) | {count.before:,} | {count.after:,} |")
        parts += [f"## [{title}]({family}.md)", sentence, "\n".join(rows)]
    return "\n\n".join(parts) + "\n"


def draw_scheme(scheme: Scheme) -> str:
    """The picture of the scheme's graph on the small tree that the tests use."""
    case = scheme.make_case(0)
    with tempfile.TemporaryDirectory() as folder:
        graph = make_plan(make_module(case), write_files(scheme, case, Path(folder))).graph
    return draw_graph(graph, f"{scheme.name}: shared parameters and the sites that read them")


def make_pages() -> dict[str, str]:
    """Every file of docs/gallery by its name in the folder."""
    pages = {"index.md": render_index()} | {f"{family}.md": render_page(family) for family in FAMILIES}
    return pages | {f"pictures/{name}.svg": draw_scheme(scheme) for name, scheme in SCHEMES.items()}


def main() -> None:
    """Write all files, and remove those that no scheme has."""
    pages = make_pages()
    (FOLDER / "pictures").mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    for file in [*FOLDER.glob("*.md"), *FOLDER.glob("pictures/*.svg")]:
        if str(file.relative_to(FOLDER)) not in pages:
            file.unlink()
    sys.stdout.write(f"{len(pages)} files in docs/gallery\n")


if __name__ == "__main__":
    main()
