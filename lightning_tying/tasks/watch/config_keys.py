"""The text of a config goes in; nothing comes out where every key stands once, else an error that names the line."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from lightning_tying.errors import ConfigError

_MERGE = "tag:yaml.org,2002:merge"  # `<<`, which may stand several times


def check_keys(text: str, name: str) -> None:
    """Refuse a key that stands twice in one mapping: YAML's readers take the last, and the first is lost unnoticed.

    Args:
        text: YAML that can be read.
        name: of the config, for the message.

    Raises:
        ConfigError: naming the key and both lines.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    for node in _find_mappings(root):
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            line = key.start_mark.line + 1
            if key.value in lines:
                raise ConfigError(
                    f"{name}:{line}: `{key.value}` stands here a second time; the first is in line {lines[key.value]}. "
                    "Give each a name of its own, or take one out."
                )
            lines[key.value] = line


def _find_mappings(root: yaml.Node | None) -> Iterator[yaml.MappingNode]:
    """Every mapping once, wherever aliases lead."""
    stack, seen = [root], set[int]()
    while stack:
        node = stack.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            yield node
            stack.extend(value for _, value in node.value)
        elif isinstance(node, yaml.SequenceNode):
            stack.extend(node.value)
