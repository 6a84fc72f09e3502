"""Transfer strategies: what is carried over, what changes, what trains."""

from transfusion_cli.strategies.ac_norm import ACNorm
from transfusion_cli.strategies.base import PhasedStrategy, TransferStrategy
from transfusion_cli.strategies.batch_norm_affine import BatchNormAffine
from transfusion_cli.strategies.full_fine_tuning import FullFineTuning
from transfusion_cli.strategies.head_only import HeadOnly
from transfusion_cli.strategies.mean_var_init import MeanVarInit
from transfusion_cli.strategies.plan import Phase
from transfusion_cli.strategies.random_init import RandomInit

__all__ = [
    "ACNorm",
    "BatchNormAffine",
    "FullFineTuning",
    "HeadOnly",
    "MeanVarInit",
    "Phase",
    "PhasedStrategy",
    "RandomInit",
    "TransferStrategy",
]
