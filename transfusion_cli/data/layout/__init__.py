"""What lies in folders and tables on disk, and how it gets there."""
