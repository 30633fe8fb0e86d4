"""GDM: EDM with a network that is not equivariant (Hoogeboom et al. 2022, section 5). See README.md."""
