"""What is about to be published: every distribution of the repository, as sdist and wheel, in one version.

It is uploaded to an index on loopback as it would be to the real one, and what comes back is what was sent:
`python release.py FOLDER`.
"""

from __future__ import annotations

import hashlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[2]


def expected() -> tuple[str, set[str]]:
    """The version, and the names of all distributions."""
    version = re.search(r'^__version__ = "(.+)"$', (ROOT / "patter_core" / "__init__.py").read_text(), re.MULTILINE)
    assert version is not None
    projects = [ROOT / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")]
    return version[1], {str(tomllib.loads(path.read_text())["project"]["name"]) for path in projects}


def check_names(folder: Path) -> None:
    """Raises SystemExit unless there is an sdist and a wheel of each, and nothing else."""
    version, names = expected()
    wanted = {
        file
        for name in (name.replace("-", "_") for name in names)
        for file in (f"{name}-{version}.tar.gz", f"{name}-{version}-py3-none-any.whl")
    }
    found = {path.name for path in folder.iterdir()}
    if wanted != found:
        sys.exit(f"Not what is to be published.\nMissing: {sorted(wanted - found)}\nToo much: {sorted(found - wanted)}")


def check_upload(folder: Path) -> None:
    """Uploads all files to an index on loopback, and compares what it offers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as kept:
        command = ["pypi-server", "run", "-i", "127.0.0.1", "-p", str(port), "-P", ".", "-a", ".", kept]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            try:
                wait_for(url, server)
                upload = ["twine", "upload", "--disable-progress-bar", "--repository-url", url, "-u", "", "-p", ""]
                subprocess.run([*upload, *map(str, sorted(folder.iterdir()))], check=True)
            finally:
                server.terminate()
        sent = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
        came = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in Path(kept).iterdir()}
        if sent != came:
            sys.exit(f"The index has other files than were sent: {sorted(set(sent.items()) ^ set(came.items()))}")


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    """Returns once the index answers."""
    for _ in range(200):
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            if server.poll() is not None:
                sys.exit("The index on loopback did not start.")
            time.sleep(0.05)
    sys.exit("The index on loopback does not answer.")


if __name__ == "__main__":
    dist = Path(sys.argv[1])
    check_names(dist)
    check_upload(dist)
    sys.stdout.write(f"{len(list(dist.iterdir()))} files of version {expected()[0]} are fit to be published.\n")
