"""Volumes: files of many formats, their geometry, what a network sees of them, and what is kept of that on disk."""
