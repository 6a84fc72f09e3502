"""``transfusion report``: one run as one file to read, print and hand over."""

from __future__ import annotations

import logging
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from transfusion_cli.cli.named_run import one_run
from transfusion_cli.cli.own_flags import OwnFlags
from transfusion_cli.errors import UserError
from transfusion_cli.files import require_writable, write_text
from transfusion_cli.run_folder import ROOT, RunFolder
from transfusion_cli.versions import free_path

if TYPE_CHECKING:
    from transfusion_cli.run_report.seen_data import SeenData

log = logging.getLogger(__name__)

ABOUT = (
    "One HTML file, and the same as Markdown, of one run: data flow by patients, demographics by split, what trained, "
    "curves, results with intervals, calibration, subgroups, errors, environment, and what of CLAIM 2024 and TRIPOD+AI "
    "the run can answer. It needs no network and holds no names of patients."
)

IMAGES = (
    "embed small pictures of the worst errors; left out by default, since a report travels and patients' images should "
    "not by accident"
)


def flags() -> OwnFlags:
    """The flags of ``report``."""
    parser = OwnFlags("report", ABOUT)
    add = parser.add_argument
    add("run", metavar="RUN", help="run folder, the folder above (its newest run), its latest, or a name under --root")
    add("--root", type=Path, default=ROOT, metavar="DIR", help="where runs are looked for by name")
    where = "report.html in the run folder by default; the Markdown lies beside it, and what is there stays"
    add("--output", type=Path, metavar="FILE.html", help=where)
    add("--images", action="store_true", help=IMAGES)
    add("--trust", metavar="MODULE", help="a module of your own that the run's configuration may name")
    return parser


def run(verb: str, args: list[str]) -> Path:
    """Write the report.

    Returns:
        The HTML file.

    Raises:
        UserError: there is no such run, or its files cannot be read.
    """
    from transfusion_cli.cli.config.trusting import trusting

    parser = flags()
    if any(arg in ("-h", "--help") for arg in args):
        parser.print_help()
        raise SystemExit(0)
    with trusting(args) as rest:
        own = parser.parse_args(rest)
        folder = found(own.run, own.root)
        target: Path = (own.output or folder.path / "report.html").expanduser()
        if target.suffix.lower() not in (".html", ".htm"):
            raise UserError(f"--output must end in .html, got {own.output}\nTry --output {target}.html")
        require_writable(target.parent)
        return write(folder, target, own.images)


def found(word: str, root: Path) -> RunFolder:
    """The run that a word names: a checkpoint of it, its folder, or its name.

    Raises:
        UserError: there is none.
    """
    path = Path(word).expanduser()
    if path.is_file():
        run = RunFolder.holding(path)
        if run is None:
            raise UserError(f"{word} lies in no run folder.\nA report is of a run: transfusion report {root}/NAME")
        return run
    return one_run("report", word, root)


def write(folder: RunFolder, target: Path, images: bool) -> Path:
    """Read the run, and write both files under the first free names."""
    from transfusion_cli.cli.quiet import quieten
    from transfusion_cli.run_report.rendering import to_html, to_markdown
    from transfusion_cli.run_report.run_facts import RunFacts
    from transfusion_cli.run_report.run_report import RunReport

    quieten()
    facts = RunFacts.read(folder)
    seen, unseen = look_at_data(folder)
    if unseen:
        log.warning("The data could not be looked at: %s", unseen)
    report = RunReport.of(facts, seen, unseen, images)
    page, text = to_html(report), to_markdown(report)
    place, beside = free_pair(target)
    write_text(place, page)
    write_text(beside, text)
    print(f"{len(report.checklist.filled)} topics of CLAIM 2024 and TRIPOD+AI answered.")
    if not facts.is_tested:
        print(f"Not tested yet: transfusion test {folder}")
    if not images:
        print("No images of patients are in it; --images embeds those of the worst errors.")
    print(f"Written to {place} and {beside.name}")
    return place


def free_pair(target: Path) -> tuple[Path, Path]:
    """The first of ``report.html``, ``report_1.html``, ... that nothing has yet, nor its Markdown."""
    names = chain([target], (target.with_stem(f"{target.stem}_{number}") for number in count(1)))
    pairs = ((name, name.with_suffix(".md")) for name in names)
    return next(pair for pair in pairs if pair == (free_path(pair[0]), free_path(pair[1])))


def look_at_data(folder: RunFolder) -> tuple[SeenData | None, str]:
    """The data of a run in its own splits, or why they cannot be read."""
    from transfusion_cli.cli.app import follow
    from transfusion_cli.cli.data_cli import DataCLI
    from transfusion_cli.run_report.seen_data import SeenData

    try:
        data = DataCLI(["--config", str(folder.newest_config)]).datamodule
        data.num_workers = 0
        follow(data, folder.last, "run")
        seen = SeenData(data)
        _ = seen.counts, seen.told  # mistakes come to light here
    except (UserError, OSError, ValueError) as error:  # a report is of the run, whatever became of its data
        return None, "; ".join(str(error).splitlines()[:2])
    except SystemExit:  # how the parser ends, which has told why
        return None, "its configuration cannot be read any more"
    return seen, ""
