"""Several models or towers that read one trunk, or stay near each other; each scheme written from its paper."""

from __future__ import annotations

from tests.gallery.case import Case, select
from tests.trees import linear


def two_towers(seed: int) -> Case:
    shapes: dict[str, list[int]] = {}
    for tower in ("left", "right", "third")[: 2 + seed % 2]:
        shapes |= dict(linear(f"towers.{tower}.fc1", 5, 3)) | dict(linear(f"towers.{tower}.fc2", 2 + seed, 5))
    return Case(shapes, lambda p: {site: p[f"trunk[{site.split('.', 2)[2]}]"] for site in shapes})


def hard_sharing(seed: int) -> Case:
    shapes: dict[str, list[int]] = {}
    for classes, task in enumerate(("pos", "ner", "cls"), start=2 + seed):
        shapes |= dict(linear(f"models.{task}.trunk.0", 5, 3)) | dict(linear(f"models.{task}.trunk.2", 5, 5))
        shapes |= dict(linear(f"models.{task}.head", classes, 5))
    trunk = select(shapes, ".trunk.")
    return Case(shapes, lambda p: {site: p[f"trunk[{site.split('.trunk.')[1]}]"] for site in trunk})


def soft_sharing(seed: int) -> Case:
    shapes = dict(linear("models.a.fc", 3 + seed, 5)) | dict(linear("models.b.fc", 3 + seed, 5))
    sites = select(shapes, "models.a.")
    return Case(shapes, lambda p: {site: p[f"A[{site.removeprefix('models.a.')}]"] for site in sites})
