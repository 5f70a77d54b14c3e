"""podTemplate: what a person may say of the pods that Longtail makes, for training, for the check and for serving."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from longtail_api.addresses import StoreUri
from longtail_api.base import ApiModel, ObjectName
from longtail_api.rules import Rule
from longtail_api.values import Opaque, Text

LabelKey = Annotated[str, Field(max_length=317)]
LabelValue = Annotated[str, Field(max_length=63)]
OWN_VOLUMES = ("tmp", "config")
OWN_FOLDERS = ("/tmp", "/etc/longtail")


class Toleration(ApiModel):
    """A taint that pods tolerate, as in a pod."""

    key: Annotated[str, Field(max_length=317)] | None = None
    """Key of the taint; none matches every taint, with operator Exists."""
    operator: Literal["Equal", "Exists"] = "Equal"
    """How key and value are compared."""
    value: Annotated[str, Field(max_length=63)] | None = None
    """Value of the taint, for operator Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; none matches every effect."""
    toleration_seconds: Annotated[int, Field(ge=0)] | None = None
    """How long a NoExecute taint is tolerated; none is for ever."""


class PullSecret(ApiModel):
    """A Secret in the pods' namespace that holds a registry's credentials."""

    name: ObjectName
    """Name of the Secret."""


class Volume(ApiModel):
    """A volume of a pod: its name, and one source as Kubernetes has it, such as `persistentVolumeClaim`."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[
        str, Text(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "a volume's name: lower-case letters, digits and '-'", 63)
    ]
    """Name, which volumeMounts use."""


class VolumeMount(ApiModel):
    """Where a volume lies in the container."""

    name: Annotated[str, Field(max_length=63)]
    """Name of the volume."""
    mount_path: Annotated[str, Text(r"^/[^:]+$", "an absolute path without ':'", 512)]
    """Folder, or file, that it appears as."""
    sub_path: Annotated[str, Field(max_length=512)] | None = None
    """Part of the volume that is mounted."""
    read_only: bool = False
    """Whether nothing can be written to it."""


OWN_NAMES = ("longtail.dev/", "batch.kubernetes.io/", "app.kubernetes.io/managed-by")
"""How the names begin that the operator, or the controller of Jobs, knows a pod by."""
RESERVED_NAME = (
    "has a name that the operator knows its pods by (longtail.dev/, batch.kubernetes.io/, "
    "app.kubernetes.io/managed-by); take another one"
)
RESERVED_VOLUME = "has a volume tmp or config, which are the operator's own; take another name"
RESERVED_FOLDER = (
    "mounts something at /tmp or /etc/longtail, which are the operator's own; take a folder beside or below"
)


MOUNT = "give it a volume that all pods share, and a volumeMount at this folder or above, or give an s3:// address"
"""What to do where pods are to have a folder that no volume is mounted at."""


def _reserved(field: str) -> Rule:
    own = " || ".join(f"name.startsWith('{start}')" for start in OWN_NAMES)
    return Rule(f"self.{field}.all(name, !({own}))", RESERVED_NAME, field)


class PodTemplate(ApiModel):
    """What is added to pods, as in a pod's own spec."""

    rules: ClassVar = (
        _reserved("labels"),
        _reserved("annotations"),
        Rule(f"self.volumes.all(one, !(one.name in {list(OWN_VOLUMES)}))", RESERVED_VOLUME, "volumes"),
        Rule(f"self.volumeMounts.all(one, !(one.mountPath in {list(OWN_FOLDERS)}))", RESERVED_FOLDER, "volumeMounts"),
    )

    labels: Annotated[dict[LabelKey, LabelValue], Field(max_length=32)] = {}
    """Labels of the pods."""
    annotations: Annotated[dict[LabelKey, Annotated[str, Field(max_length=4096)]], Field(max_length=32)] = {}
    """Annotations of the pods."""
    node_selector: Annotated[dict[LabelKey, LabelValue], Field(max_length=32)] = {}
    """Labels that a node must have."""
    tolerations: Annotated[list[Toleration], Field(max_length=32)] = []
    """Taints that the pods tolerate."""
    affinity: Annotated[dict[str, Any], Opaque(3)] = {}
    """Affinity, as in a pod: nodeAffinity, podAffinity, podAntiAffinity."""
    topology_spread_constraints: Annotated[list[Annotated[dict[str, Any], Opaque(8)]], Field(max_length=8)] = []
    """How the pods are spread, as in a pod."""
    priority_class_name: ObjectName | None = None
    """PriorityClass of the pods."""
    service_account_name: ObjectName | None = None
    """Service account of the pods; its identity opens the store where there is no Secret."""
    image_pull_secrets: Annotated[list[PullSecret], Field(max_length=8)] = []
    """Credentials of registries, for the images of the pods."""
    volumes: Annotated[list[Volume], Field(max_length=16)] = []
    """Volumes beside the operator's own."""
    volume_mounts: Annotated[list[VolumeMount], Field(max_length=16)] = []
    """Where they lie in the container that does the work."""
    security_context: Annotated[dict[str, Any], Opaque(16)] | None = None
    """Security context of the pod. Given, even as {}, it stands in place of the user and group 65532; what it does not
    say of runAsNonRoot and seccompProfile stays as the restricted Pod Security Standard asks. {} leaves user and group
    to the namespace, as OpenShift's restricted-v2 wants it."""

    @model_validator(mode="after")
    def _nothing_of_the_operators_own(self) -> Self:
        for field in ("labels", "annotations"):
            if any(name.startswith(OWN_NAMES) for name in getattr(self, field)):
                raise ValueError(f"{field} {RESERVED_NAME}")
        if any(volume.name in OWN_VOLUMES for volume in self.volumes):
            raise ValueError(f"volumes {RESERVED_VOLUME}")
        if any(mount.mount_path in OWN_FOLDERS for mount in self.volume_mounts):
            raise ValueError(f"volumeMounts {RESERVED_FOLDER}")
        return self

    def reaches(self, uri: str) -> bool:
        """Whether the pods can have what is at `uri`: in a bucket, or where a volume is mounted, or below."""
        if uri.startswith("s3://"):
            return True
        folder = StoreUri.parse(uri).prefix
        return any(folder.startswith(f"{mount.mount_path.rstrip('/')}/") for mount in self.volume_mounts)

    def under(self, other: "PodTemplate | None") -> "PodTemplate":
        """This one where `other` does not say otherwise. Of labels, annotations and nodeSelector each entry counts by
        itself; everything else that `other` gives stands in place of what is here."""
        if other is None:
            return self
        given = {name: value for name in type(self).model_fields if (value := getattr(other, name)) not in (None, [])}
        for name in ("labels", "annotations", "node_selector"):
            given[name] = getattr(self, name) | getattr(other, name)
        given = {name: value for name, value in given.items() if name != "affinity" or value}
        return self.model_copy(update=given)
