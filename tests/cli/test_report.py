"""``transfusion report``: the files that it writes, read by others than it was written by."""

import csv
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from support.commands import mistake, ran_once, transfusion
from support.decided import fitted_on

from transfusion_cli.metrics.decisions.calibration import Calibration
from transfusion_cli.metrics.decisions.decisions import Decisions

RUN = Path("lightning_logs/base/version_0")
VOID = {"meta", "img", "br", "hr", "link", "input"}
HOSTILE = "<script>alert('1')</script> | *b* & \"q\""


class Page(HTMLParser):
    """Texts, addresses and tables of a page; fails where a tag is not closed by its own."""

    def __init__(self, path):
        super().__init__()
        self.open, self.tags, self.addresses, self.attributes = [], Counter(), [], set()
        self.words, self.tables, self.heads, self.cell, self.alts = [], [], [], None, []
        self.feed(path.read_text(encoding="utf-8"))
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [(tag, name, value) for name, value in attrs if name in ("src", "href", "srcset", "data")]
        self.alts += [value for name, value in attrs if name == "alt"]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.words.append(data)
        if "td" in self.open or "th" in self.open:
            self.tables[-1][-1][-1] += data
        if "h2" in self.open:
            self.heads.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def table(self, *head):
        """The rows of the table whose titles begin so."""
        (found,) = [rows for rows in self.tables if tuple(rows[0][: len(head)]) == head]
        return found[1:]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    command = "fit --config base.yaml --test_after_fit true --trainer.max_epochs 2 --data.other 24"
    return ran_once(tmp_path_factory.mktemp("home"), command)


@pytest.fixture(autouse=True)
def _there(home, monkeypatch):
    monkeypatch.chdir(home)


@pytest.fixture
def copied(request):
    """A copy of the run, to change."""
    folder = Path("lightning_logs") / re.sub(r"\W", "_", request.node.name) / "version_0"
    shutil.copytree(RUN, folder, ignore=shutil.ignore_patterns("report*"))
    return folder


def change(path, do):
    """Change a JSON or YAML file."""
    kind = yaml if path.suffix == ".yaml" else json
    content = kind.load(path.read_text(), yaml.SafeLoader) if kind is yaml else json.loads(path.read_text())
    do(content)
    path.write_text(yaml.safe_dump(content) if kind is yaml else json.dumps(content))


def told(value):
    return f"{value:.3f}"


def test_a_tested_run(capsys):
    path = transfusion("report base")
    out = capsys.readouterr().out
    assert path == RUN / "report.html" and "Written to" in out and "--images" in out
    page, markdown = Page(path), (RUN / "report.md").read_text()
    assert page.heads == [
        *("Data flow", "Demographics and classes by split", "What trained", "Curves", "Results"),
        *("Calibration and thresholds", "Subgroups", "Worst errors", "Environment"),
        "Checklist: CLAIM 2024 and TRIPOD+AI",
    ]
    # Nothing is fetched, nothing runs.
    assert not set(page.tags) & {"script", "link", "iframe", "object", "embed", "form"}
    assert not {name for name in page.attributes if name.startswith("on")}
    assert "url(" not in path.read_text() and "@import" not in path.read_text()
    for tag, name, value in page.addresses:
        assert value.startswith("data:image/png;base64,") if tag == "img" else (tag, name) == ("a", "href")
        assert tag == "img" or value.startswith(("#", "https://doi.org/"))
    assert all(line.partition(": ")[2].startswith("data:") for line in markdown.splitlines() if line.startswith("[fi"))

    # Numbers are those of the files.
    results = json.loads((RUN / "results.json").read_text())
    rows = {row[0]: row[1:] for row in page.table("test", "value")}
    named = {key[5:]: e for key, e in results.items() if key.startswith("test/") and "samples" in e}
    assert set(named) | {"loss"} == set(rows) and {"auroc", "sensitivity", "kappa"} <= set(named)
    for name, entry in named.items():
        limits = entry.get("why") or f"{told(entry['low'])} to {told(entry['high'])}"
        assert rows[name][:2] == [told(entry["value"]), limits]
        beside = results.get(f"val/{name}")
        assert rows[name][-1] == (told(beside["value"]) if beside else "")
        assert f" {told(entry['value'])} " in markdown and limits in markdown
    with open(RUN / "split.csv", newline="") as file:
        split = list(csv.DictReader(file))
    for name, title in {"train": "training", "val": "validation", "test": "test"}.items():
        patients = {row["patient"] for row in split if row["split"] == name}
        count = sum(row["split"] == name for row in split)
        assert f"{title} {count} samples {len(patients)} patients" in page.text
    assert "more than one split: 0." in page.text
    assert page.table("images", "train")[1][3].startswith(f"{results['test/positives/positive']['value']} (")
    assert "269," in page.text.partition("parameters")[0] and results["provenance"]["checkpoint_sha256"] in page.text

    # Names of samples and patients stay where they are.
    names = {row["id"] for row in split} | {row["patient"] for row in split}
    for text in (page.text, markdown.partition("\n[figure-1]")[0]):
        assert not names & set(re.findall(r"\w+", text))

    answered = page.table("part", "topic")
    assert len(answered) >= 20 and all(all(cell.strip() for cell in row) for row in answered)
    assert len({row[1] for row in answered}) == len(answered)
    assert f"{len(answered)} topics of CLAIM 2024" in out
    open_topics = {row[0] for row in page.table("topic", "asked by")}
    assert {"Calibration", "Ethics approval and consent"} <= open_topics and len(open_topics) > 20


