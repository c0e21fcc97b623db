"""The processor has a name on every system."""

import platform
import re
import sys

import pytest

from trainables import device


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_processor_has_the_model_name_of_linux():
    named = re.search(r"^model name\s*:\s*(.*\S)", device.CPUINFO.read_text(), re.MULTILINE)
    assert device.cpu_name() == (named[1] if named else platform.machine())


@pytest.mark.parametrize("content", [None, "processor: 0\nBogoMIPS: 50.00\n", "model name\t: \n"])
def test_without_a_model_name_the_architecture_is_taken(tmp_path, monkeypatch, content):
    """/proc is missing on other systems; on ARM it names no model."""
    if content is not None:
        (tmp_path / "cpuinfo").write_text(content)
    monkeypatch.setattr(device, "CPUINFO", tmp_path / "cpuinfo")
    assert device.cpu_name() == platform.machine() != ""
