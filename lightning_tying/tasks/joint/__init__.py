"""Several models in one run: named members go in; one module that trains them together, tied by one spec, comes out."""
