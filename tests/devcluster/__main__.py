"""The command line: `python -m tests.devcluster --help`."""

import argparse
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tests.devcluster import binaries, cluster, disk, layout, release, store
from tests.devcluster.errors import ClusterError
from tests.devcluster.kubernetes import Cluster


def main() -> int:
    arguments = _parser().parse_args()
    try:
        return arguments.run(arguments)
    except ClusterError as error:
        print(f"devcluster: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.devcluster",
        description="A real single-node Kubernetes cluster on this Linux machine, without a container engine.",
        epilog="Environment: KUBECONFIG (another cluster to use instead), LONGTAIL_CACHE (built programs), "
        "LONGTAIL_STATE (the cluster's folder).",
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        return added

    up = command("up", _up, "bring the cluster up; no effect where it runs")
    up.add_argument("--prometheus", action=argparse.BooleanOptionalAction, default=True, help="collect metrics")
    up.add_argument(
        "--s3",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="an S3 store in the cluster (default: yes, and no where KUBECONFIG names another cluster)",
    )
    up.add_argument(
        "--registry", default=layout.REGISTRY, help="where another cluster pulls the store's image from (%(default)s)"
    )
    down = command("down", _down, "end the cluster and remove what it made of itself; images are kept")
    down.add_argument("--all", action="store_true", help="remove the registry's and containerd's images, too")
    command("status", _status, "what runs, and how to reach it; exits 1 where the API server cannot be reached")
    command("kubeconfig", _kubeconfig, "print the path of the administrator's kubeconfig")
    logs = command("logs", _logs, "print the end of a component's log, or without one the logs there are")
    logs.add_argument("component", nargs="?")
    logs.add_argument("-n", "--lines", type=int, default=100)
    build = command("build", _build, "build programs into the cache, and print their paths")
    build.add_argument("name", nargs="*", help=f"of {', '.join(binaries.BINARIES)}; default: all of them")
    command("tools", _tools, "print a folder for PATH that holds kubectl, helm and kubeconform")
    gpu = command(
        "gpu", _gpu, "let the node offer GPUs that it has not, so that the scheduler places pods that ask for one"
    )
    gpu.add_argument("count", type=int, help="0 removes them")
    command("images", _images, "build Longtail's images and push them to the cluster's registry; print their names")
    command("leftovers", _leftovers, "list what a cluster left on this machine; exits 1 where there is anything")
    command("disk", _disk, "print how much disk each part takes")
    return parser


def other_cluster() -> Path | None:
    """The kubeconfig of the environment, where it is not our own cluster's."""
    named = os.environ.get("KUBECONFIG")
    if not named or Path(named).resolve() == layout.state().kubeconfig:
        return None
    return Path(named)


def _up(arguments: argparse.Namespace) -> int:
    say = cluster.Progress()
    other = other_cluster()
    if other is None:
        wanted = cluster.Wanted(prometheus=arguments.prometheus, s3=arguments.s3 is not False)
        cluster.up(layout.state(), wanted, say)
        print(f"export KUBECONFIG={layout.state().kubeconfig}")
        return 0
    say(f"KUBECONFIG names another cluster ({other}): that one is used, and nothing is started")
    if not cluster.api_answers(other):
        raise ClusterError(
            f"its API server does not answer; start it, or unset KUBECONFIG to use a cluster of our own ({other})"
        )
    if arguments.s3:
        there = Cluster(other)
        store.apply(there, arguments.registry)
        store.wait(there)
        say(f"S3 store ready at {store.INSIDE_URL}")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    if other_cluster():
        print("KUBECONFIG names another cluster: that one is left alone", file=sys.stderr)
    cluster.down(layout.state(), arguments.all, cluster.Progress())
    return 0


def _status(_: argparse.Namespace) -> int:
    other = other_cluster()
    if other:
        reachable = cluster.api_answers(other)
        print(f"KUBECONFIG names another cluster: {other} ({'answers' if reachable else 'does not answer'})")
        return 0 if reachable else 1
    lines = cluster.describe(layout.state())
    print("\n".join(lines))
    return 1 if "not reachable" in lines[-1] else 0


def _kubeconfig(_: argparse.Namespace) -> int:
    print(other_cluster() or layout.state().kubeconfig)
    return 0


def _logs(arguments: argparse.Namespace) -> int:
    processes = cluster.processes_of(layout.state())
    if arguments.component:
        path = processes.log(arguments.component)
        if not path.exists():
            raise ClusterError(f"{path} does not exist; without a name, `logs` lists those that do")
        print(processes.last_words(arguments.component, arguments.lines))
    else:
        for path in sorted(layout.state().logs.glob("*.log")):
            print(f"{path.stem:24} {path}")
    return 0


def _build(arguments: argparse.Namespace) -> int:
    names = arguments.name or list(binaries.BINARIES)
    unknown = sorted(set(names) - set(binaries.BINARIES))
    if unknown:
        raise ClusterError(f"nothing is called {', '.join(unknown)}; there are {', '.join(binaries.BINARIES)}")
    paths = binaries.build(names, lambda text: print(text, file=sys.stderr, flush=True))
    for name, path in paths.items():
        print(f"{name} {path}")
    return 0


def _tools(_: argparse.Namespace) -> int:
    paths = binaries.build(["cluster", "helm", "kubeconform"], lambda text: print(text, file=sys.stderr, flush=True))
    folder = layout.state().tools
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("helm", "kubeconform"):
        (folder / name).symlink_to(paths[name])
    kubectl = folder / "kubectl"
    kubectl.write_text(f'#!/bin/sh\nexec "{paths["cluster"]}" kubectl "$@"\n')
    kubectl.chmod(0o755)
    print(folder)
    return 0


def _gpu(arguments: argparse.Namespace) -> int:
    there = Cluster(other_cluster() or layout.state().kubeconfig)
    for item in there.get("nodes")["items"]:
        there.set_gpus(item["metadata"]["name"], arguments.count)
    return 0


def _images(_: argparse.Namespace) -> int:
    references = release.build_images(layout.state(), lambda text: print(text, file=sys.stderr, flush=True))
    for name, reference in references.items():
        print(f"{name} {reference}")
    return 0


def _leftovers(_: argparse.Namespace) -> int:
    found = cluster.leftovers(layout.state())
    print("\n".join(found) if found else "nothing is left")
    return 1 if found else 0


def _disk(_: argparse.Namespace) -> int:
    sizes = disk.sizes(layout.state())
    for name, size in sizes.items():
        print(f"{name:24} {size / 1e6:10,.0f} MB")
    print(f"{'together':24} {sum(sizes.values()) / 1e6:10,.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
