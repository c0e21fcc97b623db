"""Whether this machine can compile what torch.compile writes. No torch."""

import glob
import os
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path


def require_compiler(device: str | None = None) -> None:
    """Raises ValueError, in one line, where torch.compile cannot compile for a device, "cpu" or "cuda".

    For a CPU it writes C++, for a GPU (by Triton) C; both include Python's header files. Without `device`, a GPU is
    meant where there is one.
    """
    on_gpu = device == "cuda" if device else bool(glob.glob("/dev/nvidia[0-9]*"))
    language, variable = ("C", "CC") if on_gpu else ("C++", "CXX")
    named = shlex.split(os.environ.get(variable, ""))[:1]
    usual = ["gcc", "clang"] if on_gpu else ["clang++" if sys.platform == "darwin" else "g++"]
    installs_its_own = not on_gpu and "TORCH_INDUCTOR_INSTALL_GXX" in os.environ
    if not installs_its_own and not any(map(shutil.which, named or usual)):
        missing = f"{variable}={named[0]} is none" if named else f"there is no {' or '.join(usual)}"
        raise ValueError(
            f"compile=true needs a {language} compiler, and {missing} on this machine; install one, or name it by "
            f"{variable}"
        )
    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.is_file():
        raise ValueError(f"compile=true needs Python's header files, and there is no {header} on this machine")
