"""A path, YAML text or a mapping in, a `SharingSpec` out; or one error with every mistake of the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lightning_tying.spec.nodes import LetValue
from lightning_tying.spec.schema import SharingSpec
from lightning_tying.spec.sources import Source


def load_spec(
    source: Source, *, let: Mapping[str, LetValue] | None = None, file: Path | str | None = None
) -> SharingSpec:
    """Read a sharing spec and check it as far as no model is needed.

    Args:
        source: a `Path`, or a one-line text that ends in .yaml, .yml or .json, is a file; any other text is YAML;
            a mapping is the content itself; a `SharingSpec` is passed through.
        let: values in the place of those of the file's `let`; each name must be there.
        file: the file that a text or a mapping was taken from: messages name it, and paths in the spec are
            relative to its folder.

    Raises:
        SpecError: with all mistakes at once, each with its line.
    """
    if isinstance(source, SharingSpec) and not let and not source.problems:
        return source
    return SharingSpec.load(source, let=let, file=file)
