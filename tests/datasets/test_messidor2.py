import logging

import pytest
from support.layouts.messidor2 import build

from transfusion_cli.datasets import Messidor2DataModule
from transfusion_cli.errors import UserError


@pytest.fixture
def root(tmp_path):
    return build(tmp_path)


def module(root, **kwargs):
    return Messidor2DataModule(root=str(root), num_workers=0, image_size=32, batch_size=8, **kwargs)


def test_everything_is_for_the_test_unless_told_otherwise(root):
    data = module(root)
    assert set(data.samples.split) == {"test"}
    data.setup("test")
    assert len(next(iter(data.test_dataloader()))["index"]) == 8
    with pytest.raises(UserError, match=r"--data\.use all"):
        data.setup("fit")


def test_what_cannot_be_graded_is_left_out_and_counted(root, caplog):
    with caplog.at_level(logging.INFO):
        table = module(root).samples
    assert len(table) == 57 and (table.targets >= 0).all()
    assert "57 of 60 images are gradable, the other 3 are left out" in caplog.text


def test_a_grade_of_an_ungradable_image_does_not_count(root):
    table = root / "messidor_data.csv"
    table.write_text(table.read_text().replace("2005_00003_PP.png,1,0,1", "2005_00003_PP.png,1,0,0"))
    assert len(module(root).samples) == 56


def test_names_agree_whatever_case_and_extension(root):
    data = module(root)
    extension = [path for path in data.samples.paths if "IM0" in path]
    assert extension and all(path.endswith(".JPG") for path in extension)
    read = data.make_reader("test", data.size)
    assert all(read(row).ndim == 3 for row in range(len(data.samples)))


def test_both_eyes_of_an_examination_stay_together(root):
    for seed in range(4):
        table = module(root, use="all", split_seed=seed, test_fraction=0.3, val_fraction=0.3).samples
        assert set(table.split) == {"train", "val", "test"}
        split = {path.split("/")[-1].split(".")[0]: part for path, part in zip(table.paths, table.split, strict=True)}
        for number in range(2, 30):
            names = [
                f"IM{code:06d}" if number % 3 == 0 else f"2005_{code:05d}_PP" for code in (2 * number, 2 * number + 1)
            ]
            assert split[names[0]] == split[names[1]]
    assert len(set(table.patients)) == 29  # one lost both eyes, one lost one


def test_the_pairs_may_be_written_with_commas_and_more_columns(root):
    expected = module(root).samples.groups.tolist()
    table = root / "messidor-2.csv"
    lines = table.read_text(encoding="utf-8-sig").split()
    table.unlink()
    rows = [f'{n},"{line.replace(";", chr(34) + "," + chr(34))}"' for n, line in enumerate(lines)]
    (root / "messidor_pairs.csv").write_text("\n".join(rows))
    assert module(root).samples.groups.tolist() == expected


def test_the_pairs_may_come_without_a_header_after_the_mark_of_a_windows_file(root):
    table = root / "messidor-2.csv"
    lines = table.read_text(encoding="utf-8-sig").splitlines()
    table.write_text("\ufeff" + "\n".join(lines[:0:-1]), encoding="utf-8")
    samples = module(root).samples
    assert samples.patients[-1] == samples.patients[-2]  # the pair that the mark stands before


def test_without_pairs_no_patients_are_known(tmp_path, caplog):
    table = module(build(tmp_path, pairs=False), use="all").samples
    assert table.patients is None and "eyes of one patient may be in different splits" in caplog.text


def test_an_image_in_no_pair_stands_for_itself(root, caplog):
    table = root / "messidor-2.csv"
    lines = table.read_text(encoding="utf-8-sig").splitlines()
    table.write_text("\n".join(lines[:-1]))
    samples = module(root).samples
    assert "2 images are in no pair" in caplog.text
    assert len(set(samples.patients[-2:])) == 2


def test_the_other_header(tmp_path, root):
    other = build(tmp_path / "other", other_header=True)
    assert module(other).samples.targets.tolist() == module(root).samples.targets.tolist()


def test_original_and_extension_are_domains(root):
    table = module(root).samples
    assert set(table.domains) == {"original", "extension"}
    assert all(
        ("IM0" in path) == (domain == "extension") for path, domain in zip(table.paths, table.domains, strict=True)
    )


def test_an_unknown_header_and_images_elsewhere(root):
    table = root / "messidor_data.csv"
    text = table.read_text()
    table.write_text(text.replace("image_id", "file"))
    with pytest.raises(UserError, match=r"(?s)No columns image_id.*id_code and diagnosis.*messidor_data\.csv"):
        _ = module(root).samples
    table.write_text(text)
    (root / "IMAGES").rename(root.parent / f"{root.name}_moved")
    with pytest.raises(UserError, match="none of the images"):
        _ = module(root).samples


def test_missing_data_say_where_to_get_them(tmp_path):
    for data in (module(tmp_path / "nowhere"), module(tmp_path), Messidor2DataModule()):
        with pytest.raises(UserError, match=r"(?s)Messidor2.*adcis\.net.*messidor2-dr-grades.*messidor_data\.csv"):
            data.setup("test")
