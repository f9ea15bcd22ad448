"""A place for data folders that ordinary users may enter too."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that everybody may pass through; pytest's own are for their owner alone."""
    folder = Path(tempfile.mkdtemp(prefix="tenfold-entry-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
