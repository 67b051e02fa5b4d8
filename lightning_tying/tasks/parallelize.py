"""A tied LightningModule in a run of several processes goes in; its network comes out as the strategy needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning_tying.tasks.tied_module import TiedModule


def parallelize(module: TiedModule) -> None:
    """Shard or distribute the tied network where the strategy leaves that to `configure_model`; once only."""
