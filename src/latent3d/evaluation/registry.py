"""Every measured quantity: name, unit, direction, meaning. Tables, figures, report and docs/metrics.md read this."""

from latent3d.evaluation.quantity import Quantity, rate

LEGACY = [
    rate(
        "legacy_atom_stability",
        "EDM protocol (Hoogeboom et al. 2022): atoms whose distance-based bond orders sum to an allowed valence, "
        "pooled over all atoms of all requested samples. Charges and aromaticity are ignored.",
    ),
    rate(
        "legacy_molecule_stability",
        "EDM protocol: samples all of whose atoms are stable, of all requested.",
    ),
    rate(
        "ldm3dg_atom_stability",
        "As legacy_atom_stability, but as LDM-3DG counts (notebook of commit ef99fa5): the mean over samples of the "
        "share of their atoms, where samples with other elements than H, C, N, O, F do not count.",
    ),
    rate(
        "ldm3dg_molecule_stability",
        "As legacy_molecule_stability, but of samples without other elements than H, C, N, O, F, as LDM-3DG counts.",
    ),
    rate(
        "legacy_validity",
        "EDM protocol: samples whose distance-based graph passes RDKit's sanitisation (which may add hydrogens), of "
        "all requested.",
    ),
    rate(
        "legacy_geom_validity",
        "EDM protocol as used on GEOM: every bond counted as single before sanitisation. Even sparse random clouds of "
        "atoms pass it, so it says nothing; shown because papers print it.",
        direction="",
    ),
    rate(
        "legacy_uniqueness",
        "EDM protocol: distinct SMILES of the largest fragment / legacy valid samples.",
    ),
    rate(
        "legacy_novelty",
        "EDM protocol: distinct SMILES absent from the training molecules (perceived by the same rule) / distinct.",
    ),
]

CHEMISTRY = [
    rate(
        "atom_stability",
        "Atoms whose (element, formal charge, number of aromatic bonds, sum of other bond orders) occurs in the "
        "reference dataset, pooled over all atoms of all requested samples. Unknown combinations are unstable.",
    ),
    rate("molecule_stability", "Samples all of whose atoms are stable in that sense, of all requested."),
    rate("graph_validity", "V: samples whose graph, implicit hydrogens forbidden, sanitises, of all requested."),
    rate("valid_connected", "V&C: those that are also one connected molecule, of all requested."),
    rate(
        "strict_validity",
        "Those that are also neutral, closed-shell (no radical, even number of electrons), made of the dataset's "
        "elements, with finite coordinates and no two atoms closer than 0.5 Å, of all requested.",
    ),
    rate("valid_unique", "V&U: distinct canonical SMILES (no stereo) among the strictly valid / requested."),
    rate("valid_unique_novel", "V&U&N: those of V&U that are not among the training molecules / requested."),
    rate(
        "known",
        "Strictly valid samples that are among the dataset's molecules, held-out ones included, of all requested. In a "
        "dataset that enumerates what there is, such as QM9, unknown ones are suspect; in a subset of it, not.",
        "",
    ),
]

POSEBUSTERS_TESTS = {
    "mol_pred_loaded": "the molecule can be read",
    "sanitization": "RDKit sanitises it",
    "inchi_convertible": "an InChI can be made of it",
    "all_atoms_connected": "it is one fragment",
    "no_radicals": "no atom has unpaired electrons (implicit hydrogens forbidden; passes where sanitisation fails)",
    "bond_lengths": "bond lengths within 25 % of the distance-geometry bounds, hydrogens ignored",
    "bond_angles": "angles (1,3 distances) within 25 % of the bounds, hydrogens ignored",
    "internal_steric_clash": "no other distance more than 30 % below its lower bound, hydrogens ignored",
    "aromatic_ring_flatness": "aromatic rings are flat within 0.25 Å",
    "non-aromatic_ring_non-flatness": "non-aromatic six-rings with at most one double bond are not flat",
    "double_bond_flatness": "carbon-carbon double bonds are flat within 0.25 Å",
    "internal_energy": "energy at most 100 times the mean of 50 generated conformers; molecules of one or two heavy "
    "atoms fail, strained cages give NaN",
}
"""The tests of PoseBusters' configuration `mol`, named as its report names them; the last is the slow one."""