def test_errors_are_those_of_the_predictions():
    page = Page(transfusion("report base --output errors.html"))
    with open(RUN / "predictions_test.csv", newline="") as file:
        cases = [(float(row["label_positive"]), float(row["p_positive"])) for row in csv.DictReader(file)]
    missed = [at for at, (truth, p) in enumerate(cases) if truth == 1 and p <= 0.5]
    alarms = [at for at, (truth, p) in enumerate(cases) if truth == 0 and p > 0.5]
    counts = {row[0]: row[1].split()[0] for row in page.table("error", "cases")}
    assert counts == {"positive missed": str(len(missed)), "positive where there is none": str(len(alarms))}
    listed = page.table("error", "what was said")
    assert missed or alarms
    for of, wrong in (("positive missed", missed), ("positive where there is none", alarms)):
        worst = sorted(wrong, key=lambda at: -abs(cases[at][0] - cases[at][1]))
        lines = [int(row[2]) - 2 for row in listed if row[0] == of]
        assert lines == worst[: len(lines)] and all(f"{cases[at][1]:.3f}" in page.text for at in lines)
    assert len(listed) == min(20, len(missed) + len(alarms))


def test_images_only_when_asked_for():
    plain, shown = (Page(transfusion(f"report base {flag} --output x.html")) for flag in ("", "--images"))
    errors = len(plain.table("error", "what was said"))
    assert shown.tags["img"] == plain.tags["img"] + errors and plain.tags["figure"] == 0
    assert "a report travels" in plain.text and "a report travels" not in shown.text


def test_nothing_is_written_over(copied):
    for name in ("mine.html", "mine_1.md"):
        Path(name).write_text("mine")
    assert transfusion(f"report {copied} --output mine.html") == Path("mine_2.html")
    assert Path("mine.html").read_text() == Path("mine_1.md").read_text() == "mine"
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    first = transfusion(f"report {copied}").read_bytes()
    assert transfusion(f"report {copied}/checkpoints/best.ckpt") == copied.resolve() / "report_1.html"
    assert (copied / "report.html").read_bytes() == first == (copied / "report_1.html").read_bytes()
    assert {path: path.read_bytes() for path in before} == before


def test_before_the_test(copied, capsys):
    for path in (*copied.glob("results*"), *copied.glob("predictions*"), *copied.glob("events*")):
        path.unlink()
    page = Page(transfusion(f"report {copied}"))
    assert f"This run is not tested yet. To test it: transfusion test {copied.parent.name}/version_0" in page.text
    assert "Not tested yet" in capsys.readouterr().out
    assert "events for TensorBoard are not there" in page.text and not page.text.count("undefined")
    assert "Performance with intervals" in {row[0] for row in page.table("topic", "asked by")}
    assert page.tags["img"] == 1  # the curves of training


def test_hostile_names_are_text(copied):
    change(copied / "config.yaml", lambda config: config.update(name=f"run {HOSTILE}"))
    results = (copied / "results.json").read_text()
    (copied / "results.json").write_text(
        results.replace("positives/positive", json.dumps(f"positives/{HOSTILE}")[1:-1])
    )
    with open(copied / "predictions_test.csv", newline="") as file:
        head, *rows = csv.reader(file)
    with open(copied / "predictions_test.csv", "w", newline="") as file:
        csv.writer(file).writerows([[name.replace("positive", HOSTILE) for name in head], *rows])
    path = transfusion(f"report {copied}")
    page, markdown = Page(path), path.with_suffix(".md").read_text()
    plain = " ".join(HOSTILE.split())
    assert page.tags["script"] == 0 and f"run {plain}" in page.text
    assert any(plain in row[0] for row in page.table("error", "cases"))
    assert not re.search(r"(?<!\\)<", markdown) and r"\<script\>alert" in markdown
    cells = next(line for line in markdown.splitlines() if "missed" in line and line.startswith("|"))
    assert len(re.findall(r"(?<!\\)\|", cells)) == 4


def test_without_the_data(copied):
    def move(config):
        config["data"] = {"class_path": "transfusion_cli.datasets.ImageTableDataModule", "init_args": {"root": "gone"}}

    change(copied / "config.yaml", move)
    page = Page(transfusion(f"report {copied} --images"))
    assert "The data could not be looked at: " in page.text and "Their images cannot be shown" in page.text
    assert page.table("test", "positives")[0][0] == "positive" and len(page.table("part", "topic")) >= 20


