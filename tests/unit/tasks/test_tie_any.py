"""Modules that know nothing of this package: tied eager or lazy, by what survives, and watched like a `TiedModule`."""

from __future__ import annotations

import copy
import pickle
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import lightning.pytorch
import pytest
import pytorch_lightning
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint, StochasticWeightAveraging
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_tying import get_plan, tie, verify
from lightning_tying.errors import ApplyError, ConfigError, ConflictError, SpecError, TieBroken
from lightning_tying.tasks import TiedModule
from lightning_tying.tasks.tie_any import load_tied, tie_any
from lightning_tying.tasks.watch.watched_module import WatchedModule

ALIAS = {"share": [{"tie": ["net.0.weight", "net.2.weight"]}]}
TRANSPOSED = {"share": ["net.0.weight = W", "net.2.weight = t(W)"]}
DELTA = {"share": ["net.{l:int}.weight = W + low_rank(2)"]}
SPECS = {"alias": ALIAS, "transposed": TRANSPOSED, "delta": DELTA}


def make_net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))


class Plain(LightningModule):
    """As a user wrote it; also with names that a careless watch would take."""

    net: Any

    def __init__(self, lazy: bool = False, plan: str = "mine", rate: float = 0.1) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.plan, self.maps, self.build = plan, "mine too", 3
        self.rate, self.lazy = rate, lazy
        self.calls: list[str] = []
        if not lazy:
            self.net = make_net()

    def configure_model(self) -> None:
        self.calls.append("configure_model")
        if not hasattr(self, "net"):
            self.net = make_net()

    def on_fit_start(self) -> None:
        self.calls.append("on_fit_start")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["mine"] = 1

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return (self.net(batch[0]) - 1).square().mean()

    validation_step = test_step = predict_step = training_step

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=self.rate)


def loader() -> DataLoader[Any]:
    generator = torch.Generator().manual_seed(0)
    return DataLoader(TensorDataset(torch.randn(16, 4, generator=generator)), batch_size=4)


def make_trainer(tmp_path: Path, **options: Any) -> Trainer:
    return Trainer(
        **{"max_epochs": 2, **options}, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip


def is_tied(module: Any) -> bool:
    verify(module)
    return bool(get_plan(module).graph.groups)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("spec", SPECS)
def test_every_path_of_the_trainer_keeps_an_unknowing_module_tied(spec: str, lazy: bool, tmp_path: Path) -> None:
    module = Plain(lazy)
    tie_any(module, SPECS[spec])
    trainer = make_trainer(tmp_path)
    trainer.validate(module, loader(), verbose=False)
    assert is_tied(module)
    trainer.fit(module, loader())
    assert is_tied(module)
    trainer.test(module, loader(), verbose=False)
    trainer.predict(module, loader())
    assert is_tied(module)
    longer = make_trainer(tmp_path, max_epochs=3)
    longer.fit(module, loader())
    assert is_tied(module)
    held = longer.optimizers[0].param_groups[0]["params"]
    assert [id(each) for each in held] == [id(each) for each in module.parameters()]


@pytest.mark.parametrize("lazy", [False, True])
def test_the_module_stays_what_it_was(lazy: bool, tmp_path: Path) -> None:
    module = Plain(lazy)
    tie_any(module, ALIAS)
    trainer = make_trainer(tmp_path, max_epochs=1)
    trainer.fit(module, loader())
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    content = torch.load(tmp_path / "x.ckpt", weights_only=True)
    assert isinstance(module, Plain) and type(module).__name__ == "Plain"
    assert (module.plan, module.maps, module.build) == ("mine", "mine too", 3)
    assert module.calls == ["configure_model", "on_fit_start"]
    assert content["mine"] == 1 and "net.0.weight" in content["sharing"]["spec"]
    assert dict(content["hyper_parameters"]) == {"lazy": lazy, "plan": "mine", "rate": 0.1}
    assert isinstance(Plain.load_from_checkpoint(tmp_path / "x.ckpt", weights_only=True), Plain)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("spec", SPECS)
def test_a_checkpoint_ties_a_fresh_module_by_its_own_spec(spec: str, lazy: bool, tmp_path: Path) -> None:
    module = Plain(lazy)
    tie_any(module, SPECS[spec])
    trainer = make_trainer(tmp_path, max_epochs=1)
    trainer.fit(module, loader())
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    again = Plain(lazy)
    load_tied(again, tmp_path / "x.ckpt")
    assert is_tied(again)
    assert get_plan(again) == get_plan(module)
    for name, value in module.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    resumed = make_trainer(tmp_path, max_epochs=2)
    resumed.fit(again, loader(), ckpt_path=tmp_path / "x.ckpt", weights_only=True)
    assert is_tied(again) and resumed.global_step == 8


def test_a_checkpoint_without_a_spec_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "x.ckpt")
    with pytest.raises(ConfigError, match="holds no sharing spec"):
        load_tied(Plain(), tmp_path / "x.ckpt")
    with pytest.raises(ConfigError, match="does not exist"):
        load_tied(Plain(), tmp_path / "none.ckpt")
    (tmp_path / "bad.ckpt").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_tied(Plain(), tmp_path / "bad.ckpt")


