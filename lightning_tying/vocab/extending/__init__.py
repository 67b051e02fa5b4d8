"""Vocabularies that grow and shrink: a vocabulary and texts go in, one with more or fewer pieces comes out."""
