"""Flags of `heterodyne fit` for the choices of a fit, and for the options of every installed optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any, get_args, get_type_hints

import typer

from heterodyne.errors import ConfigError
from heterodyne.plugins.manager import manager, optimizer_record
from heterodyne.plugins.records import OptimizerRecord, Option
from heterodyne.problem.choices import NO_CHOICES, SPELLINGS, Spelling
from heterodyne_cli.selection import present

MODEL_PANEL = "Model"
"""The heading of flags that state what is fitted."""

_PREFIX = "option_"  # keeps an option's name off the names of the command's own parameters
Owned = tuple[OptimizerRecord, Option]


def with_flags(command: Callable[..., None]) -> Callable[..., None]:
    """``command`` with flags in place of its parameters ``choices`` and ``options``.

    There is one for every choice of a fit and one per option name of any optimizer. The command is called with
    two mappings, from the names of the flags that were given to their values.
    """
    hints = get_type_hints(command, include_extras=True)
    own = [
        parameter.replace(annotation=hints[parameter.name])
        for parameter in signature(command).parameters.values()
        if parameter.name not in ("choices", "options")
    ]
    own += [_choice(name, spelling) for name, spelling in SPELLINGS.items()]
    taken = {flag for parameter in own for flag in _flags_of(parameter)}
    every = [*own, *(_parameter(name, owners, taken) for name, owners in _options().items())]

    @wraps(command)
    def extended(**stated: Any) -> None:
        options = {n.removeprefix(_PREFIX): stated.pop(n) for n in list(stated) if n.startswith(_PREFIX)}
        choices = {name: stated.pop(name) for name in SPELLINGS}
        command(**stated, choices=present(**choices), options=present(**options))

    extended.__annotations__ = {parameter.name: parameter.annotation for parameter in every}
    vars(extended)["__signature__"] = signature(command).replace(parameters=every, return_annotation=None)
    return extended


def check_owner(optimizer: str, options: Iterable[str]) -> None:
    """Raise `ConfigError` for a flag that is an option of other optimizers only."""
    own = {option.name for option in optimizer_record(optimizer).options}
    for name in options:
        if name not in own:
            owners = ", ".join(record.name for record, _ in _options()[name])
            raise ConfigError(f"{name!r} is an option of optimizer {owners}, not of the chosen {optimizer}")


def _choice(name: str, spelling: Spelling) -> Parameter:
    """The flag of one choice; values are read where the configuration reads them."""
    default = getattr(NO_CHOICES, name)
    info = typer.Option(
        _dashed(name),
        help=_sentence(spelling.help, spelling.kind.is_mapping, "" if default in ({}, None) else default)
        + ".",
        metavar=spelling.kind.metavar,
        rich_help_panel=MODEL_PANEL,
    )
    taken_as = list[str] if spelling.kind.is_mapping else str
    return Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[taken_as | None, info])


def _options() -> Mapping[str, list[Owned]]:
    """Every option name with the optimizers that take it."""
    owners: dict[str, list[Owned]] = {}
    for _, record, _ in manager().records:
        if isinstance(record, OptimizerRecord):
            for option in record.options:
                owners.setdefault(option.name, []).append((record, option))
    return owners


def _parameter(name: str, owners: list[Owned], taken: set[str]) -> Parameter:
    """The flag of one option; ``--OPTIMIZER-NAME`` where the command has a flag of that name itself."""
    flag = _dashed(name) if _dashed(name) not in taken else _dashed(f"{owners[0][0].name}-{name}")
    options = [option for _, option in owners]
    kind = options[0].type if len({option.type for option in options}) == 1 else str
    many = all(option.many for option in options)
    choices = dict.fromkeys(choice for option in options for choice in option.choices)
    info = typer.Option(
        f"{flag}/--no-{flag.removeprefix('--')}" if kind is bool and not flag.startswith("--no-") else flag,
        help="; ".join(dict.fromkeys(_sentence(o.help, o.many, o.default) for o in options)) + ".",
        metavar="|".join(choices) or ("NAME" if many else None),
        rich_help_panel=f"Options of {', '.join(record.name for record, _ in owners)}",
    )
    taken_as = list[kind] if many else kind
    return Parameter(
        _PREFIX + name, Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[taken_as | None, info]
    )


def _sentence(help: str, many: bool, default: Any) -> str:
    ending = "; repeatable" if many else f" (default {default})" if default != "" else ""
    return f"{help[:1].upper()}{help[1:]}{ending}"


def _flags_of(parameter: Parameter) -> set[str]:
    """The flags by which a parameter of the command is given."""
    described = [part for info in get_args(parameter.annotation)[1:] for part in vars(info).values()]
    texts = [text for part in described for text in (part if isinstance(part, tuple | list) else [part])]
    return {_dashed(parameter.name), *(text for text in texts if isinstance(text, str) and text[:2] == "--")}


def _dashed(name: str) -> str:
    return f"--{name.replace('_', '-')}"
