"""Lightning modules: what is trained, by which loss, and what a checkpoint says of it."""
