"""The schema that editors use says the same as the loader about keys and types."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from lightning_tying.spec import load_spec, make_schema, spec_to_data

ROOT = Path(__file__).parents[3]
SPECS = [
    "share: [{tie: [embed.weight, head.weight], name: E, grad: mean, init: mean}]",
    'let: {K: 3, order: [0, 1], of: {de: 0}}\nshare: ["layers.{l}.{name*} = block[name, order[l]]"]',
    'share:\n  - sites: ["rnn.{p}_l{l:int}", "rnn.{p}_l{l:int}_reverse"]\n    equals: cell[p, min(l, 1)]',
    'share:\n  - {sites: "**.weight", equals: "scale(hashed(pool, chunk=32))", where: ndim == 2,'
    " init: {pool: normal(1.0), scale: match}}\nparameters:\n  pool: {shape: [5000]}\n  scale: {frozen: true}",
    "share:\n  - {sites: b.weight, equals: A, penalty: 0.01}\n  - a.weight = A\n"
    "parameters: {A: {lr: 0.5, dtype: float32}}",
    'root: network\nversion: 1\nshare: [{preset: {name: albert, over: "l.{l}.{name*}", as: enc}, where: ndim == 2}]',
    "share: [{sites: a.weight, equals: E, grad: {scale: 5.0}, keep: true}]",
    'sync:\n  - {sync: "m.{i}.{n*}", how: average, every: 10, over: i, weights: [[1, 0], [0.5, 0.5]], moments: reset}\n'
    '  - {sync: "**", how: average, every: epoch, over: ranks, weights: samples}\n'
    '  - {sync: "t.{n*}", how: ema, from: "s.{n*}", decay: 0.9}\n  - {sync: a.weight, how: lookahead, every: 5}\n'
    '  - {sync: ["t.{n*}", u.weight], how: copy, file: x.ckpt, then: freeze, except: t.b}',
    "share: [{sites: a.weight, equals: W, init: \"svd_joint(whiten='c.safetensors')\", except: [b, c]}]",
]
WRONG = [
    "shares: []",
    "share: []",
    "share: [{sites: a.weight, equals: W, excepts: b}]",
    "share: [{tie: [a.weight, b.weight], init: avg}]",
    "share: [{sites: 0.1, equals: W}]",
    "share: [a.weight = W]\nparameters: {W: {lr: -1}}",
    "version: 2\nshare: [a.weight = W]",
    "sync: []",
    "sync: [{sync: 'm.{i}.w', how: average, every: 0}]",
    "sync: [{sync: 'm.{i}.w', how: ema, weights: uniform}]",
]


def test_shipped_file_is_the_generated_one():
    shipped = (ROOT / "configs" / "sharing.schema.json").read_text(encoding="utf-8")
    assert json.loads(shipped) == make_schema()


def test_schema_is_valid():
    jsonschema.Draft202012Validator.check_schema(make_schema())


@pytest.mark.parametrize("text", SPECS)
def test_specs_validate_as_written_and_as_dumped(text):
    validator = jsonschema.Draft202012Validator(make_schema())
    spec = load_spec(text)
    for content in (yaml.safe_load(text), spec_to_data(spec), yaml.safe_load(spec.dump())):
        validator.validate(content)


@pytest.mark.parametrize("text", WRONG)
def test_wrong_specs_do_not_validate(text):
    assert not jsonschema.Draft202012Validator(make_schema()).is_valid(yaml.safe_load(text))
