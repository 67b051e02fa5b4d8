"""Per-use gradients against brute force in float64, for every way in which tensors are shared here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from lightning_tying import tie
from lightning_tying.gradients.catch import catch_uses
from lightning_tying.gradients.sinks import ExactSink, SketchSink, StreamingSink
from tests.unit.gradients.brute_force import Loss, gradient_of_use


@pytest.fixture(autouse=True)
def doubles() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def stack(depth: int = 6, width: int = 5) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(width, width), nn.Tanh()]
    return nn.Sequential(*layers)


def loss_of(net: nn.Module, *inputs: torch.Tensor) -> Loss:
    def loss() -> torch.Tensor:
        found = net(*inputs)
        return (found[0] if isinstance(found, tuple) else found).square().sum()

    return loss


class Looped(nn.Module):
    """A block that is called six times."""

    def __init__(self) -> None:
        super().__init__()
        self.block = stack(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(6):
            x = x + self.block(x)
        return x


class Towers(nn.Module):
    """A Siamese pair: two towers, each called for two inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = stack(2), stack(2)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.left(x) * self.right(y) + self.left(y)


def linear(*equations: object) -> tuple[nn.Module, Loss, int]:
    net = stack()
    tie(net, {"share": list(equations)})
    return net, loss_of(net, torch.randn(4, 5)), 3


def aliases(_: Path) -> tuple[nn.Module, Loss, int]:
    return linear("{l}.{name*} = W[name, l % 4]")


def transposed(_: Path) -> tuple[nn.Module, Loss, int]:
    return linear(
        "0.weight = W", "4.weight = t(W)", "8.weight = W", "2.weight = t(V)", "6.weight = V", "10.weight = t(V)"
    )


def delta(_: Path) -> tuple[nn.Module, Loss, int]:
    net = stack()
    tie(net, {"share": ["{l}.weight = W + low_rank(2)"]})
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return net, loss_of(net, torch.randn(4, 5)), 6


def mix(_: Path) -> tuple[nn.Module, Loss, int]:
    net, loss, _count = linear("{l}.weight = mix(T, 3)")
    return net, loss, 6


def scaled(_: Path) -> tuple[nn.Module, Loss, int]:
    """Gradient policies: what is caught is what the use adds, the factor included."""
    net, loss, _count = linear({"sites": "{l}.weight", "equals": "W", "grad": {"scale": "0.5 ** l"}})
    return net, loss, 6


def computed_twice(_: Path) -> tuple[nn.Module, Loss, int]:
    """A value whose own graph is made again in the backward pass."""
    net, loss, _count = linear("{l}.weight = normalize(tanh(W) * V) * 3")
    return net, loss, 6


def rows(folder: Path) -> tuple[nn.Module, Loss, int]:
    file = folder / "map.json"
    file.write_text("[3, 1, 4, 1, 5]")
    net = nn.ModuleDict({"de": nn.Embedding(5, 4), "fr": nn.Embedding(6, 4), "head": nn.Linear(4, 6, bias=False)})
    tie(net, {"share": [f"de.weight = rows(V, map='{file}')", "fr.weight = V", "head.weight = V"]})
    tokens = torch.tensor([0, 2, 2, 4])

    def loss() -> torch.Tensor:
        return net["head"](net["de"](tokens) + net["fr"](tokens + 1)).square().sum()

    return net, loss, 3


def lstm(_: Path) -> tuple[nn.Module, Loss, int]:
    net = nn.LSTM(5, 5, num_layers=3, bidirectional=False)
    tie(net, {"share": ["weight_{kind}_l{n} = W[kind]"]})
    return net, loss_of(net, torch.randn(7, 2, 5)), 3


def square_lstm(_: Path) -> tuple[nn.Module, Loss, int]:
    """The weights for the input, which it reads once, and those for the state, which it reads in every time step."""
    net = nn.RNN(5, 5, num_layers=2, bidirectional=False)
    tie(net, {"share": ["weight_{kind}_l{n} = W", "bias_{kind}_l{n} = b"]})
    return net, loss_of(net, torch.randn(7, 2, 5)), 4


def computed_lstm(_: Path) -> tuple[nn.Module, Loss, int]:
    net = nn.LSTM(5, 5, num_layers=2)
    tie(net, {"share": ["weight_hh_l{n} = W + low_rank(1)"]})
    return net, loss_of(net, torch.randn(7, 2, 5)), 2


