"""A store that an earlier Longtail has written, unpacked for a test. See written_before/README.md."""

import tarfile
from pathlib import Path

from longtail_api.run_config import StoreAddress

ARCHIVE = Path(__file__).parent / "written_before" / "store.tar.gz"
NORTH, SOUTH = "shop.north.0000000a", "shop.south.0000000b"


def unpacked(folder: Path) -> StoreAddress:
    """Where the store is, after it was unpacked into the folder."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return StoreAddress(uri=folder.as_uri())
