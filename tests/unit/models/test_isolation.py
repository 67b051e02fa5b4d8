"""The networks know nothing of sharing: they import torch, the standard library, each other (hf.py: transformers)."""

import ast
import sys
from pathlib import Path

import pytest

import lightning_tying.models as models

FOLDER = Path(models.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))


def imported(text: str) -> list[str]:
    """The modules that a source text imports, `import_module` with a literal name included."""
    names: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append("." * node.level + (node.module or ""))
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "import_module":
            names += [a.value for a in node.args if isinstance(a, ast.Constant)] if node.args else []
    return names


def strangers(text: str, file: str) -> list[str]:
    """What it imports and may not."""
    allowed = {"torch"} | ({"transformers"} if file == "hf.py" else set())
    return [
        name
        for name in imported(text)
        if not (name == "lightning_tying.models" or name.startswith("lightning_tying.models."))
        and name.split(".")[0] not in allowed
        and name.split(".")[0] not in sys.stdlib_module_names
    ]


def test_the_folder_is_found():
    assert {"decoder.py", "hf.py", "__init__.py"} <= {file.name for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_imports_nothing_of_the_rest(file):
    assert strangers(file.read_text(encoding="utf-8"), file.name) == []


@pytest.mark.parametrize(
    ("text", "stranger"),
    [
        ("from lightning_tying.api import tie", "lightning_tying.api"),
        ("import lightning_tying", "lightning_tying"),
        ("def f():\n    import lightning.pytorch", "lightning.pytorch"),
        ("from importlib import import_module\nimport_module('lightning_tying.errors')", "lightning_tying.errors"),
        ("import transformers", "transformers"),
        ("from . import decoder", "."),
    ],
)
def test_the_proof_can_fail(text, stranger):
    assert strangers(text, "decoder.py") == [stranger]


def test_transformers_is_not_imported_at_the_top():
    tree = ast.parse((FOLDER / "hf.py").read_text(encoding="utf-8"))
    top = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not any("transformers" in line for line in top)
