"""What the data sets of one kind share, and the facts of single ones."""
