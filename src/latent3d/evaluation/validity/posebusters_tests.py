"""PoseBusters (Buttenschoen et al. 2024), its configuration `mol`, on one molecule at a time.

The library's own functions run in its order with its configuration; its tables of results are left out. Implicit
hydrogens are forbidden (`molecules.rdkit.to_rdkit`), else a molecule that lacks hydrogens passes. Two traits of the
library to know: the geometry tests look at no hydrogen, and a test with nothing to look at passes.
"""

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import rdkit
from posebusters.modules.energy_ratio import get_energies
from posebusters.posebusters import PoseBusters, module_dict
from rdkit import Chem

from latent3d.data.molecules.molecules import Molecule
from latent3d.data.molecules.rdkit import to_rdkit
from latent3d.evaluation.registry import QUICK_TESTS

_REMEMBERED_GRAPHS = 10_000  # of which the library would keep conformer energies (about 2 kB each) without limit


@dataclass(frozen=True)
class _Module:
    """A module of PoseBusters with its parameters, and the tests it answers by the names of its outputs."""

    check: Callable[[Chem.Mol], dict[str, Any]]
    tests: dict[str, str]


def quick_tests(molecule: Molecule) -> dict[str, bool | None]:
    """The tests of `registry.QUICK_TESTS`: all but the energy ratio.

    Args:
        molecule: its bonds must be known. Where a coordinate is not finite, the tests of geometry are undefined.

    Returns:
        By test: True passed, False failed, None undefined (PoseBusters gives NaN or raises), which is no pass either.
        Of a graph that RDKit cannot hold (bond orders, self-bonds, repeats), `mol_pred_loaded` is False, the rest None.
    """
    found = _run(_QUICK, molecule)
    return {test: found[test] for test in QUICK_TESTS}


def energy_test(molecule: Molecule) -> bool | None:
    """The test `internal_energy`: UFF energy at most 100 times the mean of 50 conformers generated from the InChI.

    None if undefined, as in `quick_tests`: for one in eleven molecules of QM9, whose fused small rings RDKit cannot
    embed 50 times, which takes seconds to find out. Molecules of one or two heavy atoms may fail, however sound: their
    mean is about zero. Deterministic (the library's embedding has a fixed seed); one thread.
    """
    if get_energies.cache_info().currsize >= _REMEMBERED_GRAPHS:
        get_energies.cache_clear()
    return _run(_ENERGY, molecule)["internal_energy"]


def _run(modules: list[_Module], molecule: Molecule) -> dict[str, bool | None]:
    tests: dict[str, bool | None] = {test: None for module in modules for test in module.tests.values()}
    try:
        mol = to_rdkit(molecule)
    except (ValueError, RuntimeError, KeyError):
        return tests | ({"mol_pred_loaded": False} if "mol_pred_loaded" in tests else {})
    with _silence():
        for module in modules:
            # PoseBusters lets anything through that RDKit or pandas raise on strange molecules.
            with contextlib.suppress(Exception):
                results = module.check(mol)["results"]
                tests |= {test: _verdict(results[output]) for output, test in module.tests.items()}
    return tests


def _verdict(value: object) -> bool | None:
    """NaN, which bool() would make a pass, is None."""
    return bool(value) if isinstance(value, bool | np.bool_) else None


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """No message of PoseBusters, nor of RDKit, whose log it sends to Python's and switches on again while running.

    RDKit's handler gets its stream back: PoseBusters leaves it on the stderr of the moment, and where that has been
    closed since, fails to move it and takes the error for an InChI that cannot be made.
    """
    stream, disabled = rdkit.log_handler.stream, logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        rdkit.log_handler.setStream(stream)
        logging.disable(disabled)


def _modules() -> Iterator[_Module]:
    """The modules of the configuration that answer a test, in its order, with tests named as in its reports."""
    for module in PoseBusters(config="mol").config["modules"]:
        parameters = module.get("parameters", {})
        if module["function"] == "energy_ratio":
            parameters = parameters | {"num_threads": 1}
        tests = {
            output: module["rename_outputs"][output].lower().replace(" ", "_")
            for output in module.get("chosen_binary_test_output", [])
        }
        if tests:
            yield _Module(partial(module_dict[module["function"]], **parameters), tests)


_ENERGY = [module for module in _modules() if "internal_energy" in module.tests.values()]
_QUICK = [module for module in _modules() if "internal_energy" not in module.tests.values()]
