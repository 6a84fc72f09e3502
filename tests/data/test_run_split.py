import numpy as np
import pytest

from transfusion_cli.data.run_split import RunSplit
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.data.splits import split_hash
from transfusion_cli.errors import UserError
from transfusion_cli.spreadsheet import spreadsheet_frame

IDS = ["a", "b", "c", "d", "=e", "'f"]
SPLIT = ["train", "train", "val", "test", "test", ""]
PATIENTS = ["p1", "p1", "p2", "p3", "p4", "p5"]


def table(ids=IDS, split=SPLIT, patients=PATIENTS):
    targets = np.zeros((len(ids), 1), dtype=np.float32)
    return SampleTable(as_text(ids), targets, as_text(split), None if patients is None else as_text(patients))


@pytest.fixture
def run(tmp_path):
    samples = table()
    path = tmp_path / "split.csv"
    path.write_text(spreadsheet_frame(samples.frame()).to_csv(index=False))
    path.with_suffix(".sha256").write_text(f"{split_hash(samples.ids, samples.split)}\n")
    return RunSplit.read(path)


def test_it_is_read_as_it_was_written(run):
    assert run.ids.tolist() == IDS and run.split.tolist() == SPLIT and run.patients.tolist() == PATIENTS
    assert run.knows(table()) and run.is_split_of(table(), "test")


@pytest.mark.parametrize("order", [[5, 4, 3, 2, 1, 0], [2, 0, 5, 1, 4, 3]])
def test_the_order_of_rows_and_what_the_data_say_by_now_make_no_difference(run, order):
    now = table([IDS[i] for i in order], ["test"] * 6, [PATIENTS[i] for i in order])
    assert run.impose(now)
    assert now.split.tolist() == [SPLIT[i] for i in order]


def test_new_samples_are_left_out_and_changes_are_told(run, caplog):
    ids, patients = ["a", "b", "c", "d", "new"], ["p1", "p1", "p2", "p9", "p8"]
    now = table(ids, ["train", "train", "test", "test", "test"], patients)
    with caplog.at_level("WARNING"):
        run.impose(now)
    assert now.split.tolist() == ["train", "train", "val", "test", ""]
    assert "1 samples of the run are gone from the data, for example =e" in caplog.text
    assert "1 samples are new since the run" in caplog.text and "for example new" in caplog.text
    assert "1 samples are in the split that they had in the run" in caplog.text and "example c" in caplog.text
    assert "1 samples had another patient" in caplog.text and "for example d" in caplog.text
    assert not run.is_split_of(now, "test") and run.is_split_of(now, "val")


def test_what_changed_nothing_is_not_told(run, caplog):
    with caplog.at_level("WARNING"):
        run.impose(table())
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("ids", "patients", "refused"),
    [
        (["x", "a"], None, "1 of the 2 test samples"),  # an image of the training split
        (["x", "c"], None, "1 of the 2 test samples"),  # one that chose the best epoch
        (["x", "y"], ["p2", "p7"], "1 of the 2 test samples"),  # another image of a patient
        (["x", "d", "=e"], ["p7", "p3", "p4"], ""),
    ],
)
def test_what_was_trained_on_is_tested_by_name_alone(run, ids, patients, refused, caplog):
    now = table(ids, ["test"] * len(ids), patients)
    if not refused:
        return run.check(now, "test", "data")
    with pytest.raises(UserError, match=refused) as stop:
        run.check(now, "test", "data")
    assert "--split data_unchecked" in str(stop.value) and len(str(stop.value).splitlines()) == 3
    with caplog.at_level("WARNING"):
        run.check(now, "test", "data_unchecked")
    assert refused in caplog.text


def test_validation_may_be_repeated(run):
    run.check(table(["c"], ["val"], ["p2"]), "validate", "data")
    with pytest.raises(UserError, match="trained on"):
        run.check(table(["a"], ["val"], ["p1"]), "validate", "data")


def test_training_goes_on_with_the_same_data_alone(run):
    other = table(["x", "y"], ["train", "val"], ["p8", "p9"])
    assert not run.impose(other) and other.split.tolist() == ["train", "val"]
    with pytest.raises(UserError, match="trained on other data"):
        run.check(other, "fit", "run")


def test_a_changed_file_is_refused(run):
    run.path.write_text(run.path.read_text().replace("d,p3,test", "d,p3,train"))
    with pytest.raises(UserError, match="not as the run wrote it"):
        RunSplit.read(run.path)


@pytest.mark.parametrize("content", ["", "id,split\na,train\n", "\x00\x01", 'id,patient,split\n"a'])
def test_a_damaged_file_is_refused(run, content):
    run.path.write_text(content)
    with pytest.raises(UserError):
        RunSplit.read(run.path)
