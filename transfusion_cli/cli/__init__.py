"""The command line: a thin dispatcher, one file a verb."""
