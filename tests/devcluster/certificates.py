"""A cluster's certificate authority, what it signs, and the kubeconfigs made of that."""

import base64
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.devcluster.errors import ClusterError

_DAYS = "30"
_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


@dataclass(frozen=True)
class Pair:
    """Files of a certificate and of its private key, PEM."""

    certificate: Path
    key: Path


class Authority:
    """Makes pairs below one folder, signed by the authority there; a pair that exists is left as it is."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self.own = self._pair("ca", ["/CN=longtail-devcluster"], ["basicConstraints=critical,CA:TRUE"], signed=False)

    def client(self, user: str, group: str = "") -> Pair:
        """A pair by which the API server knows a user and its group."""
        subject = [f"/O={group}"] if group else []
        return self._pair(user.replace(":", "-"), [*subject, f"/CN={user}"], ["extendedKeyUsage=clientAuth"])

    def server(self, name: str, *names: str) -> Pair:
        """A pair of a server reached by the given addresses (`IP:…`) and host names (`DNS:…`)."""
        extensions = ["extendedKeyUsage=serverAuth", f"subjectAltName={','.join(names)}"]
        return self._pair(name, [f"/CN={name}"], extensions)

    def signing_pair(self) -> Pair:
        """Key and public key with which service-account tokens are signed."""
        public, key = self._folder / "service-accounts.pub", self._folder / "service-accounts.key"
        if not public.exists():
            _openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", str(key))
            _openssl("ec", "-in", str(key), "-pubout", "-out", str(public))
        return Pair(public, key)

    def kubeconfig(self, path: Path, server: str, pair: Pair) -> Path:
        """Write a kubeconfig with the certificates inside, so that it can be copied elsewhere."""

        def encoded(file: Path) -> str:
            return base64.b64encode(file.read_bytes()).decode()

        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "longtail",
                    "cluster": {"server": server, "certificate-authority-data": encoded(self.own.certificate)},
                }
            ],
            "users": [
                {
                    "name": "user",
                    "user": {
                        "client-certificate-data": encoded(pair.certificate),
                        "client-key-data": encoded(pair.key),
                    },
                }
            ],
            "contexts": [{"name": "longtail", "context": {"cluster": "longtail", "user": "user"}}],
            "current-context": "longtail",
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(content, indent=1))  # JSON is YAML, too.
        return path

    def _pair(self, name: str, subject: list[str], extensions: list[str], signed: bool = True) -> Pair:
        pair = Pair(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        if pair.certificate.exists():
            return pair
        command = ["req", "-x509", *_KEY, "-days", _DAYS, "-subj", "".join(subject)]
        command += ["-keyout", str(pair.key), "-out", str(pair.certificate)]
        for extension in extensions:
            command += ["-addext", extension]
        if signed:
            command += ["-CA", str(self.own.certificate), "-CAkey", str(self.own.key)]
            command += ["-addext", "basicConstraints=critical,CA:FALSE"]
        _openssl(*command)
        return pair


def _openssl(*words: str) -> None:
    # No configuration of the machine's: it may add extensions of its own.
    try:
        result = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ClusterError("certificates need the openssl program: apt-get install openssl") from error
    if result.returncode:
        raise ClusterError(f"openssl {words[0]} failed: {result.stderr[-1000:]}")
