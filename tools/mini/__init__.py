"""Generator of resources/mini.parquet, the embedded dataset: `PYTHONPATH=tools python -m mini --out FILE`."""
