"""What is fitted: model, data, choices, and the normal equations they make.

Names are imported when first used: the choices alone need no numerics.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from heterodyne.problem.choices import Choices
    from heterodyne.problem.problem import Problem, create_problem

__all__ = ["Choices", "Problem", "create_problem"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'heterodyne.problem' has no attribute {name!r}")
    home = "choices" if name == "Choices" else "problem"
    return getattr(import_module(f"heterodyne.problem.{home}"), name)
