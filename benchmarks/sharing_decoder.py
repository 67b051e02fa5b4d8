"""The size of a decoder in; the decoder whose shared uses are measured, and a trainer that only trains, out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lightning.pytorch import Callback, Trainer

from lightning_tying.models import DecoderLM

HEADS = 4


@dataclass(frozen=True)
class DecoderSize:
    """How large a decoder and its batches are.

    Args:
        dim: its width.
        depth: its layers.
        vocabulary: the rows of its table.
        rows: of a batch.
        length: tokens of a row.
    """

    dim: int
    depth: int
    vocabulary: int
    rows: int
    length: int

    def __str__(self) -> str:
        return (
            f"Decoder of {self.depth} layers, width {self.dim}, head tied to the embedding ({self.vocabulary} rows); "
            f"{self.rows} × {self.length} tokens"
        )


def make_decoder(size: DecoderSize) -> DecoderLM:
    """The decoder, not yet tied."""
    return DecoderLM(size.vocabulary, dim=size.dim, depth=size.depth, heads=HEADS)


def make_trainer(folder: str, steps: int, callbacks: list[Callback], **more: Any) -> Trainer:
    """A trainer on the CPU that shows and writes nothing but what callbacks write.

    Args:
        folder: for these.
        steps: of the optimizer.
        callbacks: of the run.
        more: for the trainer.
    """
    return Trainer(
        accelerator="cpu",
        max_steps=steps,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        default_root_dir=folder,
        callbacks=callbacks,
        **more,
    )
