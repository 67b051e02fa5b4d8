"""The numbers of saved optimizer states are the parameters' places in the model; torch loads them as before."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import nn

from lightning_tying.tasks.optimizers.optimizer_numbers import number_by_model


class Net(LightningModule):
    """Three parameters a, b, c; the optimizer holds c, then a, and b is frozen."""

    def __init__(self, by_position: bool = True) -> None:
        super().__init__()
        for size, name in enumerate("abc"):
            self.register_parameter(name, nn.Parameter(torch.zeros(size + 1), requires_grad=name != "b"))
        self.made = torch.optim.AdamW([{"params": [self.c]}, {"params": [self.a], "lr": 0.1}], lr=0.2)
        strategy = SimpleNamespace(lightning_restore_optimizer=by_position)
        self._trainer: Any = SimpleNamespace(optimizers=[self.made], strategy=strategy, lightning_module=self)

    @property
    def trainer(self) -> Any:
        return self._trainer


def step(net: Net) -> None:
    (net.a.sum() + 2 * net.c.sum()).backward()
    net.made.step()


def numbered(net: Net, state: dict[str, Any]) -> dict[str, Any]:
    checkpoint = {"optimizer_states": [state]}
    number_by_model(net, checkpoint)  # type: ignore[arg-type]  # what it reads of a tied module, any module has
    return checkpoint["optimizer_states"][0]


def test_numbers_are_places_in_the_model_and_torch_still_loads_them() -> None:
    net = Net()
    step(net)
    state = net.made.state_dict()
    before = copy.deepcopy(state)
    found = numbered(net, state)
    assert [group["params"] for group in found["param_groups"]] == [[2], [0]]
    assert found["state"][2]["exp_avg"].shape == (3,) and found["state"][0]["exp_avg"].shape == (1,)
    assert state.keys() == before.keys() and [g["params"] for g in state["param_groups"]] == [[0], [1]]
    again = Net()
    again.made.load_state_dict(found)
    assert torch.equal(again.made.state[again.c]["exp_avg"], net.made.state[net.c]["exp_avg"])
    assert again.made.param_groups[1]["lr"] == 0.1


def test_numbers_that_lightning_gave_get_the_optimizers_order() -> None:
    """For sharded modules Lightning numbers by the model, and sorts; torch loads by position."""
    net = Net(by_position=False)
    net.made.param_groups[0]["params"].append(net.a)
    del net.made.param_groups[1]
    given = {"state": {0: "of a", 2: "of c"}, "param_groups": [{"params": [0, 2]}]}
    found = numbered(net, given)
    assert found == {"state": {0: "of a", 2: "of c"}, "param_groups": [{"params": [2, 0]}]}


def test_what_goes_by_names_or_is_of_other_parameters_stays() -> None:
    net = Net()
    by_name = {"state": {"a": 1}, "param_groups": [{"params": ["c"]}, {"params": ["a"]}]}
    assert numbered(net, by_name) is by_name
    empty: dict[str, Any] = {}
    assert numbered(net, empty) is empty
    net.made.param_groups[1]["params"][0] = nn.Parameter(torch.zeros(1))
    state = net.made.state_dict()
    assert numbered(net, state) is state
