"""At fit start and in `plan`: tables of two vocabularies that are tied by index, or by a wrong map, are refused."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import nn
from torch.utils.data import DataLoader

from lightning_tying import tie
from lightning_tying.cli import main
from lightning_tying.errors import ConfigError, SharingWarning, SpecError
from lightning_tying.models import EncoderDecoder
from lightning_tying.tasks import Translation
from lightning_tying.tasks.tie_any import tie_any
from lightning_tying.tasks.watch.check_vocabularies import find_digests

DIGESTS = {"de": "aa" * 32, "en": "bb" * 32}
PLANTED = {"share": [{"tie": ["encoder.embed.weight", "decoder.embed.weight", "head.weight"], "name": "vocab"}]}


class Pairs(pl.LightningDataModule):
    """Rows of ids for translation, under the vocabularies that are given."""

    def __init__(self, vocabulary: Any) -> None:
        super().__init__()
        self.vocabulary = vocabulary

    def train_dataloader(self) -> DataLoader[Any]:
        row = torch.arange(1, 7)
        return DataLoader([{"source": row, "target": row}], batch_size=1)


def separate(**digests: str) -> SimpleNamespace:
    members = {name: SimpleNamespace(digest=digest) for name, digest in digests.items()}
    return SimpleNamespace(members=members, pad_id=0, eos_id=1, digest="", size=12)


def one(digest: str = "aa") -> SimpleNamespace:
    return SimpleNamespace(digest=digest, pad_id=0, eos_id=1, size=12)


def task(sharing: object) -> Translation:
    network = EncoderDecoder(12, dim=8, depth=1, heads=2, hidden=8)
    return Translation(network, sharing)  # type: ignore[arg-type]


def fit(module: pl.LightningModule, vocabulary: Any) -> None:
    trainer = pl.Trainer(
        max_steps=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, limit_val_batches=0,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(module, Pairs(vocabulary))


def rows_file(folder: Path, digests: dict[str, str] = DIGESTS) -> dict[str, Any]:
    """Twelve ids each on fourteen rows; ties that follow them."""
    rows = {"de": torch.arange(12), "en": torch.tensor([0, 1, 12, 13, *range(2, 10)])}
    save_file(rows, folder / "rows.safetensors", {"rows": "14"})
    (folder / "rows.json").write_text(json.dumps({"digests": digests}))
    read = f"rows(vocab, map='{folder}/rows.safetensors#%s')"
    return {
        "share": [
            f"encoder.embed.weight = {read % 'de'}",
            f"decoder.embed.weight = {read % 'en'}",
            f"head.weight = {read % 'en'}",
        ]
    }


def test_a_planted_tie_by_index_is_caught_at_fit_start() -> None:
    with pytest.raises(SpecError) as caught:
        fit(task(PLANTED), separate(**DIGESTS))
    assert [problem.code for problem in caught.value.problems] == ["88"]
    assert "encoder.embed.weight (source) and decoder.embed.weight (target)" in str(caught.value)


def test_one_vocabulary_may_be_tied_by_index() -> None:
    fit(task(PLANTED), one())


def test_two_equal_vocabularies_are_one() -> None:
    fit(task(PLANTED), separate(de="aa", en="aa"))


def test_the_sides_of_the_target_may_be_tied_by_index() -> None:
    fit(task({"share": [{"tie": ["decoder.embed.weight", "head.weight"]}]}), separate(**DIGESTS))


def test_a_checked_row_map_is_let_through(tmp_path: Path) -> None:
    fit(task(rows_file(tmp_path)), separate(**DIGESTS))


@pytest.mark.parametrize("digests", [{"de": "cc" * 32, "en": "bb" * 32}, {"de": "bb" * 32, "en": "aa" * 32}])
def test_the_map_of_other_tokenizers_is_refused(tmp_path: Path, digests: dict[str, str]) -> None:
    with pytest.raises(SpecError) as caught:
        fit(task(rows_file(tmp_path, digests)), separate(**DIGESTS))
    assert {problem.code for problem in caught.value.problems} == {"89"}


def test_a_row_map_that_was_applied_to_the_ids_already_is_refused(tmp_path: Path) -> None:
    """A united vocabulary gives rows; reading rows of rows ties unrelated words as well."""
    united = SimpleNamespace(digest="dd" * 32, members=separate(**DIGESTS).members, rows=object(), pad_id=0, eos_id=1)
    with pytest.raises(SpecError) as caught:
        fit(task(rows_file(tmp_path)), united)
    assert {problem.code for problem in caught.value.problems} == {"89"}


class Foreign(pl.LightningModule):
    """A module that ties its two tables by index in its own code, as many do."""

    def __init__(self) -> None:
        super().__init__()
        self.source = nn.Embedding(12, 4)
        self.target = nn.Embedding(12, 4)
        self.target.weight = self.source.weight

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        return self.source(batch["source"]).sum() + self.target(batch["target"]).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def foreign(sites: object) -> Foreign:
    module = Foreign()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SharingWarning)
        tie_any(module, None)
    if sites is not None:
        module.vocabulary_sites = sites
    return module


def test_a_foreign_network_is_told_by_an_argument() -> None:
    with pytest.raises(SpecError, match=r"source\.weight \(source\) and target\.weight \(target\)"):
        fit(foreign({"source.weight": "source", "target.weight": "target"}), separate(**DIGESTS))
    with pytest.raises(SpecError, match=r"source\.weight \(source\) and target\.weight \(target\)"):
        fit(foreign({"{side:source|target}.weight": "{side}"}), separate(**DIGESTS))
    fit(foreign(None), separate(**DIGESTS))


@pytest.mark.parametrize(
    ("sites", "message"),
    [
        ({"sauce.weight": "source"}, r"vocabulary_sites: sauce\.weight matches no site of .*Foreign"),
        (["source.weight"], "is a mapping of patterns to the names of vocabularies"),
        ({"{a": "source"}, r"vocabulary_sites: \{a: "),
    ],
)
def test_wrong_sites_are_refused(sites: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fit(foreign(sites), separate(**DIGESTS))


def test_digests_by_name() -> None:
    assert find_digests(None) == {}
    assert find_digests(one()) == {"": "aa"}
    assert find_digests(separate(de="1", en="2")) == {"source": "1", "target": "2", "de": "1", "en": "2"}
    assert find_digests(separate(de="1", en="2", fr="3")) == {"de": "1", "en": "2", "fr": "3"}


def run_config(folder: Path, sharing: object, **data: object) -> str:
    network = {"vocab_size": 12, "dim": 8, "depth": 1, "heads": 2, "hidden": 8}
    config = {
        "model": {
            "class_path": "lightning_tying.tasks.Translation",
            "init_args": {
                "network": {"class_path": "lightning_tying.models.EncoderDecoder", "init_args": network},
                "sharing": sharing,
            },
        },
        "data": {
            "class_path": "lightning_tying.data.TextFiles",
            "init_args": {"folder": str(folder), "task": "translation", "source": "de", **data},
        },
    }
    file = folder / "run.yaml"
    file.write_text(yaml.safe_dump(config))
    return str(file)


def test_a_planted_tie_by_index_is_caught_by_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for lang in ("de", "en"):
        (tmp_path / f"{lang}.txt").write_text("eins\nzwei\n")
    planted = run_config(tmp_path, PLANTED, vocabulary_size=12, source_vocabulary_size=12)
    assert main(["plan", "--config", planted]) == 2
    error = capsys.readouterr().err
    assert "is read by index at encoder.embed.weight (source) and decoder.embed.weight (target)" in error
    assert "lightning-tying vocab unite" in error
    assert "Traceback" not in error

    assert main(["plan", "--config", run_config(tmp_path, PLANTED, vocabulary_size=12)]) == 0
    assert (
        main(
            [
                "plan",
                "--config",
                run_config(tmp_path, rows_file(tmp_path), vocabulary_size=12, source_vocabulary_size=12),
            ]
        )
        == 0
    )


def test_tying_alone_asks_for_no_vocabulary() -> None:
    tie(EncoderDecoder(12, dim=8, depth=1, heads=2, hidden=8), PLANTED)
