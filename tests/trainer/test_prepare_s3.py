"""Tables and store in S3: a real S3 server, started by the test."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from longtail_api.run_config import PrepareConfig, StoreAddress
from longtail_api.store_objects import Manifest
from longtail_store import open_store, read_object
from longtail_trainer.methods import STEPS
from longtail_trainer.running.errors import ConfigInvalid, DataInvalid
from longtail_trainer.running.step import carry_out
from tests.devcluster import local_versitygw
from tests.trainer.contexts import context_of
from tests.trainer.tiny import prepare_config, write_tables

pytestmark = pytest.mark.s3


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_tables(folder)
    return folder


@pytest.fixture(scope="module")
def address(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreAddress]:
    """An S3 server with the tables in the bucket `warehouse`, its credentials in the environment."""
    with pytest.MonkeyPatch.context() as patch, local_versitygw(tmp_path_factory.mktemp("s3")) as endpoint:
        patch.setenv("AWS_ACCESS_KEY_ID", endpoint.access_key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", endpoint.secret_key)
        client = boto3.client(
            "s3", endpoint_url=endpoint.url, region_name="us-east-1", config=Config(s3={"addressing_style": "path"})
        )
        client.create_bucket(Bucket="warehouse")
        client.create_bucket(Bucket="longtail")
        for file in tables.rglob("*.parquet"):
            client.upload_file(str(file), "warehouse", f"shop/{file.relative_to(tables)}")
        client.upload_file(str(tables / "behaviors/visits.parquet"), "warehouse", "shop/folder/visits/part-0.parquet")
        yield StoreAddress(uri="s3://longtail/models", endpoint=endpoint.url)


def in_s3(tables: Path, address: StoreAddress, **changes: Any) -> PrepareConfig:
    values: dict[str, Any] = {
        "store": address,
        "samples": "s3://warehouse/shop/samples.parquet",
        "profile": "s3://warehouse/shop/profile.parquet",
        "behaviors": {"visits": "s3://warehouse/shop/behaviors/visits.parquet"},
        **changes,
    }
    return prepare_config(tables, **values)


def prepare(config: PrepareConfig, workdir: Path) -> Manifest:
    result = carry_out(STEPS["prepare"].load(), config, context_of(config, workdir))
    return read_object(open_store(config.store), result.outputs["manifest"], Manifest)


@pytest.mark.parametrize("visits", ["behaviors/visits.parquet", "folder/visits", "folder/visits/"])
def test_tables_in_s3_give_the_data_version_that_files_give(
    tables: Path, address: StoreAddress, tmp_path: Path, visits: str
):
    name = visits.strip("/").replace("/", "-")
    config = in_s3(
        tables, address, behaviors={"visits": f"s3://warehouse/shop/{visits}"}, data_version=f"{name}-{len(visits)}"
    )
    files = prepare_config(tables, tmp_path / "store", data_version=config.data_version, run=len(visits))
    found = prepare(config.model_copy(update={"run": len(visits)}), tmp_path / "work")
    assert found == prepare(files, tmp_path / "work 2")


def test_a_table_that_s3_does_not_have_is_named(tables: Path, address: StoreAddress, tmp_path: Path):
    samples = "s3://warehouse/shop/none.parquet"
    with pytest.raises(DataInvalid, match="no Parquet file there") as raised:
        prepare(in_s3(tables, address, samples=samples, run=90, data_version="none"), tmp_path / "work")
    assert samples in raised.value.message


def test_a_bucket_that_s3_does_not_have_is_named(tables: Path, address: StoreAddress, tmp_path: Path):
    samples = "s3://nowhere/samples.parquet"
    with pytest.raises(DataInvalid, match="there is no bucket 'nowhere'") as raised:
        prepare(in_s3(tables, address, samples=samples, run=92, data_version="none"), tmp_path / "work")
    assert samples in raised.value.message
    assert raised.value.reason == "BucketMissing"


def test_wrong_credentials_are_the_users_to_put_right(
    tables: Path, address: StoreAddress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = in_s3(tables, address, run=91, data_version="denied", store=StoreAddress(uri=tmp_path.as_uri()))
    config = config.model_copy(update={"data_store": address})
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(ConfigInvalid, match="check the credentials") as raised:
        prepare(config, tmp_path / "work")
    assert raised.value.reason == "AccessDenied"
