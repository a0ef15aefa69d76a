"""How near is near: the tolerances that tests share, each with its reason.

Numbers are float64 with an epsilon of 2.2e-16; tolerances are relative, or to numbers near 1. One that belongs to a
single test stands in it. None is raised to let a test pass.
"""

LAST_DIGIT = 1e-15
"""A few operations."""

LAST_DIGITS = 1e-14
"""Tens of operations."""

ELEMENTARY = 1e-13
"""The same formula of powers and exponentials, by JAX and by NumPy."""

REORDERED = 1e-12
"""The same arithmetic in another order: a formula rewritten, sums of up to 10⁵ terms."""

TWO_WAYS = 1e-10
"""The same sum by another algorithm, with other terms."""

SOLVED = 1e-9
"""Through a linear solve, an inverse or a decomposition: condition numbers up to 10⁶."""

SAME_MINIMUM = 1e-6
"""Σ residual² of one minimum reached in two ways: the distance that `gtol` leaves enters squared."""

SAME_PLACE = 1e-3
"""Estimates of one minimum reached in two ways, in standard errors."""

SIGMAS = 4.0
"""An estimate and the truth, in standard errors: 1 in 16 000 by chance. Seeds are fixed, so it is once and for all."""

NOTHING = 1e-290
"""Added to a tolerance where the value itself may be 0."""
