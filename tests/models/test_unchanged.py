"""Tensors remembered without their numbers."""

import torch

from transfusion_cli.models.unchanged import Unchanged


def remembered():
    tensors = [torch.zeros(3, requires_grad=True), torch.ones(2)]
    return tensors, Unchanged(tensors)


def test_the_same_tensors_hold():
    tensors, unchanged = remembered()
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            assert unchanged.holds(tensors)
    assert not unchanged.holds(tensors[::-1])


def test_writing_replacing_and_stepping_are_seen():
    def write(tensor):
        with torch.no_grad():
            tensor.add_(1)

    def replace(tensor):
        tensor.data = torch.ones(3)

    def step(tensor):
        torch.optim.SGD([tensor], 0.1).step()

    for change in (write, replace, step):
        tensors, unchanged = remembered()
        change(tensors[0])
        assert not unchanged.holds(tensors)
        assert Unchanged(tensors).holds(tensors)


def test_another_tensor_in_the_same_place_is_not_the_same():
    tensors, unchanged = remembered()
    assert not unchanged.holds([tensors[0].detach(), tensors[1]])
    assert not unchanged.holds([tensors[0], tensors[1].data])


def test_nothing_takes_the_place_of_a_tensor_that_is_gone():
    made = torch.ones(3)
    unchanged = Unchanged([made])
    del made
    assert not any(unchanged.holds([torch.ones(3)]) for _ in range(20))


def test_nothing_is_said_of_inference_tensors():
    with torch.inference_mode():
        tensor = torch.ones(2)
    assert not Unchanged([tensor]).holds([tensor])
