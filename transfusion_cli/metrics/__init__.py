"""Predictions gathered over all processes, metrics with undefined kept undefined, and their intervals."""
