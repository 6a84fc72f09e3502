"""Volumes without masks, read as a run read its own."""

import shutil

import nibabel
import numpy as np
import pytest
from support.niftis import ball, flipped, save_nifti
from support.volume_layouts import lits, nnunet

from transfusion_cli.data.volumes.intensity import Intensity
from transfusion_cli.data.volumes.preprocessing import Preprocessing
from transfusion_cli.datasets import LiTSDataModule, NNUNetDataModule, VolumePhantomDataModule
from transfusion_cli.datasets.given_cases import GivenCases

STORED = Preprocessing(None, None, (Intensity.window(-200, 200),), (16, 16, 16))


@pytest.fixture
def folder(tmp_path):
    save_nifti(tmp_path / "in/b.nii.gz", ball(1)[0][::-1], flipped())
    save_nifti(tmp_path / "in/deep/a.nii", ball(1)[0])
    (tmp_path / "in/broken.nii.gz").write_text("nothing")
    (tmp_path / "in/._b.nii.gz").write_text("nothing")
    return tmp_path / "in"


def given(folder, like, **kwargs):
    data = GivenCases(str(folder), like, like.target, like.class_names, num_workers=0, batch_size=2, **kwargs)
    data.preprocessing = STORED.to_dict()
    return data


@pytest.mark.parametrize("like", [LiTSDataModule(root="gone"), VolumePhantomDataModule(patch_size=None)])
def test_a_folder_is_read_and_written_as_the_run_does(folder, tmp_path, like):
    data = given(folder, like)
    data.setup("predict")
    assert data.dims == 3 and data.size == (16, 16, 16)
    cases = {int(batch["index"][0]): batch["cases"][0] for batch in data.predict_dataloader()}
    assert data.samples.ids.tolist() == ["b.nii.gz", "broken.nii.gz", "deep/a.nii"] and sorted(cases) == [-2, 0, 2]
    assert (cases[0]["image"] == cases[2]["image"]).all()
    assert cases[0]["image"].min() >= 0 and cases[0]["image"].max() <= 1
    labels = ball(1)[1].T[:, ::-1, ::-1]  # top, back and left
    for row, name in ((0, "b.nii.gz"), (2, "deep_a.nii")):
        path = data.case_reader("predict").write(row, np.ascontiguousarray(labels), tmp_path / "out")
        assert path == tmp_path / "out" / name
        written, source = nibabel.load(path), nibabel.load(folder / data.samples.ids[row])
        assert np.array_equal(written.affine, source.affine)
        turned = nibabel.as_closest_canonical(written)
        assert np.array_equal(np.asarray(turned.dataobj), ball(1)[1])


def test_channels_of_nnunet_are_joined(tmp_path):
    place = nnunet.build(tmp_path / "mine", channels=("CT", "PET"))
    like = NNUNetDataModule(root=str(place))
    shutil.copytree(place / "imagesTs", tmp_path / "in")
    data = given(tmp_path / "in", like)
    data.preprocessing = Preprocessing(None, None, (None, None), (16, 16, 16))
    assert len(data.samples) == 2
    assert [batch["cases"][0]["image"].shape[0] for batch in data.predict_dataloader()] == [2, 2]
    assert data.case_reader("predict").write(0, np.zeros((12, 18, 20), np.uint8), tmp_path / "out").is_file()


def test_masks_are_written_with_the_values_of_the_data(tmp_path):
    like = LiTSDataModule(root=str(lits.build(tmp_path / "mine")), labels={"background": [0, 1], "tumour": 2})
    save_nifti(tmp_path / "in/a.nii", ball(1)[0])
    data = given(tmp_path / "in", like)
    labels = np.zeros((12, 18, 20), np.uint8)
    labels[3] = 1
    written = nibabel.load(data.case_reader("predict").write(0, labels, tmp_path / "out"))
    assert set(np.unique(np.asarray(written.dataobj))) == {0, 2}
