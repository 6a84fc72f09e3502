"""Splits by patient: held-out sets, nested subsets, the disjointness check and the hash."""

from __future__ import annotations

import hashlib

import numpy as np

from transfusion_cli.errors import UserError


def label_matrix(targets: np.ndarray) -> np.ndarray:
    """Which class or label each sample has: bool (N, K) from either form of targets."""
    if targets.ndim == 2:
        return np.nan_to_num(targets) >= 0.5
    return targets[:, None] == np.arange(targets.max(initial=0) + 1)


def _patient_rank(groups: np.ndarray, targets: np.ndarray, seed: int, rare_first: bool = False) -> np.ndarray:
    """Place of each sample's patient in one random order whose every stretch has about the same mix of labels.

    A patient's stratum is the rarest label found in any of their images. Within a stratum patients come in
    random order; strata are then merged by relative place. With ``rare_first`` the first patient of every stratum,
    the only one of a rare label included, stands at the front; else strata are centred, so that front and end alike
    get their share of a label with few patients, and the only one stands in the middle.
    """
    names, codes = np.unique(groups, return_inverse=True)
    labels = label_matrix(targets)
    has = np.zeros((len(names), labels.shape[1] + 1), dtype=bool)
    np.logical_or.at(has, codes, np.pad(labels, ((0, 0), (0, 1)), constant_values=True))
    stratum = np.where(has, has.sum(0), len(names) + 1).argmin(axis=1)

    shuffled = np.random.default_rng(seed).permutation(len(names))
    by_stratum = shuffled[np.argsort(stratum[shuffled], kind="stable")]
    sizes = np.bincount(stratum)
    start = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    place = np.empty(len(names))
    offset = 0 if rare_first else 0.5
    place[by_stratum] = (np.arange(len(names)) - start[stratum[by_stratum]] + offset) / sizes[stratum[by_stratum]]
    order = shuffled[np.argsort(place[shuffled], kind="stable")]
    rank = np.empty(len(names), dtype=np.int64)
    rank[order] = np.arange(len(names))
    return rank[codes]


def hold_out(groups: np.ndarray, targets: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Choose patients to hold out: bool (N,), the same for the same patients, labels and seed.

    Args:
        groups: Patient code of each sample (N,).
        targets: Targets of each sample, for stratification by the rarest label of each patient.
        fraction: Share of the patients, at least one of them.
        seed: Of the draw.
    """
    if not len(groups):
        return np.zeros(0, dtype=bool)
    rank = _patient_rank(groups, targets, seed)
    patients = rank.max() + 1
    return rank >= patients - max(1, round(fraction * patients))


def hold_out_images(groups: np.ndarray, targets: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Choose whole patients until they have ``size`` images between them: bool (N,), a few more than asked at most.

    Args:
        groups: Patient code of each sample (N,).
        targets: Targets of each sample, for stratification.
        size: Images to hold out.
        seed: Of the draw.
    """
    if size <= 0 or not len(groups):
        return np.zeros(len(groups), dtype=bool)
    rank = _patient_rank(groups, targets, seed)
    images = np.cumsum(np.bincount(rank)[::-1])
    patients = int(np.searchsorted(images, size)) + 1
    return rank > rank.max() - patients


def folds(groups: np.ndarray, targets: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Deal patients out to folds with about the same mix of labels: int64 (N,), 0 to ``number`` - 1.

    Args:
        groups: Patient code of each sample (N,).
        targets: Targets of each sample, for stratification.
        number: Folds.
        seed: Of the draw.

    Raises:
        UserError: Fewer patients than folds.
    """
    patients = len(np.unique(groups))
    if patients < number:
        raise UserError(f"{number} folds need as many patients, there are {patients}\nTry --data.folds {patients}")
    return _patient_rank(groups, targets, seed) % number


def nested_subset(groups: np.ndarray, targets: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Choose ``size`` samples, patient after patient: bool (N,). A smaller subset lies within every larger one."""
    order = np.argsort(_patient_rank(groups, targets, seed, rare_first=True), kind="stable")
    chosen = np.zeros(len(groups), dtype=bool)
    chosen[order[:size]] = True
    return chosen


def check_disjoint(patients: np.ndarray | None, split: np.ndarray) -> None:
    """Fail if a patient has images in two splits.

    Raises:
        UserError: Names one such patient and the splits.
    """
    if patients is None:
        return
    inside = split != ""
    names, codes = np.unique(patients[inside], return_inverse=True)
    kinds, split_codes = np.unique(split[inside], return_inverse=True)
    member = np.zeros((len(names), len(kinds)), dtype=bool)
    member[codes, split_codes] = True
    crossing = np.flatnonzero(member.sum(1) > 1)
    if len(crossing):
        where = " and ".join(kinds[member[crossing[0]]])
        raise UserError(
            f"{len(crossing)} patient(s) are in more than one split, for example {str(names[crossing[0]])!r}\n"
            f"which has images in {where}\n"
            "Give all images of a patient the same split, or leave the split out to have it drawn by patient."
        )


def split_hash(ids: np.ndarray, split: np.ndarray) -> str:
    """SHA-256 of which sample is in which split; the order of rows does not matter."""
    inside = split != ""
    lines = sorted(f"{name}\t{part}" for name, part in zip(ids[inside], split[inside], strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
