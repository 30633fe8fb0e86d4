"""LDM-3DG as released (You et al., ICLR 2024): a cascade whose geometric decoder reads coordinates. See README.md."""
