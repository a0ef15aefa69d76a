"""Parts of draws made up, for tests of what becomes of draws."""

from __future__ import annotations

import numpy as np

from heterodyne_cmc.blocks import BlockColumns, BlockLikelihood


def blocks_of(chains: int, draws: int) -> BlockLikelihood:
    """A log likelihood of one block that is 0."""
    return BlockLikelihood(
        np.zeros((chains, draws, 1)), np.zeros(1, int), BlockColumns(*np.zeros((6, 1))), 1.0
    )
