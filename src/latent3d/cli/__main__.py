"""`python -m latent3d.cli`."""

from latent3d.cli import main

main()
