"""One verdict on a graph, with and without a charge allowed: reasons and their order."""

from dataclasses import replace

import numpy as np
import pytest

from latent3d.commands.prepare import usable
from latent3d.data.molecules.molecules import Molecule, from_list
from latent3d.data.molecules.verdict import judge_graph
from latent3d.evaluation.validity.strict import strict_validity

ELEMENTS = {1, 6, 7, 8, 9}


def graph(elements, bonds=(), charges=None):
    """A molecule of atoms two angstrom apart, with bonds (first, second, order)."""
    numbers = np.array([{"H": 1, "C": 6, "N": 7, "O": 8}[symbol] for symbol in elements], np.uint8)
    bonds = np.array(bonds, int).reshape(-1, 3)
    return Molecule(
        numbers,
        np.arange(3 * len(numbers), dtype=np.float32).reshape(-1, 3),
        bonds[:, :2].astype(np.int16),
        bonds[:, 2].astype(np.uint8),
        np.array([0] * len(numbers) if charges is None else charges, np.int8),
    )


WATER = [(0, 1, 1), (0, 2, 1)]
HYDRONIUM = [*WATER, (0, 3, 1)]
CASES = {
    "ok": graph("OHH", WATER),
    "sanitise_failed": graph("OHHH", HYDRONIUM),  # oxygen of three bonds
    "radical": graph("OH", [(0, 1, 1)]),
    "fragments": graph("OHHOHH", [*WATER, (3, 4, 1), (3, 5, 1)]),
    "charged": graph("OHHH", HYDRONIUM, [1, 0, 0, 0]),
}
SEVERAL = {
    # A radical of two pieces, charged: the first reason that applies is given.
    "radical": graph("OHOHHH", [(0, 1, 1), (2, 3, 1), (2, 4, 1), (2, 5, 1)], [0, 0, 1, 0, 0, 0]),
    "fragments": graph("OHHOHHH", [*WATER, (3, 4, 1), (3, 5, 1), (3, 6, 1)], [0, 0, 0, 1, 0, 0, 0]),
}


@pytest.mark.parametrize(("status", "molecule"), [*CASES.items(), *SEVERAL.items()])
def test_the_first_reason_is_given_and_the_scorer_says_the_same(status, molecule):
    verdict = judge_graph(molecule)
    assert verdict.status == status
    assert (verdict.mol is None) == (status == "sanitise_failed")
    assert verdict.connected == (status in ("ok", "charged") or molecule is CASES["radical"])
    judged = strict_validity(from_list([molecule]), ELEMENTS)
    assert judged.status == [status]
    assert (judged.sanitises, judged.connected) == ([verdict.mol is not None], [verdict.connected])


@pytest.mark.parametrize(("status", "molecule"), [*CASES.items(), *SEVERAL.items()])
def test_a_dataset_may_have_charges(status, molecule):
    expected = "ok" if status == "charged" else status
    assert judge_graph(molecule, may_be_charged=True).status == expected
    found = usable((molecule, None))
    assert found.status == expected
    assert found.smiles == {"ok": "O", "charged": "[OH3+]"}.get(status)


def test_an_odd_number_of_electrons_is_a_fault_whatever_the_charge():
    # RDKit knows no radicals of scandium.
    odd = replace(CASES["ok"], atomic_numbers=np.array([21, 1, 1], np.uint8))
    assert judge_graph(odd).status == judge_graph(odd, may_be_charged=True).status == "odd_electrons"
    cation = replace(odd, formal_charges=np.array([1, 0, 0], np.int8))
    assert (judge_graph(cation).status, judge_graph(cation, may_be_charged=True).status) == ("charged", "ok")
