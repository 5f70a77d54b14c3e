"""The models refuse what the API server refuses, so that a config from a file is checked alike.

The manifests are those of tests/api, where a real API server judges them.
"""

import pytest
from pydantic import ValidationError

from longtail_api.kinds import KINDS
from tests.api.manifest_pairs import EXAMPLES, INVALID, VALID, name_of, read

MODELS = {kind.name: kind.model for kind in KINDS}


@pytest.mark.parametrize(
    "file", [file for file in INVALID if len(file.documents) == 1 and not file.server_only], ids=name_of
)
def test_the_models_refuse_it(file):
    (manifest,) = file.documents
    with pytest.raises(ValidationError):
        MODELS[manifest["kind"]].model_validate(manifest)


@pytest.mark.parametrize("file", [*VALID, *map(read, EXAMPLES)], ids=name_of)
def test_the_models_take_it_and_read_their_own_words_back(file):
    for manifest in file.documents:
        resource = MODELS[manifest["kind"]].model_validate(manifest)
        assert type(resource).model_validate(resource.to_json_dict()) == resource
