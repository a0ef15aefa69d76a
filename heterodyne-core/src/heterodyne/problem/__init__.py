"""What is fitted: model, data, choices, and the normal equations they make."""

from __future__ import annotations

from heterodyne.problem.choices import create_problem
from heterodyne.problem.problem import Problem

__all__ = ["Problem", "create_problem"]
