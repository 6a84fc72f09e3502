"""``transfusion completion``: a few kilobytes of script for the shell, written without importing what they complete."""

from collections.abc import Iterable

from transfusion_cli.cli.config.shipped import shipped_configs
from transfusion_cli.cli.export import KINDS
from transfusion_cli.cli.listing import LISTS, datasets, strategies
from transfusion_cli.cli.main import VERBS
from transfusion_cli.errors import UserError
from transfusion_cli.suggest import did_you_mean

KEYS = {
    "": "config print_config help name root seed_everything test_after_fit ckpt_path data model early_stopping "
    "steps_to_target",
    "data.": "root batch_size num_workers image_size augmentation train_fraction train_size balanced verify "
    "patch_size patches_per_case spacing cache",
    "model.": "backbone pretrained transfer optimizer lr_scheduler dropout class_weights label_smoothing focal_gamma "
    "decoder losses window",
    "checkpoint.": "monitor mode",
    "trainer.": "max_epochs accelerator devices strategy precision num_nodes limit_train_batches fast_dev_run",
}
"""The keys met most; all of them would be megabytes."""

FLAGS = [f"--{section}{key}" for section, keys in KEYS.items() for key in keys.split()]

OWN = {
    "compare": "--root --metric --against --margin --out --figures",
    "rank": "--candidates --score --images --split --halves --ac_corr --ac_corr_lr --outcomes --outcome --static "
    "--target --table --features --seed --device --out",
    "calibrate": "--method --threshold",
    "report": "--root --output --images --trust",
    "export": "--format --output --root --data.root --trust",
    "explain": "--worst --ids --input --label --output --root --data.root --trust",
}
"""Flags of verbs that have some of their own."""

KEYED = ("rank", "calibrate")
"""Those of them that take the keys of a config as well."""

FILES = (
    *("--ckpt_path", "--model.pretrained", "--input", "--label_map", "--out", "--candidates", "--outcomes"),
    *("--static", "--table"),
)
"""What a file follows."""

FOLDERS = ("--data.root", "--root", "--resume", "--figures", "--features")
"""What a folder follows."""

