"""A head that trains on features computed once is the head that trains on images."""

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from PIL import Image
from sklearn.linear_model import LogisticRegression
from support.runs import every_checkpoint, make_segmentation, make_task, make_trainer
from support.tiny import TinyDataModule

from transfusion_cli.data.feature_pass import pixel_facts
from transfusion_cli.data.feature_store import FeatureStore, feature_key
from transfusion_cli.datasets import ImageTableDataModule
from transfusion_cli.errors import UserError
from transfusion_cli.models.full_precision import FullPrecision
from transfusion_cli.models.pretrained import build_network
from transfusion_cli.strategies import ACNorm, BatchNormAffine, HeadOnly, RandomInit
from transfusion_cli.strategies.freezing import set_modes
from transfusion_cli.strategies.parts import NetworkParts
from transfusion_cli.tasks.head_inputs import _compare, head_input

AUGMENTED = [{"HorizontalFlip": {"p": 0.5}}, {"GaussNoise": {"p": 1.0}}]


def run(folder, cache=True, epochs=3, data=None, before=(), ckpt_path=None, trainer=None, task=None, **options):
    """Train the head, on features or on images; task and trainer."""
    data = {"train": 28, "other": 12, "augmentation": None, **(data or {})}
    head = HeadOnly(cache=str(folder / "features") if cache else False, **options)
    kind = data.get("kind", "binary")
    made = make_task(folder, [*before, head] if before else head, kind, dropout=0.3, **(task or {}))
    fitter = make_trainer(folder, epochs, num_sanity_val_steps=2, **(trainer or {}))
    fitter.fit(made, datamodule=TinyDataModule(**data), ckpt_path=ckpt_path)
    return made, fitter


def assert_equal(one, two):
    """The same weights, and the same metrics, to the last bit."""
    for name, tensor in one.state_dict().items():
        assert torch.equal(two.state_dict()[name], tensor), name
    assert one.validation_metrics == two.validation_metrics and len(one.validation_metrics) > 5


@pytest.mark.parametrize(
    "case",
    [
        {"data": {"kind": "multiclass", "balanced": True}},
        {"data": {"kind": "multilabel", "train_fraction": 0.7}, "task": {"class_weights": "auto"}},
        {"data": {"num_workers": 1, "shuffle_blocks": 4}, "statistics": "reestimate"},
        {"before": [RandomInit()], "statistics": "frozen_all", "trainer": {"accumulate_grad_batches": 2}},
        {"before": [ACNorm()], "trainer": {"precision": "bf16-mixed"}},
        {"trainer": {"precision": "64-true", "limit_train_batches": 2, "val_check_interval": 1}},
    ],
    ids=["balanced", "some-weighted", "reestimate", "random", "half", "double"],
)
def test_it_is_the_run_on_images(case, tmp_path):
    live, _ = run(tmp_path, cache=False, **case)
    cached, _ = run(tmp_path, **case)
    assert_equal(live, cached)


def test_views_are_those_of_the_epochs(tmp_path):
    augmented = {"augmentation": AUGMENTED}
    live, _ = run(tmp_path, cache=False, data=augmented)
    cached, _ = run(tmp_path, data=augmented, views=3)
    assert_equal(live, cached)
    fewer, _ = run(tmp_path, data=augmented, views=2)  # the third epoch sees the first view again
    assert not torch.equal(fewer.network.fc.weight, live.network.fc.weight)


@pytest.fixture
def counted(monkeypatch):
    """How many images each forward pass of the body sees."""
    seen = []
    make = build_network

    def watched(*args, **kwargs):
        network, report = make(*args, **kwargs)
        network.conv1.register_forward_hook(lambda layer, inputs, output: seen.append(len(inputs[0])))
        return network, report

    monkeypatch.setattr("transfusion_cli.tasks.network.build_network", watched)
    return seen


def test_each_image_is_seen_once_for_all_runs(tmp_path, counted):
    run(tmp_path)
    comparing = 3 * 2  # two images: their features, and both modes
    assert sum(counted) == 28 + 12 + comparing
    counted.clear()
    run(tmp_path, epochs=5)
    assert not counted
    assert len(list((tmp_path / "features").glob("*.npy"))) == 2  # the parts are gone
    run(tmp_path, data={"train_size": 20})  # a part of the training images; those of validation are known
    assert sum(counted) == 20 + comparing


SHIFTED = {"before": [ACNorm(temperature=2.0)]}
VIEWED = {"data": {"augmentation": AUGMENTED}, "views": 2}


