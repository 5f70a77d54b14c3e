"""Prometheus on the host, collecting from pods that ask for it."""

import json

from tests.devcluster import layout
from tests.devcluster.certificates import Authority
from tests.devcluster.processes import Processes

NAME = "prometheus"
URL = f"http://127.0.0.1:{layout.PROMETHEUS_PORT}"
_ANNOTATION = "__meta_kubernetes_pod_annotation_prometheus_io"


def start(state: layout.State, processes: Processes, authority: Authority, url: str) -> None:
    """Start Prometheus. It scrapes pods annotated `prometheus.io/scrape: "true"` (and `/port`, `/path`, `/scheme`)."""
    kubeconfig = authority.kubeconfig(state.node / "prometheus.kubeconfig", url, authority.client(NAME))
    relabel = [
        {"source_labels": [f"{_ANNOTATION}_scrape"], "action": "keep", "regex": "true"},
        {"source_labels": ["__meta_kubernetes_pod_phase"], "action": "drop", "regex": "Pending|Succeeded|Failed"},
        # Without a port annotation a pod is scraped at each port that it declares.
        {
            "source_labels": ["__meta_kubernetes_pod_ip", f"{_ANNOTATION}_port"],
            "regex": "(.+);(.+)",
            "target_label": "__address__",
            "replacement": "$1:$2",
        },
        {"source_labels": [f"{_ANNOTATION}_path"], "regex": "(.+)", "target_label": "__metrics_path__"},
        {"source_labels": [f"{_ANNOTATION}_scheme"], "regex": "(.+)", "target_label": "__scheme__"},
        {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
        {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
        {"source_labels": ["__meta_kubernetes_pod_container_name"], "target_label": "container"},
        {"action": "labelmap", "regex": "__meta_kubernetes_pod_label_(longtail_dev_.+|app_kubernetes_io_.+)"},
    ]
    pods = {
        "job_name": "pods",
        "kubernetes_sd_configs": [{"role": "pod", "kubeconfig_file": str(kubeconfig)}],
        "relabel_configs": relabel,
    }
    content = {"global": {"scrape_interval": "5s", "evaluation_interval": "5s"}, "scrape_configs": [pods]}
    configuration = state.node / "prometheus.json"
    configuration.write_text(json.dumps(content, indent=1))  # JSON is YAML, too.
    command = [
        "prometheus",
        f"--config.file={configuration}",
        f"--storage.tsdb.path={state.node / 'prometheus'}",
        "--storage.tsdb.retention.time=1d",
        f"--web.listen-address={URL.removeprefix('http://')}",
        "--web.enable-lifecycle",
        "--log.level=warn",
    ]
    processes.start(NAME, command)
