"""What sharing a vocabulary costs and gives each language: a vocabulary and texts in, figures and pages out."""

from lightning_tying.reports.vocabulary.figures import LanguageFigures, PairFigures, VocabularyFigures
from lightning_tying.reports.vocabulary.measure import measure_vocabulary

__all__ = ["LanguageFigures", "PairFigures", "VocabularyFigures", "measure_vocabulary"]
