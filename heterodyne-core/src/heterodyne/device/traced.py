"""Functions as JAX has traced them, kept beside the compiled code: what one process traced, the next one reads.

XLA's code is found again in a moment, but only once Python has traced and lowered a function anew, which takes longer
than a short fit. `jax.export` keeps the result. Its name is a hash of all that it is made of: the source of this
package, the versions of JAX and NumPy, the device, the function, what is compiled in, and the shapes of its arguments.
Only functions of this package are kept, and only objects that stand in its modules are compiled in so: the source of
others is not known here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from hashlib import sha256
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from shutil import rmtree
from time import time
from typing import Any

import numpy as np
from jax import export
from jax.tree_util import tree_structure

from heterodyne.atomic import replacing
from heterodyne.errors import DataError
from heterodyne.kernels._jax import Flat, Keeper, Structure, jax

_PACKAGE = Path(__file__).parents[1]
_DAYS = 30  # after which what another version of the source left behind is removed


def keeper_in(root: Path) -> Keeper:
    """A function that finds traced functions in a folder of this source below ``root``, or keeps them there.

    Of a function from arrays to arrays, words that say which it is, what is compiled in, and arguments, it gives the
    traced function and the structure of what that gives, or None where it cannot be kept. A last argument tells the
    structure once the function has been traced.
    """

    @cache
    def folder() -> Path:
        here = root / f"traced-{_fingerprint()[:16]}"
        if not here.is_dir():
            _remove_old(root)
            here.mkdir(exist_ok=True)
        return here

    def kept(
        of: Flat,
        words: Sequence[str],
        fixed: Sequence[Any],
        leaves: Sequence[Any],
        gives: Callable[[], Structure],
    ) -> tuple[Flat, Structure] | None:
        names = [named(value) for value in fixed]
        if None in names or not _is_known(words[0].split(":")[0]):
            return None
        shapes = [(np.shape(leaf), jax.dtypes.result_type(leaf)) for leaf in leaves]
        said = "\n".join([jax.default_backend(), *words, *map(str, names), *map(str, shapes)])
        path = folder() / sha256(said.encode()).hexdigest()
        found = _read(path)
        if found is None:
            exported: Any = export.export(jax.jit(of))(*(jax.ShapeDtypeStruct(*shape) for shape in shapes))
            found = exported.call, gives()
            _write(path, exported.serialize(), found[1])
        return found

    return kept


def _read(path: Path) -> tuple[Flat, Structure] | None:
    """What stands in a file, None where there is none or it is damaged."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        head, body = path.read_bytes().split(b"\n", 1)
        record = json.loads(head)
        if record["sha256"] == sha256(body).hexdigest():
            exported: Any = export.deserialize(bytearray(body))
            return exported.call, tree_structure(_placed(record["gives"]))
    return None


def _write(path: Path, body: bytes, gives: Structure) -> None:
    record = {"sha256": sha256(body).hexdigest(), "gives": _described(gives)}
    with suppress(DataError), replacing(path) as temporary:  # a full disk is no error of a fit
        temporary.write_bytes(json.dumps(record).encode() + b"\n" + body)


def _described(tree: Structure) -> Any:
    """A structure of tuples and named tuples as JSON has it."""
    node = tree.node_data()
    if node is None:
        return "array"
    kind, _ = node
    parts = [_described(child) for child in tree.children()]
    return [f"{kind.__module__}:{kind.__qualname__}", *parts]


def _placed(described: Any) -> Any:
    """Something that has the structure."""
    if described == "array":
        return 0.0
    name, *parts = described
    module, kind = name.split(":")
    if kind == "NoneType":
        return None
    of, values = getattr(import_module(module), kind), [_placed(part) for part in parts]
    return of(*values) if hasattr(of, "_fields") else of(values)


def named(value: Any) -> str | None:
    """A name of what is compiled in that says all of it, None where nothing in this package does."""
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, tuple):
        parts = [named(part) for part in value]
        return None if None in parts else f"({', '.join(map(str, parts))})"
    return next((name for name, other in _objects() if other is value), None)


def _objects() -> Iterator[tuple[str, Any]]:
    """All that stands in modules of this package, with its place."""
    for name, module in list(sys.modules.items()):
        if _is_known(name):
            yield from ((f"{name}:{attribute}", value) for attribute, value in list(vars(module).items()))


def _is_known(module: str) -> bool:
    """Whether the source of a module is in the fingerprint: others change without it."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return module.startswith("heterodyne.") and bool(file) and _PACKAGE in Path(str(file)).parents


def _remove_old(root: Path) -> None:
    """Remove what other versions of the source have left behind and not used for long."""
    for folder in root.glob("traced-*"):
        with suppress(OSError):
            if time() - folder.stat().st_mtime > _DAYS * 86400:
                rmtree(folder)


def _fingerprint() -> str:
    """A hash of all that decides what is traced: this package's source and the versions of what it traces with."""
    whole = sha256(f"{sys.version} {version('jax')} {version('jaxlib')} {version('numpy')}".encode())
    for path in sorted(_PACKAGE.rglob("*.py")):
        whole.update(path.relative_to(_PACKAGE).as_posix().encode() + path.read_bytes())
    return whole.hexdigest()
