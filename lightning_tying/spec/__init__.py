"""What was written: a sharing spec as pure data, read from YAML and written back; no torch."""

from lightning_tying.spec.dumper import dump_spec, spec_to_data
from lightning_tying.spec.json_schema import make_schema
from lightning_tying.spec.loader import load_spec
from lightning_tying.spec.schema import SharingSpec

__all__ = ["SharingSpec", "dump_spec", "load_spec", "make_schema", "spec_to_data"]
