"""Keeps a results folder open to a group of users: `chgrp GROUP results; chmod g+ws results` shares it.

What is made in a setgid folder gets the folder's group and the group's rights there, whatever the umask. Trainables do
the same with their files (`trainables.files`). Nothing that belongs to another user is changed.
"""

import contextlib
import os
import stat
from pathlib import Path


def open_to_group(path: Path, folder: Path) -> None:
    """Give a file or folder of one's own the group, and the group's rights, of the setgid folder that it lies in."""
    around, its = folder.stat(), path.stat()
    if not is_shared(folder) or its.st_uid != os.geteuid():
        return
    is_folder = stat.S_ISDIR(its.st_mode)
    rights = around.st_mode & stat.S_IRWXG & ~(0 if is_folder else stat.S_IXGRP) | (stat.S_ISGID if is_folder else 0)
    with contextlib.suppress(OSError):  # a file system that has no modes, or a group that one does not belong to
        if its.st_gid != around.st_gid:
            os.chown(path, -1, around.st_gid)
        if its.st_mode & rights != rights:
            path.chmod(stat.S_IMODE(its.st_mode) | rights)


def is_shared(folder: Path) -> bool:
    """Whether a group shares a folder."""
    return bool(folder.stat().st_mode & stat.S_ISGID)


def open_all_to_group(folder: Path) -> None:
    """Do the same for all that lies directly in a folder."""
    for entry in os.scandir(folder):
        with contextlib.suppress(FileNotFoundError):  # another process has removed it meanwhile
            if not entry.is_symlink():
                open_to_group(Path(entry.path), folder)
