"""Flags of both commands, and what they mean. Each may also be given as LONGTAIL_<FLAG> in the environment."""

import argparse
import math
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from longtail_api.run_config import StoreAddress
from longtail_serving.errors import FlagsInvalid
from longtail_serving.limits import Limits
from longtail_serving.termination import DEFAULT_PATH


class Flags(argparse.ArgumentParser):
    """A parser that raises `FlagsInvalid`, so that wrong flags reach the termination message as well."""

    def error(self, message: str) -> NoReturn:
        raise FlagsInvalid(f"{self.prog}: {message}; see {self.prog} --help")

    def flag(
        self,
        name: str,
        kind: Callable[[str], Any],
        text: str,
        *,
        metavar: str | None = None,
        default: object = None,
        required: bool = False,
    ) -> None:
        """Add `--name`, which the environment may give instead."""
        given = os.environ.get(_variable(name))
        # Kubernetes itself sets LONGTAIL_PORT=tcp://… in every pod where a Service is called `longtail`.
        if given is not None and not given.startswith("tcp://"):
            default, required = given, False  # argparse converts defaults that are strings
        self.add_argument(
            f"--{name}",
            type=kind,
            help=f"{text} (default: {default})" if default is not None else text,
            metavar=metavar or name.upper(),
            default=default,
            required=required,
        )


def _variable(name: str) -> str:
    return "LONGTAIL_" + name.upper().replace("-", "_")


