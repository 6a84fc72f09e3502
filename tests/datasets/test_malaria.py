import shutil

import numpy as np
import pytest
from support.layouts.malaria import HEALTHY, INFECTED, build

from transfusion_cli.data.layout.open_archives import OPEN_ARCHIVES
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.datasets import MalariaDataModule
from transfusion_cli.errors import UserError

CELLS = 22 + 35  # Parasitized and Uninfected
PATIENTS = len(HEALTHY) + len(INFECTED) - 1


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("malaria"))


def module(root, **kwargs):
    return MalariaDataModule(root=str(root), num_workers=0, image_size=32, batch_size=8, **kwargs)


def shares(table):
    return {part: int((table.split == part).sum()) for part in ("train", "val", "test")}


@pytest.mark.parametrize("at", ["", "cell_images"])
def test_reads_the_cells_once_and_nothing_else(root, at):
    data = module(root / at)
    table = data.samples
    assert len(table) == CELLS and len(set(table.ids)) == CELLS
    assert not any("cell_images" in path or "Thumbs" in path for path in table.paths)
    assert (table.targets[:, 0] == ["Parasitized" in path for path in table.paths]).all()
    assert data.class_names[1] == "parasitized"
    assert next(iter(data.train_dataloader()))["image"].shape == (8, 3, 32, 32)


@pytest.mark.parametrize("maps", [True, False])
def test_a_patient_is_one_in_both_classes_and_through_both_microscopes(maps, root, tmp_path, caplog):
    table = module(root if maps else build(tmp_path, maps=False)).samples
    assert len(set(table.patients)) == PATIENTS
    mine = table.paths[table.patients == "C47"]
    assert {path.partition("_IMG")[0] for path in mine} == {
        f"{label}/{name}"
        for label in ("Parasitized", "Uninfected")
        for name in ("C47P8thin_Original_Motic", "C47P8thinOriginalOlympusCX21")
    }
    for patient in set(table.patients):
        assert len(set(table.split[table.patients == patient])) == 1
    assert "no known patient" not in caplog.text


ODD = ("smear_1_cell_1.png", "smear_1_cell_2.png", "smear_2_cell_1.png")


@pytest.fixture
def renamed(tmp_path):
    """Cells of one patient, whose names do not tell it, from two photographs; the other class as published."""
    build(tmp_path, maps=False)
    for name in ODD:
        shutil.copy(next(tmp_path.glob("cell_images/Uninfected/C1_*")), tmp_path / "cell_images/Uninfected" / name)
    return tmp_path


def odd_patients(table):
    return [str(table.patients[table.paths == f"Uninfected/{name}"][0]) for name in ODD]


def test_without_a_map_and_a_patient_in_the_name_the_photograph_holds_together(renamed, caplog):
    assert odd_patients(module(renamed).samples) == ["smear_1", "smear_1", "smear_2"]
    assert f"3 of {CELLS + 3} cells have no known patient, for example smear_1_cell_1.png" in caplog.text
    assert "https://data.lhncbc.nlm.nih.gov/public/Malaria/" in caplog.text


@pytest.mark.parametrize(
    "line",
    [
        "Mrs. X,['smear_1_cell_1.png', 'smear_1_cell_2.png', 'smear_2_cell_1.png'],,,",
        "\ufeffMrs. X,\"['smear_1_cell_1.png'\",\" 'smear_1_cell_2.png'\",\" 'smear_2_cell_1.png']\"\r\n",
        "C1_thinF,['other_cell_3.png'],,\nMrs. X,['smear_1_cell_1.png', 'smear_1_cell_2.png', 'smear_2_cell_1.png']",
    ],
)
@pytest.mark.parametrize("place", ["", "cell_images"])
def test_the_maps_come_first(renamed, line, place, caplog):
    (renamed / place / "patientid_cellmapping_uninfected.csv").write_text(line, encoding="utf-8")
    for root in (renamed, renamed / "cell_images"):
        assert odd_patients(module(root).samples) == ["Mrs. X"] * 3
    assert f"{CELLS} of {CELLS + 3} cells are not in " in caplog.text
    assert "no known patient" not in caplog.text


def test_maps_that_cannot_be_right_are_refused(renamed):
    path = renamed / "patientid_cellmapping_uninfected.csv"
    path.write_text("Mrs. X,['smear_1_cell_1.png']\nMr. Y,['smear_1_cell_1.png']\n")
    with pytest.raises(UserError, match=r"smear_1_cell_1.png belongs to two patients, Mrs. X and Mr. Y"):
        module(renamed).setup("fit")
    path.write_text("<html>not found</html>\n")
    with pytest.raises(UserError, match=r"No cells in .*uninfected.csv"):
        module(renamed).setup("fit")


def test_every_patient_is_tested_in_one_fold(root):
    tables = [module(root, fold=fold, folds=4).samples for fold in range(4)]
    tested = np.stack([table.split == "test" for table in tables])
    assert (tested.sum(axis=0) == 1).all()
    for table in tables:
        assert len(table.rows("val")) and set(table.targets[table.rows("test"), 0]) == {0, 1}
    for options in ({"fold": 4, "folds": 4}, {"fold": -1}, {"fold": 0, "folds": 1}):
        with pytest.raises(UserError, match="counted from 0"):
            module(root, **options)
    with pytest.raises(UserError, match="has no folds"):
        module(root, fold=0, protocol="partial_transfusion")


def test_test_fraction_counts_patients(root):
    table = module(root, test_fraction=0.4).samples
    assert len(set(table.patients[table.rows("test")])) == round(0.4 * PATIENTS)
    with pytest.raises(UserError, match="test_fraction must lie between 0 and 1"):
        module(root, test_fraction=1.0)


def test_protocol_of_the_paper(root, caplog):
    table = module(root, protocol="partial_transfusion").samples
    sizes = shares(table)
    assert sum(sizes.values()) == CELLS and all(8 <= sizes[part] <= 8 + 8 for part in ("val", "test"))
    assert "literal" not in caplog.text
    table = module(root, protocol="partial_transfusion", literal=True).samples
    assert shares(table) == {"train": 40, "val": 8, "test": 9}
    assert set(table.patients[table.rows("train")]) & set(table.patients[table.rows("test")])
    assert "the cells of a patient are in training, validation and test" in caplog.text
    with pytest.raises(UserError, match="partial_transfusion"):
        module(root, literal=True)


def test_the_papers_sizes():
    """19,291 / 4,133 / 4,134 of the 27,558 cells."""
    number = 27558
    ids = as_text(map(str, range(number)))
    for literal in (True, False):
        table = SampleTable(ids, np.zeros((number, 1), np.float32), np.full(number, "train"))
        data = MalariaDataModule(protocol="partial_transfusion", literal=literal)
        data._split_as_published(table)
        assert shares(table) == {"train": 19291, "val": 4133, "test": 4134}


def test_cells_and_maps_may_be_downloaded():
    gives = {file.gives for file in OPEN_ARCHIVES[MalariaDataModule().archive]}
    maps = {f"patientid_cellmapping_{label}.csv" for label in ("parasitized", "uninfected")}
    assert gives == {"cell_images"} | maps


def test_missing_data_say_where_to_get_them(tmp_path):
    (tmp_path / "cell_images/Parasitized").mkdir(parents=True)
    for data in (module(tmp_path / "nowhere"), module(tmp_path), MalariaDataModule()):
        with pytest.raises(UserError, match=r"(?s)Malaria.*lhncbc.*data.download true.*cell_images/\{Parasitized,"):
            data.setup("fit")
