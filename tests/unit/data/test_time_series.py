"""Time series: files of the archives' format, well formed and not."""

import numpy as np
import pytest

from lightning_tying.data.time_series import read_time_series
from lightning_tying.errors import ConfigError

HEAD = "# a remark\n@problemName Two\n@classLabel true a b\n@data\n"


@pytest.fixture
def write(tmp_path):
    def call(text):
        path = tmp_path / "two.ts"
        path.write_text(text, encoding="utf-8")
        return path

    return call


def test_reads_series_of_unlike_lengths(write):
    found = read_time_series(write(HEAD + "1,2,3:4,5,6:b\n\n7:8.5:a\n"))
    assert [each.tolist() for each in found.series] == [[[1, 4], [2, 5], [3, 6]], [[7, 8.5]]]
    assert found.labels.tolist() == [1, 0] and found.classes == ["a", "b"] and found.longest == 3
    padded = found.padded(4)
    assert padded.shape == (2, 4, 2) and padded.dtype == np.float32
    assert padded[1].tolist() == [[7, 8.5], [0, 0], [0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1:a\n", "is no .ts file: it has no line @data"),
        ("@data\n1:a\n", "has no classes: a line like"),
        ("@classLabel false\n@data\n1:a\n", "has no classes"),
        (HEAD, "has no series"),
        (HEAD + "1,2:3,4:c\n", r"two\.ts:5: the class 'c' is none of a, b"),
        (HEAD + "1,2:3,4:a\n1,x:3,4:a\n", r"two\.ts:6: could not convert string to float: 'x'"),
        (HEAD + "1,2:3:a\n", r"two\.ts:5: the channels of a series have equally many numbers"),
        (HEAD + "1,?:3,4:a\n", r"two\.ts:5: could not convert"),
        (HEAD + "1,nan:3,4:a\n", r"two\.ts:5: a number is missing or not finite"),
        (HEAD + "1:3:a\n1:b\n", r"two\.ts:6: 1 channels, where the first series has 2"),
        (HEAD + "a\n", r"two\.ts:5: the channels of a series"),
    ],
)
def test_a_wrong_line_is_named(write, text, message):
    with pytest.raises(ConfigError, match=message):
        read_time_series(write(text))


def test_a_missing_file_and_one_that_is_no_text_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.ts cannot be read"):
        read_time_series(tmp_path / "none.ts")
    (tmp_path / "bytes.ts").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"bytes\.ts cannot be read"):
        read_time_series(tmp_path / "bytes.ts")
