"""What shared parameters start from: drawn, or solved from what the sites of a model hold."""
