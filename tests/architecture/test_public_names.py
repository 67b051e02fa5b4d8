"""The public surface is a short literal list; whoever changes it changes this file on purpose."""

from __future__ import annotations

import importlib

import pytest

PUBLIC = {
    "lightning_tying": [
        "Plan",
        "SharingGraph",
        "SharingGroup",
        "SharingSpec",
        "Transform",
        "TyingError",
        "build",
        "cache_values",
        "change_members",
        "discover",
        "get_plan",
        "join",
        "make_plan",
        "materialize",
        "reckon_penalty",
        "register_transform",
        "report_distances",
        "report_savings",
        "resize_vocabulary",
        "split",
        "tie",
        "tie_class",
        "untie",
        "untied_state_dict",
        "verify",
    ],
    "lightning_tying.callbacks": [
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
    ],
    "lightning_tying.data": [
        "Catalogs",
        "Digits",
        "Docstrings",
        "JapaneseVowels",
        "JointData",
        "Mnist",
        "TextFiles",
    ],
    "lightning_tying.models": [
        "ConvNet",
        "DecoderLM",
        "EncoderClassifier",
        "EncoderDecoder",
        "HuggingFace",
        "RecurrentClassifier",
        "RecurrentLM",
    ],
    "lightning_tying.plugins": ["AtomicCheckpoints"],
    "lightning_tying.tasks": [
        "Classification",
        "JointTraining",
        "LanguageModeling",
        "TiedModule",
        "Translation",
        "WarmupCosine",
        "load_tied",
        "tie_any",
    ],
    "lightning_tying.vocab": ["RowMap", "Sampling", "SharedVocabulary", "UnitedVocabulary"],
    "lightning_tying.cli": ["TyingCLI", "main"],
}


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_are_these(module: str) -> None:
    found = importlib.import_module(module)
    assert sorted(found.__all__) == PUBLIC[module]
    for name in PUBLIC[module]:
        assert getattr(found, name) is not None


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_documented(module: str) -> None:
    found = importlib.import_module(module)
    for name in PUBLIC[module]:
        assert (getattr(found, name).__doc__ or "").strip(), f"{module}.{name} has no docstring"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'tye'"):
        importlib.import_module("lightning_tying").tye  # noqa: B018  # the access is what is tested
