"""How a derived site computes: its slots, once in each forward of its reader, and again for the backward pass."""
