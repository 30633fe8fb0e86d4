import torch

from latent3d.nets.dit import SlotTransformer


def network():
    torch.manual_seed(0)
    net = SlotTransformer(dimension=20, condition=10, slots=5, width=32, blocks=2, heads=4)
    assert not net(torch.ones(2, 20), torch.ones(2), torch.ones(2, 10)).any()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return net


def test_slots_differ_by_their_place_alone():
    net = network()
    torch.nn.init.zeros_(net.place)
    generator = torch.Generator().manual_seed(1)
    x, given = (torch.randn(3, 5, k, generator=generator) for k in (4, 2))
    t, order = torch.tensor([0.1, 0.5, 0.9]), torch.tensor([3, 0, 4, 1, 2])
    out = net(x.flatten(1), t, given.flatten(1)).unflatten(1, (5, 4))
    moved = net(x[:, order].flatten(1), t, given[:, order].flatten(1)).unflatten(1, (5, 4))
    torch.testing.assert_close(moved, out[:, order], rtol=1e-5, atol=1e-5)
    torch.nn.init.normal_(net.place)
    assert (net(x.flatten(1), t, given.flatten(1)) - out.flatten(1)).abs().max() > 0.1


def test_every_slot_time_and_condition_reaches_every_output():
    net = network()
    generator = torch.Generator().manual_seed(1)
    inputs = [torch.randn(1, 20, generator=generator), torch.tensor([0.3])]
    inputs.append(torch.randn(1, 10, generator=generator))
    for given in inputs:
        given.requires_grad_()
    for column in (0, 19):
        gradients = torch.autograd.grad(net(*inputs)[0, column], inputs)
        assert all((gradient != 0).all() for gradient in gradients)


def test_molecules_do_not_see_each_other():
    net = network()
    x, t, given = torch.randn(4, 20), torch.rand(4), torch.randn(4, 10)
    torch.testing.assert_close(net(x, t, given)[1:2], net(x[1:2], t[1:2], given[1:2]), rtol=1e-5, atol=1e-5)
