"""Whole numbers for every cell of a value: from a scalar, a file or a seed."""
