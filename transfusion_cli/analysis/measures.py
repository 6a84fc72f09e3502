"""The similarity measures by name."""

from collections.abc import Callable, Mapping

from transfusion_cli.analysis.cca import mean_cca, pwcca, svcca
from transfusion_cli.analysis.cka import biased_cka, cka
from transfusion_cli.analysis.procrustes import procrustes
from transfusion_cli.analysis.score import Score
from transfusion_cli.analysis.streaming import PairMoments

MEASURES: Mapping[str, Callable[[PairMoments], Score]] = {
    "cca": mean_cca,
    "svcca": svcca,
    "pwcca": pwcca,
    "cka": cka,
    "cka_biased": biased_cka,
    "procrustes": procrustes,
}
"""Each with its usual options; all of them work on the same moments."""