QUICK_TESTS = tuple(POSEBUSTERS_TESTS)[:-1]

POSEBUSTERS = [
    rate(
        "posebusters_quick",
        "PoseBusters 0.6.5 (Buttenschoen et al. 2024), configuration `mol` without the energy-ratio test: samples that "
        "pass all 11 tests, of all tested. An exception, NaN or a missing graph is a failure.",
    ),
    rate(
        "posebusters",
        "All 12 tests, on a seeded subset of the samples (its size is in the counts). The energy-ratio test gives NaN "
        "for some real molecules (9 % of QM9), which counts as a failure: compare with the row of real data.",
    ),
    rate("posebusters_energy_undefined", "Share of that subset where the energy-ratio test gave NaN.", direction=""),
    *(rate(f"posebusters_{name}", f"PoseBusters: {text}.") for name, text in POSEBUSTERS_TESTS.items()),
]

DESCRIPTORS = {
    "mw": "molecular weight",
    "logp": "Crippen logP",
    "tpsa": "topological polar surface area (N and O)",
    "qed": "QED drug-likeness",
    "sa": "synthetic accessibility score (Ertl and Schuffenhauer 2009; 1 easy, 10 hard)",
}
_DESCRIPTOR_UNITS = {"mw": "dalton", "tpsa": "square_angstrom"}
_DISTANCES = {
    "total_variation": "half the sum of |p - q| over 98 bins fixed on the training molecules and two overflow bins",
    "hellinger": "Hellinger distance over the same bins",
    "wasserstein": "first Wasserstein distance of raw values, without bins",
    "max_bin": "largest |p - q| over 99 bins between the pooled minimum and maximum: what LDM-3DG prints as total "
    "variation distance",
}


def _descriptor_distances(matched: str, remark: str) -> list[Quantity]:
    return [
        Quantity(
            f"{descriptor}_{distance}{matched}",
            _DESCRIPTOR_UNITS.get(descriptor, "") if distance == "wasserstein" else "",
            "down",
            f"{what[0].upper()}{what[1:]}, strictly valid samples against training molecules: {text}{remark}.",
        )
        for descriptor, what in DESCRIPTORS.items()
        for distance, text in _DISTANCES.items()
    ]


DESCRIPTOR_DISTANCES = [
    *_descriptor_distances("", ""),
    *_descriptor_distances("_matched", "; samples weighted to the training molecules' numbers of heavy atoms"),
    rate(
        "size_matched_coverage",
        "Share of the training molecules whose number of heavy atoms occurs among the samples: what matching can "
        "reach.",
        direction="",
    ),
]

SIMILARITY = [
    Quantity(
        "fcd",
        "",
        "down",
        "Fréchet ChemNet distance (Preuer et al. 2018; package fcd 1.2.2, other implementations differ) of at most "
        "10,000 strictly valid samples to at most 10,000 training molecules, by SMILES without stereo. Depends on both "
        "numbers.",
    ),
    Quantity(
        "fcd_test",
        "",
        "down",
        "The same to at most 10,000 test molecules: copies of training molecules gain nothing here. Of the test "
        "molecules themselves it says nothing (nearly 0); their floor is the row of training "
        "molecules.",
    ),
    Quantity(
        "snn",
        "",
        "",
        "Mean Tanimoto similarity of each strictly valid sample to its nearest of at most 10,000 training molecules "
        "(as MOSES, but 2048 bits). High values also come from copying: compare with test data.",
    ),
    Quantity(
        "fragment_similarity", "", "up", "Cosine similarity of counts of BRICS fragments to the training molecules'."
    ),
    Quantity(
        "scaffold_similarity",
        "",
        "up",
        "Cosine similarity of Murcko scaffold counts to the training molecules'; scaffolds of fewer than two rings are "
        "left out, as in MOSES.",
    ),
    Quantity(
        "internal_diversity", "", "", "1 - mean Tanimoto similarity of all pairs (i, j), i = j included, as in MOSES."
    ),
    rate(
        "ring_systems_unseen",
        "Ring systems (fused, bridged, spiro) of strictly valid samples that no training molecule has, of all that "
        "occur. Grows as the training set shrinks.",
        "down",
    ),
    rate(
        "functional_groups_unseen",
        "Functional groups (Ertl 2017, RDKit's IFG) of strictly valid samples that no training molecule has, of all "
        "that occur. Grows as the training set shrinks.",
        "down",
    ),
]

