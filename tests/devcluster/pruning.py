"""Old generations of images: which ones go, and their removal from the registry and from containerd.

A generation is a dependency stage (gigabytes for the trainer) and the images of code on top of it. Those of the
current generation all stay: a change of code costs kilobytes, and another session may be about to install one.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from tests.devcluster import containerd, images, layout
from tests.devcluster.kubernetes import Cluster
from tests.devcluster.processes import Processes


@dataclass(frozen=True)
class Stored:
    """An image under one of its names: `name` is `registry/repository:tag`, or another by which containerd knows it."""

    name: str
    digest: str

    @property
    def repository(self) -> str:
        """`registry/repository`, without tag or digest."""
        return re.sub(r"(@sha256)?:[^:/]*$", "", self.name)


def surplus(stored: Iterable[Stored], generation: Mapping[str, str], used: Collection[str]) -> list[Stored]:
    """What can go, under all its names, of what a store of images holds.

    `generation` maps a repository to the beginning of its current tags; repositories that it does not name are left
    alone. `used` are the names that the cluster's objects refer to. An image that is current or used under any of its
    names stays under all of them: removing one name from a registry removes the manifest that they share.
    """
    everything = list(stored)
    ours = {each.digest for each in everything if each.repository in generation}
    kept = {each.digest for each in everything if each.name in used or _stays(each, generation)}
    return [each for each in everything if each.digest in ours - kept]


def _stays(each: Stored, generation: Mapping[str, str]) -> bool:
    if each.repository in generation:
        return each.name.startswith(f"{each.repository}:{generation[each.repository]}")
    # containerd knows an image by its hash, too: that name says nothing about whose it is.
    return not each.name.startswith("sha256:")


def references(text: str) -> set[str]:
    """The names of images of the local registry in a text, such as the JSON of Kubernetes objects."""
    return set(re.findall(rf"{re.escape(layout.REGISTRY)}/[\w./-]+(?::[\w.-]+)?(?:@sha256:[0-9a-f]{{64}})?", text))


def used(cluster: Cluster) -> set[str]:
    """What workloads name, as an image, in an argument or in a variable, and what pods run that have not ended."""
    kinds = "deployments,statefulsets,daemonsets,cronjobs"
    workloads = cluster.kubectl("get", kinds, "--all-namespaces", "--output=json")
    alive = "--field-selector=status.phase!=Succeeded,status.phase!=Failed"
    pods = cluster.kubectl("get", "pods", "--all-namespaces", alive, "--output=json")
    return references(workloads) | references(pods)


def prune(state: layout.State, processes: Processes, generation: Mapping[str, str]) -> list[str]:
    """Remove the older generations from the registry and from containerd; the names that are gone.

    The registry is stopped while it collects: what is pushed meanwhile would be taken for garbage, and afterwards it
    would still believe in the layers that are gone.
    """
    pushed = [
        Stored(f"{repository}:{tag}", digest)
        for repository in generation
        for tag, digest in images.tags(repository).items()
    ]
    pulled = [Stored(name, digest) for name, digest in containerd.images(state).items()]
    if not surplus(pushed, generation, ()) and not surplus(pulled, generation, ()):
        return []
    in_use = used(Cluster(state.kubeconfig))
    old_pushed = surplus(pushed, generation, in_use)
    old_pulled = surplus(pulled, generation, in_use)
    for repository, digest in sorted({(each.repository, each.digest) for each in old_pushed}):
        images.delete(repository, digest)
    if old_pushed:
        images.collect_garbage(state, processes)
    if old_pulled:
        containerd.remove_images(state, [each.name for each in old_pulled])
    return sorted({each.name for each in (*old_pushed, *old_pulled) if each.repository in generation})
