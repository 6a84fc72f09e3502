"""Drawn chest images with findings: data for trying things, with nothing to fetch."""
