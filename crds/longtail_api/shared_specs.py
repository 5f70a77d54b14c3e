"""Parts of a spec that several kinds have: storage, trainer pods, data addresses, references."""

from decimal import Decimal
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from longtail_api.addresses import ENDPOINT, REGION
from longtail_api.base import ApiModel, ColumnName, DataUri, NamespaceName, ObjectName
from longtail_api.pod_template import PodTemplate
from longtail_api.rules import Rule
from longtail_api.values import QUANTITY_PATTERN, Number, Text, quantity_value


class SecretReference(ApiModel):
    """A Secret in the resource's own namespace."""

    name: ObjectName
    """Name of a Secret with the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."""


class Storage(ApiModel):
    """Where the store is: an S3 bucket and prefix, or a folder."""

    rules: ClassVar = tuple(
        Rule(
            f"!has(self.{field}) || self.uri.startsWith('s3://')",
            "is for an s3:// uri only; remove it, or give an s3:// uri",
            field,
        )
        for field in ("endpoint", "caBundle", "credentialsSecretRef")
    )

    uri: DataUri
    """s3://bucket/prefix, or file:///folder: a volume that podTemplate mounts there, or above, in every pod."""
    endpoint: Annotated[str, ENDPOINT] | None = None
    """URL of an S3 server other than AWS."""
    region: Annotated[str, REGION] = "us-east-1"
    """AWS region, or what the S3 server takes for one."""
    path_style: bool = True
    """Buckets in the path (most servers other than AWS) and not in the host name."""
    ca_bundle: (
        Annotated[
            str,
            Text(
                r"^(?s:\s*-----BEGIN CERTIFICATE-----.*)$", "PEM: -----BEGIN CERTIFICATE----- and what follows", 65536
            ),
        ]
        | None
    ) = None
    """PEM certificates to trust for the endpoint."""
    credentials_secret_ref: SecretReference | None = None
    """Credentials; without it the pod's own identity is used."""

    @model_validator(mode="after")
    def _s3_settings_have_an_s3_uri(self) -> Self:
        for field in ("endpoint", "ca_bundle", "credentials_secret_ref"):
            if getattr(self, field) is not None and not self.uri.startswith("s3://"):
                raise ValueError(f"{field} is for an s3:// uri only; remove it, or give an s3:// uri")
        return self


class DataLocation(ApiModel):
    """Where the three tables are. What is left out comes from the HeavyModel."""

    samples: DataUri | None = None
    """Parquet file or folder of the samples table."""
    profile: DataUri | None = None
    """Parquet file or folder of the profile table."""
    behaviors: Annotated[dict[ColumnName, DataUri], Field(max_length=16)] = {}
    """Parquet file or folder of each behavior table, by the sequence's name."""


ResourceQuantity = Annotated[
    str,
    Text(QUANTITY_PATTERN, "a quantity such as 500m, 2 or 4Gi; write a fraction in quotes", 32, integers=True),
]
ResourceName = Annotated[str, Field(max_length=128)]
GPU = "nvidia.com/gpu"


class Resources(ApiModel):
    """Container resources, as in a pod."""

    rules: ClassVar = (
        Rule(
            "self.requests.all(name, !(name in self.limits) || !isQuantity(string(self.requests[name])) "
            "|| !isQuantity(string(self.limits[name])) "
            "|| !quantity(string(self.requests[name])).isGreaterThan(quantity(string(self.limits[name]))))",
            "a request is above its limit; raise the limit or lower the request",
            "requests",
        ),
        Rule(
            f"!('{GPU}' in self.limits) || string(self.limits['{GPU}']).matches('^[0-9]+$')",
            f"{GPU} must be a whole number of GPUs",
            "limits",
        ),
        Rule(
            f"!('{GPU}' in self.requests) "
            f"|| ('{GPU}' in self.limits && string(self.limits['{GPU}']) == string(self.requests['{GPU}']))",
            f"{GPU} belongs under limits; remove it here, or repeat the limit exactly",
            "requests",
        ),
    )

    requests: Annotated[dict[ResourceName, ResourceQuantity], Field(max_length=16)] = {}
    """What the scheduler reserves; a fraction is written in quotes, or as 500m."""
    limits: Annotated[dict[ResourceName, ResourceQuantity], Field(max_length=16)] = {}
    """What the container may use; nvidia.com/gpu goes here. A fraction is written in quotes, or as 500m."""

    @model_validator(mode="after")
    def _requests_fit_limits(self) -> Self:
        for name, request in self.requests.items():
            if name in self.limits and quantity_value(request) > quantity_value(self.limits[name]):
                raise ValueError(f"the request of {name} is above its limit; raise the limit or lower the request")
        if GPU in self.limits and not self.limits[GPU].isdecimal():
            raise ValueError(f"{GPU} must be a whole number of GPUs")
        if GPU in self.requests and self.requests[GPU] != self.limits.get(GPU):
            raise ValueError(f"{GPU} belongs under limits; remove it from requests, or repeat the limit exactly")
        return self


Device = Literal["Auto", "Cpu", "Cuda"]
"""What models are trained on."""


class TrainerOverrides(ApiModel):
    """What a Scenario may set for its own training pods."""

    resources: Resources | None = None
    """Resources of a training container."""
    pod_template: PodTemplate = PodTemplate()
    """What is added to the training pods. Of labels, annotations and nodeSelector each entry counts beside the
    HeavyModel's; everything else that is given here stands in place of what the HeavyModel says."""


class Trainer(ApiModel):
    """The training pods of a HeavyModel and of its Scenarios."""

    image: Annotated[str, Field(max_length=512, min_length=1)] | None = None
    """Trainer image; by default the one the operator was installed with."""
    resources: Resources = Resources()
    """Resources of a training container."""
    device: Device = "Auto"
    """What models are trained on: a GPU where the container has one (Auto), the CPU, or a GPU and nothing else (Cuda).
    Latency is measured on the CPU, where light models are served."""
    nodes: Annotated[int, Field(ge=1, le=64)] = 1
    """Pods of a step that trains on several nodes, where the method has such steps; each has one process a GPU."""
    max_concurrent_runs: Annotated[int, Field(ge=1, le=1000)] = 4
    """Scenario runs of this HeavyModel that may work at the same time."""
    deadline_seconds: Annotated[int, Field(ge=60, le=604_800)] = 14_400
    """Longest time one step may take, all attempts together."""
    backoff_limit: Annotated[int, Field(ge=0, le=20)] = 3
    """Retries of a step that failed for a reason that may pass."""
    queue_name: ObjectName | None = None
    """Kueue LocalQueue that admits the Jobs: they are made suspended, and run when it admits them."""
    pod_template: PodTemplate = PodTemplate()
    """What is added to the training pods, those of Scenarios included; there its names are of the Scenario's
    namespace."""


class HeavyModelReference(ApiModel):
    """A HeavyModel, in this namespace or in one that allows it."""

    name: ObjectName
    """Name of the HeavyModel."""
    namespace: NamespaceName | None = None
    """Its namespace, where it is another one; that HeavyModel must list this one in allowedNamespaces."""


Milliseconds = Annotated[Decimal, Number(gt="0", le="60000", unit="milliseconds")]
Share = Annotated[Decimal, Number(ge="0", le="1")]
Metric = Literal["auc", "logLoss", "rmse"]
