"""GradientStability: what it measures, that training stays as it is, and every kind of run it meets."""

from __future__ import annotations

import copy
import math
import pickle
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn
from torch.nn import functional

from lightning_tying.callbacks.gradient_stability import GradientStability
from lightning_tying.callbacks.stability.window import _OPEN
from lightning_tying.errors import ApplyError, ConfigError
from tests.unit.callbacks.stability_runs import Net, fit, make_data, make_net, records_of

ALL = {"every_n_steps": 1, "report": False}


def losses_of(folder: Path, *callbacks: Any, **options: Any) -> list[float]:
    net = make_net()
    fit(folder, net, *callbacks, **options)
    return net.losses


@pytest.mark.parametrize("pairs", ["sketch", "exact", "none"])
@pytest.mark.parametrize("every", [1, 7])
def test_losses_are_bit_identical(pairs: Any, every: int, tmp_path: Path) -> None:
    plain = losses_of(tmp_path)
    assert losses_of(tmp_path, GradientStability(every, pairs=pairs, report=False)) == plain
    assert len(plain) == 20
    assert not _OPEN


def test_the_sum_is_no_combination(tmp_path: Path) -> None:
    assert losses_of(tmp_path, GradientStability(5, combine="sum", report=False)) == losses_of(tmp_path)


def test_dropout_draws_what_it_drew(tmp_path: Path) -> None:
    class Dropping(Net):
        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            return super().training_step([functional.dropout(batch[0], 0.5), batch[1]], batch_idx)

    found = []
    for callbacks in ([], [GradientStability(**ALL)], [GradientStability(**ALL, combine="norm_balanced")]):
        torch.manual_seed(1)
        net = Dropping()
        fit(tmp_path, net, *callbacks)
        found.append(net.losses)
    assert found[0] == found[1]
    assert found[0][0] == found[2][0]
    assert found[0] != found[2]


def test_numbers_are_those_of_single_uses(tmp_path: Path) -> None:
    net = make_net()
    twin = copy.deepcopy(net)
    fit(tmp_path, net, GradientStability(1, pairs="exact", report=False), max_steps=1)
    first, second = twin.network[0].weight.detach().clone(), twin.network[2].weight.detach().clone()
    leaves = [first.requires_grad_(), second.requires_grad_()]
    bias = twin.network[0].bias
    inputs, targets = next(iter(make_data()))
    hidden = functional.linear(inputs, leaves[0], bias).tanh()
    grads = torch.autograd.grad(functional.mse_loss(functional.linear(hidden, leaves[1], bias), targets), leaves)
    record = next(each for each in records_of(tmp_path) if each.group == "W")
    assert record.uses == ("network.0.weight", "network.2.weight")
    assert record.norms == pytest.approx([float(grad.norm()) for grad in grads], rel=1e-5)
    assert record.sum_norm == pytest.approx(float((grads[0] + grads[1]).norm()), rel=1e-5)
    cosine = float(functional.cosine_similarity(grads[0].flatten(), grads[1].flatten(), dim=0))
    assert record.cosines is not None
    assert record.cosines[0][1] == pytest.approx(cosine, abs=1e-3)
    moved = 0.05 * record.sum_norm / float(first.detach().norm())
    assert record.update_to_weight == pytest.approx(moved, rel=1e-4)


def test_steps_are_sampled_from_the_first_on(tmp_path: Path) -> None:
    fit(tmp_path, make_net(), GradientStability(6, report=False))
    assert sorted({record.step for record in records_of(tmp_path)}) == [0, 6, 12, 18]
    assert {record.group for record in records_of(tmp_path)} == {"W", "b"}


def test_accumulated_batches_are_one_sample(tmp_path: Path) -> None:
    options = {"accumulate_grad_batches": 4, "max_steps": 5}
    plain = losses_of(tmp_path, **options)
    exact = GradientStability(1, pairs="exact", report=False)
    assert losses_of(tmp_path, exact, **options) == plain
    assert [record.step for record in records_of(tmp_path) if record.group == "W"] == [0, 1, 2, 3, 4]


def test_validation_within_a_window_does_not_count(tmp_path: Path) -> None:
    class Validated(Net):
        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.network(batch[0])

        def val_dataloader(self) -> Any:
            return make_data(8)

    torch.manual_seed(1)
    options = {"accumulate_grad_batches": 4, "val_check_interval": 2, "max_steps": 3}
    fit(tmp_path, Validated(), GradientStability(1, pairs="exact", report=False), **options)
    record = next(each for each in records_of(tmp_path) if each.group == "W")
    assert record.uses == ("network.0.weight", "network.2.weight")


