"""How similar representations are, layer by layer, and how similar they would be by chance."""
