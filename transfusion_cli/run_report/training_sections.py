"""What trained, how, and how it went."""

from __future__ import annotations

from typing import Any

from transfusion_cli.run_report.curve_figures import curve_figure
from transfusion_cli.run_report.pictures import png_of
from transfusion_cli.run_report.run_facts import RunFacts
from transfusion_cli.run_report.section import Section

LOSSES = ("class_weights", "label_smoothing", "focal_gamma", "losses", "global_loss")
"""Options of tasks that change the loss."""

NOTHING: tuple[Any, ...] = (None, False, 0, 0.0, "", [], {})


def plain(value: Any) -> str:
    """A setting in words: classes by name, lists and mappings flat."""
    if isinstance(value, dict):
        if "class_path" in value:
            return named(str(value["class_path"]).rpartition(".")[2], value.get("init_args") or {})
        return ", ".join(f"{key} {plain(one)}" for key, one in value.items() if one is not None)
    if isinstance(value, list):
        return ", ".join(map(plain, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def named(name: str, options: dict[str, Any]) -> str:
    """``Adam (lr 0.01, betas 0.9, 0.999)``: without options that are off."""
    told = [f"{key} {plain(value)}" for key, value in options.items() if value not in NOTHING]
    return f"{name} ({'; '.join(told)})" if told else name


def strategy_of(facts: RunFacts) -> str:
    """The strategies with their options."""
    told = [(name, options if facts.masked else options | {"decoder": None}) for name, options in facts.strategy]
    return ", then ".join(named(*one) for one in told)


def base_of(facts: RunFacts, full: bool = False) -> str:
    """What the run started from, by name and hash."""
    source = str(facts.delta.get("base_source") or "")
    if not source:
        given = facts.setting("model.pretrained")
        return {None: "", False: "random weights", True: "published weights"}.get(given, _file(str(given)))
    if source == "random":
        return "random weights"
    sha = str(facts.delta.get("base_sha256") or "")
    return f"{_file(source)} (SHA-256 of the tensors {sha if full else sha[:12] + '…'})"


def trained_of(facts: RunFacts) -> list[str]:
    """For each phase, parameters that train, of how many."""
    if facts.audit is None:
        return []
    total = f" of {facts.audit.total}" if facts.audit.total else ""
    return [f"{name}, {length}: {count}{total} ({share})" for name, length, count, share in facts.audit.phases]


def optimizer_of(facts: RunFacts) -> str:
    """The optimizer with its options."""
    name = facts.class_of("model.optimizer")
    return named(name, facts.options("model.optimizer")) if name else ""


def schedule_of(facts: RunFacts) -> str:
    """How the rate changes."""
    name = facts.class_of("model.lr_scheduler")
    return named(name, facts.options("model.lr_scheduler")) if name else "constant rate"


def loss_of(facts: RunFacts) -> str:
    """Options of the loss that are not at rest."""
    given = ((key, facts.setting(f"model.{key}")) for key in LOSSES)
    return "; ".join(f"{key} {plain(value)}" for key, value in given if value not in NOTHING)


def preprocessing_of(facts: RunFacts) -> list[tuple[str, str]]:
    """What is made of an image before the network gets it."""
    shape, normal = facts.task.get("input_size"), [facts.delta.get(name) for name in ("mean", "std")]
    size, patch = facts.setting("data.image_size"), facts.setting("data.patch_size")
    stretch = facts.setting("data.resize")
    return [
        ("channels and sides of the network", " x ".join(map(str, shape)) if shape else ""),
        ("sides of the images", plain(size) if size else ""),
        ("sides of the patches", plain(patch) if patch else ""),
        ("resized by", str(stretch or "")),
        ("mean, standard deviation", " / ".join(", ".join(f"{v:.3g}" for v in one) for one in normal if one)),
        ("augmentation", plain(facts.record.settings.get("data.augmentation") or "none")),
        ("of volumes", "; ".join(f"{k} {plain(v)}" for k, v in facts.preprocessing.items() if v not in NOTHING)[:300]),
    ]


def epochs_of(facts: RunFacts) -> str:
    """``4 of 4``, and which was best."""
    best = facts.best
    told = f"{facts.state.progress} done"
    if best is not None:
        epoch = f"epoch {best[0]}" if best[0] else f"step {best[1]:,}"
        told += f"; best {epoch}: {facts.record.monitor} {best[2]:.4f}"
    return told


def training_section(facts: RunFacts) -> Section:
    """Network, weights, strategy, optimizer, preprocessing."""
    section = Section("What trained")
    section.facts(
        [
            ("network", f"{facts.setting('model.backbone') or ''}"),
            ("decoder", plain(facts.setting("model.decoder") or "") if facts.masked else ""),
            ("base weights", base_of(facts, full=True)),
            ("tensors carried over", f"{len(facts.task['carried']):,}" if "carried" in facts.task else ""),
            ("strategy", strategy_of(facts)),
            *((f"phase {at}", text) for at, text in enumerate(trained_of(facts), start=1)),
            ("state", facts.state.state),
        ]
    )
    if facts.audit is None:
        section.note("How many parameters train is not known: the run's events for TensorBoard are not there.")
    else:
        section.code(facts.audit.text)
    section.head("Optimizer")
    settings = facts.record.settings
    section.facts(
        [
            ("optimizer", optimizer_of(facts)),
            ("schedule", schedule_of(facts)),
            ("loss", loss_of(facts) or "the usual of the task, unweighted"),
            ("samples per step", plain(facts.setting("data.batch_size") or "")),
            ("drawn", "balanced over classes" if facts.setting("data.balanced") else "each once an epoch"),
            ("epochs", epochs_of(facts)),
            ("kept", f"the best {facts.record.monitor} ({facts.record.monitor_mode})"),
            ("precision", str(settings.get("trainer.precision") or "")),
            ("average of weights", plain(settings.get("model.ema") or "")),
            ("early stopping", plain(facts.options("early_stopping")) or ""),
        ]
    )
    section.head("Preprocessing")
    section.facts(preprocessing_of(facts))
    return section


def curves_section(facts: RunFacts) -> Section:
    """Losses and validation metrics over the steps."""
    section = Section("Curves")
    figure = curve_figure(facts)
    if figure is None:
        section.note("Nothing was logged: the run has no metrics.csv.")
        return section
    section.pictures((png_of(figure), "Losses and validation metrics by optimizer step"))
    if facts.best is not None:
        section.say("The dotted line is the best validation, whose weights are kept.")
    if facts.record.target is not None:
        done = f"reached in {facts.record.steps:,.0f} steps" if facts.record.reached else "not reached in "
        done += "" if facts.record.reached else f"{facts.record.steps:,.0f} steps"
        section.say(f"Steps to target: {facts.record.target} was {done}.")
    return section


def _file(path: str) -> str:
    """Name of a file without the folders above it, which tell of a machine."""
    return path.replace("\\", "/").rpartition("/")[2] or path
