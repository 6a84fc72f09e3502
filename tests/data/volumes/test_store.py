"""What is prepared is what the files give, and only as long as they are the same."""

import os
import shutil

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transfusion_cli.data.masks.case import cut
from transfusion_cli.data.volumes import store as stores
from transfusion_cli.data.volumes.case_files import CaseFiles
from transfusion_cli.data.volumes.intensity import Intensity
from transfusion_cli.data.volumes.prepared_reader import PreparedReader
from transfusion_cli.data.volumes.preprocessing import Preprocessing
from transfusion_cli.data.volumes.reader import VolumeReader
from transfusion_cli.data.volumes.store import VolumeStore
from transfusion_cli.errors import Fault, UserError

PREPROCESSING = Preprocessing((2.0, 1.5, 1.5), "nonzero", (Intensity(-100, 300, 20, 60),))
ROWS = np.arange(3)


def build(folder):
    """Two cases with masks, one without."""
    rng = np.random.default_rng(0)
    for place, name in enumerate("abc"):
        mask = rng.integers(0, 3, (14 + place, 13, 9)).astype(np.uint8)
        image = np.pad(rng.normal(0, 100, (12 + place, 12, 8)), [(1, 1), (1, 0), (0, 1)]).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(image, np.diag([-1.0, 1, 2, 1])), folder / f"{name}.nii.gz")
        nibabel.save(nibabel.Nifti1Image(mask, np.diag([-1.0, 1, 2, 1])), folder / f"mask_{name}.nii.gz")


def files_of(folder):
    images, masks = np.array([[f"{name}.nii.gz"] for name in "abc"]), np.array(["mask_a.nii.gz", "mask_b.nii.gz", ""])
    return CaseFiles(folder, np.array(["x/1", "x/2", "x/3"]), images, masks, 1, {0: 0, 1: 1, 2: 2})


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("volumes")
    build(folder)
    store = VolumeStore(folder / "cache", files_of(folder), PREPROCESSING)
    store.prepare(ROWS, 2)
    return VolumeReader(store.files, PREPROCESSING), PreparedReader(store, ROWS)


def test_whole_cases_are_those_of_the_files(readers):
    for row in ROWS.tolist():
        one, two = (reader.whole(row) for reader in readers)
        assert one.image.dtype == two.image.dtype == np.float32 and np.array_equal(one.image, two.image)
        assert (one.mask is None and two.mask is None) if row == 2 else np.array_equal(one.mask, two.mask)
        assert all(np.array_equal(getattr(one, name), getattr(two, name)) for name in ("truth", "box", "spacing"))
        assert readers[0].shape(row) == readers[1].shape(row)
    for row in (0, 1):
        one, two = (reader.foreground(row) for reader in readers)
        assert one.keys() == two.keys() == {1, 2} and all(np.array_equal(one[label], two[label]) for label in one)


@settings(max_examples=60)
@given(st.integers(0, 1), st.tuples(*(st.integers(-9, 12),) * 3), st.tuples(*(st.integers(1, 14),) * 3))
def test_patches_are_slices_with_a_margin(readers, row, start, size):
    plain, prepared = readers
    image, mask = prepared.patch(row, start, size)
    case = plain.whole(row)
    for found, array, outside in ((image, case.image, PREPROCESSING.background), (mask[None], case.mask[None], 255)):
        padded = np.pad(array, [(0, 0), *((30, 30),) * 3], constant_values=outside)
        window = tuple(slice(30 + first, 30 + first + side) for first, side in zip(start, size, strict=True))
        assert np.array_equal(found, padded[(slice(None), *window)]) and found.dtype == array.dtype
        assert np.array_equal(found, cut(array, start, size, outside))


@pytest.fixture
def folder(tmp_path):
    build(tmp_path)
    return tmp_path


def prepared(folder, preprocessing=PREPROCESSING):
    store = VolumeStore(folder / "cache", files_of(folder), preprocessing)
    store.prepare(ROWS, 0)
    return store


