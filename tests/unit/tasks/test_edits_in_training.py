"""Edits while a trainer fits: optimizers, schedules, averages, callbacks and checkpoints follow, or nothing changes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging, StochasticWeightAveraging
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR
from torch.utils.data import DataLoader

from lightning_tying import get_plan, verify
from lightning_tying.callbacks import GradientStability, ParameterSavings
from lightning_tying.callbacks.shared_finetuning import SharedFinetuning
from lightning_tying.errors import ApplyError, ConfigError
from lightning_tying.tasks import TiedModule, tie_any
from lightning_tying.tasks.edits import join_in_training, split_in_training
from tests.slow import slow

SITES = [f"{layer}.weight" for layer in range(4)]
ONE = {"share": [{"tie": SITES, "name": "W"}]}
STEPS = 8


class Net(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(*[nn.Linear(4, 4, bias=layer == 0) for layer in range(4)])
        torch.manual_seed(0)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.6)


def _batch(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(100 + step)
    rows = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    return rows, rows.roll(1, 1)


def _loss(network: Callable[[Tensor], Tensor], step: int) -> Tensor:
    rows, wanted = _batch(step)
    return functional.mse_loss(network(rows), wanted)


class Model(TiedModule, LightningModule):
    """Takes batch number `global_step`, so that a resumed run sees what the other one saw."""

    def __init__(self, sharing: Any = None, make: Callable[[Any], Any] | None = None) -> None:
        super().__init__()
        self.save_hyperparameters("sharing")
        self.network = Net().double()
        self.make = make or (lambda parameters: AdamW(parameters, lr=0.05, weight_decay=0.1))
        self.tie_network(sharing)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return _loss(self.network, self.trainer.global_step)

    def configure_optimizers(self) -> Any:
        return self.make(self.parameters())

    def train_dataloader(self) -> DataLoader[int]:
        numbers: Any = list(range(STEPS))
        return DataLoader(numbers, batch_size=1)


class At(Callback):
    """Does things before the batch of a step, or where a hook says."""

    def __init__(self, does: Mapping[int, Callable[[Any], object]]) -> None:
        self.does = does

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        assert isinstance(pl_module, Model)
        if trainer.global_step in self.does:
            self.does[trainer.global_step](pl_module)


def _fit(
    model: LightningModule, *callbacks: Callback, steps: int = STEPS, start: str | None = None, **options: Any
) -> Trainer:
    trainer = Trainer(
        max_steps=steps,
        max_epochs=-1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
        **options,
    )
    trainer.fit(model, ckpt_path=start, weights_only=start is not None or None)
    return trainer


def _halves(model: LightningModule) -> object:
    return split_in_training(model, "W", [SITES[:2], SITES[2:]])


def _rejoin(model: LightningModule) -> object:
    return join_in_training(model, ["W", "W_2"])


def _values(model: Model) -> dict[str, Tensor]:
    return {name: one.detach().clone() for name, one in model.network.named_parameters(remove_duplicate=False)}


class ByHand:
    """Parts of SITES with a value and AdamW moments each; the formula of Loshchilov and Hutter, written out."""

    def __init__(self) -> None:
        network = Net().double()
        self.network = network
        self.bias = [network[0].bias.detach().clone(), torch.zeros(4).double(), torch.zeros(4).double(), 0]
        value = network[0].weight.detach().clone()
        self.parts: list[tuple[tuple[str, ...], list[Any]]] = [
            (tuple(SITES), [value, torch.zeros_like(value), torch.zeros_like(value), 0])
        ]

    def step(self, number: int) -> None:
        leaves = [state[0].requires_grad_() for _, state in self.parts]
        bias = self.bias[0].requires_grad_()
        values = {site: leaf for (sites, _), leaf in zip(self.parts, leaves, strict=True) for site in sites}
        loss = _loss(lambda rows: functional_call(self.network, {**values, "0.bias": bias}, (rows,)), number)
        states = [*(state for _, state in self.parts), self.bias]
        for state, grad in zip(states, torch.autograd.grad(loss, [*leaves, bias]), strict=True):
            state[0] = state[0].detach()
            state[3] += 1
            state[1] = 0.9 * state[1] + 0.1 * grad
            state[2] = 0.999 * state[2] + 0.001 * grad**2
            mean, square = state[1] / (1 - 0.9 ** state[3]), state[2] / (1 - 0.999 ** state[3])
            state[0] = state[0] * (1 - 0.05 * 0.1) - 0.05 * mean / (square.sqrt() + 1e-8)

    def split(self, place: int, cut: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        sites, state = self.parts.pop(place)
        one, two = sites[:cut], sites[cut:]
        copied = [each.clone() if isinstance(each, Tensor) else each for each in state]
        self.parts += [(one, state), (two, copied)]
        return one, two

    def join(self, place: int, other: int) -> None:
        (sites, mine), (more, theirs) = self.parts[place], self.parts[other]
        weights = len(sites) / len(sites + more), len(more) / len(sites + more)
        state: list[Any] = [weights[0] * a + weights[1] * b for a, b in zip(mine[:3], theirs[:3], strict=True)]
        left = [part for number, part in enumerate(self.parts) if number not in (place, other)]
        self.parts = [*left, (sites + more, [*state, max(mine[3], theirs[3])])]


def _name(model: Model, sites: tuple[str, ...]) -> str:
    groups = {frozenset(each.sites): str(each.name) for each in get_plan(model.network).graph.groups}
    return groups.get(frozenset(sites), sites[0]) if len(sites) > 1 else sites[0]


@pytest.mark.parametrize("seed", [0, 1])
def test_ten_random_edits_under_adamw_equal_a_reference_that_carried_the_state_by_hand(seed: int) -> None:
    chance, hand, done = random.Random(seed), ByHand(), list[str]()

    def edit(model: Model) -> None:
        place = chance.randrange(len(hand.parts))
        sites = hand.parts[place][0]
        if len(sites) > 1:
            name = _name(model, sites)
            split_in_training(model, name, hand.split(place, chance.randrange(1, len(sites))))
            done.append("split")
        else:
            other = (place + 1) % len(hand.parts)
            join_in_training(model, [_name(model, sites), _name(model, hand.parts[other][0])])
            hand.join(place, other)
            done.append("join")

    class Beside(Callback):
        def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
            if trainer.global_step:
                edit(pl_module)

        def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
            hand.step(trainer.global_step - 1)

    model = Model(ONE)
    trainer = _fit(model, Beside(), steps=11)
    assert len(done) == 10
    assert {"split", "join"} == set(done)
    assert [record.kind for record in model.tied_edits] == done
    found = _values(model)
    slots = dict(model.network.named_parameters(remove_duplicate=False))
    for sites, (value, mean, square, step) in hand.parts:
        state = trainer.optimizers[0].state[slots[sites[0]]]
        for site in sites:
            torch.testing.assert_close(found[site], value, rtol=0, atol=1e-11)
        torch.testing.assert_close(state["exp_avg"], mean, rtol=0, atol=1e-11)
        torch.testing.assert_close(state["exp_avg_sq"], square, rtol=0, atol=1e-11)
        assert int(state["step"]) == step
    assert len(trainer.optimizers[0].state) == len(hand.parts) + 1  # what is gone has left no state


OPTIMIZERS: dict[str, Callable[[Any], Optimizer]] = {
    "sgd": lambda parameters: SGD(parameters, lr=0.02, momentum=0.9),
    "adafactor": lambda parameters: torch.optim.Adafactor(parameters, lr=0.02),
    "amsgrad": lambda parameters: AdamW(parameters, lr=0.02, amsgrad=True),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_parts_that_are_split_and_joined_at_once_train_as_if_nothing_had_been(optimizer: str) -> None:
    plain, edited = (Model(ONE, OPTIMIZERS[optimizer]) for _ in range(2))
    _fit(plain)
    _fit(edited, At({3: lambda model: (_halves(model), _rejoin(model))}))
    assert len(edited.tied_edits) == 2
    for name, value in _values(plain).items():
        assert torch.equal(_values(edited)[name], value), name


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_after_a_split_each_part_has_a_state_of_its_own(optimizer: str) -> None:
    model = Model(ONE, OPTIMIZERS[optimizer])
    trainer = _fit(model, At({3: _halves}))
    one, two = (trainer.optimizers[0].state[model.network[place].weight] for place in (0, 2))
    assert one.keys() == two.keys()
    tensors = [key for key in one if isinstance(one[key], Tensor) and one[key].dim()]
    assert tensors
    assert all(one[key].data_ptr() != two[key].data_ptr() for key in tensors)
    assert not torch.equal(model.network[0].weight, model.network[2].weight)


def _with_schedule(kind: str) -> Callable[[Any], Any]:
    def make(parameters: Any) -> Any:
        listed = list(parameters)
        groups = [{"params": listed[:1], "lr": 0.05}, {"params": listed[1:], "lr": 0.01}]
        optimizer = AdamW(groups)
        schedule: Any = (
            LambdaLR(optimizer, [lambda step: 0.9**step, lambda step: 0.5**step])
            if kind == "lambda"
            else OneCycleLR(optimizer, [0.05, 0.01], total_steps=STEPS)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    return make


class Rates(Callback):
    def __init__(self) -> None:
        self.seen: list[list[float]] = []

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self.seen.append([group["lr"] for group in trainer.optimizers[0].param_groups])


@pytest.mark.parametrize("kind", ["lambda", "one cycle"])
def test_schedules_and_groups_with_rates_of_their_own_go_on(kind: str) -> None:
    rates: list[list[list[float]]] = []
    for edits in ({}, {3: _halves, 5: _rejoin}):
        watch = Rates()
        trainer = _fit(Model(ONE, _with_schedule(kind)), At(edits), watch)
        rates.append(watch.seen)
        assert [len(group["params"]) for group in trainer.optimizers[0].param_groups] == [1, 1]
    assert len(rates[0]) == STEPS
    assert rates[0] == rates[1]


def test_a_part_belongs_to_the_parameter_group_of_the_whole() -> None:
    model = Model({**ONE, "parameters": {"W": {"lr": 0.1}}}, _with_schedule("lambda"))
    seen: list[int] = []
    _fit(
        model,
        At(
            {
                3: lambda each: (
                    _halves(each),
                    seen.extend(len(one["params"]) for one in each.trainer.optimizers[0].param_groups),
                )
            }
        ),
    )
    assert sorted(seen) == [1, 2]
    assert {group.policy.lr for group in get_plan(model.network).graph.groups} == {0.1}


def test_what_is_in_two_parameter_groups_is_not_joined() -> None:
    def make(parameters: Any) -> Optimizer:
        one, *others = [each for each in parameters if each.dim() == 2]
        rest = [each for each in parameters if each.dim() == 1]
        return AdamW([{"params": [one], "lr": 0.1}, {"params": [*others, *rest]}])

    model = Model(None, lambda parameters: make(list(parameters)))
    with pytest.raises(ApplyError, match="different parameter groups"):
        _fit(model, At({2: lambda each: join_in_training(each, SITES[:2])}))
    assert model.network[0].weight is not model.network[1].weight
    assert model.tied_plan is None  # what the edit began with is taken back


def test_a_module_without_a_spec_is_tied_by_a_join() -> None:
    model = Model(None)
    trainer = _fit(model, At({2: lambda each: join_in_training(each, SITES)}))
    verify(model.network)
    assert model.network[0].weight is model.network[3].weight
    assert len(trainer.optimizers[0].param_groups[0]["params"]) == 2
    assert model.tied_spec is not None
    assert model.hparams["sharing"] is not None


@pytest.mark.parametrize("average", [lambda: EMAWeightAveraging(decay=0.8), lambda: StochasticWeightAveraging(1e-2, 1)])
def test_averaged_copies_are_edited_alike(average: Callable[[], Any]) -> None:
    callback = average()
    model = Model(ONE)
    counts: list[int] = []

    def look(each: Model) -> None:
        _halves(each)
        copy = callback._average_model  # there is no public name
        verify(copy)
        counts.append(sum(1 for _ in copy.parameters()))

    _fit(model, At({3: look}), callback, max_time=None)
    assert counts == [3]
    verify(model)


def test_an_average_follows_the_rule_of_the_average() -> None:
    """The mean of what a split left equal is itself, so that the run without edits has the same average."""
    averages: list[dict[str, Tensor]] = []
    for edits in ({}, {3: lambda each: (_halves(each), _rejoin(each))}):
        model = Model(ONE)
        _fit(model, At(edits), EMAWeightAveraging(decay=0.8))
        averages.append(_values(model))  # the trainer ends with the average in the module
    assert all(torch.equal(value, averages[1][name]) for name, value in averages[0].items())


def test_our_callbacks_follow(tmp_path: Path) -> None:
    stability = GradientStability(every_n_steps=1, folder=tmp_path, groups=["W*"], report=False)
    savings = ParameterSavings(folder=tmp_path, show=False)
    model = Model(ONE)
    _fit(model, stability, savings, At({3: _halves}))
    lines = (tmp_path / "stability.jsonl").read_text().splitlines()
    assert [line for line in lines if '"W_2"' in line]
    assert "W_2" in (tmp_path / "sharing.md").read_text()


class Follows(At):
    """A callback that keeps something of the sharing groups."""

    def __init__(self) -> None:
        super().__init__({2: _halves})
        self.told: list[str] = []

    def on_sharing_edited(self, trainer: Trainer, pl_module: LightningModule, record: Any) -> None:
        self.told.append(str(record))


def test_a_callback_with_the_hook_is_told() -> None:
    callback = Follows()
    _fit(Model(ONE), callback, steps=3)
    assert callback.told == ["step 2: split `W` (4) -> `W` (2), `W_2` (2)"]


def test_an_open_accumulation_is_not_edited() -> None:
    class Odd(Callback):
        def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
            if batch_idx == 3:
                _halves(pl_module)

    model = Model(ONE)
    with pytest.raises(ApplyError, match="accumulate"):
        _fit(model, Odd(), steps=4, accumulate_grad_batches=2)
    assert model.tied_edits == ()
    _fit(Model(ONE), At({2: _halves}), steps=4, accumulate_grad_batches=1)


def test_an_edit_inside_a_step_and_outside_of_training_is_refused() -> None:
    class Inside(Callback):
        def on_after_backward(self, trainer: Trainer, pl_module: Any) -> None:
            _halves(pl_module)

    with pytest.raises(ApplyError, match="between two steps"):
        _fit(Model(ONE), Inside(), steps=1)
    with pytest.raises(ApplyError, match="not in training"):
        _halves(Model(ONE))
    with pytest.raises(ApplyError, match="TiedModule"):
        split_in_training(nn.Linear(2, 2), "W", [])


def test_an_optimizer_with_one_state_for_all_is_refused() -> None:
    model = Model(ONE, lambda parameters: torch.optim.LBFGS(parameters, lr=0.1))
    plan = get_plan(model.network)
    with pytest.raises(ApplyError, match="LBFGS keeps one state"):
        _fit(model, At({1: _halves}), steps=2)
    assert get_plan(model.network) is plan


@pytest.fixture(scope="module")
def edits() -> dict[int, Callable[[Model], object]]:
    return {2: _halves, 4: lambda model: split_in_training(model, "W_2", [SITES[2:3], SITES[3:]]), 6: _three}


def _three(model: Model) -> object:
    return join_in_training(model, ["W", SITES[3]], init="largest")


class Saves(Callback):
    def __init__(self, path: Path, step: int) -> None:
        self.path, self.step = path, step

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)


def _reversed(parameters: Any) -> Optimizer:
    return AdamW(list(parameters)[::-1], lr=0.05)


@pytest.mark.parametrize("saved", [3, 5, 7])
@pytest.mark.parametrize("make", [None, _reversed, OPTIMIZERS["adafactor"]])
def test_a_run_resumes_between_edits_exactly(
    saved: int, make: Any, edits: dict[int, Callable[[Model], object]], tmp_path: Path
) -> None:
    whole, path = Model(ONE, make), tmp_path / "run.ckpt"
    trainer = _fit(whole, At(edits), Saves(path, saved))
    later = Model(ONE, make)
    resumed = _fit(later, At(edits), start=str(path))
    assert later.tied_edits == whole.tied_edits
    assert get_plan(later.network).graph == get_plan(whole.network).graph
    values = _values(later)
    assert all(torch.equal(values[name], value) for name, value in _values(whole).items())
    moments = [
        [one.optimizers[0].state[parameter] for parameter in model.parameters()]
        for one, model in ((trainer, whole), (resumed, later))
    ]
    for mine, theirs in zip(*moments, strict=True):
        assert all(
            torch.equal(torch.as_tensor(mine[key]), torch.as_tensor(theirs[key]))
            for key in mine
            if mine[key] is not None
        )


def test_an_average_resumes_between_edits(edits: dict[int, Callable[[Model], object]], tmp_path: Path) -> None:
    whole, path = Model(ONE), tmp_path / "run.ckpt"
    _fit(whole, EMAWeightAveraging(decay=0.8), At(edits), Saves(path, 5))
    later = Model(ONE)
    _fit(later, EMAWeightAveraging(decay=0.8), At(edits), start=str(path))
    values = _values(later)
    assert all(torch.equal(values[name], value) for name, value in _values(whole).items())


class Thaw(SharedFinetuning):
    """Keeps what Lightning resumes parameter groups by, and freezes nothing."""

    def freeze_before_training(self, pl_module: LightningModule) -> None:
        pass

    def finetune_function(self, pl_module: LightningModule, epoch: int, optimizer: Optimizer) -> None:
        pass


def test_a_run_with_finetuning_resumes_between_edits(
    edits: dict[int, Callable[[Model], object]], tmp_path: Path
) -> None:
    whole, path = Model(ONE), tmp_path / "run.ckpt"
    _fit(whole, Thaw(), At(edits), Saves(path, 5))
    later = Model(ONE)
    _fit(later, Thaw(), At(edits), start=str(path))
    values = _values(later)
    assert all(torch.equal(values[name], value) for name, value in _values(whole).items())


@slow
@pytest.mark.parametrize("spec", [ONE, {"share": ["{l}.weight = W + low_rank(1)"]}])
def test_a_compiled_module_reads_the_new_parameters(spec: dict[str, Any]) -> None:
    ends: list[dict[str, Tensor]] = []
    for compiled in (False, True):
        model = Model(spec)
        module: Any = torch.compile(model, backend="eager") if compiled else model
        _fit(module, At({2: _halves, 5: _rejoin} if spec is ONE else {2: _halves}))
        assert model.tied_edits
        ends.append(_values(model))
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())


def test_a_checkpoint_loads_by_itself_with_the_edited_graph(
    edits: dict[int, Callable[[Model], object]], tmp_path: Path
) -> None:
    model, path = Model(ONE), tmp_path / "run.ckpt"
    _fit(model, At(edits), Saves(path, STEPS))
    loaded = Model.load_from_checkpoint(path)
    assert get_plan(loaded.network).graph == get_plan(model.network).graph
    assert loaded.tied_edits == model.tied_edits
    assert all(torch.equal(value, _values(loaded)[name]) for name, value in _values(model).items())


def test_a_checkpoint_of_a_run_that_began_with_another_spec_is_refused(
    edits: dict[int, Callable[[Model], object]], tmp_path: Path
) -> None:
    path = tmp_path / "run.ckpt"
    _fit(Model(ONE), At(edits), Saves(path, 3), steps=3)
    with pytest.raises(ConfigError, match="another sharing spec"):
        _fit(Model({"share": [{"tie": SITES[:2], "name": "W"}]}), start=str(path))


def test_any_module_that_was_tied_from_outside_is_edited_and_resumed(tmp_path: Path) -> None:
    class Plain(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Net().double()

        def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
            return _loss(self.inner, self.trainer.global_step)

        configure_optimizers = Model.configure_optimizers
        train_dataloader = Model.train_dataloader
        make = staticmethod(lambda parameters: AdamW(parameters, lr=0.05))

    class Early(Callback):
        def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
            if trainer.global_step == 2:
                split_in_training(
                    pl_module, "W", [[f"inner.{site}" for site in part] for part in (SITES[:2], SITES[2:])]
                )

    spec, path = {"share": [{"tie": [f"inner.{site}" for site in SITES], "name": "W"}]}, tmp_path / "run.ckpt"
    ends: list[nn.Module] = []
    for start in (None, str(path)):
        module = Plain()
        tie_any(module, spec)
        _fit(module, Early(), Saves(path, 5), start=start)
        ends.append(module)
    one, two = (dict(each.named_parameters()) for each in ends)
    assert len(one) == 3
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_strategy_that_loads_late_is_told_to_begin_with_the_edited_spec(
    sharded: type, edits: dict[int, Callable[[Model], object]], tmp_path: Path
) -> None:
    path = tmp_path / "run.ckpt"
    _fit(Model(ONE), At(edits), Saves(path, 3), steps=3)
    checkpoint = torch.load(path, weights_only=True)
    later, trainer = Model(ONE), Trainer(accelerator="cpu", logger=False)
    later.trainer = trainer
    trainer.strategy._lightning_module = later
    plan = get_plan(later.network)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "strategy", property(lambda _: sharded()))
        with pytest.raises(ConfigError, match="checkpoint inspect"):
            later.on_load_checkpoint(checkpoint)
    assert get_plan(later.network) is plan


def test_damaged_edits_are_refused(edits: dict[int, Callable[[Model], object]], tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    _fit(Model(ONE), At(edits), Saves(path, 3), steps=3)
    checkpoint = torch.load(path, weights_only=True)
    for damage in ("text", [{"kind": "split"}], [{**checkpoint["sharing"]["edits"][0], "kind": "unite"}]):
        checkpoint["sharing"]["edits"] = damage
        with pytest.raises(ConfigError, match="damaged"):
            Model(ONE).on_load_checkpoint(checkpoint)


@pytest.fixture
def sharded() -> Iterator[type]:
    class ModelParallelStrategy:
        """Only its name is asked for."""

        model = None
        restore_checkpoint_after_setup = True

    yield ModelParallelStrategy


def test_strategies_that_divide_parameters_are_refused_with_the_way(sharded: type, monkeypatch: Any) -> None:
    def edit(model: Model) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(type(model.trainer), "strategy", property(lambda _: sharded()))
            _halves(model)

    model = Model(ONE)
    with pytest.raises(ApplyError, match="checkpoint migrate"):
        _fit(model, At({1: edit}), steps=2)
    assert model.tied_edits == ()
