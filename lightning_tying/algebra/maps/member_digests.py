"""A row-map file and a member in; the digest of the member's tokenizer out, from the JSON beside the file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from lightning_tying.spec.mistakes import Mistake


def read_member_digest(name: str, file: Path, member: str, place: str) -> str:
    """The SHA-256 of the tokenizer whose ids the member numbers.

    Args:
        name: of the row-map file, as the spec has it.
        file: where it is; `rows.json` stands beside `rows.safetensors`.
        member: of the file.
        place: for messages, with a blank before it.

    Returns:
        The digest; empty where no JSON stands beside the file, or it does not say.

    Raises:
        Mistake: 76, what stands beside the file is not such a JSON.
    """
    beside = file.with_suffix(".json")
    try:
        written: object = json.loads(beside.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, RecursionError):
        raise Mistake("76", f"{beside.name}, beside {name}, cannot be read{place}: it is not JSON.") from None
    digests = cast("Mapping[str, object]", written).get("digests") if isinstance(written, dict) else None
    if digests is None:
        return ""
    if not isinstance(digests, dict):
        text = f"{beside.name}, beside {name}, is not a row map's{place}: its digests are not a mapping."
        raise Mistake("76", text)
    return str(cast("Mapping[str, object]", digests).get(member, ""))
