"""What a load with `strict=False` tells of the names that were filled: what torch tells of an aliased module."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lightning_tying import tie, untie

SPECS: dict[str, Any] = {
    "alias": {"share": [{"tie": ["embed.weight", "head.weight"]}]},
    "delta": {"share": ["layers.{l}.up.weight = block + low_rank(2)"]},
    "transposed": {"share": ["layers.0.up.weight = W", "layers.1.up.weight = t(W)"]},
}
COPIES = {"itself": lambda module: module, "deepcopy": copy.deepcopy, "pickle": lambda m: pickle.loads(pickle.dumps(m))}


def fill(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    return module


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(first, second) for first, second in pairs)


@pytest.mark.parametrize("form", list(COPIES))
@pytest.mark.parametrize("name", list(SPECS))
def test_safetensors_loads_a_tied_module_strictly(name: str, form: str, new_tower: Any, tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.torch")
    source, target = new_tower(), new_tower()
    tie(source, SPECS[name])
    tie(target, SPECS[name])
    target = COPIES[form](target)
    library.save_model(fill(source), str(tmp_path / "w.safetensors"))
    missing, unexpected = library.load_model(target, str(tmp_path / "w.safetensors"))
    assert not missing and not unexpected
    assert same(source, target)


def test_safetensors_still_finds_what_is_really_missing(new_tower: Any, tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.torch")
    module = new_tower()
    tie(module, SPECS["alias"])
    library.save_file({"head.weight": torch.ones(12, 8), "strange": torch.ones(1)}, str(tmp_path / "w.safetensors"))
    with pytest.raises(RuntimeError, match=r'Missing key.*"layers\.0\.norm\.bias"') as caught:
        library.load_model(module, str(tmp_path / "w.safetensors"))
    assert 'Unexpected key(s) in state_dict: "strange"' in str(caught.value)
    assert "head.weight" not in str(caught.value) and "embed.weight" not in str(caught.value)


def test_filled_names_are_missing_only_where_the_load_is_not_strict(tower: Any) -> None:
    tie(tower, SPECS["alias"])
    state = tower.state_dict()
    del state["embed.weight"]
    assert tower.load_state_dict(dict(state), strict=False).missing_keys == ["embed.weight"]
    assert tower.load_state_dict(dict(state), False).missing_keys == ["embed.weight"]
    assert tower.load_state_dict(dict(state)).missing_keys == []
    del state["head.weight"]
    assert tower.load_state_dict(dict(state), strict=False).missing_keys == ["embed.weight", "head.weight"]


def test_untie_gives_the_modules_own_method_back(tower: Any) -> None:
    tie(tower, SPECS["alias"])
    untie(tower)
    assert "load_state_dict" not in vars(tower) and "_apply" not in vars(tower)
