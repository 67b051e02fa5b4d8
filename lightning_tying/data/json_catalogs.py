"""Reading of JSON catalogues: a folder goes in, the messages of each language by message id come out.

They are what programs with a front end in JavaScript ship: one object for each language, message id → text, nested or
not, as in the packages kolibri and home-assistant-frontend.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, final

from lightning_tying.data.corpus import CONTEXT_END
from lightning_tying.data.languages import is_language_code, to_bcp47
from lightning_tying.data.walk import walk
from lightning_tying.errors import ConfigError

_FINGERPRINT = re.compile(r"-[0-9a-f]{32}$")  # that bundlers put behind a file's name
_FOLDERS = {"locale", "locales", "translations", "i18n", "lang", "langs"}
_PSEUDO = {"ach-UG"}  # Crowdin's language for translation on the page: no text


@final
@dataclass(frozen=True)
class JsonCatalog:
    """One JSON catalogue of one language; equal domains hold the same message ids."""

    language: str
    domain: str
    path: Path


def find_json_catalogs(folder: Path) -> list[JsonCatalog]:
    """All JSON catalogues below a folder, sorted.

    `{code}/LC_MESSAGES/{domain}.json`, `{domain}/{code}-{fingerprint}.json`, and `{code}.json` in a folder that is
    called locale, locales, translations, i18n or lang.

    Raises:
        ConfigError: the folder cannot be read.
    """
    found = [catalog for path in walk(folder) if path.suffix == ".json" and (catalog := _catalog(path)) is not None]
    return sorted(found, key=lambda catalog: (catalog.language, catalog.domain, str(catalog.path)))


def read_json_messages(catalogs: Iterable[JsonCatalog], languages: Iterable[str]) -> dict[str, dict[str, str]]:
    """The messages of the languages by key, without empty ones and untranslated copies of the English.

    The key is the domain and id, then the English text where there is one, so that equal English texts fall into one
    split.

    Args:
        catalogs: the catalogues of a package.
        languages: the BCP 47 codes to read.

    Raises:
        ConfigError: a file cannot be read, or is no object of texts.
    """
    by_language: dict[str, list[JsonCatalog]] = {}
    for catalog in catalogs:
        by_language.setdefault(catalog.language, []).append(catalog)
    english = _read(by_language.get("en", []))
    messages: dict[str, dict[str, str]] = {}
    for language in languages:
        texts = english if language == "en" else _read(by_language.get(language, []))
        messages[language] = {
            f"{name}{CONTEXT_END}{english[name]}" if name in english else name: text
            for name, text in sorted(texts.items())
            if language == "en" or text.strip() != english.get(name, "").strip()
        }
    return messages


def _catalog(path: Path) -> JsonCatalog | None:
    plain, marked = _FINGERPRINT.subn("", path.stem)
    if path.parent.name == "LC_MESSAGES":
        code, domain = path.parent.parent.name, path.stem
    elif marked or path.parent.name in _FOLDERS:
        code, domain = plain, path.parent.name
    else:
        return None
    language = to_bcp47(code) if is_language_code(code) else None
    return None if language is None or language in _PSEUDO else JsonCatalog(language, domain, path)


def _read(catalogs: Iterable[JsonCatalog]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for catalog in catalogs:
        for name, text in _flatten(_read_object(catalog.path)):
            if text.strip():
                texts.setdefault(f"{catalog.domain}.{name}", text)
    return texts


def _read_object(path: Path) -> Mapping[str, Any]:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"data: the catalogue {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # no UTF-8, or no JSON
        raise ConfigError(f"data: the catalogue {path} is no JSON in UTF-8: {error}.") from error
    except RecursionError as error:
        raise ConfigError(f"data: the catalogue {path} nests too deep.") from error
    if not isinstance(content, dict):
        raise ConfigError(f"data: the catalogue {path} must be an object, message id → text.")
    return cast("dict[str, Any]", content)


def _flatten(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in content.items():
        if isinstance(value, str):
            yield prefix + name, value
        elif isinstance(value, dict):
            yield from _flatten(cast("dict[str, Any]", value), f"{prefix}{name}.")
