"""LightningModules that are tied by a sharing spec, and the mixin that ties any other."""

from lightning_tying.tasks.classification import Classification
from lightning_tying.tasks.joint.joint_training import JointTraining
from lightning_tying.tasks.language_modeling import LanguageModeling
from lightning_tying.tasks.optimizers.optimization import WarmupCosine
from lightning_tying.tasks.tie_any import load_tied, tie_any
from lightning_tying.tasks.tied_module import TiedModule
from lightning_tying.tasks.translation import Translation

__all__ = [
    "Classification",
    "JointTraining",
    "LanguageModeling",
    "TiedModule",
    "Translation",
    "WarmupCosine",
    "load_tied",
    "tie_any",
]
