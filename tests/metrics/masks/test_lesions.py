"""Lesions: by hand, and one by one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label
from support.masks import blobs

from transfusion_cli.metrics.masks.lesions import Lesions, match_lesions


def test_by_hand():
    truth, predicted = np.zeros((2, 20, 20), dtype=bool)
    truth[1:5, 1:5] = predicted[1:5, 1:4] = True  # much overlap
    truth[10:14, 10:14] = predicted[13:18, 13:18] = True  # little
    truth[17, 1] = True  # missed
    predicted[2, 15] = predicted[3, 16] = True  # a false alarm, whose pixels share a corner
    assert match_lesions(predicted, truth) == Lesions(true=3, predicted=3, found=2, right=2, matched=1)
    predicted[13, 10], predicted[10, 10] = True, True  # three predicted parts touch the second lesion
    assert match_lesions(predicted, truth) == Lesions(true=3, predicted=5, found=2, right=4, matched=1)
    nothing = np.zeros_like(truth)
    assert match_lesions(nothing, truth) == Lesions(3, 0, 0, 0, 0)
    assert match_lesions(truth, nothing) == Lesions(0, 3, 0, 0, 0)
    assert match_lesions(nothing, nothing) == Lesions(0, 0, 0, 0, 0)


def test_half_of_the_union_is_not_enough():
    truth, predicted = np.zeros((2, 1, 9), dtype=bool)
    truth[0, :4], predicted[0, :2] = True, True
    assert match_lesions(predicted, truth).matched == 0
    predicted[0, :3] = True
    assert match_lesions(predicted, truth).matched == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(18, 19), (9, 10, 8)]))
def test_one_by_one(seed, shape):
    rng = np.random.default_rng(seed)
    truth = blobs(rng, shape, 0.15, 0.9)
    predicted = truth ^ blobs(rng, shape, 0.1, 0.9)
    parts = []
    for mask in (truth, predicted):
        numbers, count = label(mask, np.ones((3,) * len(shape)))
        parts.append([numbers == number for number in range(1, count + 1)])
    lesions, guesses = parts
    found = match_lesions(predicted, truth)
    assert (found.true, found.predicted) == (len(lesions), len(guesses))
    assert found.found == sum((one & predicted).any() for one in lesions)
    assert found.right == sum((one & truth).any() for one in guesses)
    pairs = [(one & other).sum() > 0.5 * (one | other).sum() for one in lesions for other in guesses]
    assert found.matched == sum(pairs)