def test_logs_scalars_and_pictures(tmp_path: Path) -> None:
    loggers = [CSVLogger(tmp_path, name="csv"), TensorBoardLogger(tmp_path, name="tb")]
    fit(tmp_path, make_net(), GradientStability(4, pairs="sketch"), logger=loggers)
    table = next(tmp_path.rglob("metrics.csv")).read_text()
    for name in ("tying/W/kappa", "tying/W/conflict", "tying/W/share/network.0.weight", "tying/b/kappa"):
        assert name in table
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(next(tmp_path.rglob("events.out*")).parent))
    events.Reload()
    assert {"tying/W/timeline", "tying/W/cosines"} <= set(events.Tags()["images"])
    assert [each.step for each in events.Scalars("tying/W/kappa")] == [0, 4, 8, 12, 16]
    assert "<td>W</td>" in (tmp_path / "stability.html").read_text()


def test_lies_beside_the_checkpoints(tmp_path: Path) -> None:
    keep = ModelCheckpoint(dirpath=tmp_path / "kept")
    fit(tmp_path, make_net(), GradientStability(10, report=False), keep, enable_checkpointing=True)
    assert records_of(tmp_path / "kept")


def test_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    rows = 4  # one batch for every step: where Lightning goes on in its data is not what this is about
    fit(tmp_path / "whole", make_net(), GradientStability(3, report=False), rows=rows)
    trainer = fit(tmp_path / "parts", make_net(), GradientStability(3, report=False), max_steps=10, rows=rows)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    goes_on = {"ckpt_path": tmp_path / "half.ckpt", "rows": rows}
    fit(tmp_path / "parts", make_net(), GradientStability(3, report=False), **goes_on)
    parts, whole = records_of(tmp_path / "parts"), records_of(tmp_path / "whole")
    assert [record.to_json() for record in parts] == [record.to_json() for record in whole]
    assert [record.step for record in parts if record.group == "W"] == [0, 3, 6, 9, 12, 15, 18]


def test_two_at_once(tmp_path: Path) -> None:
    plain = losses_of(tmp_path)
    one = GradientStability(2, groups="W", folder=tmp_path / "one", report=False)
    other = GradientStability(3, groups="b", folder=tmp_path / "other", report=False)
    assert losses_of(tmp_path, one, other) == plain
    assert {record.group for record in records_of(tmp_path / "one")} == {"W"}
    assert [record.step for record in records_of(tmp_path / "other")] == [0, 3, 6, 9, 12, 15, 18]
    assert not _OPEN


@pytest.mark.parametrize("patterns", ["W", ["network.2.w*"], ["*0.weight"]])
def test_patterns_match_names_and_places(patterns: Any, tmp_path: Path) -> None:
    fit(tmp_path, make_net(), GradientStability(5, patterns, report=False), max_steps=1)
    assert {record.group for record in records_of(tmp_path)} == {"W"}


def test_brackets_in_a_pattern_are_themselves(tmp_path: Path) -> None:
    net = make_net(spec={"share": ["network.{i}.{name} = block[name]"]})
    fit(tmp_path, net, GradientStability(5, "block[w*]", report=False), max_steps=1)
    assert {record.group for record in records_of(tmp_path)} == {"block[weight]"}


def test_a_pattern_without_match_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"no sharing group matches `network.2.wieght`. Did you mean `network.2.weight`"
    ):
        fit(tmp_path, make_net(), GradientStability(groups=["network.2.wieght"]))
    with pytest.raises(ConfigError, match="The groups of this model: W, b"):
        fit(tmp_path, make_net(), GradientStability(groups=["xyz"]))


def test_a_frozen_group_is_left_out_or_refused_by_name(tmp_path: Path) -> None:
    net = make_net()
    net.network[0].weight.requires_grad = False
    fit(tmp_path, net, GradientStability(5, report=False), max_steps=1)
    assert {record.group for record in records_of(tmp_path)} == {"b"}
    with pytest.raises(ConfigError, match="`W` matches frozen groups alone"):
        fit(tmp_path, net, GradientStability(groups="W"), max_steps=1)


def test_many_uses_have_no_pairs(tmp_path: Path) -> None:
    net = make_net(spec={"share": ["network.{i}.{name} = block[name]"]})
    fit(tmp_path, net, GradientStability(1, max_uses=2, pairs="sketch", report=False), max_steps=1)
    assert all(record.cosines is not None for record in records_of(tmp_path))
    many = Net.__new__(Net)
    LightningModule.__init__(many)
    many.network = nn.Sequential(*[nn.Linear(6, 6) for _ in range(3)])
    many.losses, many.make_optimizer = [], torch.optim.SGD
    from lightning_tying import tie

    tie(many, {"share": ["network.{i}.weight = W"]})
    fit(tmp_path / "many", many, GradientStability(1, max_uses=2, pairs="sketch", report=False), max_steps=1)
    (record,) = records_of(tmp_path / "many")
    assert record.cosines is None
    assert record.pairs == "none"
    assert 0 < record.kappa <= 1


