"""A store that an earlier Longtail has written, unpacked for a test. See written_before/README.md."""

import tarfile
from pathlib import Path

from longtail_api.run_config import StoreAddress

ARCHIVES = Path(__file__).parent / "written_before"
NORTH, SOUTH = "shop.north.0000000a", "shop.south.0000000b"


def unpacked(folder: Path, name: str = "store") -> StoreAddress:
    """Where the store of this name is, after it was unpacked into the folder."""
    with tarfile.open(ARCHIVES / f"{name}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return StoreAddress(uri=folder.as_uri())
