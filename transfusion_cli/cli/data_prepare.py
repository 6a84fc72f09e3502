"""``transfusion data prepare``: decode every image once, so that training need not."""

import argparse
import os
import re
import shlex
from pathlib import Path

from transfusion_cli.cli.data_cli import DataCLI
from transfusion_cli.cli.own_flags import OwnFlags
from transfusion_cli.cli.quiet import quieten
from transfusion_cli.data.cache.build import build_cache, bytes_of
from transfusion_cli.errors import UserError

DEFAULT_FOLDER = "data_cache"


def run(args: list[str]) -> DataCLI:
    """Decode, and say what was written and how to use it."""
    about = "Decode and resize every image once; training with --data.cache then reads the result."
    flags = OwnFlags("data prepare", about, config=True)
    sides = "side of the images to keep, or HEIGHTxWIDTH; that of the config if not given"
    flags.add_argument("--size", type=size, help=sides)
    flags.add_argument("--workers", type=int, default=cores(), help="processes; all cores if not given")
    own, rest = flags.parse_known_args(args)
    if own.workers < 0:
        raise UserError(f"--workers must be at least 0, got {own.workers}")
    quieten()
    cli = DataCLI(rest)
    data = cli.datamodule
    # Everything that a run may ask for: a run on a share of the data reads the same cache.
    data.train_fraction, data.train_size = 1.0, None
    folder = data.cache or Path(DEFAULT_FOLDER)
    data.prepare_data()
    place = build_cache(data.contents, folder, own.size or data.size, own.workers)
    print(f"{len(place.rows):,} images of {place.size[0]} x {place.size[1]} pixels, {bytes_of(place) / 1e6:,.1f} MB")
    print(f"They are in {place.path}")
    use = rest if data.cache else [*rest, "--data.cache", str(folder)]
    if place.size != data.size:
        use = [*use, "--data.image_size", str(list(place.size)) if len(set(place.size)) > 1 else str(place.size[0])]
    print(f"Use them: transfusion fit {shlex.join(use)}")
    return cli


def size(text: str) -> tuple[int, int]:
    """Height and width from ``256`` or ``256x320``."""
    found = re.fullmatch(r"([1-9]\d*)(?:x([1-9]\d*))?", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of pixels nor HEIGHTxWIDTH")
    return int(found[1]), int(found[2] or found[1])


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
