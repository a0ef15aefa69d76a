"""What a fit returns, and the document that it is written to."""

from __future__ import annotations

from heterodyne.result.fit import BinScaling, Estimate, Fit

__all__ = ["BinScaling", "Estimate", "Fit"]
