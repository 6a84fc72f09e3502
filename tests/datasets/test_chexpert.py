import numpy as np
import pandas as pd
import pytest
from support.chexpert import build_chexpert

from transfusion_cli.datasets import CheXpertDataModule
from transfusion_cli.datasets.chexpert import FIVE, FOURTEEN
from transfusion_cli.errors import UserError


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build_chexpert(tmp_path_factory.mktemp("data") / "my copy", patients=60)


def module(root, **kwargs):
    return CheXpertDataModule(root=str(root), num_workers=0, image_size=32, batch_size=8, **kwargs)


def raw_labels(root, table, labels):
    """Label values as in the file, for each row of the sample table."""
    frame = pd.concat([pd.read_csv(root / "train.csv"), pd.read_csv(root / "valid.csv")])
    frame.index = frame["Path"].str.removeprefix("CheXpert-v1.0-small/")
    return frame.loc[[str(name) for name in table.ids], labels].to_numpy()


def test_splits_by_patient_and_official_test(root):
    data = module(root, views="all")
    data.setup("fit")
    table = data.samples
    train, val, test = (set(table.patients[table.rows(split)]) for split in ("train", "val", "test"))
    assert not (train & val or train & test or val & test)
    assert len(val) == 6  # a tenth of the patients
    assert test == {f"patient{p}" for p in range(64541, 64551)}
    assert len(table) == sum(len(pd.read_csv(root / name)) for name in ("train.csv", "valid.csv"))
    assert module(root, views="all").split_hash == data.split_hash
    assert module(root, views="all", split_seed=1).split_hash != data.split_hash


def test_batches(root):
    data = module(root)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (8, 1, 32, 32)
    assert str(batch["image"].dtype) == "torch.uint8"
    assert batch["target"].shape == (8, 5)
    np.testing.assert_array_equal(batch["target"].numpy(), data.samples.targets[batch["index"].numpy()])
    assert sum(len(batch["index"]) for batch in data.test_dataloader()) == len(data.samples.rows("test"))


def test_views_and_odd_projections(root):
    frontal, lateral, both = (module(root, views=views).samples for views in ("frontal", "lateral", "all"))
    assert all("frontal" in name for name in frontal.ids)
    assert all("lateral" in name for name in lateral.ids)
    assert len(frontal) + len(lateral) == len(both)
    assert {"patient00003", "patient00004"} <= set(frontal.patients)  # marked LL and RL
    ap = module(root, projection="AP").samples
    assert 0 < len(ap) < len(frontal)
    assert not {"patient00003", "patient00004"} & set(ap.patients)


def test_default_policies(root):
    data = module(root)
    table = data.samples
    raw = raw_labels(root, table, FIVE)
    expected = np.nan_to_num(raw)
    uncertain = raw == -1
    for label, value in zip(FIVE, (1, 0, 0, 1, 0), strict=True):
        rows = uncertain[:, FIVE.index(label)]
        expected[rows, FIVE.index(label)] = value
    training = table.split == "train"
    assert uncertain[~training].any()
    np.testing.assert_array_equal(table.targets[training], expected[training])
    np.testing.assert_array_equal(table.targets[~training], np.where(uncertain, np.nan, expected)[~training])


@pytest.mark.parametrize("blank", ["zeros", "ignore"])
def test_blank_zero_and_uncertain_are_kept_apart(root, blank):
    data = module(root, labels="fourteen", uncertain={"Edema": "smooth", "Lung_Opacity": "zeros"}, blank=blank)
    assert data.class_names == FOURTEEN
    rows = data.samples.rows("train")
    raw, targets = raw_labels(root, data.samples, FOURTEEN)[rows], data.samples.targets[rows]
    np.testing.assert_array_equal(np.isnan(targets[np.isnan(raw)]), blank == "ignore")
    assert (targets[raw == 0] == 0).all() and (targets[raw == 1] == 1).all()
    edema, opacity, fracture = (FOURTEEN.index(name) for name in ("Edema", "Lung Opacity", "Fracture"))
    soft = targets[raw[:, edema] == -1, edema]
    assert len(soft) > 3 and (soft >= 0.55).all() and (soft <= 0.85).all() and len(set(soft)) == len(soft)
    assert (targets[raw[:, opacity] == -1, opacity] == 0).all()
    assert np.isnan(targets[raw[:, fracture] == -1, fracture]).all()
    again = module(root, labels="fourteen", uncertain={"Edema": "smooth"}, blank=blank).samples.targets[rows]
    np.testing.assert_array_equal(again[:, edema], targets[:, edema])


