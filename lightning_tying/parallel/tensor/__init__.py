"""A sharing graph and styles in; placements that all uses of a shared parameter agree about out."""