SHELLS = {
    "bash": """\
# bash completion of transfusion.  Use: source <(transfusion completion bash)
_transfusion() {
    local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" verb="${COMP_WORDS[1]}"
    COMPREPLY=()
    if [[ $COMP_CWORD -eq 1 ]]; then
        COMPREPLY=($(compgen -W "@VERBS@ --help --version" -- "$current"))
        return
    fi
    case "$verb" in
        list) [[ $COMP_CWORD -eq 2 ]] && COMPREPLY=($(compgen -W "@LISTS@" -- "$current")); return ;;
        completion) [[ $COMP_CWORD -eq 2 ]] && COMPREPLY=($(compgen -W "@SHELLS@" -- "$current")); return ;;
    esac
    local flags="@FLAGS@"
    case "$verb" in
        @OWN@
    esac
    case "$previous" in
        --format) COMPREPLY=($(compgen -W "@FORMATS@" -- "$current")) ;;
        --model.transfer) COMPREPLY=($(compgen -W "@STRATEGIES@" -- "$current")) ;;
        --data) COMPREPLY=($(compgen -W "@DATASETS@" -- "$current")) ;;
        --config|-c) COMPREPLY=($(compgen -W "@CONFIGS@" -- "$current") $(compgen -f -X '!*.y*ml' -- "$current") \\
            $(compgen -d -S / -- "$current")); compopt -o nospace 2>/dev/null ;;
        --trainer.accelerator) COMPREPLY=($(compgen -W "auto cpu gpu mps" -- "$current")) ;;
        --trainer.precision) COMPREPLY=($(compgen -W "32-true bf16-mixed 16-mixed" -- "$current")) ;;
        @FILES_OR@) COMPREPLY=($(compgen -f -- "$current")) ;;
        @FOLDERS_OR@) COMPREPLY=($(compgen -d -- "$current")) ;;
        *) COMPREPLY=($(compgen -W "$flags" -- "$current") $(compgen -d -- "$current")) ;;
    esac
}
complete -F _transfusion transfusion
""",
    "zsh": """\
#compdef transfusion
# zsh completion of transfusion.  Use: source <(transfusion completion zsh), after compinit
_transfusion() {
    local previous="${words[CURRENT-1]}"
    if (( CURRENT == 2 )); then
        compadd -- @VERBS@ --help --version
        return
    fi
    case "${words[2]}" in
        list) (( CURRENT == 3 )) && compadd -- @LISTS@; return ;;
        completion) (( CURRENT == 3 )) && compadd -- @SHELLS@; return ;;
    esac
    local flags=(@FLAGS@)
    case "${words[2]}" in
        @OWN@
    esac
    case "$previous" in
        --format) compadd -- @FORMATS@ ;;
        --model.transfer) compadd -- @STRATEGIES@ ;;
        --data) compadd -- @DATASETS@ ;;
        --config|-c) compadd -- @CONFIGS@; _files -g '*.y(a|)ml' ;;
        --trainer.accelerator) compadd -- auto cpu gpu mps ;;
        --trainer.precision) compadd -- 32-true bf16-mixed 16-mixed ;;
        @FILES_OR@) _files ;;
        @FOLDERS_OR@) _files -/ ;;
        *) compadd -- $flags; _files -/ ;;
    esac
}
compdef _transfusion transfusion
""",
    "fish": """\
# fish completion of transfusion.  Use: transfusion completion fish | source
complete -c transfusion -f
complete -c transfusion -n __fish_use_subcommand -a '@VERBS@ --help --version'
complete -c transfusion -n '__fish_seen_subcommand_from list' -a '@LISTS@'
complete -c transfusion -n '__fish_seen_subcommand_from completion' -a '@SHELLS@'
function __transfusion_flag
    set -l words (commandline -opc)
    contains -- $words[-1] $argv
end
function __transfusion_runs
    __fish_seen_subcommand_from fit validate test predict check @KEYED@
end
complete -c transfusion -n '__transfusion_flag --model.transfer' -a '@STRATEGIES@'
complete -c transfusion -n '__transfusion_flag --data' -a '@DATASETS@'
complete -c transfusion -n '__transfusion_flag --config -c' -a '@CONFIGS@ (__fish_complete_suffix .yaml)'
complete -c transfusion -n '__transfusion_flag --trainer.accelerator' -a 'auto cpu gpu mps'
complete -c transfusion -n '__transfusion_flag --trainer.precision' -a '32-true bf16-mixed 16-mixed'
complete -c transfusion -n '__transfusion_flag @FILES@' -F
complete -c transfusion -n '__transfusion_flag @FOLDERS@' -a '(__fish_complete_directories)'
complete -c transfusion -n '__transfusion_flag --format' -a '@FORMATS@'
complete -c transfusion -n '__fish_seen_subcommand_from compare' -a '(__fish_complete_directories)'
@OWN@
complete -c transfusion -n '__transfusion_flag runs validate test predict @RUNS@' -a '(__fish_complete_directories)'
complete -c transfusion -n __transfusion_runs -a '@FLAGS@'
""",
}

OF_OWN = {
    "bash": '        {0}) flags="{1}{2}" ;;\n',
    "zsh": "        {0}) flags=({1}{2}) ;;\n",
    "fish": "complete -c transfusion -n '__fish_seen_subcommand_from {0}' -a '{1}'\n",
}
"""What a shell is told of a verb's own flags."""

KEYS_TOO = {"bash": " $flags", "zsh": " $flags", "fish": ""}  # fish has them from __transfusion_runs


def run(verb: str, args: list[str]) -> None:
    """Print the script of one shell.

    Raises:
        UserError: for a shell without one.
    """
    shell = args[0] if len(args) == 1 else ""
    if shell not in SHELLS:
        raise UserError(f"usage: transfusion {verb} {{{','.join(SHELLS)}}}\n{did_you_mean(shell, SHELLS)}")
    print(script(shell), end="")


def script(shell: str) -> str:
    """The completion script of one shell."""
    words: dict[str, Iterable[str]] = {
        "VERBS": VERBS,
        "LISTS": LISTS,
        "SHELLS": SHELLS,
        "STRATEGIES": [name for name, _ in strategies()],
        "DATASETS": [name for name, _ in datasets()],
        "CONFIGS": shipped_configs(),
        "FLAGS": [*FLAGS, "--resume", "--input", "--label_map"],
        "FORMATS": KINDS,
        "KEYED": KEYED,
        "RUNS": ("calibrate", "report", "export", "explain"),
        "FILES": FILES,
        "FILES_OR": ["|".join(FILES)],
        "FOLDERS": FOLDERS,
        "FOLDERS_OR": ["|".join(FOLDERS)],
    }
    own = [
        OF_OWN[shell].format(verb, flags, "" if verb not in KEYED else KEYS_TOO[shell]) for verb, flags in OWN.items()
    ]
    text = SHELLS[shell].replace("@OWN@", "".join(own).strip())
    for name, values in words.items():
        text = text.replace(f"@{name}@", " ".join(values))
    return text
