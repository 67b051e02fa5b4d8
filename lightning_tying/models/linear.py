"""Sizes in; an embedding and a projection out whose first values suit a small Transformer, tied or not."""

from typing import final

from torch import Tensor, nn

HEAD_GAIN = 0.5  # first logits have this standard deviation: small enough that the first loss is near ln(vocab_size)


@final
class TokenEmbedding(nn.Embedding):
    """An embedding whose table also serves as an output projection.

    The rows are drawn with norm ½ and multiplied by 2√dim when they are read: the √dim is that of Vaswani et al. 2017,
    3.4. So the input has variance 1, while a head that reads the same table, on a normalized state, gives logits of
    standard deviation ½, as a head with a tensor of its own does. (Rows of norm 1 learned more slowly, tied or not.)

    Args:
        vocab_size: Number of rows.
        dim: Width of a row.
    """

    def __init__(self, vocab_size: int, dim: int) -> None:
        super().__init__(vocab_size, dim)  # pyright: ignore[reportUnknownMemberType]  torch leaves `device` untyped

    def reset_parameters(self) -> None:
        """Draw the table from a normal distribution of standard deviation ½/√dim."""
        nn.init.normal_(self.weight, std=HEAD_GAIN * self.embedding_dim**-0.5)

    def forward(self, input: Tensor) -> Tensor:
        """Ids, any shape → vectors [..., dim] of variance 1."""
        return super().forward(input) * (self.embedding_dim**0.5 / HEAD_GAIN)


@final
class Projection(nn.Linear):
    """A linear map whose weight is drawn normal with standard deviation `gain`/√(its inputs); a bias begins at 0.

    Args:
        inputs: Width of what goes in.
        outputs: Width of what comes out.
        bias: Whether it has a bias.
        gain: 1 keeps the variance; a smaller one for projections that end a residual branch.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool = False, gain: float = 1.0) -> None:
        self.gain = gain  # before nn.Linear, whose constructor calls reset_parameters
        super().__init__(inputs, outputs, bias=bias)  # pyright: ignore[reportUnknownMemberType]  as above

    def reset_parameters(self) -> None:
        """Draw the weight, and set the bias to 0."""
        nn.init.normal_(self.weight, std=self.gain * self.in_features**-0.5)
        if self.bias is not None:  # pyright: ignore[reportUnnecessaryComparison]  torch types an absent bias as Tensor
            nn.init.zeros_(self.bias)


def residual_gain(depth: int, branches: int = 2) -> float:
    """Gain of the projections that end a residual branch (GPT-2; Radford et al. 2019, 2.3).

    With it the variance of the residual stream stays near 1 however deep the network is.
    """
    return (branches * depth) ** -0.5
