"""The config of `vocab train`: YAML and overriding words go in, checked values or all mistakes at once come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar, final

from lightning_tying.commands.vocabulary.train_keys import KEYS, SECTIONS, SOURCES, read_value
from lightning_tying.errors import ConfigError, Location, Problem
from lightning_tying.spec.nearest import suggest
from lightning_tying.spec.tree import Field, Fields, Tree, kind_of
from lightning_tying.spec.yaml_reader import read_yaml
from lightning_tying.vocab.sampling import Sampling
from lightning_tying.vocab.training.request import ParityOptions

T = TypeVar("T")
MADE = "made"  # what a resolved config says about how it came to be; not read


@final
@dataclass(frozen=True)
class TrainConfig:
    """What a config of `vocab train` says.

    Args:
        source: which key of `corpus` was given, and its value.
        mask_placeholders: whether `%(name)s` and its kin are masked.
        languages: "core", "all", or codes.
        strategy: how the vocabulary is learned.
        size: rows; of "per_language" those of each vocabulary.
        pretokenizer: the preset; None for the strategy's own.
        sampling: the share of each language.
        parity: options of "parity".
        clusters: of "clustered".
        members: of "per_language": "joint" or "unigram".
        policy: of "per_language": which rows are shared.
    """

    source: tuple[str, str]
    mask_placeholders: bool
    languages: list[str] | str
    strategy: str
    size: int
    pretokenizer: str | None
    sampling: Sampling
    parity: ParityOptions
    clusters: int | None
    members: str
    policy: str

    def to_data(self) -> dict[str, Any]:
        """The whole config as plain data, defaults included; a config that says so is the same config."""
        parity, sampling = asdict(self.parity), asdict(self.sampling)
        return {
            "corpus": {self.source[0]: self.source[1], "mask_placeholders": self.mask_placeholders},
            "languages": self.languages,
            "strategy": self.strategy,
            "size": self.size,
            "pretokenizer": self.pretokenizer,
            "sampling": {name: value for name, value in sampling.items() if value is not None},
            "parity": {name: value for name, value in parity.items() if value is not None},
            "clusters": self.clusters,
            "per_language": {"kind": self.members, "policy": self.policy},
        }


def read_config(path: Path, overrides: Mapping[str, str]) -> TrainConfig:
    """Read a config.

    Args:
        path: of the YAML file; relative paths in it are relative to its folder.
        overrides: dotted key → YAML text, which goes before the file's value.

    Raises:
        ConfigError: the file cannot be read, or with every mistake in it.
        SpecError: the file is no YAML.
    """
    problems: list[Problem] = []
    found: dict[str, Tree] = {}
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    _flatten(read_yaml(text, str(path), problems), "", found, problems)
    for name, value in overrides.items():
        _flatten(_wrap(name, read_yaml(value, f"--{name}", problems)), "", found, problems)
    values = {name: value for name, tree in found.items() if (value := read_value(name, tree, problems)) is not None}
    _check_source(values, Location(str(path), 1), problems)
    config = _make(values, path, found, problems)
    if problems:
        raise ConfigError("\n".join(str(problem) for problem in dict.fromkeys(problems)))
    return config


def _wrap(name: str, tree: Tree) -> Tree:
    head, _, rest = name.partition(".")
    below = _wrap(rest, tree) if rest else tree
    return Fields((Field(head, below, tree.location),), tree.location)


def _flatten(tree: Tree, prefix: str, found: dict[str, Tree], problems: list[Problem]) -> None:
    """The values by dotted key; keys that are none are problems."""
    if not isinstance(tree, Fields):
        where = prefix.rstrip(".") or "A config"
        problems.append(Problem("config", tree.location, f"{where} is a mapping of keys, and this is {kind_of(tree)}."))
        return
    for field in tree.fields:
        name = prefix + field.key
        if name == MADE:
            continue
        if name in SECTIONS:
            _flatten(field.value, f"{name}.", found, problems)
        elif name in KEYS:
            found[name] = field.value
        else:
            level = [key.removeprefix(prefix).partition(".")[0] for key in KEYS if key.startswith(prefix)]
            known = ", ".join(dict.fromkeys(level))
            said = f"There is no key `{name}`.{suggest(field.key, level)} Keys here: {known}."
            problems.append(Problem("config", field.location, said))


def _check_source(values: Mapping[str, object], place: Location, problems: list[Problem]) -> None:
    given = [name for name in SOURCES if f"corpus.{name}" in values]
    if len(given) > 1:
        said = f"`corpus` has {' and '.join(given)}; the texts come from one of {', '.join(SOURCES)}."
        problems.append(Problem("config", place, said))


def _make(values: Mapping[str, Any], path: Path, found: Mapping[str, Tree], problems: list[Problem]) -> TrainConfig:
    def value(name: str) -> Any:
        return values.get(name, KEYS[name].default)

    sampling = _make_section(Sampling, "sampling", values, found, problems)
    parity = _make_section(ParityOptions, "parity", values, found, problems)
    return TrainConfig(
        source=_find_source(values, path.parent),
        mask_placeholders=value("corpus.mask_placeholders"),
        languages=value("languages"),
        strategy=value("strategy"),
        size=value("size"),
        pretokenizer=value("pretokenizer"),
        sampling=sampling,
        parity=parity,
        clusters=value("clusters"),
        members=value("per_language.kind"),
        policy=value("per_language.policy"),
    )


def _make_section(
    kind: Callable[..., T], section: str, values: Mapping[str, Any], found: Mapping[str, Tree], problems: list[Problem]
) -> T:
    """What the keys of a section say together; where one of them is wrong by itself, that is said already."""
    written = {name.partition(".")[2]: tree for name, tree in found.items() if name.startswith(f"{section}.")}
    given = {name: values[f"{section}.{name}"] for name in written if f"{section}.{name}" in values}
    wrong = [name for name in written.keys() - given.keys() if getattr(written[name], "value", written) is not None]
    try:
        return kind() if wrong else kind(**given)
    except ConfigError as error:
        where = next(iter(written.values())).location
        problems.extend(Problem("config", where, line) for line in str(error).splitlines())
        return kind()


def _find_source(values: Mapping[str, Any], folder: Path) -> tuple[str, str]:
    for name in SOURCES:
        given = values.get(f"corpus.{name}")
        if given is not None:
            return name, str(given) if name == "package" else str((folder / Path(str(given)).expanduser()).resolve())
    return "package", "django"
