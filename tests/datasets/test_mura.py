import numpy as np
import pytest
import torch
from support.layouts.mura import build

from transfusion_cli.datasets import MURADataModule
from transfusion_cli.errors import UserError
from transfusion_cli.metrics.by_exam import mean_over_exams


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("mura"))


def module(root, **kwargs):
    return MURADataModule(root=str(root), num_workers=0, image_size=32, batch_size=8, **kwargs)


def edit(folder, name, old, new, count=-1):
    path = folder / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


@pytest.mark.parametrize("at", ["", "mura"])
def test_reads_every_image_of_the_tables_whatever_the_folder_is_called(root, at):
    data = module(root / at)
    table = data.samples
    on_disk = [path for path in (root / "mura").rglob("*.png") if not path.name.startswith(".")]
    assert sorted(str(data.folder / path) for path in table.paths) == sorted(map(str, on_disk))
    assert (table.targets[:, 0] == ["_positive/" in path for path in table.paths]).all()
    assert data.make_reader("train", data.size)(0).ndim == 2
    data.verify = True
    data.prepare_data()


def test_valid_is_the_test_and_patients_of_train_do_not_part(root):
    table = module(root, val_fraction=0.25).samples
    assert (np.char.startswith(table.paths, "valid/") == (table.split == "test")).all()
    for patient in set(table.patients):
        assert len(set(table.split[table.patients == patient])) == 1
    both = table.patients == "patient00003"
    assert len(set(table.domains[both])) == len(set(table.exams[both])) == 2
    assert len(set(table.patients[table.split == "val"])) == 7


def test_studies_have_one_label_and_lie_in_one_part(root):
    table = module(root).samples
    targets = torch.as_tensor(table.targets)
    _, labels, first = mean_over_exams(table.exams, targets, targets)  # fails where labels differ within a study
    folders = {path.rpartition("/")[0] for path in table.paths}
    assert len(first) == len(labels) == len(folders) < len(table)
    assert all(f"/XR_{part}/" in f"/{exam}" for part, exam in zip(table.domains, table.exams, strict=True))


def test_parts_of_the_body(root):
    table = module(root, parts=["ELBOW", "WRIST"]).samples
    assert set(table.domains) == {"ELBOW", "WRIST"}
    assert len(table) == sum("XR_ELBOW" in path or "XR_WRIST" in path for path in module(root).samples.paths)
    with pytest.raises(UserError, match=r"'wirst'\nDid you mean WRIST"):
        module(root, parts=["ELBOW", "wirst"])


def test_labels_at_odds_with_the_folders_name(tmp_path):
    folder = build(tmp_path) / "mura"
    edit(folder, "valid_labeled_studies.csv", "_positive,1", "_positive,0", 1)
    with pytest.raises(UserError, match=r"1 labels at odds .* row \d+: MURA-v1.1/valid/.*_positive\nin .*valid_lab"):
        _ = module(tmp_path).samples


def test_images_of_studies_without_a_label(tmp_path):
    folder = build(tmp_path) / "mura"
    path = folder / "train_labeled_studies.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(UserError, match=r"images of no study in train_labeled_studies.csv, for example row 1: .*00001"):
        _ = module(tmp_path).samples


def test_paths_of_another_form(tmp_path):
    folder = build(tmp_path) / "mura"
    edit(folder, "train_image_paths.csv", "MURA-v1.1/", "path\nMURA-v1.1/", 1)  # a header that is none
    with pytest.raises(UserError, match=r"1 paths of another form, for example row 1: path\n"):
        _ = module(tmp_path).samples


def test_a_patient_in_both_parts_is_a_leak(tmp_path):
    folder = build(tmp_path) / "mura"
    for name in ("valid_image_paths.csv", "valid_labeled_studies.csv"):
        edit(folder, name, "patient11185", "patient00001")
    with pytest.raises(UserError, match="patient00001"):
        _ = module(tmp_path).samples


def test_missing_data_say_where_to_get_them(tmp_path):
    for data in (module(tmp_path / "nowhere"), module(tmp_path), MURADataModule()):
        with pytest.raises(UserError, match=r"(?s)MURA: .*stanfordmlgroup.*train_image_paths.csv"):
            data.setup("fit")
    (build(tmp_path) / "mura/valid_labeled_studies.csv").unlink()
    with pytest.raises(UserError, match=r"no valid_labeled_studies\.csv in"):
        _ = module(tmp_path).samples
