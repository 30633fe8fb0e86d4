"""Draw molecules: nothing is asked of a sample but that it be one. See README.md."""