@pytest.mark.parametrize("spec", SPECS)
def test_a_watched_module_copies_and_pickles(spec: str) -> None:
    module = Plain()
    tie_any(module, SPECS[spec])
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert type(other) is type(module) and is_tied(other)
        assert {id(each) for each in other.parameters()}.isdisjoint({id(each) for each in module.parameters()})


class Abstract(Plain, ABC):
    @abstractmethod
    def name(self) -> str: ...


class Concrete(Abstract):
    def __init__(self) -> None:
        super().__init__()
        self.own = nn.Parameter(torch.randn(4, 4))

    def name(self) -> str:
        return "concrete"


def test_classes_with_a_metaclass_and_own_computed_parameters_pickle() -> None:
    module = Concrete()
    tie_any(module, {"share": ["net.0.weight = W", "own = t(W)"]})
    other = pickle.loads(pickle.dumps(module))
    assert is_tied(other) and torch.equal(other.own, other.net[0].weight.T)
    assert isinstance(other, WatchedModule) and other.name() == "concrete"


def test_a_spec_that_does_not_fit_leaves_the_module_alone() -> None:
    class Eager(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = make_net()

    module = Eager()
    before = dict(vars(module))
    with pytest.raises(SpecError):
        tie_any(module, {"share": [{"tie": ["net.0.weight", "net.7.weight"]}]})
    assert type(module) is Eager and vars(module) == before


def test_a_spec_that_does_not_fit_a_lazy_module_is_told_when_it_is_built(tmp_path: Path) -> None:
    module = Plain(lazy=True)
    tie_any(module, {"share": [{"tie": ["net.0.weight", "net.7.weight"]}]})
    with pytest.raises(SpecError, match=r"net\.7\.weight"):
        make_trainer(tmp_path).fit(module, loader())
    with pytest.raises(SpecError):
        tie_any(Plain(lazy=True), {"share": [{"tee": []}]})


def test_what_is_not_a_lightning_module_is_refused() -> None:
    with pytest.raises(ApplyError, match="LightningModule is expected"):
        tie_any(make_net(), ALIAS)


def test_layers_that_come_late_are_bound_by_the_same_spec(tmp_path: Path) -> None:
    class Half(Plain):
        def configure_model(self) -> None:
            if not hasattr(self, "late"):
                self.late = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))

    module = Half()
    tie_any(module, {"share": ["{name*}.weight = W"]})
    assert module.net[0].weight is module.net[2].weight
    module.configure_model()
    assert module.late[1].weight is module.net[0].weight
    kept = module.net[0].weight
    module.configure_model()
    assert module.net[0].weight is kept


def test_a_configure_model_that_builds_anew_each_time_is_tied_each_time(tmp_path: Path) -> None:
    class Anew(Plain):
        def configure_model(self) -> None:
            self.net = make_net()

    module = Anew(lazy=True)
    tie_any(module, {"share": [{"tie": ["net.0.weight", "net.2.weight"]}]})
    trainer = make_trainer(tmp_path, max_epochs=1)
    trainer.fit(module, loader())
    trainer.fit_loop.max_epochs = 2
    trainer.fit(module, loader())
    assert module.net[0].weight is module.net[2].weight


