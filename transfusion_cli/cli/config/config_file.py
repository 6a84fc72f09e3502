"""``--config``: files that may extend others, or be named like a shipped one."""

from typing import Any

from jsonargparse import ActionConfigFile

from transfusion_cli.cli.config.chain import EXTENDS, chain, sections_of
from transfusion_cli.cli.config.parser import Parser
from transfusion_cli.cli.config.shipped import find_config
from transfusion_cli.errors import UserError
from transfusion_cli.suggest import did_you_mean


class ConfigFile(ActionConfigFile):
    """jsonargparse's config action, with two habits more.

    A file may say ``extends: base.yaml`` or ``extends: [a.yaml, b.yaml]`` (relative to itself): those are read just
    before it, as if given by earlier ``--config`` flags, so that it holds only what differs. And a name that is no
    file may be that of a config shipped with the package, here and there.
    """

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
        """Read one ``--config`` value into ``cfg``."""
        if values.lstrip().startswith("{"):  # a config given inline
            super().__call__(parser, cfg, values, option_string)
            return
        config = find_config(values)
        parser.sources.configs.append(config)
        for path in chain(config):
            content = sections_of(path)
            parser.sources.add_file(path, content)
            check_sections(parser, content)
            if content:
                super().__call__(parser, cfg, str(path), option_string)
                cfg.pop(EXTENDS, None)


def check_sections(parser: Parser, content: dict[str, Any]) -> None:
    """Refuse an unknown section here: an empty one would pass in silence.

    Raises:
        UserError: naming the nearest section.
    """
    known = {action.dest.split(".")[0] for action in parser._actions} | {EXTENDS}
    for key in content:
        section = str(key).split(".")[0].rstrip("+")
        if section not in known:
            raise UserError(f"Unknown key {section!r}{parser.sources.locate(section)}.\n{did_you_mean(section, known)}")
