"""The output of `cmc` keeps what every output has to keep."""

from dataclasses import replace

import numpy as np

from heterodyne.result.fit import Fit
from heterodyne.testing import WriterConformance
from heterodyne_cmc.posterior import Posterior
from made_up_draws import blocks_of


class TestPosterior(WriterConformance):
    writer = "posterior"

    def result(self) -> Fit:
        rng, fit = np.random.default_rng(0), super().result()
        values = rng.normal(2.0, 0.02, (2, 50, 2))
        contrast, offset, noise = rng.normal(1.0, 0.01, (3, 2, 50, 2))
        names = ("accept_prob", "num_steps", "energy", "potential_energy")
        of_draws = {name: rng.random((2, 50)) for name in names} | {"diverging": np.zeros((2, 50), bool)}
        posterior = Posterior(
            ("along", "across"), values, contrast, offset, noise, blocks_of(2, 50), of_draws
        )
        statistics = {**fit.statistics, "ssr_per_bin": [0.17, 0.17]}
        return replace(fit, posterior=posterior, statistics=statistics)
