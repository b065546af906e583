"""Tables: where the values of a line of JSON stand, found in one look as the YAML reader finds them; signs that are no commas."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import runner
from runner import source, tables
from runner.errors import ManifestError

SCALARS = st.text(max_size=8) | st.sampled_from(['"', "\\", '\\"', "a: 1, b", "{", "}", "é😀"]) | st.integers() | st.booleans()
LINES = st.builds(
    lambda values, gap, ascii_only, before: " " * before + json.dumps(values, separators=gap, ensure_ascii=ascii_only),
    st.dictionaries(
        st.sampled_from(["a", "b_c", "D-1", '"', "é", "\\n"]) | st.text(max_size=3), SCALARS | st.just(0.5), max_size=5
    ),
    st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]),
    st.booleans(),
    st.integers(0, 3),
)


def test_values_of_a_line_stand_where_the_yaml_reader_finds_them():
    compared = 0

    @settings(max_examples=500, deadline=None, database=None)
    @given(line=LINES)
    def agree(line):
        nonlocal compared
        values = json.loads(line)
        found = tables._places(line, 7, values, "rows.jsonl")
        assert list(found) == list(values)
        try:
            data = source.parse(line.encode("utf-8", "surrogatepass"), file="rows.jsonl").data
        except ManifestError:  # what JSON takes and YAML does not
            return
        assert found == {name: (7, data.place(name).column) for name in values}
        compared += 1

    agree()
    assert compared > 100


def test_a_name_that_stands_twice_has_no_place_of_its_own():
    line = '{"a": 1, "b": 2, "a": 3}'
    assert tables._places(line, 2, json.loads(line), "rows.jsonl") == {}


@pytest.mark.parametrize(("sign", "word"), [(";", "semicolons"), ("\t", "tabs")])
def test_a_table_that_a_spreadsheet_saved_with_other_signs_is_told_from_a_bad_name(tmp_path, sign, word):
    (tmp_path / "clips.csv").write_text(sign.join(["id", "caption"]) + "\n" + sign.join(["pier", "A pier"]) + "\n")
    path = tmp_path / "film.callsheet.yaml"
    path.write_text("callsheet: 1\nshots: [{id: 'clip-${id}', each: clips.csv, model: wan2.7-t2v, prompt: '${caption}'}]\n")
    with pytest.raises(ManifestError) as caught:
        runner.read(path)
    (problem,) = caught.value.problems
    assert problem.hint == f"save the table with commas between its columns, not {word}"