FCD = ("fcd", "fcd_test")
"""Those of them that a network gives."""

_GEOMETRY_KINDS = {
    "bond_length": ("Bond lengths", "angstrom", "1 Å"),
    "bond_angle": ("Bond angles", "degree", "90°"),
    "torsion": ("Torsions (circular)", "degree", "90°"),
}
GEOMETRY = [
    quantity
    for name, (what, unit, cap) in _GEOMETRY_KINDS.items()
    for quantity in (
        Quantity(
            f"{name}_wasserstein",
            unit,
            "down",
            f"{what} by type (elements and bond orders, aromatic one of them): first Wasserstein distance to "
            f"the training molecules', averaged over their types by frequency. A type that the samples lack costs "
            f"{cap}, and none costs more; types that occur less than 30 times in the training molecules are left out. "
            "All samples with a graph that sanitises count, not the valid alone.",
        ),
        Quantity(
            f"{name}_mmd",
            "",
            "down",
            f"{what} by type: unbiased squared maximum mean discrepancy (can be slightly negative), kernel widths "
            "fixed on the training molecules; a type that the samples lack costs 1.",
        ),
        rate(f"{name}_coverage", f"{what}: share of the training molecules' whose type occurs in the samples."),
    )
]

_RELAXED = "samples that relax with GFN2-xTB and keep their bond graph"
_OF_ALL = "median over all asked for, failures counted as infinite; none unless more than half succeed"


def _energy_distances(matched: str, remark: str) -> list[Quantity]:
    return [
        Quantity(
            f"gfn2_energy_per_atom_{distance}{matched}",
            "kcal_per_mol" if distance == "wasserstein" else "",
            "down",
            "GFN2-xTB energy per atom at the generated geometry, samples that converged against test molecules: "
            f"{text.replace('training', 'test')}{remark}. Mixes composition with quality.",
        )
        for distance, text in _DISTANCES.items()
    ]


