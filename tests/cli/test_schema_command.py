from __future__ import annotations

import json

import pytest

from gpucnn.cli.schema import schema
from gpucnn.config.schema import json_schema


def test_the_schema_is_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    schema()
    out, err = capsys.readouterr()
    assert json.loads(out) == json_schema()
    assert out.endswith("}\n")
    assert err == ""
