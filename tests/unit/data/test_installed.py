"""Packages whose files are read: found without being imported, or refused with the way to get them."""

import sys

import pytest

from lightning_tying.data.installed import find_installed
from lightning_tying.errors import ConfigError


def test_finds_a_package_without_importing_it(tmp_path, monkeypatch):
    package = tmp_path / "loud_package"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('was imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert find_installed("loud_package", "Mnist") == package
    assert "loud_package" not in sys.modules


@pytest.mark.parametrize("name", ["numpy.linalg", "", "a b", "../numpy", ".numpy"])
def test_refuses_what_is_no_name(name):
    with pytest.raises(ConfigError, match=r"data\.packages: .* is no package's name; write it as one imports it"):
        find_installed(name, "data.packages")


def test_a_missing_package_says_how_to_get_it():
    with pytest.raises(ConfigError, match=r"Mnist: 'no_such_one' is not installed.*pip install --no-deps no_such_one"):
        find_installed("no_such_one", "Mnist")
    with pytest.raises(ConfigError, match="pip install --no-deps no-such==1"):
        find_installed("no_such_one", "Mnist", "no-such==1")


def test_a_single_file_is_refused():
    with pytest.raises(ConfigError, match="'this' is one file, not a package"):
        find_installed("this", "data.packages")
