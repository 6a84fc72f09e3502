"""The dispatcher: finds the verb and imports what that verb needs, nothing more."""

import os
import sys
from importlib import import_module
from typing import Any

from transfusion_cli import __version__
from transfusion_cli.cli import faults
from transfusion_cli.cli.output import Output
from transfusion_cli.cli.terminal import show_everything
from transfusion_cli.errors import UserError
from transfusion_cli.suggest import did_you_mean

VERBS = {
    "fit": "transfusion_cli.cli.run",
    "validate": "transfusion_cli.cli.run",
    "test": "transfusion_cli.cli.run",
    "predict": "transfusion_cli.cli.run",
    "calibrate": "transfusion_cli.cli.calibrate",
    "check": "transfusion_cli.cli.check",
    "data": "transfusion_cli.cli.data",
    "analyze": "transfusion_cli.cli.analyze",
    "export": "transfusion_cli.cli.export",
    "explain": "transfusion_cli.cli.explain",
    "compare": "transfusion_cli.cli.compare",
    "rank": "transfusion_cli.cli.rank",
    "runs": "transfusion_cli.cli.runs",
    "report": "transfusion_cli.cli.report",
    "list": "transfusion_cli.cli.listing",
    "completion": "transfusion_cli.cli.completion",
}
"""Verb to the module whose ``run(verb, args)`` answers it."""

READS_CONFIGS = ("fit", "validate", "test", "predict", "calibrate", "check", "data", "analyze", "rank")
"""Verbs whose configurations may have something imported."""

TAKES_RUNS = ("test", "predict")
"""Verbs that take several runs, as folds or as an ensemble."""

HELP = """\
usage: transfusion VERB [options]

Transfer learning for medical images: one YAML file, one command.

verbs
  fit         train, by a strategy, from pretrained weights; go on with a run by --resume RUN
  validate    RUN: metrics of its best epoch on the validation set
  test        RUN: metrics of its best epoch on the test set, with 95 % intervals; RUN RUN ...: folds, ensemble
  predict     RUN [--input FOLDER]: probabilities as a CSV file, or masks, of the test set or of any images
  calibrate   RUN: calibration and thresholds, fitted on its validation set, which test and predict then use
  check       parse, build, run one batch, say what trains and how the data split; writes nothing
  data        check | prepare | show: faults of the data, images decoded once for all runs, images with labels
  analyze     networks layer by layer: CCA and CKA beside chance, weights, filters, loss barrier, robustness, kNN
  rank        candidates to transfer from, before any fine-tuning: LogME, AC-Corr and more; what scores are worth
  export      RUN --format timm | hf | onnx | torchscript: its network for use without this program, compared on writing
  explain     RUN: class activation maps of its worst errors, of cases or images, beside those of other weights
  compare     runs side by side, over their seeds: steps to target, best validation, test
  runs        what runs there are: state, epochs, best metric, where
  report      RUN: one HTML file of it, and Markdown: data flow, results, what of CLAIM and TRIPOD+AI it can answer
  list        strategies | datasets | backbones [FILTER] | configs
  completion  bash | zsh | fish: a completion script for the shell

keys met most (any key of the config is a flag, and flags win)
  --config FILE             repeatable, later wins; a shipped config goes by its name
  --data.root DIR           where the images are
  --data.batch_size N       samples per optimizer step, over all devices together
  --model.backbone NAME     any timm name; see transfusion list backbones
  --model.pretrained WHAT   true, false or a file of weights
  --model.transfer NAME     the strategy; see transfusion list strategies
  --trainer.max_epochs N    how long
  --ckpt_path FILE          any checkpoint to go on from or to evaluate; without --config, its run's config is used
  --trust MODULE            a module of your own that a checkpoint or its run may name
  --print_config            print the whole config and stop

examples
  transfusion fit --config configs/demo.yaml
  transfusion fit --config configs/chexpert_bn.yaml --data.root ~/CheXpert-v1.0-small
  transfusion test lightning_logs/chexpert_bn/version_0
  transfusion check --config configs/images_bn.yaml --data.root my_images

RUN is a run folder, the folder above (its newest run), or its latest: lightning_logs/chexpert_bn/latest
more: transfusion VERB --help (of fit: every key), transfusion fit --model.transfer.help HeadOnly (one class), --version
"""


HELPS = {
    "check": """\
usage: transfusion check --config FILE [options]

Parse the config, build everything, run one batch of each phase forward and backward, and say what trains and how the
data split. Nothing is written. Options are those of fit: transfusion fit --help
""",
    "list": """\
usage: transfusion list strategies | datasets | configs | backbones [WORD or PATTERN ...]

What there is to name in a config; of the backbones those whose name holds the word, or matches the pattern (resnet*).
""",
    "completion": """\
usage: transfusion completion bash | zsh | fish

Print a script that completes verbs, flags and names. For example: source <(transfusion completion bash)
""",
}
"""Help of the verbs that have no parser to print it, or would take seconds for it."""

ASK_HELP = ("-h", "--help")


def main(args: list[str] | None = None) -> Any:
    """Run one command.

    Args:
        args: what follows ``transfusion`` on the command line; ``sys.argv[1:]`` when None.

    Returns:
        What the verb gives: for ``fit``, ``validate``, ``test``, ``predict`` and ``check`` the LightningCLI object.

    Raises:
        SystemExit: with code 2 after a user's mistake, 1 after a fault of the machine, 128 and its number after a
            signal; what happened went to stderr.
    """
    verb, *rest = (sys.argv[1:] if args is None else args) or ["--help"]
    try:
        with faults.signals_rise():
            try:
                return _run(verb, rest)
            finally:
                sys.stdout.flush()
    except BaseException as error:
        faults.end(error, " ".join([verb, *rest[:1]]) if verb == "data" else verb)


def _run(verb: str, rest: list[str]) -> Any:
    match verb:
        case "help" if rest and rest[0] != "help":
            return main([rest[0], "--help"])
        case "-h" | "--help" | "help":
            print(HELP, end="")
        case "-V" | "--version" | "version":
            print(f"transfusion {__version__}")
        case _ if verb in HELPS and rest and rest[0] in ASK_HELP:
            print(HELPS[verb], end="")
        case _ if verb in TAKES_RUNS and len(rest) > 1 and not any(word.startswith("-") for word in rest[:2]):
            return import_module("transfusion_cli.cli.several").run(verb, rest)
        case _ if verb in READS_CONFIGS:
            with faults.nothing_begun():
                from transfusion_cli.cli.config.precheck import Precheck
                from transfusion_cli.cli.named_run import with_run

                rest = with_run(verb, rest)
                Precheck(verb, rest).run()
                from transfusion_cli.cli.config.trusting import trusting

                run = import_module(VERBS[verb]).run
            with trusting(rest) as rest:
                return run(verb, rest)
        case _ if verb in VERBS:
            return import_module(VERBS[verb]).run(verb, rest)
        case _:
            raise UserError(f"There is no verb {verb!r}.\n{did_you_mean(verb, VERBS)}")


def entry() -> None:
    """The ``transfusion`` console script."""
    show_everything()
    # Waiting OpenMP threads that spin slow a busy machine down many times; read when torch is loaded, later on.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.stdout = Output(sys.stdout or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))  # there is none after >&-
    main()
