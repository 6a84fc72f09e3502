"""``transfusion rank``: which candidate to transfer from, before paying for fine-tuning."""

from __future__ import annotations

import argparse
from pathlib import Path

from transfusion_cli.cli.own_flags import OwnFlags
from transfusion_cli.data.feature_store import FOLDER
from transfusion_cli.errors import UserError
from transfusion_cli.transferability import DEFAULT
from transfusion_cli.transferability.scores import SCORES

USAGE = """\
%(prog)s --config FILE --candidates CANDIDATE ... [options]
       %(prog)s --table FILE.csv [--outcome MEASURE] [--out DIR]

candidates
  NAME              a backbone of timm with its published weights: resnet18.a1_in1k
  NAME=FILE         a backbone with weights from a file
  NAME=random:SEED  a backbone with weights drawn at random; random:SEED that of the config
  RUN               a run or checkpoint; init:RUN before its training, pretrained:RUN what it was given
  @LIST.txt         a file with one a line, comments after #
"""


def steps(text: str) -> int | str:
    """``1``, a number, or ``epoch``."""
    if text == "epoch":
        return text
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"takes a number of steps or epoch, not {text!r}")
    return int(text)


def count(text: str) -> int:
    """A whole number from 0."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"takes a whole number, not {text!r}")
    return int(text)


def flags() -> OwnFlags:
    """The verb's own flags; all others belong to the config of the data."""
    about = (
        "Rank candidates by what their features tell of the labels, without fine-tuning any; or say how well the "
        "scores in a table agree with what fine-tuning gave."
    )
    parser = OwnFlags("rank", about, config=True)
    parser.usage = USAGE
    add = parser.add_argument
    add("--candidates", nargs="+", metavar="CANDIDATE", help="see above")
    known = [*SCORES, "ac_corr", "parameters"]
    add(
        "--score",
        nargs="+",
        choices=["all", *known],
        metavar="SCORE",
        help=f"the first decides the order: {', '.join(known)}, or all; {' '.join(DEFAULT)} by default",
    )
    add("--images", type=count, default=5000, metavar="N", help="at most, whole patients of the split (default 5000)")
    add("--split", choices=("train", "val"), default="train", help="images to look at; train by default")
    add("--halves", type=count, default=20, metavar="R", help="random halves of the patients, for intervals (20)")
    add("--ac_corr", type=steps, metavar="STEPS", help="also AC-Corr after 1 or more steps of AC-Norm, or one epoch")
    add("--ac_corr_lr", type=float, default=1e-3, metavar="X", help="learning rate of these steps (default 0.001)")
    add(
        "--outcomes",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="what fine-tuning gave: runs, or a CSV file of source, target, value",
    )
    add("--outcome", metavar="NAME", help="metric of runs, or measure of --table, that is the outcome")
    add("--static", type=Path, metavar="CSV", help="a ranking of your own to stand beside the scores: source, value")
    add("--target", metavar="NAME", help="what outcomes call these data; the only target by default")
    add(
        "--table", type=Path, metavar="FILE.csv", help="scores and outcomes of your own: source, target, measure, value"
    )
    add("--features", type=Path, default=FOLDER, metavar="DIR", help=f"where features are kept (default {FOLDER})")
    add("--seed", type=count, default=0, help="of the choice of images, the halves and AC-Corr (default 0)")
    add("--device", help="cuda where there is one")
    add("--out", type=Path, metavar="DIR", help="folder to write; ranking/<config> by default, never over another")
    return parser


def run(verb: str, args: list[str]) -> Path | None:
    """Rank the candidates and write the ranking, or judge a table of scores.

    Returns:
        The folder that was written.
    """
    parser = flags()
    if not args or args[0] in ("-h", "--help"):
        parser.print_help()
        raise SystemExit(0 if args else 2)
    own, rest = parser.parse_known_args(args)
    if own.table is not None:
        return judge(own, rest)
    if not own.candidates:
        raise UserError("There is nothing to rank.\nGive --candidates, or scores and outcomes by --table FILE.csv")
    if not any(arg.partition("=")[0] in ("-c", "--config", "--data") for arg in rest):
        raise UserError("On which images?\nGive --config FILE, yours or a shipped one: transfusion list configs")
    from transfusion_cli.cli.ranked import ranked

    return ranked(own, rest, args)


def judge(own: argparse.Namespace, rest: list[str]) -> Path | None:
    """Say how well the scores in a table agree with its outcomes."""
    if own.candidates or rest:
        raise UserError("--table holds scores and outcomes already, and ranks no candidates.\nLeave out all but --out.")
    from transfusion_cli.transferability.evidence.report import report
    from transfusion_cli.transferability.evidence.table_file import OUTCOME

    print(report(own.table, own.outcome or OUTCOME, own.out))
    out: Path | None = own.out
    return out
