"""``transfusion analyze``: what is inside networks, and what training did to it."""

import json
import logging
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from transfusion_cli.analysis.base import Analysis, Findings, analyses, natural, whole
from transfusion_cli.analysis.networks import Network, load_networks
from transfusion_cli.analysis.spec import Spec
from transfusion_cli.analysis.workbench import Workbench
from transfusion_cli.cli.app import follow
from transfusion_cli.cli.data_cli import DataCLI
from transfusion_cli.cli.own_flags import OwnFlags
from transfusion_cli.cli.quiet import quieten
from transfusion_cli.errors import UserError
from transfusion_cli.files import require_writable, whole_file, write_text
from transfusion_cli.targets import MASK_TARGETS
from transfusion_cli.tasks.classification import ClassificationTask
from transfusion_cli.versions import free_path

log = logging.getLogger(__name__)

DEFAULT = ("similarity", "weights", "filters")

USAGE = """\
%(prog)s NETWORK [NETWORK ...] [options]

networks
  PATH             a checkpoint, or a run folder (its best.ckpt)
  init:PATH        the network of that run before its training, rebuilt from config and seed
  pretrained:PATH  the pretrained weights that the run was given
  random:SEED      the backbone of the first network, with weights drawn at random
"""


def run(verb: str, args: list[str]) -> Path:
    """Compare the networks and write tables and figures.

    Returns:
        The folder that was written.
    """
    known = analyses()
    parser = flags(known)
    if not args or args[0] in ("-h", "--help"):
        parser.print_help()
        raise SystemExit(0 if args else 2)
    count = next((i for i, arg in enumerate(args) if arg.startswith("-")), len(args))
    own, rest = parser.parse_known_args(args[count:])
    if not count:
        raise UserError("Networks come first: transfusion analyze NETWORK NETWORK ... --what similarity")
    if count == 1 and (alone := [w for w in own.what or DEFAULT if known[w].networks > 1]):
        raise UserError(f"{alone[0]} compares two networks or more.\nAdd one, such as init:{args[0]}")
    quieten()
    specs = [Spec.parse(text) for text in args[:count]]
    config = next((spec.config for spec in specs if spec.config is not None), None)
    loaded = networks(specs, rest)
    own.what = choose(own.what, known, loaded)
    # Of networks that mark parts of images, analyses look at weights alone.
    looked_into = [network for network in loaded if own.layers or isinstance(network.task, ClassificationTask)]
    layers = {network.name: network.layers(own.layers) for network in looked_into}
    bench = Workbench(loaded, own, lambda: data_module(config, rest), layers)
    folder = free_path((own.out or Path("analysis") / slug(network.name for network in bench.networks)).expanduser())
    require_writable(folder)
    findings = {}
    for what in own.what:
        log.info("%s ...", what)
        findings[what] = known[what].run(bench)
    write(folder, findings, about(bench, args))
    for found in findings.values():
        print(f"\n{found.text}")
    print(f"\nWritten to {folder}/; figures also by tensorboard --logdir {shlex.quote(str(folder))}")
    return folder


def flags(known: Mapping[str, Analysis]) -> OwnFlags:
    """The verb's own flags and those of the analyses; all others belong to the config of the data."""
    about = "Compare representations and weights of networks, layer by layer, on your own images."
    parser = OwnFlags("analyze", about, config=True)
    parser.usage = USAGE
    add = parser.add_argument
    add(
        "--what", nargs="+", choices=[*known], metavar="WHAT", help=f"of {', '.join(known)}; the first three by default"
    )
    add("--layers", nargs="+", metavar="GLOB", help="module names, * stops at dots, ** does not; stages by default")
    add("--split", choices=("train", "val", "test"), default="val", help="images to look at; val by default")
    add("--batches", type=natural, metavar="N", help="as many batches, spread over the split; all by default")
    for analysis in known.values():
        analysis.add_flags(add)
    add("--seed", type=whole, default=0, help="of the positions and of re-randomised stages")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cuda where there is one")
    add("--out", type=Path, metavar="DIR", help="folder to write; analysis/<networks> by default, never over another")
    return parser


def choose(asked: list[str] | None, known: Mapping[str, Analysis], loaded: list[Network]) -> list[str]:
    """The analyses to make: those asked for, or of the usual ones those that these networks will do for.

    Raises:
        UserError: one that was asked for will not take a network.
    """
    refusals = {what: next(filter(None, map(one.refuses, loaded)), "") for what, one in known.items()}
    refused = [what for what in asked or () if refusals[what]]
    if refused:
        fitting = " ".join(what for what, reason in refusals.items() if not reason)
        raise UserError(f"{refusals[refused[0]]}.\nChoose others: --what {fitting}")
    return asked or [what for what in DEFAULT if not refusals[what]]


def networks(specs: list[Spec], rest: list[str]) -> list[Network]:
    """Load them; where all are drawn at random, the config says of what backbone."""
    template = None
    if all(spec.path is None for spec in specs):
        cli = DataCLI(rest)
        if cli.datamodule.target in MASK_TARGETS:
            raise UserError(
                "Networks that are all drawn at random are classifiers, and these data have masks.\n"
                "Name a run too: transfusion analyze RUN random:1 --what weights filters"
            )
        facts = {name: getattr(cli.datamodule, name) for name in ("target", "class_names", "dims")}
        template = cli.own.model.init_args.as_dict() | facts
    return load_networks(specs, template)


def data_module(config: Path | None, rest: list[str]) -> Any:
    """The data of the first run, as far as ``--config`` and ``--data`` do not say otherwise."""
    if config is None and not any(arg.partition("=")[0] in ("-c", "--config", "--data") for arg in rest):
        raise UserError("None of these networks lies in a run folder that says on what data.\nGive --config FILE.")
    data = DataCLI([*(["--config", str(config)] if config else []), *rest]).datamodule
    follow(data, config, "run")
    return data


def slug(names: Any) -> str:
    """A folder's name made of the networks'."""
    return re.sub(r"[^\w.+-]+", "-", "_".join(names))[:80].strip("-_")


def about(bench: Workbench, args: list[str]) -> dict[str, Any]:
    """What the analysis was made of, for whoever finds the folder."""
    options = {key: str(v) if isinstance(v, Path) else v for key, v in vars(bench.options).items()}
    paths = {n.name: {"as typed": n.spec.text, "file": n.spec.path and str(n.spec.path)} for n in bench.networks}
    return {"networks": paths, "layers": bench.layers, "options": options, "arguments": args}


def write(folder: Path, findings: dict[str, Findings], description: dict[str, Any]) -> None:
    """Tables as CSV; figures as PNG and SVG and, with the text, as events for TensorBoard."""
    from pandas import DataFrame

    from transfusion_cli.reports.curves import Events

    write_text(folder / "analysis.json", json.dumps(description, indent=2) + "\n")
    with Events(folder) as events:
        for what, found in findings.items():
            for name, rows in found.tables.items():
                write_text(folder / f"{name}.csv", DataFrame(rows).to_csv(index=False))
            for name, figure in found.figures.items():
                for kind in ("png", "svg"):
                    with whole_file(folder / f"{slug([name])}.{kind}") as file:
                        figure.savefig(file, format=kind, dpi=150)
                events.add_figure(f"{what}/{name}", figure, 0)
            events.add_text(what, f"```\n{found.text}\n```", 0)
