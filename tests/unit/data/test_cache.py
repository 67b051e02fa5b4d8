"""Files of the cache are whole or absent."""

import os
from pathlib import Path

import pytest

from lightning_tying.data.cache import cache_folder, cache_key, write_whole
from lightning_tying.errors import ConfigError


def test_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "lightning_tying"
    assert cache_folder("~/x") == Path.home() / "x"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "lightning_tying"


def test_key_is_stable():
    assert cache_key("a", 1, {"x": 0.3}) == cache_key("a", 1, {"x": 0.3})
    assert cache_key("a", 1) != cache_key("a", 2)


def test_a_writer_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.bin"
    write_whole(path, [b"old"])

    def broken():
        yield b"ne"
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        write_whole(path, broken())
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_old_leftovers_are_swept_and_young_ones_kept(tmp_path):
    old, young = tmp_path / "x.bin.1.tmp", tmp_path / "x.bin.2.tmp"
    for file in (old, young):
        file.write_bytes(b"half")
    os.utime(old, (0, 0))
    write_whole(tmp_path / "x.bin", [b"whole"])
    assert not old.exists() and young.exists()


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match=r"cannot be written .*data\.cache_dir"):
        write_whole(tmp_path / "file" / "x.bin", [b""])
