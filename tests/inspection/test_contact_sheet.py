import numpy as np
import pytest
from support.tiny import TinyDataModule

from transfusion_cli.errors import UserError
from transfusion_cli.inspection.contact_sheet import choose, contact_sheet, exhibits


def test_classes_come_in_turn_and_patients_once():
    data = TinyDataModule("multiclass", train=48)
    rows = choose(data, "train", 9)
    assert np.bincount(data.samples.targets[rows]).tolist() == [3, 3, 3]
    assert len(set(data.samples.patients[rows])) == len(set(rows)) == 9
    assert (data.samples.split[rows] == "train").all()
    assert choose(TinyDataModule("multiclass", train=48), "train", 9).tolist() == rows.tolist()
    assert choose(TinyDataModule("multiclass", train=48, seed=7), "train", 9).tolist() != rows.tolist()


@pytest.mark.parametrize("kind", ["binary", "multilabel", "multiclass", "ordinal"])
def test_no_more_than_there_are(kind):
    data = TinyDataModule(kind, train=12, other=6)
    assert sorted(choose(data, "val", 100)) == data.samples.rows("val").tolist()
    if kind == "binary":
        assert set(data.samples.targets[choose(data, "train", 2)][:, 0]) == {0, 1}
    with pytest.raises(UserError, match="predict split is empty"):
        choose(data, "predict", 3)


def test_images_are_those_of_training():
    data = TinyDataModule("binary", train=16, other=8, batch_size=16, image_size=20)
    rows = choose(data, "train", 3)
    shown = exhibits(data, rows, "train", epochs=2)
    loader = data.train_dataloader()
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)
        [batch] = list(loader)
        for exhibit in shown:
            trained = batch["image"][batch["index"] == exhibit.row][0, 0].numpy()
            np.testing.assert_array_equal(exhibit.images[2 + epoch], trained)
    assert [image.shape for image in shown[0].images] == [(16, 16)] + 3 * [(20, 20)]
    np.testing.assert_array_equal(shown[0].images[0], data.images[rows[0]])


def test_other_splits_and_plain_training_are_not_augmented():
    data = TinyDataModule("binary", augmentation=None)
    assert len(exhibits(data, choose(data, "train", 1), "train", 3)[0].images) == 2
    data = TinyDataModule("binary")
    assert len(exhibits(data, choose(data, "test", 1), "test", 3)[0].images) == 2


def test_the_sheet_says_what_it_shows():
    data = TinyDataModule("multilabel")
    rows = choose(data, "train", 4)
    figure = contact_sheet(data, exhibits(data, rows, "train", 2), "train")
    assert len(figure.axes) == 4 * 5
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    for row, labels, facts in zip(rows, texts[::2], texts[1::2], strict=True):
        target = data.samples.targets[row]
        expected = [name for name, value in zip("abc", target, strict=True) if value == 1] or ["no label"]
        assert labels.split("\n") == expected
        assert f"patient {data.samples.patients[row]}" in facts and "16 x 16, grey" in facts
    titles = [axes.get_title() for axes in figure.axes[1:5]]
    assert titles == ["as read", "stretch, 16 x 16", "training, epoch 1", "training, epoch 2"]
