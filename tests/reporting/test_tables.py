from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from latent3d.base.errors import UserError
from latent3d.base.layout import Layout
from latent3d.evaluation.measures import Measures
from latent3d.evaluation.measures_file import lines_of, write_measures
from latent3d.evaluation.quantity import Quantity, header
from latent3d.reporting.material import Material
from latent3d.reporting.published import published_values, read_published
from latent3d.reporting.rows import parse_rows
from latent3d.reporting.sets import mean_and_std
from latent3d.reporting.tables import (
    autoencoder_table,
    cost_table,
    distribution_table,
    energy_table,
    quality_table,
    write_table,
)

PUBLISHED = "resources/published/published_results.csv"


def line(table, row, geometry=None):
    chosen = table[table["row"] == row]
    if geometry is not None:
        chosen = chosen[chosen["geometry"] == geometry]
    assert len(chosen) == 1
    return chosen.iloc[0]


def test_quality_is_mean_and_sample_deviation_over_both_kinds_of_seeds(material):
    table = quality_table(material)
    assert list(zip(table["row"], table["geometry"], strict=True)) == [
        ("data_test", "raw"),
        ("data_test", "mmff"),
        ("cloud", "raw"),
        ("ours", "raw"),
        ("ours", "mmff"),
    ]
    ours = line(table, "ours", "raw")
    values = [80, 82, 84, 86]  # percent; training seeds 0, 0, 1, 1
    assert ours["legacy_molecule_stability_pct_up"] == pytest.approx(np.mean(values))
    assert ours["legacy_molecule_stability_pct_up_std"] == pytest.approx(np.std(values, ddof=1))
    assert (ours["n_per_seed"], ours["training_seeds"], ours["sampling_seeds"]) == ("8", "0 1", "0 1")
    assert ours["subset"] == "5 train, 1 valid, 2 test"


def test_a_row_of_failures_stays_with_its_reasons(material):
    cloud = line(quality_table(material), "cloud", "raw")
    assert cloud["strict_validity_pct_up"] == 0
    assert cloud["failures"] == "decode_failed 16"
    energy = line(energy_table(material), "cloud", "raw")
    assert energy["failures"] == "single_point: decode_failed 16; relaxation: decode_failed 16, topology_changed 2"
    assert np.isnan(energy["gfn2_energy_per_atom_wasserstein_kcal_per_mol_down"])


def test_energies_say_how_many_samples_they_are_of(material):
    energy = line(energy_table(material), "ours", "raw")
    assert (energy["n_per_seed"], energy["n_relaxation"], energy["n_strain"]) == ("8", "6", "0")
    assert energy["relaxation_energy_median_kcal_per_mol_down"] == 4.5
    assert np.isnan(energy["strain_median_kcal_per_mol_down"])


def test_a_metric_that_no_list_names_gets_a_column(material, tmp_path):
    (tmp_path / "toy").mkdir()
    data = Path(material.layout.dataset("toy"))
    (tmp_path / "toy" / "dataset.parquet").write_bytes(data.read_bytes())
    measures = Measures(8, values={"strict_validity": 0.5, "fresh_metric": 3.25}, counts={"requested": 8, "drawn": 4})
    identity = {"benchmark": "toy", "row": "cloud", "train_seed": 0, "seed": 0, "variant": "raw"}
    write_measures(tmp_path / "toy" / "cloud" / "train0" / "raw" / "measures.parquet", lines_of(measures, identity), {})
    row = material.rows[1].model_copy(update={"sample_seeds": [0]})
    table = quality_table(Material("toy", [row], Layout(tmp_path)))
    assert table["fresh_metric"].item() == 3.25
    assert table["strict_validity_pct_up"].item() == 50
    assert np.isnan(table["strict_validity_pct_up_std"].item())  # one seed has no deviation
    assert "drawn" not in table  # a number of samples is no metric


def test_a_mean_over_seeds_is_missing_unless_all_have_the_value():
    columns = mean_and_std(Quantity("x", "s", "down"), [1.0, 3.0])
    assert columns == {"x_s_down": 2.0, "x_s_down_std": pytest.approx(np.sqrt(2))}
    for values in ([1.0, None, 3.0], [1.0, np.nan], [None], []):
        assert np.isnan(list(mean_and_std(Quantity("x", "s", "down"), values).values())).all()


