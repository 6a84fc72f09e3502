"""How similar two representations are, and how similar they would be by chance, in pure functions."""

from collections.abc import Callable, Mapping

from transfusion_cli.analysis.measures.cca import mean_cca, pwcca, svcca
from transfusion_cli.analysis.measures.cka import biased_cka, cka
from transfusion_cli.analysis.measures.procrustes import procrustes
from transfusion_cli.analysis.measures.score import Score
from transfusion_cli.analysis.measures.streaming import PairMoments

MEASURES: Mapping[str, Callable[[PairMoments], Score]] = {
    "cca": mean_cca,
    "svcca": svcca,
    "pwcca": pwcca,
    "cka": cka,
    "cka_biased": biased_cka,
    "procrustes": procrustes,
}
"""Each with its usual options; all of them work on the same moments."""

TITLES = {
    "cca": "Mean CCA",
    "svcca": "SVCCA",
    "pwcca": "PWCCA",
    "cka": "Linear CKA, unbiased",
    "cka_biased": "Linear CKA, biased",
    "procrustes": "Procrustes",
}
"""What figures and tables call them."""
