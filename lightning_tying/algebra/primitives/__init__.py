"""The six primitives: forward, and a fit that undoes it; every function of the language is made of them."""