ENERGY = [
    rate(
        "gfn2_success",
        "Samples whose GFN2-xTB single point (closed shell) converged, of all requested; an odd number of electrons is "
        "a failure.",
    ),
    *_energy_distances("", ""),
    *_energy_distances("_matched", "; samples weighted to the test molecules' numbers of heavy atoms"),
    rate(
        "gfn2_size_matched_coverage",
        "Share of the test molecules whose number of heavy atoms occurs among the samples with an energy.",
        direction="",
    ),
    Quantity("gfn2_dipole_mean", "debye", "", "GFN2-xTB dipole moment at the generated geometry, mean of those known."),
    Quantity("gfn2_gap_mean", "ev", "", "GFN2-xTB gap (LUMO - HOMO) at the generated geometry, mean of those known."),
    rate("relaxation_coverage", f"Share of {_RELAXED}, of all asked for."),
    rate("relaxation_converged", "Samples whose GFN2-xTB relaxation converged, to whatever graph, of all asked for."),
    Quantity(
        "relaxation_energy_median",
        "kcal_per_mol",
        "down",
        f"GFN2-xTB energy that a sample loses when it relaxes to the nearest minimum, {_OF_ALL} (see "
        "relaxation_coverage). Molecules from DFT have about one kcal/mol.",
    ),
    Quantity("relaxation_energy_mean", "kcal_per_mol", "down", f"The same, mean over {_RELAXED}."),
    Quantity("relaxation_energy_per_atom_median", "kcal_per_mol", "down", f"The same per atom, {_OF_ALL}."),
    *(
        Quantity(f"relaxation_{name}_median", unit, "down", f"{what} by the relaxation, {_OF_ALL}.")
        for name, unit, what in (
            ("rmsd_heavy", "angstrom", "Displacement of heavy atoms (RMSD after alignment)"),
            ("rmsd_all", "angstrom", "Displacement of all atoms (RMSD after alignment)"),
            ("bond_change", "angstrom", "Mean absolute change of a molecule's bond lengths"),
            ("angle_change", "degree", "Mean absolute change of a molecule's bond angles"),
            ("torsion_change", "degree", "Mean absolute change of a molecule's torsions (circular)"),
        )
    ),
    rate("strain_coverage", "Samples with an MMFF94s strain energy (typed and minimised), of all asked for."),
    Quantity(
        "strain_median",
        "kcal_per_mol",
        "down",
        f"MMFF94s energy above the local minimum that the geometry belongs to, {_OF_ALL}. Not zero for real molecules: "
        "compare with the row of test data.",
    ),
    rate(
        "md_mmff_survival",
        "Samples whose bond graph survives 10 ps of Langevin dynamics at 300 K with MMFF94s, from the generated "
        "geometry, of all asked for.",
    ),
    rate("md_gfn2_survival", "The same with GFN2-xTB, in which bonds can break."),
]

AUTOENCODER = [
    rate("exact_match_2d", "Held-out molecules whose graph comes back exactly, of all."),
    Quantity(
        "bond_length_mae",
        "angstrom",
        "down",
        "Mean absolute error of bond lengths, given the true graph. Of molecules that have codes (n_encoded), as all "
        "below.",
    ),
    *(
        Quantity(
            f"rmsd_{atoms}{kind}",
            "angstrom",
            direction,
            f"Kabsch RMSD of {'heavy' if atoms == 'heavy' else 'all'} atoms given the true graph"
            + {"": ", mean.", "_median": ", median.", "_shuffled": ", with the z_3d of another molecule."}[kind],
        )
        for kind, direction in (("", "down"), ("_median", "down"), ("_shuffled", ""))
        for atoms in ("heavy", "all")
    ),
    rate("chirality_recovered", "Stereocentres whose handedness comes back."),
    rate("chirality_recovered_shuffled", "The same with the z_3d of another molecule.", direction=""),
    Quantity("n_stereocentres", meaning="Stereocentres of the molecules that could be encoded.", spread=False),
    Quantity("latent_2d", meaning="Numbers in z_2d, or in the one code of graph and conformer.", spread=False),
    Quantity("latent_3d", meaning="Numbers in z_3d; 0: one code, positions are compared place by place.", spread=False),
    Quantity("rotation_error", "", "down", "Relative change of z_3d under random rotations."),
    Quantity("reflection_change", "", "up", "Relative change of z_3d under reflection: 0 would lose chirality."),
]

FAMILIES = {
    "Legacy EDM protocol": LEGACY,
    "Chemistry": CHEMISTRY,
    "PoseBusters": POSEBUSTERS,
    "Geometry": GEOMETRY,
    "Distributions of scalar properties": DESCRIPTOR_DISTANCES,
    "Similarity and novelty of parts": SIMILARITY,
    "Energies": ENERGY,
    "Autoencoders": AUTOENCODER,
}

QUALITY = [*LEGACY, *CHEMISTRY, *POSEBUSTERS[:3], *GEOMETRY]
"""Columns of table_{dataset}.csv."""
DISTRIBUTION = [*DESCRIPTOR_DISTANCES, *SIMILARITY]
"""Columns of table_distribution_{dataset}.csv."""
