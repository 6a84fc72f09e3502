"""``transfusion compare``: runs side by side, those that differ in nothing but the seed as one row, and their tests."""

from pathlib import Path

from transfusion_cli.cli.own_flags import OwnFlags
from transfusion_cli.comparison.groups import Group, group_runs
from transfusion_cli.comparison.table import table, write
from transfusion_cli.errors import UserError
from transfusion_cli.files import require_writable
from transfusion_cli.reports.find_runs import find_runs
from transfusion_cli.reports.run_record import RunRecord
from transfusion_cli.run_folder import ROOT


def flags() -> OwnFlags:
    """The flags of ``compare``."""
    about = (
        "One row for each group of runs that differ in nothing but the seed: steps to the target, best validation "
        "metric, test metric, over the seeds. Then how far the groups differ on the same test patients, and whether "
        "that is more than chance."
    )
    parser = OwnFlags("compare", about)
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="run folder, folder of runs, pattern, or name of runs under --root")
    add("--root", type=Path, default=ROOT, metavar="DIR", help="where runs are looked for by name")
    add("--metric", metavar="NAME", help="metric, such as auroc; by default the one that checkpoints are kept by")
    add("--against", metavar="NAME", help="compare all others with this one alone; by default each with each")
    add("--margin", type=float, default=0.01, metavar="X", help="a difference that would not matter (default 0.01)")
    add("--out", type=Path, metavar="FILE.csv", help="also write the numbers there, a row for each")
    add("--figures", type=Path, metavar="DIR", help="also draw there: differences; of classes, ROC and PR curves")
    return parser


def run(verb: str, args: list[str]) -> list[Group]:
    """Print the tables and write the files that were asked for."""
    own = flags().parse_args(args)
    if not own.margin >= 0:
        raise UserError(f"A margin is 0 or more, not {own.margin:g}.\nTry --margin 0.01")
    if own.out is not None:
        if own.out.expanduser().is_dir():
            raise UserError(f"--out {own.out} is a folder.\nTry --out {own.out / 'compare.csv'}")
        require_writable(own.out.expanduser().parent)
    if own.figures is not None:
        require_writable(own.figures.expanduser())
    groups = group_runs([RunRecord.read(folder) for folder in find_runs(own.runs, own.root)], own.metric)
    if len(groups) == 1 and (own.against or own.figures):
        raise UserError("There is one group of runs alone, with nothing to compare.\nName runs of another too.")
    differences = None
    if len(groups) > 1:
        from transfusion_cli.comparison.differences import compare  # torch takes seconds to import

        differences = compare(groups, own.metric, own.against, own.margin)
    print(table(groups))
    if differences is not None:
        print(f"\n{differences}")
    if own.out is not None:
        print(f"\nWritten to {write(groups, own.out)}")
    if differences is not None and differences.pairs:
        if own.out is not None:
            print(f"Written to {differences.write(own.out.with_stem(f'{own.out.stem}_differences'))}")
        if own.figures is not None:
            from transfusion_cli.comparison.figures import draw

            print("\nDrawn:", " ".join(map(str, draw(differences, own.figures))) or "nothing")
    return groups
