import logging
import shutil
import sys

import numpy as np
import pytest
from support.layouts.messidor import PUBLISHED, build

from transfusion_cli.datasets import MessidorDataModule
from transfusion_cli.datasets.families.messidor_errata import COPIES, GRADES
from transfusion_cli.errors import UserError


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("messidor"))


def module(root, **kwargs):
    return MessidorDataModule(root=str(root), num_workers=0, image_size=32, batch_size=8, **kwargs)


def value(table, name, targets=None):
    targets = table.targets if targets is None else targets
    return targets[[name in path for path in table.paths]].tolist()


def test_all_folders_are_read_whatever_their_tables_are_called(root):
    data = module(root)
    table = data.samples
    assert len(table) == 12 * 8 + 2 + 2
    assert {path.split("/")[0] for path in table.paths} == {f"Base{d}{p}" for d in (1, 2, 3) for p in (1, 2, 3, 4)}
    read = data.make_reader("train", data.size)
    assert all(read(row).ndim == 3 for row in range(len(table)))  # the one called .TIF, too


def test_own_scale_of_grades_and_the_risk_of_oedema(root):
    data = module(root)
    assert (data.target, data.class_names) == ("ordinal", ["R0", "R1", "R2", "R3"])
    assert value(data.samples, "20051003_40002") == [1]  # folder 3, image 2: (3 + 2) % 4
    assert value(module(root, task="referable").samples, "20051003_4000") == [[1], [0], [0], [1], [1], [0], [0], [1]]
    oedema = module(root, task="oedema")
    assert (oedema.target, len(oedema.class_names)) == ("ordinal", 3)
    assert value(oedema.samples, "20051003_4000") == [0, 1, 2, 0, 1, 2, 0, 1]


def test_departments_are_domains_under_one_name(root):
    table = module(root).samples
    assert set(table.domains) == {"Lariboisiere", "Brest", "Saint-Etienne"}
    assert set(table.domains[np.char.startswith(table.paths, "Base2")]) == {"Brest"}


def test_copies_stay_together_whatever_their_grade(root, caplog):
    for seed in range(8):
        with caplog.at_level(logging.INFO):
            table = module(root, split_seed=seed, test_fraction=0.4).samples
        split = dict(zip(table.paths.tolist(), table.split.tolist(), strict=True))
        for copy, original in (("20051099_a_0400_PP", "20051010_40000"), ("20051099_b_0400_PP", "20051010_40001")):
            assert split[f"Base33/{copy}.tif"] == split[f"Base33/{original}_0100_PP.tif"]
    assert "2 images are exact copies of others and stay together: 2 groups, 1 with conflicting labels" in caplog.text


@pytest.mark.parametrize("step", [1, -1])
def test_published_copies_stay_together_even_if_saved_anew(root, tmp_path, step):
    base = shutil.copytree(root, tmp_path / "m") / "Base33"
    one, other = COPIES[5]
    # Names of the layout's images become those of a published pair, whose files differ in size.
    import xlrd
    import xlwt

    sheet = xlrd.open_workbook(base / "Annotation_Base33.xls").sheet_by_index(0)
    book = xlwt.Workbook()
    copy = book.add_sheet("Feuil1")
    names = {sheet.cell_value(2, 0): f"{one}.tif", sheet.cell_value(5, 0): f"{other}.tif"}
    for row, line in enumerate([0, *range(1, sheet.nrows)[::step]]):
        for column in range(sheet.ncols):
            text = sheet.cell_value(line, column)
            copy.write(row, column, names.get(text, text))
    book.save(str(base / "Annotation_Base33.xls"))
    for old, new in names.items():
        (base / old).rename(base / new)
    table = module(tmp_path / "m").samples
    pair = [one in path or other in path for path in table.paths]
    assert set(table.patients[pair]) == {"20051099_b_0400_pp"}  # the exact copy of one of them, first by name
    assert len(table.groups) - len(set(table.groups.tolist())) == 3


def test_published_errata_are_applied_unless_told_not_to(root):
    for name, wrong in PUBLISHED.items():
        assert value(module(root).samples, name) == [GRADES[name]] != [wrong]
        assert value(module(root, errata=None).samples, name) == [wrong]


def test_own_errata_go_on_top(root, tmp_path):
    table = tmp_path / "errata.csv"
    table.write_text("image,grade\n20051003_40000_0100_pp,2\n20051020_63045_0100_PP.tif,1\n")
    samples = module(root, errata=str(table)).samples
    assert value(samples, "20051003_40000") == [2] and value(samples, "20051020_63045") == [1]
    assert value(samples, "20060523_48477") == [3]  # the published ones stay
    table.write_text("image,oedema\n20051003_40000_0100_PP.tif,2\n")
    assert value(module(root, errata=str(table), task="oedema").samples, "20051003_40000") == [2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,grade\nnothing,2\n", "no image 'nothing'"),
        ("image,grade\n20051003_40000_0100_PP,4\n", r"4 in column 'grade', row 2"),
        ("image,level\n20051003_40000_0100_PP,1\n", "No column 'grade'"),
    ],
)
def test_mistakes_in_errata(root, tmp_path, text, message):
    (tmp_path / "errata.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        _ = module(root, errata=str(tmp_path / "errata.csv")).samples


def test_all_files_in_one_folder(root, tmp_path, caplog):
    for base in ("Base11", "Base12"):
        for path in (root / base).glob("[!.]*"):
            shutil.copy(path, tmp_path)
    table = module(tmp_path).samples
    assert len(table) == 17 and not any("/" in path for path in table.paths)
    assert "Tables of 2 of the 12 folders" in caplog.text


def test_tables_beside_the_folders(root, tmp_path):
    shutil.copytree(root / "Base13", tmp_path / "base13")
    for path in (tmp_path / "base13").glob("*.xls"):
        path.rename(tmp_path / path.name)
    assert all(path.startswith("base13/") for path in module(tmp_path).samples.paths)


def test_damaged_tables_and_a_missing_xlrd(tmp_path, root, monkeypatch):
    shutil.copytree(root / "Base14", tmp_path / "Base14")
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "xlrd", None)
        with pytest.raises(UserError, match="pip install xlrd"):
            _ = module(tmp_path).samples
    (tmp_path / "Base14/Annotation_Base14.xls").write_bytes(b"not Excel")
    with pytest.raises(UserError, match=r"Cannot read the table .*Annotation_Base14\.xls"):
        _ = module(tmp_path).samples


def test_missing_data_say_where_to_get_them(tmp_path):
    (tmp_path / "Base11").mkdir()
    for data in (module(tmp_path / "nowhere"), module(tmp_path), MessidorDataModule()):
        with pytest.raises(UserError, match=r"(?s)Messidor.*adcis\.net.*Base11 to Base34"):
            data.setup("fit")
