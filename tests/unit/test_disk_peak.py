"""The peak that `make test` prints: what we put on the disk, and how high it rose meanwhile."""

import threading
from pathlib import Path

from tests import run_all
from tests.devcluster import disk


def test_a_file_with_several_links_takes_its_place_once(tmp_path: Path):
    cache, environment = tmp_path / "cache", tmp_path / "environment"
    cache.mkdir()
    environment.mkdir()
    (cache / "package").write_bytes(b"x" * 1_000_000)
    alone = disk.folder_size([cache])
    (environment / "package").hardlink_to(cache / "package")
    assert alone >= 1_000_000
    assert disk.folder_size([cache, environment, tmp_path / "absent"]) < alone + 100_000


def test_folders_that_are_not_there_take_nothing(tmp_path: Path):
    assert disk.folder_size([tmp_path / "absent"]) == 0


def test_a_file_system_counts_once(tmp_path: Path):
    (tmp_path / "a").mkdir()
    assert len(run_all.one_of_each_file_system([tmp_path, tmp_path / "a", tmp_path / "absent" / "b"])) == 1


def test_the_peak_holds_what_was_ours_before_and_what_came_and_went():
    readings = iter([50, 70, 60])
    all_read = threading.Event()

    def used() -> int:
        reading = next(readings, None)
        if reading is None:
            all_read.set()
        return reading or 55

    peak = run_all.DiskPeak(40, used, interval=0.001)
    assert all_read.wait(timeout=30)
    assert peak.end() == 40 + 20
