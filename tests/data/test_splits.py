import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfusion_cli.data.splits import check_disjoint, folds, hold_out, hold_out_images, nested_subset, split_hash
from transfusion_cli.errors import UserError

PATIENTS = st.lists(st.integers(0, 30), min_size=2, max_size=120)


def some_targets(groups, classes=3):
    return (np.asarray(groups) * 7 + np.arange(len(groups)) % 2) % classes


@given(PATIENTS, st.floats(0.05, 0.6), st.integers(0, 5))
def test_patients_are_held_out_whole(groups, fraction, seed):
    groups = np.array(groups)
    held = hold_out(groups, some_targets(groups), fraction, seed)
    assert not set(groups[held]) & set(groups[~held])
    patients = len(set(groups.tolist()))
    assert len(set(groups[held].tolist())) == max(1, round(fraction * patients))


@given(PATIENTS, st.integers(0, 5), st.randoms())
def test_the_order_of_rows_does_not_matter(groups, seed, random):
    groups = np.array(groups)
    targets = some_targets(groups)
    shuffled = np.array(random.sample(range(len(groups)), len(groups)))
    held = hold_out(groups, targets, 0.3, seed)
    np.testing.assert_array_equal(hold_out(groups[shuffled], targets[shuffled], 0.3, seed), held[shuffled])


@given(PATIENTS, st.integers(1, 60), st.integers(1, 60), st.integers(0, 5))
def test_subsets_are_nested_and_take_patient_after_patient(groups, a, b, seed):
    groups = np.array(groups)
    small, large = sorted((min(a, len(groups)), min(b, len(groups))))
    targets = some_targets(groups)
    inner, outer = (nested_subset(groups, targets, size, seed) for size in (small, large))
    assert inner.sum() == small and outer.sum() == large
    assert not (inner & ~outer).any()
    cut = [g for g in set(groups[inner]) if not inner[groups == g].all()]
    assert len(cut) <= 1


@given(PATIENTS, st.integers(1, 60), st.integers(0, 5))
def test_a_number_of_images_is_held_out_in_whole_patients(groups, size, seed):
    groups = np.array(groups)
    size = min(size, len(groups))
    held = hold_out_images(groups, some_targets(groups), size, seed)
    assert not set(groups[held]) & set(groups[~held])
    sizes = [int((groups == g).sum()) for g in set(groups[held].tolist())]
    assert size <= held.sum() < size + max(sizes)


@given(PATIENTS, st.integers(2, 5), st.integers(0, 5))
def test_folds_share_no_patient_and_have_equal_numbers_of_them(groups, number, seed):
    groups = np.array(groups)
    patients = set(groups.tolist())
    if len(patients) < number:
        with pytest.raises(UserError, match="need as many patients"):
            folds(groups, some_targets(groups), number, seed)
        return
    fold = folds(groups, some_targets(groups), number, seed)
    members = [set(groups[fold == k].tolist()) for k in range(number)]
    assert set().union(*members) == patients
    assert sum(map(len, members)) == len(patients)
    assert max(map(len, members)) - min(map(len, members)) <= 1


def test_splits_are_stratified():
    rng = np.random.default_rng(0)
    targets = rng.choice(4, 4000, p=[0.7, 0.2, 0.08, 0.02])
    share = np.bincount(targets) / len(targets)
    held = hold_out(np.arange(4000), targets, 0.1, 0)
    np.testing.assert_allclose(np.bincount(targets[held], minlength=4) / held.sum(), share, atol=0.005)
    subset = nested_subset(np.arange(4000), targets, 200, 0)
    np.testing.assert_allclose(np.bincount(targets[subset], minlength=4) / 200, share, atol=0.02)


def test_a_label_with_few_patients_is_held_out_too():
    targets = np.zeros(106, dtype=np.int64)
    targets[:6] = 1
    for seed in range(20):
        held = hold_out(np.arange(106), targets, 0.1, seed)
        assert (targets[held] == 1).sum() == 1


def test_a_single_patient_with_a_rare_label_stays_in_training():
    labels = np.zeros((50, 2), dtype=np.float32)
    labels[:, 0] = np.arange(50) % 2
    labels[17, 1] = 1
    for seed in range(20):
        assert not hold_out(np.arange(50), labels, 0.2, seed)[17]
        assert nested_subset(np.arange(50), labels, 5, seed)[17]


def test_seeds_draw_different_patients():
    draws = {tuple(hold_out(np.arange(100), np.zeros(100, int), 0.1, seed)) for seed in range(10)}
    assert len(draws) == 10


def test_patient_in_two_splits_is_named():
    with pytest.raises(UserError, match=r"for example 'b'\nwhich has images in test and train"):
        check_disjoint(np.array(["a", "b", "b", "c"]), np.array(["train", "train", "test", ""]))
    check_disjoint(np.array(["a", "b", "b"]), np.array(["train", "test", ""]))
    check_disjoint(None, np.array(["train", "test"]))


def test_hash_ignores_row_order_and_unused_rows():
    ids, split = np.array(["a", "b", "c"]), np.array(["train", "test", ""])
    assert split_hash(ids, split) == split_hash(ids[::-1], split[::-1]) == split_hash(ids[:2], split[:2])
    assert split_hash(ids, split) != split_hash(ids, np.array(["test", "train", ""]))
