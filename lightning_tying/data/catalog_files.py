"""Reading of gettext catalogues: a folder goes in, the messages of each language by message id come out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, final

from lightning_tying.data.corpus import CONTEXT_END
from lightning_tying.data.languages import is_language_code, to_bcp47
from lightning_tying.data.walk import walk
from lightning_tying.errors import ConfigError

INSTALL = "pip install 'lightning-tying[examples]'"
_LARGE = {"kolibri": "kolibri", "hass_frontend": "home-assistant-frontend==20250109.2"}  # module → requirement
_MODULES = {"home-assistant-frontend": "hass_frontend"}


@final
@dataclass(frozen=True)
class Catalog:
    """One catalogue of one language: its compiled file, its source, or both."""

    language: str
    compiled: Path | None
    source: Path | None


@final
@dataclass(frozen=True)
class Entry:
    """A message: its key (context and id), its id and the plural's id, its translation or ""."""

    key: str
    message: str
    plural: str
    translation: str


def find_package(name: str) -> Path:
    """The folder of an installed package, which is not imported.

    Args:
        name: a package, as one imports it; `home-assistant-frontend` may be called so.

    Raises:
        ConfigError: no such package is installed.
    """
    name = _MODULES.get(name, name)
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"data.package: the package {name!r} is not installed. {_how_to_get(name)}")
    return Path(next(iter(spec.submodule_search_locations)))


def _how_to_get(name: str) -> str:
    if name in _LARGE:
        return f"It is large, needs nothing else to be read, and comes with: pip install --no-deps {_LARGE[name]}"
    return f"The package of the examples (django) comes with {INSTALL}; data.folder takes any folder of catalogues."


def find_catalogs(folder: Path) -> list[Catalog]:
    """All catalogues below a folder, sorted: `…/{code}/LC_MESSAGES/{domain}.mo|.po` and `{code}.mo|.po`.

    Raises:
        ConfigError: the folder cannot be read, or holds no catalogue.
    """
    compiled: dict[tuple[str, Path], Path] = {}
    source: dict[tuple[str, Path], Path] = {}
    for path in walk(folder):
        code = path.parent.parent.name if path.parent.name == "LC_MESSAGES" else path.stem
        if path.suffix in {".mo", ".po"} and is_language_code(code):
            (compiled if path.suffix == ".mo" else source)[code, path.with_suffix("")] = path
    if not compiled and not source:
        raise ConfigError(
            f"data: there are no catalogues (.mo, .po) below {folder}; "
            "expected are CODE/LC_MESSAGES/DOMAIN.mo or CODE.po, as gettext lays them."
        )
    names = sorted({*compiled, *source}, key=lambda name: (name[0], str(name[1])))
    return [Catalog(to_bcp47(name[0]), compiled.get(name), source.get(name)) for name in names]


def read_entries(catalog: Catalog) -> list[Entry]:
    """The messages of one catalogue, of the source file where the compiled one is missing or empty.

    Fuzzy and obsolete entries are left out, of plurals the first form is taken.

    Raises:
        ConfigError: a file cannot be read.
    """
    entries = list(_entries(catalog.compiled, "mofile")) if catalog.compiled else []
    if not entries and catalog.source:
        entries = list(_entries(catalog.source, "pofile"))
    return entries


def read_messages(catalogs: Iterable[Catalog], languages: Iterable[str]) -> dict[str, dict[str, str]]:
    """The messages of the languages by key, without empty ones and untranslated copies of the English.

    English is the message id (or its own translation, where it has one); where there is no English catalogue, it is
    the ids of all others.

    Args:
        catalogs: the catalogues of a package.
        languages: the BCP 47 codes to read, English only if among them.

    Raises:
        ConfigError: a file cannot be read.
    """
    wanted = list(languages)
    catalogs = list(catalogs)
    ids_of_all = "en" in wanted and all(catalog.language != "en" for catalog in catalogs)
    found: dict[str, dict[str, Entry]] = {language: {} for language in wanted}
    for catalog in catalogs:
        if ids_of_all or catalog.language in found:
            for entry in read_entries(catalog):
                found.setdefault("en" if ids_of_all else catalog.language, {}).setdefault(entry.key, entry)
                found.setdefault(catalog.language, {}).setdefault(entry.key, entry)
    return {language: _texts(language, found[language], own=not ids_of_all) for language in wanted}


def _texts(language: str, entries: dict[str, Entry], own: bool) -> dict[str, str]:
    if language != "en":
        return {key: entry.translation for key, entry in sorted(entries.items()) if _is_translated(entry)}
    texts = {key: _english(entry, own) for key, entry in sorted(entries.items())}
    return {key: text for key, text in texts.items() if text.strip()}


def _english(entry: Entry, own: bool) -> str:
    """The id itself, unless an English catalogue says it better; another language's entry only lends its id."""
    return entry.translation if own and entry.translation.strip() else entry.message


def _is_translated(entry: Entry) -> bool:
    text = entry.translation.strip()
    return bool(text) and text not in {entry.message.strip(), entry.plural.strip()}


def _entries(path: Path, reader: str) -> Iterator[Entry]:
    polib = _import_polib()
    try:
        # polib takes a path that does not exist for the content of a catalogue
        parsed: Any = getattr(polib, reader)(str(path.resolve(strict=True)))
    except Exception as error:  # polib lets OSError, ValueError, UnicodeDecodeError and struct.error out
        raise ConfigError(f"data: the catalogue {path} cannot be read: {error}.") from error
    for entry in parsed:
        if entry.obsolete or "fuzzy" in entry.flags or not entry.msgid:
            continue
        key = f"{entry.msgctxt}{CONTEXT_END}{entry.msgid}" if entry.msgctxt else entry.msgid
        plurals: dict[int, str] = entry.msgstr_plural or {}
        yield Entry(key, entry.msgid, entry.msgid_plural or "", entry.msgstr or plurals.get(0, ""))


def _import_polib() -> Any:
    try:
        import polib  # an optional package
    except ImportError as error:
        raise ConfigError(f"Catalogues are read with the package polib, which is not installed: {INSTALL}") from error
    return polib
