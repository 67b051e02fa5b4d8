"""The shapes of all parameters and values, from those of the sites, both ways."""
