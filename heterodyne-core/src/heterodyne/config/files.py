"""Configuration files in YAML 1.2, read without surprises.

PyYAML follows YAML 1.1, where ``40:50`` is the number 2450, ``010`` is 8, ``no`` is false and ``1e4`` is
text. Here the core schema of YAML 1.2 decides: ``40:50`` and ``no`` are text, ``010`` and ``1e4`` are
numbers in base ten.
"""

from __future__ import annotations

import os
import re
import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from heterodyne.atomic import as_path
from heterodyne.config.schema import FitConfig, create_config
from heterodyne.errors import ConfigError

_LONGEST = 1 << 18
"""Bytes of a configuration file."""

_DEEPEST = 20
"""Mappings and lists within one another."""

_MOST_VALUES = 10_000
"""Values in a file, each alias counted as what it stands for."""

_PATHS = ("data", "output", "warm_start", "mask")


class _Loader(yaml.SafeLoader):
    """The core schema, within limits: an alias may stand for much, and that for much again."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._values: dict[yaml.Node, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        mark, is_alias = self.peek_event().start_mark, self.check_event(yaml.AliasEvent)
        if self._depth == _DEEPEST:
            raise _at(mark, f"more than {_DEEPEST} mappings and lists within one another")
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if is_alias and node not in self._values:
            raise _at(mark, "an alias within what it stands for")
        if node is not None:
            self._values[node] = 1 + sum(self._values[part] for part in _parts(node))
            if max(self._values[node], len(self._values)) > _MOST_VALUES:
                raise _at(mark, f"more than {_MOST_VALUES} values, each alias counted as what it stands for")
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen: list[Any] = []
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise _at(key_node.start_mark, f"key {key!r} stands twice")
            seen.append(key)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError):
            kind = node.tag.rpartition(":")[2]
            raise _at(node.start_mark, f"{reprlib.repr(node.value)} cannot be read as {kind}") from None


def _parts(node: yaml.Node) -> Iterator[yaml.Node]:
    """The nodes in a node."""
    for item in node.value if isinstance(node, yaml.CollectionNode) else ():
        yield from item if isinstance(item, tuple) else (item,)


def _at(mark: yaml.Mark, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


_Loader.yaml_implicit_resolvers = {}  # none of YAML 1.1; the parent class keeps its own
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)
_CORE = ("null", "bool", "int", "float", "str", "seq", "map")
_Loader.yaml_constructors = {
    tag: construct
    for tag, construct in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.removeprefix("tag:yaml.org,2002:") in _CORE
}
_Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))


def read_config(path: str | Path) -> FitConfig:
    """The configuration in a YAML file; paths in it are relative to the file's folder, ~ and $NAME expanded.

    Raises `ConfigError` naming file and line for text that is not YAML, and file and key for a key that
    does not exist, a value of the wrong type or a variable that is not set.
    """
    file = as_path(path)
    config = create_config(_read_mapping(file), str(file))
    placed: dict[str, Any] = {}
    for key in config.model_fields_set.intersection(_PATHS):
        given = getattr(config, key)
        names = [
            _placed(file, key, name) for name in (given if key == "data" else [given]) if name is not None
        ]
        placed[key] = tuple(names) if key == "data" else next(iter(names), None)
    if "exclude_frames" in config.model_fields_set:
        placed["exclude_frames"] = tuple(
            f"@{_placed(file, 'exclude_frames', item[1:])}" if item.startswith("@") else item
            for item in config.exclude_frames
        )
    return config.model_copy(update=placed)


def check_files(config: FitConfig) -> None:
    """Raise `DataError` for the first data file that cannot be read, or an earlier fit that is none."""
    from heterodyne.loading.hdf5 import check_readable  # which loads h5py
    from heterodyne.loading.patterns import expanded
    from heterodyne.result.document import read_fit

    listed = [item[1:] for item in config.exclude_frames if item.startswith("@")]
    for name in (*expanded(config.data), *listed, *([config.mask] if config.mask else [])):
        check_readable(Path(name))
    if isinstance(earlier := config.choices.warm_start, str):
        read_fit(earlier)


def config_text(values: Mapping[str, Any]) -> str:
    """A configuration as YAML text, keys in the given order."""
    return yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True)


def _placed(file: Path, key: str, name: str) -> str:
    """A path in a configuration file: ~ and variables replaced, and from the file's folder where it is relative."""
    path = os.path.expanduser(os.path.expandvars(name))
    if unset := re.search(r"\$([A-Za-z_]\w*|\{\w+\})", path):
        raise ConfigError(f"{file}: {key}: the variable {unset[0]} in {name!r} is not set")
    return str(file.parent / path)


def _read_mapping(file: Path) -> dict[str, Any]:
    text = _read_text(file)
    try:
        document = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{file}{line}: {error.problem or error.context}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{file}, line {line}: character {error.character!r} is not text") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(
            f"{file}: a configuration is a mapping of keys to values, not {type(document).__name__}"
        )
    return document


def _read_text(file: Path) -> str:
    """The text of a file, which need not be a regular one; raises `ConfigError` for what is no short UTF-8."""
    try:
        with file.open("rb") as stream:
            content = stream.read(_LONGEST + 1)
    except OSError as error:
        raise ConfigError(f"cannot read configuration {file}: {error.strerror}") from error
    if len(content) > _LONGEST:
        raise ConfigError(f"{file}: a configuration has at most {_LONGEST >> 10} KiB: is this one?")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{file}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8 text"
        ) from error
