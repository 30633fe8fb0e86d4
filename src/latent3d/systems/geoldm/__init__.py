"""GeoLDM: diffusion over points with invariant and equivariant parts (Xu et al. 2023). See README.md."""
