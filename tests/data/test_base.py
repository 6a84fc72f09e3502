from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer
from support.tiny import TinyDataModule

from transfusion_cli.data.sampler import balanced_chances
from transfusion_cli.errors import UserError


def ready(**kwargs):
    data = TinyDataModule(**kwargs)
    data.setup("fit")
    return data


def test_size_comes_from_the_option_or_the_model():
    data = TinyDataModule(image_size=None)
    assert data.size == (224, 224)
    data.trainer = SimpleNamespace(lightning_module=SimpleNamespace(input_size=(20, 24)))
    assert data.size == (20, 24)
    assert TinyDataModule(image_size=(12, 10)).size == (12, 10)
    assert TinyDataModule(image_size=12).size == (12, 12)


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


def test_subsets_are_nested_and_leave_validation_alone():
    tables = [ready(train=80, train_fraction=fraction).samples for fraction in (0.1, 0.2, 1.0)]
    trains = [set(table.rows("train").tolist()) for table in tables]
    assert [len(rows) for rows in trains] == [8, 16, 80]
    assert trains[0] < trains[1] < trains[2]
    for table in tables:
        np.testing.assert_array_equal(table.rows("val"), tables[-1].rows("val"))
    patients = [set(table.patients[table.rows("train")]) for table in tables]
    assert [len(names) for names in patients] == [4, 8, 40]  # two images each
    assert len(ready(train=80, train_size=10).samples.rows("train")) == 10
    other = ready(train=80, train_fraction=0.2, seed=1).samples
    assert set(other.rows("train").tolist()) != trains[1]


def test_subset_changes_the_hash():
    assert ready().split_hash == ready().split_hash != ready(train_size=20).split_hash


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"train_fraction": 0.0}, "train_fraction must lie between 0 and 1"),
        ({"val_fraction": 1.0}, "val_fraction must lie between 0 and 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"train_size": 1000}, "train_size 1000 is more than the 48 samples"),
        ({"train_size": 1}, "no training sample has"),
        ({"augmentation": ["HorizontalFlipp"]}, "Did you mean HorizontalFlip"),
    ],
)
def test_mistakes(options, message):
    with pytest.raises(UserError, match=message):
        ready(kind="multiclass", **options)


def test_label_missing_from_a_subset_is_a_warning(caplog):
    ready(kind="multilabel", train_size=1)
    assert "no training sample has" in caplog.text


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


def test_named_samples_are_left_out(tmp_path, caplog):
    (tmp_path / "broken.txt").write_text("s0\n  s3  \n\nno such\n")
    with caplog.at_level("INFO"):
        table = TinyDataModule(exclude=str(tmp_path / "broken.txt")).samples
    assert table.split[[0, 3]].tolist() == ["", ""] and (table.split != "").sum() == len(table) - 2
    assert "2 of 96 samples are left out (3 names in the file)" in caplog.text
    with pytest.raises(UserError, match=r"no file .*nothing.txt"):
        _ = TinyDataModule(exclude=str(tmp_path / "nothing.txt")).samples


def test_what_is_left_out_does_not_change_the_order_of_subsets(tmp_path):
    (tmp_path / "broken.txt").write_text("\n".join(f"s{row}" for row in range(0, 80, 3)))
    plain = TinyDataModule(train=80, train_size=30).samples
    other = TinyDataModule(train=80, train_size=30, exclude=str(tmp_path / "broken.txt")).samples
    kept = {row for row in plain.rows("train").tolist() if row % 3}
    assert kept < set(other.rows("train").tolist()) and len(other.rows("train")) == 30


class ChoosyDataModule(TinyDataModule):
    """Draws its splits; options may leave out samples and take another label than the source's."""

    def __init__(self, unused=None, other=False, **kwargs):
        super().__init__("multiclass", train=120, other=0, **kwargs)
        self.unused, self.changed = unused, other

    def load_samples(self):
        table = super().load_samples()
        table.source_labels, table.unused = table.strata, self.unused
        table.targets = (table.targets + self.changed * np.arange(120)) % 3
        self.hold_out_patients(table, 0.2, "test")
        self.hold_out_patients(table, self.val_fraction, "val")
        return table


def test_draws_count_what_options_leave_out_and_go_by_what_the_source_says():
    unused = np.arange(120) % 5 < 2
    plain = ChoosyDataModule(train_fraction=0.5).samples
    split = dict(zip(plain.ids.tolist(), plain.split.tolist(), strict=True))
    changed = ChoosyDataModule(other=True, train_fraction=0.5).samples
    assert (changed.targets != plain.targets).any() and (changed.split == plain.split).all()
    fewer = ChoosyDataModule(unused, train_fraction=0.5)
    assert len(fewer.samples) == 72 and len(fewer.all_rows) == 72
    trained, before = set(fewer.samples.ids[fewer.samples.rows("train")]), set(plain.ids[plain.rows("train")])
    before &= set(fewer.samples.ids)
    assert trained <= before or before <= trained
    held_out = np.isin(fewer.samples.split, ["val", "test"])
    assert [split[name] for name in fewer.samples.ids[held_out].tolist()] == fewer.samples.split[held_out].tolist()


def test_folds_are_dealt_by_patient():
    data = TinyDataModule(train=80)
    table = data.load_samples()
    fold = data.deal_folds(table, 4)
    assert all(len(set(fold[table.patients == name])) == 1 for name in set(table.patients))
    assert np.bincount(fold).tolist() == [32] * 4


class LeakyDataModule(TinyDataModule):
    """One patient in two splits."""

    leak = ""

    @property
    def known_leak(self):
        return self.leak

    def load_samples(self):
        table = super().load_samples()
        table.patients[-1] = table.patients[0]
        return table


def test_patients_cross_splits_only_where_the_data_module_owns_up(caplog):
    data = LeakyDataModule()
    with pytest.raises(UserError, match="in more than one split"):
        _ = data.samples
    data.leak = "as in a paper"
    assert len(data.samples)
    assert "as in a paper. Its numbers are good for comparison with that paper alone" in caplog.text


class UnlabelledDataModule(TinyDataModule):
    """Its last images have no labels."""

    def load_samples(self):
        table = super().load_samples()
        table.split[-4:] = "predict"
        table.targets[-4:] = np.nan
        return table


def test_images_without_labels_are_for_prediction_alone():
    data = UnlabelledDataModule(predict_split="predict")
    data.setup("predict")
    (batch,) = data.predict_dataloader()
    assert batch["index"].tolist() == [92, 93, 94, 95] and batch["target"].isnan().all()
    assert len(data.samples.rows("test")) == 20
