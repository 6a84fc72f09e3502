import pytest
import torch

from transfusion_cli.transferability.scores.svd import thin_svd


@pytest.mark.parametrize(("n", "d", "rank"), [(30, 8, 8), (8, 30, 8), (30, 8, 5), (8, 30, 4), (6, 6, 6)])
def test_left_vectors_and_values_of_the_direct_decomposition(n, d, rank):
    generator = torch.Generator().manual_seed(n)
    parts = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((n, rank), (rank, d)))
    matrix = torch.linalg.multi_dot([*parts])
    left, values = thin_svd(matrix)
    direct = torch.linalg.svd(matrix, full_matrices=False)
    assert left.shape == (n, rank) and torch.allclose(values, direct.S[:rank], rtol=1e-9)
    assert torch.allclose(left.T @ left, torch.eye(rank, dtype=torch.float64), atol=1e-9)
    assert torch.allclose((left.T @ direct.U[:, :rank]).abs(), torch.eye(rank, dtype=torch.float64), atol=1e-7)


def test_signs_follow_from_the_images_alone():
    matrix = torch.randn(20, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    left, _ = thin_svd(matrix)
    assert bool((left.max(dim=0).values == left.abs().max(dim=0).values).all())
    assert torch.allclose(thin_svd(matrix[:, [2, 0, 3, 1]] * torch.tensor([1, -1, -1, 1]))[0], left, atol=1e-9)
