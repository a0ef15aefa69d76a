"""What the data say at a solution, whichever optimizer found it."""

from __future__ import annotations

from heterodyne.solution.solution import Solution, create_solution

__all__ = ["Solution", "create_solution"]
