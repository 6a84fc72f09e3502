import numpy as np
import pytest
from support.layouts.isic2018 import build

from transfusion_cli.datasets import ISIC2018DataModule
from transfusion_cli.errors import UserError

GROUND_TRUTH = "ISIC2018_Task3_Training_GroundTruth"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("isic2018"))


def module(root, **kwargs):
    return ISIC2018DataModule(root=str(root), num_workers=0, image_size=32, batch_size=8, **kwargs)


def names(table, split):
    return [path.rpartition("/")[2][:-4] for path in table.paths[table.split == split]]


def test_official_splits(root):
    table = module(root).samples
    assert len(table) == 42 + 14 + 14 + 14
    for split, part, first in (("val", "Validation", 34321), ("test", "Test", 34524)):
        assert names(table, split) == [f"ISIC_{first + number:07d}" for number in range(14)]
        assert all(path.startswith(f"ISIC2018_Task3_{part}_Input/") for path in table.paths[table.split == split])
        assert (table.targets[table.split == split] == np.arange(14) % 7).all()
    assert module(root).class_names == ["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]
    assert module(root).published == {"train": 10015, "val": 193, "test": 1512}


def test_without_official_labels_lesions_are_held_out_and_the_rest_is_for_prediction(tmp_path):
    build(tmp_path, labelled=False)
    data = module(tmp_path, predict_split="predict")
    table = data.samples
    assert {split: len(table.rows(split)) > 0 for split in ("train", "val", "test", "predict")}
    assert len(table.rows("predict")) == 28 and (table.targets[table.rows("predict")] == -1).all()
    for lesion in set(table.patients):
        assert len(set(table.split[table.patients == lesion])) == 1
    assert len(set(table.patients[table.split != "predict"])) == 42
    data.setup("predict")
    batch = next(iter(data.predict_dataloader()))
    assert batch["image"].shape == (8, 3, 32, 32)
    assert data.published == {"train+val+test": 10015}


def test_without_groupings_a_warning(tmp_path, caplog):
    build(tmp_path, labelled=False)
    path = tmp_path / "ISIC2018_Task3_Training_LesionGroupings.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")  # the last image is not named
    table = module(tmp_path).samples
    assert "ISIC_0024361" in table.patients and "HAM_0000000" in table.patients
    assert not caplog.messages
    path.unlink()
    table = module(tmp_path).samples
    assert len(set(table.patients)) == len(table)
    assert "LesionGroupings.csv" in caplog.text and "different splits" in caplog.text


def test_tables_may_lie_beside_the_images(tmp_path):
    build(tmp_path)
    stem = tmp_path / GROUND_TRUTH
    (stem / f"{GROUND_TRUTH}.csv").rename(tmp_path / f"{GROUND_TRUTH}.csv")
    stem.rmdir()
    assert len(module(tmp_path).samples) == 84
    (tmp_path / f"{GROUND_TRUTH}.csv").unlink()
    with pytest.raises(UserError, match=rf"no table {GROUND_TRUTH}"):
        _ = module(tmp_path).samples


@pytest.mark.parametrize(
    "row", ["0.0,0.0,0.0,0.0,0.0,0.0,0.0", "1.0,1.0,0.0,0.0,0.0,0.0,0.0", "0.5,0.5,0,0,0,0,0", ",1,0,0,0,0,0"]
)
def test_exactly_one_diagnosis(tmp_path, row):
    build(tmp_path)
    path = tmp_path / GROUND_TRUTH / f"{GROUND_TRUTH}.csv"
    lines = path.read_text().splitlines()
    lines[3] = f"{lines[3].split(',')[0]},{row}"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match=r"1 rows have not exactly one 1 .* row 4, ISIC_0024308\nin .*\n.*AKIEC"):
        _ = module(tmp_path).samples


def test_columns_are_found_by_name_and_demanded(tmp_path):
    build(tmp_path)
    path = tmp_path / GROUND_TRUTH / f"{GROUND_TRUTH}.csv"
    text = path.read_text()
    expected = module(tmp_path).samples.targets
    path.write_text(
        "\n".join(",".join([(row := line.split(","))[0], *row[:0:-1]]) for line in text.splitlines()) + "\n"
    )
    assert (module(tmp_path).samples.targets == expected).all()
    path.write_text(text.replace("AKIEC", "AK", 1))
    with pytest.raises(UserError, match="No column 'AKIEC'"):
        _ = module(tmp_path).samples


def test_missing_data_say_where_to_get_them(tmp_path):
    for data in (module(tmp_path / "nowhere"), module(tmp_path), ISIC2018DataModule()):
        with pytest.raises(UserError, match=r"(?s)ISIC2018: .*isic-archive.*ISIC2018_Task3"):
            data.setup("fit")
