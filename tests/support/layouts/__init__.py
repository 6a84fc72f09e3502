"""Tiny trees in the layouts in which data sets are published, one file each: ``build(root)`` writes it."""
