"""What a run leaves behind: its folder, environment, curves, figures, results and checkpoints."""
