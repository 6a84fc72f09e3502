import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer
from support.tiny import TinyDataModule

from transfusion_cli.data.sampler import balanced_chances


def ready(**kwargs):
    data = TinyDataModule(**kwargs)
    data.setup("fit")
    return data


@pytest.mark.parametrize("kind", ["binary", "multilabel", "multiclass"])
def test_batches_fit_the_table(kind):
    data = ready(kind=kind)
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (8, 1, 16, 16)
    np.testing.assert_array_equal(batch["target"].numpy(), data.samples.targets[batch["index"].numpy()])


def test_augmentation_is_the_same_with_workers_and_without():
    loaders = [ready(num_workers=workers).train_dataloader() for workers in (0, 2)]
    for loader in loaders:
        loader.sampler.set_epoch(3)
    for one, two in zip(*loaders, strict=True):
        np.testing.assert_array_equal(one["image"], two["image"])
        np.testing.assert_array_equal(one["index"], two["index"])


def test_training_is_augmented_and_the_rest_is_not():
    data = ready()
    for split in ("val", "test", "train"):
        for batch in data.fixed_dataloader(split):
            np.testing.assert_array_equal(batch["image"][:, 0], data.images[batch["index"].numpy()])
    train = next(iter(data.train_dataloader()))
    assert (train["image"][:, 0].numpy() != data.images[train["index"].numpy()]).any()
    plain = next(iter(ready(augmentation=None).train_dataloader()))
    np.testing.assert_array_equal(plain["image"][:, 0], data.images[plain["index"].numpy()])


def test_balanced_sampling():
    data = ready(kind="binary", train=200, balanced=True)
    rows = data.samples.rows("train")
    assert data.samples.targets[rows].mean() < 0.4
    drawn = []
    loader = data.train_dataloader()
    for epoch in range(20):
        loader.sampler.set_epoch(epoch)
        drawn.append(data.samples.targets[rows[loader.sampler.global_order()]].mean())
    assert 0.47 < np.mean(drawn) < 0.53


def test_balanced_sampling_of_several_labels_evens_them_out():
    data = ready(kind="multilabel", train=300, balanced=True)
    targets = data.samples.targets[data.samples.rows("train")]
    weights = balanced_chances(targets)
    plain = np.abs(np.nanmean(targets, axis=0) - 0.5).mean()
    known = ~np.isnan(targets)
    balanced = (np.nan_to_num(targets) * weights[:, None]).sum(0) / (known * weights[:, None]).sum(0)
    assert np.abs(balanced - 0.5).mean() < plain


class Echo(LightningModule):
    """Predicts the row of each sample."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, batch_idx):
        return self.layer(batch["index"][:, None].float()).mean()

    def predict_step(self, batch, batch_idx):
        return batch["index"]

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


def trainer(tmp_path, **options):
    return Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, use_distributed_sampler=False, default_root_dir=tmp_path, **options,
    )  # fmt: skip


@pytest.mark.parametrize("split", ["val", "test"])
def test_prediction_sees_each_sample_once_in_order(tmp_path, split):
    data = TinyDataModule(predict_split=split, batch_size=7)
    rows = torch.cat(trainer(tmp_path).predict(Echo(), data))
    assert rows.tolist() == data.samples.rows(split).tolist()


def test_overfitting_stays_within_the_training_split(tmp_path):
    module = Echo()
    seen = []
    module.on_train_batch_start = lambda batch, batch_idx: seen.extend(batch["index"].tolist())
    data = TinyDataModule()
    trainer(tmp_path, overfit_batches=2, max_epochs=2).fit(module, data)
    assert seen == data.samples.rows("train")[:16].tolist() * 2
