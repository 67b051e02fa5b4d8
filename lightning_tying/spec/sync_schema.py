"""Nothing in; the JSON Schema of an entry of `sync` out, with descriptions that an editor shows."""

from __future__ import annotations

from typing import Any

from lightning_tying.spec.syncs import HOWS, MOMENTS, OPTIONS, THENS

Schema = dict[str, Any]

_NUMBERS: Schema = {"type": "array", "minItems": 1, "items": {"type": "number", "minimum": 0}}
_PART: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_EVERY: Schema = {"anyOf": [{"type": "integer", "minimum": 1}, {"const": "epoch"}]}
_WEIGHTS: Schema = {
    "description": "Of the members: one word, a number for each, or a mixing matrix with a row for each.",
    "anyOf": [
        {"enum": ["uniform", "samples"]},
        {"type": "object", "minProperties": 1, "additionalProperties": {"type": "number", "minimum": 0}},
        _NUMBERS,
        {"type": "array", "minItems": 1, "items": _NUMBERS},
    ],
}


def make_sync_schema() -> Schema:
    """An object for each `how`, with the options that go with it."""
    properties: Schema = {
        "sync": {"$ref": "#/$defs/patterns", "description": "The sites that are changed."},
        "every": {**_EVERY, "description": "Optimizer steps between two rounds, or epoch."},
        "over": {"type": "string", "description": "The hole whose values are the members, or ranks."},
        "weights": _WEIGHTS,
        "from": {"$ref": "#/$defs/pattern", "description": "What is followed or copied, with holes of the sites."},
        "file": {"type": "string", "description": "The checkpoint that has the sources."},
        "decay": {**_PART, "default": 0.999},
        "rate": {**_PART, "default": 0.5},
        "then": {"enum": list(THENS), "description": "What follows the copy."},
        "except": {"$ref": "#/$defs/except"},
    }
    return {"anyOf": [_make_kind(how, OPTIONS[how], properties) for how in HOWS]}


def _make_kind(how: str, options: tuple[str, ...], properties: Schema) -> Schema:
    moments = MOMENTS if how == "average" else [word for word in MOMENTS if word != "average"]
    own: Schema = {"how": {"const": how}, "moments": {"enum": list(moments), "default": "keep"}}
    known = {**properties, **own}
    needed = ["sync", "how", *(["every"] if how in ("average", "lookahead") else [])]
    kind: Schema = {"type": "object", "required": needed, "additionalProperties": False}
    return {**kind, "properties": {option: known[option] for option in options}}
