"""``transfusion data check``: is anything wrong with the data?"""

import json
import textwrap
from pathlib import Path

from transfusion_cli.cli.data_cli import DataCLI
from transfusion_cli.cli.own_flags import OwnFlags
from transfusion_cli.cli.quiet import quieten
from transfusion_cli.errors import UserError
from transfusion_cli.files import require_writable, write_text
from transfusion_cli.inspection.counts import co_occurrence
from transfusion_cli.inspection.finding import LEVELS
from transfusion_cli.inspection.report import Report, inspect
from transfusion_cli.spreadsheet import spreadsheet_frame
from transfusion_cli.text import aligned
from transfusion_cli.versions import free_path

WIDTH = 110
"""Columns that findings are wrapped to."""

KINDS = ("min", "median", "max")

MATRIX = 14
"""Labels up to which the terminal shows how often they come together."""


def run(args: list[str]) -> Report:
    """Read every image and say what is wrong, on the terminal and, if asked, in files.

    Raises:
        SystemExit: 1 where something would make results wrong.
    """
    about = "Read every image: what is missing, damaged, there twice or on both sides of a split."
    flags = OwnFlags("data check", about, config=True)
    flags.add_argument("--out", type=Path, metavar="DIR", help="write report.json, problems.csv and exclude.txt there")
    flags.add_argument("--workers", type=int, metavar="N", help="processes that read images; all cores by default")
    own, rest = flags.parse_known_args(args)
    if own.workers is not None and own.workers < 0:
        raise UserError(f"--workers must be at least 0, got {own.workers}")
    quieten()
    if own.out is not None:
        require_writable(own.out.expanduser())
    report = inspect(DataCLI(rest).datamodule, own.workers)
    print(f"\n{counts_table(report)}\n\n{images_text(report)}\n{findings_text(report)}")
    if own.out is not None:
        print(f"Written to {write(report, own.out)}/: report.json, problems.csv, exclude.txt (for --data.exclude)")
    else:
        print(
            "Nothing was written. --out DIR keeps the report, the images with problems and a list for --data.exclude."
        )
    if report.has_errors:
        raise SystemExit(1)
    return report


def write(report: Report, folder: Path) -> Path:
    """Write the report into a new folder, ``folder`` or the first free ``folder_1``, ``folder_2``, ..."""
    folder = free_path(folder.expanduser())
    write_text(folder / "report.json", json.dumps(report.as_dict(), indent=2) + "\n")
    write_text(folder / "problems.csv", spreadsheet_frame(report.problems()).to_csv(index=False))
    write_text(folder / "exclude.txt", "".join(f"{name}\n" for name in report.surplus()))
    return folder


def counts_table(report: Report) -> str:
    """Images, patients and classes, a column a split."""
    data, counts = report.data, report.counts
    head = f"{type(data).__name__.removesuffix('DataModule')}, {data.target}"
    rows: list[list[str]] = [[head, *counts]]
    rows.append([data.unit, *(f"{part['images']:,}" for part in counts.values())])
    if report.table.patients is not None:
        rows.append(["patients", *(f"{part['patients']:,}" for part in counts.values())])
    for name in (*data.class_names, "unknown"):
        numbers = [part["classes"][name] for part in counts.values()]
        if name == "unknown" and not any(numbers):
            continue
        name = f"  {name}" if name != "unknown" or data.target != "multilabel" else "  labels unknown"
        shared = [(number, part["images"]) for number, part in zip(numbers, counts.values(), strict=True)]
        rows.append([name, *(_with_share(*pair) if "unknown" not in name else f"{pair[0]:,}" for pair in shared)])
    return "\n".join(aligned([*rows, *_voxels(report)], numbers=True))


def _voxels(report: Report) -> list[list[str]]:
    """Of masks, the share that each class has of all that is known, and what is not."""
    counts = list(report.counts.values())
    if "share_of_voxels" not in counts[0]:
        return []
    of = "pixels" if report.data.dims == 2 else "voxels"
    rows = [[f"share of {of}", *([""] * len(counts))]]
    for name in report.data.class_names:
        rows += [[f"  {name}", *(f"{part['share_of_voxels'][name]:.3%}" for part in counts)]]
    if any(part["ignored"] for part in counts):
        rows.append(["  ignored, of all", *(f"{part['ignored']:.1%}" for part in counts)])
    return rows


def images_text(report: Report) -> str:
    """Sizes, kinds, patients and labels that come together."""
    images, facts = report.images, report.as_dict()
    lines = []
    if images["read"]:
        sides = [side for side in ("depth", "height", "width") if side in images]
        low, middle, high = (" x ".join(f"{images[s][k]:.0f}" for s in sides) for k in KINDS)
        often = " x ".join(map(str, images["most_frequent_size"]))
        share = images["share_of_most_frequent_size"]
        sizes = f"{images['sizes']:,} sizes, {often} the most frequent ({share:.0%})"
        spread = f"{sizes}; least {low}, median {middle}, greatest {high}" if images["sizes"] > 1 else f"all {often}"
        lines.append(f"Size ({' x '.join(sides)}): {spread}")
        if spacing := images.get("spacing"):
            least, middle, most = (" x ".join(f"{spacing[axis][k]:.3g}" for axis in "zyx") for k in KINDS)
            told = f"all {most}" if least == most else f"least {least}, median {middle}, greatest {most}"
            lines.append(f"Spacing (z x y x x, mm): {told}")
        lines.append("Stored as: " + ", ".join(f"{kind} ({number:,})" for kind, number in images["kinds"].items()))
    if spread_of := facts.get("images_per_patient"):
        lines.append(
            f"{report.data.unit.capitalize()} per patient: "
            + "{min:.0f} to {max:.0f}, median {median:g}".format(**spread_of)
        )
    if report.data.target == "multilabel" and len(report.data.class_names) <= MATRIX:
        lines += ["", "Labels together (samples that have both)", _matrix(report)]
    return "\n".join(lines) + "\n"


def findings_text(report: Report) -> str:
    """The findings, the gravest first, each with what to do next, and how many there are."""
    lines = []
    for finding in report.findings:
        text = f"{finding.level:<9}{finding.message}"
        lines += textwrap.wrap(text, WIDTH, subsequent_indent=" " * 9, break_long_words=False, break_on_hyphens=False)
        if finding.advice:
            lines += textwrap.wrap(finding.advice, WIDTH, initial_indent=" " * 9, subsequent_indent=" " * 9)
    numbers = [(sum(f.level == level for f in report.findings), level) for level in LEVELS]
    counted = [f"{number} {level}{'s' * (number != 1)}" for number, level in numbers if number]
    return "\n".join([*lines, "", (", ".join(counted) or "Nothing to remark") + "."])


def _matrix(report: Report) -> str:
    names = report.data.class_names
    together = co_occurrence(report.table.targets[report.table.split != ""])
    letters = [chr(ord("a") + i) for i in range(len(names))]
    rows = [["", *letters]]
    rows += [[f"{letters[i]}  {name}", *(f"{n:,}" for n in together[i])] for i, name in enumerate(names)]
    return "\n".join(aligned(rows, numbers=True))


def _with_share(number: int, whole: int) -> str:
    return f"{number:,} ({number / whole:5.1%})" if whole else f"{number:,}"
