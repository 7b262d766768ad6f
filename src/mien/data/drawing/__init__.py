"""A parametric face: its shape, its looks, and how it is painted."""
