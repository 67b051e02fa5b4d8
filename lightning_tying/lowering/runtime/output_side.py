"""A linear layer whose weight is `base + low_rank(r)` and its input in, its output out, by the cheaper of two ways.

`x (W + B A)ᵀ = x Wᵀ + (x Aᵀ) Bᵀ`: with few rows, or a frozen base, the right side takes fewer multiply-adds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F  # torch's own name for it
from torch import Tensor, nn

from lightning_tying.algebra.expression import Read
from lightning_tying.lowering.resolve import own_modules
from lightning_tying.lowering.runtime.class_record import find_record
from lightning_tying.lowering.runtime.output_terms import SplitValue
from lightning_tying.lowering.runtime.reader_scope import is_cached, read_site
from lightning_tying.lowering.runtime.site_parametrization import SiteParametrization


def is_linear(kind: type) -> bool:
    """Whether a class is exactly `nn.Linear`: a subclass may do with its weight what it likes."""
    return kind is nn.Linear


def is_conv1d(kind: type) -> bool:
    """Whether a class is the `Conv1D` of transformers (GPT-2): a linear layer with a transposed weight."""
    return (kind.__module__, kind.__name__) == ("transformers.pytorch_utils", "Conv1D")


def run_linear(module: nn.Linear, input: Tensor) -> Tensor:
    """`nn.Linear.forward`."""
    site = _find_site(module)
    if site is None or not _is_cheaper(site, input):
        return nn.Linear.forward(module, input)
    split, tensors = _read_terms(site)
    base = _read_base(site, split, tensors)
    output = module.bias if base is None else F.linear(input, base, module.bias)
    for term in split.terms:
        output = _add(output, F.linear(F.linear(input, tensors[term.a]), tensors[term.b]), term.coefficient)
    return cast(Tensor, output)  # there is a term at least


def run_conv1d(module: Any, x: Tensor) -> Tensor:
    """`transformers.pytorch_utils.Conv1D.forward`; its weight is [inputs, outputs] and it has a bias."""
    site = _find_site(module)
    if site is None or not _is_cheaper(site, x):
        kind: type[Any] = module.__class__
        stock: Any = find_record(kind).stock
        return cast(Tensor, stock.forward(module, x))
    split, tensors = _read_terms(site)
    base = _read_base(site, split, tensors)
    output = cast(Tensor, module.bias) if base is None else F.linear(x, base.t(), module.bias)
    for term in split.terms:
        output = _add(output, (x @ tensors[term.b]) @ tensors[term.a], term.coefficient)
    return output


def count_weight_side(split: SplitValue, rows: int, grad: bool) -> int:
    """Multiply-adds for the value, the product with it and, with `grad`, the way back.

    The value is computed again for the way back, and its gradient is multiplied by A and by B; for that it needs the
    whole gradient of the weight, even where the base is frozen. The input's gradient is left out, it costs the same.
    """
    value, product = split.rank * math.prod(split.shape), rows * math.prod(split.shape)
    return 4 * value + 2 * product if grad else value + product


def count_output_side(split: SplitValue, rows: int, grad: bool, base_trains: bool) -> int:
    """Multiply-adds for the products with the base, with A and with B and, with `grad`, the way back."""
    thin, product = rows * split.rank * sum(split.shape), rows * math.prod(split.shape)
    forward = thin + (0 if split.base is None else product)
    return forward + 2 * thin + (product if base_trains else 0) if grad else forward


def _find_site(module: nn.Module) -> SiteParametrization | None:
    held = own_modules(module).get("parametrizations")
    site = None if held is None else own_modules(held).get("weight")
    return site if isinstance(site, SiteParametrization) and site.value.split is not None else None


def _is_cheaper(site: SiteParametrization, input: Tensor) -> bool:
    split, parameters = cast(SplitValue, site.value.split), site.parameters_read()
    if input.is_nested or 0 in split.shape or any(each.dtype != site.value.dtype for each in parameters):
        return False
    if site.gathered:  # its terms may be read only by calling it
        return False
    compiling = torch.compiler.is_compiling()
    if not compiling and is_cached(site):
        return False
    columns = input.shape[-1] if input.ndim else 1
    rows = input.numel() // max(columns, 1)
    trains = [each.requires_grad for each in parameters]
    grad = torch.is_grad_enabled() and any(trains)
    base_trains = any(trains[slot] for slot in split.base_slots)
    return count_output_side(split, rows, grad, base_trains) < count_weight_side(split, rows, grad)


def _read_terms(site: SiteParametrization) -> tuple[SplitValue, Sequence[Tensor]]:
    return cast(SplitValue, site.value.split), site.value.tensors()


def _read_base(site: SiteParametrization, split: SplitValue, tensors: Sequence[Tensor]) -> Tensor | None:
    if split.base is None:
        return None
    if isinstance(split.base, Read):
        return tensors[split.base_slots[0]]
    return site(True) if torch.compiler.is_compiling() else read_site(site, True)


def _add(output: Tensor | None, delta: Tensor, coefficient: float) -> Tensor:
    delta = delta if coefficient == 1 else delta * coefficient
    return delta if output is None else output + delta
