"""``transfusion export``: a run as files that need no part of this program."""

from pathlib import Path

from transfusion_cli.cli.own_flags import OwnFlags
from transfusion_cli.errors import UserError
from transfusion_cli.run_folder import ROOT
from transfusion_cli.suggest import did_you_mean

KINDS = {
    "timm": "config.json and model.safetensors, which timm.create_model reads",
    "hf": "the same with a model card, for the Hugging Face hub",
    "onnx": "model.onnx, with normalisation and probabilities inside",
    "torchscript": "model.pt, the same for PyTorch alone",
}

ABOUT = (
    "Write the best epoch of a run of classification as files that need no part of this program, compare what they "
    "give with what the run gave, and keep them where both are equal to 1e-5."
)


def flags() -> OwnFlags:
    """The verb's own flags; others say where the run's images are now."""
    parser = OwnFlags("export", ABOUT)
    parser.usage = "transfusion export RUN --format FORMAT [--output DIR] [--data.root DIR] [--trust MODULE]"
    parser.epilog = "Where the run's images are elsewhere now: --data.root DIR. Without them, random ones are compared."
    add = parser.add_argument
    add("run", metavar="RUN", help="a run folder, the folder above (its newest run), or a checkpoint in one")
    add("--format", metavar="FORMAT", help="; ".join(f"{name}: {what}" for name, what in KINDS.items()))
    add("--output", type=Path, metavar="DIR", help="folder to make; RUN/export/FORMAT by default, never over another")
    add("--root", type=Path, default=ROOT, metavar="DIR", help="where runs are looked for by name")
    return parser


def run(verb: str, args: list[str]) -> Path:
    """Write the files.

    Returns:
        Their folder.

    Raises:
        UserError: there is no such run or format, or the run cannot be written in it.
    """
    own, rest = flags().parse_known_args(args)
    if own.format not in KINDS:
        told = "In which format?" if own.format is None else f"There is no format {own.format!r}."
        all_of_them = f"Give --format {' | '.join(KINDS)}"
        raise UserError(f"{told}\n{did_you_mean(own.format or '', KINDS, otherwise=all_of_them)}")
    if own.format == "onnx":
        from transfusion_cli.export.packages import needed  # before seconds of other work

        for package in ("onnx", "onnxruntime"):
            needed(package, own.format)
    from transfusion_cli.cli.exported import exported

    return exported(own, rest)
