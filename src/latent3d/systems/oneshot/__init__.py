"""One-shot autoencoder: a whole molecule from one vector, no cascade. See README.md."""
