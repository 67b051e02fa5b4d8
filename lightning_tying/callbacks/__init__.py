"""Lightning callbacks: what sharing saves and costs, what a run leaves behind, and sharing that changes in time."""

from lightning_tying.callbacks.adaptive.budget import Budget
from lightning_tying.callbacks.adaptive.join_on_redundancy import JoinOnRedundancy
from lightning_tying.callbacks.adaptive.share_then_unshare import ShareThenUnshare
from lightning_tying.callbacks.adaptive.split_on_conflict import SplitOnConflict
from lightning_tying.callbacks.adaptive_sharing import AdaptiveSharing
from lightning_tying.callbacks.embedding_alignment import EmbeddingAlignment
from lightning_tying.callbacks.gradient_stability import GradientStability
from lightning_tying.callbacks.parameter_savings import ParameterSavings
from lightning_tying.callbacks.parameter_sync import ParameterSync
from lightning_tying.callbacks.random_state import KeepRandomState
from lightning_tying.callbacks.run_checkpoint import RunCheckpoint
from lightning_tying.callbacks.save_on_interrupt import SaveOnInterrupt
from lightning_tying.callbacks.shared_finetuning import SharedFinetuning
from lightning_tying.callbacks.vocabulary_report import VocabularyReport

__all__ = [
    "AdaptiveSharing",
    "Budget",
    "EmbeddingAlignment",
    "GradientStability",
    "JoinOnRedundancy",
    "KeepRandomState",
    "ParameterSavings",
    "ParameterSync",
    "RunCheckpoint",
    "SaveOnInterrupt",
    "ShareThenUnshare",
    "SharedFinetuning",
    "SplitOnConflict",
    "VocabularyReport",
]
