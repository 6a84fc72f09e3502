"""Pixels: image files of every kind, and arrays."""
