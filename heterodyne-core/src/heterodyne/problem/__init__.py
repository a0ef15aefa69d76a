"""What is fitted: model, data, choices, and the objective they make.

Names are imported when first used: the choices alone need no numerics.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from heterodyne.problem.choices import Choices
    from heterodyne.problem.objective import Objective, create_objective
    from heterodyne.problem.problem import Problem, create_problem

_HOME = {
    "Choices": "choices",
    "Objective": "objective",
    "Problem": "problem",
    "create_objective": "objective",
    "create_problem": "problem",
}

__all__ = ["Choices", "Objective", "Problem", "create_objective", "create_problem"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'heterodyne.problem' has no attribute {name!r}")
    return getattr(import_module(f"heterodyne.problem.{_HOME[name]}"), name)
