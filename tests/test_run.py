"""What run.json says of the code."""

import shutil
import subprocess

import pytest

from latent3d.base.files import read_json
from latent3d.base.run import commit, write_run

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository with one committed file."""
    monkeypatch.delenv("LATENT3D_COMMIT", raising=False)
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "code.py").write_text("1")
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "code.py"], [*identity, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", folder, *command], check=True)
    return folder


def test_commit_is_that_of_the_checkout_and_says_if_files_differ(checkout):
    head = subprocess.run(["git", "-C", checkout, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    assert commit(checkout) == head[:12]
    (checkout / "code.py").write_text("2")
    assert commit(checkout) == f"{head[:12]}-dirty"


def test_an_image_says_its_commit_and_elsewhere_it_is_not_known(checkout, tmp_path, monkeypatch):
    assert commit(tmp_path) is None
    monkeypatch.setenv("LATENT3D_COMMIT", "v1-3-gabc")
    assert commit(checkout) == "v1-3-gabc"
    write_run(tmp_path / "run.json", 1.0)
    assert read_json(tmp_path / "run.json")["commit"] == "v1-3-gabc"
    # Built without the argument.
    monkeypatch.setenv("LATENT3D_COMMIT", "")
    assert commit(checkout) is None


def test_a_repository_that_git_refuses_is_not_known(tmp_path, monkeypatch):
    monkeypatch.delenv("LATENT3D_COMMIT", raising=False)
    (tmp_path / ".git").write_text("gitdir: nowhere")
    assert commit(tmp_path) is None
