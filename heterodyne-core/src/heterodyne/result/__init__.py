"""What a fit returns, and the document that it is written to."""

from __future__ import annotations

from heterodyne.result.fit import BinScaling, Estimate, Fit
from heterodyne.result.identifiability import Finding, Identifiability
from heterodyne.result.provenance import Provenance
from heterodyne.result.statistics import Statistics

__all__ = ["BinScaling", "Estimate", "Finding", "Fit", "Identifiability", "Provenance", "Statistics"]
