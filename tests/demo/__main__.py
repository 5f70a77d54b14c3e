"""`make demo`: from nothing to three light models that serve, on real data or on generated data."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars
import yaml
from rich.console import Console

from tests.demo import installation, manifests
from tests.demo.choice import Choice, choose
from tests.demo.view import Watch, condition, failed, is_ready, result_table
from tests.devcluster import store
from tests.devcluster.errors import ClusterError
from tests.devcluster.kubernetes import Cluster

SEED = 7
# The machine that answers is the one that trains, on two cores: a millisecond SLO would test the neighbours.
SLO_MILLISECONDS = 250
DEADLINE_SECONDS = 1500
POLL_SECONDS = 2.0
NAMESPACE = manifests.NAMESPACE


class DemoFailed(Exception):
    """The demo did not reach its end; the message says why and what to look at."""


def main() -> int:
    arguments = _parser().parse_args()
    console = Console(width=None if sys.stdout.isatty() else 160)
    try:
        if arguments.down:
            take_down(console)
        else:
            Demo(arguments, console).run()
    except (DemoFailed, ClusterError) as error:
        console.print(f"demo: {error}", style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of the OULAD files; without it, data is generated")
    parser.add_argument("--seed", type=int, default=SEED, help="which scenarios form the pool (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was measured")
    parser.add_argument("--down", action="store_true", help="remove what the demo made in the cluster")
    return parser


class Demo:
    """The steps, in order; `run` reads from top to bottom."""

    def __init__(self, arguments: argparse.Namespace, console: Console) -> None:
        self.arguments = arguments
        self.console = console
        self.started = time.monotonic()

    def run(self) -> None:
        if self.arguments.data and not self.arguments.data.is_dir():
            raise DemoFailed(f"{self.arguments.data} is no folder; DATA must name the folder of the OULAD files")
        self.say("bringing up the cluster")
        self.kubeconfig = installation.bring_up_cluster()
        self.cluster = Cluster(self.kubeconfig)
        images = installation.image_references()
        with tempfile.TemporaryDirectory(prefix="longtail-demo-") as folder:
            tables = Path(folder, "tables")
            self.make_tables(tables)
            schema = yaml.safe_load((tables / "schema.yaml").read_text())
            truth = tables / "truth.json"
            self.truth: dict[str, Any] = json.loads(truth.read_text()) if truth.exists() else {}
            counted = polars.scan_parquet(tables / "samples.parquet").group_by("scenario").len().collect()
            rows = dict(zip(counted["scenario"].to_list(), counted["len"].to_list(), strict=True))
            choice = choose(rows, self.arguments.seed)
            self.clean(images)
            self.say("uploading the tables to the store")
            self.endpoint = store.endpoint(self.cluster)
            installation.upload_tables(self.endpoint, tables)
        self.prepare_namespace()
        self.say("pulling the training and serving images onto the node")
        installation.pull_images(self.cluster, images, NAMESPACE)
        set_up = time.monotonic() - self.started
        applied = time.monotonic()
        model, scenarios = self.main_job(schema, choice)
        seconds = time.monotonic() - applied
        self.report(model, scenarios, set_up, seconds)

    def say(self, text: str) -> None:
        self.console.print(f"[{time.monotonic() - self.started:6.0f} s] {text}", markup=False, highlight=False)

    def make_tables(self, folder: Path) -> None:
        if self.arguments.data:
            self.say(f"making the three-table form of {self.arguments.data.name}")
            words = ["oulad", str(self.arguments.data), str(folder)]
        else:
            self.say("generating data (give DATA=… for real data)")
            words = ["synthetic", str(folder), "--seed", str(self.arguments.seed)]
        result = subprocess.run([sys.executable, "-m", "benchmarks.datasets", *words], check=False)
        if result.returncode:
            raise DemoFailed("the data set could not be made; the lines above say why")

    def clean(self, images: dict[str, str]) -> None:
        """An earlier demo's resources go before the operator may change: its namespace, then the chart anew."""
        if self.cluster.succeeds("get", "namespace", NAMESPACE):
            self.say("removing what an earlier demo left")
            self.cluster.kubectl("delete", "namespace", NAMESPACE, "--wait", "--timeout=180s")
        installation.install_chart(self.kubeconfig, images, self.say)

    def prepare_namespace(self) -> None:
        self.cluster.kubectl("create", "namespace", NAMESPACE)
        self.cluster.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
        keys = {"AWS_ACCESS_KEY_ID": self.endpoint.access_key, "AWS_SECRET_ACCESS_KEY": self.endpoint.secret_key}
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": manifests.CREDENTIALS, "namespace": NAMESPACE},
            "stringData": keys,
        }
        self.cluster.apply_text(json.dumps(secret))

    def main_job(self, schema: dict[str, Any], choice: Choice) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        with Watch(self.console) as watch:
            self.say(f"kubectl apply: a HeavyModel and its pool: {', '.join(choice.pool)}")
            pool = [manifests.pool_scenario(name) for name in choice.pool]
            model = manifests.heavy_model(schema, store.INSIDE_URL, len(pool), self.arguments.seed)
            self.apply([model, *pool])
            model = self.wait(watch, "heavymodel", [manifests.HEAVY_MODEL], also="scenario")[0]
            flops = model["status"]["flops"]
            before = model["status"]["version"]["number"]
            budget = flops // 2
            self.say(f"agnostic version {before}: {flops:,} FLOPs; each light model may take {budget:,}")
            self.say(f"kubectl apply: three Scenarios to serve: {', '.join(choice.arrivals)}")
            self.apply([manifests.served_scenario(name, budget, SLO_MILLISECONDS) for name in choice.arrivals])
            scenarios = self.wait(watch, "scenario", choice.arrivals)
            model = self.wait_for_feedback(watch, len(scenarios))
        return model, scenarios

    def apply(self, resources: list[dict[str, Any]]) -> None:
        self.cluster.apply_text("\n---\n".join(json.dumps(each) for each in resources))

    def wait(self, watch: Watch, kind: str, names: list[str], also: str = "") -> list[dict[str, Any]]:
        """Until all of them are Ready. Raises `DemoFailed` where one will not be, or at the deadline."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            resources = {each["metadata"]["name"]: each for each in self.resources(kind)}
            wanted = [resources[name] for name in names]
            watch.show([*wanted, *(self.resources(also) if also else [])])
            if all(is_ready(each) for each in wanted):
                return wanted
            reasons = [reason for each in wanted if (reason := failed(each))]
            if reasons or time.monotonic() > deadline:
                raise DemoFailed("\n".join(reasons) or self.unfinished(wanted))
            time.sleep(POLL_SECONDS)

    def unfinished(self, resources: list[dict[str, Any]]) -> str:
        lines = [f"not Ready after {DEADLINE_SECONDS} s:"]
        for each in resources:
            ready = condition(each, "Ready")
            lines.append(f"  {each['metadata']['name']}: {ready.get('reason')}: {ready.get('message')}")
        return "\n".join(
            [*lines, f"look at: kubectl -n {NAMESPACE} get longtail,jobs,pods; kubectl -n {NAMESPACE} get events"]
        )

    def resources(self, kind: str) -> list[dict[str, Any]]:
        return self.cluster.get(f"{kind}s.longtail.dev", "-n", NAMESPACE)["items"]

    def wait_for_feedback(self, watch: Watch, expected: int) -> dict[str, Any]:
        """Until the feedback of the arrivals is folded (or recorded as rejected)."""
        deadline = time.monotonic() + 180
        while True:
            model = self.resources("heavymodel")[0]
            counts = model["status"].get("feedback", {})
            if counts.get("folded", 0) + counts.get("rejected", 0) >= expected and not counts.get("pending"):
                return model
            if time.monotonic() > deadline:
                raise DemoFailed(f"the feedback was not folded: {counts}; see the HeavyModel's conditions and events")
            watch.show([model])
            time.sleep(POLL_SECONDS)

    def report(self, model: dict[str, Any], scenarios: list[dict[str, Any]], set_up: float, seconds: float) -> None:
        label = model["spec"]["schema"]["labels"][0]["name"]
        best = {each["name"]: each["bestAuc"][label] for each in self.truth.get("scenarios", [])}
        self.console.print()
        self.console.print(result_table(scenarios, model, best, SLO_MILLISECONDS))
        feedback = model["status"]["feedback"]
        self.console.print(
            f"set-up {set_up:.0f} s; first kubectl apply to all Ready {seconds:.0f} s; feedback folded "
            f"{feedback.get('folded', 0)}, rejected {feedback.get('rejected', 0)}"
        )
        answer = self.predict(scenarios[0])
        if self.arguments.json:
            self.arguments.json.write_text(
                json.dumps(
                    {
                        "setUpSeconds": set_up,
                        "seconds": seconds,
                        "budget": int(scenarios[0]["spec"]["budget"]["maxFlops"]),
                        "model": model["status"],
                        "truth": best,
                        "answer": answer,
                    }
                    | {"scenarios": {each["metadata"]["name"]: each["status"] for each in scenarios}},
                    indent=1,
                )
            )
        self.console.print(
            f"""
