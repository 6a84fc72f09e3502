"""What runs a task: the trainer with its phases, checkpoints, signals, early stopping and steps to a target."""
