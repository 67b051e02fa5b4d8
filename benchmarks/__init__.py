"""Measurements of this project, each a ratio of two sides in one run; results lie in `results/`."""
