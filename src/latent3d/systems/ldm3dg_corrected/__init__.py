"""LDM-3DG's networks and budget without the defects of the released recipe: other defaults, nothing else."""
