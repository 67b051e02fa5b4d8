"""`build`: a section of a run config in any form becomes a tied module; mistakes become one message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lightning_tying.errors import ConfigError, SpecError
from lightning_tying.tasks import LanguageModeling
from lightning_tying.tasks.build import build


def config(**changes: Any) -> dict[str, Any]:
    network = {
        "class_path": "lightning_tying.models.DecoderLM",
        "init_args": {"vocab_size": 20, "dim": 8, "depth": 1, "heads": 2},
    }
    arguments = {"network": network, "sharing": {"share": [{"tie": ["embed.weight", "head.weight"]}]}, **changes}
    return {"class_path": "lightning_tying.tasks.LanguageModeling", "init_args": arguments}


def test_section_whole_config_text_and_file_build_the_same(tmp_path: Path) -> None:
    whole = {"model": config(), "trainer": {"max_steps": 3}}
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(whole))
    for source in (config(), whole, yaml.safe_dump(config()), yaml.safe_dump(whole), file, str(file)):
        task = build(source)
        assert isinstance(task, LanguageModeling)
        assert task.network.embed.weight is task.network.head.weight


def test_hparams_are_plain_content() -> None:
    task = build(config())
    assert task.hparams["sharing"]["share"]
    assert task.hparams["network"]["init_args"]["dim"] == 8
    yaml.safe_dump(dict(task.hparams))


def test_a_sharing_path_is_relative_to_the_configs_file(tmp_path: Path) -> None:
    (tmp_path / "sharing").mkdir()
    (tmp_path / "train").mkdir()
    (tmp_path / "sharing" / "s.yaml").write_text("version: 1\nshare:\n  - tie: [embed.weight, head.weight]\n")
    file = tmp_path / "train" / "run.yaml"
    file.write_text(yaml.safe_dump({"model": config(sharing="../sharing/s.yaml")}))
    task = build(file)
    assert task.network.embed.weight is task.network.head.weight


def test_the_datas_vocabulary_size_reaches_the_network() -> None:
    section = config()
    del section["init_args"]["network"]["init_args"]["vocab_size"]
    data = {"class_path": "lightning_tying.data.Catalogs", "init_args": {"vocabulary_size": 33}}
    assert build({"model": section, "data": data}).network.embed.weight.shape[0] == 33


def test_the_default_of_the_datas_vocabulary_size_reaches_the_network() -> None:
    section = config()
    del section["init_args"]["network"]["init_args"]["vocab_size"]
    data = {"class_path": "lightning_tying.data.Catalogs"}
    assert build({"model": section, "data": data}).network.embed.weight.shape[0] == 8000


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Set `a.b.c` below `init_args` to a value; None removes the key."""

    def carry_out(section: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        place = section["init_args"]
        for name in parents:
            place = place[name]
        place.update({last: value}) if value is not None else place.pop(last)

    return carry_out


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (change("network.init_args.dimm", 3), r"`dimm` is no argument of .*DecoderLM\. Did you mean `dim`\?"),
        (change("shareing", "a.yaml"), "`shareing` is no argument of .*Did you mean `sharing`"),
        (
            change("network.class_path", "lightning_tying.models.DecodrLM"),
            "has no class `DecodrLM`. Did you mean `DecoderLM`",
        ),
        (change("network.class_path", "no_such_package.Net"), "there is no module `no_such_package`"),
        (change("network.init_args.dim", "wide"), "dim.*a whole number, not wide"),
        (change("network.init_args.heads", 3), "DecoderLM: `dim` is 8"),
        (change("network.init_args.vocab_size", None), "needs a value for `vocab_size`"),
        (change("optimizer", {"class_path": "AdamV"}), "no class `AdamV`"),
        (change("sharing", "no.yaml"), r"no\.yaml does not exist"),
    ],
)
def test_mistakes_are_one_line(break_it: Callable[[dict[str, Any]], None], message: str) -> None:
    section = config()
    break_it(section)
    with pytest.raises(ConfigError, match=message) as caught:
        build(section)
    assert "\n" not in str(caught.value)


def test_a_wrong_spec_is_a_spec_error(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="matches no site"):
        build(config(sharing={"share": ["embd.weight = E"]}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: [1", "<text>:1: This is not YAML"),
        ("- a", "A config is a mapping"),
        ("", "this one is empty"),
        ("trainer: {}", "has no `model`"),
        ("gone.yaml", "does not exist"),
    ],
)
def test_what_is_no_config_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(text)


@pytest.mark.parametrize("config", [None, 3, [1], "a\0.yaml", Path("nowhere") / "run.yaml"])
def test_an_object_that_is_no_config_is_refused(config: Any) -> None:
    with pytest.raises(ConfigError):
        build(config)
