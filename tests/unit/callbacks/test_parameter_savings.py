"""ParameterSavings: equal to the forecast, wherever it runs."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_tying import report_savings, tie
from lightning_tying.callbacks import ParameterSavings

SPEC = {"share": [{"tie": ["network.0.weight", "network.2.weight"], "name": "W"}]}


class Net(LightningModule):
    def __init__(self, tied: bool = True) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
        self.found = tie(self, SPEC) if tied else None

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.network(batch[0]).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(net: LightningModule, tmp_path: Path, callbacks: list[Any], **options: Any) -> None:
    given = {"logger": False, "max_steps": 1, "enable_progress_bar": False, "enable_model_summary": False, **options}
    trainer = Trainer(accelerator="cpu", default_root_dir=tmp_path, callbacks=callbacks, **given)
    trainer.fit(net, DataLoader(TensorDataset(torch.randn(4, 4))))


def read_json(folder: Path) -> dict[str, Any]:
    return json.loads(next(folder.rglob("sharing.json")).read_text())


def test_shows_and_saves_the_forecast(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = Net()
    fit(net, tmp_path, [ParameterSavings()])
    assert net.found is not None
    forecast, shown = report_savings(net.found), capsys.readouterr().err
    assert forecast.summary in shown and "= sum(p.numel())." in shown
    assert "optimizer state (SGD: 0 for each parameter), cells" in shown
    saved = read_json(tmp_path)
    assert saved["savings"] == forecast.to_dict()
    for side, size in (("gross", forecast.before), ("net", forecast.after)):
        assert saved["run"][side]["parameters"] == size.parameters
        assert saved["run"][side]["parameter_bytes"] == size.parameter_bytes
    assert saved["run"]["counted_parameters"] == sum(p.numel() for p in net.parameters())
    assert saved["plan"] == json.loads(json.dumps(net.found.to_dict()))


class Trained(Net):
    """With an optimizer that keeps something."""

    kind: Any = torch.optim.AdamW

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.kind(self.parameters())


def test_checkpoint_bytes_are_those_of_the_checkpoint(tmp_path: Path) -> None:
    fit(Trained(), tmp_path, [ParameterSavings(), ModelCheckpoint(dirpath=tmp_path)])
    content = torch.load(next(tmp_path.glob("*.ckpt")), weights_only=True)
    states = content["optimizer_states"][0]["state"].values()
    tensors = [*content["state_dict"].values(), *(each for state in states for each in state.values() if each.ndim)]
    storages = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in tensors}
    assert read_json(tmp_path)["run"]["net"]["checkpoint_bytes"] == sum(storages.values()) == 24 * 4 * 3


class Own(torch.optim.AdamW):
    """No class that is known."""


def test_an_unknown_optimizer_is_measured_after_its_first_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = Trained()
    net.kind = Own
    fit(net, tmp_path, [ParameterSavings()], logger=CSVLogger(tmp_path, name="csv"))
    assert "optimizer state (known after the first step), cells" in capsys.readouterr().err
    saved = read_json(tmp_path)["run"]
    assert saved["optimizer"] == "Own: 2 for each parameter, measured"
    assert saved["net"]["state_cells"] == 48 and saved["gross"]["state_cells"] == 80
    assert "tying/state_bytes" in next(tmp_path.rglob("metrics.csv")).read_text()


def test_peak_memory_is_added_at_the_end(tmp_path: Path) -> None:
    callback = ParameterSavings()
    fit(Net(), tmp_path, [callback], max_steps=2)
    assert read_json(tmp_path)["run"]["peak_memory_bytes"] > 10 * 2**20


def test_four_files_that_stand_alone(tmp_path: Path) -> None:
    fit(Net(), tmp_path, [ParameterSavings(tmp_path / "told")])
    files = {path.name: path.read_text() for path in (tmp_path / "told").iterdir()}
    assert files.keys() == {"sharing.json", "sharing.md", "sharing.html", "sharing.svg"}
    assert "| W | 4 × 4 | 2 | 32 | 16 | 16 | 64 |" in files["sharing.md"]
    assert files["sharing.svg"].startswith("<svg") and files["sharing.svg"] in files["sharing.html"]


class Counted(Net):
    """With an example, so that operations are counted."""

    def __init__(self) -> None:
        super().__init__()
        self.example_input_array = torch.zeros(3, 4)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.network(inputs)


def test_an_example_lets_operations_be_counted(tmp_path: Path) -> None:
    fit(Counted(), tmp_path, [ParameterSavings()])
    costs = read_json(tmp_path)["run"]["per_token"]
    assert costs["counted"] and costs["unit"] == "sample" and costs["flops_net"] == 2 * 32


def test_an_example_that_does_not_fit_is_left_alone(tmp_path: Path) -> None:
    net = Counted()
    net.example_input_array = torch.zeros(3, 5)
    fit(net, tmp_path, [ParameterSavings()])
    assert not read_json(tmp_path)["run"]["per_token"]["counted"]


@pytest.mark.parametrize("example", [False, True])
def test_training_is_the_same_to_the_bit(example: bool, tmp_path: Path) -> None:
    ends: list[list[torch.Tensor]] = []
    for callbacks in ([], [ParameterSavings(tmp_path)]):
        torch.manual_seed(0)
        net = Counted() if example else Net()
        net.network[1] = nn.Dropout(0.5)
        fit(net, tmp_path, callbacks, max_steps=3)
        ends.append([each.detach().clone() for each in net.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*ends, strict=True))


def test_of_two_the_first_shows_and_each_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = [ParameterSavings(tmp_path / "a"), ParameterSavings(tmp_path / "b"), ParameterSavings(tmp_path / "b")]
    fit(Net(), tmp_path, both, logger=CSVLogger(tmp_path, name="csv"))
    assert capsys.readouterr().err.count("% saved)") == 1
    assert len(list(tmp_path.rglob("sharing.json"))) == 2


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.warns(UserWarning, match=r"sharing\.json cannot be written: .* Training goes on without") as caught:
        fit(Net(), tmp_path, [ParameterSavings(tmp_path / "file" / "below")])
    assert sum("cannot be written" in str(each.message) for each in caught) == 1
    assert not list(tmp_path.rglob("*.tmp")) and (tmp_path / "file").read_text() == "mine"


def test_frozen_groups_have_neither_gradient_nor_state(tmp_path: Path) -> None:
    net = Trained(tied=False)
    tie(net, SPEC | {"parameters": {"W": {"frozen": True}}})
    fit(net, tmp_path, [ParameterSavings()])
    group = next(part for part in read_json(tmp_path)["run"]["groups"] if part["name"] == "W")
    assert group["saved"]["parameter_bytes"] == 64
    assert group["saved"]["gradient_bytes"] == group["saved"]["state_bytes"] == 0


DDP = """
import sys
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader, TensorDataset
from lightning_tying.callbacks import ParameterSavings
from tests.unit.callbacks.test_parameter_savings import Trained, torch

