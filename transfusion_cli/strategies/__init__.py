"""Transfer strategies: what is carried over, what changes, what trains."""

from transfusion_cli.strategies.ac_norm import ACNorm
from transfusion_cli.strategies.base import PhasedStrategy, TransferStrategy
from transfusion_cli.strategies.batch_norm_affine import BatchNormAffine
from transfusion_cli.strategies.full_fine_tuning import FullFineTuning
from transfusion_cli.strategies.gabor_init import GaborInit
from transfusion_cli.strategies.head_only import HeadOnly
from transfusion_cli.strategies.mean_var_init import MeanVarInit
from transfusion_cli.strategies.plan import Phase
from transfusion_cli.strategies.random_init import RandomInit
from transfusion_cli.strategies.reinitialise import Reinitialise
from transfusion_cli.strategies.slim_hybrid import SlimHybrid
from transfusion_cli.strategies.truncate import Truncate
from transfusion_cli.strategies.weight_transfusion import WeightTransfusion

__all__ = [
    "ACNorm",
    "BatchNormAffine",
    "FullFineTuning",
    "GaborInit",
    "HeadOnly",
    "MeanVarInit",
    "Phase",
    "PhasedStrategy",
    "RandomInit",
    "Reinitialise",
    "SlimHybrid",
    "TransferStrategy",
    "Truncate",
    "WeightTransfusion",
]
