"""Whether shards agree with the posterior of all data: 1, 4 and 12 shards of tiles and of pairs, 3 × 300².

9 parameters vary. Printed are, over the parameters, the largest difference of the means from those of one shard in
its standard deviations, the largest deviation of the ratio of standard deviations from 1, and the largest
difference of correlations. ``--uncorrected`` adds what combining alone gives, without the correction by the posterior
of all data. The same figures of one shard sampled with another seed are what Monte Carlo alone makes.

    python benchmarks/shards.py [--shards 4 12] [--partitions tiles pairs] [--frames 300] [--draws 1000] [--uncorrected]
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

import heterodyne as het

HELD = ("D_offset_ref", "D_offset_sample", "v_offset", "f2", "f3")
LOGARITHMIC = ("D0_ref", "D0_sample", "v0")


class Moments:
    """Means, standard deviations and correlations of the draws, of logarithms where parameters are moved so."""

    def __init__(self, fit: het.Fit):
        rows = zip(fit.posterior.names, fit.posterior.flat.T, strict=True)
        columns = np.array([np.log(x) if name in LOGARITHMIC else x for name, x in rows])
        self.mean, self.sd = columns.mean(axis=1), columns.std(axis=1)
        self.correlation = np.corrcoef(columns)

    def against(self, other: Moments) -> str:
        """The largest differences from another one, as cells of a table."""
        mean = np.max(np.abs(self.mean - other.mean) / other.sd)
        sd = np.max(np.abs(self.sd / other.sd - 1.0))
        correlation = np.max(np.abs(self.correlation - other.correlation))
        return f"{mean:.3f} | {100 * sd:.1f} % | {correlation:.3f}"


def sampled(data: het.TwoTime, held: dict[str, float], **options: Any) -> tuple[het.Fit, float]:
    """A posterior, and the seconds that it took."""
    began = time.perf_counter()
    fit = het.fit(data, optimizer="cmc", fix=held, options={"warmup": 300, **options})
    return fit, time.perf_counter() - began


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shards", type=int, nargs="+", default=[4, 12])
    parser.add_argument("--partitions", nargs="+", default=["tiles", "pairs"])
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--uncorrected", action="store_true")
    wanted = parser.parse_args()
    data = het.simulate(frames=wanted.frames, noise=0.02, seed=0)
    held = {name: data.provenance["truth"]["params"][name] for name in HELD}
    draws = {"draws": wanted.draws}
    one, seconds = sampled(data, held, **draws)
    whole = Moments(one)
    print("| shards | s | verdict | acceptance | means off / sd | sds off | correlations off |")
    print("|---|---|---|---|---|---|---|")
    print(f"| 1 | {seconds:.0f} | {one.verdict} | - | - | - | - |", flush=True)
    other, seconds = sampled(data, held, seed=1, **draws)
    print(
        f"| 1, another seed | {seconds:.0f} | {other.verdict} | - | {Moments(other).against(whole)} |",
        flush=True,
    )
    for partition in wanted.partitions:
        for count in wanted.shards:
            for refine in (True, False) if wanted.uncorrected else (True,):
                fit, seconds = sampled(data, held, shards=count, partition=partition, refine=refine, **draws)
                accepted = fit.statistics.get("acceptance")
                share = "not corrected" if accepted is None else f"{accepted:.2f}"
                figures = Moments(fit).against(whole)
                print(
                    f"| {count}, {partition} | {seconds:.0f} | {fit.verdict} | {share} | {figures} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
