"""Where a task's sharing comes from: a path, text, a mapping or a spec goes in, a `SharingSpec` or its error comes out.

jsonargparse reads a run config inside the folder of that config, so a path in it is resolved there; the content
is read at that moment, which is why a saved config or checkpoint holds the content and never a path. So it is with
the maps that the spec names: they follow it under `maps`.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias, Union, cast

from jsonargparse.typing import (
    register_type,  # pyright: ignore[reportUnknownVariableType]  # typed in part
)

from lightning_tying.algebra.expression import FileMap
from lightning_tying.errors import ConfigError, TyingError
from lightning_tying.spec.dumper import spec_to_data
from lightning_tying.spec.nodes import LetValue
from lightning_tying.spec.schema import SharingSpec
from lightning_tying.tasks.kept_maps import MAPS_KEY, read_maps, write_maps

PATH_ENDINGS = (".yaml", ".yml", ".json")
_started_in: ContextVar[Path | None] = ContextVar("started_in", default=None)


@dataclass(frozen=True)
class SharingSource:
    """What a config says under `sharing`, read where it stands.

    A mistake is kept: raised here, the parser would bury it under lines about unions. Those of the spec are in its
    draft, and tying tells them together with those that only the network shows.

    Args:
        written: what was given, for messages and for saving a config that is wrong.
        spec: the draft that was read; None when the file cannot be found.
        error: why not.
        maps: the content of map files, by path, where a saved config or hparams brought it along; else None.
    """

    written: Any
    spec: SharingSpec | None = field(default=None)
    error: TyingError | None = field(default=None, compare=False)
    maps: Mapping[str, FileMap] | None = field(default=None)

    def resolve(self) -> SharingSpec:
        """Return the draft of the spec.

        Raises:
            ConfigError: the file cannot be found.
            SpecError: it cannot be read.
        """
        if self.error is not None:
            raise self.error
        return cast(SharingSpec, self.spec)

    def with_let(self, let: Mapping[str, LetValue]) -> SharingSource:
        """Put values in the place of those of the spec's `let`; an unknown name becomes a mistake of the draft."""
        return self if self.spec is None else replace(self, spec=SharingSpec.draft(self.spec, let=let))

    def with_maps(self, maps: Mapping[str, FileMap]) -> SharingSource:
        """The same with the content of its maps, for a config that is saved elsewhere."""
        return replace(self, maps=dict(maps))


Sharing: TypeAlias = Union[SharingSource, dict[str, Any], str, Path]


def read_sharing(sharing: Sharing | SharingSpec) -> SharingSpec:
    """Read a draft of a spec, which keeps its mistakes, from any form in which a task takes it.

    Paths of maps are relative to the spec's file, else to the folder of now: a parser enters that of a run config.

    Args:
        sharing: a one-line text that ends in .yaml, .yml or .json, or a `Path`, is a file; any other text is YAML;
            a mapping is the spec itself.

    Raises:
        ConfigError: the file cannot be found, or this is no sharing.
        SpecError: the file cannot be read.
    """
    if isinstance(sharing, SharingSource):
        return sharing.resolve()
    if isinstance(sharing, SharingSpec):
        return sharing
    if isinstance(sharing, Path) or (isinstance(sharing, str) and is_path(sharing)):
        return _read_file(Path(sharing))
    if isinstance(sharing, str):
        _refuse_bare_word(sharing)
        return replace(SharingSpec.draft(sharing), folder=Path.cwd())
    if isinstance(sharing, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
        return replace(SharingSpec.draft(dict(cast("Mapping[str, Any]", sharing))), folder=Path.cwd())
    raise ConfigError(f"`sharing` is a path, YAML text or a mapping, not an object of type {type(sharing).__name__}.")


def is_path(sharing: object) -> bool:
    """Whether a text names a file: one line that ends in .yaml, .yml or .json."""
    if isinstance(sharing, Path):
        return True
    return isinstance(sharing, str) and "\n" not in sharing and sharing.strip().lower().endswith(PATH_ENDINGS)


@contextmanager
def started_here() -> Generator[None]:
    """Let messages name files from the working directory of now, though a parser enters a config's folder."""
    token = _started_in.set(Path.cwd())
    try:
        yield
    finally:
        _started_in.reset(token)


def _refuse_bare_word(text: str) -> None:
    if text.strip() and not any(sign in text for sign in "\n:{"):
        kind = "a folder" if Path(text).is_dir() else "neither a spec nor the path of one"
        raise ConfigError(f"`sharing`: {text.strip()} is {kind}. The path of a spec ends in .yaml, .yml or .json.")


def _shown(path: Path) -> Path:
    """How messages name a file: from where the program was started."""
    start = _started_in.get()
    if start is None or start == Path.cwd():
        return path
    whole = Path(os.path.abspath(path))
    return whole.relative_to(start) if whole.is_relative_to(start) else whole


def _read_file(path: Path) -> SharingSpec:
    if not path.is_file():
        beside = sorted(found.name for found in path.parent.glob("*.y*ml"))[:12] if path.parent.is_dir() else []
        hint = f" Beside it: {', '.join(beside)}." if beside else ""
        raise ConfigError(
            f"The sharing file {_shown(path)} does not exist (looked for in {path.parent.resolve()}).{hint} "
            "A path in a run config is relative to that config, on the command line to the working directory."
        )
    return replace(SharingSpec.draft(path, file=_shown(path)), folder=path.parent.resolve())


def _deserialize(written: object) -> SharingSource:
    if isinstance(written, SharingSpec):
        return SharingSource(written, spec=written)
    if not isinstance(written, str | dict | Path):
        raise ValueError("a path, YAML text or a mapping is expected")
    try:
        content, maps = split_maps(cast("object", written))
        return SharingSource(written, spec=read_sharing(cast(Sharing, content)), maps=maps)
    except TyingError as error:
        return SharingSource(written, error=error)


def split_maps(sharing: object) -> tuple[object, Mapping[str, FileMap] | None]:
    """A spec as it is written, and the maps that a saved config or a checkpoint's hparams hold beside its keys.

    None where they hold none: then this is what a user wrote.

    Raises:
        ConfigError: the maps are damaged.
    """
    if isinstance(sharing, SharingSource):
        return sharing, sharing.maps
    if not isinstance(sharing, Mapping) or MAPS_KEY not in sharing:
        return cast("object", sharing), None
    content = cast("Mapping[str, Any]", sharing)
    return {key: value for key, value in content.items() if key != MAPS_KEY}, read_maps(content[MAPS_KEY])


def _serialize(source: SharingSource) -> Any:
    if source.spec is None or source.spec.problems:
        return source.written
    content = dict(spec_to_data(source.spec))
    return {**content, MAPS_KEY: write_maps(source.maps)} if source.maps else content


register_type(SharingSource, serializer=_serialize, deserializer=_deserialize, fail_already_registered=False)
