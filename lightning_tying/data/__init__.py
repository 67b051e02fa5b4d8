"""LightningDataModules over real data that installs offline: a few options go in, batches of tensors come out."""

from lightning_tying.data.catalogs import Catalogs
from lightning_tying.data.digits import Digits
from lightning_tying.data.docstrings import Docstrings
from lightning_tying.data.japanese_vowels import JapaneseVowels
from lightning_tying.data.joint_data import JointData
from lightning_tying.data.mnist import Mnist
from lightning_tying.data.text_files import TextFiles

__all__ = [
    "Catalogs",
    "Digits",
    "Docstrings",
    "JapaneseVowels",
    "JointData",
    "Mnist",
    "TextFiles",
]
