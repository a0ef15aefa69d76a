"""Bayesian sampling of two-time correlation by consensus Monte Carlo: the optimizer `cmc`.

`sampling.fit` is its way: a `Run` (what is sampled), `drawing` (the draws of every shard), `merging` (those of all
data), `outcome` (a `Fit`).
"""
