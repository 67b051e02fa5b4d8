"""A module in; inside the context every computed tensor of it is computed once, for generation and prediction."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from torch import nn

from lightning_tying.lowering.runtime.parametrize import computed_sites
from lightning_tying.lowering.runtime.reader_scope import close_cache, open_cache


@contextmanager
def cache_values(module: nn.Module) -> Generator[None]:
    """Compute each derived value once for all forward passes inside, in this thread.

    It holds for `torch.no_grad()` and `torch.inference_mode()`; where gradients are recorded, and under
    `torch.compile`, values are computed as ever. The values take the memory that the untied model's weights would.

    **The shared parameters must not change inside**: torch does not tell of every write (fused optimizers, `.data`,
    a swap of averaged weights), so what is read would be the value from before.

    Args:
        module: tied, or with tied modules inside. Contexts may be nested; the outermost one keeps the values.

    Example:
        ```python
        with cache_values(model), torch.inference_mode():
            model.generate(tokens)
        ```
    """
    opened = open_cache((part, site) for _, part, site in computed_sites(module))
    try:
        yield
    finally:
        close_cache(opened)
