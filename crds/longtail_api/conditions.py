"""Conditions: `metav1.Condition` with the types and reasons Longtail uses, as documented constants."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from longtail_api.base import ApiModel

MESSAGE_LIMIT = 1024


class ConditionType(StrEnum):
    """Every condition type. Each kind uses some of them and ends in READY."""

    READY = "Ready"
    """The resource does what its spec asks, now."""
    COMPLETE = "Complete"
    """A search is over and has a result."""
    FAILED = "Failed"
    """What the resource asks for is over, without success; the reason says why."""
    SUSPENDED = "Suspended"
    """`spec.suspend` is set: running work ends, new work does not start."""
    STORE_READY = "StoreReady"
    """The store answers and lets exactly one of two racing writers win."""
    POOL_PREPARED = "PoolPrepared"
    """HeavyModel: the data of the initial scenarios is prepared."""
    INITIALIZED = "Initialized"
    """HeavyModel: the first version of this generation is committed."""
    META_TRAINED = "MetaTrained"
    """HeavyModel: the newest meta-training is over, and the version it came to stands."""
    DATA_PREPARED = "DataPrepared"
    """Scenario: the run's data version exists."""
    ADAPTED = "Adapted"
    """Scenario: the heavy model is fine-tuned and the feedback stored."""
    SEARCHED = "Searched"
    """Scenario: the light architecture of this run is known."""
    TRAINED = "Trained"
    """Scenario: the light model is trained and exported."""
    ROLLED_OUT = "RolledOut"
    """Scenario: the newest light model serves. False while a candidate is checked, or was refused."""


class Reason(StrEnum):
    """Why a condition has its status. CamelCase, stable, for machines."""

    SUCCEEDED = "Succeeded"
    RUNNING = "Running"
    PENDING = "Pending"
    WAITING = "Waiting"
    WAITING_FOR_PLACE = "WaitingForPlace"
    """As many Scenarios of the HeavyModel have a Job as its trainer.maxConcurrentRuns allows."""
    QUEUED = "Queued"
    """A Job waits until its Kueue queue admits it."""
    SUSPENDED = "Suspended"
    RESUMED = "Resumed"
    SERVING = "Serving"
    CONTRIBUTING = "Contributing"
    INVALID_SPEC = "InvalidSpec"
    DATA_INVALID = "DataInvalid"
    MODEL_NOT_FOUND = "HeavyModelNotFound"
    MODEL_NOT_READY = "HeavyModelNotReady"
    NAMESPACE_NOT_ALLOWED = "NamespaceNotAllowed"
    TARGET_NOT_FOUND = "TargetNotFound"
    UNSCHEDULABLE = "Unschedulable"
    IMAGE_NOT_PULLED = "ImageNotPulled"
    REFUSED = "Refused"
    """The API server refuses an object, or the pods of one: the message is its own, or that of whom it asked."""
    NODE_UNREACHABLE = "NodeUnreachable"
    KILLED = "Killed"
    """Somebody outside a container ended it without a word: a node that runs out of memory does."""
    STEP_FAILED = "StepFailed"
    RESULT_UNUSABLE = "ResultUnusable"
    """A step ended well, and what it says of its result lacks something, or means nothing to this operator."""
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    BACKOFF_LIMIT_EXCEEDED = "BackoffLimitExceeded"
    POOL_TOO_SMALL = "PoolTooSmall"
    """Fewer Scenarios than initialization needs have prepared data, and none is at work."""
    BUDGET_UNREACHABLE = "BudgetUnreachable"
    STORE_UNREACHABLE = "StoreUnreachable"
    HOST_NOT_RESOLVED = "HostNotResolved"
    CONNECTION_REFUSED = "ConnectionRefused"
    STORE_FAILED = "StoreFailed"
    STORE_NOT_ATOMIC = "StoreNotAtomic"
    STORE_TAKEN = "StoreTaken"
    STORE_OVERLAPS = "StoreOverlaps"
    """The store can be used, and lies inside another HeavyModel's, or that one inside it."""
    STORE_EMPTIED = "StoreEmptied"
    """The store had versions of this HeavyModel, and has none any more."""
    IDENTITY_NOT_ALLOWED = "IdentityNotAllowed"
    """The store would be opened as the operator itself, which the installation does not allow for this address."""
    CREDENTIALS_MISSING = "CredentialsMissing"
    CREDENTIALS_INVALID = "CredentialsInvalid"
    ACCESS_DENIED = "AccessDenied"
    ACCOUNT_SUSPENDED = "AccountSuspended"
    CLOCK_SKEWED = "ClockSkewed"
    BUCKET_MISSING = "BucketMissing"
    WRONG_REGION = "WrongRegion"
    INVALID_ADDRESS = "InvalidAddress"
    ENDPOINT_REDIRECTS = "EndpointRedirects"
    NOT_S3 = "NotS3"
    CERTIFICATE_NOT_TRUSTED = "CertificateNotTrusted"
    TLS_MISMATCH = "TlsMismatch"
    ENCRYPTION_REFUSED = "EncryptionRefused"
    OBJECT_LOCKED = "ObjectLocked"
    QUOTA_EXCEEDED = "QuotaExceeded"
    REQUEST_REFUSED = "RequestRefused"
    OBJECT_MISSING = "ObjectMissing"
    CORRUPT = "Corrupt"
    SCHEMA_VERSION_UNSUPPORTED = "SchemaVersionUnsupported"
    """An object in the store was written by a Longtail too new, or too old, for this operator."""
    CHECKING = "CheckingCandidate"
    CHECK_FAILED = "CheckFailed"
    SLO_CHECK_FAILED = "SLOCheckFailed"
    REGRESSION = "RegressionFound"
    CHECK_INCONCLUSIVE = "CheckInconclusive"
    PROMOTED = "Promoted"
    WAITING_FOR_UPGRADE = "WaitingForUpgrade"
    """As many Scenarios try a new serving image as may at the same time."""
    UPGRADE_HELD = "UpgradeHeld"
    """A new serving image was refused by another Scenario."""
    DEPLOYMENT_UNAVAILABLE = "DeploymentUnavailable"
    DELETING = "Deleting"
    NEW_GENERATION = "NewGeneration"
    NOT_IMPROVED = "NotImproved"
    NO_DATA = "NoData"
    CANCELLED = "Cancelled"


class Condition(ApiModel):
    """A `metav1.Condition`."""

    type: Annotated[str, Field(max_length=63, pattern=r"^[A-Z][A-Za-z0-9]*$")]
    """CamelCase name of the condition."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, Field(max_length=63, pattern=r"^[A-Z][A-Za-z0-9]*$")]
    """CamelCase reason for the last transition."""
    message: Annotated[str, Field(max_length=MESSAGE_LIMIT)] = ""
    """What a person should know, and do."""
    last_transition_time: datetime
    """When the status last changed."""
    observed_generation: Annotated[int, Field(ge=0)] = 0
    """metadata.generation the condition was set for."""


Conditions = Annotated[
    list[Condition],
    Field(
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
]
"""The conditions of a resource, at most one of each type."""
