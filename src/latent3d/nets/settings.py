"""Settings of networks that several systems have."""

from typing import Literal

from pydantic import ValidationInfo, model_validator

from latent3d.base.settings import Count, Number, Settings, refused, stage_of


class Attention(Settings):
    """Of a network whose layers attend with several heads."""

    width: Count
    heads: Count

    def attends(self) -> bool:
        """Whether there is such a layer."""
        return True

    @model_validator(mode="after")
    def _heads_divide_the_width(self, info: ValidationInfo) -> "Attention":
        if self.attends() and self.width % self.heads:
            stage = stage_of(info)
            raise refused(f"{stage}width ({self.width}) must be a multiple of {stage}heads ({self.heads})")
        return self


class SelfSupervised(Settings):
    """A term of the loss on latents and atoms (self_supervision.py)."""

    self_supervision: Literal["none", "global_local", "two_view", "masked_attributes"] = "none"
    self_supervision_weight: Number = 0.001
