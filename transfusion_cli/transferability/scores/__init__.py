"""Scores of what a pretrained network sees in images of the target: a score a file."""

SCORES = (
    *("logme", "hscore", "hscore_shrinkage", "transrate", "transrate_official", "gbc", "leep", "nleep", "nce"),
    *("parc", "sfda", "ncti", "knn", "linear_probe"),
)
"""The modules with a ``Score`` each, in the order in which they are told of; ``base.scores`` imports them."""
