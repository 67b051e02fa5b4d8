"""Row maps: several vocabularies go in, the row of one table that each of their ids reads comes out."""

from lightning_tying.vocab.rows.make import POLICIES, make_row_map
from lightning_tying.vocab.rows.row_map import RowMap
from lightning_tying.vocab.rows.row_map_file import load_row_map, save_row_map

__all__ = ["POLICIES", "RowMap", "load_row_map", "make_row_map", "save_row_map"]