def test_drop_leaves_out_uncertain_rows(root):
    everything = module(root, labels=["Edema", "Fracture"], uncertain="ignore")
    kept = module(root, labels=["Edema", "Fracture"], uncertain="drop")
    raw = raw_labels(root, everything.samples, ["Edema", "Fracture"])
    assert set(kept.samples.ids) == set(everything.samples.ids[~(raw == -1).any(axis=1)])


def test_root_may_be_the_parent_and_columns_may_have_underscores(root, tmp_path):
    assert module(root.parent).split_hash == module(root).split_hash
    text = (root / "train.csv").read_text()
    header, _, rest = text.partition("\n")
    (tmp_path / "train.csv").write_text(header.replace(" ", "_") + "\n" + rest)
    assert (module(tmp_path).samples.split != "test").all()  # valid.csv is absent here


def edited(root, tmp_path, edit):
    for name in ("train.csv", "valid.csv"):
        (tmp_path / name).write_text((root / name).read_text())
    (tmp_path / "train.csv").write_text(edit((tmp_path / "train.csv").read_text()))
    return module(tmp_path)


def test_unknown_label_value_names_the_row(root, tmp_path):
    lines = (root / "train.csv").read_text().split("\n")
    cells = lines[7].split(",")
    cells[10] = "maybe"
    lines[7] = ",".join(cells)
    with pytest.raises(UserError, match=r"'maybe' in column 'Edema', row 8 \(1 such rows\)"):
        _ = edited(root, tmp_path, lambda _: "\n".join(lines)).samples


def test_label_out_of_range_names_the_row(root, tmp_path):
    lines = (root / "train.csv").read_text().split("\n")
    lines[3] = lines[3].rsplit(",", 4)[0] + ",2.0,,,"
    with pytest.raises(UserError, match=r"2.0 in column 'Pleural Effusion', row 4"):
        _ = edited(root, tmp_path, lambda _: "\n".join(lines)).samples


def test_missing_column(root, tmp_path):
    with pytest.raises(UserError, match=r"No column 'Edema'\nin .*train.csv\nDid you mean Edemas\?"):
        _ = edited(root, tmp_path, lambda text: text.replace("Edema", "Edemas", 1)).samples


def test_unknown_view_names_the_row(root, tmp_path):
    with pytest.raises(UserError, match="'Oblique' in column 'Frontal/Lateral', row 2"):
        _ = edited(root, tmp_path, lambda text: text.replace(",Frontal,", ",Oblique,", 1)).samples


def test_missing_data_says_where_to_get_them(tmp_path):
    for data in (module(tmp_path / "nowhere"), CheXpertDataModule()):
        with pytest.raises(UserError, match=r"(?s)CheXpert.*stanfordmlgroup.*train.csv, valid.csv"):
            data.setup("fit")


def test_unknown_label_name():
    with pytest.raises(UserError, match="Did you mean Edema"):
        CheXpertDataModule(labels=["Edma"])


def test_empty_test_split(root, tmp_path):
    data = edited(root, tmp_path, lambda text: text)
    (tmp_path / "valid.csv").unlink()
    with pytest.raises(UserError, match="test split is empty"):
        data.setup("test")


@pytest.mark.slow
def test_reads_the_full_table_in_seconds(tmp_path):
    """As many rows and patients as the real one."""
    import time

    rng = np.random.default_rng(0)
    n = 223_414
    frame = pd.DataFrame({"Path": [f"CheXpert-v1.0/train/patient{i % 64540:05d}/study1/view{i}.jpg" for i in range(n)]})
    frame["Frontal/Lateral"] = "Frontal"
    for label in FOURTEEN:
        frame[label] = rng.choice([np.nan, 0.0, 1.0, -1.0], n)
    frame.to_csv(tmp_path / "train.csv", index=False)
    data = module(tmp_path)
    start = time.process_time()
    assert len(data.samples) == n
    assert time.process_time() - start < 15
