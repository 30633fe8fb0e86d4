"""GraphLDM: GeoLDM with networks that are not equivariant (Xu et al. 2023, table 1). See README.md."""
