"""ParameterSync does what the formulas of averaging, following and copying say, and nothing else."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.nn import functional

from lightning_tying import tie
from lightning_tying.callbacks import ParameterSync
from lightning_tying.errors import ConfigError, SpecError
from lightning_tying.tasks import TiedModule
from lightning_tying.tasks.edits import join_in_training, split_in_training
from tests.unit.callbacks.sync_runs import BATCH, MEMBERS, WIDTH, Members, Rows, fit, weights

EACH = "models.{m}.{name*}"


def split(found: dict[str, Tensor], member: str) -> dict[str, Tensor]:
    prefix = f"models.{member}."
    return {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}


def close(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=1e-12, atol=1e-12)


def train_apart(steps: int, sizes: dict[str, int] | None = None) -> dict[str, dict[str, Tensor]]:
    """Each member by hand with plain SGD from the common start, with no word of averaging."""
    rows, start = Rows(sizes or dict.fromkeys(MEMBERS, BATCH)), Members()
    found = {}
    for name in MEMBERS:
        network = start.models[name]
        for step in range(steps):
            batch = rows[step][name]
            functional.mse_loss(network(batch[:, :WIDTH]), batch[:, WIDTH:]).backward()
            sgd(network)
        found[name] = weights(network)
    return found


def sgd(network: nn.Module) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            assert parameter.grad is not None
            parameter -= 0.1 * parameter.grad
            parameter.grad = None


def test_averaging_each_step_with_sgd_is_training_on_the_large_batch(tmp_path: Path) -> None:
    module = Members()
    fit(module, [{"sync": EACH, "how": "average", "every": 1}], tmp_path)
    alone, rows = Members().models["a"], Rows(dict.fromkeys(MEMBERS, BATCH))
    for step in range(6):
        batch = torch.cat([rows[step][name] for name in MEMBERS])
        functional.mse_loss(alone(batch[:, :WIDTH]), batch[:, WIDTH:]).backward()
        sgd(alone)
    for name in MEMBERS:
        close(weights(module.models[name]), weights(alone))


def test_weights_by_samples_are_federated_averaging(tmp_path: Path) -> None:
    sizes = {"a": 2, "b": 3, "c": 7}
    module = Members()
    fit(module, [{"sync": EACH, "how": "average", "every": 3, "weights": "samples"}], tmp_path, sizes=sizes, steps=3)
    local = train_apart(3, sizes)
    total = sum(sizes.values())
    wanted = {name: sum(sizes[k] / total * local[k][name] for k in MEMBERS) for name in local["a"]}
    for name in MEMBERS:
        close(weights(module.models[name]), wanted)


@pytest.mark.parametrize(
    ("written", "matrix"),
    [
        ("uniform", [[1 / 3] * 3] * 3),
        ({"a": 1, "b": 2, "c": 1}, [[0.25, 0.5, 0.25]] * 3),
        ([1, 2, 1], [[0.25, 0.5, 0.25]] * 3),
        ([[0.5, 0.5, 0], [0.5, 0.25, 0.25], [0, 0.25, 0.75]], [[0.5, 0.5, 0], [0.5, 0.25, 0.25], [0, 0.25, 0.75]]),
    ],
)
def test_each_member_takes_its_row_of_the_mixing_matrix(
    written: Any, matrix: list[list[float]], tmp_path: Path
) -> None:
    module = Members()
    fit(module, [{"sync": EACH, "how": "average", "every": 2, "weights": written}], tmp_path, steps=2)
    local = train_apart(2)
    for i, member in enumerate(MEMBERS):
        wanted = {name: sum(matrix[i][j] * local[k][name] for j, k in enumerate(MEMBERS)) for name in local["a"]}
        close(weights(module.models[member]), wanted)


def test_rounds_by_epoch_come_at_its_last_batch(tmp_path: Path) -> None:
    module = Members()
    fit(module, [{"sync": EACH, "how": "average", "every": "epoch"}], tmp_path, steps=5)
    close(weights(module.models["b"]), train_apart(5)["b"])
    module = Members()
    fit(module, [{"sync": EACH, "how": "average", "every": "epoch"}], tmp_path, steps=6, validate=True)
    local = train_apart(6)
    wanted = {name: sum(local[k][name] for k in MEMBERS) / 3 for name in local["a"]}
    close(weights(module.models["b"]), wanted)
    close(split(module.seen, "a"), wanted)  # validation comes after the round


def test_what_no_pattern_names_stays_apart(tmp_path: Path) -> None:
    module = Members()
    fit(module, [{"sync": EACH, "how": "average", "every": 1, "except": "models.*.2.*"}], tmp_path, steps=1)
    local = train_apart(1)
    assert torch.equal(module.models["a"][2].weight, local["a"]["2.weight"])
    assert torch.equal(module.models["a"][0].weight, module.models["c"][0].weight)


@pytest.mark.parametrize("moments", ["keep", "average", "reset"])
def test_moments_are_kept_averaged_or_forgotten(moments: str, tmp_path: Path) -> None:
    plain = Members(optimizer="adamw")
    apart = fit(plain, None, tmp_path, steps=2).optimizers[0]
    module = Members(optimizer="adamw")
    sync = {"sync": EACH, "how": "average", "every": 2, "moments": moments}
    optimizer = fit(module, [sync], tmp_path, steps=2).optimizers[0]
    before = {m: apart.state[plain.models[m][0].weight] for m in MEMBERS}
    state = optimizer.state.get(module.models["b"][0].weight)
    if moments == "reset":
        assert state is None
        return
    for key in ("exp_avg", "exp_avg_sq"):
        mean = sum(before[m][key] for m in MEMBERS) / 3
        torch.testing.assert_close(state[key], before["b"][key] if moments == "keep" else mean, rtol=1e-12, atol=0)
    assert state["step"] == 2


def test_one_member_follows_another(tmp_path: Path) -> None:
    module = Members(("a", "b"))
    module.models["b"].requires_grad_(False)
    sync = {"sync": "models.b.{name*}", "how": "ema", "from": "models.a.{name*}", "decay": 0.9}
    fit(module, [sync], tmp_path, steps=3)
    wanted = weights(Members().models["b"])
    for step in range(3):
        source = train_apart(step + 1)["a"]
        wanted = {name: 0.9 * value + 0.1 * source[name] for name, value in wanted.items()}
    close(weights(module.models["b"]), wanted)
    close(weights(module.models["a"]), train_apart(3)["a"])


def test_an_average_beside_the_weights_is_what_validation_sees(tmp_path: Path) -> None:
    module = Members()
    fit(module, [{"sync": "models.a.**", "how": "ema", "decay": 0.9}], tmp_path, steps=6, validate=True)
    wanted = weights(Members().models["a"])
    for step in range(6):
        source = train_apart(step + 1)["a"]
        wanted = {name: 0.9 * value + 0.1 * source[name] for name, value in wanted.items()}
    close(split(module.seen, "a"), wanted)
    close(split(module.seen, "b"), train_apart(6)["b"])
    close(weights(module.models["a"]), train_apart(6)["a"])  # training goes on with its own


def test_lookahead_is_its_algorithm(tmp_path: Path) -> None:
    module = Members()
    fit(module, [{"sync": "models.a.**", "how": "lookahead", "every": 2, "rate": 0.3}], tmp_path, steps=6)
    network, rows = Members().models["a"], Rows(dict.fromkeys(MEMBERS, BATCH))
    slow = [parameter.detach().clone() for parameter in network.parameters()]
    for step in range(6):
        batch = rows[step]["a"]
        functional.mse_loss(network(batch[:, :WIDTH]), batch[:, WIDTH:]).backward()
        sgd(network)
        if step % 2:
            with torch.no_grad():
                for kept, parameter in zip(slow, network.parameters(), strict=True):
                    kept += 0.3 * (parameter - kept)
                    parameter.copy_(kept)
    close(weights(module.models["a"]), weights(network))


@pytest.mark.parametrize("from_file", [False, True])
def test_copy_and_freeze_changes_nothing_else(from_file: bool, tmp_path: Path) -> None:
    module = Members(optimizer="adamw")
    with torch.no_grad():
        for parameter in module.models["a"].parameters():
            parameter.add_(1)
    sync: dict[str, Any] = {"sync": "models.b.0.{name*}", "how": "copy", "from": "models.a.0.{name*}", "then": "freeze"}
    if from_file:
        torch.save(
            {"state_dict": {f"net.0.{k}": v for k, v in module.models["a"][0].state_dict().items()}},
            tmp_path / "x.ckpt",
        )
        sync |= {"file": str(tmp_path / "x.ckpt"), "from": "net.0.{name*}"}
    before, trained = weights(module), {n: p.requires_grad for n, p in module.named_parameters()}
    ParameterSync([sync]).setup(_Stage(), module, "fit")  # pyright: ignore[reportArgumentType]  # all that setup asks
    for name, value in weights(module).items():
        source = name.replace("models.b.0.", "models.a.0.")
        assert torch.equal(value, before[source]), name
        assert dict(module.named_parameters())[name].requires_grad == (trained[name] and source == name)
    fit(module, [sync], tmp_path, steps=4)
    assert torch.equal(module.models["b"][0].weight, before["models.a.0.weight"])
    assert not torch.equal(module.models["a"][0].weight, before["models.a.0.weight"])
    assert not torch.equal(module.models["b"][2].weight, before["models.b.2.weight"])


class _Stage:
    ckpt_path = None


def test_a_copy_alone_is_trained_on(tmp_path: Path) -> None:
    module = Members()
    with torch.no_grad():
        module.models["a"][0].weight.add_(1)
    start = module.models["a"][0].weight.detach().clone()
    fit(module, [{"sync": "models.b.0.weight", "how": "copy", "from": "models.a.0.weight"}], tmp_path, steps=1)
    moved = (module.models["b"][0].weight - start).abs().max()
    assert 0 < moved < 0.9


@pytest.mark.parametrize("then", ["tie", "fit"])
def test_shared_parameters_start_from_what_is_copied(then: str, tmp_path: Path) -> None:
    module = Members(("a", "b", "c"))
    with torch.no_grad():
        module.models["c"][0].weight.add_(2)
    source = module.models["c"][0].weight.detach().clone()
    before = module.models["a"][0].weight.detach().clone()
    spec = {"tie": "models.{m:a|b}.0.weight = W", "fit": "models.{m:a|b}.0.weight = 2 * W"}[then]
    tie(module, {"share": [{"sites": spec.split(" = ")[0], "equals": spec.split(" = ")[1], "init": "mean"}]})
    sync = {"sync": "models.b.0.weight", "how": "copy", "from": "models.c.0.weight", "then": then}
    ParameterSync([sync]).setup(_Stage(), module, "fit")  # pyright: ignore[reportArgumentType]  # all that setup asks
    torch.testing.assert_close(module.models["b"][0].weight, (source + before) / 2)
    assert torch.equal(module.models["a"][0].weight, module.models["b"][0].weight)
    fit(module, None, tmp_path, steps=2)
    assert torch.equal(module.models["a"][0].weight, module.models["b"][0].weight)


@pytest.mark.parametrize(
    "sync",
    [
        {"sync": EACH, "how": "average", "every": 4, "weights": "samples", "moments": "average"},
        {"sync": EACH, "how": "average", "every": "epoch", "moments": "reset"},
        {"sync": "models.a.**", "how": "ema", "decay": 0.7},
        {"sync": "models.a.**", "how": "lookahead", "every": 4},
        {"sync": "models.b.**", "how": "copy", "then": "freeze"},
    ],
    ids=["average", "epoch", "ema", "lookahead", "copy"],
)
def test_a_resumed_run_is_the_run_without_a_break(sync: dict[str, Any], tmp_path: Path) -> None:
    rows = Rows(dict.fromkeys(MEMBERS, BATCH))
    source = tmp_path / "source.ckpt"
    torch.save({f"models.b.{name}": value + 1 for name, value in Members().models["a"].state_dict().items()}, source)
    if sync["how"] == "copy":
        sync = {**sync, "file": str(source)}
    whole, broken, resumed = (Members(optimizer="adamw", rows=rows) for _ in range(3))
    one = fit(whole, [sync], tmp_path, steps=10)
    trainer = fit(broken, [sync], tmp_path, steps=4)
    trainer.save_checkpoint(tmp_path / "at.ckpt")
    source.unlink()  # a checkpoint has what was copied
    two = fit(resumed, [sync], tmp_path, steps=10, resume=tmp_path / "at.ckpt")
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(resumed)[name]), name
    found = [find(trainer).state_dict() for trainer in (one, two)]
    assert torch.equal(_flat(found[0]), _flat(found[1]))


def find(trainer: Any) -> ParameterSync:
    return next(each for each in trainer.callbacks if isinstance(each, ParameterSync))


def _flat(state: Any) -> Tensor:
    if isinstance(state, Tensor):
        return state.flatten().double()
    parts = state.values() if isinstance(state, dict) else state if isinstance(state, list) else [torch.tensor([state])]
    return torch.cat([_flat(part) for part in parts]) if parts else torch.zeros(0).double()


@pytest.mark.parametrize(
    ("sync", "message"),
    [
        ({"sync": EACH, "how": "average", "every": 0}, "`every` is a whole number of 1 or more, or epoch, not 0."),
        ({"sync": "models.{m}.9.weight", "how": "average", "every": 1}, "matches no site"),
        ({"sync": "models.a.{l:int}.weight", "how": "average", "every": 1}, "a sync needs equal shapes"),
        ({"sync": "models.b.0.weight", "how": "copy", "from": "models.z.0.weight"}, "has no source"),
        ({"sync": "models.b.0.weight", "how": "copy", "file": "none.ckpt"}, "does not exist"),
        ({"sync": EACH, "how": "average", "every": 1, "weights": [1, 2]}, "there are 3 members: a, b, c"),
        ({"sync": EACH, "how": "average", "every": 1, "moments": "mean"}, "`moments` is keep, average or reset"),
    ],
)
def test_bad_input_is_one_clear_error_and_changes_nothing(sync: dict[str, Any], message: str, tmp_path: Path) -> None:
    module = Members()
    before = weights(module)
    good = {"sync": "models.c.{n*}", "how": "copy", "from": "models.a.{n*}", "then": "freeze"}
    with pytest.raises((SpecError, ConfigError)) as caught:
        fit(module, [good, sync], tmp_path)
    assert message in str(caught.value)
    assert str(caught.value).count("\n") == 0
    assert all(torch.equal(value, before[name]) for name, value in weights(module).items())
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_a_copy_does_not_change_what_it_does_not_name(tmp_path: Path) -> None:
    module = Members()
    tie(module, {"share": [{"tie": ["models.b.0.weight", "models.c.0.weight"]}]})
    with pytest.raises(ConfigError, match=r"shares its parameter with models\.c\.0\.weight"):
        fit(module, [{"sync": "models.b.0.weight", "how": "copy", "from": "models.a.0.weight"}], tmp_path)


def test_samples_need_batches_by_member(tmp_path: Path) -> None:
    sync = {"sync": EACH, "how": "average", "every": 1, "weights": "samples"}
    with pytest.raises(ConfigError, match="needs batches with a part for each member"):
        fit(Members(rows=Rows(dict.fromkeys(MEMBERS, 1))), [sync], tmp_path, sizes={"x": 2})


class Tied(TiedModule, LightningModule):
    """Two layers that are one parameter, until somebody splits them."""

    def __init__(self, sharing: Any) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.network = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)).double()
        self.tie_network(sharing)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        return self.network(batch["a"][:, :WIDTH]).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Edit(Callback):
    """Splits at the second epoch's start and joins at the third's."""

    def __init__(self) -> None:
        self.kept: list[dict[str, Tensor]] = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.kept.append(find(trainer).state_dict()["entries"][0]["kept"])
        if trainer.current_epoch == 1:
            split_in_training(pl_module, "W", [["0.weight"], ["1.weight"]])
        elif trainer.current_epoch == 2:
            join_in_training(pl_module, ["0.weight", "1.weight"])
        self.kept.append(find(trainer).state_dict()["entries"][0]["kept"])


TIED = "share: [{tie: [0.weight, 1.weight], name: W}]\nsync: [{sync: '*.weight', how: ema, decay: 0.5}]"


def test_what_is_kept_is_split_and_joined_with_the_weights(tmp_path: Path) -> None:
    module, edit = Tied(TIED), Edit()
    callback = ParameterSync()
    fit(module, None, tmp_path, steps=18, callbacks=(callback, edit))
    before_split, after_split, before_join, after_join = edit.kept[2:]
    assert list(before_split) == ["0.weight"]
    assert all(torch.equal(value, before_split["0.weight"]) for value in after_split.values())
    assert list(after_split) == list(before_join) == ["0.weight", "1.weight"]
    assert not torch.equal(before_join["0.weight"], before_join["1.weight"])  # each part followed its own
    torch.testing.assert_close(after_join, {"0.weight": (before_join["0.weight"] + before_join["1.weight"]) / 2})
    kept, weight = callback.state_dict()["entries"][0]["kept"]["0.weight"], module.network[0].weight
    assert 0 < (kept - weight).abs().max() < 0.1  # and goes on following


def test_a_sync_that_nobody_carries_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the spec has a `sync`, and no callback carries it out"):
        fit(Tied(TIED), None, tmp_path)


def test_strategies_that_divide_parameters_are_refused() -> None:
    class Divided:
        strategy, ckpt_path = ModelParallelStrategy(), None

    callback, module = ParameterSync([{"sync": EACH, "how": "average", "every": 1}]), Members()
    trainer: Any = Divided()
    callback.setup(trainer, module, "fit")
    with pytest.raises(ConfigError, match="ModelParallelStrategy divides or places the parameters"):
        callback.on_fit_start(trainer, module)


def test_the_callback_pickles(tmp_path: Path) -> None:
    callback = ParameterSync([{"sync": EACH, "how": "average", "every": 1}])
    assert pickle.loads(pickle.dumps(callback)).state_key == callback.state_key
