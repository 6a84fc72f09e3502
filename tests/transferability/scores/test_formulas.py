"""Every score beside its definition, written another way."""

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy import linalg, optimize, stats
from sklearn.covariance import ledoit_wolf as sklearn_ledoit_wolf
from sklearn.metrics import roc_auc_score
from support.scored import sampled

from transfusion_cli.transferability.scores.base import scores
from transfusion_cli.transferability.scores.gbc import GBC
from transfusion_cli.transferability.scores.held_out import folds, macro_auroc
from transfusion_cli.transferability.scores.hscore_shrinkage import ledoit_wolf
from transfusion_cli.transferability.scores.knn import KNN
from transfusion_cli.transferability.scores.linear_probe import LinearProbe
from transfusion_cli.transferability.scores.ncti import NCTI
from transfusion_cli.transferability.scores.nleep import NLEEP
from transfusion_cli.transferability.scores.parc import PARC
from transfusion_cli.transferability.scores.sample import Sample

ALL = scores()
SHAPES = [(60, 6, 3), (45, 12, 2), (24, 40, 3)]
shapes = pytest.mark.parametrize("shape", SHAPES)


def arrays(sample):
    return sample.features.numpy(), sample.labels.numpy()


@shapes
def test_logme_is_the_greatest_evidence(shape):
    """The density of the answers under the marginal Gaussian, 1 / β + x xᵀ / α, made as large as it will go."""
    sample = sampled(*shape)
    features, labels = arrays(sample)

    def greatest(answers):
        def density(logs):
            alpha, beta = np.exp(logs)
            covariance = np.eye(len(answers)) / beta + features @ features.T / alpha
            return -stats.multivariate_normal(cov=covariance).logpdf(answers)

        tries = ([0.0, 0.0], [3.0, 2.0], [0.0, 6.0], [6.0, 6.0])
        return -min(optimize.minimize(density, start, method="L-BFGS-B", bounds=[(-12, 12)] * 2).fun for start in tries)

    best = [greatest((labels == label).astype(float)) / len(labels) for label in range(shape[2])]
    found = ALL["logme"](sample)
    assert np.mean(best) - 2e-4 < found <= np.mean(best) + 1e-6


@shapes
def test_hscore_by_covariances(shape):
    sample = sampled(*shape)
    features, labels = arrays(sample)
    expected = np.stack([features[labels == label].mean(axis=0) for label in labels])
    inverse = np.linalg.pinv(np.cov(features.T), rcond=1e-10)
    assert ALL["hscore"](sample) == pytest.approx(np.trace(inverse @ np.cov(expected.T)), rel=1e-6)
    if shape[1] >= shape[0]:
        assert ALL["hscore"](sample) == pytest.approx(shape[2] - 1)


@shapes
def test_shrunk_hscore_by_covariances(shape):
    sample = sampled(*shape)
    features, labels = arrays(sample)
    expected = np.stack([features[labels == label].mean(axis=0) for label in labels])
    covariance, shrinkage = sklearn_ledoit_wolf(features)
    assert float(ledoit_wolf(sample.principal, shape[1])) == pytest.approx(shrinkage)
    direct = np.trace(np.linalg.inv(covariance) @ np.cov(expected.T)) * (1 - shrinkage)
    assert ALL["hscore_shrinkage"](sample) == pytest.approx(direct)


def test_shrinkage_of_noise_is_complete():
    sample = sampled(30, 60, 2, apart=0)
    noise = torch.randn(30, 60, generator=torch.Generator().manual_seed(1))
    wide = Sample(noise, sample.labels)
    assert float(ledoit_wolf(wide.principal, 60)) == pytest.approx(sklearn_ledoit_wolf(wide.features.numpy())[1])
    assert float(ledoit_wolf(torch.tensor([[1.0], [-1.0], [1.0], [-1.0]]), 1)) == 1  # already a sphere


def rate(features):
    """By the singular values, in the distortion that the paper takes."""
    return 0.5 * np.log1p(np.linalg.svd(features, compute_uv=False) ** 2 / (len(features) * 1e-4)).sum()


@shapes
def test_transrate_by_singular_values(shape):
    sample = sampled(*shape)
    features, labels = arrays(sample)
    centred = features - features.mean(axis=0)
    rates = [rate(centred[labels == label]) for label in range(shape[2])]
    assert ALL["transrate"](sample) == pytest.approx(rate(centred) - np.mean(rates))


