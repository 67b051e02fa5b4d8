"""State dicts of tied modules in; each shared tensor under one name, or under all, and conflicts settled, out."""
