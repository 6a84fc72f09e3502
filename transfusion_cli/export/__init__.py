"""What a run has learned, in files that need no part of this program: one format a file."""
