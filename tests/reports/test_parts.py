from dataclasses import replace

import numpy as np
import torch

from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.reports.parts import parts

N = 6
INDEX = torch.tensor([1, 2, 3, 4, 5])  # row 0 is a training image


def evaluation():
    probabilities = torch.linspace(0.1, 0.9, 5)[:, None]
    targets = torch.tensor([0.0, 0, 1, 1, 1])[:, None]
    logits = probabilities.logit()
    found = ClassificationEvaluation.of("binary", ["no", "yes"], probabilities, targets, scores=logits)
    return replace(found, index=INDEX)


def samples(**columns):
    ids = as_text(f"i{i}" for i in range(N))
    return SampleTable(ids, np.zeros((N, 1), np.float32), np.full(N, "test"), as_text("ppqqrr"), **columns)


def test_the_whole_split_alone_where_nothing_more_is_known():
    (whole,) = parts(evaluation(), samples())
    assert whole.stage == "test" and len(whole.evaluation.targets) == 5
    assert whole.evaluation.patients.tolist() == list("pqqrr")
    (alone,) = parts(evaluation(), samples(domains=as_text("aaaaaa")))
    assert alone.stage == "test"


def test_each_domain_and_the_exams():
    found = dict(parts(evaluation(), samples(domains=as_text("xaabbb"), exams=as_text("012334"))))
    assert list(found) == ["test", "test[a]", "test[b]", "test[exams]"]
    assert found["test[a]"].probabilities[:, 0].tolist() == torch.linspace(0.1, 0.9, 5)[:2].tolist()
    assert found["test[b]"].patients.tolist() == list("qrr")
    assert found["test"].scores is not None and len(found["test[b]"].scores) == len(found["test[b]"].targets)
    torch.testing.assert_close(found["test[b]"].scores, found["test[b]"].probabilities.logit())
    exams = found["test[exams]"]
    torch.testing.assert_close(exams.probabilities[:, 0], torch.tensor([0.1, 0.3, 0.6, 0.9]))
    assert exams.targets[:, 0].tolist() == [0, 0, 1, 1]
    assert exams.scores is None  # mean probabilities rank by themselves
