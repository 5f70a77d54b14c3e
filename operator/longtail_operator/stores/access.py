"""By what right the operator opens a store: with the HeavyModel's own keys, or, where that is allowed, as itself."""

import binascii
from base64 import b64decode
from collections.abc import Iterable, Mapping

from longtail_api.addresses import StoreUri
from longtail_api.shared_specs import Storage
from longtail_operator.kubernetes.kube import KubeApi, KubeError
from longtail_operator.kubernetes.objects import Key, section
from longtail_store import Credentials, CredentialsInvalid, CredentialsMissing, StoreRefused, credentials_of
from longtail_store.credentials import NAMES


class IdentityNotAllowed(StoreRefused):
    """Opening the store takes the operator's own identity, or its own disk, and the installation does not allow that.

    Else whoever may create a HeavyModel could have the operator write, and remove, wherever the operator may.
    """


def is_allowed(uri: str, allowed: Iterable[str]) -> bool:
    """Is the place one of those `allowed`, or below one of them?"""
    place = StoreUri.parse(uri)
    over = (StoreUri.parse(one) for one in allowed)
    return any(place.bucket == one.bucket and place.prefix.startswith(one.prefix) for one in over)


async def credentials_for(
    api: KubeApi, heavy_model: Key, storage: Storage, allowed: Iterable[str]
) -> Credentials | None:
    """The keys that the store is opened with; None: as the operator itself.

    Raises `IdentityNotAllowed`, `CredentialsMissing`, `CredentialsInvalid`, `KubeError`.
    """
    reference = storage.credentials_secret_ref
    if reference is None and not is_allowed(storage.uri, allowed):
        own_disk = storage.uri.startswith("file://")
        remedy = (
            "if it is a volume that the operator mounts too"
            if own_disk
            else "or give storage.credentialsSecretRef the Secret with keys for it"
        )
        lent = "a folder of the operator's own" if own_disk else "without credentialsSecretRef"
        raise IdentityNotAllowed(
            f"{storage.uri} is {lent}, which this installation does not allow; have it added to the operator's "
            f"allowedStores (a value of the chart), {remedy}"
        )
    if reference is None:
        return None
    where = f"Secret {reference.name} in namespace {heavy_model.namespace}"
    try:
        secret = await api.get(Key("Secret", heavy_model.namespace, reference.name))
    except KubeError as error:
        if error.status != 403:
            raise
        raise CredentialsMissing(f"{where} may not be read: {error.message}; let the operator read it") from error
    if secret is None:
        raise CredentialsMissing(f"there is no {where}; create it")
    return credentials_of(_entries(section(secret, "data"), where), where)


def _entries(data: Mapping[str, object], where: str) -> dict[str, bytes]:
    """The entries that count, decoded; whatever bytes the others hold, they are somebody else's."""
    found: dict[str, bytes] = {}
    for name in NAMES:
        if name in data:
            try:
                found[name] = b64decode(str(data[name]), validate=True)
            except (binascii.Error, ValueError):
                raise CredentialsInvalid(f"{where}: {name} is no base64; write the Secret anew") from None
    return found
