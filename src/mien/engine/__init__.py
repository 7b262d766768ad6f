"""Training and evaluation: runs as values, the loop, checkpoints and journals."""