def siamese(_: Path) -> tuple[nn.Module, Loss, int]:
    net = Towers()
    tie(net, {"share": ["{tower:left|right}.{name*} = both[name]"]})
    return net, loss_of(net, torch.randn(4, 5), torch.randn(4, 5)), 3


def looped(_: Path) -> tuple[nn.Module, Loss, int]:
    net = Looped()
    tie(net, {"share": ["block.{name*} = block[name]"]})
    return net, loss_of(net, torch.randn(4, 5)), 6


def t5(_: Path) -> tuple[nn.Module, Loss, int]:
    transformers = pytest.importorskip("transformers")
    config = transformers.T5Config(
        vocab_size=30, d_model=8, d_kv=4, d_ff=12, num_layers=1, num_heads=2, dropout_rate=0.0, decoder_start_token_id=0
    )
    torch.manual_seed(0)
    net = transformers.T5ForConditionalGeneration(config)
    tokens, labels = torch.tensor([[3, 4, 5, 1]]), torch.tensor([[7, 8, 1]])

    def loss() -> torch.Tensor:
        return net(input_ids=tokens, labels=labels).loss

    return net, loss, 3


CASES = (
    aliases, transposed, delta, mix, scaled, computed_twice, rows, lstm, square_lstm, computed_lstm, siamese, looped,
    t5,
)  # fmt: skip
Case = Callable[[Path], "tuple[nn.Module, Loss, int]"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_equals_brute_force(case: Case, tmp_path: Path) -> None:
    net, loss, uses = case(tmp_path)
    sink, stream, sketch = ExactSink(), StreamingSink(keep_sums=True), SketchSink(64)
    net.zero_grad()
    with catch_uses(net, sink=sink), catch_uses(net, sink=stream), catch_uses(net, sink=sketch):
        loss().backward()
    statistics, streamed, sketched = sink.finish(), stream.finish(), sketch.finish()
    sums = stream.sums()
    assert max(len(each.keys) for each in statistics.values()) == uses
    assert statistics.keys() == streamed.keys() == sketched.keys()
    for group, found in statistics.items():
        expected = [gradient_of_use(net, key, loss) for key in found.keys]
        for key, gradient in zip(found.keys, expected, strict=True):
            torch.testing.assert_close(sink.gradients[group][key], gradient, rtol=1e-10, atol=1e-12)
        flat = torch.stack([gradient.flatten() for gradient in expected])
        assert flat.abs().max() > 0
        torch.testing.assert_close(found.gram, flat @ flat.T, rtol=1e-10, atol=1e-12)
        for each in (found, streamed[group], sketched[group]):
            torch.testing.assert_close(torch.tensor(each.norms), flat.norm(dim=1), rtol=1e-10, atol=1e-12)
            torch.testing.assert_close(each.sum_norm, float(flat.sum(0).norm()), rtol=1e-10, atol=1e-12)
            assert each.finite and each.first_nonfinite is None
        assert streamed[group].gram is None
        path, _, name = found.keys[0].place.rpartition(".")
        torch.testing.assert_close(sums[group], net.get_submodule(path)._parameters[name].grad, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(sink.sums()[group], sums[group], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("text", ["t(W) * 3", "normalize(tanh(W) * V)"])
def test_the_gradient_at_a_derived_site(text: str) -> None:
    """Against a model whose sites are parameters of their own with the same values."""
    net = stack()
    tie(net, {"share": [f"{{l}}.weight = {text}"]})
    plain = stack()
    with torch.no_grad():
        for one, other in zip(plain, net, strict=True):
            if isinstance(one, nn.Linear):
                one.weight.copy_(other.weight)
                one.bias.copy_(other.bias)
    x, sink = torch.randn(4, 5), StreamingSink()
    with catch_uses(net, sink=sink):
        net(x).square().sum().backward()
    plain(x).square().sum().backward()
    for found in sink.finish().values():
        expected = [plain[int(key.place.partition(".")[0])].weight.grad.norm() for key in found.keys]
        torch.testing.assert_close(torch.tensor(found.site_norms), torch.stack(expected), rtol=1e-10, atol=1e-12)
        assert found.site_norms != found.norms
