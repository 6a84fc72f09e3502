"""Splits by patient: held-out sets, folds, nested subsets, what crosses splits, and the hash.

Draws go by who the samples are: by the names of their patients and what the source says of them. The order of the rows
makes no difference, and one row more or less moves few others.

Everywhere ``units`` (N,) names each sample's patient, or what else must not part, and ``strata``, bool (N, K), has the
labels of each sample for stratification, by the rarest of each patient.
"""

from __future__ import annotations

import hashlib

import numpy as np

from transfusion_cli.errors import UserError


def label_matrix(targets: np.ndarray) -> np.ndarray:
    """Which class or label each sample has: bool (N, K) from either form of targets."""
    if targets.ndim == 2:
        return np.asarray(np.nan_to_num(targets) >= 0.5)
    return np.asarray(targets[:, None] == np.arange(targets.max(initial=0) + 1))


def draw_numbers(names: np.ndarray, seed: int) -> np.ndarray:
    """A random number for each name, uint64 (N,): a function of seed and name alone, whatever other names there are."""
    key = str(seed).encode()
    texts = names.astype(np.str_, copy=False).tolist()
    digests = b"".join(hashlib.blake2b(text.encode(), digest_size=8, key=key).digest() for text in texts)
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64)


def _patient_rank(units: np.ndarray, strata: np.ndarray, seed: int, rare_first: bool = False) -> np.ndarray:
    """Place of each sample's patient in one random order whose every stretch has about the same mix of labels.

    A patient's stratum is the rarest label found in any of their images. Within a stratum patients come in the order of
    their numbers from ``draw_numbers``, so that one more or one less moves the others by a place at most; strata are
    then merged by relative place. With ``rare_first`` the first patient of every stratum, the only one of a rare label
    included, stands at the front; else strata are centred, so that front and end alike get their share of a label with
    few patients, and the only one stands in the middle.
    """
    names, codes = np.unique(units, return_inverse=True)
    has = np.zeros((len(names), strata.shape[1] + 1), dtype=bool)
    has[:, -1] = True  # those without a label are a stratum, too
    for label in range(strata.shape[1]):
        has[codes[strata[:, label]], label] = True
    stratum = np.where(has, has.sum(0), len(names) + 1).argmin(axis=1)

    numbers = draw_numbers(names, seed)
    by_stratum = np.lexsort((numbers, stratum))
    sizes = np.bincount(stratum)
    start = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    place = np.empty(len(names))
    offset = 0 if rare_first else 0.5
    place[by_stratum] = (np.arange(len(names)) - start[stratum[by_stratum]] + offset) / sizes[stratum[by_stratum]]
    rank = np.empty(len(names), dtype=np.int64)
    rank[np.lexsort((numbers, place))] = np.arange(len(names))
    return rank[codes]


def hold_out(units: np.ndarray, strata: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Choose a share of the patients, at least one: bool (N,), the same for the same patients, labels and seed."""
    if not len(units):
        return np.zeros(0, dtype=bool)
    rank = _patient_rank(units, strata, seed)
    patients = rank.max() + 1
    return np.asarray(rank >= patients - max(1, round(fraction * patients)))


def hold_out_images(units: np.ndarray, strata: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Choose whole patients until they have ``size`` images between them: bool (N,), a few more than asked at most."""
    if size <= 0 or not len(units):
        return np.zeros(len(units), dtype=bool)
    rank = _patient_rank(units, strata, seed)
    images = np.cumsum(np.bincount(rank)[::-1])
    patients = int(np.searchsorted(images, size)) + 1
    return np.asarray(rank > rank.max() - patients)


def folds(units: np.ndarray, strata: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Deal patients out to folds with about the same mix of labels: int64 (N,), 0 to ``number`` - 1.

    Raises:
        UserError: fewer patients than folds.
    """
    patients = len(np.unique(units))
    if patients < number:
        raise UserError(f"{number} folds need as many patients, there are {patients}\nTry --data.folds {patients}")
    # Stretches of the order, not every so-manieth: one more patient moves others at the borders of folds alone.
    return _patient_rank(units, strata, seed) * number // patients


def check_fold(fold: int | None, number: int | None) -> None:
    """See that one of some folds is asked for, or none of any.

    Raises:
        UserError: it is not.
    """
    if fold is None and number is None:
        return
    if number is None:
        raise UserError(f"fold {fold}: of how many?\nFor example --data.folds 5 --data.fold {fold}")
    if number < 2:
        raise UserError(f"folds {number}: there are at least 2\nFor example --data.folds 5 --data.fold 0")
    if fold is None or not 0 <= fold < number:
        which = "no fold is named" if fold is None else f"there is no fold {fold}"
        raise UserError(f"folds {number}: {which}\nThey are counted from 0: --data.fold 0 to --data.fold {number - 1}")


def nested_order(units: np.ndarray, strata: np.ndarray, ids: np.ndarray, seed: int) -> np.ndarray:
    """Rows in the order in which subsets take them, patient after patient: int64 (N,).

    A smaller subset so lies within every larger one. The images of a patient come by their ``ids`` (N,).
    """
    return np.lexsort((ids, _patient_rank(units, strata, seed, rare_first=True)))


def in_several_splits(groups: np.ndarray, split: np.ndarray) -> np.ndarray:
    """Find the patients that have images in more than one split: their codes, in order.

    Args:
        groups: patient of each sample as a code (N,).
        split: split of each, or the empty string (N,).
    """
    inside = split != ""
    kinds, codes = np.unique(split[inside], return_inverse=True)
    member = np.zeros((int(groups.max(initial=-1)) + 1, len(kinds)), dtype=bool)
    member[groups[inside], codes] = True
    return np.flatnonzero(member.sum(1) > 1)


def split_hash(ids: np.ndarray, split: np.ndarray) -> str:
    """SHA-256 of which sample is in which split; the order of rows does not matter."""
    inside = split != ""
    lines = sorted(f"{name}\t{part}" for name, part in zip(ids[inside], split[inside], strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