@pytest.mark.parametrize(
    ("one", "two", "new"),
    [
        ({}, {"task": {"seed": 1}, "data": {"batch_size": 4, "balanced": True}, "lr": 0.1}, 0),
        ({}, {"task": {"in_chans": 1}}, 2),
        ({}, {"data": {"side": 24}}, 2),
        ({}, {"data": {"shuffle_blocks": 4}}, 2),
        ({}, {"statistics": "reestimate"}, 2),
        ({}, {"before": [ACNorm()]}, 2),
        (SHIFTED, {"before": [ACNorm()]}, 2),
        ({}, {"trainer": {"precision": "bf16-mixed"}}, 2),
        ({}, VIEWED, 1),  # images of validation are not augmented
        (VIEWED, {**VIEWED, "views": 3}, 1),
        (VIEWED, {**VIEWED, "data": {"augmentation": AUGMENTED[:1]}}, 1),
        (VIEWED, {**VIEWED, "data": {"augmentation": AUGMENTED, "seed": 1}}, 1),
    ],
)
def test_a_key_for_each_kind_of_features(one, two, new, tmp_path):
    run(tmp_path, epochs=1, **one)
    known = set((tmp_path / "features").glob("*.npy"))
    run(tmp_path, epochs=1, **two)
    assert len(set((tmp_path / "features").glob("*.npy")) - known) == new


def test_replaced_files_are_not_mistaken(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(8):
        Image.fromarray(rng.integers(0, 255, (16, 16), dtype=np.uint8)).save(tmp_path / f"{i}.png")
    rows = "".join(f"{i}.png,{'ab'[i % 2]},{'train' if i < 4 else 'val'},{i}\n" for i in range(8))
    (tmp_path / "table.csv").write_text("image,label,split,patient\n" + rows)

    def key():
        options = {"channels": 1, "image_size": 16, "augmentation": None, "num_workers": 0, "test_fraction": 0.0}
        data = ImageTableDataModule(table=str(tmp_path / "table.csv"), **options)
        data.setup("fit")
        data.use_features()
        return feature_key(*pixel_facts(data, "train", data.features["train"]))

    first = key()
    assert key() == first
    Image.fromarray(rng.integers(0, 255, (16, 16), dtype=np.uint8)).save(tmp_path / "5.png")  # of validation
    assert key() == first
    Image.fromarray(rng.integers(0, 255, (16, 16), dtype=np.uint8)).save(tmp_path / "2.png")
    assert key() != first


def test_a_pass_that_was_cut_goes_on(tmp_path, counted, monkeypatch):
    put, made = FeatureStore.put, []

    def killed(store, key, chunks, rows):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(key)
        return put(store, key, chunks, rows)

    with monkeypatch.context() as patch:
        patch.setattr(FeatureStore, "put", killed)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    counted.clear()
    resumed, _ = run(tmp_path)
    assert sum(counted) == 28 - 14 + 12 + 3 * 2  # two of four parts were there
    live, _ = run(tmp_path, cache=False)
    assert_equal(live, resumed)


@pytest.mark.parametrize("l2", [None, [0.1, 1, 0.01]], ids=["steps", "l2"])
def test_resuming_anywhere_equals_the_uninterrupted_run(l2, tmp_path):
    keep = {"callbacks": every_checkpoint(tmp_path / "steps"), "enable_checkpointing": True}
    whole, _ = run(tmp_path, l2=l2, trainer=keep)
    checkpoints = sorted((tmp_path / "steps").iterdir())
    assert len(checkpoints) == 9
    for path in checkpoints:
        resumed, _ = run(tmp_path, l2=l2, ckpt_path=str(path))
        assert_equal(whole, resumed)
    live, _ = run(tmp_path, cache=l2 is not None, l2=l2, ckpt_path=str(checkpoints[3]))  # or on images
    assert_equal(whole, live)


def test_what_is_evaluated_afterwards_is_evaluated_on_images(tmp_path, counted):
    data = TinyDataModule(train=28, other=12, augmentation=None)
    task, trainer = make_task(tmp_path, HeadOnly(cache=str(tmp_path / "features"))), make_trainer(tmp_path)
    trainer.fit(task, datamodule=data)
    metrics = dict(task.validation_metrics)
    counted.clear()
    (found,) = trainer.validate(task, datamodule=data, verbose=False)
    assert sum(counted) == 12
    assert found == pytest.approx(metrics, abs=1e-5)
    trainer.test(task, datamodule=data, verbose=False)
    assert sum(counted) == 24


# --- what cannot be -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cache": True, "statistics": "update"}, "features that move"),
        ({"views": 3}, "--model.transfer.cache true"),
        ({"cache": True, "views": -1}, "here it is -1"),
        ({"l2": "path"}, "--model.transfer.cache true"),
        ({"cache": True, "l2": [1.0, -1.0]}, "-1.0"),
    ],
)
def test_options_that_do_not_go_together(options, said):
    with pytest.raises(UserError, match=said) as refused:
        HeadOnly(**options)
    assert len(str(refused.value).splitlines()) <= 3


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ({"data": {"augmentation": "default"}}, "--model.transfer.views"),
        ({"views": 2}, "would be the same"),
        ({"before": [RandomInit()]}, "frozen_all"),
        ({"before": [BatchNormAffine()]}, "both decide what trains"),
        ({"l2": "path"}, "--trainer.max_epochs 17"),
        ({"l2": [1.0], "data": {"balanced": True}, "epochs": 1}, "--model.class_weights auto"),
    ],
    ids=["augmented", "views", "fresh", "composed", "short", "balanced"],
)
def test_what_is_refused(case, said, tmp_path):
    with pytest.raises(UserError, match=said) as refused:
        run(tmp_path, **case)
    assert len(str(refused.value).splitlines()) <= 3
    assert not (tmp_path / "features").exists()


