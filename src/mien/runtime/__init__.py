"""Trained models as they are used: the bundle that holds one, the session that runs it."""
