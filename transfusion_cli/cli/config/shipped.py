"""The configs that come with the package."""

from pathlib import Path, PurePosixPath

from transfusion_cli.errors import UserError


def configs_folder() -> Path:
    """Where they lie: inside the package when installed from a wheel, beside it in a clone."""
    package = Path(__file__).resolve().parents[2]
    return next((f for f in (package / "configs", package.parent / "configs") if f.is_dir()), package / "configs")


def shipped_configs() -> dict[str, Path]:
    """Name (``chexpert_bn``) to path, of those made to be run; the shared pieces lie in sub-folders."""
    return {path.stem: path for path in sorted(configs_folder().glob("*.yaml"))}


def shipped_config(name: str) -> Path | None:
    """The shipped file that is meant by ``demo``, ``demo.yaml`` or ``configs/demo.yaml``; shared pieces too.

    Args:
        name: with forward slashes, from whatever folder.
    """
    inside = PurePosixPath(name.removeprefix("configs/"))
    if not inside.name or inside.suffix not in ("", ".yaml") or inside.is_absolute() or ".." in inside.parts:
        return None
    path = configs_folder() / inside.with_suffix(".yaml")
    return path if path.is_file() else None


def find_config(name: str) -> Path:
    """The path of a config given as a file or, where there is no such file, by the name of a shipped one.

    Raises:
        UserError: when it is neither.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if shipped := shipped_config(name):
        return shipped
    from transfusion_cli.suggest import did_you_mean

    advice = did_you_mean(path.stem, shipped_configs(), otherwise="See what is shipped: transfusion list configs")
    raise UserError(f"No such config: {name}\n{advice}")
