import shutil

import numpy as np
import pytest
from support.lidc import build, patient

from transfusion_cli.datasets import LIDCDataModule
from transfusion_cli.errors import UserError


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("lidc"), patients=6)


def module(root, **kwargs):
    given = {"num_workers": 0, "batch_size": 2, "cube": 12.0, "test_fraction": 0.3, "val_fraction": 0.3} | kwargs
    return LIDCDataModule(root=str(root), **given)


def test_a_row_a_nodule_that_enough_readers_agree_on(root):
    table = module(root).samples
    assert len(table) == 7 * 2
    assert table.targets[:, 0].sum() == 7 and not np.isnan(table.targets).any()
    assert len(module(root, min_readers=2).samples) == 7 * 3
    assert len(set(table.ids)) == 14


def test_patients_stay_together_and_options_change_no_draw(root):
    few, many = (module(root, min_readers=readers).samples for readers in (4, 1))
    for table in (few, many):
        table.check_disjoint("here")
        assert len(set(table.patients)) == 6
    sides = [dict(zip(table.patients.tolist(), table.split.tolist(), strict=True)) for table in (few, many)]
    assert sides[0] == sides[1] and set(sides[0].values()) == {"train", "val", "test"}
    assert (few.patients == patient(5)).sum() == 4  # of two scans


def test_cubes_show_nodules_in_their_middle(root):
    data = module(root, min_readers=2)
    reader = data.make_reader("train", data.size)
    for row in range(len(data.samples)):
        cube = reader(row)
        assert cube.shape == (12, 12, 12) and cube[5:7, 5:7, 5:7].min() > 150 and cube[0, 0, 0] < 60


def test_diameters_tell_malignancy_here(root):
    data = module(root)
    rows = np.arange(len(data.samples))
    sizes, labels = data.sizes(rows), data.samples.targets[:, 0]
    assert sizes[labels == 1].min() > sizes[labels == 0].max() > 6


def test_annotations_in_a_folder_of_their_own(root, tmp_path):
    copy = shutil.copytree(root, tmp_path / "copy")
    (copy / "tcia-lidc-xml" / "157").mkdir(parents=True)
    for path in sorted((copy / "LIDC-IDRI").rglob("*.xml")):
        path.rename(copy / "tcia-lidc-xml" / "157" / path.name)
    # The folder of patients is where its annotations are looked for, and those beside it are found too.
    assert len(module(copy).samples) == 14


def test_series_and_annotations_that_are_not_there(root, tmp_path, caplog):
    copy = shutil.copytree(root, tmp_path / "copy")
    folders = sorted((copy / "LIDC-IDRI").glob("*/*/3000*"))
    next(folders[1].glob("*.xml")).unlink()
    for path in folders[2].glob("*.dcm"):
        path.unlink()
    assert len(module(copy).samples) == 10
    assert "1 of 6 CT series" in caplog.text and "1 of 6 XML files" in caplog.text
    for path in copy.rglob("*.xml"):
        path.unlink()
    with pytest.raises(UserError, match=r"(?s)LIDC: no nodules in .*cancerimagingarchive"):
        module(copy).setup("fit")


def test_slices_of_another_kind(root, tmp_path):
    import pydicom

    copy = shutil.copytree(root, tmp_path / "copy")
    first = sorted((copy / "LIDC-IDRI").glob("*/*/3000*"))[0] / "1-001.dcm"
    file = pydicom.dcmread(first)
    file.ImageOrientationPatient = [1, 0, 0, 0, 0, 1]
    file.save_as(first)
    with pytest.raises(UserError, match="do not lie across the body"):
        _ = module(copy).samples
