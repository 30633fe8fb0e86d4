"""Graphs to z_2d and back: trees of motifs."""
