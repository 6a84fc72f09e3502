"""``transfusion calibrate``: from scores to decisions, fitted on the validation split of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transfusion_cli.cli.own_flags import OwnFlags
from transfusion_cli.errors import UserError
from transfusion_cli.metrics.decisions.thresholds import ThresholdRule

if TYPE_CHECKING:
    from pathlib import Path

METHODS = ("auto", "temperature", "platt", "isotonic")

USAGE = "%(prog)s RUN [--method METHOD] [--threshold RULE] [options]"

ABOUT = (
    "Predict the run's validation split with its best checkpoint, fit calibration and thresholds on that alone, and "
    "write decisions.json into the run's folder: test and predict use it from then on. RUN is as for test."
)


def flags() -> OwnFlags:
    """The verb's own flags; all others are those of validate."""
    parser = OwnFlags("calibrate", ABOUT, config=True)
    parser.usage = USAGE
    add = parser.add_argument
    how = "auto (default): one temperature for classes, Platt's for labels; isotonic needs 200 positives and negatives"
    add("--method", choices=METHODS, default="auto", help=how)
    rules = "youden (default), f1, sensitivity=0.95, specificity=0.9, or a number; by label; classes have none"
    add("--threshold", metavar="RULE", help=rules)
    return parser


def run(verb: str, args: list[str]) -> Path | None:
    """Fit and write the decisions of a run.

    Returns:
        The file.

    Raises:
        UserError: no run is named, or its targets, its split or the flags do not serve.
    """
    parser = flags()
    if {"-h", "--help"} & {*args}:
        parser.print_help()
        raise SystemExit(0)
    own, rest = parser.parse_known_args(args)
    rule = None if own.threshold is None else ThresholdRule.parse(own.threshold)
    _check(rest)
    from transfusion_cli.cli.calibrated import calibrated

    return calibrated(own.method, rule, rest)


def _check(rest: list[str]) -> None:
    names = [flag.partition("=")[0] for flag in rest]
    if "--ckpt_path" not in names:
        raise UserError("Which run is to be calibrated?\nGive it: transfusion calibrate lightning_logs/NAME/version_0")
    if "--output" in names:
        raise UserError("calibrate takes no --output: test and predict look for decisions beside the run's checkpoint.")
    if "--split" in names:
        raise UserError("calibrate takes no --split: it fits on what the run validated on, and on nothing else.")
