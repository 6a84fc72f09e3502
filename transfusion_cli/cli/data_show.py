"""``transfusion data show``: what the network gets to see."""

from pathlib import Path

from transfusion_cli.cli.data_cli import DataCLI
from transfusion_cli.cli.own_flags import OwnFlags
from transfusion_cli.cli.quiet import quieten
from transfusion_cli.data.masks.base import MaskDataModule
from transfusion_cli.errors import UserError
from transfusion_cli.files import whole_file
from transfusion_cli.inspection.contact_sheet import choose, contact_sheet, exhibits
from transfusion_cli.versions import free_path


def run(args: list[str]) -> Path:
    """Draw a contact sheet and say where it is."""
    about = "Draw samples of each class: as read, at the size of the network, and as training sees them."
    flags = OwnFlags("data show", about, config=True)
    add = flags.add_argument
    add("--out", type=Path, default=Path("sheet.png"), metavar="FILE", help="PNG file; sheet.png if not given")
    add("--count", type=int, default=8, metavar="N", help="samples, of each class in turn; 8 if not given")
    add("--split", choices=("train", "val", "test", "predict"), default="train", help="train if not given")
    add("--epochs", type=int, default=3, metavar="N", help="augmented versions; 3 if not given")
    own, rest = flags.parse_known_args(args)
    if own.count < 1 or own.epochs < 0:
        raise UserError("--count must be at least 1, --epochs at least 0")
    if own.out.suffix.lower() != ".png":
        raise UserError(f"--out must end in .png, got {own.out}")
    quieten()
    data = DataCLI(rest).datamodule
    data.num_workers, data.batch_size = 0, 1  # no batches, just these few
    rows = choose(data, own.split, own.count)
    path = free_path(own.out.expanduser())
    if not path.parent.is_dir():
        raise UserError(f"no folder {path.parent}\nMake it, or choose another --out")
    shown = exhibits(data, rows, own.split, own.epochs)
    with whole_file(path) as file:
        contact_sheet(data, shown, own.split).savefig(file, format="png")
    kind = "cases" if isinstance(data, MaskDataModule) else "samples"
    print(f"Written to {path}: {len(rows)} {kind} of the {own.split} split.")
    for exhibit in shown:
        if exhibit.reason:
            print(exhibit.reason)
    return path
