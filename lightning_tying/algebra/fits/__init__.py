"""The way back: from what a site holds to what its parameters should be."""
