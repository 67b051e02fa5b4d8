"""Names of languages: what catalogues and users call them goes in, BCP 47 codes come out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from lightning_tying.errors import ConfigError
from lightning_tying.spec.nearest import nearest_name

# 26 languages in 9 scripts
_CORE = "en,de,fr,es,pt,it,nl,sv,pl,cs,ru,uk,bg,el,tr,fi,hu,ar,he,fa,hi,zh,ja,ko,vi,id"
CORE_LANGUAGES = tuple(_CORE.split(","))

_CODE = re.compile(r"[A-Za-z]{2,3}([_-][A-Za-z0-9]+)*(\.[\w-]+)?(@\w+)?")
_SCRIPTS = {"latin": "Latn", "cyrillic": "Cyrl", "devanagari": "Deva", "arabic": "Arab"}
_OLD = {"iw": "he", "in": "id", "ji": "yi"}
_CHINESE = {"Hans": "zh", "CN": "zh", "SG": "zh", "Hans-CN": "zh", "TW": "zh-Hant", "Hant-TW": "zh-Hant"}
# the region that goes without saying, where it is not the language's own code in capitals
_HOMES = "en-US,ja-JP,ko-KR,uk-UA,cs-CZ,el-GR,sv-SE,da-DK,he-IL,hi-IN,vi-VN,fa-IR"
_HOME = {home[:2]: home[3:] for home in _HOMES.split(",")}


def is_language_code(name: str) -> bool:
    """Whether a folder or file name could be a language's code, `pt_BR`, `sr@latin`."""
    return bool(_CODE.fullmatch(name))


def to_bcp47(code: str) -> str:
    """The BCP 47 code of a locale name, without what goes without saying.

    `zh_Hans` and `zh_CN` are `zh`, `de_DE` is `de`, `pt_PT` is `pt`; `pt_BR` stays `pt-BR`, `sr@latin` is `sr-Latn`.

    Args:
        code: a name as gettext, Django or BCP 47 write it.
    """
    base, _, modifier = code.partition("@")
    language, *rest = re.split(r"[_-]", base.partition(".")[0])
    language = _OLD.get(language.lower(), language.lower())
    parts = [_subtag(part) for part in rest]
    if modifier:
        parts.append(_SCRIPTS.get(modifier.lower(), modifier.lower()))
    if language == "zh" and "-".join(parts) in _CHINESE:
        return _CHINESE["-".join(parts)]
    if parts == [_HOME.get(language, language.upper())]:
        parts = []
    return "-".join([language, *parts])


def choose_languages(asked: str | Sequence[str], available: Iterable[str], where: str) -> list[str]:
    """The languages that a run uses, in the order in which they were asked for.

    Args:
        asked: "core" (those of `CORE_LANGUAGES` that there are), "all" (sorted), or codes, as a list or with commas.
        available: the BCP 47 codes that there are.
        where: how messages name the source, "the catalogues of django".

    Raises:
        ConfigError: no language is asked for, or one that there is not.
    """
    known = set(available)
    if asked == "all":
        return _not_empty(sorted(known), where)
    if asked == "core":
        return _not_empty([code for code in CORE_LANGUAGES if code in known], where)
    names = asked.split(",") if isinstance(asked, str) else asked
    chosen = list(dict.fromkeys(to_bcp47(name.strip()) for name in names if name.strip()))
    if not chosen:
        raise ConfigError("data.languages is empty; give codes such as [de, fr], or `core`, or `all`.")
    for code in chosen:
        if code not in known:
            raise ConfigError(_unknown_language(code, known, where))
    return chosen


def _subtag(part: str) -> str:
    if len(part) == 4 and part.isalpha():
        return part.title()
    return part.upper() if len(part) == 2 or (len(part) == 3 and part.isdigit()) else part.lower()


def _not_empty(chosen: list[str], where: str) -> list[str]:
    if not chosen:
        raise ConfigError(f"There are no languages in {where}; check data.languages, and the folder or package.")
    return chosen


def _unknown_language(code: str, known: set[str], where: str) -> str:
    nearest = nearest_name(code, sorted(known))
    hint = f" Nearest: {nearest!r}." if nearest else ""
    shown = ", ".join(sorted(known)[:30]) + (", …" if len(known) > 30 else "")
    return f"data.languages: there is no {code!r} in {where}.{hint} There are {len(known)}: {shown}."
