"""An optional package's name goes in, the package comes out, or an error that says how to get it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from lightning_tying.errors import ConfigError


def import_package(name: str) -> Any:
    """Import a package that only one dictionary needs.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"This dictionary needs the package {name}, which is not installed. "
            "Install it with pip install 'lightning-tying[examples]'."
        ) from error
