"""Which sites an entry is about, what its words are there, and that every site is bound once."""
