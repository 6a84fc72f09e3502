"""What is inside networks: an analysis a file, and the parts that several of them use."""

ANALYSES = ("similarity", "weights", "filters", "barrier", "robustness", "knn")
"""The modules with an ``Analysis`` each, in the order in which they are told of; ``base.analyses`` imports them."""
