"""What baselines say of images of patients they were not shown."""

import torch
from torch import Tensor

from transfusion_cli.errors import UserError
from transfusion_cli.metrics.ranking import ranking
from transfusion_cli.transferability.scores.sample import Sample


def macro_auroc(sample: Sample, chances: Tensor) -> float:
    """Mean over classes of the AUROC against the rest.

    A class whose images are all of one patient cannot be shown and asked for at once, and is left out of the mean.

    Args:
        sample: the images.
        chances: (N, K), the higher the likelier; each image answered for without having seen its patient.

    Raises:
        UserError: every class is of one patient.
    """
    patients = sample.patients
    areas = [
        float(ranking(chances[:, label], sample.labels == label, torch.ones(len(chances), dtype=torch.float64))[0])
        for label in range(sample.classes)
        if len(patients[sample.labels == label].unique()) > 1
    ]
    if not areas:
        raise UserError(
            "The images of each class are all of one patient.\n"
            "Neighbours and linear probe answer for patients they were not shown.\n"
            "Take more images, or leave these two scores out."
        )
    return sum(areas) / len(areas)


def folds(sample: Sample, count: int, seed: int = 0) -> Tensor:
    """Deal patients into folds that have about as many of each class (by a patient's first image): int64 (N,).

    Args:
        sample: the images.
        count: of folds; as many as patients where these are fewer.
        seed: of the order of patients.
    """
    patients = sample.patients
    number = int(patients.max()) + 1
    shuffled = torch.randperm(number, generator=torch.Generator().manual_seed(seed))
    first = torch.full((number,), len(patients)).scatter_reduce(0, patients, torch.arange(len(patients)), "amin")
    dealt = shuffled[sample.labels[first[shuffled]].argsort(stable=True)]
    fold = torch.empty(number, dtype=torch.int64)
    fold[dealt] = torch.arange(number) % min(count, number)
    return fold[patients]
