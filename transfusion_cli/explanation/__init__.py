"""Where in an image a classifier looks, and whether what it learned has any part in that."""
