"""Samplers: from noise to data with a `Denoiser`, on a uniform grid of times."""

from collections.abc import Callable
from itertools import pairwise

import torch

from latent3d.diffusion.guidance import Autoguided
from latent3d.diffusion.objectives import Denoiser, NoiseLevel

SAMPLERS = ("ddpm", "ddim", "dpmpp")


@torch.no_grad()
def sample(
    denoiser: Denoiser | Autoguided, noise: Callable[[], torch.Tensor], steps: int, sampler: str, *given: torch.Tensor
) -> torch.Tensor:
    """Draw samples [B, ...].

    `ddim` and `ddpm` are DDIM (Song et al. 2021, eq. 12): eta = 0 is deterministic, eta = 1 is ancestral DDPM sampling
    on a strided grid (eq. 16). `dpmpp` is DPM-Solver++(2M) (Lu et al. 2022, algorithm 2): DDIM with x_0 extrapolated
    from the last two predictions, of second order; its first and last step, from pure noise and to data, are DDIM's.

    Args:
        denoiser: the trained model.
        noise: gives standard normal noise [B, ...] at each call: the start, then with ddpm one draw per step.
        steps: network evaluations.
        sampler: `ddpm`, `ddim` or `dpmpp`.
        given: what the network takes beside x and t (a mask).
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler {sampler!r} is not one of {SAMPLERS}")
    x = noise()
    times = torch.linspace(1, 0, steps + 1, device=x.device)
    earlier = None  # last prediction of x_0, and step in the logarithm of alpha / sigma that followed it
    for t, s in pairwise(times):
        now, then = (NoiseLevel.at(denoiser.schedule, time.expand(len(x)), x.dim()) for time in (t, s))
        x0 = denoiser.predict_x0(x, t.expand(len(x)), *given)
        if sampler == "dpmpp":
            step = _log_snr(then) - _log_snr(now)
            x0, earlier = (x0 if earlier is None else _extrapolated(x0, *earlier, step)), (x0, step)
        eps = (x - now.alpha * x0) / now.sigma.clamp(min=1e-8)
        if sampler != "ddpm":
            x = then.alpha * x0 + then.sigma * eps
            continue
        # Variance of the posterior q(x_s | x_t, x_0); alpha_t|s^2 = alpha_t^2 / alpha_s^2.
        variance = (then.sigma / now.sigma.clamp(min=1e-8)) ** 2 * (1 - (now.alpha / then.alpha.clamp(min=1e-8)) ** 2)
        variance = variance.clamp(min=0)
        x = then.alpha * x0 + (then.sigma**2 - variance).clamp(min=0).sqrt() * eps + variance.sqrt() * noise()
    return x


def _log_snr(level: NoiseLevel) -> torch.Tensor:
    """log(alpha / sigma) [B, 1, ...]; infinite at pure noise and at data."""
    return (level.alpha / level.sigma).log()


def _extrapolated(x0: torch.Tensor, last: torch.Tensor, last_step: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """x_0 half a step ahead, on the line through the last two predictions; just x_0 where a step is infinite."""
    slope = 0.5 * step / last_step
    return torch.where(last_step.isfinite() & step.isfinite(), x0 + slope * (x0 - last), x0)
