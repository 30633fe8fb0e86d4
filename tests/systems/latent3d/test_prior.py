import pytest
import torch

from latent3d.base.run import Run
from latent3d.diffusion.streams import Streams
from latent3d.plan import Row, settings
from latent3d.training.latents import fit_latents, latent_diffusion

H = {
    "width": 32,
    "blocks": 2,
    "heads": 4,
    "steps": 400,
    "batch_size": 128,
    "learning_rate": 0.005,
    "warmup": 20,
    "ema": 0.98,
}


@pytest.mark.parametrize("network", ["mlp", "transformer"])
@pytest.mark.parametrize("conditions", [0, 4])
def test_latents_are_drawn_from_their_density_given_others(network, conditions, tmp_path):
    generator = torch.Generator().manual_seed(0)
    others = 2 + 0.5 * torch.randn(2000, 4, generator=generator)
    noise = torch.randn(2000, 2, generator=generator)
    latents = torch.stack([100 * others[:, 0], -others[:, 1] + others[:, 2]], 1) + torch.tensor([5.0, 0.1]) * noise
    condition = others if conditions else None
    row = Row(base="latent3d", overrides={"diffusion_3d": {**H, "network": network}})
    h = settings(row, "diffusion_3d", "quick")
    result, more = fit_latents("diffusion_3d", latents[:, None], condition, 2, h, Run(0, tmp_path))
    model = latent_diffusion(**more, settings=h)
    model.load_state_dict(result.weights)
    model.eval()
    drawn = model.prior().draw(Streams.of(0, range(500)), 50, "ddim", None if condition is None else condition[:500])
    assert drawn.mean(0).tolist() == pytest.approx(latents.mean(0).tolist(), abs=0.1 * latents.std(0).max().item())
    for column in range(2):
        together = torch.corrcoef(torch.stack([drawn[:, column], latents[:500, column]]))[0, 1].item()
        assert together > 0.95 if conditions else abs(together) < 0.15
        assert drawn[:, column].std().item() == pytest.approx(latents[:, column].std().item(), rel=0.15)
