import numpy as np
import pytest
from support.niftis import save_nifti
from support.volume_layouts.acdc import build

from transfusion_cli.datasets import ACDCDataModule
from transfusion_cli.errors import UserError


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("acdc"))


def module(root, **kwargs):
    return ACDCDataModule(root=str(root), num_workers=0, **kwargs)


def test_two_frames_of_each_patient_and_not_the_cycle(root):
    data = module(root)
    table = data.samples
    assert len(table) == 24 and len(set(table.patients)) == 12
    assert not any("_4d" in path or "_gt" in path or "._" in path for path in table.paths)
    assert all(
        mask == path.replace(".nii.gz", "_gt.nii.gz") for path, mask in zip(table.paths, table.masks, strict=True)
    )
    assert (np.char.startswith(table.paths, "testing/") == (table.split == "test")).all()
    assert data.class_names == ["right ventricle", "myocardium", "left ventricle"] and data.modality == ["MRI"]
    truth = data.case_reader("train").whole(0).truth
    assert set(np.unique(truth)) <= {0, 1, 2, 3} and (truth == 3).any()


def test_phases_are_domains_and_patients_do_not_part(root):
    table = module(root, val_fraction=0.3).samples
    for patient in set(table.patients):
        rows = table.patients == patient
        assert sorted(table.domains[rows]) == ["ED", "ES"]
        assert len(set(table.split[rows])) == 1
    assert all(
        domain == ("ED" if "frame01" in name else "ES") for name, domain in zip(table.ids, table.domains, strict=True)
    )


def test_draws_are_stratified_by_group(root):
    table = module(root, val_fraction=0.5).samples
    held_out = {int(name[-3:]) % 5 for name in table.patients[table.split == "val"]}
    assert held_out == set(range(5))


def test_without_the_masks_of_the_test_patients_are_held_out(tmp_path):
    table = module(build(tmp_path, masked=False)).samples
    assert (table.split == "predict").sum() == 4
    assert len(set(table.patients[table.split == "test"])) == 2
    for path in (tmp_path / "testing").glob("*/*"):
        path.unlink()
    assert len(module(tmp_path).samples) == 20


def test_a_frame_that_info_cfg_does_not_name(tmp_path):
    root = build(tmp_path)
    path = root / "training/patient001/Info.cfg"
    path.write_text(path.read_text().replace("ES: 9", "ES: 19"))
    with pytest.raises(
        UserError, match=r"Neither ED nor ES is frame 9, that of training/patient001/.*\nin .*Info\.cfg"
    ):
        _ = module(root).samples
    path.unlink()
    with pytest.raises(UserError, match="no such file"):
        _ = module(root).samples


def test_other_values_than_labels(tmp_path):
    root = build(tmp_path)
    mask = np.zeros((20, 18, 12), np.uint8)
    mask[3, 3, 3] = 4
    save_nifti(root / "training/patient001/patient001_frame01_gt.nii.gz", mask)
    with pytest.raises(UserError, match=r"A mask holds 4, which is no label: .*patient001_frame01_gt\.nii\.gz"):
        module(root).case_reader("train").whole(0)


def test_missing_data_say_where_to_get_them(tmp_path):
    for data in (module(tmp_path / "nowhere"), module(tmp_path), ACDCDataModule()):
        with pytest.raises(UserError, match=r"(?s)ACDC: .*creatis.*Info\.cfg"):
            data.setup("fit")
