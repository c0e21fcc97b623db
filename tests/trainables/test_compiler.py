"""compile=true without a compiler is refused before anything is trained."""

import os

import pytest

from tests.conftest import run
from trainables import airbench, scattering
from trainables.airbench.config import AirbenchConfig
from trainables.compiler import require_compiler
from trainables.data.catalog import published_sizes
from trainables.scattering.config import ScatteringConfig


@pytest.fixture
def no_compiler(tmp_path, monkeypatch):
    """A machine without compilers; returns a folder of programs, empty at first."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    for name in ("CC", "CXX", "TORCH_INDUCTOR_INSTALL_GXX"):
        monkeypatch.delenv(name, raising=False)
    return programs


def add(folder, name: str) -> None:
    (folder / name).touch()
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("device", "language", "variable", "name"), [("cpu", "C++", "CXX", "g++"), ("cuda", "C", "CC", "gcc")]
)
def test_a_compiler_is_found_by_its_name_or_its_variable(no_compiler, monkeypatch, device, language, variable, name):
    with pytest.raises(
        ValueError, match=rf"needs a {language.replace('+', '.')} compiler, and there is no .*{variable}$"
    ):
        require_compiler(device)
    monkeypatch.setenv(variable, "mine -O2")
    with pytest.raises(ValueError, match=f"{variable}=mine is none on this machine"):
        require_compiler(device)
    add(no_compiler, "mine")
    require_compiler(device)
    monkeypatch.delenv(variable)
    add(no_compiler, name)
    require_compiler(device)


def test_pythons_header_files_are_needed_as_well(no_compiler, tmp_path, monkeypatch):
    add(no_compiler, "g++")
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path / name))
    with pytest.raises(ValueError, match=r"needs Python's header files, and there is no .*/include/Python\.h"):
        require_compiler("cpu")


@pytest.mark.parametrize(
    ("check", "config"),
    [
        (scattering.check, ScatteringConfig(dataset="digits", compile=True)),
        (airbench.check, AirbenchConfig(dataset="digits", compile=True)),
    ],
)
def test_a_run_that_cannot_be_compiled_is_refused_here_and_planned_for_elsewhere(no_compiler, check, config):
    with pytest.raises(ValueError, match="compile=true needs a C"):
        check(config, 1)
    with published_sizes():
        assert check(config, 1)


def test_a_head_alone_is_not_compiled(no_compiler):
    assert scattering.check(ScatteringConfig(dataset="digits", compile=True, epochs=0, lr_epochs=1), 1)


def test_a_worker_without_a_compiler_fails_before_the_head_is_trained(no_compiler, tmp_path):
    config = ScatteringConfig(dataset="digits", compile=True, save_dir=str(tmp_path / "run"))
    with pytest.raises(ValueError, match="compile=true needs a C"):
        next(scattering.train(config))


def test_a_sweep_without_a_compiler_is_refused_before_it_writes_anything(tmp_path):
    flags = ("--group", "depth", "--only", "C", "--set", "compile=true", "--results", tmp_path / "results")
    refused = run("run_sweep.py", *flags, PATH=str(tmp_path), CXX="", CC="")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error: C: compile=true needs a C")
    assert refused.stderr.count("\n") == 1
    assert os.listdir(tmp_path) == []
    assert run("run_sweep.py", *flags, "--print-commands", PATH=str(tmp_path), CXX="", CC="").returncode == 0
