"""`longtail-operator run`: the control plane."""

import argparse
import asyncio
import dataclasses
import logging
import os
import signal
import sys

from longtail_operator import logs
from longtail_operator.control_plane import run
from longtail_operator.kubernetes.kube import HttpKubeApi
from longtail_operator.settings import Settings, SettingsInvalid, settings_from

log = logging.getLogger("longtail_operator")


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="longtail-operator",
        description="Operator of long-tail scenario models. Settings come from the environment (LONGTAIL_*): "
        "TRAINER_IMAGE and SERVING_IMAGE (required), IMAGE_PULL_POLICY, NAMESPACES (comma-separated), HTTP_PORT, "
        "WORKERS, RESYNC_SECONDS, DRAIN_SECONDS, JOB_TTL_SECONDS, LOG_LEVEL, CONCURRENT_FOLDS, "
        "CONCURRENT_UPGRADES, ALLOWED_STORES (comma-separated).",
    )
    commands = result.add_subparsers(dest="command", required=True)
    start = commands.add_parser("run", help="watch and reconcile until SIGTERM")
    where = start.add_mutually_exclusive_group()
    where.add_argument("--namespace", action="append", metavar="NAME", help="look after this namespace; repeatable")
    where.add_argument("--all-namespaces", action="store_true", help="look after all of them (default)")
    return result


async def operate(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    api = await HttpKubeApi.connect()
    try:
        await run(api, settings, stop)
    finally:
        await api.close()


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        settings = settings_from(os.environ)
    except SettingsInvalid as error:
        print(f"longtail-operator: {error}", file=sys.stderr)
        return 64
    if options.namespace:
        settings = dataclasses.replace(settings, namespaces=tuple(options.namespace))
    elif options.all_namespaces:
        settings = dataclasses.replace(settings, namespaces=())
    logs.configure(settings.log_level)
    try:
        asyncio.run(operate(settings))
    except Exception:  # the last place where an error can still be told
        log.exception("the operator ends")
        return 1
    log.info("the operator ends as it was told to")
    return 0


if __name__ == "__main__":
    sys.exit(main())