@pytest.mark.parametrize("lazy", [False, True])
def test_weights_of_an_untied_module_are_solved_into_the_spec(lazy: bool, tmp_path: Path) -> None:
    source = Plain()
    torch.save(source.state_dict(), tmp_path / "w.pt")
    module = Plain(lazy)
    spec = {"share": [{"tie": ["net.0.weight", "net.2.weight"], "init": "mean"}]}
    tie_any(module, spec, init_from=tmp_path / "w.pt")
    module.configure_model()
    assert torch.allclose(module.net[0].weight, (source.net[0].weight + source.net[2].weight) / 2)
    assert torch.equal(module.net[2].bias, source.net[2].bias)


def test_the_policy_for_conflicts_reaches_the_loads() -> None:
    state = Plain().state_dict()
    strict = Plain()
    tie_any(strict, ALIAS)
    with pytest.raises(ConflictError):
        strict.load_state_dict(state)
    by_owner = Plain(lazy=True)
    tie_any(by_owner, ALIAS, on_conflict="owner")
    by_owner.configure_model()
    by_owner.load_state_dict(state)
    assert torch.equal(by_owner.net[2].weight, state["net.0.weight"])
    with pytest.raises(ConfigError, match="on_conflict"):
        tie_any(Plain(), ALIAS, on_conflict="first")  # type: ignore[arg-type]


def test_all_sites_may_be_parted_by_a_load_that_was_told_to(tmp_path: Path) -> None:
    torch.save({"state_dict": Plain().state_dict(), "pytorch-lightning_version": "2.6.0", "global_step": 0,
                "epoch": 0, "loops": {}, "callbacks": {}, "optimizer_states": [], "lr_schedulers": []},
               tmp_path / "x.ckpt")  # fmt: skip
    module = Plain()
    tie_any(module, ALIAS, on_conflict="untie")
    module.load_state_dict(torch.load(tmp_path / "x.ckpt", weights_only=True)["state_dict"])
    make_trainer(tmp_path, max_epochs=1).fit(module, loader())
    assert module.net[0].weight is not module.net[2].weight


def test_a_mixin_is_tied_by_another_spec_and_keeps_how_it_is_built() -> None:
    class Net(TiedModule, LightningModule):
        def __init__(self, lazy: bool) -> None:
            super().__init__()
            if not lazy:
                self.network = make_net()
            self.tie_network(None, build=make_net if lazy else None)

    for lazy in (False, True):
        net = Net(lazy)
        tie_any(net, {"share": [{"tie": ["0.bias", "2.bias"]}]}, on_conflict="mean")
        net.configure_model()
        assert net.network[0].bias is net.network[2].bias
        state = {f"network.{name}": value for name, value in make_net().state_dict().items()}
        state["network.0.bias"], state["network.2.bias"] = torch.zeros(4), torch.ones(4)
        net.load_state_dict(state)
        assert torch.equal(net.network[0].bias, torch.full((4,), 0.5))


class Breaks(Plain):
    def configure_optimizers(self) -> torch.optim.Optimizer:
        part(self)
        return super().configure_optimizers()


def part(module: Any, *_arguments: object) -> None:
    module.net[2].weight = nn.Parameter(torch.zeros(4, 4))


def test_a_broken_tie_is_found_at_fit_start_and_before_a_save(tmp_path: Path) -> None:
    module = Breaks()
    tie_any(module, ALIAS)
    with pytest.raises(TieBroken, match="at fit start"):
        make_trainer(tmp_path).fit(module, loader())
    part(module)
    with pytest.raises(TieBroken, match="before a save"):
        module.on_save_checkpoint({})


