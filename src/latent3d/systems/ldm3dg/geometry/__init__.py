"""Conformers to z_3d, and graphs with z_3d to conformers."""
