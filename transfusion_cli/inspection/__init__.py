"""Looking data over before training: what is missing, broken, doubled, or on the wrong side of a split."""
