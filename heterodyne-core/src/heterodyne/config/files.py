"""Configuration files in YAML 1.2, read without surprises.

PyYAML follows YAML 1.1, where ``40:50`` is the number 2450, ``010`` is 8, ``no`` is false and ``1e4`` is
text. Here the core schema of YAML 1.2 decides: ``40:50`` and ``no`` are text, ``010`` and ``1e4`` are
numbers in base ten.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from heterodyne.config.schema import FitConfig, create_config
from heterodyne.errors import ConfigError


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen: list[Any] = []
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key!r} stands twice", problem_mark=key_node.start_mark
                )
            seen.append(key)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {}  # none of YAML 1.1; the parent class keeps its own
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)
_Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))


def read_config(path: str | Path) -> FitConfig:
    """The configuration in a YAML file; paths in it are relative to the file's folder.

    Raises `ConfigError` naming file and line for text that is not YAML, and file and key for a key that
    does not exist or a value of the wrong type.
    """
    file = Path(path)
    config = create_config(_read_mapping(file), str(file))
    data = tuple(str(file.parent / name) for name in config.data)
    placed: dict[str, Any] = {"data": data}
    for key in ("output", "warm_start", "mask"):
        given = getattr(config, key)
        placed[key] = None if given is None else str(file.parent / given)
    placed["exclude_frames"] = tuple(
        f"@{file.parent / item[1:]}" if item.startswith("@") else item for item in config.exclude_frames
    )
    return config.model_copy(update={key: placed[key] for key in placed if key in config.model_fields_set})


def config_text(values: Mapping[str, Any]) -> str:
    """A configuration as YAML text, keys in the given order."""
    return yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True)


def _read_mapping(file: Path) -> dict[str, Any]:
    try:
        document = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise ConfigError(f"cannot read configuration {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot read configuration {file}: not UTF-8 text") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{file}{line}: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{file}: {' '.join(str(error).split())}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(
            f"{file}: a configuration is a mapping of keys to values, not {type(document).__name__}"
        )
    return document