@shapes
def test_official_transrate_weighs_classes_and_not_scale(shape):
    sample = sampled(*shape)
    labels = torch.where((sample.labels == 1) & (torch.arange(shape[0]) % 2 == 0), 0, sample.labels)  # not balanced
    sample = Sample(sample.features, labels)
    features, labels = arrays(sample)
    centred = features - features.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    within = sum((labels == label).mean() * rate(unit[labels == label]) for label in range(shape[2]))
    assert ALL["transrate_official"](sample) == pytest.approx(rate(unit) - within)
    assert ALL["transrate_official"](Sample(9 * sample.features, sample.labels)) == pytest.approx(rate(unit) - within)


@shapes
def test_gbc_by_covariance_matrices(shape):
    sample = sampled(*shape)
    features, labels = arrays(sample)
    means = [features[labels == label].mean(axis=0) for label in range(shape[2])]
    covariances = [np.diag(features[labels == label].var(axis=0).clip(1e-4)) for label in range(shape[2])]
    total = 0.0
    for one, other in permutations(range(shape[2]), 2):
        both = (covariances[one] + covariances[other]) / 2
        apart = means[one] - means[other]
        logs = [np.linalg.slogdet(matrix)[1] for matrix in (both, covariances[one], covariances[other])]
        total += np.exp(-apart @ np.linalg.solve(both, apart) / 8 - 0.5 * (logs[0] - (logs[1] + logs[2]) / 2))
    assert GBC()(sample) == pytest.approx(-total, rel=1e-9)


def test_gbc_is_the_overlap_of_two_densities():
    features = torch.tensor([[0.0], [2.0], [3.0], [7.0]])
    sample = Sample(features, torch.tensor([0, 0, 1, 1]))
    line = np.linspace(-30, 40, 200_001)
    overlap = np.sqrt(stats.norm(1, 1).pdf(line) * stats.norm(5, 2).pdf(line)).sum() * (line[1] - line[0])
    assert GBC()(sample) == pytest.approx(-2 * overlap, rel=1e-8) == GBC("spherical")(sample)


def leep_by_loops(source, labels):
    n, classes = source.shape
    total = 0.0
    for image in range(n):
        chance = 0.0
        for z in range(classes):
            joint = sum(source[i, z] for i in range(n) if labels[i] == labels[image]) / n
            marginal = sum(source[:, z]) / n
            chance += joint / marginal * source[image, z] if marginal else 0
        total += np.log(chance)
    return total / n


def test_leep_by_loops_and_source_classes_that_no_image_shows():
    sample = sampled(30, 4, 3)
    direct = leep_by_loops(sample.source.numpy(), sample.labels.numpy())
    assert ALL["leep"](sample) == pytest.approx(direct)
    never = torch.cat([sample.source, torch.zeros(30, 2, dtype=torch.float64)], dim=1)
    assert ALL["leep"](Sample(sample.features, sample.labels, never)) == pytest.approx(direct)
    sure = torch.nn.functional.one_hot(sample.labels, 9).double()
    assert ALL["leep"](Sample(sample.features, sample.labels, sure)) == 0


def test_nleep_is_leep_of_a_mixture():
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture

    sample = sampled(90, 8, 2)
    features, labels = arrays(sample)
    reduced = PCA(0.8).fit_transform(features)
    assert 1 < reduced.shape[1] < 8
    posteriors = GaussianMixture(10, random_state=0).fit(reduced).predict_proba(reduced)
    assert NLEEP()(sample) == pytest.approx(leep_by_loops(posteriors, labels), abs=0.02)
    assert NLEEP()(sampled(6, 40, 2)) <= 0  # three components


def test_nleep_of_a_single_cluster_knows_the_frequencies():
    """Three images allow one component."""
    sample = Sample(torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([0, 0, 1]))
    assert NLEEP()(sample) == pytest.approx((2 * np.log(2 / 3) + np.log(1 / 3)) / 3)


def test_nce_by_a_contingency_table():
    sample = sampled(60, 4, 3)
    table = stats.contingency.crosstab(sample.labels.numpy(), sample.source.argmax(dim=1).numpy()).count
    share = table.sum(axis=0) / table.sum()
    entropies = stats.entropy(table, axis=0)
    assert ALL["nce"](sample) == pytest.approx(-(share * entropies).sum())


