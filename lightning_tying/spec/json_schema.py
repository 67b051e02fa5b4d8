"""Nothing in; the JSON Schema of a sharing file out, with descriptions that an editor shows."""

from __future__ import annotations

from typing import Any

from lightning_tying.spec.inits import INIT_KINDS
from lightning_tying.spec.policies import DTYPES
from lightning_tying.spec.presets import PRESETS
from lightning_tying.spec.sync_schema import make_sync_schema

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string", "minLength": 1}
_SCALAR: Schema = {"type": ["string", "number", "boolean"]}
_PATTERN = {
    **_TEXT,
    "maxLength": 500,
    "description": "FQNs of sites, relative to root. {l} takes one segment's characters, {l:int} digits, {m:q|k} one of"
    " these, {name*} whole segments; * and ** take the same and capture nothing.",
    "examples": ["head.weight", "layers.{l}.{name*}", "layers.{l}.attn.{m:q|k}.weight"],
}


def make_schema() -> Schema:
    """The schema of the file, by draft 2020-12 of JSON Schema.

    It checks keys and types, so that an editor can complete and warn; what patterns and values mean is checked
    when the spec is loaded.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Sharing spec",
        "description": "Which sites of a model read which shared parameters. The index decides what is shared: equal"
        " name and equal index are one parameter, in every equation.",
        "type": "object",
        "additionalProperties": False,
        "anyOf": [
            {"required": ["share"], "properties": {"share": {"minItems": 1}}},
            {"required": ["sync"], "properties": {"sync": {"minItems": 1}}},
        ],
        "properties": {
            "version": {"const": 1, "default": 1, "description": "The version of the language."},
            "root": {
                "type": "string",
                "description": "The FQN that all patterns are relative to.",
                "examples": ["network"],
            },
            "let": {
                "type": "object",
                "propertyNames": {"$ref": "#/$defs/name"},
                "additionalProperties": {"$ref": "#/$defs/let_value"},
                "description": "Named numbers, texts, lists and mappings; the only part that a caller may replace.",
            },
            "share": {
                "type": "array",
                "maxItems": 10_000,
                "items": {"$ref": "#/$defs/entry"},
                "description": "Equations, ties and presets. Every site is bound once; the order means nothing.",
            },
            "parameters": {
                "type": "object",
                "additionalProperties": {"$ref": "#/$defs/policy"},
                "description": "Policies, by the name of a shared parameter, of a function, or of one that it brings.",
            },
            "sync": {
                "type": "array",
                "items": {"$ref": "#/$defs/sync"},
                "description": "What is shared in time: averaged, followed or copied, by the callback ParameterSync.",
            },
        },
        "$defs": _make_definitions(),
    }


def _make_definitions() -> Schema:
    return {
        "name": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
        "let_value": {
            "anyOf": [
                {"type": ["number", "string", "boolean"]},
                {"type": "array", "items": {"$ref": "#/$defs/let_value"}},
                {"type": "object", "additionalProperties": {"$ref": "#/$defs/let_value"}},
            ]
        },
        "pattern": _PATTERN,
        "patterns": {
            "anyOf": [
                {"$ref": "#/$defs/pattern"},
                {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/pattern"}},
            ]
        },
        "init": _make_init(),
        "inits": {
            "anyOf": [
                {"$ref": "#/$defs/init"},
                {"type": "object", "additionalProperties": {"$ref": "#/$defs/init"}},
            ]
        },
        "grad": _make_grad(),
        "where": {**_SCALAR, "description": "Keeps the sites for which it holds.", "examples": ["ndim == 2", "l > 0"]},
        "except": {"$ref": "#/$defs/patterns", "description": "Removes the sites that these patterns match."},
        "entry": _make_entry(),
        "policy": _make_policy(),
        "sync": make_sync_schema(),
    }


def _make_init() -> Schema:
    words = "|".join(INIT_KINDS)
    return {
        "type": "string",
        "pattern": rf"^\s*({words})\s*(\(.*\))?\s*$",
        "description": "first: the first site's value; mean: of all sites; stepwise; site(‹FQN›); or drawn.",
        "examples": ["first", "mean", "stepwise", "site(layers.0.norm.weight)", "normal(0.02)", "zeros"],
    }


def _make_grad() -> Schema:
    scale: Schema = {"type": ["string", "number"], "examples": [0.5, "0.9 ** (count(l) - 1 - l)"]}
    return {
        "description": "What this equation's uses add to the gradients of its named shared parameters.",
        "anyOf": [
            {"enum": ["sum", "mean", "owner", "stop"]},
            {"type": "object", "required": ["scale"], "additionalProperties": False, "properties": {"scale": scale}},
        ],
    }


def _make_entry() -> Schema:
    value = {
        "type": ["string", "number"],
        "maxLength": 2000,
        "description": "What every site of the equation reads.",
        "examples": ["W[name, l % K]", "Q[name] + low_rank(min(8, d0, d1))"],
    }
    options: Schema = {key: {"$ref": f"#/$defs/{key}"} for key in ("where", "except", "grad")}
    init: Schema = {"$ref": "#/$defs/inits", "description": "How shared parameters get their values."}
    equation: Schema = {"sites": {"$ref": "#/$defs/patterns"}, "equals": value, **options, "init": init}
    equation["penalty"] = {"type": ["string", "number"], "description": "λ of λ·Σ(site − value)²; nothing is bound."}
    equation["keep"] = {
        "type": "boolean",
        "default": False,
        "description": "Keep a derived value for the backward pass.",
    }
    sites: Schema = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/pattern"}}
    tie: Schema = {
        "tie": {**sites, "description": "All these sites read one shared parameter."},
        "name": {"$ref": "#/$defs/name", "description": "Its name, where others name it too."},
        "except": options["except"],
        "init": init,
        "grad": options["grad"],
    }
    preset: Schema = {"preset": _make_preset(), "where": options["where"], "except": options["except"]}
    line: Schema = {"type": "string", "pattern": "=", "description": "‹pattern› = ‹value›"}
    return {
        "anyOf": [
            line,
            _close(equation, ["sites", "equals"]),
            _close(tie, ["tie"]),
            _close(preset, ["preset"]),
        ]
    }


def _make_preset() -> Schema:
    return {
        "type": "object",
        "required": ["name", "over"],
        "properties": {
            "name": {"enum": list(PRESETS)},
            "over": {"$ref": "#/$defs/pattern"},
            "as": {"$ref": "#/$defs/name"},
        },
        "description": "Stands for the equations that a published scheme has.",
    }


def _make_policy() -> Schema:
    factor: Schema = {"type": "number", "minimum": 0, "default": 1}
    size: Schema = {"type": ["string", "integer"], "minimum": 0}
    properties: Schema = {
        "shape": {"type": "array", "items": size, "description": "Sizes; _ leaves one open, [] is a number."},
        "init": {"$ref": "#/$defs/init"},
        "lr": {**factor, "description": "Times the optimizer's learning rate."},
        "weight_decay": {**factor, "description": "Times the optimizer's weight decay; 0 switches it off."},
        "frozen": {"type": "boolean"},
        "dtype": {"enum": list(DTYPES)},
    }
    return _close(properties, [])


def _close(properties: Schema, required: list[str]) -> Schema:
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties}
