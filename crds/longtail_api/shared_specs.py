"""Parts of a spec that several kinds have: storage, trainer pods, data addresses, references."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

from longtail_api.base import ApiModel, ColumnName, DataUri, Number, ObjectName


class SecretReference(ApiModel):
    """A Secret in the resource's own namespace."""

    name: ObjectName
    """Name of a Secret with the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."""


class Storage(ApiModel):
    """Where the store is: an S3 bucket and prefix, or a folder."""

    uri: DataUri
    """s3://bucket/prefix, or file:///folder (a volume that every pod mounts alike)."""
    endpoint: Annotated[str, Field(pattern=r"^https?://[^ ]+$", max_length=512)] | None = None
    """URL of an S3 server other than AWS."""
    region: Annotated[str, Field(max_length=63)] = "us-east-1"
    """AWS region, or what the S3 server takes for one."""
    path_style: bool = True
    """Buckets in the path (most servers other than AWS) and not in the host name."""
    ca_bundle: Annotated[str, Field(max_length=65536)] | None = None
    """PEM certificates to trust for the endpoint."""
    credentials_secret_ref: SecretReference | None = None
    """Credentials; without it the pod's own identity is used."""


class DataLocation(ApiModel):
    """Where the three tables are. What is left out comes from the HeavyModel."""

    samples: DataUri | None = None
    """Parquet file or folder of the samples table."""
    profile: DataUri | None = None
    """Parquet file or folder of the profile table."""
    behaviors: Annotated[dict[ColumnName, DataUri], Field(max_length=16)] = {}
    """Parquet file or folder of each behavior table, by the sequence's name."""


ResourceQuantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$", max_length=32)]
ResourceName = Annotated[str, Field(max_length=128)]


class Resources(ApiModel):
    """Container resources, as in a pod."""

    requests: Annotated[dict[ResourceName, ResourceQuantity | Annotated[int, Field(ge=0)]], Field(max_length=16)] = {}
    """What the scheduler reserves."""
    limits: Annotated[dict[ResourceName, ResourceQuantity | Annotated[int, Field(ge=0)]], Field(max_length=16)] = {}
    """What the container may use; nvidia.com/gpu goes here."""


class Scheduling(ApiModel):
    """Where pods may run: passed on into the pod as it is."""

    node_selector: Annotated[
        dict[Annotated[str, Field(max_length=317)], Annotated[str, Field(max_length=63)]], Field(max_length=32)
    ] = {}
    """Labels that a node must have."""
    tolerations: Annotated[list[dict[str, Any]], Field(max_length=32)] = []
    """Tolerations, as in a pod."""
    priority_class_name: ObjectName | None = None
    """PriorityClass of the pods."""


class TrainerOverrides(ApiModel):
    """What a Scenario may set for its own training pods."""

    resources: Resources | None = None
    """Resources of a training container."""
    priority: ObjectName | None = None
    """PriorityClass of the training pods."""


class Trainer(ApiModel):
    """The training pods of a HeavyModel and of its Scenarios."""

    image: Annotated[str, Field(max_length=512, min_length=1)] | None = None
    """Trainer image; by default the one the operator was installed with."""
    resources: Resources = Resources()
    """Resources of a training container."""
    nodes: Annotated[int, Field(ge=1, le=64)] = 1
    """Pods of a multi-node step."""
    max_concurrent_runs: Annotated[int, Field(ge=1, le=1000)] = 4
    """Scenario runs of this HeavyModel that may work at the same time."""
    deadline_seconds: Annotated[int, Field(ge=60, le=604_800)] = 14_400
    """Longest time one step may take, all attempts together."""
    backoff_limit: Annotated[int, Field(ge=0, le=20)] = 3
    """Retries of a step that failed for a reason that may pass."""
    queue_name: ObjectName | None = None
    """Kueue LocalQueue that admits the Jobs."""
    priority: ObjectName | None = None
    """PriorityClass of the training pods."""
    scheduling: Scheduling = Scheduling()
    """Node selector, tolerations, priority class."""
    service_account_name: ObjectName | None = None
    """Service account of the training pods."""


class HeavyModelReference(ApiModel):
    """A HeavyModel, in this namespace or in one that allows it."""

    name: ObjectName
    """Name of the HeavyModel."""
    namespace: ObjectName | None = None
    """Its namespace, where it is another one; that HeavyModel must list this one in allowedNamespaces."""


Milliseconds = Annotated[Decimal, Number(gt="0", le="60000")]
Share = Annotated[Decimal, Number(ge="0", le="1")]
Metric = Literal["auc", "logLoss", "rmse"]
