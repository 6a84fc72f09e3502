from types import SimpleNamespace

import numpy as np
import pytest
from support.tiny import TinyDataModule

from transfusion_cli.errors import UserError


def ready(**kwargs):
    data = TinyDataModule(**kwargs)
    data.setup("fit")
    return data


def test_size_comes_from_the_option_or_the_model():
    data = TinyDataModule(image_size=None)
    assert data.size == (224, 224)
    told = TinyDataModule(image_size=None)
    told.network_size = (20, 24)
    assert told.size == (20, 24)
    data.trainer = SimpleNamespace(lightning_module=SimpleNamespace(input_size=(20, 24)))
    assert data.size == (20, 24)
    assert TinyDataModule(image_size=(12, 10)).size == (12, 10)
    assert TinyDataModule(image_size=12).size == (12, 12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"train_fraction": 0.0}, "train_fraction must lie between 0 and 1"),
        ({"val_fraction": 1.0}, "val_fraction must lie between 0 and 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"train_size": 1000}, "train_size 1000 is more than the 48 samples"),
        ({"train_size": 1}, "No training sample has"),
        ({"augmentation": ["HorizontalFlipp"]}, "Did you mean HorizontalFlip"),
    ],
)
def test_mistakes(options, message):
    with pytest.raises(UserError, match=message):
        ready(kind="multiclass", **options)


def test_label_missing_from_a_subset_is_a_warning(caplog):
    ready(kind="multilabel", train_size=1)
    assert "No training sample has" in caplog.text


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