@pytest.mark.parametrize("shape", [(60, 6, 3), (50, 45, 2)])
def test_parc_by_matrices(shape):
    sample = sampled(*shape)
    features, labels = arrays(sample)
    left = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)[0][:, :32]
    left = left * np.sign(left[np.abs(left).argmax(axis=0), range(left.shape[1])])
    above = np.triu_indices(shape[0], 1)
    unlike = [(1 - np.corrcoef(rows))[above].round(9) for rows in (left, np.eye(shape[2])[labels])]
    assert PARC()(sample) == pytest.approx(100 * stats.spearmanr(*unlike).statistic)


def test_parc_with_ties_and_limits():
    sample = sampled(40, 3, 2)
    features = sample.features.clone()
    features[1::4] = features[::4]
    tied = Sample(features, sample.labels)
    left = tied.centred[0].numpy()
    above = np.triu_indices(40, 1)
    unlike = [(1 - np.corrcoef(rows))[above].round(9) for rows in (left, np.eye(2)[sample.labels])]
    assert PARC()(tied) == pytest.approx(100 * stats.spearmanr(*unlike).statistic)
    assert PARC()(Sample(features[:, :1], sample.labels)) == 0
    many = sampled(400, 5, 3)
    assert 0 < abs(PARC(most=200)(many) - PARC()(many)) < 6


def fisher(features, labels, shrinkage=None):
    """Probabilities by generalised eigenvectors, as the paper goes about it."""
    classes, dimensions = labels.max() + 1, features.shape[1]
    priors = np.bincount(labels) / len(labels)
    within = sum(priors[label] * np.cov(features[labels == label].T, bias=True) for label in range(classes))
    if shrinkage is None:
        shrinkage = max(np.exp(-5 * linalg.eigvalsh(within).max()), 1e-10)
    sphere = np.trace(within) / dimensions * np.eye(dimensions)
    shrunk = (1 - shrinkage) * within + shrinkage * sphere
    _, axes = linalg.eigh(np.cov(features.T, bias=True) - shrunk, shrunk)
    means = np.stack([features[labels == label].mean(axis=0) for label in range(classes)]) @ axes
    logits = features @ axes @ means.T - 0.5 * (means**2).sum(axis=1) + np.log(priors)
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    return chances / chances.sum(axis=1, keepdims=True), shrinkage


@pytest.mark.parametrize("scale", [0.05, 0.2, 1.0])
@pytest.mark.parametrize("shape", [(60, 6, 3), (45, 12, 2)])
def test_sfda_by_generalised_eigenvectors(shape, scale):
    sample = sampled(*shape)
    sample = Sample(scale * sample.features, sample.labels)
    features, labels = arrays(sample)
    chances, shrinkage = fisher(features, labels)
    soft = np.exp(chances) / np.exp(chances).sum(axis=1, keepdims=True)
    mixed = np.empty_like(features)
    for at, (row, label) in enumerate(zip(features, labels, strict=True)):
        others = [features[labels == other].mean(axis=0) for other in range(shape[2]) if other != label]
        mixed[at] = soft[at, label] * row + (1 - soft[at, label]) * np.mean(others, axis=0)
    second, _ = fisher(mixed, labels, shrinkage)
    assert ALL["sfda"](sample) == pytest.approx(second[range(shape[0]), labels].mean(), rel=1e-6)


def test_sfda_in_fewer_images_than_features_tells_all_apart():
    assert ALL["sfda"](sampled(24, 60, 3, apart=0)) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("shape", "scale"), [((150, 6, 3), 1.0), ((300, 80, 4), 1.0), ((120, 5, 2), 10.0)])
