"""Blocks that at least two papers use; each file names its source."""
