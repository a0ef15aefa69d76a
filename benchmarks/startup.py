"""What a fit costs before it fits: imports, and what JAX does with the functions that it needs.

A fit of 3 × 300² runs twice as a process, with an empty cache and with what the first left there. The first table lists
seconds of tracing, lowering and compiling or loading, as JAX counts them; the second what packages take to import
(`python -X importtime`), without what they import from others. Medians of 3.

    python benchmarks/startup.py
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

import heterodyne as het

REPEATS = 3
EVENTS = {
    "tracing": "jaxpr_trace_duration",
    "lowering": "jaxpr_to_mlir_module_duration",
    "compiling or loading": "backend_compile_duration",
}
PROGRAM = """
import atexit, json, sys
from collections import Counter
import jax.monitoring
spent = Counter()
def add(event, seconds, **of):
    spent[event.rsplit("/", 1)[-1]] += seconds
jax.monitoring.register_event_duration_secs_listener(add)
import heterodyne as het
het.fit(het.load(sys.argv[1]))
print(json.dumps(spent))
"""


def environment(cache: Path) -> dict[str, str]:
    """The environment of a user whose Python keeps the bytecode of what it imported once."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "HETERODYNE_CACHE": str(cache)}


def of_jax(data: Path, cache: Path) -> dict[str, float]:
    """Seconds that JAX counts in one process, all threads together."""
    words = [sys.executable, "-c", PROGRAM, str(data)]
    done = subprocess.run(words, env=environment(cache), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def of_imports(data: Path, cache: Path) -> dict[str, float]:
    """Milliseconds per package that a fit imports."""
    words = [sys.executable, "-X", "importtime", "-m", "heterodyne_cli", "fit", str(data), "--quiet"]
    done = subprocess.run(words, env=environment(cache), capture_output=True, text=True, check=True)
    spent: defaultdict[str, float] = defaultdict(float)
    for own, name in re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", done.stderr):
        spent[name.split(".")[0]] += int(own) / 1e3
    return spent


def main() -> None:
    """Print the tables."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = het.simulate(frames=300, noise=0.02, seed=0).save(folder / "data.h5")
        first = [of_jax(data, folder / f"cache-{k}") for k in range(REPEATS)]
        second = [of_jax(data, folder / "cache-0") for _ in range(REPEATS)]
        imports = [of_imports(data, folder / "cache-0") for _ in range(REPEATS)]
    print("\n| seconds of | first | second |\n|---|---|---|")
    for words, event in EVENTS.items():
        row = [f"{np.median([run.get(event, 0.0) for run in runs]):.2f}" for runs in (first, second)]
        print(f"| {words} | {' | '.join(row)} |")
    medians = {package: float(np.median([run[package] for run in imports])) for package in imports[0]}
    print(f"\nimports: {sum(medians.values()):.0f} ms\n\n| package | ms |\n|---|---|")
    for package, spent in sorted(medians.items(), key=lambda one: -one[1])[:12]:
        print(f"| {package} | {spent:.0f} |")


if __name__ == "__main__":
    main()
