"""Samplers: from noise to data with any model of x_0, on a uniform grid of times; and back (DDIM inversion)."""

from collections.abc import Callable
from itertools import pairwise

import torch

from latent3d.diffusion.model import Condition, PredictsX0
from latent3d.diffusion.objectives import NoiseLevel

SAMPLERS = ("ddpm", "ddim", "dpmpp")
_MIN = 1e-8  # smallest alpha and sigma that steps divide by


@torch.no_grad()
def sample(
    model: PredictsX0, noise: Callable[[], torch.Tensor], steps: int, sampler: str, condition: Condition = None
) -> torch.Tensor:
    """Draw samples [B, ...].

    `ddim` and `ddpm` are DDIM (Song et al. 2021, eq. 12): eta = 0 is deterministic, eta = 1 is ancestral DDPM sampling
    on a strided grid (eq. 16). `dpmpp` is DPM-Solver++(2M) (Lu et al. 2022, algorithm 2): DDIM with x_0 extrapolated
    from the last two predictions, of second order; its first and last step, from pure noise and to data, are DDIM's.

    Args:
        model: of x_0: a trained denoiser, or a guided one.
        noise: gives standard normal noise [B, ...] at each call: the start, then with ddpm one draw per step.
        steps: predictions of the model.
        sampler: `ddpm`, `ddim` or `dpmpp`.
        condition: what the model takes beside x and t.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler {sampler!r} is not one of {SAMPLERS}")
    x = noise()
    earlier = None  # last prediction of x_0, and step in the logarithm of alpha / sigma that followed it
    for t, s in pairwise(_times(steps, x)):
        now, then = (NoiseLevel.at(model.schedule, time, x.dim()) for time in (t, s))
        x0 = model.predict_x0(x, t, condition)
        if sampler == "ddpm":
            x = _ddpm_step(x, x0, now, then, noise())
            continue
        if sampler == "dpmpp":
            step = _log_snr(then) - _log_snr(now)
            x0, earlier = (x0 if earlier is None else _extrapolated(x0, *earlier, step)), (x0, step)
        x = _ddim_step(x, x0, now, then)
    return x


@torch.no_grad()
def invert(
    model: PredictsX0, x0: torch.Tensor, steps: int, condition: Condition = None, fixed_points: int = 3
) -> torch.Tensor:
    """The noise [B, ...] from which `ddim` in so many steps draws x0 [B, ...] (Song et al. 2021, section 4.3).

    With alpha = cos and sigma = sin of an angle, a step of DDIM by an angle d is x_t = cos(d) x_s - sin(d) v(x_s, s),
    so that x_s is the fixed point of x <- (x_t + sin(d) v(x, s)) / cos(d). One iteration from x_t is plain DDIM
    inversion, from which `sample` gives x0 back with an error that falls with the number of steps. Each further one
    takes a factor of the order of d off that error, down to rounding; what lies beyond the model's limit cannot return.

    Args:
        model: of x_0.
        x0: data, in the model's units and within its limit.
        steps: of the grid of times, as in `sample`.
        condition: what the model takes beside x and t.
        fixed_points: iterations per step, one prediction each.
    """
    x = x0
    for t, s in pairwise(_times(steps, x).flip(0)):
        now, then = (NoiseLevel.at(model.schedule, time, x.dim()) for time in (t, s))
        cosine = now.alpha * then.alpha + now.sigma * then.sigma
        reached = x
        for _ in range(fixed_points):
            back = _ddim_step(reached, model.predict_x0(reached, s, condition), then, now)
            reached = reached + (x - back) / cosine  # the same iteration, written as what a step back misses
        x = reached
    return x


def _times(steps: int, x: torch.Tensor) -> torch.Tensor:
    """[steps + 1, B] times from noise (1) to data (0), for states [B, ...]."""
    return torch.linspace(1, 0, steps + 1, device=x.device)[:, None].expand(-1, len(x))


def _ddim_step(x: torch.Tensor, x0: torch.Tensor, now: NoiseLevel, then: NoiseLevel) -> torch.Tensor:
    """x_s = alpha_s x_0 + sigma_s eps, with the eps that x_t and x_0 imply."""
    return then.alpha * x0 + then.sigma * _noise_in(x, x0, now)


def _ddpm_step(
    x: torch.Tensor, x0: torch.Tensor, now: NoiseLevel, then: NoiseLevel, noise: torch.Tensor
) -> torch.Tensor:
    """A draw from the posterior q(x_s | x_t, x_0), with alpha_t|s^2 = alpha_t^2 / alpha_s^2."""
    ratio = now.alpha / then.alpha.clamp(min=_MIN)
    variance = ((then.sigma / now.sigma.clamp(min=_MIN)) ** 2 * (1 - ratio**2)).clamp(min=0)
    kept = (then.sigma**2 - variance).clamp(min=0).sqrt()
    return then.alpha * x0 + kept * _noise_in(x, x0, now) + variance.sqrt() * noise


def _noise_in(x: torch.Tensor, x0: torch.Tensor, level: NoiseLevel) -> torch.Tensor:
    """The eps of x = alpha x_0 + sigma eps."""
    return (x - level.alpha * x0) / level.sigma.clamp(min=_MIN)


def _log_snr(level: NoiseLevel) -> torch.Tensor:
    """log(alpha / sigma) [B, 1, ...]; infinite at pure noise and at data."""
    return (level.alpha / level.sigma).log()


def _extrapolated(x0: torch.Tensor, last: torch.Tensor, last_step: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """x_0 half a step ahead, on the line through the last two predictions; just x_0 where a step is infinite."""
    slope = 0.5 * step / last_step
    return torch.where(last_step.isfinite() & step.isfinite(), x0 + slope * (x0 - last), x0)
