"""Clusters: languages alike come together, and the union has the size that was asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_tying.errors import ConfigError
from lightning_tying.vocab import SharedVocabulary
from lightning_tying.vocab.training.clustered import group_languages, train_clustered, unite_merges
from lightning_tying.vocab.training.kmeans import cluster_vectors
from lightning_tying.vocab.training.request import TrainingRequest

SPANISH = ["el árbol es grande", "la casa es pequeña", "el camino es largo"]
PORTUGUESE = ["a árvore é grande", "a casa é pequena", "o caminho é largo"]
RUSSIAN = ["дерево большое", "дом маленький", "дорога длинная"]
UKRAINIAN = ["дерево велике", "дім маленький", "дорога довга"]
TEXTS = {"es": SPANISH, "ru": RUSSIAN, "pt": PORTUGUESE, "uk": UKRAINIAN}


def test_languages_alike_share_a_cluster_and_the_size_is_exact():
    trained = train_clustered(TrainingRequest(TEXTS, 300, clusters=2))
    clusters = trained.details["clusters"]
    assert [cluster["languages"] for cluster in clusters] == [["es", "pt"], ["ru", "uk"]]
    assert sum(cluster["share"] for cluster in clusters) == pytest.approx(1.0, abs=1e-3)
    assert trained.tokenizer.get_vocab_size() == 300


@pytest.mark.parametrize("clusters", [1, 4])
def test_one_cluster_and_one_for_each_language(clusters):
    assert SharedVocabulary.train(TEXTS, 300, strategy="clustered", clusters=clusters).size == 300


@pytest.mark.parametrize("clusters", [0, 5])
def test_impossible_numbers_of_clusters_are_refused(clusters):
    with pytest.raises(ConfigError, match=f"cannot be {clusters} clusters of 4 languages"):
        SharedVocabulary.train(TEXTS, 300, strategy="clustered", clusters=clusters)


def test_merges_come_by_their_rank_within_the_part():
    left, right = [("a", "b"), ("ab", "a"), ("b", "b")], [("c", "d"), ("a", "b")]
    assert unite_merges([left, right], [1, 1], "abcd", 9) == [
        ("a", "b"), ("c", "d"), ("ab", "a"), ("b", "b"),
    ]  # fmt: skip
    assert unite_merges([left, right], [10, 1], "abcd", 3) == [("a", "b"), ("ab", "a"), ("b", "b")]
    assert unite_merges([[("a", "z"), ("a", "b")]], [1], "abcd", 9) == [("a", "b")]


def test_groups_of_equal_vocabularies():
    same = [("a", "b")]
    assert group_languages({"x": same, "y": same, "z": [("c", "d")]}, 2) == [["x", "y"], ["z"]]


@given(st.integers(1, 8), st.data())
def test_every_cluster_has_a_vector(count, data):
    clusters = data.draw(st.integers(1, count))
    cells = st.lists(st.floats(-1, 1), min_size=3, max_size=3)
    vectors = np.array(data.draw(st.lists(cells, min_size=count, max_size=count)))
    labels = cluster_vectors(vectors, clusters)
    assert len(labels) == count
    assert sorted(set(labels)) == list(range(max(labels) + 1)) and max(labels) < clusters
    assert labels == cluster_vectors(vectors, clusters)
