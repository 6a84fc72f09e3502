"""What the data sets of retinal photographs share, on APTOS."""

import numpy as np
import pytest
from support.fundus import save_fundus

from transfusion_cli.datasets import APTOS2019DataModule
from transfusion_cli.errors import UserError


@pytest.fixture
def root(tmp_path):
    rows = ["id_code,diagnosis"]
    for n in range(20):
        save_fundus(tmp_path / f"train_images/{n}.png", n, size=(60, 100), radius=20, centre=(30, 40))
        rows.append(f"{n},{n % 5 if n else ''}")
    (tmp_path / "train.csv").write_text("\n".join(rows))
    return tmp_path


def module(root, **kwargs):
    return APTOS2019DataModule(root=str(root), num_workers=0, image_size=32, **kwargs)


def test_a_blank_grade_is_unknown(root):
    assert module(root).samples.targets[:3].tolist() == [-1, 1, 2]
    targets = module(root, task="referable").samples.targets
    assert targets.dtype == np.float32 and targets.shape == (20, 1)
    np.testing.assert_array_equal(targets[:6, 0], [np.nan, 0, 1, 1, 1, 0])


def test_names_and_kind_of_the_target(root):
    assert (module(root).target, len(module(root).class_names)) == ("ordinal", 5)
    data = module(root, task="referable")
    assert (data.target, data.class_names) == ("binary", ["not referable", "referable"])
    assert "HorizontalFlip" in data.augmentation


def test_images_are_cut_to_the_disc_at_twice_the_size_needed_unless_told_not_to(root):
    def read(**kwargs):
        return module(root, **kwargs).make_reader("train", (32, 32))

    assert read()(0).shape == pytest.approx((40, 40, 3), abs=2)
    assert read().at_least == (64, 64) and read().process.diameter == 64
    plain = read(circle_crop=False)
    assert plain(0).shape == (60, 100, 3) and plain.at_least == (32, 32) and plain.process is None
    even = read(circle_crop=False, local_average=0.1)(0)
    assert even.shape == (60, 100, 3) and (even[:3] == 128).all()
    stored = module(root).make_reader("train", None)
    assert stored(0).shape == (60, 100, 3) and stored.at_least is None and stored.process is None


@pytest.mark.parametrize("value", ["5", "-1", "0.5", "mild"])
def test_grades_that_are_none_are_refused_with_their_row(root, value):
    table = root / "train.csv"
    table.write_text(table.read_text().replace("\n3,3", f"\n3,{value}"))
    with pytest.raises(UserError, match=r"(?s)'diagnosis', row 5 \(1 such rows\).*train\.csv.*0 to 4"):
        _ = module(root).samples


@pytest.mark.parametrize("wrong", [{"local_average": 0}, {"test_fraction": 0}, {"test_fraction": 1}])
def test_values_out_of_range(root, wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        module(root, **wrong)
