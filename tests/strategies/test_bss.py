"""The smallest singular values of features."""

import numpy as np
import pytest
import torch
from support.regularised import a_batch, built, check_whole_life, term
from support.runs import make_segmentation

from transfusion_cli.errors import UserError
from transfusion_cli.strategies import BSS


@pytest.mark.parametrize(("k", "size"), [(1, 6), (3, 6), (9, 4)])
def test_the_term_is_that_of_the_paper(k, size, tmp_path):
    task = built(tmp_path, BSS(weight=0.5, k=k), dropout=0.0)
    batch = a_batch(task, size)
    features = task.network.forward_head(task.network.forward_features(batch["image"]), pre_logits=True)
    found = term(task, batch)
    matrix = features.detach().numpy()
    squares = np.sort(np.linalg.eigvalsh(matrix @ matrix.T))[: min(k, size)]
    np.testing.assert_allclose(found.item(), 0.5 * squares.sum(), rtol=1e-9)


def test_its_gradient_shrinks_the_smallest(tmp_path):
    task = built(tmp_path, BSS(weight=1.0))
    batch = a_batch(task)
    before = term(task, batch)
    before.backward()
    with torch.no_grad():
        for parameter in task.network.parameters():
            if parameter.grad is not None:
                parameter -= 1e-3 * parameter.grad / before.detach()
    assert term(task, batch) < before
    assert task.network.fc.weight.grad is None


def test_whole_life(tmp_path):
    check_whole_life(tmp_path, BSS)


def test_none_at_all_is_refused():
    with pytest.raises(UserError, match="at least one"):
        BSS(k=0)


def test_segmentation_is_refused(tmp_path):
    task = make_segmentation(tmp_path, BSS())
    task.build()
    with pytest.raises(UserError, match="linear classifier") as error:
        task.transfer.strategies[0].on_fit_start(None, task)
    assert len(str(error.value).splitlines()) == 2
