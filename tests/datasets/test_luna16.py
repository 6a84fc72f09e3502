import logging
import shutil

import numpy as np
import pytest
from support.layouts.luna16 import NODULE, build, series

from transfusion_cli.data.cache.build import build_cache
from transfusion_cli.datasets import LUNA16DataModule
from transfusion_cli.datasets.families.cubes import windowed
from transfusion_cli.errors import UserError


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("luna"))


@pytest.fixture
def copy(root, tmp_path):
    return shutil.copytree(root, tmp_path / "copy")


def module(root, **kwargs):
    given = {"patients": str(root / "metadata.csv"), "num_workers": 0, "batch_size": 4, "cube": 12.0} | kwargs
    return LUNA16DataModule(root=str(root), **given)


def test_one_row_a_candidate(root):
    data = module(root)
    table = data.samples
    assert len(table) == 48 and data.size == (12, 12, 12)
    np.testing.assert_array_equal(table.targets[:, 0], np.arange(48) % 2)
    assert set(table.patients[table.rows("test")]) == {f"LIDC-IDRI-{k:04d}" for k in (8, 9, 10, 1)}


def test_cubes_show_the_candidate_in_their_middle_whatever_way_the_scan_lies(root):
    data = module(root)
    reader = data.make_reader("train", data.size)
    bright = windowed(np.array([NODULE]), data.window)[0]
    for row, label in enumerate(data.samples.targets[:, 0]):
        middle = reader(row)[5:7, 5:7, 5:7]
        assert (abs(middle.astype(int) - bright) < 30).all() if label else (middle < 100).any(), row


def test_scans_of_a_test_patient_train_nothing(root, caplog):
    with caplog.at_level(logging.WARNING):
        table = module(root).samples
    assert "1 scans of test patients lie in other subsets" in caplog.text
    assert (table.split[4:8] == "").all() and (table.patients[4:8] == "LIDC-IDRI-0001").all()
    table.check_disjoint("here")


def test_without_a_table_scans_stand_for_patients(root, caplog):
    table = module(root, patients=None).samples
    assert "eight of whom have two scans" in caplog.text and "--data.patients" in caplog.text
    assert len(set(table.patients)) == 12 and not (table.split == "").any()
    assert series(0).endswith(table.patients[0])


def test_patients_of_pylidcs_table_and_of_dicom_headers(root, tmp_path):
    from support.images import save_dicom

    rows = [f"{k},LIDC-IDRI-{k // 2:04d},{series(k)}" for k in range(12)]
    (tmp_path / "scans.csv").write_text("\n".join(["id,patient_id,series_instance_uid", *rows]) + "\n")
    by_table = module(root, patients=str(tmp_path / "scans.csv")).samples.patients
    for k in range(12):
        facts = {"Modality": "CT", "SeriesInstanceUID": series(k), "PatientID": f"LIDC-IDRI-{k // 2:04d}"}
        save_dicom(tmp_path / "LIDC" / str(k) / "1-01.dcm", np.zeros((4, 4), np.uint16), 12, **facts)
    by_header = module(root, patients=str(tmp_path / "LIDC")).samples.patients
    np.testing.assert_array_equal(by_table, by_header)
    assert len(set(by_table)) == 6


@pytest.mark.parametrize(
    ("write", "message"),
    [("a,b\n1,2\n", "tells no patients of series"), (None, "--data.patients is not there")],
)
def test_tables_that_tell_no_patients(root, tmp_path, write, message):
    if write:
        (tmp_path / "table.csv").write_text(write)
    with pytest.raises(UserError, match=message):
        _ = module(root, patients=str(tmp_path / "table.csv")).samples


def test_series_that_the_table_leaves_out(copy, caplog):
    path = copy / "metadata.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-2]) + "\n")
    assert len(set(module(copy).samples.patients)) == 12
    assert "has no patient of 2 scans" in caplog.text


def test_a_part_of_the_subsets(copy, caplog):
    shutil.rmtree(copy / "subset0")
    data = module(copy)
    assert len(data.samples) == 32 and "4 of the 12 scans" in caplog.text
    reader = data.make_reader("train", data.size)
    positive = [row for row in range(32) if data.samples.targets[row, 0]]
    assert all(reader(row)[6, 6, 6] > 150 for row in positive)
    for subset in ("subset1", "subset9"):
        shutil.rmtree(copy / subset)
    with pytest.raises(UserError, match=r"(?s)LUNA16: no scan of candidates_V2.csv.*luna16.grand-challenge.*subset0"):
        module(copy).setup("fit")


def test_the_first_list_of_candidates(copy):
    (copy / "candidates.csv").write_text("\n".join((copy / "candidates_V2.csv").read_text().splitlines()[:9]))
    assert len(module(copy, candidates="V1").samples) == 8
    assert len(module(copy).samples) == 48
    (copy / "candidates_V2.csv").unlink()
    assert module(copy).list_name == "V1"


def test_labels_and_places_are_checked(copy):
    path = copy / "candidates_V2.csv"
    text = path.read_text()
    path.write_text(text.replace(",1\n", ",2\n", 1))
    with pytest.raises(UserError, match="Unknown value 2 in column 'class', row 3"):
        _ = module(copy).samples
    path.write_text(text.replace(text.splitlines()[1].split(",")[1], "here", 1))
    with pytest.raises(UserError, match="Unknown value 'here' in column 'coordX', row 2"):
        _ = module(copy).samples


def test_training_draws_both_classes_alike(root):
    assert module(root).balanced and not module(root, balanced=False).balanced


@pytest.mark.parametrize(
    "given", [{"cube": 0.5}, {"voxel": 0.0}, {"window": (600.0, -1000.0)}, {"cube": 1000.0, "voxel": 1.0}]
)
def test_options_out_of_range(root, given):
    with pytest.raises(UserError, match=r"cube|window"):
        module(root, **given)


def test_cubes_are_cached(root, tmp_path):
    data = module(root)
    build_cache(data.contents, tmp_path, data.size, progress=False)
    cached = module(root, cache=str(tmp_path))
    for one, other in zip(data.fixed_dataloader("test"), cached.fixed_dataloader("test"), strict=True):
        assert (one["image"] == other["image"]).all()
    with pytest.raises(UserError, match="No decoded images"):
        module(root, cache=str(tmp_path), window=(-1000.0, 400.0)).fixed_dataloader("test")
