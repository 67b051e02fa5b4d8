"""Any form in which a spec can be given in; its tree, its name and its folder out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, Union

from lightning_tying.errors import Location, Problem, SpecError
from lightning_tying.spec.nearest import nearest_name
from lightning_tying.spec.nodes import SpecContent
from lightning_tying.spec.tree import Tree, tree_of_data
from lightning_tying.spec.yaml_reader import MAX_BYTES, read_yaml

Source: TypeAlias = Union[SpecContent, Path, str, Mapping[str, Any]]
ENDINGS = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class ReadSource:
    """A source as a tree.

    Args:
        tree: of the file or mapping.
        name: what messages call it; None for a mapping.
        folder: what paths in the spec are relative to; None for the working directory.
    """

    tree: Tree
    name: str | None
    folder: Path | None


def read_source(source: Path | str | Mapping[str, Any], file: Path | str | None, problems: list[Problem]) -> ReadSource:
    """Read a path, YAML text or a mapping.

    Args:
        source: a `Path`, or a one-line text that ends in .yaml, .yml or .json, is a file; any other text is YAML.
        file: the file that a text or a mapping was taken from.
        problems: mistakes that reading can get over are appended.

    Raises:
        SpecError: the file cannot be read, or its text is not YAML.
    """
    folder = None if file is None else Path(file).parent
    if isinstance(source, Path) or (isinstance(source, str) and is_path(source)):
        path = Path(source)
        name = str(file or source)
        return ReadSource(read_yaml(_read_file(path), name, problems), name, folder or path.parent)
    name = None if file is None else str(file)
    if isinstance(source, str):
        return ReadSource(read_yaml(source, name, problems), name, folder)
    if isinstance(source, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
        return ReadSource(tree_of_data(source, name, problems), name, folder)
    text = f"A spec is a path, YAML text or a mapping, not a {type(source).__name__}."
    raise SpecError([Problem("file", Location(name), text)])


def is_path(text: str) -> bool:
    """Whether a text names a file: one line that ends in .yaml, .yml or .json."""
    return "\n" not in text and text.strip().lower().endswith(ENDINGS)


def _read_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(path, f"{path} is not UTF-8 text (byte {error.start}).") from None
    except FileNotFoundError:
        raise _unreadable(path, f"{path} does not exist.{_list_beside(path)}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _unreadable(path, f"{path} cannot be read: {reason}.") from None


def _unreadable(path: Path, text: str) -> SpecError:
    return SpecError([Problem("file", Location(str(path)), text)])


def _list_beside(path: Path) -> str:
    try:
        names = sorted(found.name for found in path.parent.iterdir() if found.name.lower().endswith(ENDINGS))
    except OSError:
        return f" Neither does the folder {path.parent}."
    near = nearest_name(path.name, names)
    hint = f" Did you mean `{near}`?" if near else ""
    more = ", …" if len(names) > 12 else ""
    return f"{hint} Beside it: {', '.join(names[:12])}{more}." if names else hint