def test_a_tie_that_a_load_breaks_is_found_after_it() -> None:
    class Net(TiedModule, LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = self.net = make_net()
            self.register_load_state_dict_post_hook(part)
            self.tie_network({"share": [{"tie": ["0.weight", "2.weight"]}]})

    net = Net()
    with pytest.raises(TieBroken, match="after a load"):
        net.load_state_dict(net.state_dict())


def test_a_configure_model_without_super_is_named(tmp_path: Path) -> None:
    class Net(TiedModule, LightningModule):
        training_step, configure_optimizers, rate = Plain.training_step, Plain.configure_optimizers, 0.1

        def __init__(self) -> None:
            super().__init__()
            self.tie_network({"share": [{"tie": ["0.weight", "2.weight"]}]}, build=make_net)

        def configure_model(self) -> None:
            self.net = make_net()

    with pytest.raises(TieBroken, match=r"has to call `super\(\).configure_model\(\)`"):
        make_trainer(tmp_path).fit(Net(), loader())


def test_another_spec_than_the_checkpoints_is_refused(tmp_path: Path) -> None:
    module = Plain()
    tie_any(module, ALIAS)
    make_trainer(tmp_path, max_epochs=1, callbacks=[ModelCheckpoint(tmp_path, "x")]).fit(module, loader())
    other = Plain()
    tie_any(other, TRANSPOSED)
    with pytest.raises(ConfigError, match="another sharing spec"):
        make_trainer(tmp_path).fit(other, loader(), ckpt_path=tmp_path / "x.ckpt", weights_only=True)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("spec", SPECS)
def test_averages_are_tied_like_the_module(spec: str, lazy: bool, tmp_path: Path) -> None:
    module = Plain(lazy)
    tie_any(module, SPECS[spec])
    average = EMAWeightAveraging(decay=0.5)
    make_trainer(tmp_path, callbacks=[average]).fit(module, loader())
    assert average._average_model is not None
    verify(average._average_model.module)
    assert is_tied(module)


def test_a_copy_made_before_a_lazy_module_is_built_is_refused(tmp_path: Path) -> None:
    module = Plain(lazy=True)
    tie_any(module, ALIAS)
    trainer = make_trainer(tmp_path, max_epochs=4, callbacks=[StochasticWeightAveraging(0.01)])
    with pytest.raises(TieBroken, match="StochasticWeightAveraging averages a copy with 0 parameters"):
        trainer.fit(module, loader())
    eager = Plain()
    tie_any(eager, ALIAS)
    make_trainer(tmp_path, max_epochs=4, callbacks=[StochasticWeightAveraging(0.01)]).fit(eager, loader())
    assert is_tied(eager)


def test_a_copy_that_was_parted_is_named(tmp_path: Path) -> None:
    class Parted(EMAWeightAveraging):
        def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
            super().setup(trainer, pl_module, stage)
            net: Any = self._average_model.module.net  # type: ignore[union-attr]
            net[0].bias, net[2].weight = None, nn.Parameter(torch.zeros(4, 4))

    module = Plain()
    tie_any(module, ALIAS)
    with pytest.raises(TieBroken, match="copy that Parted averages"):
        make_trainer(tmp_path, callbacks=[Parted()]).fit(module, loader())


@pytest.mark.parametrize("late", [False, True])
def test_one_call_of_tie_in_the_users_code_holds_through_a_fit(late: bool, tmp_path: Path) -> None:
    class Own(Plain):
        def __init__(self) -> None:
            super().__init__()
            if not late:
                tie(self, ALIAS)

        def configure_model(self) -> None:
            tie(self, ALIAS)

    module, average = Own(), EMAWeightAveraging(decay=0.5)
    trainer = make_trainer(tmp_path, callbacks=[average, ModelCheckpoint(tmp_path, "x")])
    trainer.fit(module, loader())
    trainer.validate(module, loader(), verbose=False)
    assert is_tied(module) and average._average_model is not None
    verify(average._average_model.module)
    assert len(trainer.optimizers[0].param_groups[0]["params"]) == 3
    again = Own.load_from_checkpoint(tmp_path / "x.ckpt", weights_only=True)
    assert is_tied(again) and torch.equal(again.net[0].weight, again.net[2].weight)


@pytest.mark.parametrize("package", [lightning.pytorch, pytorch_lightning])
@pytest.mark.parametrize("lazy", [False, True])
def test_modules_of_both_packages_are_tied(package: Any, lazy: bool, tmp_path: Path) -> None:
    class Other(package.LightningModule):  # type: ignore[name-defined,misc]
        __init__ = Plain.__init__
        configure_model = Plain.configure_model
        training_step = Plain.training_step
        configure_optimizers = Plain.configure_optimizers

    Other.__init__ = _initializer(package)  # type: ignore[method-assign]
    module = Other(lazy)
    tie_any(module, ALIAS)
    trainer = package.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(module, loader())
    assert is_tied(module) and module.net[0].weight is module.net[2].weight


def _initializer(package: Any) -> Any:
    def __init__(self: Any, lazy: bool) -> None:
        package.LightningModule.__init__(self)
        self.calls, self.rate = [], 0.1
        if not lazy:
            self.net = make_net()

    return __init__
