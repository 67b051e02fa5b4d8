"""Hidden states in, hidden states out: the position-wise network of a Transformer block, SwiGLU or GELU."""

from typing import Literal, final

from torch import Tensor, nn
from torch.nn.functional import gelu, silu

from lightning_tying.models.linear import Projection

Activation = Literal["swiglu", "gelu"]
ACTIVATIONS: tuple[Activation, ...] = ("swiglu", "gelu")
ROUND_TO = 32


@final
class FeedForward(nn.Module):
    """`down(silu(gate(x)) * up(x))` (Shazeer 2020) or `down(gelu(up(x)))`, without biases.

    Args:
        dim: Width of the hidden states.
        hidden: Width between the projections.
        activation: `"swiglu"` or `"gelu"`.
        gain: Gain of the last projection's first values.
    """

    def __init__(self, dim: int, hidden: int, *, activation: Activation = "swiglu", gain: float = 1.0) -> None:
        super().__init__()
        self.gate = Projection(dim, hidden) if activation == "swiglu" else None
        self.up = Projection(dim, hidden)
        self.down = Projection(hidden, dim, gain=gain)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, dim] → [B, T, dim], every position for itself."""
        if self.gate is None:
            return self.down(gelu(self.up(x)))
        return self.down(silu(self.gate(x)) * self.up(x))


def default_hidden(dim: int, activation: Activation) -> int:
    """4 · dim, and for the three matrices of SwiGLU 8/3 · dim, so that both have about the same count.

    The latter is rounded up to a multiple of 32.
    """
    if activation == "gelu":
        return 4 * dim
    return -(-8 * dim // (3 * ROUND_TO)) * ROUND_TO
