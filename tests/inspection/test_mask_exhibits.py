"""Contact sheets of cases with masks."""

import numpy as np
import pytest
from support.drawn_cases import DrawnCases, DrawnReader

from transfusion_cli.errors import UserError
from transfusion_cli.inspection.contact_sheet import choose, contact_sheet, exhibits


def test_the_mask_is_painted_where_it_is():
    data = DrawnCases()
    rows = choose(data, "train", 3)
    assert len(set(rows)) == 3 and len(set(data.samples.patients[rows])) == 2
    for exhibit in exhibits(data, rows, "train", 2):
        plain, marked, *patches = exhibit.images
        truth = DrawnReader(2).read(exhibit.row).truth
        assert np.array_equal((plain != marked).any(axis=2), truth > 0)
        assert [patch.shape for patch in patches] == 2 * [(16, 16, 3)]
        assert exhibit.labels[0] == f"box {(truth == 1).mean():.2%}"


def test_patches_are_those_of_training():
    data = DrawnCases(patches_per_case=2, foreground=0)
    (exhibit,) = exhibits(data, data.samples.rows("train")[2:3], "train", 2)
    for epoch in range(2):
        sample = data.training_set()[(4, epoch)]
        free = (sample["target"] == 0).numpy()
        assert np.array_equal(exhibit.images[2 + epoch][free][:, 0], sample["image"][0].numpy()[free])


@pytest.mark.parametrize("dims", [2, 3])
def test_the_sheet_says_what_it_shows(dims):
    data = DrawnCases(dims)
    figure = contact_sheet(data, exhibits(data, choose(data, "train", 2), "train", 1), "train")
    titles = [axes.get_title() for axes in figure.axes[1:4]]
    assert titles == ["as read", "with its mask", f"patch {' x '.join(['16'] * dims)}, epoch 1"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["box", "core"]
    assert "box" in figure.axes[0].texts[0].get_text()


def test_planes_show_most_of_the_mask_in_the_shape_of_the_patient():
    class Flat(DrawnReader):
        def read(self, row):
            case = super().read(row)
            case.spacing[0] = 3
            return case

    class Data(DrawnCases):
        def stored_reader(self, split):
            return Flat(3)

    data = Data(3)
    (exhibit,) = exhibits(data, data.samples.rows("test")[:1], "test", 3)
    depth, height, width = DrawnReader(3).read(exhibit.row).truth.shape
    assert len(exhibit.images) == 2, "no patches but of training"
    assert exhibit.images[0].shape == (max(height, 3 * depth), 2 * width + height, 3)
    axial = (exhibit.images[0] != exhibit.images[1]).any(axis=2)[:height, :width]
    truth = DrawnReader(3).read(exhibit.row).truth > 0
    assert np.array_equal(axial, truth[truth.sum((1, 2)).argmax()])
    assert "1 x 1 mm" in exhibit.facts[1]


def test_what_cannot_be_read_is_crossed_out():
    class Broken(DrawnCases):
        def stored_reader(self, split):
            raise_for = self.samples.rows(split)[0]

            class Reader(DrawnReader):
                def read(self, row):
                    if row == raise_for:
                        raise UserError("Not readable: x.png\nIt is cut off\nMend it")
                    return super().read(row)

            return Reader(2)

    data = Broken()
    first, second = exhibits(data, data.samples.rows("train")[:2], "train", 1)
    assert first.reason == "Not readable: x.png\nIt is cut off" and first.facts == ["cannot be read"]
    assert len(first.images) == len(second.images) == 3 and not second.reason
    contact_sheet(data, [first, second], "train").canvas.draw()
