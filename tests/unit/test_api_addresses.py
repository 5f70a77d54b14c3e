"""An address means one place, whoever reads it; what could mean two is refused with words that say what to write."""

import pytest
from pydantic import ValidationError

from longtail_api.addresses import StoreUri
from longtail_api.run_config import StoreAddress


@pytest.mark.parametrize(
    ("text", "bucket", "path", "prefix"),
    [
        ("s3://bucket", "bucket", "", ""),
        ("s3://bucket/", "bucket", "", ""),
        ("s3://my.bucket-1/a/b", "my.bucket-1", "a/b", "a/b/"),
        ("s3://bucket/a/b/", "bucket", "a/b/", "a/b/"),
        ("s3://bucket/a b/é+=@~/scenario=x/*.parquet", "bucket", "a b/é+=@~/scenario=x/*.parquet", None),
        ("s3://bucket/..a/b../.c/...", "bucket", "..a/b../.c/...", None),
        ("s3://403/403", "403", "403", "403/"),
        ("file:///data", "", "/data", None),
        ("file:///my%20data/%C3%A9/100%25/a%3Fb", "", "/my data/é/100%/a?b", None),
    ],
)
def test_an_address_is_a_bucket_and_a_path(text: str, bucket: str, path: str, prefix: str | None):
    uri = StoreUri.parse(text)
    assert (uri.bucket, uri.path) == (bucket, path)
    assert uri.is_s3 == bool(bucket)
    assert prefix is None or uri.prefix == prefix


REFUSED = {
    "no '?'": ["s3://b0b/a?b", "s3://b0b/a#b", "s3://b0b?versionId=1", "s3://b0b/a\\b", "file:///a?b", "file:///a#b"],
    "no control character": ["s3://b0b/a\n", "s3://b0b/a\nb", "s3://b0b/a\x00", "s3://b0b/a ", "file:///a\t"],
    "no '//'": [
        "s3://b0b//a", "s3://b0b/a//b", "s3://b0b/a//", "s3://b0b/..", "s3://b0b/../c", "s3:///a", "s3://b0b/a/./b", "s3://b0b/.",
        "file:////a", "file:///a/../b", "file:///..",
    ],
    "no '%'": ["s3://b0b/a%20b", "s3://b0b/%", "s3://b0b/100%"],
    "two digits": ["file:///a%", "file:///a%2", "file:///a%zz", "file:///a%2Fb", "file:///%2e%2e/b", "file:///a%00b"],
    "name a bucket": ["s3://a..b/c", "s3://a.-b/c", "s3://a-.b", "s3://10.0.0.1/a", "s3://10.0.0.1"],
    "only escapes of UTF-8": ["file:///a%FFb"],
    "be s3://bucket/key": [
        "", "s3://", "s3://ab", "s3://Bucket/a", "s3://my_bucket", "s3://me@bucket/a", "s3://bucket:9000/a",
        "S3://bucket/a", "s3a://bucket/a", "gs://bucket/a", "file://data", "file:///", "file:/a", "/data", " s3://bucket/a",
        "s3://b0b/" + "a" * 1024, f"s3://{'b' * 64}/a", "https://bucket.s3.amazonaws.com/a", "s3://-bucket",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("words", "text"), [(words, text) for words, texts in REFUSED.items() for text in texts])
def test_what_is_no_address_is_refused_by_what_is_wrong_with_it(words: str, text: str):
    with pytest.raises(ValueError, match="must ") as refused:
        StoreUri.parse(text)
    assert words in str(refused.value)


ENDPOINTS = ["http://s3:7070", "https://s3.eu-west-1.amazonaws.com/", "http://127.0.0.1:9", "http://[::1]:9000"]
NO_ENDPOINTS = [
    "s3:7070", "ftp://s3", "http://", "http://s3/path", "http://s3?x=1", "http://s3#x", "http://me:secret@s3",
    "http://s 3", "http://s3:0", "http://s3:65536", "http://s3:", "http://s3 ", "http://s3\n", "HTTP://s3", "http://a..b",
    "http://é.example",
]  # fmt: skip


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_endpoint_is_a_host_and_a_port(endpoint: str):
    assert StoreAddress(uri="s3://bucket", endpoint=endpoint).endpoint == endpoint


@pytest.mark.parametrize("endpoint", NO_ENDPOINTS)
def test_an_endpoint_with_more_is_refused(endpoint: str):
    with pytest.raises(ValidationError, match="no path, no query, no user"):
        StoreAddress(uri="s3://bucket", endpoint=endpoint)
