"""Talking to a cluster through kubectl."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.devcluster.binaries import binary
from tests.devcluster.errors import ClusterError

GPU = "nvidia.com/gpu"


@dataclass(frozen=True)
class Cluster:
    """A cluster by its administrator's kubeconfig."""

    kubeconfig: Path

    def kubectl(self, *words: str, text: str | None = None) -> str:
        """What kubectl prints. Raises `ClusterError` with what it says where it fails."""
        result = self._run(words, text)
        if result.returncode:
            raise ClusterError(f"kubectl {' '.join(words)}: {result.stderr.strip()}")
        return result.stdout

    def succeeds(self, *words: str) -> bool:
        return self._run(words, None).returncode == 0

    def apply(self, *paths: Path) -> None:
        """Server-side apply of files and folders."""
        files = [f"--filename={path}" for path in paths]
        self.kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=devcluster", *files)

    def apply_text(self, text: str) -> None:
        self.kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=devcluster", "-f", "-", text=text)

    def get(self, *words: str) -> dict[str, Any]:
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def node_ready(self, name: str) -> bool:
        jsonpath = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
        return self._run(("get", "node", name, "-o", jsonpath), None).stdout == "True"

    def set_gpus(self, node: str, count: int) -> None:
        """Let the node offer `count` GPUs to the scheduler, though no container will find one there; 0 removes them."""
        capacity = {GPU: str(count) if count else None}
        patch = json.dumps({"status": {"capacity": capacity, "allocatable": capacity}})
        self.kubectl("patch", "node", node, "--subresource=status", "--type=merge", f"--patch={patch}")

    def _run(self, words: tuple[str, ...], text: str | None) -> subprocess.CompletedProcess[str]:
        # A machine's proxy must not come between: the cluster's address is this machine's own.
        environment = os.environ | {"KUBECONFIG": str(self.kubeconfig)}
        if "10.222." not in environment.get("NO_PROXY", ""):
            environment["NO_PROXY"] = ",".join(filter(None, [environment.get("NO_PROXY"), "10.222.0.0/16,127.0.0.1"]))
        command = [binary("cluster"), "kubectl", *words]
        return subprocess.run(command, env=environment, input=text, capture_output=True, text=True, check=False)
