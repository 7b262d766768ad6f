"""Trained models made usable elsewhere."""
