"""The work of ``transfusion calibrate``, from flags to files."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from transfusion_cli.cli.app import TransfusionCLI
from transfusion_cli.cli.quiet import quieten
from transfusion_cli.errors import UserError
from transfusion_cli.files import require_writable, write_json
from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.decisions.decisions import Decisions
from transfusion_cli.metrics.decisions.fits import Choice
from transfusion_cli.metrics.decisions.fitted_on import FittedOn, hashes
from transfusion_cli.metrics.decisions.fitting import check_kind, fit_decisions
from transfusion_cli.metrics.decisions.thresholds import ThresholdRule
from transfusion_cli.reports.decided import decided_results
from transfusion_cli.reports.decision_figures import write_figures
from transfusion_cli.reports.decision_tables import calibration_table, left_alone, threshold_table
from transfusion_cli.reports.open_folder import OpenFolder
from transfusion_cli.reports.provenance import file_hash, is_mirrored
from transfusion_cli.run_folder import RunFolder
from transfusion_cli.tasks.checkpoints import read_checkpoint
from transfusion_cli.versions import free_path


class CalibrateCLI(TransfusionCLI):
    """``validate`` of a run's best checkpoint, on the run's own split, from which decisions are fitted.

    Args:
        method: of calibration.
        rule: of thresholds, or None.
        args: flags of ``validate``.
    """

    def __init__(self, method: Choice, rule: ThresholdRule | None, args: list[str]) -> None:
        self.method, self.rule = method, rule
        self.written: Path | None = None
        super().__init__(["validate", *args, "--verbose", "false"])

    def instantiate_classes(self) -> None:
        """Build everything, and see that there is something to fit before anything is predicted.

        Raises:
            UserError: the targets are masks or not of labels, the checkpoint has no run, or the data are others.
        """
        run = RunFolder.holding(self.own.ckpt_path)
        if run is None:
            raise UserError(
                f"{self.own.ckpt_path} does not lie in the folder of a run, which says what it was validated on.\n"
                "Give the run: transfusion calibrate lightning_logs/NAME/version_0"
            )
        require_writable(run.path)
        super().instantiate_classes()
        if self.model.learns == "masks":
            raise UserError("calibrate is for labels, and this run predicts masks.\nIts metrics: transfusion test RUN")
        check_kind(self.model.target, self.method, self.rule)
        if not self.datamodule.samples.rows("val").size or not self.datamodule.follows_run:
            raise UserError(
                f"None of the samples that {run} was validated on are in these data.\n"
                "Leave out --config and --data.*, or give --data.root where its images are now."
            )

    def after_validate(self) -> None:
        """Fit, write, draw and tell."""
        evaluation, data = self.model.evaluation, self.datamodule
        if not self.trainer.is_global_zero or not isinstance(evaluation, ClassificationEvaluation):
            return
        if data.samples.patients is not None:
            evaluation = evaluation.of_patients(data.samples.patients[evaluation.index.numpy()])
        folder = RunFolder.holding(self.own.ckpt_path)
        assert folder is not None
        checkpoint = Path(self.trainer.evaluated or self.own.ckpt_path)
        fitted_on = origin(folder, checkpoint, evaluation, data, is_mirrored(self.model))
        made = fit_decisions(evaluation, fitted_on, self.method, self.rule)
        results = decided_results(made, evaluation, "val")
        figures = write_figures(made, evaluation, folder.path, "val")
        self.written = free_path(folder.decisions)
        write_json(
            self.written, made.as_json() | {"validation": results, "patients_known": evaluation.patients is not None}
        )
        place = folder.shown
        print(f"\n{told(made, results, evaluation)}\n\nWritten to {place / self.written.name}")
        print("Drawn:", " ".join(str(place / figure.name) for figure in figures))
        print(f"What holds on other patients: transfusion test {shlex.quote(str(place))}")


def origin(
    folder: RunFolder, checkpoint: Path, evaluation: ClassificationEvaluation, data: Any, mirror: bool = False
) -> FittedOn:
    """Which cases decisions are fitted on.

    Args:
        folder: of the run.
        checkpoint: that predicted them.
        evaluation: of the validation split.
        data: the datamodule that it is of.
        mirror: whether predictions are means over mirror images.
    """
    rows, samples = evaluation.index.numpy(), data.samples
    patients = [] if samples.patients is None else [name for name in samples.patients[rows] if name != ""]
    epoch = None if checkpoint.suffix == ".safetensors" else int(read_checkpoint(checkpoint)["epoch"]) + 1
    return FittedOn(
        run=f"{folder.name}/{folder.path.name}",
        split="val",
        split_sha256=data.run_split.sha256,
        checkpoint=checkpoint.name,
        checkpoint_sha256=str(file_hash(checkpoint)),
        epoch=epoch,
        samples=frozenset(hashes(samples.ids[rows])),
        patients=frozenset(hashes(patients)),
        mirror=mirror,
    )


def told(made: Decisions, results: Any, evaluation: ClassificationEvaluation) -> str:
    """What was fitted, as text."""
    unit = "images" if evaluation.patients is None else "patients"
    of = f"{len(evaluation):,} images"
    if evaluation.patients is not None:
        of += f" of {len(evaluation.clusters.unique()):,} patients"
    mirrored = ", each with its mirror image" if made.fitted_on.mirror else ""
    head = f"Fitted on the validation split, {of}{mirrored}, 95 % intervals over {unit}"
    texts = [f"{head}\n{calibration_table(made, results, 'val')}"]
    if table := threshold_table(made, results, "val"):
        texts.append(f"Thresholds by {made.rule}\n{table}")
    texts.append("These numbers are optimistic: they are of the patients that were fitted to, intervals included.")
    return "\n\n".join([*texts, *filter(None, ["\n".join(left_alone(made))])])


def calibrated(method: Choice, rule: ThresholdRule | None, args: list[str]) -> Path | None:
    """Fit and write the decisions of a run.

    Args:
        method: of calibration.
        rule: of thresholds, or None.
        args: flags of ``validate``.

    Returns:
        The file.
    """
    quieten()
    try:
        return CalibrateCLI(method, rule, args).written
    finally:
        OpenFolder.unshare()