def test_calibration_groups_and_other_samples(copied):
    number = {"value": 0.8125, "low": 0.7, "high": 0.9}
    groups = {
        "test[sex=F]/auroc": number,
        "test[sex=F]/patients": {"value": 7},
        "gap[sex=F]/auroc": {"value": -0.0625, "low": -0.2, "high": 0.1, "p": 0.01, "p_holm": 0.04},
        "test[sex=F]/calibrated_calibration_slope": number,
        "test[sex=F]/sensitivity_at_threshold/positive": {"value": 0.5, "low": 0.25, "high": 0.75},
        "gap[sex=F]/sensitivity_at_threshold/positive": {"value": -0.25, "low": -0.5, "high": 0, "p_holm": 0.0004},
        "subgroups": {
            "against": "the rest",
            "left_out": {"sex=M": "fewer than 4 patients (2)"},
            "not_known": {"sex": 3},
        },
        "test/brier": {"value": 0.25},
        "test/calibrated_brier": {"value": 0.125, "low": 0.1, "high": 0.15},
        "test/sensitivity_at_threshold/positive": number,
        "test/ppv_at_prevalence_0.01/positive": {"value": 0.0625},
        "test/threshold/positive": {"value": 0.3},
    }
    change(copied / "results.json", lambda results: results.update(groups))
    change(copied / "results.json", lambda r: (copied / "results_1.json").write_text(json.dumps(r)))
    change(copied / "results_1.json", lambda results: results["provenance"].update(own_split=False, data="Elsewhere"))
    origin = fitted_on(ids=[f"v{i}" for i in range(24)], patients=[f"p{i}" for i in range(12)])
    calibration, threshold = {"positive": Calibration("platt", 1.5, -0.25)}, {"positive": 0.3}
    made = Decisions("binary", ("positive",), calibration, threshold, "sensitivity=0.95", origin)
    (copied / "decisions.json").write_text(json.dumps(made.as_json()))
    page = Page(transfusion(f"report {copied}"))
    assert page.table("label", "calibration") == [["positive", "platt, scale 1.5, shift -0.25 of the logit", "0.3"]]
    assert "Fitted on the val split, 24 samples of 12 patients. Thresholds: sensitivity=0.95." in page.text
    assert {"Reliability before and after calibration", "Net benefit of decisions by threshold"} <= set(page.alts)
    assert page.table("", "before")[0][:2] == ["Brier score", "0.250"]
    assert page.table("", "before")[0][-2:] == ["0.125", "0.100 to 0.150"]
    assert [row[1:3] for row in page.table("label", "at its threshold")] == [
        ["sensitivity", "0.812"],
        ["PPV at a prevalence of 0.01", "0.062"],
    ]
    assert page.table("auroc", "patients") == [
        ["sex=F", "7", "0.812", "0.700 to 0.900", "-0.062", "-0.200 to 0.100", "0.040"]
    ]
    assert page.table("calibrated slope", "patients")[0][:3] == ["sex=F", "7", "0.812"]
    (of_decisions,) = page.table("sensitivity at threshold, positive", "patients")
    assert of_decisions[2:] == ["0.500", "0.250 to 0.750", "-0.250", "-0.500 to 0.000", "< 0.001"]
    assert "sex=M is left out: fewer than 4 patients (2)" in page.text and "sex is not known of 3 samples" in page.text
    assert "Test on other samples (results_1.json)" in page.text and "Elsewhere, test split" in page.text
    assert not {"brier", "threshold"} & {row[0] for rows in page.tables for row in rows if rows[0][0] == "test"}
    (copied / "decisions.json").write_text('["no decisions"')
    assert "Nothing was calibrated" in Page(transfusion(f"report {copied}")).text


def test_mistakes(capsys):
    assert "no run 'nothing'" in mistake("report nothing", capsys)
    assert "must end in .html" in mistake("report base --output x.txt", capsys)
    assert "transfusion report --help" in mistake("report", capsys)
    Path("loose.ckpt").touch()
    assert "lies in no run folder" in mistake("report loose.ckpt", capsys)


def test_a_mistake_needs_no_torch():
    code = "import sys, transfusion_cli.cli.report as r; r.flags(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_masks(capsys):
    eyes = "--data.patients 8 --data.test_patients 4 --data.image_size 64 --data.patch_size 32 --model.window 64"
    quiet = "--trainer.accelerator cpu --trainer.devices 1 --trainer.max_epochs 1 --test_after_fit true"
    transfusion(f"fit --config demo_segmentation {eyes} {quiet} --trainer.enable_progress_bar false")
    page = Page(transfusion("report demo_segmentation --images"))
    results = json.loads(Path("lightning_logs/demo_segmentation/version_0/results.json").read_text())
    rows = {row[0]: row[1:] for row in page.table("test", "value")}
    assert rows["dice"][0] == told(results["test/dice"]["value"]) and "no ROC curve of cases" in page.text
    assert len(page.table("part", "topic")) >= 20 and page.tags["figure"] > 0
    assert [row[0] for row in page.table("class", "missed")] == ["vessel"]
