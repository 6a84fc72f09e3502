"""``transfusion completion``: a few kilobytes of script for the shell, written without importing what they complete."""

from transfusion_cli.cli.listing import LISTS, datasets, strategies
from transfusion_cli.cli.main import VERBS
from transfusion_cli.cli.shipped import shipped_configs
from transfusion_cli.cli.suggest import did_you_mean
from transfusion_cli.errors import UserError

FLAGS = (
    "--config --print_config --help --name --root --seed_everything --test_after_fit --ckpt_path "
    "--data --data.root --data.batch_size --data.num_workers --data.image_size --data.train_fraction --data.train_size "
    "--data.balanced --data.verify --model --model.backbone --model.pretrained --model.transfer --model.optimizer "
    "--model.optimizer.lr --model.lr_scheduler --model.dropout --model.class_weights --model.label_smoothing "
    "--checkpoint.monitor --checkpoint.mode --early_stopping "
    "--trainer.max_epochs --trainer.accelerator --trainer.devices --trainer.strategy --trainer.precision "
    "--trainer.num_nodes --trainer.limit_train_batches --trainer.fast_dev_run"
).split()
"""The keys met most; all of them would be megabytes."""

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
    case "$previous" in
        --model.transfer) COMPREPLY=($(compgen -W "@STRATEGIES@" -- "$current")) ;;
        --data) COMPREPLY=($(compgen -W "@DATASETS@" -- "$current")) ;;
        --config|-c) COMPREPLY=($(compgen -W "@CONFIGS@" -- "$current") $(compgen -f -X '!*.y*ml' -- "$current") \\
            $(compgen -d -S / -- "$current")); compopt -o nospace 2>/dev/null ;;
        --trainer.accelerator) COMPREPLY=($(compgen -W "auto cpu gpu mps" -- "$current")) ;;
        --trainer.precision) COMPREPLY=($(compgen -W "32-true bf16-mixed 16-mixed" -- "$current")) ;;
        --ckpt_path|--model.pretrained) COMPREPLY=($(compgen -f -- "$current")) ;;
        --data.root|--root) COMPREPLY=($(compgen -d -- "$current")) ;;
        *) COMPREPLY=($(compgen -W "@FLAGS@" -- "$current")) ;;
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
    case "$previous" in
        --model.transfer) compadd -- @STRATEGIES@ ;;
        --data) compadd -- @DATASETS@ ;;
        --config|-c) compadd -- @CONFIGS@; _files -g '*.y(a|)ml' ;;
        --trainer.accelerator) compadd -- auto cpu gpu mps ;;
        --trainer.precision) compadd -- 32-true bf16-mixed 16-mixed ;;
        --ckpt_path|--model.pretrained) _files ;;
        --data.root|--root) _files -/ ;;
        *) compadd -- @FLAGS@ ;;
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
    __fish_seen_subcommand_from fit validate test predict check
end
complete -c transfusion -n '__transfusion_flag --model.transfer' -a '@STRATEGIES@'
complete -c transfusion -n '__transfusion_flag --data' -a '@DATASETS@'
complete -c transfusion -n '__transfusion_flag --config -c' -a '@CONFIGS@ (__fish_complete_suffix .yaml)'
complete -c transfusion -n '__transfusion_flag --trainer.accelerator' -a 'auto cpu gpu mps'
complete -c transfusion -n '__transfusion_flag --trainer.precision' -a '32-true bf16-mixed 16-mixed'
complete -c transfusion -n '__transfusion_flag --ckpt_path --model.pretrained' -F
complete -c transfusion -n '__transfusion_flag --data.root --root' -a '(__fish_complete_directories)'
complete -c transfusion -n __transfusion_runs -a '@FLAGS@'
""",
}


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
    words = {
        "VERBS": VERBS,
        "LISTS": LISTS,
        "SHELLS": SHELLS,
        "STRATEGIES": [name for name, _ in strategies()],
        "DATASETS": [name for name, _ in datasets()],
        "CONFIGS": shipped_configs(),
        "FLAGS": FLAGS,
    }
    text = SHELLS[shell]
    for name, values in words.items():
        text = text.replace(f"@{name}@", " ".join(values))
    return text
