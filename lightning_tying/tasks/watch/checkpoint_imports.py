"""What a checkpoint's hparams may make: a checkpoint goes in, nothing or one refusal comes out.

Hparams name classes and functions by their import paths, and importing a module runs it. So a checkpoint may name what
is imported already, and what belongs to this package, torch and Lightning.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType
from typing import Any, cast

import torch

from lightning_tying.algebra.imports import imported_only
from lightning_tying.errors import ConfigError

TRUSTED = ("lightning_tying", "torch", "lightning", "pytorch_lightning")
FUNCTION_KEYS = ("network", "optimizer", "lr_scheduler")
HPARAMS = "hyper_parameters"


@contextmanager
def guard_load(source: object, weights_only: bool | None) -> Generator[None]:
    """Load a module from a checkpoint inside: nothing of it imports a module.

    Args:
        source: its path, or a file that is open; of an address on the network only the spec is guarded.
        weights_only: False for a checkpoint that the user trusts: it is not guarded.

    Raises:
        ConfigError: it names a class or a function that it may not name.
    """
    if weights_only is False:
        yield
        return
    check_hparams(_read_hparams(source))
    with imported_only():
        yield


def check_hparams(hparams: object) -> None:
    """Refuse import paths that would import a module, and functions that cannot be a maker of anything.

    Raises:
        ConfigError: naming the path.
    """
    for path, is_function in _find_paths(hparams):
        module, _, name = path.rpartition(".")
        root = module.partition(".")[0]
        if module not in sys.modules and (root not in TRUSTED or "__main__" in module):
            raise ConfigError(
                f"The checkpoint asks for `{path}`, and `{module}` is not imported. A checkpoint may not import "
                "modules by itself: import that one first, if you trust whoever made the checkpoint."
            )
        function = getattr(sys.modules.get(module), name, None)
        plain = isinstance(function, FunctionType | type) or module not in sys.modules
        if is_function and (root in sys.stdlib_module_names or not plain):
            raise ConfigError(f"The checkpoint asks for `{path}`, which makes no network, optimizer or schedule.")


def _find_paths(content: object) -> Iterator[tuple[str, bool]]:
    """Every class path and every import path of a function."""
    if isinstance(content, Mapping):
        for key, value in cast("Mapping[object, object]", content).items():
            if key in ("class_path", "_class_path") and isinstance(value, str):
                yield value, False
            elif key in FUNCTION_KEYS and isinstance(value, str) and "." in value:
                yield value, True
            else:
                yield from _find_paths(value)
    elif isinstance(content, list | tuple):
        for value in cast("list[object]", content):
            yield from _find_paths(value)


def _read_hparams(source: object) -> object:
    """The hparams of a file; None of anything else, and of what Lightning will refuse itself."""
    try:
        if isinstance(source, str | Path) and Path(source).is_file():
            content: Any = torch.load(source, map_location="cpu", weights_only=True, mmap=True)
        elif isinstance(source, io.IOBase) and source.seekable():
            place = source.tell()
            content = torch.load(cast(Any, source), map_location="cpu", weights_only=True)
            source.seek(place)
        else:
            return None
    except Exception:  # whatever is wrong with the file, loading it says so
        return None
    return cast("Mapping[str, Any]", content).get(HPARAMS) if isinstance(content, Mapping) else None
