"""A graph as plain data and as a spec, and back."""
