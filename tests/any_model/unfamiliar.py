"""Small networks as other people write them: residual, relative bias, denoising block, experts, lists of parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


class ResNet(nn.Module):
    """Stages of residual blocks with batch norms, whose running statistics stay each module's own."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(Residual(3, 4), Residual(4, 4), Residual(4, 4))
        self.layer2 = nn.Sequential(Residual(4, 8), Residual(8, 8))
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.layer2(self.layer1(x)).mean((2, 3)))


class RelativeAttention(nn.Module):
    """As in T5: the first layer has the table of distances, the others get its bias."""

    def __init__(self, has_table: bool) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(8, 8, bias=False) for _ in range(4))
        self.relative_attention_bias = nn.Embedding(8, 2) if has_table else None

    def forward(self, x: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        length = x.shape[1]
        q, k, v = (each(x).unflatten(-1, (2, 4)).transpose(1, 2) for each in (self.q, self.k, self.v))
        if self.relative_attention_bias is not None:
            places = torch.arange(length)
            buckets = (places[None] - places[:, None]).clamp(-4, 3) + 4
            bias = self.relative_attention_bias(buckets).permute(2, 0, 1)
        assert bias is not None
        weights = (q @ k.mT + bias).softmax(-1)
        return self.o((weights @ v).transpose(1, 2).flatten(2)), bias


class RelativeModel(nn.Module):
    """Embedding and head are one parameter already."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Embedding(11, 8)
        self.block = nn.ModuleList(
            nn.ModuleDict({"attn": RelativeAttention(layer == 0), "wi": nn.Linear(8, 16), "wo": nn.Linear(16, 8)})
            for layer in range(3)
        )
        self.lm_head = nn.Linear(8, 11, bias=False)
        self.lm_head.weight = self.shared.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x, bias = self.shared(tokens), None
        for block in self.block:
            attended, bias = block["attn"](x, bias)
            x = x + attended
            x = x + block["wo"](block["wi"](x).relu())
        return self.lm_head(x)


class DenoisingBlock(nn.Module):
    """A diffusion U-Net's block: time embedding, group norms, depthwise and transposed convolution, cross-attention."""

    def __init__(self) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(4, 8), nn.SiLU(), nn.Linear(8, 16))
        self.gn1, self.gn2 = nn.GroupNorm(2, 8), nn.GroupNorm(2, 8)
        self.c1, self.c2 = (nn.Conv2d(8, 8, 3, padding=1) for _ in range(2))
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.up = nn.ConvTranspose2d(8, 8, 2, 2)
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True, kdim=4, vdim=6)

    def forward(self, x: Tensor, time: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        scale, shift = self.time(time)[..., None, None].chunk(2, 1)
        h = self.gn2(self.c1(functional.silu(self.gn1(x)))) * (1 + scale) + shift
        h = self.up(self.depthwise(self.c2(functional.silu(h))) + x)
        return self.attn(h.flatten(2).mT, keys, values)[0]


class Experts(nn.Module):
    """Layers of a gate and a list of experts."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    "gate": nn.Linear(6, 3),
                    "experts": nn.ModuleList(
                        nn.Sequential(nn.Linear(6, 9), nn.GELU(), nn.Linear(9, 6)) for _ in range(3)
                    ),
                }
            )
            for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            gates = layer["gate"](x).softmax(-1)
            x = x + sum(gates[..., i : i + 1] * expert(x) for i, expert in enumerate(layer["experts"]))
        return x


class Parameters(nn.Module):
    """Parameters in lists and mappings, and one of the module itself."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.ParameterList([nn.Parameter(torch.randn(4, 4)) for _ in range(3)])
        self.named = nn.ParameterDict({"a": nn.Parameter(torch.randn(4, 4)), "b": nn.Parameter(torch.randn(4))})
        self.raw = nn.Parameter(torch.randn(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        for step in self.steps:
            x = x @ step
        return x @ self.named["a"] + self.named["b"] + x @ self.raw


class Oddments(nn.Module):
    """Modules of torch that read their weights in their own ways."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = nn.Bilinear(3, 4, 5)
        self.bags = nn.ModuleList([nn.EmbeddingBag(9, 4), nn.EmbeddingBag(9, 4, mode="max")])
        self.projected = nn.LSTM(4, 6, 2, proj_size=4, bidirectional=True)
        self.cell = nn.GRUCell(8, 8)
        self.slope = nn.PReLU(8)
        self.norm = nn.LayerNorm((2, 8))

    def forward(self, tokens: Tensor) -> Tensor:
        rows = torch.stack([bag(tokens) for bag in self.bags])
        steps = self.projected(rows)[0]
        states = torch.stack([self.slope(self.cell(step)) for step in steps], 1)
        return self.norm(states).sum((1, 2))[:, None] + self.pair(rows[0, :, :3], rows[1])
