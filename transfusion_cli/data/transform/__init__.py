"""What becomes of an image on its way to the network."""
