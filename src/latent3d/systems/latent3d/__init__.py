"""latent3d: the leak-free cascade of two autoencoders and a latent diffusion model. See README.md."""
