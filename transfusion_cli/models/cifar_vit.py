"""A vision transformer (Dosovitskiy et al. 2021) for images of CIFAR's size, registered with timm.

``cifar_vit6`` is timm's own ``VisionTransformer`` with patches of 4 pixels and six blocks of width 96: 0.67 million
parameters, what foundation models have (class token, position embeddings, LayerScale), and a step in milliseconds.
"""

from pathlib import Path
from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn

from transfusion_cli.models.pooled_classifier import register

PLANS: dict[str, dict[str, Any]] = {
    "cifar_vit6": {"img_size": 32, "patch_size": 4, "embed_dim": 96, "depth": 6, "num_heads": 3, "init_values": 1.0}
}
"""Name to arguments of ``VisionTransformer``."""

CFG: dict[str, Any] = {
    "num_classes": 10,
    "input_size": (3, 32, 32),
    "fixed_input_size": True,
    "crop_pct": 1.0,
    "interpolation": "bilinear",
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "first_conv": "patch_embed.proj",
    "classifier": "head",
}
# The weights that come with the package; mean and std are those in the file's metadata.
TEXTURES_CFG: dict[str, Any] = CFG | {
    "file": str(Path(__file__).parents[1] / "weights" / "cifar_vit6_textures.safetensors"),
    "num_classes": 20,
    "mean": (0.4459, 0.4454, 0.4467),
    "std": (0.2052, 0.2051, 0.2053),
}
# As for the CIFAR ResNets, the bare name means no weights.
default_cfgs = generate_default_cfgs({"cifar_vit6.textures": TEXTURES_CFG, "cifar_vit6.untrained*": CFG})


def _create(name: str, pretrained: bool, **kwargs: Any) -> VisionTransformer:
    return build_model_with_cfg(
        VisionTransformer,
        name,
        pretrained,
        pretrained_filter_fn=checkpoint_filter_fn,
        feature_cfg={"out_indices": kwargs.pop("out_indices", 3), "feature_cls": "getter"},
        **PLANS[name] | kwargs,
    )


for _name in PLANS:
    register(_name, _create)