def parser() -> Flags:
    top = Flags(
        prog="longtail-serving",
        description="Serves a light model, or checks a candidate before it takes traffic.",
        epilog="Credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Every flag may be given as "
        "LONGTAIL_<FLAG>. Exit codes: 0 done, 64 wrong flags, credentials or port, 65 wrong object in the store, 70 "
        "bug, 75 the store can't be reached.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="{serve,check}")
    _serve_flags(commands.add_parser("serve", help="serve one pinned version", description=_SERVE))
    _check_flags(commands.add_parser("check", help="judge a candidate by recorded requests", description=_CHECK))
    return top


_SERVE = """Downloads models/<scenario>/<version> from the store, verifies its sha256, warms it up and answers the
Open Inference Protocol v2 on one port, with /metrics. SIGTERM: not ready at once, finishes what is under way, exit
code 0."""
_CHECK = """Answers recorded rows against the candidate: once each for the metric (and against the stable
version, on the same rows), then under load for some seconds. Leaves a CheckReport (JSON) at the termination log and on
stdout, and ends with exit code 0 whenever there is a verdict: Passed, Failed or Inconclusive."""


def termination_log_of(arguments: Sequence[str]) -> Path:
    """Where the last words go, also of a command line that is wrong otherwise."""
    alone = Flags(add_help=False, allow_abbrev=False)
    alone.flag("termination-log", Path, "", default=str(DEFAULT_PATH))
    try:
        return alone.parse_known_args(arguments)[0].termination_log
    except FlagsInvalid:  # the flag without a value
        return DEFAULT_PATH


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Raises `FlagsInvalid`; --help ends the process."""
    return parser().parse_args(arguments)


def store_address(options: argparse.Namespace) -> StoreAddress:
    """Raises `FlagsInvalid` where the flags are none of a store."""
    try:
        return StoreAddress(
            uri=options.store_uri,
            endpoint=options.store_endpoint or None,
            region=options.store_region,
            path_style=options.store_path_style,
            ca_bundle_file=options.store_ca_bundle or None,
        )
    except ValidationError as error:
        flaws = (f"--store-{flaw['loc'][0]}: {flaw['msg'].removeprefix('Value error, ')}" for flaw in error.errors())
        raise FlagsInvalid("; ".join(flaws)) from None


def _store_flags(flags: Flags) -> None:
    flags.flag("store-uri", str, "the store: s3://bucket/prefix or file:///folder", metavar="URI", required=True)
    flags.flag("store-endpoint", str, "an S3 server other than AWS", metavar="URL")
    flags.flag("store-region", str, "region of the bucket", metavar="REGION", default="us-east-1")
    flags.flag("store-path-style", _boolean, "the bucket in the path", metavar="true|false", default="true")
    flags.flag("store-ca-bundle", str, "certificates to trust", metavar="FILE")
    flags.flag("termination-log", Path, "where the last words go", metavar="FILE", default=str(DEFAULT_PATH))


def _serve_flags(flags: Flags) -> None:
    _store_flags(flags)
    flags.flag("scenario", str, "scenario key in the store", metavar="KEY", required=True)
    flags.flag("version", str, "light version, such as v3", required=True)
    flags.flag("sha256", _sha256, "of model.onnx", metavar="HEX", required=True)
    flags.flag("model-name", str, "name of the model in the URL", metavar="NAME", required=True)
    flags.flag("port", _port, "for everything", default="8080")
    flags.flag(
        "threads", _positive_integer, "threads of ONNX Runtime; by default what the container may use", metavar="N"
    )
    _limit_flags(flags)


def _limit_flags(flags: Flags) -> None:
    """What clients may ask at most."""
    default = Limits()
    for name, kind, value, text in (
        ("max-body-bytes", _bounded(1 << 10, 1 << 30), default.body_bytes, "of one request's body; else 413"),
        ("max-rows", _bounded(1, 1 << 20), default.rows, "of one request's batch; else 413"),
        ("max-values", _bounded(100, 1 << 26), default.values, "of one request's JSON; else 413"),
        ("max-requests", _bounded(1, 1 << 16), default.requests, "whole requests under way; else 503, and not ready"),
        ("max-connections", _bounded(1, 1 << 20), default.connections,
         "beyond, the one that waits longest for its client is closed"),
    ):  # fmt: skip
        flags.flag(name, kind, text, metavar="N", default=str(value))
    for name, value, text in (
        ("request-seconds", default.request_seconds, "for a head to arrive, and then for its body; else 408"),
        ("answer-seconds", default.answer_seconds, "for a client to read its answer; else it is cut off"),
        ("idle-seconds", default.idle_seconds, "a connection stays open between two requests"),
    ):
        flags.flag(name, _positive_number, text, metavar="N", default=f"{value:g}")


def limits(options: argparse.Namespace) -> Limits:
    return Limits(
        body_bytes=options.max_body_bytes,
        rows=options.max_rows,
        values=options.max_values,
        requests=options.max_requests,
        connections=options.max_connections,
        request_seconds=options.request_seconds,
        answer_seconds=options.answer_seconds,
        idle_seconds=options.idle_seconds,
    )


def _check_flags(flags: Flags) -> None:
    _store_flags(flags)
    flags.flag("candidate-url", _url, "where the candidate answers", metavar="URL", required=True)
    flags.flag("candidate", str, "its version", metavar="VERSION", required=True)
    flags.flag("stable-url", _url, "where the stable version answers", metavar="URL")
    flags.flag("stable", str, "its version", metavar="VERSION")
    flags.flag("model-name", str, "name of the model in the URL", metavar="NAME", required=True)
    flags.flag("requests-key", str, "recorded requests in the store", metavar="KEY", required=True)
    flags.flag("scenario", str, "scenario key in the store", metavar="KEY", required=True)
    flags.flag("labels", _labels, "labels to compare, the primary one first: by AUC if binary, by RMSE if regression",
               metavar="NAME=TYPE,...", required=True)  # fmt: skip
    flags.flag("seconds", _positive_number, "how long the load lasts", metavar="N", required=True)
    flags.flag("concurrency", _positive_integer, "requests under way at a time", metavar="N", required=True)
    flags.flag("ready-seconds", _positive_number, "longest wait for the candidate", metavar="N", default="120")
    flags.flag("p99-milliseconds", _positive_number, "SLO: 99th percentile under load", metavar="X")
    flags.flag("max-error-rate", _share, "SLO: errors per request", metavar="X")
    flags.flag("max-regression", _share, "how much lower than the stable version's an AUC may be; for RMSE, by what "
               "share higher", metavar="X")  # fmt: skip


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text == "true"


def _sha256(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no SHA-256 (64 hexadecimal digits in lower case)")
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port (1 to 65535)")
    return int(text)


def _bounded(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) < 12) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {least} to {most}")
        return int(text)

    return number


_positive_integer = _bounded(1, 4096)


def _positive_number(text: str) -> float:
    number = _number(text)
    if not number > 0:
        raise argparse.ArgumentTypeError(f"{text!r} must be above 0")
    return number


def _share(text: str) -> float:
    number = _number(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be from 0 to 1")
    return number


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return number


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://[^/\s]+(/[^\s?#]*)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no URL such as http://name:8080")
    return text.rstrip("/")


def _labels(text: str) -> dict[str, str]:
    """Type by name."""
    found: dict[str, str] = {}
    for item in text.split(","):
        name, _, kind = item.partition("=")
        if not name or name in found or kind not in ("binary", "regression"):
            raise argparse.ArgumentTypeError(f"{item!r} is no label such as click=binary or spend=regression")
        found[name] = kind
    return found
