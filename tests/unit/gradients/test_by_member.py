"""Per-use gradients by member of a joint training: the sum over a member's uses, and aggregators over members."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lightning_tying import tie
from lightning_tying.algebra.expression import ParameterName
from lightning_tying.callbacks import GradientStability
from lightning_tying.data import JointData
from lightning_tying.errors import ConfigError
from lightning_tying.gradients.catch import catch_uses
from lightning_tying.gradients.combining.combine import make_combination
from lightning_tying.gradients.combining.member_gradients import combine_members
from lightning_tying.gradients.keys import UseKey
from lightning_tying.gradients.sinks.by_member import MemberExact, MemberSketch, MemberStreaming, name_member
from lightning_tying.reports.stability.history import read_history
from tests.unit.tasks.joint.joint_runs import make_data, make_joint, run

SPEC = {"share": ["models.{m}.{i}.weight = W[i % 2]", "models.{m}.{i}.bias = b"]}


class Models(nn.Module):
    """Two members with four layers, which read two weights and one bias; another layer is each one's own."""

    def __init__(self) -> None:
        super().__init__()
        self.models = nn.ModuleDict({m: nn.Sequential(*(nn.Linear(4, 4) for _ in range(4))) for m in "ab"})
        self.own = nn.ModuleDict({m: nn.Linear(4, 1) for m in "ab"})
        self.double()
        tie(self, SPEC)

    def losses(self) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(2)
        found: dict[str, Tensor] = {}
        for m in "ab":
            x = torch.randn(5, 4, generator=generator, dtype=torch.float64)
            target = torch.randn(5, 1, generator=generator, dtype=torch.float64)
            found[m] = functional.mse_loss(self.own[m](torch.tanh(self.models[m](x))), target)
        return found

    def shared(self) -> list[nn.Parameter]:
        first = self.models["a"]
        return [first[0].weight, first[1].weight, first[0].bias]  # type: ignore[list-item]


def jacobian(net: Models) -> Tensor:
    """Each member's gradient of all that is shared, [2, cells], by autograd alone."""
    rows = [torch.autograd.grad(loss, net.shared()) for loss in net.losses().values()]
    return torch.stack([torch.cat([each.flatten() for each in row]) for row in rows])


def test_places_belong_to_members() -> None:
    name = ParameterName("W")
    assert name_member(UseKey(name, "models.a.0.weight", 2)) == UseKey(name, "models.a")
    assert name_member(UseKey(name, "models.a (read outside)")) == UseKey(name, "models.a")
    assert name_member(UseKey(name, "own.a.weight")) == UseKey(name, "own.a.weight")
    assert name_member(UseKey(name, "(read outside)")) == UseKey(name, "(read outside)")


@pytest.mark.parametrize("kind", [MemberExact, MemberSketch, MemberStreaming])
def test_norms_are_those_of_each_members_gradient(kind: Any) -> None:
    net, sink = Models(), kind()
    with catch_uses(net, sink=sink):
        sum(net.losses().values()).backward()  # type: ignore[union-attr]
    found = sink.finish()
    expected = jacobian(net).split([16, 16, 4], dim=1)
    for (group, numbers), rows in zip(sorted(found.items(), key=lambda each: str(each[0])), expected, strict=True):
        assert [key.place for key in numbers.keys] == ["models.a", "models.b"], group
        torch.testing.assert_close(torch.tensor(numbers.norms, dtype=torch.float64), rows.norm(dim=1))
        if kind is MemberExact:
            torch.testing.assert_close(numbers.gram, rows @ rows.T)


def test_backward_passes_of_single_members_add_up() -> None:
    net, sink = Models(), MemberExact()
    with catch_uses(net, sink=sink):
        for loss in net.losses().values():
            loss.backward()
    numbers = next(each for group, each in sink.finish().items() if group.family == "b")
    rows = jacobian(net)[:, 32:]
    torch.testing.assert_close(numbers.gram, rows @ rows.T)


