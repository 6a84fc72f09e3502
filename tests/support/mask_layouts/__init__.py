"""Tiny trees in the layouts in which data sets of images with masks are published: ``build(root)`` writes it."""
