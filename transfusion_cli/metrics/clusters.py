"""Which cases are of the same patient."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor


def cluster_codes(patients: Sequence[Hashable] | None, num_samples: int) -> Tensor:
    """Number the patients from 0 in order of appearance: int64 ``(N,)``; each sample its own where none are known.

    Raises:
        ValueError: numbers of patients and samples differ.
    """
    if patients is None:
        return torch.arange(num_samples)
    if len(patients) != num_samples:
        raise ValueError(f"{len(patients)} patients for {num_samples} samples")
    codes: dict[Hashable, int] = {}
    items = patients.tolist() if hasattr(patients, "tolist") else patients
    return torch.tensor([codes.setdefault(patient, len(codes)) for patient in items], dtype=torch.int64)
