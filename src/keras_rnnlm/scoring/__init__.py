"""Scoring: how probable a text is under a model, and the figures made of that."""