@pytest.mark.parametrize("name", ["UPGrad", "PCGrad", "MGDA", "AlignedMTL"])
def test_aggregators_get_the_jacobian_of_the_members(name: str) -> None:
    aggregation = pytest.importorskip("torchjd.aggregation")
    net = Models()
    combination = combine_members(make_combination(name))
    assert combination is not None
    sink = combination.make_sink()
    groups = [ParameterName("W", (0,)), ParameterName("W", (1,)), ParameterName("b")]
    with catch_uses(net, groups=groups, sink=sink):
        sum(net.losses().values()).backward()  # type: ignore[union-attr]
    own = {m: net.own[m].weight.grad.clone() for m in "ab"}  # type: ignore[union-attr]
    combination.write(sink, dict(zip(groups, net.shared(), strict=True)))  # type: ignore[arg-type]
    expected = getattr(aggregation, name)()(jacobian(net))
    mine = torch.cat([each.grad.flatten() for each in net.shared()])  # type: ignore[union-attr]
    torch.testing.assert_close(mine, expected, rtol=1e-6, atol=1e-9)
    assert all(torch.equal(net.own[m].weight.grad, own[m]) for m in "ab")  # type: ignore[arg-type]


def test_mean_is_over_members_not_uses() -> None:
    net = Models()
    combination = combine_members(make_combination("mean"))
    assert combination is not None
    sink, bias = combination.make_sink(), net.shared()[2]
    with catch_uses(net, groups=[ParameterName("b")], sink=sink):
        sum(net.losses().values()).backward()  # type: ignore[union-attr]
    combination.write(sink, {ParameterName("b"): bias})  # type: ignore[arg-type]
    torch.testing.assert_close(bias.grad, jacobian(net)[:, 32:].mean(0))


def test_nothing_changes_where_a_gradient_is_not_finite() -> None:
    net = Models()
    combination = combine_members(make_combination("norm_balanced"))
    assert combination is not None
    sink, groups = combination.make_sink(), [ParameterName("W", (0,)), ParameterName("b")]
    shared = dict(zip(groups, (net.shared()[0], net.shared()[2]), strict=True))
    with catch_uses(net, groups=groups, sink=sink):
        losses = net.losses()
        (losses["a"] + losses["b"] * torch.inf).backward()
    before = {group: each.grad.clone() for group, each in shared.items()}  # type: ignore[union-attr]
    combination.write(sink, shared)  # type: ignore[arg-type]
    assert all(torch.equal(each.grad, before[group]) for group, each in shared.items() if each.grad.isfinite().all())  # type: ignore[union-attr, arg-type]
    assert not before[groups[1]].isfinite().all()


def test_the_callback_tells_members_apart(tmp_path: Path) -> None:
    run(tmp_path, make_joint(), JointData(make_data()), GradientStability(2, by="member", report=False))
    records = read_history(tmp_path / "stability.jsonl").records
    assert records and {tuple(record.uses) for record in records} == {("models.a", "models.b")}
    assert {record.group.partition("[")[0] for record in records} == {"trunk"}


def test_the_callback_combines_members(tmp_path: Path) -> None:
    plain, mean = make_joint(), make_joint()
    mean.load_state_dict(plain.state_dict())
    run(tmp_path, plain, JointData(make_data()), max_steps=1)
    run(
        tmp_path,
        mean,
        JointData(make_data()),
        GradientStability(5, by="member", combine="mean", report=False),
        max_steps=1,
    )
    assert not torch.equal(plain.models["a"].trunk[0].weight, mean.models["a"].trunk[0].weight)
    assert torch.equal(plain.models["a"].head.weight, mean.models["a"].head.weight)


def test_there_must_be_members(tmp_path: Path) -> None:
    from tests.unit.callbacks.stability_runs import fit, make_net

    with pytest.raises(ConfigError, match="by: member is for models that train together"):
        fit(tmp_path, make_net(), GradientStability(by="member"))
    with pytest.raises(ConfigError, match="by"):
        GradientStability(by="model")  # type: ignore[arg-type]
