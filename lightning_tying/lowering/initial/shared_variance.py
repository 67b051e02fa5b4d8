"""A function with open operands and the deviation of its site in; the deviation of each operand out."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from lightning_tying.algebra.expression import Call, Expression, ParameterName, Read
from lightning_tying.algebra.fits.solve import compute_value, expand_alone
from lightning_tying.algebra.primitives.einsum import Einsum
from lightning_tying.algebra.primitives.node import Node


def share_variance(
    call: Call, sigma: float, drawn: Collection[ParameterName], settled: Mapping[ParameterName, Tensor]
) -> float:
    """The m open operands of a product share the variance of their site: (σ² / K)^(1/m) each.

    K is the product of the sizes that are summed over, times the mean squares of what is settled beside them, so that
    the site's variance is kept (for tensor trains: Khrulkov et al. 2020, section 4.3).

    Args:
        call: the product.
        sigma: the standard deviation of the site.
        drawn: the parameters that are drawn so.
        settled: values of others.
    """
    like, count, room = torch.empty(0, dtype=torch.float64), 0, sigma * sigma / _count_summed(expand_alone(call))
    for operand in call.operands:
        value = None if any(name in drawn for name in operand.parameters) else compute_value(operand, settled, like)
        if value is None:
            count += 1
        else:
            room /= float(value.square().mean()) or 1.0  # beside a factor that starts at 0 no variance can be kept
    count += sum(1 for own in call.own if own.parameter in drawn)
    return math.pow(room, 0.5 / max(count, 1))


def find_call(expression: Expression, name: ParameterName) -> Call | None:
    """The first call that brings a parameter, or has it for an argument."""
    for node in expression.walk():
        if isinstance(node, Call):
            read = any(isinstance(operand, Read) and operand.parameter == name for operand in node.operands)
            if read or any(own.parameter == name for own in node.own):
                return node
    return None


def _count_summed(node: Node) -> int:
    own = node.summed if isinstance(node, Einsum) else 1
    return own * math.prod(_count_summed(operand) for operand in node.operands)
