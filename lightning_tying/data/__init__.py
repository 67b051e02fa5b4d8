"""LightningDataModules over real data that installs offline: a few options go in, batches of tensors come out."""

from lightning_tying.data.catalogs import Catalogs
from lightning_tying.data.digits import Digits
from lightning_tying.data.text_files import TextFiles

__all__ = ["Catalogs", "Digits", "TextFiles"]
