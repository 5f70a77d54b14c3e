"""`python -m tests.helm_lint`: the chart, linted, rendered with each set of values, checked against schemas.

kubeconform takes its schemas from the API server's own OpenAPI document: Kubernetes' are published only as a web
site, which CI can't count on, so `tests/helm_schemas/` holds what the chart uses, written by `--schemas`.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from tests.devcluster import layout
from tests.devcluster.binaries import build
from tests.devcluster.errors import ClusterError

CHART = layout.REPOSITORY / "helm" / "longtail"
SCHEMAS = Path(__file__).parent / "helm_schemas"
KINDS = (
    "io.k8s.api.apps.v1.Deployment",
    "io.k8s.api.core.v1.ServiceAccount",
    "io.k8s.api.rbac.v1.ClusterRole",
    "io.k8s.api.rbac.v1.ClusterRoleBinding",
    "io.k8s.api.rbac.v1.Role",
    "io.k8s.api.rbac.v1.RoleBinding",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--schemas", metavar="OPENAPI", type=Path, help="write the schemas from an /openapi/v2 document"
    )
    arguments = parser.parse_args()
    if arguments.schemas:
        write_schemas(json.loads(arguments.schemas.read_text()))
        return 0
    try:
        programs = build(["helm", "kubeconform"], lambda text: print(text, file=sys.stderr))
    except ClusterError as error:
        print(f"helm_lint: {error}", file=sys.stderr)
        return 1
    failures = 0
    for values in [None, *sorted((CHART / "ci").glob("*-values.yaml"))]:
        options = ["--values", str(values)] if values else []
        name = values.name if values else "default values"
        failures += _run(f"helm lint ({name})", [str(programs["helm"]), "lint", "--strict", str(CHART), *options])
        rendered = subprocess.run(
            [programs["helm"], "template", "longtail", CHART, "--namespace", "longtail-system", *options],
            capture_output=True,
            text=True,
            check=False,
        )
        if rendered.returncode:
            print(f"FAILED helm template ({name})\n{rendered.stderr}", file=sys.stderr)
            failures += 1
            continue
        location = f"{SCHEMAS}/{{{{ .ResourceKind }}}}.json"
        command = [str(programs["kubeconform"]), "-strict", "-summary", "-schema-location", location]
        failures += _run(f"kubeconform ({name})", command, rendered.stdout)
    return 1 if failures else 0


def _run(title: str, command: list[str], text: str | None = None) -> int:
    result = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if result.returncode:
        print(f"FAILED {title}\n{result.stdout}{result.stderr}", file=sys.stderr)
        return 1
    print(f"ok {title}: {result.stdout.strip().splitlines()[-1]}")
    return 0


def write_schemas(document: dict[str, object]) -> None:
    """One file a kind: the definition, with all it refers to, and closed to unknown fields."""
    definitions = json.loads(json.dumps(document["definitions"]).replace("#/definitions/", "#/$defs/"))
    SCHEMAS.mkdir(exist_ok=True)
    for kind in KINDS:
        wanted, queue = {}, [kind]
        while queue:
            name = queue.pop()
            if name not in wanted:
                wanted[name] = _strict(definitions[name])
                queue += _references(definitions[name])
        path = SCHEMAS / f"{kind.rpartition('.')[2].lower()}.json"
        path.write_text(json.dumps({"$ref": f"#/$defs/{kind}", "$defs": wanted}, separators=(",", ":"), sort_keys=True))


def _strict(definition: dict[str, object]) -> dict[str, object]:
    """Without descriptions (their size), numbers-or-strings as such, and closed to unknown fields."""
    if definition.get("format") == "int-or-string" or definition.get("type") == "string":
        return {"type": ["string", "integer", "number"]}
    slim = _without_descriptions(definition)
    if "properties" in slim:
        slim["additionalProperties"] = False
    return slim


def _without_descriptions(value: object, names: bool = False) -> object:
    """names: the keys of `value` are names of fields, which may well be called x-kubernetes-…"""
    if isinstance(value, dict):
        return {
            key: _without_descriptions(item, names=key == "properties" and not names)
            for key, item in value.items()
            if names or not (key == "description" or key.startswith("x-kubernetes"))
        }
    return [_without_descriptions(item) for item in value] if isinstance(value, list) else value


def _references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"].removeprefix("#/$defs/")] if isinstance(value.get("$ref"), str) else []
        return own + [name for item in value.values() for name in _references(item)]
    return [name for item in value for name in _references(item)] if isinstance(value, list) else []


if __name__ == "__main__":
    sys.exit(main())
