"""Transfer strategies: what is carried over, what changes, what trains."""

from transfusion_cli.strategies.ac_norm import ACNorm
from transfusion_cli.strategies.adapt_former import AdaptFormer
from transfusion_cli.strategies.auto_rgn import AutoRGN
from transfusion_cli.strategies.base import PhasedStrategy, TransferStrategy
from transfusion_cli.strategies.batch_norm_affine import BatchNormAffine
from transfusion_cli.strategies.bi_tuning import BiTuning
from transfusion_cli.strategies.bias_only import BiasOnly
from transfusion_cli.strategies.bss import BSS
from transfusion_cli.strategies.co_tuning import CoTuning
from transfusion_cli.strategies.delta import DELTA
from transfusion_cli.strategies.full_fine_tuning import FullFineTuning
from transfusion_cli.strategies.gabor_init import GaborInit
from transfusion_cli.strategies.gradual_unfreezing import GradualUnfreezing
from transfusion_cli.strategies.head_only import HeadOnly
from transfusion_cli.strategies.l2_sp import L2SP
from transfusion_cli.strategies.layer_scale_only import LayerScaleOnly
from transfusion_cli.strategies.layerwise_decay import LayerwiseDecay
from transfusion_cli.strategies.lora import LoRA
from transfusion_cli.strategies.lwf import LWF
from transfusion_cli.strategies.mean_var_init import MeanVarInit
from transfusion_cli.strategies.norm_affine import NormAffine
from transfusion_cli.strategies.plan import Phase
from transfusion_cli.strategies.random_init import RandomInit
from transfusion_cli.strategies.reinitialise import Reinitialise
from transfusion_cli.strategies.slim_hybrid import SlimHybrid
from transfusion_cli.strategies.ssf import SSF
from transfusion_cli.strategies.stoch_norm import StochNorm
from transfusion_cli.strategies.surgical_fine_tuning import SurgicalFineTuning
from transfusion_cli.strategies.truncate import Truncate
from transfusion_cli.strategies.visual_prompt_tuning import VisualPromptTuning
from transfusion_cli.strategies.weight_transfusion import WeightTransfusion

__all__ = [
    "BSS",
    "DELTA",
    "L2SP",
    "LWF",
    "SSF",
    "ACNorm",
    "AdaptFormer",
    "AutoRGN",
    "BatchNormAffine",
    "BiTuning",
    "BiasOnly",
    "CoTuning",
    "FullFineTuning",
    "GaborInit",
    "GradualUnfreezing",
    "HeadOnly",
    "LayerScaleOnly",
    "LayerwiseDecay",
    "LoRA",
    "MeanVarInit",
    "NormAffine",
    "Phase",
    "PhasedStrategy",
    "RandomInit",
    "Reinitialise",
    "SlimHybrid",
    "StochNorm",
    "SurgicalFineTuning",
    "TransferStrategy",
    "Truncate",
    "VisualPromptTuning",
    "WeightTransfusion",
]
