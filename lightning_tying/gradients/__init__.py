"""A tied module and a step in; the per-use gradients of its shared parameters, and what to make of them, out."""
