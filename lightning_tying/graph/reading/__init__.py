"""What a value says at one site: names, numbers, maps, and what its functions bring."""
