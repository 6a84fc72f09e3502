"""What to transfer from: candidates, what they make of images, scores of that, and how far scores are to be trusted."""

DEFAULT = ("logme", "hscore_shrinkage", "knn", "linear_probe")
"""Scores unless others are asked for: cheap ones of different kinds, the first of which decides the order."""
