"""Scores of models on image sets, and their tables."""
