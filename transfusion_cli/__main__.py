"""``python -m transfusion_cli``."""

from transfusion_cli.cli.main import entry

if __name__ == "__main__":
    entry()