def times(store):
    return {path: path.stat().st_mtime_ns for path in store.path.glob("*/*.npy")}


def test_nothing_is_made_twice(folder):
    store = prepared(folder)
    before = times(store)
    for path in folder.glob("*.nii.gz"):  # copied: other times, the same contents
        os.utime(path, (1, 1))
    assert times(prepared(folder)) == before and len(before) == 7


def test_a_replaced_file_is_noticed_and_made_anew(folder):
    store = prepared(folder)
    before = times(store)
    shutil.copyfile(folder / "a.nii.gz", folder / "b.nii.gz")
    shutil.copyfile(folder / "mask_a.nii.gz", folder / "mask_b.nii.gz")
    with pytest.raises(UserError, match=r"b\.nii\.gz is not the file") as error:
        PreparedReader(store, ROWS)
    assert f"transfusion data prepare --data.cache {folder}" in str(error.value)
    after = times(prepared(folder))
    assert {path.parent.name[:3] for path in before if before[path] != after[path]} == {"x_2"}
    assert PreparedReader(store, ROWS).shape(1) == PreparedReader(store, ROWS).shape(0)


def test_files_that_are_gone_are_no_matter(folder):
    store = prepared(folder)
    for path in folder.glob("*.nii.gz"):
        path.unlink()
    assert PreparedReader(store, ROWS).whole(0).mask is not None


def test_what_is_not_prepared(folder):
    store = prepared(folder)
    shutil.rmtree(store.folder(1))
    with pytest.raises(UserError, match="1 of 3 cases, such as x/2, are not prepared"):
        PreparedReader(store, ROWS)
    assert PreparedReader(store, ROWS[:1]).shape(0)
    other = VolumeStore(folder / "cache", store.files, Preprocessing(None, None, (None,)))
    with pytest.raises(UserError, match="3 of 3 cases"):
        PreparedReader(other, ROWS)
    sized = Preprocessing(PREPROCESSING.spacing, "nonzero", PREPROCESSING.intensity, (8, 8, 8))
    assert VolumeStore(folder / "cache", store.files, sized).path == store.path  # patches decide nothing


def test_an_interrupted_preparation_goes_on(folder, monkeypatch):
    save = stores.StoredCase.save

    def stop(place, name, *args):
        if name == "x/2":
            raise KeyboardInterrupt
        save(place, name, *args)

    monkeypatch.setattr(stores.StoredCase, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        prepared(folder)
    monkeypatch.undo()
    [first] = (folder / "cache").glob("volumes-*/x_1-*/image.npy")
    made = first.stat().st_mtime_ns
    half = first.parent.with_name(f"{first.parent.name.replace('x_1', 'x_2')}.part")
    half.mkdir()
    store = prepared(folder)
    assert first.stat().st_mtime_ns == made and PreparedReader(store, ROWS).shape(2)


def test_cases_that_cannot_be_read_are_listed(folder):
    (folder / "b.nii.gz").write_bytes(b"no")
    with pytest.raises(UserError, match="1 of 3 cases cannot be read") as error:
        prepared(folder)
    [listed] = folder.glob("cache/*/unreadable.txt")
    assert listed.read_text() == "x/2\n" and f"--data.exclude {listed}" in str(error.value)
    assert len(str(error.value).splitlines()) == 3
    assert len(list(folder.glob("cache/*/*/image.npy"))) == 2  # the others are there


@pytest.mark.parametrize("name", ["image.npy", "mask.npy", "voxels.npy", "case.json", "truth.npz"])
def test_damage_is_told(folder, name):
    store = prepared(folder)
    path = store.folder(0) / name
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(UserError, match=f"is damaged\n{name}"):
        PreparedReader(store, ROWS).whole(0)


def test_a_place_that_cannot_be_written(folder):
    (folder / "cache").write_text("a file")
    with pytest.raises(Fault, match="Could not write"):
        prepared(folder)
