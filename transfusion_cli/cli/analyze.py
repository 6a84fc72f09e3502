"""``transfusion analyze``: what is inside networks, and what training did to it."""

import json
import logging
import re
import shlex
from pathlib import Path
from typing import Any

import torch

from transfusion_cli.analysis.measures import MEASURES
from transfusion_cli.analysis.taps import default_layers, matching_layers
from transfusion_cli.cli.analyses import ANALYSES
from transfusion_cli.cli.app import follow
from transfusion_cli.cli.bench import Bench, Findings
from transfusion_cli.cli.data_cli import DataCLI, OwnFlags
from transfusion_cli.cli.networks import Network, Spec, load_networks, run_config
from transfusion_cli.cli.quiet import quieten
from transfusion_cli.errors import UserError
from transfusion_cli.files import require_writable, whole_file, write_text
from transfusion_cli.versions import free_path

log = logging.getLogger(__name__)

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
    parser = flags()
    if not args or args[0] in ("-h", "--help"):
        parser.print_help()
        raise SystemExit(0 if args else 2)
    count = next((i for i, arg in enumerate(args) if arg.startswith("-")), len(args))
    own, rest = parser.parse_known_args(args[count:])
    if not count:
        raise UserError("Networks come first: transfusion analyze NETWORK NETWORK ... --what similarity")
    if count == 1 and (alone := [w for w in own.what if ANALYSES[w].networks > 1]):
        raise UserError(f"{alone[0]} compares two networks or more.\nAdd one, such as init:{args[0]}")
    quieten()
    specs = [Spec.parse(text) for text in args[:count]]
    config = next((path for path in map(run_config, specs) if path is not None), None)
    bench = Bench(networks(specs, config, rest), own, lambda: data_module(config, rest))
    bench.layers = {n.name: layers(n, own.layers) for n in bench.networks}
    folder = free_path((own.out or Path("analysis") / slug(network.name for network in bench.networks)).expanduser())
    require_writable(folder)
    findings = {}
    for what in own.what:
        log.info("%s ...", what)
        findings[what] = ANALYSES[what].run(bench)
    write(folder, findings, about(bench, args))
    for found in findings.values():
        print(f"\n{found.text}")
    print(f"\nWritten to {folder}/; figures also by tensorboard --logdir {shlex.quote(str(folder))}")
    return folder


def flags() -> OwnFlags:
    """The verb's own flags; all others belong to the config of the data."""
    parser = OwnFlags("analyze", "Compare representations and weights of networks, layer by layer, on your own images.")
    parser.prog, parser.usage = "transfusion analyze", USAGE
    add = parser.add_argument
    default = ["similarity", "weights", "filters"]
    add("--what", nargs="+", choices=[*ANALYSES], default=default, metavar="WHAT", help=f"of {', '.join(ANALYSES)}")
    known = ", ".join(MEASURES)
    add("--measures", nargs="+", choices=[*MEASURES], default=["cca", "cka"], metavar="M", help=f"of {known}")
    add("--layers", nargs="+", metavar="GLOB", help="module names, * stops at dots, ** does not; stages by default")
    add("--all-pairs", action="store_true", help="each layer with each, not only layers of the same name")
    add("--split", choices=("train", "val", "test"), default="val", help="images to look at; val by default")
    add("--batches", type=natural, metavar="N", help="as many batches, spread over the split; all by default")
    add("--positions", type=whole, default=16, metavar="K", help="drawn from each map; 0 takes the mean over the map")
    add("--points", type=natural, default=11, metavar="N", help="of the line between two networks (barrier)")
    add(
        "--reestimate",
        type=whole,
        default=8,
        metavar="N",
        help="batches for BatchNorm statistics on that line; 0: none",
    )
    add("--neighbours", type=natural, default=10, metavar="K", help="of each image (knn)")
    add("--reference", type=natural, default=5000, metavar="N", help="training images to find neighbours among (knn)")
    add("--seed", type=whole, default=0, help="of the positions and of re-randomised stages")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cuda where there is one")
    add("--out", type=Path, metavar="DIR", help="folder to write; analysis/<networks> by default, never over another")
    return parser


def whole(text: str, least: int = 0) -> int:
    """A whole number from 0."""
    if not text.isdigit() or int(text) < least:
        raise ValueError
    return int(text)


def natural(text: str) -> int:
    """A whole number from 1."""
    return whole(text, 1)


def networks(specs: list[Spec], config: Path | None, rest: list[str]) -> list[Network]:
    """Load them; where all are drawn at random, the config says of what backbone."""
    template = None
    if all(spec.path is None for spec in specs):
        cli = DataCLI(rest)
        section = cli.own.model.init_args.as_dict()
        facts = {"target": cli.datamodule.target, "class_names": cli.datamodule.class_names}
        template = {k: v for k, v in section.items() if k not in ("optimizer", "lr_scheduler")} | facts
    return load_networks(specs, template)


def data_module(config: Path | None, rest: list[str]) -> Any:
    """The data of the first run, as far as ``--config`` and ``--data`` do not say otherwise."""
    if config is None and not any(arg.partition("=")[0] in ("-c", "--config", "--data") for arg in rest):
        raise UserError("None of these networks lies in a run folder that says on what data.\nGive --config FILE.")
    data = DataCLI([*(["--config", str(config)] if config else []), *rest]).datamodule
    follow(data, config, "run")
    return data


def layers(network: Network, patterns: list[str] | None) -> list[str]:
    """The layers to look at."""
    if patterns:
        return matching_layers(network.task.network, patterns)
    found = default_layers(network.task.network)
    if not found:
        raise UserError(f"timm names no stages of a {network.task.backbone}.\nChoose layers by --layers GLOB.")
    return found


def slug(names: Any) -> str:
    """A folder's name made of the networks'."""
    return re.sub(r"[^\w.+-]+", "-", "_".join(names))[:80].strip("-_")


def about(bench: Bench, args: list[str]) -> dict[str, Any]:
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
