"""Datasets: readers, splits, sampling, drawn faces, and their verification."""
