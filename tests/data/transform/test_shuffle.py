import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.tiny import TinyDataModule

from transfusion_cli.data.transform.shuffle import BlockShuffle
from transfusion_cli.errors import UserError


@st.composite
def shuffles(draw):
    block, rows, columns = draw(st.integers(1, 5)), draw(st.integers(1, 6)), draw(st.integers(1, 6))
    return BlockShuffle((block * rows, block * columns), block, draw(st.integers(0, 2**40)))


@given(shuffles(), st.sampled_from([(), (1,), (3,)]), st.sampled_from([np.uint8, np.float32]))
def test_every_pixel_is_kept_whole_and_finds_its_way_back(shuffle, channels, kind):
    image = np.random.default_rng(0).integers(0, 255, (*shuffle.size, *channels)).astype(kind)
    shuffled = shuffle(image)
    assert shuffled.shape == image.shape and shuffled.dtype == image.dtype
    assert np.array_equal(shuffle.inverse(shuffled), image) and np.array_equal(shuffle(shuffle.inverse(image)), image)


@given(shuffles())
def test_blocks_move_as_wholes_and_each_comes_once(shuffle):
    block, (height, width) = shuffle.block, shuffle.size
    image = np.arange(height * width).reshape(height, width)

    def blocks(of):
        corners = [(r, c) for r in range(0, height, block) for c in range(0, width, block)]
        return [of[r : r + block, c : c + block].tobytes() for r, c in corners]

    assert sorted(blocks(shuffle(image))) == sorted(blocks(image))


def test_a_permutation_by_hand():
    image = np.array([[1, 2, 5, 6], [3, 4, 7, 8]])
    assert BlockShuffle((2, 4), 2, 0)(image).tolist() == [[5, 6, 1, 2], [7, 8, 3, 4]]
    assert BlockShuffle((2, 4), 2, 1)(image).tolist() == image.tolist()


def test_the_order_follows_the_seed_alone_and_survives_pickling():
    a, b, c = BlockShuffle((224, 224), 56, 1), BlockShuffle((224, 224), 56, 1), BlockShuffle((224, 224), 56, 2)
    assert np.array_equal(a.order, b.order) and not np.array_equal(a.order, c.order)
    assert np.array_equal(pickle.loads(pickle.dumps(a)).order, a.order)
    # What other machines and releases must find again.
    assert BlockShuffle((4, 4), 2, 42).order.tolist() == [1, 3, 0, 2]


def test_one_block_as_large_as_the_image_changes_nothing():
    image = np.arange(36).reshape(6, 6)
    assert np.array_equal(BlockShuffle((6, 6), 6, 3)(image), image)


def test_blocks_that_do_not_fill_the_image_are_refused_with_those_that_do():
    with pytest.raises(UserError, match=r"blocks of 4 pixels do not fill images of 6 x 9\nChoose one of 1, 3,"):
        BlockShuffle((6, 9), 4, 0)
    with pytest.raises(UserError, match="shuffle_blocks must be at least 1, got 0"):
        TinyDataModule(shuffle_blocks=0)


def batches(data, split):
    loader = data.train_dataloader() if split == "train" else data.fixed_dataloader(split)
    return {int(i): image for batch in loader for i, image in zip(batch["index"], batch["image"], strict=True)}


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("workers", [0, 1])
def test_all_images_of_all_splits_are_shuffled_alike(split, workers):
    plain, shuffled = (TinyDataModule(shuffle_blocks=b, num_workers=workers, augmentation=None) for b in (None, 4))
    by_hand = BlockShuffle((16, 16), 4, shuffled.seed)
    before, after = batches(plain, split), batches(shuffled, split)
    assert before.keys() == after.keys() and len(after) == {"train": 48, "val": 24, "test": 24}[split]
    for row, image in after.items():
        assert torch.equal(image[0], torch.from_numpy(by_hand(before[row][0].numpy())))
        assert not torch.equal(image, before[row])


def test_augmentation_comes_before_the_blocks_move():
    flip = [{"HorizontalFlip": {"p": 1.0}}]
    plain = batches(TinyDataModule(augmentation=None), "train")
    changed = batches(TinyDataModule(augmentation=flip, shuffle_blocks=4), "train")
    by_hand = BlockShuffle((16, 16), 4, 42)
    for row, image in changed.items():
        assert np.array_equal(image[0].numpy(), by_hand(plain[row][0].numpy()[:, ::-1]))