def test_segmentation_is_refused(tmp_path):
    with pytest.raises(UserError, match="segmentation network") as refused:
        make_segmentation(tmp_path, HeadOnly(cache=True)).build()
    assert len(str(refused.value).splitlines()) <= 3


class Built:
    """As much of a task as the comparison needs."""

    dropout, seed = 0.3, 0

    def __init__(self, name, dims=2, side=None):
        self.backbone = name
        self.network, _ = build_network(
            name, num_outputs=3, in_chans=3, pretrained=False, drop_rate=0.3, dims=dims, image_size=side
        )
        FullPrecision(self.network.get_submodule(self.network.pretrained_cfg["classifier"]))
        self.parts = NetworkParts.of(self.network)
        (self.phase,) = HeadOnly(statistics="frozen_all").select(self.parts)

    def train(self, mode=True):
        self.network.train(mode)
        if mode:
            set_modes(self.network, self.phase, self.parts)
        return self

    def eval(self):
        return self.train(False)

    def __call__(self, images):
        return self.network(images)


@pytest.mark.parametrize(
    ("name", "dims", "side"),
    [
        *((name, 2, 64) for name in ("cbr_tiny", "resnet18", "resnetv2_50", "densenet121", "mobilenetv3_small_050")),
        *((name, 2, 64) for name in ("convnext_atto", "regnetx_002", "vgg11")),
        ("vit_tiny_patch16_224", 2, 224),
        ("resnet18", 3, 32),
    ],
)
@torch.no_grad()
def test_features_lead_where_images_lead(name, dims, side):
    task = Built(name, dims, side if side == 224 else None)
    images = torch.randn(2, 3, *[side] * dims)
    _compare(task, images)
    features = head_input(task.eval().network, images)
    assert len(features) == 2 and features.flatten(1).shape[1] == task.network.head_hidden_size


def test_a_network_with_two_classifiers_is_refused(tmp_path):
    options = {"backbone": "deit_tiny_distilled_patch16_224", "pretrained": False}
    with pytest.raises(UserError, match="deit_tiny_distilled_patch16_224: what it does") as refused:
        run(tmp_path, task=options, data={"train": 8, "other": 8, "image_size": 224}, statistics="frozen_all")
    assert len(str(refused.value).splitlines()) <= 3


# --- the L2 path --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_the_head_is_at_its_optimum(kind, tmp_path):
    penalty = 0.03
    task, trainer = run(tmp_path, l2=[1, penalty], epochs=2, data={"kind": kind})
    features, targets = next(iter(trainer.datamodule.features["train"].all()))
    oracle = LogisticRegression(C=1 / (len(targets) * penalty), tol=1e-10, solver="newton-cg", max_iter=100_000)
    centred = features.double().numpy()
    mean = centred.mean(0)
    oracle.fit(centred - mean, targets.numpy().ravel())
    weight, bias = (tensor.detach().double().numpy() for tensor in (task.network.fc.weight, task.network.fc.bias))
    np.testing.assert_allclose(weight, oracle.coef_, atol=1e-5)
    shift = bias - (oracle.intercept_ - oracle.coef_ @ mean)  # of all classes alike, it changes no probability
    np.testing.assert_allclose(shift - shift.mean() * (kind == "multiclass"), 0, atol=1e-3)


def test_the_whole_path_begins_with_the_strongest_penalty(tmp_path):
    norms = []

    class Watch(Callback):
        def on_validation_end(self, trainer, task):
            if not trainer.sanity_checking:
                norms.append(float(task.network.fc.weight.square().sum()))

    task, trainer = run(tmp_path, l2="path", epochs=17, trainer={"callbacks": [Watch()]})
    assert len(norms) == 17 and norms == sorted(norms)
    assert task.validation_metrics["val/l2"] == pytest.approx(1e-6) and trainer.current_epoch == 17
