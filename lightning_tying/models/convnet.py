"""Images in, logits of the classes out: a residual convolutional network.

Source: He et al. 2016, "Deep residual learning", 4.2, with its shortcuts without parameters (option A).
"""

from typing import final

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad, relu

from lightning_tying.models.arguments import check_at_least_one


@final
class ResidualBlock(nn.Module):
    """Two 3 × 3 convolutions, each with a norm of its own, beside a shortcut without parameters.

    Args:
        inputs: Channels of what goes in.
        outputs: Channels of what comes out; where they are more, the image is halved.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.stride = 1 if inputs == outputs else 2
        self.added = outputs - inputs
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=self.stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] → [B, outputs, H′, W′], H′ = H or ⌈H / 2⌉."""
        y = self.norm2(self.conv2(relu(self.norm1(self.conv1(x)))))
        return relu(y + self._shortcut(x))

    def _shortcut(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            return x
        return pad(avg_pool2d(x, 2, ceil_mode=True), (0, 0, 0, 0, 0, self.added))


@final
class ConvNet(nn.Module):
    """A stem, stages of residual blocks, the mean over the image, a linear classifier.

    FQNs: `stem.weight`, `stem_norm`, `stages.{s}.{b}.conv{1,2}.weight` with `norm1`, `norm2` beside them,
    `head.weight`, `head.bias`. Each stage is twice as wide and half as large as the one before. Within a stage all
    kernels have one shape, except the first of every stage but the first, so kernels can be shared within a stage;
    norms stay private.

    Args:
        channels: Channels of the images.
        classes: Number of classes.
        width: Channels of the first stage.
        stages: Number of stages.
        blocks: Residual blocks in a stage.

    Raises:
        ValueError: An argument is below 1.
    """

    def __init__(self, channels: int, classes: int, width: int = 16, stages: int = 3, blocks: int = 4) -> None:
        check_at_least_one("ConvNet", channels=channels, classes=classes, width=width, stages=stages, blocks=blocks)
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(width)
        self.stages = nn.ModuleList(_make_stage(width, number, blocks) for number in range(stages))
        self.head = nn.Linear(width * 2 ** (stages - 1), classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, channels, H, W], any size → logits [B, classes]."""
        x = relu(self.stem_norm(self.stem(images)))
        for stage in self.stages:
            x = stage(x)
        return self.head(x.mean(dim=(2, 3)))


def _make_stage(width: int, number: int, blocks: int) -> nn.Sequential:
    outputs = width * 2**number
    inputs = outputs if number == 0 else outputs // 2
    return nn.Sequential(*(ResidualBlock(inputs if block == 0 else outputs, outputs) for block in range(blocks)))
