"""Predictions of images and of their mirror images, averaged where they are asked for and nowhere else."""

import pytest
import torch
from support.runs import make_task, make_trainer
from support.tiny import TinyDataModule


def one(tmp_path, mirror, kind="multiclass"):
    torch.manual_seed(0)
    task = make_task(tmp_path, kind=kind, mirror=mirror)
    task.build()
    return task


@pytest.mark.parametrize("verb", ["test", "validate", "predict"])
def test_mean_of_logits_of_an_image_and_its_mirror_image(tmp_path, verb):
    data = TinyDataModule("multiclass", train=8, other=12, predict_split="test")
    task, plain = one(tmp_path, True), one(tmp_path, False)
    plain.load_state_dict(task.state_dict())
    trainer = make_trainer(tmp_path)
    found = {}
    for name, each in (("mirror", task), ("plain", plain)):
        getattr(trainer, verb)(each, data, **({} if verb == "predict" else {"verbose": False}))
        found[name] = each.evaluation.probabilities
    data.images = data.images[:, :, ::-1].copy()
    getattr(trainer, verb)(plain, data, **({} if verb == "predict" else {"verbose": False}))
    mean = (found["plain"].log() + plain.evaluation.probabilities.log()) / 2
    torch.testing.assert_close(found["mirror"], mean.softmax(dim=1), atol=1e-6, rtol=1e-4)
    assert not torch.allclose(found["mirror"], found["plain"], atol=1e-4)


def test_training_and_its_validation_are_plain(tmp_path):
    monitored, weights = [], []
    for mirror in (False, True):
        task = one(tmp_path, mirror, "binary")
        make_trainer(tmp_path).fit(task, TinyDataModule("binary", train=16, other=12))
        monitored.append(task.validation_metrics)
        weights.append(task.network.state_dict())
    assert monitored[0] == monitored[1]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert one(tmp_path, True).hparams["mirror"] and make_task(tmp_path).mirror is False
