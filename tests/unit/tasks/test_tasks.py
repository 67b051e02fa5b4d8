"""The tasks on tiny data: fit, test, predict, and a checkpoint that stands alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lightning_tying.errors import ConfigError
from lightning_tying.models import ConvNet, DecoderLM, EncoderDecoder
from lightning_tying.tasks import Classification, LanguageModeling, Translation
from lightning_tying.tasks.build import build
from lightning_tying.vocab import SharedVocabulary

TEXTS = {"de": ["guten tag", "gute nacht", "tag und nacht"], "en": ["good day", "good night", "day and night"]}
TIE_HEAD = {"share": [{"tie": ["embed.weight", "head.weight"]}]}
THREE_WAY = {"share": [{"tie": ["encoder.embed.weight", "decoder.embed.weight", "head.weight"]}]}


def pad(rows: list[list[int]]) -> Tensor:
    longest = max(len(row) for row in rows)
    return torch.tensor([row + [0] * (longest - len(row)) for row in rows])


class TinyText(LightningDataModule):
    def __init__(self, task: str = "lm") -> None:
        super().__init__()
        self.task = task
        self.languages: list[str] = []
        self.vocabulary: SharedVocabulary | None = None

    def setup(self, stage: str) -> None:
        self.languages = list(TEXTS)
        self.vocabulary = SharedVocabulary.train(TEXTS, size=270)

    def batches(self) -> DataLoader[Any]:
        voc = self.vocabulary
        assert voc is not None
        if self.task == "lm":
            rows = [(place, text) for place, name in enumerate(TEXTS) for text in TEXTS[name]]
            tokens = pad([[*voc.encode(text, self.languages[place]), voc.eos_id] for place, text in rows])
            batch: dict[str, Any] = {
                "tokens": tokens,
                "language": torch.tensor([place for place, _ in rows]),
                "bytes": torch.tensor([len(text.encode()) + 1 for _, text in rows]),
            }
        else:
            batch = {
                "source": pad([[*voc.encode(text), voc.eos_id] for text in TEXTS["en"]]),
                "target": pad([[*voc.encode(text, "de"), voc.eos_id] for text in TEXTS["de"]]),
                "language": torch.zeros(3, dtype=torch.long),
                "reference": TEXTS["de"],
                "source_text": TEXTS["en"],
            }
        return DataLoader([batch] * 2, batch_size=None)  # type: ignore[arg-type]

    train_dataloader = val_dataloader = test_dataloader = predict_dataloader = batches


def make_trainer(tmp_path: Path, steps: int = 2) -> Trainer:
    return Trainer(
        max_steps=steps, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=tmp_path,
    )  # fmt: skip


def language_model(**options: Any) -> LanguageModeling:
    return LanguageModeling(DecoderLM(270, 16, 1, 2), sharing=TIE_HEAD, **options)


def test_language_modeling_reports_bits_per_byte_for_each_language(tmp_path: Path) -> None:
    task, data = language_model(), TinyText()
    trainer = make_trainer(tmp_path)
    trainer.fit(task, data)
    values = trainer.test(task, data, verbose=False)[0]
    assert {"test/perplexity", "test/bits_per_byte", "test/bits_per_byte/de", "test/bits_per_byte/en"} <= set(values)
    batch = next(iter(data.test_dataloader()))
    task.eval()
    with torch.no_grad():
        logs = torch.log_softmax(task(batch["tokens"][:, :-1]), dim=-1)
    targets = batch["tokens"][:, 1:]
    nats = -(logs.gather(2, targets[..., None])[..., 0] * (targets != 0)).sum()
    by_hand = float(nats / torch.log(torch.tensor(2.0)) / batch["bytes"].sum())
    assert values["test/bits_per_byte"] == pytest.approx(by_hand, rel=1e-4)


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    task = language_model(optimizer=lambda params: torch.optim.AdamW(params, lr=1e-2))
    data = TinyText()
    before = make_trainer(tmp_path).test(task, data, verbose=False)[0]["test/bits_per_byte"]
    make_trainer(tmp_path, 20).fit(task, data)
    after = make_trainer(tmp_path).test(task, data, verbose=False)[0]["test/bits_per_byte"]
    assert after < before


def test_prediction_continues_prompts(tmp_path: Path) -> None:
    task = language_model(prompt_tokens=2, new_tokens=3)
    found = make_trainer(tmp_path).predict(task, TinyText())
    assert found is not None
    assert found[0][0].keys() == {"language", "prompt", "continuation"}
    assert {text["language"] for text in found[0]} == {"de", "en"}


def test_a_loaded_checkpoint_writes_text_without_data(tmp_path: Path) -> None:
    task = language_model()
    trainer = make_trainer(tmp_path)
    trainer.fit(task, TinyText())
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    again = LanguageModeling.load_from_checkpoint(
        tmp_path / "x.ckpt", network=DecoderLM(270, 16, 1, 2), weights_only=True
    )
    assert again.network.embed.weight is again.network.head.weight
    assert again.languages == ("de", "en")
    assert again.generate("guten", "de", new_tokens=5) == task.generate("guten", "de", new_tokens=5)
    with pytest.raises(ConfigError, match="no tag for the language"):
        again.generate("a", "fr")


def test_without_vocabulary_text_is_refused() -> None:
    with pytest.raises(ConfigError, match="There is no vocabulary"):
        language_model().generate("a")


@pytest.mark.parametrize("beams", [1, 3])
def test_translation_reports_scores_and_gives_texts(beams: int, tmp_path: Path) -> None:
    task = Translation(EncoderDecoder(270, 16, 1, 2), sharing=THREE_WAY, beams=beams, length_factor=0.0)
    trainer, data = make_trainer(tmp_path), TinyText("translation")
    trainer.fit(task, data)
    values = trainer.test(task, data, verbose=False)[0]
    assert {"test/loss", "test/chrf", "test/bleu"} == set(values)
    assert 0 <= values["test/chrf"] <= 100
    found = trainer.predict(task, data)
    assert found is not None
    assert [text["source"] for text in found[0]] == TEXTS["en"]
    assert len(task.translate(["good day", "night"], "de")) == 2
    assert task.translate([], "de") == []


def test_translation_trains_on_smoothed_labels() -> None:
    plain = Translation(EncoderDecoder(270, 16, 1, 2, dropout=0.0), label_smoothing=0.0)
    smooth = Translation(plain.network, label_smoothing=0.2)
    data = TinyText("translation")
    data.setup("fit")
    batch = next(iter(data.batches()))
    losses = []
    for task in (plain, smooth):
        task.vocabulary = data.vocabulary
        losses.append(float(task._loss(batch, task.label_smoothing).detach()))
    assert losses[0] != losses[1]


class TinyImages(LightningDataModule):
    classes = ("dark", "light")

    def batches(self) -> DataLoader[Any]:
        images = torch.cat([torch.zeros(4, 1, 8, 8), torch.ones(4, 1, 8, 8)])
        batch = {"input": images, "label": torch.tensor([0] * 4 + [1] * 4)}
        return DataLoader([batch] * 4, batch_size=None)  # type: ignore[arg-type]

    train_dataloader = val_dataloader = test_dataloader = predict_dataloader = batches


def test_classification_learns_and_names_classes(tmp_path: Path) -> None:
    task = Classification(
        ConvNet(1, 2, width=4, stages=1, blocks=2),
        sharing={"share": ["stages.{s}.{b}.conv{n}.weight = kernel[s]"]},
        optimizer=lambda params: torch.optim.SGD(params, lr=0.1),
    )
    trainer, data = make_trainer(tmp_path, 8), TinyImages()
    trainer.fit(task, data)
    assert trainer.test(task, data, verbose=False)[0]["test/accuracy"] == 1.0
    assert trainer.predict(task, data)[0] == ["dark"] * 4 + ["light"] * 4  # type: ignore[index]


def test_one_logit_is_no_classifier(tmp_path: Path) -> None:
    task = Classification(nn.Sequential(nn.Flatten(), nn.Linear(64, 1)))
    with pytest.raises(ConfigError, match="1 logit"):
        make_trainer(tmp_path).test(task, TinyImages(), verbose=False)


def test_a_maker_with_an_argument_left_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs a value for `vocab_size`"):
        LanguageModeling(DecoderLM)


def test_a_lazy_network_is_built_by_the_trainer(tmp_path: Path) -> None:
    task = LanguageModeling(lambda: DecoderLM(270, 16, 1, 2), sharing=TIE_HEAD)
    make_trainer(tmp_path).fit(task, TinyText())
    assert task.network.embed.weight is task.network.head.weight


CONFIG = """
model:
  class_path: lightning_tying.tasks.LanguageModeling
  init_args:
    network: {class_path: lightning_tying.models.DecoderLM, init_args: {vocab_size: 270, dim: 16, depth: 1, heads: 2}}
    sharing: {share: [{tie: [embed.weight, head.weight]}]}
"""
LOAD = """
import sys, torch
from lightning_tying.tasks import LanguageModeling
task = LanguageModeling.load_from_checkpoint(sys.argv[1], weights_only=True)
assert task.network.embed.weight is task.network.head.weight
print(float(task.network.embed.weight.detach().double().sum()), repr(task.generate("guten", "de", new_tokens=4)))
"""


def test_a_built_tasks_checkpoint_loads_alone_in_a_fresh_process(tmp_path: Path) -> None:
    task = build(CONFIG)
    assert isinstance(task, LanguageModeling)
    trainer = make_trainer(tmp_path)
    trainer.fit(task, TinyText())
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOAD, str(tmp_path / "x.ckpt")],
        capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    total = float(task.network.embed.weight.detach().double().sum())
    assert done.stdout.split(" ", 1) == [str(total), repr(task.generate("guten", "de", new_tokens=4)) + "\n"]