def test_published_distances_are_matched_by_protocol(material):
    table = distribution_table(replace(material, published=read_published(PUBLISHED)))
    ours = line(table, "ours", "mmff")
    assert ours["mw_max_bin_down_published"] == pytest.approx(0.065033, rel=1e-4)
    assert ours["mw_max_bin_matched_down_published"] == pytest.approx(0.02245, rel=1e-4)
    assert ours["logp_wasserstein_down_published"] == 0.0705076
    # Its Hellinger distance is over other bins.
    assert "mw_hellinger_down_published" not in table
    columns = list(table.columns)
    assert columns.index("mw_max_bin_down_published") == columns.index("mw_max_bin_down_std") + 1
    assert np.isnan(line(table, "data_test", "raw")["mw_max_bin_down_published"])


def test_published_values_stand_beside_ours_and_come_from_one_source(material):
    table = quality_table(replace(material, published=read_published(PUBLISHED)))
    columns = list(table.columns)
    place = columns.index("ldm3dg_molecule_stability_pct_up")
    assert columns[place + 1 : place + 3] == [
        "ldm3dg_molecule_stability_pct_up_std",
        "ldm3dg_molecule_stability_pct_up_published",
    ]
    assert line(table, "ours", "raw")["ldm3dg_molecule_stability_pct_up_published"] == 0.23
    assert line(table, "ours", "mmff")["ldm3dg_molecule_stability_pct_up_published"] == 86.874
    assert line(table, "ours", "mmff")["published_source"].endswith("(read_from_author_repository)")
    assert np.isnan(line(table, "data_test", "raw")["ldm3dg_molecule_stability_pct_up_published"])


def test_an_unknown_published_system_is_named():
    with pytest.raises(UserError, match="no values of 'ldm3gd'"):
        published_values(read_published(PUBLISHED), "ldm3gd")


def test_published_values_are_of_protocols_that_measure_the_same():
    numbers = read_published(PUBLISHED)
    edm = published_values(numbers, "edm")
    assert edm["published_protocol"] == "edm" and edm["legacy_molecule_stability_pct_up_published"] == 82.0
    # Its stabilities come from explicit bonds: another quantity of the same name.
    with pytest.raises(UserError, match="no values of 'uae3d'"):
        published_values(numbers, "uae3d")
    # LDM-3DG's stabilities have their own denominators, its validity is that of decoded SMILES.
    ldm3dg = published_values(numbers, "ldm3dg")
    assert "ldm3dg_atom_stability_pct_up_published" in ldm3dg
    assert not any(name.startswith("legacy_") for name in ldm3dg)


def test_autoencoder_table_has_autoencoders_only(material):
    table = autoencoder_table(material)
    assert list(table["row"]) == ["ours"]
    assert table["exact_match_2d_pct_up"].item() == pytest.approx(91)
    assert table["exact_match_2d_pct_up_std"].item() == pytest.approx(np.sqrt(2))
    assert table["rmsd_heavy_angstrom_down"].item() == 0.2
    assert table["n_test"].item() == "2"


def test_cost_counts_every_stage_and_divides_by_requested_samples(material):
    table = cost_table(material)
    ours = line(table, "ours")
    assert ours["training_total_s_down"] == pytest.approx((120 + 160) / 2)
    assert ours["training_topology_s_down"] == pytest.approx(70)
    assert ours["parameters"] == 2000
    assert ours["sampling_per_molecule_s_down"] == pytest.approx(0.5)
    assert ours["peak_memory_mb"] == 900
    assert np.isnan(line(table, "cloud")["parameters"])


def test_a_written_table_is_the_same_byte_for_byte_and_reads_back(material, tmp_path):
    for name in ("a.csv", "b.csv"):
        write_table(tmp_path / name, quality_table(material))
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert pd.read_csv(tmp_path / "a.csv")["legacy_molecule_stability_pct_up"].iloc[3] == 83


def test_a_missing_measurement_is_named(material):
    lost = material.rows[0].model_copy(update={"name": "lost"})
    with pytest.raises(UserError, match=r"lost/train0/raw/measures.parquet does not exist"):
        quality_table(replace(material, rows=[lost]))


def test_rows_that_are_no_json_are_refused():
    with pytest.raises(UserError, match="--rows is not a JSON list"):
        parse_rows("[{")


def test_headers_say_unit_and_direction():
    assert header("strict_validity_pct_up") == "strict validity (%,\u00a0↑)"
    assert header("legacy_molecule_stability_pct_up_published") == "legacy molecule stability (%,\u00a0↑), published"
    assert header("bond_length_mae_angstrom_down") == "bond length mae (Å,\u00a0↓)"
    assert header("gfn2_energy_per_atom_wasserstein_kcal_per_mol_down").endswith("(kcal/mol,\u00a0↓)")
