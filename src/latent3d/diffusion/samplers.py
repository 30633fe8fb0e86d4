"""Samplers: from noise to data with a `Denoiser`, on a uniform grid of times."""

import torch

from latent3d.diffusion.objectives import Denoiser, NoiseLevel

SAMPLERS = ("ddpm", "ddim")


@torch.no_grad()
def sample(denoiser: Denoiser, noise: torch.Tensor, sampler: str) -> torch.Tensor:
    """Draw samples [B, D].

    Both samplers are DDIM (Song et al. 2021, eq. 12): eta = 0 is deterministic, eta = 1 is ancestral DDPM sampling
    on a strided grid (eq. 16).

    Args:
        denoiser: the trained model.
        noise: [steps + 1, B, D] standard normal: the start, then one draw per step (ddim uses the start alone).
        sampler: `ddpm` or `ddim`.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler {sampler!r} is not one of {SAMPLERS}")
    eta = float(sampler == "ddpm")
    steps = len(noise) - 1
    x = noise[0]
    times = torch.linspace(1, 0, steps + 1, device=x.device)
    for step in range(steps):
        t, s = (times[step + i].expand(len(x)) for i in (0, 1))
        now, then = NoiseLevel.at(denoiser.schedule, t), NoiseLevel.at(denoiser.schedule, s)
        x0 = denoiser.predict_x0(x, t)
        eps = (x - now.alpha * x0) / now.sigma.clamp(min=1e-8)
        # Variance of the posterior q(x_s | x_t, x_0); alpha_t|s^2 = alpha_t^2 / alpha_s^2.
        posterior = (then.sigma / now.sigma.clamp(min=1e-8)) ** 2 * (1 - (now.alpha / then.alpha.clamp(min=1e-8)) ** 2)
        variance = eta**2 * posterior.clamp(min=0)
        x = then.alpha * x0 + (then.sigma**2 - variance).clamp(min=0).sqrt() * eps + variance.sqrt() * noise[step + 1]
    return x


def per_sample_noise(seed: int, indices: range, steps: int, dimension: int) -> torch.Tensor:
    """[steps + 1, B, D] noise in which each sample has its own random stream, derived from (seed, sample index).

    Results therefore do not depend on batches, shards or devices (the noise is drawn on the CPU).
    """
    columns = []
    for index in indices:
        generator = torch.Generator().manual_seed(stream_seed(seed, index))
        columns.append(torch.randn(steps + 1, dimension, generator=generator))
    return torch.stack(columns, 1)


def stream_seed(seed: int, index: int) -> int:
    """A 63-bit seed that mixes (seed, index); streams of neighbouring indices are unrelated (splitmix64 finaliser)."""
    x = (seed * 0x9E3779B97F4A7C15 + index * 0xD1B54A32D192ED03 + 0x8CB92BA72F3D8DD7) & (2**64 - 1)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = ((x ^ (x >> shift)) * factor) & (2**64 - 1)
    return (x ^ (x >> 31)) >> 1
