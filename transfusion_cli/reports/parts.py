"""What of a test split gets results of its own: all of it, each domain, and the examinations."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from transfusion_cli.data.samples import SampleTable
from transfusion_cli.metrics.evaluation import Evaluation


class Part(NamedTuple):
    """The evaluation of one part, its patients known where the data know them, and its name in ``results.json``."""

    stage: str
    evaluation: Evaluation


def parts(evaluation: Evaluation, samples: SampleTable) -> Iterator[Part]:
    """``test``, then ``test[DOMAIN]`` where there are several domains, then ``test[exams]`` where exams are known.

    Args:
        evaluation: of the whole split.
        samples: the table that the evaluation's indices refer to.
    """
    rows = evaluation.index.numpy()
    if samples.patients is not None:
        evaluation = evaluation.of_patients(samples.patients[rows])
    yield Part("test", evaluation)
    if samples.domains is not None:
        domains = samples.domains[rows]
        names = np.unique(domains)
        for name in names if len(names) > 1 else ():
            yield Part(f"test[{name}]", evaluation.take(domains == name))
    if samples.exams is not None and (exams := evaluation.by_exam(samples.exams[rows])) is not None:
        yield Part("test[exams]", exams)
