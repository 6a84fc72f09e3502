"""Weights that stay near their start."""

import torch
from support.regularised import a_batch, built, check_whole_life, refused, term
from support.runs import snapshot

from transfusion_cli.strategies import L2SP, ACNorm, HeadOnly


def test_the_term_is_that_of_the_paper(tmp_path):
    task = built(tmp_path, L2SP(alpha=0.3, beta=0.7))
    start = snapshot(task)
    with torch.no_grad():
        for parameter in task.network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    expected = torch.zeros((), dtype=torch.float64)
    for name, parameter in task.network.named_parameters():
        if name.startswith("fc."):
            expected += 0.7 / 2 * (parameter.detach() ** 2).sum()
        else:
            expected += 0.3 / 2 * ((parameter.detach() - start[name]) ** 2).sum()
    torch.testing.assert_close(term(task, a_batch(task)).detach(), expected, rtol=1e-12, atol=0)


def test_renamed_and_frozen_parameters(tmp_path):
    task = built(tmp_path, [ACNorm(), L2SP(), HeadOnly()])
    head = task.network.fc
    expected = 0.005 * (head.weight.square().sum() + head.bias.square().sum())
    torch.testing.assert_close(term(task, a_batch(task)), expected)
    moving = built(tmp_path, [ACNorm(), L2SP(beta=0.0)])
    with torch.no_grad():
        moving.network.bn1.bn.weight.add_(0.5)
    torch.testing.assert_close(term(moving, a_batch(moving)).item(), 0.005 * 16 * 0.25)


def test_whole_life(tmp_path):
    check_whole_life(tmp_path, L2SP)


def test_without_pretrained_weights(tmp_path):
    refused(tmp_path, L2SP(), "nothing was carried over", pretrained=False)
