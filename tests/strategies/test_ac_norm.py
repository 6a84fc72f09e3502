"""AC-Norm beyond BatchNorm, which is off unless asked for."""

import pytest
import timm
import torch
import torch.nn.functional as F
from support.adapted import adapted_task, fit, images
from support.runs import moved, snapshot

from transfusion_cli.errors import UserError
from transfusion_cli.models.ac_norm import ac_norm_layers
from transfusion_cli.strategies import ACNorm, NormAffine


def expected(x, weight, bias, source, normalise, eps):
    """The definition of the paper on another normalisation, in float64, channel by channel."""
    source_weight, source_bias = source
    y_t, y_s = (b / (w.abs() + eps) for w, b in ((weight, bias), (source_weight, source_bias)))
    mixed_weight, mixed_bias = weight.clone(), bias.clone()
    for i in range(len(weight)):
        logits = -(y_t[i] - y_s).abs()
        row = torch.exp(logits) / torch.exp(logits).sum()
        row = torch.where(row >= row[i], row, 0)
        mixed_weight[i], mixed_bias[i] = row @ weight, row @ bias
    return normalise(x, weight, bias) + normalise(x, mixed_weight, mixed_bias)


@pytest.mark.parametrize(
    ("backbone", "name", "normalise", "shape"),
    [
        ("test_vit", "blocks.2.norm1", lambda x, w, b: F.layer_norm(x, w.shape, w, b, 1e-6), (2, 5, 64)),
        ("test_efficientnet_gn", "blocks.0.0.bn1", lambda x, w, b: F.group_norm(x, 2, w, b, 1e-5), (2, 16, 4, 4)),
    ],
)
def test_it_equals_the_definition(backbone, name, normalise, shape, tmp_path):
    task = adapted_task(tmp_path, ACNorm(norms="all"), backbone)
    task.build()
    layer = ac_norm_layers(task.network)[name].double()
    layer.bn.act = torch.nn.Identity()  # GroupNormAct would hide what is negative
    source = layer.source_weight.clone(), layer.source_bias.clone()
    with torch.no_grad():
        layer.bn.weight.add_(0.3 * torch.randn_like(layer.bn.weight))
        layer.bn.bias.add_(0.3 * torch.randn_like(layer.bn.bias))
        x = torch.randn(shape, dtype=torch.float64)
        want = expected(x, layer.bn.weight, layer.bn.bias, source, normalise, layer.bn.eps)
        torch.testing.assert_close(layer(x), want)


def test_it_trains_with_norm_affine_and_folds_into_the_plain_network(tmp_path):
    task = adapted_task(tmp_path, [ACNorm(norms="all"), NormAffine()])
    task.build()
    assert len(ac_norm_layers(task.network)) == 13
    parts, before = task.transferred.parts, snapshot(task)
    fit(tmp_path, task)
    assert len(parts.scale) == len(parts.shift) == 13
    assert moved(before, snapshot(task)) == {*parts.scale, *parts.shift, *parts.head}
    task.eval()
    with torch.no_grad():
        outputs = task(images())
        task.transfer.finalize(task.network)
        plain = timm.create_model("test_vit", num_classes=1, img_size=32).eval()
        plain.load_state_dict(task.network.state_dict())
        torch.testing.assert_close(plain(images()), outputs, rtol=1e-5, atol=1e-5)


def test_it_is_off_by_default_and_says_what_it_lacks(tmp_path):
    with pytest.raises(UserError, match="needs BatchNorm layers"):
        adapted_task(tmp_path, ACNorm()).build()
    with pytest.raises(UserError, match="needs normalisation layers with pretrained scale and shift"):
        adapted_task(tmp_path, ACNorm(norms="all"), "test_vit4").build()  # RMSNorm has no shift