def test_nan_is_reported_with_its_first_use(tmp_path: Path) -> None:
    class Breaking(Net):
        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            hidden = self.network[1](self.network[0](batch[0]))
            if batch_idx == 3:
                hidden = hidden * torch.nan
            return functional.mse_loss(functional.linear(hidden, self.network[2].weight), batch[1])

    torch.manual_seed(1)
    callback = GradientStability(1, groups="W", report=False)
    with pytest.warns(UserWarning, match=r"W: the gradient is not finite at step 3"):
        fit(tmp_path, Breaking(), callback, max_steps=4)
    record = records_of(tmp_path)[3]
    assert not record.finite
    assert record.first_nonfinite is not None
    assert math.isnan(record.kappa)
    assert callback.alarms[0].kind == "unstable"


def test_a_model_without_shared_parameters_trains(tmp_path: Path) -> None:
    class Plain(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = nn.Linear(6, 6)

        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            return functional.mse_loss(self.network(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    fit(tmp_path, Plain(), GradientStability(1), max_steps=2)
    assert not list(tmp_path.rglob("stability*"))


BAREBONES = {"barebones": True, "logger": None, "enable_progress_bar": None, "enable_model_summary": None}


@pytest.mark.parametrize("options", [{"fast_dev_run": 2}, {**BAREBONES, "enable_checkpointing": None}])
def test_writes_nothing_where_nothing_is_to_be_written(options: dict[str, Any], tmp_path: Path) -> None:
    fit(tmp_path, make_net(), GradientStability(1), **options)
    assert not list(tmp_path.iterdir())


class Manual(Net):
    """Two optimizers, each with a step of its own in every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> None:
        for optimizer in self.optimizers():
            optimizer.zero_grad()
            loss = functional.mse_loss(self.network(batch[0]), batch[1])
            self.losses.append(loss.item())
            self.manual_backward(loss)
            optimizer.step()
            self.zero_grad()

    def configure_optimizers(self) -> Any:
        shared = self.network[0]
        return [torch.optim.SGD([shared.weight], lr=0.05), torch.optim.SGD([shared.bias], lr=0.05)]


def test_manual_optimization(tmp_path: Path) -> None:
    found: list[list[float]] = []
    for callbacks in ([], [GradientStability(1, pairs="exact", report=False, self_check=False)]):
        torch.manual_seed(1)
        net = Manual()
        fit(tmp_path, net, *callbacks, max_steps=8)
        found.append(net.losses)
    assert found[0] == found[1]
    assert {record.group for record in records_of(tmp_path)} == {"W", "b"}


def stretch(weight: Tensor) -> None:
    assert weight.grad is not None
    weight.grad *= 1.01


def test_the_self_check_names_the_group_whose_gradient_is_changed(tmp_path: Path) -> None:
    net = make_net()
    net.network[0].weight.register_post_accumulate_grad_hook(stretch)
    with pytest.raises(ApplyError, match="of the sharing group `W` do not add up to its gradient"):
        fit(tmp_path, net, GradientStability(1))
    assert not _OPEN
    fit(tmp_path, net, GradientStability(1, self_check=False, report=False), max_steps=1)


def test_on_conflict(tmp_path: Path) -> None:
    class Opposed(Net):
        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            return (self.network[0](batch[0]) - self.network[2](batch[0])).sum()

    torch.manual_seed(1)
    with pytest.warns(UserWarning, match="W: its 2 uses cancel each other"):
        fit(tmp_path, Opposed(), GradientStability(1, "W", on_conflict="warn", report=False), max_steps=6)
    with pytest.warns(UserWarning, match="cancel each other"):
        trainer = fit(tmp_path, Opposed(), GradientStability(1, "W", on_conflict="stop", report=False))
    assert trainer.global_step == 3
    quiet = GradientStability(1, "W", report=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*cancel each other.*")
        fit(tmp_path, Opposed(), quiet, max_steps=6)
    assert [alarm.kind for alarm in quiet.alarms] == ["conflict"]


@pytest.mark.parametrize("name", ["mean", "sqrt", "norm_balanced", "pcgrad"])
def test_combines_before_clipping(name: str, tmp_path: Path) -> None:
    """A step with the combination is the step that a training loop by hand makes of it."""
    from lightning_tying.gradients.catch import catch_uses
    from lightning_tying.gradients.combining.combine import make_combination
    from lightning_tying.gradients.shared import choose_shared

    net = make_net()
    twin = copy.deepcopy(net)
    callback = GradientStability(3, combine=name, report=False)
    fit(tmp_path, net, callback, max_steps=4, gradient_clip_val=0.05)
    optimizer, data = torch.optim.SGD(twin.parameters(), lr=0.05), iter(make_data())
    combination = make_combination(name)
    assert combination is not None
    parameters = {each.name: each.parameter() for each in choose_shared(twin, None)}
    for _ in range(4):
        inputs, targets = next(data)
        optimizer.zero_grad()
        sink: Any = combination.make_sink()
        with catch_uses(twin, groups=list(parameters), sink=sink):
            functional.mse_loss(twin.network(inputs), targets).backward()
        combination.write(sink, parameters)
        nn.utils.clip_grad_norm_(twin.parameters(), 0.05)
        optimizer.step()
    for mine, theirs in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)
    plain = make_net()
    fit(tmp_path / "plain", plain, max_steps=4, gradient_clip_val=0.05)
    assert not torch.equal(plain.network[0].weight, net.network[0].weight)


def test_runs_beside_an_average_of_the_weights(tmp_path: Path) -> None:
    plain = losses_of(tmp_path)
    assert losses_of(tmp_path, WeightAveraging(), GradientStability(2, report=False)) == plain


def test_bf16_mixed(tmp_path: Path) -> None:
    plain = losses_of(tmp_path, precision="bf16-mixed")
    assert losses_of(tmp_path, GradientStability(2, report=False), precision="bf16-mixed") == plain
    assert all(record.finite for record in records_of(tmp_path))


def test_fp16_with_a_scaler(tmp_path: Path) -> None:
    """Numbers are without the scale of the loss, and steps that the scaler leaves out are no alarm."""
    torch.manual_seed(1)
    callback = GradientStability(1, pairs="exact", report=False)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**14)
    plugin = MixedPrecision("16-mixed", "cpu", scaler)
    fit(tmp_path / "scaled", make_net(), callback, plugins=[plugin], max_steps=3)
    fit(tmp_path / "plain", make_net(), GradientStability(1, pairs="exact", report=False), max_steps=3)
    scaled, plain = ({each.group: each for each in records_of(tmp_path / name)[:2]} for name in ("scaled", "plain"))
    for group in ("W", "b"):
        assert scaled[group].norms == pytest.approx(plain[group].norms, rel=2e-2)
    assert callback.alarms == []


def test_a_compiled_module_is_sampled_as_it_is_written(tmp_path: Path) -> None:
    net = make_net()
    fit(tmp_path / "compiled", torch.compile(net, backend="eager"), GradientStability(3, report=False), max_steps=4)
    fit(tmp_path / "plain", make_net(), GradientStability(3, report=False), max_steps=4)
    compiled, plain = records_of(tmp_path / "compiled"), records_of(tmp_path / "plain")
    assert [record.uses for record in compiled] == [record.uses for record in plain]
    assert [record.kappa for record in compiled] == pytest.approx([record.kappa for record in plain], rel=1e-4)


def test_can_be_pickled_and_told_apart(tmp_path: Path) -> None:
    callback = GradientStability(2, "W", combine="pcgrad", report=False)
    fit(tmp_path, make_net(), callback, max_steps=3)
    again = pickle.loads(pickle.dumps(callback))
    assert again.state_key == callback.state_key != GradientStability(2, "b").state_key
    assert str(again.state_dict()) == str(callback.state_dict())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"every_n_steps": 0}, "every_n_steps is a whole number, 1 or more, not 0"),
        ({"pairs": "all"}, "pairs is one of sketch, exact, none, not 'all'"),
        ({"on_conflict": "abort"}, "on_conflict is one of null, warn, stop"),
        ({"max_uses": 1}, "max_uses is a whole number, 2 or more"),
        ({"combine": "pcgard"}, "Did you mean `pcgrad`"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        GradientStability(**options)


def test_two_that_write_the_same_groups_into_one_folder_are_told(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="two instances measure W and write into"):
        fit(tmp_path, make_net(), GradientStability(2, report=False), GradientStability(5, "W", report=False))
    for other in (GradientStability(5, "b", report=False), GradientStability(5, folder=tmp_path / "own", report=False)):
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*two instances")
            fit(tmp_path, make_net(), GradientStability(2, "W", report=False), other)


def test_a_folder_that_cannot_be_written_does_not_end_the_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    callback = GradientStability(2, folder=tmp_path / "file" / "inside")
    with pytest.warns(UserWarning, match="cannot be written.* Training goes on") as told:
        assert losses_of(tmp_path, callback) == losses_of(tmp_path)
    assert sum("Training goes on" in str(each.message) for each in told) == 1


@pytest.mark.parametrize("groups", [[], [3], 3])
def test_groups_are_names(groups: Any) -> None:
    with pytest.raises(ConfigError, match="groups is a name"):
        GradientStability(groups=groups)
