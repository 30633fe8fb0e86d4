import numpy as np
import torch
from scipy.spatial.transform import Rotation

from latent3d.data.molecules import alignment
from latent3d.nets.alignment import aligned_square_error, kabsch_align


def points(seed, batch=8, atoms=9):
    return torch.randn(batch, atoms, 3, generator=torch.Generator().manual_seed(seed))


def test_equals_scipy_on_noisy_rotated_points():
    x = points(0)
    r = torch.tensor(Rotation.random(8, random_state=1).as_matrix(), dtype=torch.float32)
    y = x @ r.transpose(1, 2) + 3 + 0.3 * points(1)
    ours = aligned_square_error(x, y, torch.ones(8, 9, dtype=torch.bool))
    for i in range(8):
        a, b = x[i] - x[i].mean(0), y[i] - y[i].mean(0)
        _, root_sum = Rotation.align_vectors(a.numpy(), b.numpy())
        np.testing.assert_allclose(ours[i].item(), root_sum**2 / 9, rtol=1e-5)


def test_reflections_are_not_used():
    x = points(0)
    assert (aligned_square_error(x, -x, torch.ones(8, 9, dtype=torch.bool)) > 0.05).all()


def test_padding_does_not_take_part():
    x, y = points(0), points(1)
    mask = torch.ones(8, 9, dtype=torch.bool)
    mask[:, 6:] = False
    padded = aligned_square_error(x, y + (~mask[..., None]) * 100, mask)
    torch.testing.assert_close(padded, aligned_square_error(x[:, :6], y[:, :6], mask[:, :6]))


def test_coordinates_keep_their_precision_under_autocast():
    x, y = points(0), points(1)
    mask = torch.ones(8, 9, dtype=torch.bool)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = kabsch_align(x, y, mask)
    assert torch.equal(mixed, kabsch_align(x, y, mask))


def test_degenerate_sets_stay_finite():
    line = torch.zeros(2, 4, 3)
    line[0, :, 0] = torch.arange(4.0)  # collinear; the second set is a single point repeated
    mask = torch.ones(2, 4, dtype=torch.bool)
    aligned = kabsch_align(line.flip(2), line, mask)
    assert torch.isfinite(aligned).all()
    torch.testing.assert_close(aligned[0], line[0], atol=1e-4, rtol=1e-4)


def test_both_implementations_move_the_mobile_onto_the_target():
    mobile, target = points(0), points(1) + 5
    ours = kabsch_align(mobile, target, torch.ones(8, 9, dtype=torch.bool))
    for i in range(8):
        theirs = alignment.kabsch_align(mobile[i].double().numpy(), target[i].double().numpy(), np.arange(9))
        np.testing.assert_allclose(ours[i].numpy(), theirs, atol=1e-5)
        rmsd = alignment.kabsch_rmsd(mobile[i, None].double().numpy(), target[i].double().numpy())[0]
        np.testing.assert_allclose(np.sqrt(((theirs - target[i].numpy()) ** 2).sum(-1).mean()), rmsd, rtol=1e-6)
        # It keeps its shape and takes the target's place.
        np.testing.assert_allclose(
            np.linalg.norm(theirs[0] - theirs[5]), torch.linalg.norm(mobile[i, 0] - mobile[i, 5]), rtol=1e-5
        )
        np.testing.assert_allclose(theirs.mean(0), target[i].mean(0), atol=1e-5)
