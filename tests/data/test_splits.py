import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfusion_cli.data.splits import (
    draw_numbers,
    folds,
    hold_out,
    hold_out_images,
    label_matrix,
    nested_order,
    split_hash,
)
from transfusion_cli.errors import UserError

PATIENTS = st.lists(st.integers(0, 30), min_size=2, max_size=120)


def some_labels(groups, classes=3):
    """One of three classes for each image; a patient may have two."""
    return label_matrix((np.asarray(groups) * 7 + np.arange(len(groups)) % 2) % classes)


def one_class(patients, classes=3):
    """A class for each patient."""
    return label_matrix(np.asarray(patients) % classes)


def names_of(rows):
    return np.array([f"i{row:03d}" for row in rows])


def subset(groups, labels, size, seed):
    chosen = np.zeros(len(groups), dtype=bool)
    chosen[nested_order(groups, labels, names_of(range(len(groups))), seed)[:size]] = True
    return chosen


@given(PATIENTS, st.floats(0.05, 0.6), st.integers(0, 5))
def test_patients_are_held_out_whole(groups, fraction, seed):
    groups = np.array(groups)
    held = hold_out(groups, some_labels(groups), fraction, seed)
    assert not set(groups[held]) & set(groups[~held])
    patients = len(set(groups.tolist()))
    assert len(set(groups[held].tolist())) == max(1, round(fraction * patients))


