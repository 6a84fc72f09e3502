"""Tiny trees in the layouts in which volumes with masks are published: ``build(root)`` writes it."""
