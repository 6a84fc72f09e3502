"""Reading configs and flags, and telling what is wrong with them."""