@given(PATIENTS, st.integers(0, 5), st.randoms())
def test_the_order_of_rows_does_not_matter(groups, seed, random):
    groups = np.array(groups)
    labels, ids = some_labels(groups), names_of(range(len(groups)))
    shuffled = np.array(random.sample(range(len(groups)), len(groups)))
    for draw in (
        lambda rows: hold_out(groups[rows], labels[rows], 0.3, seed),
        lambda rows: hold_out_images(groups[rows], labels[rows], len(groups) // 3, seed),
        lambda rows: folds(groups[rows], labels[rows], min(3, len(set(groups.tolist()))), seed),
    ):
        np.testing.assert_array_equal(draw(shuffled), draw(np.arange(len(groups)))[shuffled])
    order = ids[nested_order(groups, labels, ids, seed)]
    np.testing.assert_array_equal(
        ids[shuffled][nested_order(groups[shuffled], labels[shuffled], ids[shuffled], seed)], order
    )


@given(PATIENTS, st.integers(1, 60), st.integers(1, 60), st.integers(0, 5))
def test_subsets_are_nested_and_take_patient_after_patient(groups, a, b, seed):
    groups = np.array(groups)
    small, large = sorted((min(a, len(groups)), min(b, len(groups))))
    labels = some_labels(groups)
    inner, outer = (subset(groups, labels, size, seed) for size in (small, large))
    assert inner.sum() == small and outer.sum() == large
    assert not (inner & ~outer).any()
    cut = [g for g in set(groups[inner]) if not inner[groups == g].all()]
    assert len(cut) <= 1


@given(PATIENTS, st.integers(1, 60), st.integers(0, 5))
def test_a_number_of_images_is_held_out_in_whole_patients(groups, size, seed):
    groups = np.array(groups)
    size = min(size, len(groups))
    held = hold_out_images(groups, some_labels(groups), size, seed)
    assert not set(groups[held]) & set(groups[~held])
    sizes = [int((groups == g).sum()) for g in set(groups[held].tolist())]
    assert size <= held.sum() < size + max(sizes)


@given(PATIENTS, st.integers(2, 5), st.integers(0, 5))
def test_folds_share_no_patient_and_have_equal_numbers_of_them(groups, number, seed):
    groups = np.array(groups)
    patients = set(groups.tolist())
    if len(patients) < number:
        with pytest.raises(UserError, match="need as many patients"):
            folds(groups, some_labels(groups), number, seed)
        return
    fold = folds(groups, some_labels(groups), number, seed)
    members = [set(groups[fold == k].tolist()) for k in range(number)]
    assert set().union(*members) == patients
    assert sum(map(len, members)) == len(patients)
    assert max(map(len, members)) - min(map(len, members)) <= 1


def test_splits_are_stratified():
    rng = np.random.default_rng(0)
    targets = rng.choice(4, 4000, p=[0.7, 0.2, 0.08, 0.02])
    share = np.bincount(targets) / len(targets)
    held = hold_out(np.arange(4000), label_matrix(targets), 0.1, 0)
    np.testing.assert_allclose(np.bincount(targets[held], minlength=4) / held.sum(), share, atol=0.005)
    chosen = subset(np.arange(4000), label_matrix(targets), 200, 0)
    np.testing.assert_allclose(np.bincount(targets[chosen], minlength=4) / 200, share, atol=0.02)
    fold = folds(np.arange(4000), label_matrix(targets), 5, 0)
    for k in range(5):
        np.testing.assert_allclose(np.bincount(targets[fold == k], minlength=4) / 800, share, atol=0.005)


def test_a_label_with_few_patients_is_held_out_too():
    targets = np.zeros(106, dtype=np.int64)
    targets[:6] = 1
    for seed in range(20):
        held = hold_out(np.arange(106), label_matrix(targets), 0.1, seed)
        assert (targets[held] == 1).sum() == 1


def test_a_single_patient_with_a_rare_label_stays_in_training():
    labels = np.zeros((50, 2), dtype=bool)
    labels[:, 0] = np.arange(50) % 2
    labels[17, 1] = True
    for seed in range(20):
        assert not hold_out(np.arange(50), labels, 0.2, seed)[17]
        assert subset(np.arange(50), labels, 5, seed)[17]


def test_seeds_draw_different_patients():
    draws = {tuple(hold_out(np.arange(100), np.zeros((100, 0), bool), 0.1, seed)) for seed in range(10)}
    assert len(draws) == 10


def test_every_patient_is_drawn_as_often():
    """Over seeds a patient is held out a tenth of the time: chi-square of the counts, of a fixed outcome."""
    seeds, names, strata = 2000, names_of(range(300)), one_class(range(300))
    held = np.array([hold_out(names, strata, 0.1, seed) for seed in range(seeds)])
    statistic = ((held.sum(0) - seeds * 0.1) ** 2).sum() / (seeds * 0.1 * 0.9)
    # Ten of each stratum of a hundred, always: 100/99 times a chi-square with 297 degrees of freedom.
    assert 230 < statistic < 381  # the central 99.8 % of that distribution
    both = (held[:, 0] & held[:, 3]).mean()  # of one stratum: 10/100 * 9/99
    assert abs(both - 0.0091) < 0.0064  # three standard errors


def test_numbers_are_uniform_and_those_of_the_name_alone():
    names = names_of(range(1000))
    numbers = draw_numbers(names, 0)
    np.testing.assert_array_equal(draw_numbers(names[::-7], 0), numbers[::-7])
    assert len(set(numbers.tolist())) == 1000 and not (draw_numbers(names, 1) == numbers).any()
    counts = np.bincount((numbers >> np.uint64(60)).astype(int), minlength=16)
    assert ((counts - 62.5) ** 2 / 62.5).sum() < 37.7  # 99.9 % of a chi-square with 15 degrees of freedom
    assert draw_numbers(np.array(["p1"]), 0).tolist() == [15702519315486084165]


@given(st.integers(30, 120), st.integers(0, 9), st.integers(0, 2), st.floats(0.05, 0.5))
def test_one_more_patient_moves_two_others_at_most(patients, seed, kind, fraction):
    names, labels = names_of(range(patients)), one_class(range(patients))
    more = np.append(names, "another"), np.vstack([labels, np.arange(3) == kind])
    for draw in (
        lambda names, labels: hold_out(names, labels, fraction, seed),
        lambda names, labels: hold_out_images(names, labels, 20, seed),
        lambda names, labels: np.isin(names, names[nested_order(names, labels, names, seed)][:20]),
    ):
        assert (draw(names, labels) != draw(*more)[:-1]).sum() <= 2


@given(st.integers(30, 120), st.integers(0, 9), st.integers(0, 2))
def test_one_more_patient_moves_others_at_the_borders_of_folds_alone(patients, seed, kind):
    names, labels = names_of(range(patients)), one_class(range(patients))
    more = np.append(names, "another"), np.vstack([labels, np.arange(3) == kind])
    before, after = folds(names, labels, 5, seed), folds(*more, 5, seed)[:-1]
    assert (before != after).sum() <= 2 * 4 and (abs(before - after) <= 1).all()


def test_the_images_of_the_last_patient_are_taken_by_id():
    groups, ids = np.repeat(["a", "b"], 4), np.array(["3", "1", "2", "0", "7", "5", "4", "6"])
    order = ids[nested_order(groups, np.zeros((8, 0), bool), ids, 0)].tolist()
    assert order in (list("01234567"), list("45670123"))


def test_a_million_patients_are_drawn_in_seconds():
    names = np.char.add("patient", np.arange(1_000_000).astype(str))
    labels = np.random.default_rng(0).random((1_000_000, 14)) < 0.1
    start = time.process_time()
    assert hold_out(names, labels, 0.1, 0).sum() == 100_000
    assert time.process_time() - start < 15


def test_hash_ignores_row_order_and_unused_rows():
    ids, split = np.array(["a", "b", "c"]), np.array(["train", "test", ""])
    assert split_hash(ids, split) == split_hash(ids[::-1], split[::-1]) == split_hash(ids[:2], split[:2])
    assert split_hash(ids, split) != split_hash(ids, np.array(["test", "train", ""]))
