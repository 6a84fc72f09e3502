"""What a network loses when one stage forgets what it learned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from transfusion_cli.analysis.evaluate import predict_all
from transfusion_cli.analysis.subject import Batch, Metrics, Subject
from transfusion_cli.analysis.weights import stage_of_tensors

TRAINED = "as trained"


def stage_robustness(
    subject: Subject,
    donors: Mapping[str, nn.Module],
    batches: Iterable[Batch],
    score: Metrics,
    device: torch.device | str = "cpu",
) -> list[dict[str, Any]]:
    """Metrics after one stage at a time, the classifier included, got the tensors of another network.

    With the network before training as donor this is re-initialisation, with a freshly drawn one re-randomisation
    (Zhang, Bengio & Singer 2019, "Are all layers created equal?"). A stage whose loss costs nothing is not critical.
    Its batch normalisation comes from the donor whole, running statistics included. The network is not changed.

    Args:
        subject: the trained network.
        donors: networks of the same architecture, by what replacing by them is called.
        batches: read once.
        score: the metrics.
        device: where the networks are.

    Returns:
        Rows with stage, replaced_by, measure, value and drop: value as trained minus value.
    """
    members: dict[str, list[str]] = {}
    for name, stage in stage_of_tensors(subject.network).items():
        members.setdefault(stage, []).append(name)

    def without(stage: str, donor: str) -> Callable[[Tensor], Tensor]:
        theirs = donors[donor].state_dict()
        replaced = {name: theirs[name] for name in members[stage]}
        return lambda images: functional_call(subject.network, replaced, (subject.normalise(images),))

    cases = {f"{stage}\n{donor}": (stage, donor) for donor in donors for stage in members}
    variants = {TRAINED: subject.__call__} | {key: without(*case) for key, case in cases.items()}
    logits, targets = predict_all(variants, batches, device)
    whole = score(logits[TRAINED], targets)
    rows = [{"stage": TRAINED, "replaced_by": "", "measure": m, "value": v, "drop": 0.0} for m, v in whole.items()]
    for key, (stage, donor) in cases.items():
        for measure, value in score(logits[key], targets).items():
            common = {"stage": stage, "replaced_by": donor, "measure": measure}
            rows.append({**common, "value": value, "drop": whole[measure] - value})
    return rows
