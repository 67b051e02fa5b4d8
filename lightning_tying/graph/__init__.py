"""What a spec means for one model: sites, uses and sharing groups, as frozen data."""

from lightning_tying.graph.ir import SharingGraph, SharingGroup

__all__ = ["SharingGraph", "SharingGroup"]