Look around:
  export KUBECONFIG={self.kubeconfig}
  kubectl -n {NAMESPACE} get longtail
  kubectl -n {NAMESPACE} describe scenario {scenarios[0]["metadata"]["name"]}
  kubectl -n {NAMESPACE} get events --sort-by=.lastTimestamp
  kubectl explain scenario.spec.budget
Tear down:
  make demo-down      what the demo made in the cluster
  make cluster-down   the cluster""",
            markup=False,
            highlight=False,
        )

    def predict(self, scenario: dict[str, Any]) -> dict[str, Any]:
        """Ask the served model for one recorded row, with curl, as a client would."""
        name = scenario["metadata"]["name"]
        client = installation.s3_client(self.endpoint)
        keys = [
            each["Key"]
            for page in client.get_paginator("list_objects_v2").paginate(
                Bucket=manifests.BUCKET, Prefix=f"store/data/{NAMESPACE}.{name}."
            )
            for each in page.get("Contents", [])
            if each["Key"].endswith("requests.jsonl")
        ]
        first = client.get_object(Bucket=manifests.BUCKET, Key=keys[0])["Body"].read().decode().splitlines()[0]
        with (
            tempfile.NamedTemporaryFile("w", suffix=".json") as body,
            installation.port_forward(self.kubeconfig, NAMESPACE, name, 8080) as port,
        ):
            body.write(json.dumps({"inputs": json.loads(first)["inputs"]}))
            body.flush()
            url = f"http://127.0.0.1:{port}/v2/models/{name}/infer"
            answer = installation.run(
                [
                    "curl",
                    "--silent",
                    "--show-error",
                    "--fail-with-body",
                    "--noproxy",
                    "*",
                    "--json",
                    f"@{body.name}",
                    url,
                ]
            )
        self.console.print(f"\ncurl --json @request.json {url}\n{answer}", markup=False, highlight=False)
        return json.loads(answer)


def take_down(console: Console) -> None:
    """Remove the demo's namespace and the chart; the CustomResourceDefinitions stay, as the chart's values say."""
    kubeconfig = installation.bring_up_cluster()
    cluster = Cluster(kubeconfig)
    if cluster.succeeds("get", "namespace", NAMESPACE):
        cluster.kubectl("delete", "namespace", NAMESPACE, "--wait", "--timeout=180s")
    installation.uninstall_chart(kubeconfig)
    endpoint = store.endpoint(cluster)
    if manifests.BUCKET in {each["Name"] for each in installation.s3_client(endpoint).list_buckets()["Buckets"]}:
        installation.empty_bucket(endpoint)
        installation.s3_client(endpoint).delete_bucket(Bucket=manifests.BUCKET)
    console.print("the demo's resources, chart and bucket are gone")


if __name__ == "__main__":
    sys.exit(main())