def test_ncti_by_a_discriminant_analysis_of_its_own(shape, scale):
    """Whitened by the within-class covariance, then along the class means; spread by singular values."""
    sample = sampled(*shape)
    sample = Sample(scale * sample.features, sample.labels)
    features, labels = arrays(sample)
    left, values, _ = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
    reduced = (left * values)[:, :64]
    shrinkage = np.exp(-reduced[:, :32].var(axis=0, ddof=1).sum())
    shrinkage, unbiased = (shrinkage, 0) if shrinkage > 1e-10 else (0, shape[2])
    means = np.stack([reduced[labels == label].mean(axis=0) for label in range(shape[2])])
    apart = reduced - means[labels]
    within = apart.T @ apart / (shape[0] - unbiased)
    sphere = np.trace(within) / len(within) * np.eye(len(within))
    white = np.linalg.inv(np.linalg.cholesky((1 - shrinkage) * within + shrinkage * sphere)).T
    priors = np.bincount(labels) / len(labels)
    axes = np.linalg.svd(np.sqrt(priors)[:, None] * (means @ white))[2][: shape[2] - 1].T
    places, centres = reduced @ white @ axes, means @ white @ axes
    logits = -0.5 * ((places[:, None] - centres) ** 2).sum(axis=2) + np.log(priors)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    collapse = [np.linalg.svd(chances[labels == label], compute_uv=False).sum() for label in range(shape[2])]
    spread, sure, log = NCTI().terms(sample)
    assert sure == pytest.approx(chances[range(shape[0]), labels].mean(), abs=2e-3)
    assert log == pytest.approx(np.log(sum(collapse)), abs=2e-3)
    assert spread == pytest.approx(np.linalg.svd(places, compute_uv=False).sum(), rel=1e-2)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_neighbours_are_those_of_other_patients(metric):
    from sklearn.neighbors import KNeighborsClassifier

    sample = sampled(60, 5, 3)
    features, labels = arrays(sample)
    expected = np.zeros((60, 3))
    for patient in sample.patients.unique():
        asked = (sample.patients == patient).numpy()
        shown = KNeighborsClassifier(10, metric=metric, algorithm="brute").fit(features[~asked], labels[~asked])
        expected[asked] = shown.predict_proba(features[asked])
    assert KNN(10, metric).shares(sample).numpy() == pytest.approx(expected)
    assert KNN(10, metric)(sample) == pytest.approx(roc_auc_score(labels, expected, multi_class="ovr"))


def test_neighbours_where_there_are_few_others():
    sample = Sample(torch.eye(3), torch.tensor([0, 0, 1]), groups=torch.tensor([0, 0, 1]))
    assert KNN().shares(sample).tolist() == [[0, 1], [0, 1], [1, 0]]
    alone = Sample(torch.eye(3), torch.tensor([0, 0, 1]), groups=torch.zeros(3, dtype=torch.int64))
    assert KNN().shares(alone).tolist() == [[0, 0]] * 3


def test_folds_part_patients_and_share_out_classes():
    sample = sampled(120, 3, 3)
    fold, patients = folds(sample, 5), sample.patients
    assert all(len(fold[patients == patient].unique()) == 1 for patient in patients.unique())
    for label in range(3):
        images = torch.bincount(fold[sample.labels == label], minlength=5)
        assert int(images.sum()) == 40 and int(images.max() - images.min()) <= 2
    assert torch.equal(fold, folds(sample, 5)) and not torch.equal(fold, folds(sample, 5, seed=1))
    assert folds(sampled(12, 3, 3), 50).unique().tolist() == [0, 1, 2, 3, 4, 5]


def test_the_probe_answers_for_patients_it_did_not_see():
    """Labels that patients alone explain cannot be told of other patients."""
    generator = torch.Generator().manual_seed(0)
    patients = torch.arange(200) // 10
    labels = torch.randint(2, (20,), generator=generator)[patients]
    features = torch.randn(20, 30, generator=generator)[patients] + 0.01 * torch.randn(200, 30, generator=generator)
    assert LinearProbe()(Sample(features, labels)) > 0.99
    assert LinearProbe()(Sample(features, labels, groups=patients)) < 0.8


def test_the_probe_by_hand():
    from sklearn.linear_model import LogisticRegression

    sample = sampled(60, 5, 3, apart=0.5)
    features, labels = arrays(sample)
    features = (features - features.mean(axis=0)) / np.sqrt(features.var(axis=0).mean())
    fold, expected = folds(sample, 5).numpy(), np.zeros((60, 3))
    for number in range(5):
        probe = LogisticRegression(tol=1e-8, max_iter=1000).fit(features[fold != number], labels[fold != number])
        expected[fold == number] = probe.predict_proba(features[fold == number])
    assert LinearProbe().chances(sample).numpy() == pytest.approx(expected, abs=0.01)
    assert LinearProbe()(sample) == pytest.approx(macro_auroc(sample, torch.from_numpy(expected)), abs=0.01)


def test_the_probe_where_a_fold_knows_one_class():
    labels = torch.tensor([0, 0, 0, 1])
    sample = Sample(torch.randn(4, 2, generator=torch.Generator().manual_seed(0)), labels)
    chances = LinearProbe(2).chances(sample)
    assert chances.sum(dim=1).tolist() == pytest.approx([1.0] * 4)
    assert chances[3].tolist() == [1.0, 0.0]
