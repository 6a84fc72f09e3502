"""One run as one file that a person reads, prints and hands over."""
