"""Figures of the fault tests, for the page; and safeguards taken out on request."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.faults import without

for _name in filter(None, os.environ.get("CALLSHEET_WITHOUT", "").split(",")):
    without.take_out(_name)


class Figures:
    """What the tests counted; a line each in the file that CALLSHEET_FIGURES names."""

    def add(self, kind: str, name: str, **counted) -> None:
        if target := os.environ.get("CALLSHEET_FIGURES"):
            with Path(target).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"kind": kind, "name": name, **counted}) + "\n")
        print(f"{kind}: {name}: {counted}")


@pytest.fixture(scope="session")
def figures():
    return Figures()


@pytest.fixture(scope="session")
def workers(tmp_path_factory):
    """A map over processes that can be killed."""
    from tests.faults import pool  # starts nurseries: only for tests that kill

    with pool.workers(tmp_path_factory.mktemp("workers")) as together:
        yield together
