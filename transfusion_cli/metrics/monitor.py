"""The metric that says which epoch of a run is its best, unless its config names another."""

MONITOR = "val/auroc"
"""Macro AUROC of the validation split; ``time_to_event.direction`` says which way is better."""
