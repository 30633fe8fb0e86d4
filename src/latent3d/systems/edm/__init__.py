"""EDM: E(3)-equivariant diffusion in atom space (Hoogeboom et al. 2022). See README.md."""
