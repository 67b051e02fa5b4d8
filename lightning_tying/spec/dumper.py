"""A spec in; its canonical form out, as YAML text or as plain content that reads back as an equal spec."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from lightning_tying.spec.nodes import (
    Entry,
    Equation,
    Grad,
    Init,
    LetValue,
    PlainData,
    Policy,
    Preset,
    SpecContent,
    Tie,
)
from lightning_tying.spec.patterns import Pattern
from lightning_tying.spec.scalars import Scalar
from lightning_tying.spec.sync_data import sync_to_data
from lightning_tying.spec.yaml_text import quote_yaml, write_flow

_NUMERAL = re.compile(r"-?[0-9]+|-?[0-9]+\.[0-9]+(e[-+]?[0-9]+)?|-?[0-9]+e[-+]?[0-9]+")
Content = dict[str, PlainData]


def spec_to_data(spec: SpecContent) -> Content:
    """The canonical form as plain content, for hyperparameters and checkpoints; `load_spec` reads it back."""
    data: Content = {"version": spec.version}
    if spec.root:
        data["root"] = spec.root
    if spec.let:
        data["let"] = {name: _copy(value) for name, value in spec.let.items()}
    data["share"] = [_entry_to_data(entry) for entry in spec.entries]
    if spec.parameters:
        data["parameters"] = {name: _policy_to_data(policy) for name, policy in spec.parameters.items()}
    if spec.syncs:
        data["sync"] = [sync_to_data(sync) for sync in spec.syncs]
    return data


def dump_spec(spec: SpecContent) -> str:
    """The canonical form as YAML text, by section 11 of the language reference; comments are lost."""
    return "".join(f"{line}\n" for line in _write_lines(spec_to_data(spec)))


def _write_lines(data: Content) -> Iterator[str]:
    for key in ("version", "root", "let"):
        if key in data:
            yield f"{key}: {write_flow(data[key])}"
    parameters = data.get("parameters", {})
    yield "share:" if data["share"] else "share: []"
    yield from _write_entries(data["share"])
    if isinstance(parameters, dict) and parameters:
        yield "parameters:"
        yield from (f"  {quote_yaml(name)}: {write_flow(policy)}" for name, policy in parameters.items())
    if "sync" in data:
        yield "sync:"
        yield from _write_entries(data["sync"])


def _write_entries(entries: PlainData) -> Iterator[str]:
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict):
            for number, (key, value) in enumerate(entry.items()):
                yield f"  {'  ' if number else '- '}{key}: {write_flow(value)}"


def _entry_to_data(entry: Entry) -> Content:
    if isinstance(entry, Preset):
        return _preset_to_data(entry)
    data: Content = {"sites": _patterns_to_data(entry.sites)} if isinstance(entry, Equation) else {}
    if isinstance(entry, Tie):
        data["tie"] = [pattern.text for pattern in entry.sites]
        if entry.name is not None:
            data["name"] = entry.name
    else:
        data["equals"] = entry.value.text
        if entry.where is not None:
            data["where"] = _scalar_to_data(entry.where)
    if entry.excluded:
        data["except"] = _patterns_to_data(entry.excluded)
    if entry.init:
        data["init"] = _init_to_data(entry.init)
    if entry.grad.kind != "sum":
        data["grad"] = _grad_to_data(entry.grad)
    if isinstance(entry, Equation) and entry.penalty is not None:
        data["penalty"] = _scalar_to_data(entry.penalty)
    if isinstance(entry, Equation) and entry.keep:
        data["keep"] = True
    return data


def _preset_to_data(preset: Preset) -> Content:
    data: Content = {"preset": {name: _copy(value) for name, value in preset.arguments.items()}}
    if preset.where is not None:
        data["where"] = _scalar_to_data(preset.where)
    if preset.excluded:
        data["except"] = _patterns_to_data(preset.excluded)
    return data


def _policy_to_data(policy: Policy) -> Content:
    data: Content = {}
    if policy.shape is not None:
        data["shape"] = ["_" if size is None else _scalar_to_data(size) for size in policy.shape]
    if policy.init is not None:
        data["init"] = str(policy.init)
    for key, factor in (("lr", policy.lr), ("weight_decay", policy.weight_decay)):
        if factor != 1:
            data[key] = int(factor) if factor.is_integer() and factor < 1e15 else factor
    if policy.frozen is not None:
        data["frozen"] = policy.frozen
    if policy.dtype is not None:
        data["dtype"] = policy.dtype
    return data


def _patterns_to_data(patterns: Sequence[Pattern]) -> PlainData:
    return patterns[0].text if len(patterns) == 1 else [pattern.text for pattern in patterns]


def _init_to_data(init: Mapping[str, Init]) -> PlainData:
    return str(init[""]) if set(init) == {""} else {name: str(one) for name, one in init.items()}


def _grad_to_data(grad: Grad) -> PlainData:
    return grad.kind if grad.scale is None else {"scale": _scalar_to_data(grad.scale)}


def _scalar_to_data(scalar: Scalar) -> PlainData:
    """A numeral as the number that it is, all else as text."""
    if _NUMERAL.fullmatch(scalar.text) is None:
        return scalar.text
    return float(scalar.text) if "." in scalar.text or "e" in scalar.text else int(scalar.text)


def _copy(value: PlainData | LetValue) -> PlainData:
    if isinstance(value, dict):
        return {name: _copy(part) for name, part in value.items()}
    return [_copy(part) for part in value] if isinstance(value, list) else value
