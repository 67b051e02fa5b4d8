"""Results of the demo's runs in, a Markdown page and a picture out."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.compression import lzma_bits_per_byte
from benchmarks.machine import describe_machine

PREFIX = "test/bits_per_byte/"
TOTAL = "test/bits_per_byte"


@dataclass(frozen=True)
class RunResult:
    """What one run of the demo came to.

    Args:
        title: its name in the report.
        digest: of the config that made it.
        bits: bits per byte of the test text by language; `""` is all languages together.
        parameters: each counted once.
        steps: optimizer steps.
        seconds: of training and testing, loading and start-up included.
        peak_mb: the larger of both processes' peak resident memory.
    """

    title: str
    digest: str
    bits: dict[str, float]
    parameters: int
    steps: int
    seconds: float
    peak_mb: float

    @classmethod
    def collect(cls, folder: Path, title: str, digest: str, *, seconds: float, peak_mb: float) -> RunResult:
        """Read what the run has left in its folder."""
        savings = json.loads((folder / "sharing.json").read_text(encoding="utf-8"))
        rows = _logged(folder)
        tested = [row for row in rows if row.get(TOTAL)][-1]
        bits = {name.removeprefix(PREFIX): float(value) for name, value in tested.items() if name.startswith(PREFIX)}
        return cls(
            title=title,
            digest=digest,
            bits={"": float(tested[TOTAL]), **bits},
            parameters=int(savings["savings"]["after"]["parameters"]),
            steps=torch.load(folder / "last.ckpt", weights_only=True, mmap=True)["global_step"],
            seconds=seconds,
            peak_mb=peak_mb,
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_result(path: Path) -> RunResult:
    """The result that an earlier demo has written."""
    return RunResult(**json.loads(path.read_text(encoding="utf-8")))


def _logged(folder: Path) -> list[dict[str, str]]:
    """All rows of the run's CSV logs, oldest log first."""
    rows: list[dict[str, str]] = []
    for log in sorted(folder.rglob("metrics.csv"), key=lambda path: path.stat().st_mtime):
        with log.open(encoding="utf-8", newline="") as lines:
            rows.extend(csv.DictReader(lines))
    return rows


@cache
def _compressed(config: Path) -> dict[str, tuple[float, float]]:
    """Bits per byte of `lzma` by language, on the text that the models are tested on."""
    from lightning_tying.data import Catalogs  # heavy; only the report needs it

    arguments = yaml.safe_load(config.read_text(encoding="utf-8"))["data"]["init_args"]
    catalogs = Catalogs(**arguments)
    train, test = catalogs.split_text("train"), catalogs.split_text("test")
    figures = {language: lzma_bits_per_byte(train[language], test[language]) for language in test}
    everything = lzma_bits_per_byte(
        [text for texts in train.values() for text in texts], [text for texts in test.values() for text in texts]
    )
    return {"": everything, **figures}


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _quality(results: Sequence[RunResult], compressed: dict[str, tuple[float, float]]) -> str:
    header = ["language", *(result.title for result in results), "lzma alone", "lzma primed"]
    rows: list[list[str]] = []
    for language, (alone, primed) in compressed.items():
        bits = [result.bits[language] for result in results]
        best = min(*bits, alone, primed)
        shown = [f"**{value:.2f}**" if value == best else f"{value:.2f}" for value in (*bits, alone, primed)]
        rows.append([language or "all", *shown])
    return _table(header, rows)


def _cost(results: Sequence[RunResult]) -> str:
    rows = [
        ["parameters", *(f"{result.parameters:,}" for result in results)],
        ["optimizer steps", *(str(result.steps) for result in results)],
        ["seconds, start to tested", *(f"{result.seconds:.0f}" for result in results)],
        ["peak memory", *(f"{result.peak_mb:,.0f} MB" for result in results)],
    ]
    return _table(["", *(result.title for result in results)], rows)


def _draw(results: Sequence[RunResult], compressed: dict[str, tuple[float, float]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    languages = sorted((name for name in compressed if name), key=lambda name: results[0].bits[name])
    figure, axes = pyplot.subplots(figsize=(11, 4), layout="constrained")
    width = 0.8 / len(results)
    for number, result in enumerate(results):
        places = [place + (number - (len(results) - 1) / 2) * width for place in range(len(languages))]
        axes.bar(
            places, [result.bits[name] for name in languages], width, label=f"{result.title} ({result.parameters:,})"
        )
    best = [min(compressed[name]) for name in languages]
    axes.plot(range(len(languages)), best, "k_", markersize=12, label="lzma, the better of alone and primed")
    axes.set_xticks(range(len(languages)), languages)
    axes.set_ylabel("bits per byte of the test text")
    axes.legend(fontsize="small", ncols=2)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _verdict(results: Sequence[RunResult]) -> str:
    tied = results[0]
    lines: list[str] = []
    for other in results[1:]:
        ours, theirs = tied.bits[""], other.bits[""]
        lines.append(
            f"* against *{other.title}* ({other.parameters:,} parameters): {ours:.3f} and {theirs:.3f} bits per byte; "
            f"the tied model is {'better' if ours < theirs else 'not better'}."
        )
    return "\n".join(["The tied model …", "", *lines]) if lines else ""


def write_report(results: Sequence[RunResult], config: Path, path: Path) -> str:
    """Write the page and its picture for the runs that there are so far, and return the page's text."""
    compressed = _compressed(config)
    page = f"""# One language model for {len(compressed) - 1} languages, tied and untied

Bits per byte of the test messages: what the model needs to write them, a line break after each. Smaller is better; the
best of a row is bold. `lzma` is a general compressor, alone and primed with the training text.

{_quality(results, compressed)}

{_cost(results)}

{_verdict(results)}

![bits per byte by language]({path.with_suffix(".png").name})

Made with `{config}`. {describe_machine()}
"""
    path.write_text(page, encoding="utf-8")
    _draw(results, compressed, path.with_suffix(".png"))
    return page
