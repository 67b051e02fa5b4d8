"""The per-use gradients of a shared parameter in; the one that the optimizer takes out."""
