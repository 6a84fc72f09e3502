"""Cross-validation on one's own table: each patient is tested once."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.images import build_image_folders, save_picture

from transfusion_cli.datasets import ImageTableDataModule
from transfusion_cli.errors import UserError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Sixty files, of which tables say what they will."""
    root = tmp_path_factory.mktemp("images")
    for number in range(60):
        save_picture(root / f"{number}.png", number, (4, 4))
    return root


def write(folder, patients, labels, **columns):
    names = [f"{number}.png" for number in range(len(patients))]
    frame = pd.DataFrame({"image": names, "label": labels, "patient": [f"p{one}" for one in patients], **columns})
    frame.to_csv(folder / "table.csv", index=False)


def samples(folder, fold, folds, **kwargs):
    """Rows of the table by fold; no check whether each class can be learnt, as some drawn ones cannot."""
    data = ImageTableDataModule(root=str(folder), table="table.csv", folds=folds, fold=fold, num_workers=0, **kwargs)
    return data.load_samples()


PEOPLE = st.lists(st.tuples(st.integers(0, 15), st.sampled_from(["a", "b", "c"])), min_size=30, max_size=60)


@settings(max_examples=25)
@given(PEOPLE, st.integers(2, 4), st.integers(0, 3), st.randoms())
def test_folds_part_the_patients_and_each_is_tested_once(folder, people, number, seed, random):
    patients, labels = [one for one, _ in people], [label for _, label in people]
    if len(set(patients)) < number or len(set(labels)) < 2:
        return
    write(folder, patients, labels)
    tables = [samples(folder, fold, number, split_seed=seed) for fold in range(number)]
    tested = [set(table.patients[table.rows("test")].tolist()) for table in tables]
    assert sum(map(len, tested)) == len(set().union(*tested)) == len(set(patients))
    images = np.concatenate([table.ids[table.rows("test")] for table in tables]).tolist()
    assert sorted(images) == sorted(f"{row}.png" for row in range(len(patients)))
    assert max(map(len, tested)) - min(map(len, tested)) <= 1
    for table in tables:
        table.check_disjoint("the folds")
        assert (table.split != "").all()
    # The order of rows makes no difference.
    order = random.sample(range(len(people)), len(people))
    frame = pd.read_csv(folder / "table.csv").iloc[order]
    frame.to_csv(folder / "table.csv", index=False)
    again = samples(folder, 0, number, split_seed=seed)
    assert set(again.ids[again.rows("test")].tolist()) == set(tables[0].ids[tables[0].rows("test")].tolist())
    assert set(again.ids[again.rows("val")].tolist()) == set(tables[0].ids[tables[0].rows("val")].tolist())


def test_folds_are_stratified_and_follow_the_seed(folder):
    write(folder, range(60), ["sick" if number % 5 == 0 else "well" for number in range(60)])
    tests = {}
    for seed in (0, 1):
        for fold in range(3):
            table = samples(folder, fold, 3, split_seed=seed)
            rows = table.rows("test")
            assert (len(rows), table.targets[rows].sum()) == (20, 4 if table.targets.sum() == 12 else 16)
            tests[seed, fold] = set(table.ids[rows].tolist())
    assert tests[0, 0] != tests[1, 0]


def test_validation_that_the_table_gives_stays_but_for_the_fold(folder):
    given = ["val" if number % 4 == 0 else "train" for number in range(40)]
    write(folder, range(40), ["sick" if number % 2 else "well" for number in range(40)], split=given)
    parts = [samples(folder, fold, 4) for fold in range(4)]
    for table in parts:
        assert set(table.ids[table.rows("val")].tolist()) == {f"{number}.png" for number in range(0, 40, 4)} - set(
            table.ids[table.rows("test")].tolist()
        )


def test_images_that_are_left_out_are_in_no_fold(folder):
    given = ["exclude" if number < 10 else "" for number in range(40)]
    write(folder, range(40), ["sick" if number % 2 else "well" for number in range(40)], split=given)
    tested = [set(table.ids[table.rows("test")].tolist()) for table in (samples(folder, fold, 3) for fold in range(3))]
    assert set().union(*tested) == {f"{number}.png" for number in range(10, 40)}
    assert [len(part) for part in tested] == [10, 10, 10]


def test_a_test_split_stays_one(folder):
    write(folder, range(20), ["a", "b"] * 10, split=["test"] * 4 + [""] * 16)
    with pytest.raises(UserError, match="has a test split, and folds deal patients out anew"):
        samples(folder, 0, 2)


def test_class_folders_too(tmp_path):
    root = build_image_folders(tmp_path)
    tables = [ImageTableDataModule(root=str(root), folds=2, fold=fold).samples for fold in range(2)]
    first, second = (set(table.ids[table.rows("test")].tolist()) for table in tables)
    assert not first & second and first | second == set(tables[0].ids.tolist())


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"fold": 1}, "fold 1: of how many\\?\nFor example --data.folds 5 --data.fold 1"),
        ({"folds": 5}, "folds 5: no fold is named\nThey are counted from 0: --data.fold 0 to --data.fold 4"),
        ({"folds": 5, "fold": 5}, "there is no fold 5"),
        ({"folds": 1, "fold": 0}, "there are at least 2"),
    ],
)
def test_mistakes(given, told):
    with pytest.raises(UserError, match=told):
        ImageTableDataModule(table="table.csv", **given)
