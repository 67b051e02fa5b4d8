"""Every function of the language by its name; each is sugar over the six primitives."""

from __future__ import annotations

from collections.abc import Mapping

from lightning_tying.algebra.catalogue.basis import Basis
from lightning_tying.algebra.catalogue.cells import GatherCells, Mask
from lightning_tying.algebra.catalogue.contract import Contract
from lightning_tying.algebra.catalogue.diagonal import Diag
from lightning_tying.algebra.catalogue.drop import Drop
from lightning_tying.algebra.catalogue.gradients import ScaleGrad, Stop
from lightning_tying.algebra.catalogue.hashed import Hashed
from lightning_tying.algebra.catalogue.join import Concat
from lightning_tying.algebra.catalogue.kron import Kron
from lightning_tying.algebra.catalogue.layout import Flip, Permute, Reshape, Roll, Rot90, T
from lightning_tying.algebra.catalogue.low_rank import LowRank
from lightning_tying.algebra.catalogue.mix import Mix
from lightning_tying.algebra.catalogue.parts import Repeat, Slice
from lightning_tying.algebra.catalogue.pointwise import Exp, Normalize, Sigmoid, Softmax, Tanh
from lightning_tying.algebra.catalogue.project import Project
from lightning_tying.algebra.catalogue.resize import Resize
from lightning_tying.algebra.catalogue.rows import Rows
from lightning_tying.algebra.catalogue.scale import Scale
from lightning_tying.algebra.catalogue.tensor_train import TensorTrain
from lightning_tying.algebra.catalogue.vera import Vera
from lightning_tying.algebra.transform import Transform

CATALOGUE: Mapping[str, type[Transform]] = {
    "t": T,
    "reshape": Reshape,
    "permute": Permute,
    "flip": Flip,
    "roll": Roll,
    "rot90": Rot90,
    "slice": Slice,
    "rows": Rows,
    "gather": GatherCells,
    "repeat": Repeat,
    "concat": Concat,
    "mask": Mask,
    "hashed": Hashed,
    "einsum": Contract,
    "scale": Scale,
    "diag": Diag,
    "low_rank": LowRank,
    "mix": Mix,
    "basis": Basis,
    "kron": Kron,
    "tt": TensorTrain,
    "project": Project,
    "vera": Vera,
    "resize": Resize,
    "normalize": Normalize,
    "softmax": Softmax,
    "tanh": Tanh,
    "sigmoid": Sigmoid,
    "exp": Exp,
    "drop": Drop,
    "stop": Stop,
    "scale_grad": ScaleGrad,
}
