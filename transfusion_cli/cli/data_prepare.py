"""``transfusion data prepare``: decode every image once, so that training need not."""

import argparse
import os
import re
import shlex
from pathlib import Path

from transfusion_cli.cli.data_cli import DataCLI
from transfusion_cli.cli.own_flags import OwnFlags
from transfusion_cli.cli.quiet import quieten
from transfusion_cli.errors import UserError

DEFAULT_FOLDER = "data_cache"


def run(args: list[str]) -> DataCLI:
    """Decode, and say what was written and how to use it."""
    about = "Decode and resize every image once; training with --data.cache then reads the result."
    flags = OwnFlags("data prepare", about, config=True)
    sides = "side of the images to keep, or HEIGHTxWIDTH, DEPTHxHEIGHTxWIDTH; that of the config if not given"
    flags.add_argument("--size", type=size, help=sides)
    flags.add_argument("--workers", type=int, default=cores(), help="processes; all cores if not given")
    own, rest = flags.parse_known_args(args)
    if own.workers < 0:
        raise UserError(f"--workers must be at least 0, got {own.workers}")
    quieten()
    cli = DataCLI(rest)
    data = cli.datamodule
    given, data.cache = data.cache, data.cache or Path(DEFAULT_FOLDER)
    said, needed = data.fill_cache(own.size, own.workers)
    print("\n".join(said))
    use = [*rest, *([] if given else ["--data.cache", str(data.cache)]), *needed]
    print(f"Use them: transfusion fit {shlex.join(use)}")
    return cli


def size(text: str) -> tuple[int, ...]:
    """Sides from ``256``, ``256x320`` or ``48x64x64``."""
    if not re.fullmatch(r"[1-9]\d*(?:x[1-9]\d*){0,2}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of pixels nor HEIGHTxWIDTH")
    return tuple(map(int, text.split("x")))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
