"""Deterministic names: hashes of listed inputs, and names of children that fit Kubernetes' limits."""

import hashlib
import json
import re
from typing import Any

_LONGEST_BASE = 40
_CANDIDATE = re.compile(r"-candidate-[0-9a-f]{12}$")
"""How the name of a candidate's Service ends: nothing that a person names so has it for the name of its own."""
_SERVICE_NAME = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?$")


def identity(**inputs: Any) -> str:
    """Hash of named inputs: 32 hexadecimal digits, the same for the same values in every process."""
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def child_base(name: str) -> str:
    """What the names of a resource's children begin with: at most 40 characters, good for a Service."""
    if len(name) <= _LONGEST_BASE and _SERVICE_NAME.match(name) and not _CANDIDATE.search(name):
        return name
    safe = re.sub(r"[^-a-z0-9]", "-", name)
    return f"s-{safe}"[: _LONGEST_BASE - 7].rstrip("-") + "-" + identity(name=name)[:6]


def child_name(owner: str, *parts: str) -> str:
    """`<owner>-<part>-<part>`: with parts of at most 20 characters in all, a valid label and Service name."""
    return "-".join((child_base(owner), *parts))


def candidate_name(owner: str, uid: str) -> str:
    """The Service of the candidate of a resource. Two resources, whatever they are called, never share it with each
    other, nor one of them with the other's own: `child_base` gives no name of this form to anything else."""
    return f"{child_base(owner)}-candidate-{identity(owner=owner, uid=uid)[:12]}"


def label_value(name: str) -> str:
    """`name` as a label's value, shortened with a hash where it is too long."""
    return name if len(name) <= 63 else name[:50].rstrip("-.") + "-" + identity(name=name)[:12]
