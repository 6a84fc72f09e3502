"""What a run says to what reporting guidelines ask."""

from __future__ import annotations

from dataclasses import dataclass

from transfusion_cli.comparison.tested import Tested
from transfusion_cli.data.samples import SPLITS
from transfusion_cli.run_report.data_sections import (
    TITLES,
    crossing_patients,
    samples_by_split,
    source_of,
    why_left_out,
)
from transfusion_cli.run_report.result_tables import ResultTables, with_interval
from transfusion_cli.run_report.run_facts import RunFacts
from transfusion_cli.run_report.seen_data import SeenData
from transfusion_cli.run_report.training_sections import (
    base_of,
    epochs_of,
    loss_of,
    optimizer_of,
    plain,
    preprocessing_of,
    schedule_of,
    strategy_of,
    trained_of,
)
from transfusion_cli.run_report.worst_errors import WorstError


@dataclass(frozen=True)
class Answers:
    """An answer for each topic of the checklist, empty where this run has none.

    Args:
        facts: of the run.
        seen: its data, where they are there.
    """

    facts: RunFacts
    seen: SeenData | None

    @property
    def _tables(self) -> ResultTables:
        return ResultTables(self.facts.results)

    def data_source(self) -> str:
        """Name of the data."""
        return source_of(self.facts)

    def outcome(self) -> str:
        """Kind of target and classes."""
        names, target = self.facts.class_names, self.facts.task.get("target")
        return f"{target or 'classes'}: {', '.join(names)}" if names else ""

    def used(self) -> str:
        """How many are in a split, and why others are not."""
        counts = samples_by_split(self.facts)
        if not counts:
            return ""
        why = ", ".join(why_left_out(self.facts))
        inside = sum(counts[name][0] for name in SPLITS)
        return f"{inside:,} samples used, {counts[''][0]:,} in no split" + (f" ({why})" if why else "")

    def sizes(self) -> str:
        """Samples and patients of each split, positives of the test."""
        told = [
            f"{TITLES[name]} {n:,}" + (f" of {p:,} patients" if p else "")
            for name, (n, p) in samples_by_split(self.facts).items()
            if name in SPLITS
        ]
        events = {k.partition("/")[2]: v for k, v in self._tables.counts.items() if k.startswith("positives/")}
        told += [f"positive in the test: {', '.join(f'{name} {n:,}' for name, n in events.items())}"] if events else []
        return "; ".join(told)

    def missing(self) -> str:
        """Labels that are not known."""
        if self.seen is not None and not self.seen.masked:
            return f"{self.seen.unknown:,} labels unknown over all splits; such are left out of loss and metrics"
        known = {e["samples"] for e in self._tables.metrics.values() if "samples" in e}
        counts = self._tables.counts
        return f"{max(known):,} of {counts['samples']:,} test samples have a known label" if known else ""

    def preprocessing(self) -> str:
        """Size, resizing, normalisation."""
        return "; ".join(f"{name}: {text}" for name, text in preprocessing_of(self.facts) if text)

    def partition(self) -> str:
        """Who divides, and the hash."""
        split = self.facts.split
        if split is None:
            return ""
        drawn = {key: self.facts.setting(f"data.{key}") for key in ("val_fraction", "test_fraction", "split_seed")}
        told = ", ".join(f"{key} {value}" for key, value in drawn.items() if value is not None)
        return f"As the source says; where it has no such part, drawn by {told}. SHA-256 {split.sha256[:12]}…"

    def disjoint(self) -> str:
        """Patients, counted again."""
        crossing = crossing_patients(self.facts)
        if crossing is not None:
            return f"Patients; {crossing} of them in more than one part (counted in split.csv)"
        return "Samples: no patients are known" if self.facts.split is not None else ""

    def flow(self) -> str:
        """The section that shows it."""
        return "See Data flow" if self.facts.split is not None else ""

    def demographics(self) -> str:
        """Sex and age where known, else classes."""
        if self.seen is None:
            return ""
        known = [what for what in ("sex", "age") if self.seen.column(what)]
        told = " and ".join(known) if known else "classes alone; sex and age are not told by the source"
        return f"See Demographics and classes by split: {told}"

    def architecture(self) -> str:
        """Backbone, input, outputs, parameters."""
        shape, audit = self.facts.task.get("input_size"), self.facts.audit
        told = [str(self.facts.setting("model.backbone") or "")]
        told += [f"decoder {plain(self.facts.setting('model.decoder'))}"] if self.facts.setting("model.decoder") else []
        told += [f"input {' x '.join(map(str, shape))}"] if shape else []
        told += [f"{len(self.facts.class_names)} classes"] if self.facts.class_names else []
        told += [f"{audit.total} parameters"] if audit is not None and audit.total else []
        return ", ".join(filter(None, told))

    def software(self) -> str:
        """Versions."""
        packages = self.facts.environment.get("packages") or {}
        if not packages:
            return ""
        known = [f"{name} {version}" for name, version in packages.items() if version]
        return ", ".join([f"transfusion {self.facts.environment.get('transfusion', '')}", *known])

    def initialization(self) -> str:
        """Base weights."""
        carried = self.facts.task.get("carried")
        return base_of(self.facts) + (f", {len(carried):,} tensors carried over" if carried else "")

    def adapted(self) -> str:
        """Strategy, and how much trains."""
        return "; ".join([strategy_of(self.facts), *trained_of(self.facts)])

    def training(self) -> str:
        """Optimizer, loss, batch, epochs, seed."""
        seed = self.facts.record.seed
        told = [
            optimizer_of(self.facts),
            schedule_of(self.facts),
            loss_of(self.facts),
            f"{self.facts.setting('data.batch_size')} samples per step",
            f"{epochs_of(self.facts)}",
            "" if seed is None else f"seed {seed}",
        ]
        return "; ".join(filter(None, told))

    def augmentation(self) -> str:
        """Random changes of training images."""
        return plain(self.facts.record.settings.get("data.augmentation") or "none")

    def imbalance(self) -> str:
        """Sampling and weights."""
        balanced = "drawn with equal weight of classes" if self.facts.setting("data.balanced") else "drawn as they are"
        return f"Samples are {balanced}; loss: {loss_of(self.facts) or 'unweighted'}"

    def selection(self) -> str:
        """The epoch that is kept."""
        record = self.facts.record
        return (
            f"The epoch with the best {record.monitor} ({record.monitor_mode}) on validation: {epochs_of(self.facts)}"
        )

    def ensemble(self) -> str:
        """One network."""
        return "One network, one checkpoint" if self.facts.weights_file.is_file() else ""

    def hardware(self) -> str:
        """Devices and system."""
        told = self.facts.environment
        devices = ", ".join(map(str, told.get("devices") or [])) or f"no GPU, {told.get('cpu_count')} CPU cores"
        return f"{devices}; {told['platform']}; Python {told.get('python')}" if "platform" in told else ""

    def metrics(self) -> str:
        """Their names."""
        return ", ".join(name for name in self._tables.metrics if "/" not in name)

    def uncertainty(self) -> str:
        """Methods of the intervals."""
        methods = dict.fromkeys(e["method"] for e in self._tables.metrics.values() if "method" in e)
        return f"95 % intervals in closed form: {'; '.join(methods)}" if methods else ""

    def clusters(self) -> str:
        """What intervals are over."""
        if not self.facts.is_tested:
            return ""
        patients = self._tables.counts.get("patients")
        return f"Intervals are over {f'{patients:,} patients' if patients else 'samples: no patients are known'}"

    def internal_test(self) -> str:
        """What the run held back."""
        origin = self.facts.results.get("provenance") or {}
        if not self.facts.is_tested:
            return ""
        return (
            f"{self._tables.counts.get('samples', 0):,} samples that the run held back, tested {origin.get('written')}"
        )

    def external_test(self) -> str:
        """Tests on others."""
        names = [(r.get("provenance") or {}).get("data", name) for name, r in self.facts.of_others.items()]
        return f"On {', '.join(map(str, names))}: see Results" if names else ""

    def threshold(self) -> str:
        """Stored thresholds, or the usual one."""
        decided = self.facts.decided
        if decided is not None and decided.thresholds:
            return "Probabilities; decisions above " + ", ".join(f"{n} {t:.4g}" for n, t in decided.thresholds.items())
        if self.facts.masked:
            return "Masks, and probabilities where asked for"
        return "Probabilities; decisions at 0.5, or for the most probable class"

    def performance(self) -> str:
        """Headline metrics."""
        return "; ".join(with_interval(name, entry) for name, entry in self._tables.headline())

    def validation(self) -> str:
        """The same weights on validation."""
        names = [name for name, _ in self._tables.headline()]
        known = {name: (self.facts.results.get(f"val/{name}") or {}).get("value") for name in names}
        told = [f"{name} {value:.3f}" for name, value in known.items() if value is not None]
        best = self.facts.best
        if not told and best is not None:
            told = [f"{self.facts.record.monitor.partition('/')[2]} {best[2]:.3f}"]
        return f"Validation: {', '.join(told)}" if told else ""

    def calibration(self) -> str:
        """Whether it was measured."""
        return "See Calibration and thresholds" if self._tables.calibration() is not None else ""

    def subgroups(self) -> str:
        """Whether groups were told apart."""
        return "See Subgroups" if self._tables.parts() else ""

    def failures(self) -> str:
        """How many errors of which kind."""
        if not isinstance(self.facts.tested, Tested) or self.facts.record.predictions is None:
            return ""
        _, counts = WorstError.of(self.facts.tested.evaluation, self.facts.record.predictions)
        told = [f"{group}: {wrong:,} of {of:,}" for group, (wrong, of) in counts.items()]
        return "; ".join(told[:8]) + (" …" if len(told) > 8 else "") + "; see Worst errors" if told else ""

    def full_model(self) -> str:
        """Files, by hash."""
        path, delta = self.facts.weights_file, self.facts.delta
        told = [f"{path.name}, SHA-256 {self.facts.weights_sha256[:12]}…"] if path.is_file() else []
        if delta.get("bytes"):
            told.append(f"delta.safetensors ({delta['bytes'] / 1e3:,.0f} kB), SHA-256 {str(delta['sha256'])[:12]}…")
        return "; ".join(told)

    def code(self) -> str:
        """The version, and the commit that it ran in."""
        version, git = self.facts.environment.get("transfusion"), self.facts.environment.get("git") or {}
        told = f"transfusion {version}, Apache-2.0" if version else ""
        commit = str(git.get("commit") or "")[:12]
        return told + (f"; commit {commit}{', with changes' if git.get('dirty') else ''}" if told and commit else "")

    def reproduction(self) -> str:
        """Command, configuration, seed."""
        known = self.facts.commands or [self.facts.folder.config.name]
        return f"config.yaml and seed {self.facts.record.seed}; the command stands under Environment" if known else ""

    def advice(self, name: str) -> str:
        """What would fill a topic that is empty."""
        tests = f"transfusion test {self.facts.typed}"
        of = dict.fromkeys(("metrics", "uncertainty", "clusters", "internal_test", "performance", "failures"), tests)
        of |= {
            "calibration": f"transfusion calibrate {self.facts.typed}, then {tests}",
            "subgroups": f"{tests} --data.subgroups '[sex, age<40]', or data that know their domains",
            "external_test": f"{tests} --data OTHER --data.root DIR --label_map MAP",
            "demographics": "the data themselves, where they can be read",
            "full_model": "a run that is finished",
        }
        return of.get(name, "")