trainer = Trainer(
    accelerator="cpu", devices=2, strategy=sys.argv[2], max_steps=1, logger=False, enable_checkpointing=False,
    enable_progress_bar=False, enable_model_summary=False, callbacks=[ParameterSavings(sys.argv[1])],
)
trainer.fit(Trained(), DataLoader(TensorDataset(torch.randn(4, 4))))
"""


def test_two_processes_send_every_gradient_once_each_way(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DDP, str(tmp_path), "ddp_fork"],
        capture_output=True, text=True, timeout=120, check=False, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("% saved)") + done.stdout.count("% saved)") == 1
    saved = read_json(tmp_path)["run"]
    assert saved["strategy"] == {"way": "ddp", "processes": 2, "name": "DDP"}
    assert saved["net"]["sent_bytes_per_step"] == 2 * 24 * 4 // 2


def test_lies_beside_the_checkpoints(tmp_path: Path) -> None:
    fit(Net(), tmp_path, [ParameterSavings(), ModelCheckpoint(dirpath=tmp_path / "kept")])
    assert (tmp_path / "kept" / "sharing.json").is_file()
    assert not list(tmp_path.rglob("*.tmp"))


def test_logs_to_every_logger(tmp_path: Path) -> None:
    loggers = [CSVLogger(tmp_path, name="csv"), TensorBoardLogger(tmp_path, name="tb")]
    fit(Net(), tmp_path, [ParameterSavings()], logger=loggers)
    assert "tying/saved" in next(tmp_path.rglob("metrics.csv")).read_text()


BAREBONES = {"barebones": True, "logger": None, "enable_progress_bar": None, "enable_model_summary": None}


@pytest.mark.parametrize("options", [{"fast_dev_run": True}, BAREBONES])
def test_runs_under_every_kind_of_trainer(options: dict[str, Any], tmp_path: Path) -> None:
    fit(Net(), tmp_path, [ParameterSavings()], **options)


def test_fast_dev_run_writes_nothing(tmp_path: Path) -> None:
    fit(Net(), tmp_path, [ParameterSavings()], fast_dev_run=True)
    assert list(tmp_path.iterdir()) == []


def test_an_untied_run_can_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit(Net(tied=False), tmp_path, [ParameterSavings()], enable_checkpointing=False)
    shown = capsys.readouterr().err
    assert "40 -> 40 parameters (0 % saved)" in shown and "Nothing is shared in this model." in shown
    saved = json.loads((tmp_path / "sharing.json").read_text())
    assert saved["plan"] is None
    assert saved["savings"]["after"]["parameters"] == 40


def test_can_be_pickled_and_told_apart() -> None:
    one, other = ParameterSavings("a"), ParameterSavings("b")
    assert pickle.loads(pickle.dumps(one)).folder == "a"
    assert one.state_key != other.state_key


def test_bytes_are_those_of_the_dtype_that_parameters_have_now(tmp_path: Path) -> None:
    class Half(Net):
        def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
            return super().training_step([batch[0].bfloat16()], batch_idx)

    net = Half()
    fit(net, tmp_path, [ParameterSavings(show=False)], precision="bf16-true")
    told = read_json(tmp_path)["run"]["net"]
    assert told["parameter_bytes"] == sum(p.numel() * p.element_size() for p in net.parameters()) == 2 * 24
    assert told["gradient_bytes"] == told["checkpoint_bytes"] == 2 * 24


def test_what_was_frozen_after_tying_has_no_gradient(tmp_path: Path) -> None:
    net = Net()
    net.network[0].weight.requires_grad_(False)  # type: ignore[union-attr]  # of a linear layer
    fit(net, tmp_path, [ParameterSavings(show=False)])
    assert read_json(tmp_path)["run"]["net"]["trainable"] == 8
