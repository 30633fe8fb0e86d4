"""Binding pockets: the atoms of a protein around a ligand."""

import numpy as np

from latent3d.data.records import Block, Field, Records, Schema

ATOMS, RESIDUES = Block("atoms"), Block("residues")


class Pockets(Records):
    """M pockets. Columns: `id`, `ligand_id` (of the reference ligand, among the data set's molecules), `split`, ...

    The centre is that of the box in which molecules are made and docked. Residues are named and numbered as in the PDB
    file, insertion code included (60D).
    """

    schema = Schema(
        "pockets",
        (
            Field("atomic_numbers", np.uint8, ATOMS),
            Field("positions", np.float32, ATOMS, (3,), "angstrom"),
            Field("atom_names", "S4", ATOMS),
            Field("atom_residues", np.int16, ATOMS, points_to=RESIDUES),
            Field("residue_names", "S5", RESIDUES),
            Field("residue_numbers", "S8", RESIDUES),
            Field("chains", "S4", RESIDUES),
            Field("centre", np.float32, shape=(3,), unit="angstrom"),
        ),
    )
