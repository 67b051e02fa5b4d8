"""The residual network takes images of any size and halves them from stage to stage."""

import pytest
import torch

from lightning_tying.models import ConvNet
from lightning_tying.models.convnet import ResidualBlock


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 5), (1, 1), (32, 20)])
def test_any_size_of_image(height, width):
    assert ConvNet(3, 5, width=4, blocks=1).eval()(torch.randn(2, 3, height, width)).shape == (2, 5)


@torch.no_grad()
def test_a_wider_block_halves_the_image():
    block = ResidualBlock(4, 8).eval()
    assert block(torch.randn(1, 4, 7, 8)).shape == (1, 8, 4, 4)


@torch.no_grad()
def test_a_block_with_silent_kernels_passes_its_input_on():
    block, x = ResidualBlock(4, 4).eval(), torch.rand(1, 4, 5, 5)
    block.conv2.weight.zero_()
    torch.testing.assert_close(block(x), x)


@torch.no_grad()
def test_every_stage_but_the_first_begins_with_a_kernel_of_its_own():
    network = ConvNet(1, 10, width=4, stages=2, blocks=2)
    shapes = [tuple(block.conv1.weight.shape) for stage in network.stages for block in stage]
    assert shapes == [(4, 4, 3, 3), (4, 4, 3, 3), (8, 4, 3, 3), (8, 8, 3, 3)]
