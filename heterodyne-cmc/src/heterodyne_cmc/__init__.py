"""Bayesian sampling of two-time correlation by consensus Monte Carlo.

The optimizer ``cmc`` is registered once it samples; until then this distribution offers nothing to the
plugin manager, and asking for ``cmc`` says that it is not there.
"""
