"""Sums over frame pairs, by every way to evaluate a model."""
