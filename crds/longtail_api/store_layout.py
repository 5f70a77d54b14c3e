"""Keys of the store, relative to `HeavyModel.spec.storage.uri`. No other module writes a key by hand.

Everything is immutable and written with put-if-absent, except the keys marked advisory: those are hints and
progress, overwritten at will, and nothing is decided by them.
"""

import re

VERSION_DIGITS = 12


def scenario_key(namespace: str, name: str, uid: str) -> str:
    """The scenario's folder name. A Scenario made anew has another uid and never meets its predecessor's objects."""
    return f"{namespace}.{name}.{uid.replace('-', '')[:8]}"


OWNERS_PREFIX = "owners/"


def owner_key(number: int) -> str:
    """Who has owned the store, counted from 1; the last one does."""
    return f"{OWNERS_PREFIX}{number:0{VERSION_DIGITS}d}.json"


def owner_number(key: str) -> int:
    """The number in an owner's key; 0 where it is none."""
    number = key.removeprefix(OWNERS_PREFIX).removesuffix(".json")
    return int(number) if number.isdecimal() and key == owner_key(int(number)) else 0


def scenarios_prefix(namespace: str) -> str:
    """What the keys of all Scenarios of a namespace begin with; those of no other do, as a namespace has no dot."""
    return f"{namespace}."


def manifest_scenario(key: str) -> str:
    """The scenario key in a manifest's key; empty where it is none."""
    parts = key.split("/")
    return parts[1] if len(parts) == 4 and key == manifest_key(parts[1], parts[2]) else ""


DATA_PREFIX, RUNS_PREFIX, MODELS_PREFIX = "data/", "runs/", "models/"


def data_versions_prefix(scenario: str) -> str:
    """Where all data versions of a scenario are."""
    return f"{DATA_PREFIX}{scenario}/"


def data_prefix(scenario: str, version: str) -> str:
    return f"{data_versions_prefix(scenario)}{version}"


def manifest_key(scenario: str, version: str) -> str:
    return f"{data_prefix(scenario, version)}/manifest.json"


def part_key(scenario: str, version: str, split: str, number: int) -> str:
    """Parquet part of one split: support, query, validation or test."""
    return f"{data_prefix(scenario, version)}/part-{split}-{number:05d}.parquet"


def statistics_key(scenario: str, version: str) -> str:
    return f"{data_prefix(scenario, version)}/statistics.json"


def requests_key(scenario: str, version: str) -> str:
    return f"{data_prefix(scenario, version)}/requests.jsonl"


def features_key(sha256: str) -> str:
    return f"agnostic/features/{sha256}.json"


VERSIONS_PREFIX = "agnostic/versions/"


def version_key(number: int) -> str:
    return f"{VERSIONS_PREFIX}{number:0{VERSION_DIGITS}d}.json"


CHECKPOINTS_PREFIX = "agnostic/checkpoints/"


def checkpoint_key(number: int, nonce: str) -> str:
    return f"{CHECKPOINTS_PREFIX}{number:0{VERSION_DIGITS}d}-{nonce}.safetensors"


def checkpoint_number(key: str) -> int | None:
    """Number of the version a checkpoint was meant for; None where the key is no checkpoint key."""
    name = key.removeprefix(CHECKPOINTS_PREFIX).removesuffix(".safetensors")
    number, dash, nonce = name.partition("-")
    whole = checkpoint_key(int(number), nonce) if number.isdecimal() and dash and nonce else None
    return int(number) if whole == key else None


SETTLED_PREFIX = "agnostic/settled/"


def settled_key(segment: str, name: str) -> str:
    """One segment of the settled runs, as the attempt of this name at a version wrote it."""
    return f"{SETTLED_PREFIX}{segment}/{name}.json"


FEEDBACK_PREFIX = "agnostic/feedback/"


def feedback_key(scenario: str, run: int) -> str:
    return f"{FEEDBACK_PREFIX}{scenario}/{run}.safetensors"


def feedback_run(key: str) -> tuple[str, int] | None:
    """Scenario and run of a feedback key; None where the key is no feedback key."""
    parts = key.removeprefix(FEEDBACK_PREFIX).split("/")
    if not key.startswith(FEEDBACK_PREFIX) or len(parts) != 2 or not parts[1].endswith(".safetensors"):
        return None
    number = parts[1].removesuffix(".safetensors")
    return (parts[0], int(number)) if number.isdecimal() and int(number) > 0 else None


