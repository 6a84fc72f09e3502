import pytest
import timm
import torch

from transfusion_cli.errors import UserError
from transfusion_cli.models.cbr import PLANS, CBRPlan

# Trainable parameters for three channels and five classes, and the figures of the paper's table (from its kernels).
REAL = {
    "cbr_larget": 8_539_173,
    "cbr_largew": 8_443_461,
    "cbr_small": 2_114_341,
    "cbr_tiny": 1_079_845,
    "cbr_tiny_text": 4_310_085,
}
TABLE = {
    "cbr_larget": 8_532_480,
    "cbr_largew": 8_432_128,
    "cbr_small": 2_108_672,
    "cbr_tiny": 1_076_480,
    "cbr_tiny_text": 4_303_360,
}


def in_the_table(plan: CBRPlan) -> int:
    """Parameters as the paper counts them: kernels of all blocks but the first, and a head of five without bias."""
    pairs = zip(plan.widths, plan.widths[1:], strict=False)
    return plan.kernel**2 * sum(a * b for a, b in pairs) + 5 * plan.widths[-1]


@pytest.mark.parametrize("name", PLANS)
def test_parameters(name):
    network = timm.create_model(name, num_classes=5)
    assert sum(p.numel() for p in network.parameters()) == REAL[name]
    assert in_the_table(PLANS[name]) == TABLE[name]


@pytest.mark.parametrize(
    ("name", "padding", "side", "smallest"),
    [
        ("cbr_larget", "same", 13, 31),
        ("cbr_larget", "valid", 1, 217),
        ("cbr_largew", "valid", 7, 121),
        ("cbr_small", "valid", 7, 121),
        ("cbr_tiny", "valid", 9, 91),
        ("cbr_tiny", "same", 13, 31),
    ],
)
def test_sides_of_the_last_map(name, padding, side, smallest):
    with torch.device("meta"):
        network = timm.create_model(name, padding=padding, num_classes=5).eval()
        assert network.forward_features(torch.zeros(1, 3, 224, 224)).shape[-1] == side
        assert network.smallest_input == smallest
        assert network(torch.zeros(1, 3, smallest, smallest)).shape == (1, 5)
        with pytest.raises(UserError, match=f"--data.image_size {smallest}"):
            network(torch.zeros(1, 3, smallest + 9, smallest - 1))


def test_timm_interface():
    features = timm.create_model("cbr_tiny", features_only=True, in_chans=1)
    maps = features(torch.zeros(2, 1, 64, 64))
    assert [m.shape[1] for m in maps] == features.feature_info.channels() == [32, 64, 128, 256]
    network = timm.create_model("cbr_tiny", num_classes=0)
    assert network(torch.zeros(2, 3, 40, 40)).shape == (2, 256)
    network.reset_classifier(3)
    assert network(torch.zeros(2, 3, 40, 40)).shape == (2, 3)
    with pytest.raises(UserError, match="same or valid"):
        timm.create_model("cbr_tiny", padding="full")
