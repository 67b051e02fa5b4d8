"""Which sites a spec shares in time: the entries of `sync` and an inventory go in, sets of sites come out."""
