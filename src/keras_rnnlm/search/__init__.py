"""Searches over whole training runs: comparing models on one text."""