def runs_prefix(owner: str) -> str:
    """Where all runs of an owner are."""
    return f"{RUNS_PREFIX}{owner}/"


def run_prefix(owner: str, run: int) -> str:
    """Folder of one run. Owner: a scenario key, or `agnostic` for steps of the HeavyModel."""
    return f"{runs_prefix(owner)}{run}"


def step_prefix(owner: str, run: int, step: str) -> str:
    """Folder of one step of one run."""
    return f"{run_prefix(owner, run)}/{step}"


AGNOSTIC = "agnostic"
"""In the place of a scenario: results of the steps that train the shared model."""


def result_key(owner: str, run: int, step: str) -> str:
    return f"{step_prefix(owner, run, step)}/result.json"


def architecture_key(owner: str, run: int) -> str:
    """What a search found."""
    return f"{step_prefix(owner, run, 'search')}/architecture.json"


def way_key(prefix: str, way: str) -> str:
    """What one way of `initialization.search` found, in the folder of the initialize step."""
    return f"{prefix}/{way.lower()}.json"


def models_prefix(scenario: str) -> str:
    """Where all light versions of a scenario are."""
    return f"{MODELS_PREFIX}{scenario}/"


def model_prefix(scenario: str, version: str) -> str:
    return f"{models_prefix(scenario)}{version}"


def model_key(scenario: str, version: str) -> str:
    return f"{model_prefix(scenario, version)}/model.onnx"


def model_card_key(scenario: str, version: str) -> str:
    return f"{model_prefix(scenario, version)}/model.json"


PREFIXES = (DATA_PREFIX, RUNS_PREFIX, MODELS_PREFIX, "agnostic/", "probe/", OWNERS_PREFIX)
"""All that is ours below a store's address lies below these, whose store it is last; see `is_ours`."""
_FOLDER_OF_A_RUN = re.compile(r'"((?:data|runs|models)/[^/"\\]+/[^/"\\]+)')
_OF_A_RUN = re.compile(r"(data|runs|models)/[-a-z0-9]+\.[-a-z0-9.]+\.[a-z0-9]{1,8}/[dv]?[0-9]+/.+")
"""Keys of a Scenario's data version, run or light version: `scenario_key` and its number."""


def folders_named(config: str) -> set[str]:
    """Folders of runs that the JSON of a step's config names: `data/<scenario>/<version>`, `runs/<owner>/<run>` and
    `models/<scenario>/<version>`.
    """
    return set(_FOLDER_OF_A_RUN.findall(config))


def is_ours(key: str) -> bool:
    """Is this the key of an object that Longtail makes? Where a store shares its address with tables, these may well
    lie in a folder called data."""
    owned = key.startswith(("agnostic/", f"runs/{AGNOSTIC}/", "probe/")) or owner_number(key) > 0
    return owned or _OF_A_RUN.fullmatch(key) is not None


def stores_around(uri: str) -> list[str]:
    """Addresses above `uri` of which a store would keep what is at `uri` in a folder of its own, nearest first."""
    parts = uri.rstrip("/").split("/")
    top = 3 if uri.startswith("s3://") else 4
    return ["/".join(parts[:end]) for end in range(len(parts) - 1, top - 1, -1) if f"{parts[end]}/" in PREFIXES]


# Advisory keys.
HEAD_KEY = "agnostic/HEAD"


def progress_key(prefix: str) -> str:
    return f"{prefix}/progress.json"


def metrics_key(prefix: str) -> str:
    return f"{prefix}/metrics.jsonl"


def resume_key(prefix: str, name: str) -> str:
    return f"{prefix}/resume/{name}"


def pictures_prefix(prefix: str) -> str:
    return f"{prefix}/pictures/"


def picture_key(prefix: str, name: str) -> str:
    """A picture of the step whose folder is `prefix`, such as `learning-curves`."""
    return f"{pictures_prefix(prefix)}{name}.svg"


def picture_name(prefix: str, key: str) -> str | None:
    """Name of the picture at `key`; None where it is no picture's key of this folder."""
    name = key.removeprefix(pictures_prefix(prefix)).removesuffix(".svg")
    return name if key == picture_key(prefix, name) and "/" not in name else None
