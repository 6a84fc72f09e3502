"""Masks to measure, and evaluations of them."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from transfusion_cli.metrics.masks.measure import measure
from transfusion_cli.metrics.masks.pixel_ranking import score_histogram
from transfusion_cli.metrics.segmentation import SegmentationEvaluation


def blobs(rng, shape, share=0.2, width=1.5):
    """A mask bool (*shape) of a few round parts that fill a share of it."""
    field = gaussian_filter(rng.standard_normal(shape), width)
    return field > np.quantile(field, 1 - share)


def squares(first=slice(20, 28), second=slice(22, 30), side=64):
    """Two squares, bool (side, side) each."""
    pair = np.zeros((2, side, side), dtype=bool)
    pair[0, first, first] = pair[1, second, second] = True
    return pair


def evaluation(pairs, spacing=(1.0, 1.0), names=None, patients=None, ranked=False, valid=None, **kwargs):
    """The evaluation of pairs (predicted, truth) of masks (K, *S), measured in every way.

    Args:
        pairs: of each case.
        ranked: whether pixels are ranked as well, by scores that lie between prediction and truth.
        valid: bool (*S), of all cases.
    """
    measures, histograms = [], []
    names = names or [f"class {number}" for number in range(len(pairs[0][0]))]
    ways = {"surfaces": True, "tolerances": [1.0] * len(names), "lesions": True}
    for predicted, truth in pairs:
        predicted, truth = torch.as_tensor(predicted), torch.as_tensor(truth)
        known = torch.ones(truth.shape[1:], dtype=torch.bool) if valid is None else torch.as_tensor(valid)
        measures.append(measure(predicted, truth, known, spacing, **ways))
        if ranked:
            noise = torch.arange(truth[0].numel()).view(truth[0].shape) % 7 / 2
            histograms.append(score_histogram(2.0 * predicted[0] + truth[0] + noise, truth[0], known))
    return SegmentationEvaluation(
        index=torch.arange(len(pairs)),
        patients=patients,
        class_names=names,
        measures=torch.stack(measures),
        histograms=torch.stack(histograms) if ranked else None,
        **ways,
        **kwargs,
    )
