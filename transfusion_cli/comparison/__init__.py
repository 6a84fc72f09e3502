"""Runs side by side: groups of seeds, and how far they differ on the same patients."""
