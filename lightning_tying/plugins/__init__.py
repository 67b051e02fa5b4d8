"""Plugins of Lightning's Trainer: how a checkpoint reaches the disk."""

from lightning_tying.plugins.atomic_checkpoints import AtomicCheckpoints

__all__ = ["AtomicCheckpoints"]
