"""Every rule of reading, at its exact line and column, by libyaml and by PyYAML's own parser alike."""

from __future__ import annotations

import contextlib
import copy
import gc
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runner import source
from runner.errors import ManifestError, Place
from runner.source import Map, Seq, quick, text
from runner.source.build import DEEPEST

ROOT = Path(__file__).parent.parent

needs_libyaml = pytest.mark.skipif(text.CParser is None, reason="compares libyaml with Python")


@pytest.fixture(params=["quickly", "libyaml", "python"])
def parse(request):
    pure = request.param == "python"
    if not pure and text.CParser is None:
        pytest.skip("this PyYAML has no libyaml")

    def parsed(written):
        data = written if isinstance(written, bytes) else written.encode()
        return source._parsed(data, file="f.yaml", pure=pure, quickly=request.param == "quickly")

    return parsed


@pytest.fixture
def refused(parse):
    """Text → its problems as (code, line, column, message, hint, path)."""

    def problems(written):
        with pytest.raises(ManifestError) as caught:
            parse(written)
        assert caught.value.__context__ is None or caught.value.__suppress_context__ or not _is_foreign(caught.value.__context__)
        return caught.value.problems

    return problems


def _is_foreign(error):
    return type(error).__module__.startswith("yaml")


def _spots(problems):
    return [(problem.code, problem.place.line, problem.place.column) for problem in problems]


class TestValues:
    @pytest.mark.parametrize(
        ("written", "value"),
        [
            *((word, None) for word in ("null", "Null", "NULL", "~")),
            *((word, True) for word in ("true", "True", "TRUE")),
            *((word, False) for word in ("false", "False", "FALSE")),
            *((word, word) for word in ("yes", "no", "on", "off", "Yes", "NO", "On", "y", "n", "nULL", "tRUE")),
            ("16:9", "16:9"),
            ("1:30:00", "1:30:00"),
            ("2026-11-21", "2026-11-21"),
            ("2026-11-21T01:02:03Z", "2026-11-21T01:02:03Z"),
            ("012", 12),
            ("0o14", 12),
            ("0xfF", 255),
            ("0b11", "0b11"),
            ("1_000", "1_000"),
            ("-7", -7),
            ("+7", 7),
            ("-0", 0),
            ("0o8", "0o8"),
            ("-0x1", "-0x1"),
            ("1.5", 1.5),
            ("-.5", -0.5),
            ("1.", 1.0),
            ("1e3", 1000.0),
            ("1E+3", 1000.0),
            ("12e03", 12000.0),
            ("1.2.3", "1.2.3"),
            (".", "."),
            ("1e", "1e"),
            ("Infinity", "Infinity"),
            ("nan", "nan"),
            ("=", "="),
            ('"16"', "16"),
            ("'true'", "true"),
            ("''", ""),
            ("!!str 16", "16"),
            ("!!str", ""),
            ("! 16", "16"),
            ('!!int "16"', 16),
            ("!!float 1", 1.0),
            ("!!bool 'true'", True),
            ("!!null ''", None),
            ("!!seq [1]", [1]),
            ("!!map {a: 1}", {"a": 1}),
            ("!<tag:yaml.org,2002:str> 1", "1"),
            ("|\n  1\n", "1\n"),
            (">-\n  a\n  b\n", "a b"),
            ("a\tb", "a\tb"),
            ("[a?b, http://x:8/]", ["a?b", "http://x:8/"]),
        ],
    )
    def test_the_core_schema_decides(self, parse, written, value):
        found = parse(f"k: {written}\n").data["k"]
        assert found == value
        assert type(found) in (type(value), Map, Seq)

    def test_a_float_stays_one(self, parse):
        assert isinstance(parse("k: !!float 1").data["k"], float)
        assert isinstance(parse("k: 1.0").data["k"], float)

    def test_equal_texts_are_one_object(self, parse):
        first, second = parse("- {model: wan2.7-t2v}\n- {model: wan2.7-t2v}\n").data
        assert first["model"] is second["model"]
        assert next(iter(first)) is next(iter(second))
        first, second = parse("- {'mo del': 1}\n- {'mo del': 2}\n").data
        assert next(iter(first)) is next(iter(second))

    def test_json_is_yaml(self, parse):
        data = {"a": [1, 2.5, None, True, "é"], "b": {"c": "x/y\n", "d": {}}, "e": []}
        for indent in (None, 1, "\t"):
            assert parse(json.dumps(data, indent=indent)).data == data
            assert parse(json.dumps(data, indent=indent, ensure_ascii=False)).data == data
        assert parse(r'{"a": "x\/y"}').data == {"a": "x/y"}

    def test_json_writes_what_lies_beyond_the_basic_plane_as_two_escapes(self, parse):
        written = json.dumps({"😀 key": "a 😀 b 🎬", "after": ["\\ud83d\\ude00", "𠀋"]})
        assert "\\ud83d\\ude00" in written
        found = parse(written)
        assert found.data == {"😀 key": "a 😀 b 🎬", "after": ["\\ud83d\\ude00", "𠀋"]}
        assert found.place(["after", 1]).column == written.index('"\\ud840') + 1

    def test_two_such_escapes_are_only_read_so_in_json(self, parse):
        assert parse(r"{a: '\ud83d\ude00'}").data == {"a": r"\ud83d\ude00"}

    @pytest.mark.parametrize("char", ["\u2028", "\u2029", "\x85", "\ufeff"])
    def test_no_line_break_but_those_of_yaml_1_2(self, parse, char):
        found = parse(f"a: x{char}y\nb: '{char}'\nc: 1\n")
        assert found.data == {"a": f"x{char}y", "b": char, "c": 1}
        assert found.place(["c"]) == Place("f.yaml", 3, 4)

    def test_private_characters_pass(self, parse):
        written = "a: \ue000\u2028\ue001\ue002\n"
        assert parse(written).data == {"a": "\ue000\u2028\ue001\ue002"}

    def test_a_byte_order_mark_takes_no_column(self, parse):
        found = parse(b"\xef\xbb\xbfa: 1\n")
        assert found.data == {"a": 1}
        assert found.data.place_of_key("a") == Place("f.yaml", 1, 1)

    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    def test_line_breaks_of_every_system(self, parse, newline):
        found = parse(newline.join(["# note", "a: 1", "b: |", "  x", "  y", "c: 2", ""]))
        assert found.data == {"a": 1, "b": "x\ny\n", "c": 2}
        assert found.place(["c"]) == Place("f.yaml", 6, 4)

    def test_anchors_share(self, parse):
        data = parse("a: &x {p: 1}\nb: *x\nc: &x 2\nd: *x\n").data
        assert data == {"a": {"p": 1}, "b": {"p": 1}, "c": 2, "d": 2}
        assert data["a"] is data["b"]

    def test_anchored_and_tagged_and_quoted_keys_are_texts(self, parse):
        assert parse("- &k a: 1\n- *k : 2\n  !!str 5: 2\n  '6': 3\n").data == [{"a": 1}, {"a": 2, "5": 2, "6": 3}]

    def test_a_quoted_key_does_not_make_a_plain_one_text(self, refused):
        assert _spots(refused("- {'5': a}\n- {5: b}\n")) == [("E004", 2, 4)]


class TestPlaces:
    TEXT = (
        "title: 'A film'\n"
        "shots:\n"
        "  - id: s010\n"
        "    prompt: |\n"
        "      灯塔\n"
        "    media: {first_frame: a.png, 'é😀': [1, two]}\n"
        "  -   id: s020\n"
        "empty:\n"
        "? odd\n"
        ": value\n"
        "tagged: !!str x\n"
        "anchored: &a x\n"
        "alias:  *a\n"
    )

    @pytest.mark.parametrize(
        ("path", "line", "column"),
        [
            ([], 1, 1),
            (["title"], 1, 8),
            (["shots"], 3, 3),
            (["shots", 0], 3, 5),
            (["shots", 0, "id"], 3, 9),
            (["shots", 0, "prompt"], 4, 13),
            (["shots", 0, "media"], 6, 12),
            (["shots", 0, "media", "first_frame"], 6, 26),
            (["shots", 0, "media", "é😀"], 6, 39),
            (["shots", 0, "media", "é😀", 1], 6, 43),
            (["shots", 1], 7, 7),
            (["shots", 1, "id"], 7, 11),
            (["empty"], 8, 7),
            (["odd"], 10, 3),
            (["tagged"], 11, 9),
            (["anchored"], 12, 11),
            (["alias"], 13, 9),
        ],
    )
    def test_of_a_value(self, parse, path, line, column):
        assert parse(self.TEXT).place(path) == Place("f.yaml", line, column)

    @pytest.mark.parametrize(
        ("path", "line", "column"),
        [
            (["nothing"], 1, 1),
            (["shots", 0, "model"], 3, 5),
            (["shots", 1, "media", "first_frame"], 7, 7),
            (["shots", 9], 3, 3),
            (["shots", -1], 3, 3),
            (["shots", -1, "id"], 3, 3),
            (["shots", "id"], 3, 3),
            (["title", "x"], 1, 8),
            ([0], 1, 1),
        ],
    )
    def test_of_what_is_missing_is_that_of_what_lacks_it(self, parse, path, line, column):
        assert parse(self.TEXT).place(path) == Place("f.yaml", line, column)

    def test_of_keys_and_containers(self, parse):
        data = parse(self.TEXT).data
        assert data.place_of_key("shots") == Place("f.yaml", 2, 1)
        assert data.place_of_key("missing") == data.place() == data.place("missing") == Place("f.yaml", 1, 1)
        shot = data["shots"][0]
        assert shot.place_of_key("media") == Place("f.yaml", 6, 5)
        assert (shot.file, shot.line, shot.column) == ("f.yaml", 3, 5)
        assert shot["media"].place_of_key("é😀") == Place("f.yaml", 6, 33)
        assert data["shots"].place() == Place("f.yaml", 3, 3)
        assert data["shots"].place(1) == Place("f.yaml", 7, 7)
        assert data["shots"].place(2) == data["shots"].place(-1) == Place("f.yaml", 3, 3)

    def test_outlive_a_copy(self, parse):
        twin = copy.deepcopy(parse(self.TEXT).data)
        assert twin["shots"][0].place("id") == Place("f.yaml", 3, 9)

    def test_are_plain_data_to_everyone_else(self, parse):
        data = parse("a: {b: [1, 2]}").data
        assert isinstance(data["a"], dict)
        assert isinstance(data["a"]["b"], list)
        assert json.loads(json.dumps(data)) == data == {"a": {"b": [1, 2]}}

    def test_an_empty_map_can_be_made(self):
        assert Map() == {}
        assert Map().place("a") == Place("", 1, 1)

    def test_a_scalar_alone_has_one_too(self, parse):
        found = parse("hello\n")
        assert found.data == "hello"
        assert found.place(["a"]) == Place("f.yaml", 1, 1)

    def test_of_many_keys_are_found_in_a_moment(self, parse):
        data = parse("".join(f"k{number}: {number}\n" for number in range(3000))).data
        assert all(data.place(f"k{number}").line == number + 1 for number in range(3000))


class TestSyntax:
    """E001: in plain words, at the place to mend."""

    @pytest.mark.parametrize(
        ("written", "line", "column", "fact", "hint"),
        [
            ("a:\n\tb: 1\n", 2, 1, "a tab is used for indentation", "spaces"),
            ("a: 1\n\tb: 2\n", 2, 1, "a tab is used for indentation", "spaces"),
            ("a: |\n  x\n\ty\n", 3, 1, "a tab is used for indentation", "spaces"),
            ("prompt: A man: old\n", 1, 14, "a colon and a space within a text look like a second key", "in quotes"),
            ("a: 1\n  b: 2\n", 2, 4, "a key cannot stand here", "indented too far"),
            ("a: 1\nprompt\nb: 2\n", 2, 1, 'a colon is missing after "prompt"', "key: value"),
            ("a: 1\nprompt", 2, 1, 'a colon is missing after "prompt"', "key: value"),
            ("a: 1\nb: 'x\nc: 1\n", 2, 4, "the quote opened here is never closed", "end the text with '"),
            ('a: "x\nc: 1', 1, 4, "the quote opened here is never closed", 'end the text with "'),
            ("a: 'x\n---\n'\n", 1, 4, "the quote opened here is never closed", "end"),
            ("a: [1, 2\n", 1, 4, 'the "[" opened here is never closed', 'close it with "]"'),
            ("a: {b: 2", 1, 4, 'the "{" opened here is never closed', 'close it with "}"'),
            ("a: [1, 2\nb: 3\n", 2, 2, 'a comma or "]" is missing before this', "line 1, column 4"),
            ('{"a": 1 "b": 2}', 1, 12, 'a comma or "}" is missing before this', "line 1, column 1"),
            ("a: [1,", 1, 7, 'the file ends here, but a "[" or "{" is still open', "close it"),
            ("a: ${b\nc: ]\n", 2, 4, 'a value is missing before "]"', "needs quotes"),
            ("a: @x\n", 1, 4, 'a text cannot begin with "@"', "in quotes"),
            ("a: `x\n", 1, 4, 'a text cannot begin with "`"', "in quotes"),
            ("a: %x\n", 1, 4, 'a text cannot begin with "%"', "in quotes"),
            ("a: ** bold\n", 1, 4, 'a text cannot begin with "*"', "in quotes"),
            ("a: & x\n", 1, 4, 'a text cannot begin with "&"', "in quotes"),
            ("%x\n", 1, 1, 'a line that begins with "%" is not understood', "quotes"),
            ("a: - b\n", 1, 4, "a list cannot begin here", "new line"),
            ("a: ? b\n", 1, 4, 'a text cannot begin with "? "', "in quotes"),
            ("{a:}\n", 1, 3, "a colon that ends a key is followed by a space", "key: value"),
            ('a: "C:\\qux"\n', 1, 7, '"\\q" is no escape', "single quotes"),
            ('a: "\\n\\xZZ"\n', 1, 7, '"\\x" is no escape', "single quotes"),
            ('a: "é\\ud800"\n', 1, 6, '"\\u" is no escape', "single quotes"),
            ("a: | x\n b\n", 1, 6, "the text begins in the next line", "move it there"),
            ("a:\n  b: 1\n c: 2\n", 3, 2, "indented by 1, those it belongs to (from line 1) by 0", "same column"),
            ("- a\n- b\nc: 1\n", 3, 1, "a list item is expected here: the list begins in line 1", None),
            ("a: 1\n- b\n", 2, 1, "a list item stands among the keys of the mapping that begins in line 1", "own"),
            ("a: 'it's'\n", 1, 8, "there is more text after the value", "quotes"),
            ("a: 1\n: x\n", 2, 1, 'a "key: value" is expected here', None),
            ("[1] x\n", 1, 5, "this follows after the end of the data", "one mapping"),
        ],
    )
    def test_is_explained(self, refused, written, line, column, fact, hint):
        (problem,) = refused(written)
        assert (problem.code, problem.place) == ("E001", Place("f.yaml", line, column))
        assert fact in problem.message
        assert (hint is None) if problem.hint is None else hint in problem.hint

    def test_comes_with_the_problems_before_it(self, refused):
        assert _spots(refused("a: 1\na: .inf\nb: !x 1\nc: {d: 1, d: 2, e: [\n")) == [
            ("E002", 2, 1),
            ("E004", 2, 4),
            ("E004", 3, 4),
            ("E002", 4, 11),
            ("E001", 5, 1),
        ]


class TestDuplicates:
    def test_all_are_told_with_the_line_of_the_first(self, refused):
        problems = refused("title: a\nshots:\n  - {id: s1, takes: 1, id: s2}\n  - id: s3\n    id: s4\n    id: s5\ntitle: b\n")
        assert _spots(problems) == [("E002", 3, 24), ("E002", 5, 5), ("E002", 6, 5), ("E002", 7, 1)]
        assert problems[0].message == 'the key "id" stands here again; the first is in line 3'
        assert problems[2].message == 'the key "id" stands here again; the first is in line 4'
        assert [problem.path for problem in problems] == ["/shots/0/id", "/shots/1/id", "/shots/1/id", "/title"]

    def test_quoted_or_plain_is_the_same(self, refused):
        assert _spots(refused("a: 1\n'a': 2\n\"a\": 3\n")) == [("E002", 2, 1), ("E002", 3, 1)]

    def test_what_stands_under_them_is_read_as_well(self, refused):
        assert _spots(refused("a: 1\na: {b: .nan}\n")) == [("E002", 2, 1), ("E004", 2, 8)]

    def test_same_keys_elsewhere_are_none(self, parse):
        assert parse("a: {a: 1}\nb: {a: 1}\n").data == {"a": {"a": 1}, "b": {"a": 1}}


class TestEncoding:
    """E003."""

    def test_a_foreign_byte_has_its_line_and_column(self, refused):
        (problem,) = refused("a: 1\nb: 灯塔 caf".encode() + b"\xe9\n")
        assert (problem.code, problem.place) == ("E003", Place("f.yaml", 2, 10))
        assert problem.message == "byte 0xe9 (number 19 of the file) is not UTF-8"

    def test_also_behind_a_byte_order_mark_and_other_line_breaks(self, refused):
        assert _spots(refused(b"\xef\xbb\xbf\xff")) == [("E003", 1, 1)]
        assert _spots(refused(b"a: 1\r\nb: 2\rc: \xff")) == [("E003", 3, 4)]

    @pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
    def test_wide_encodings_are_named(self, refused, codec):
        (problem,) = refused("a: 1\n".encode(codec))
        assert (problem.code, problem.place) == ("E003", Place("f.yaml", 1, 1))
        assert ("UTF-32" if codec == "utf-32" else "UTF-16") in problem.message

    @pytest.mark.parametrize("char", ["\0", "\x07", "\x1b", "\x7f", "\x80", "\x9f", "\ufffe", "\uffff"])
    def test_control_characters(self, refused, char):
        (problem,) = refused(f"a: 1\na: 2\nb: '😀{char}'\n")
        assert (problem.code, problem.place) == ("E003", Place("f.yaml", 3, 6))
        assert f"U+{ord(char):04X}" in problem.message

    def test_are_counted(self, refused):
        assert refused("a: \0\nb: \0\n")[0].message == "the control character U+0000, the first of 2"


class TestRefused:
    """E004."""

    @pytest.mark.parametrize(
        ("written", "line", "column", "fact", "path"),
        [
            ("a:\n- !x b\n", 2, 3, 'unknown tag "!x"', "/a/0"),
            ("a: !!python/object/apply:os.system [x]\n", 1, 4, 'unknown tag "!!python/object/apply:os.system"', "/a"),
            ("a: !!set {x}\n", 1, 4, 'unknown tag "!!set"', "/a"),
            ("a: !!binary aGk=\n", 1, 4, 'unknown tag "!!binary"', "/a"),
            ("a: !!timestamp 2026-11-21\n", 1, 4, 'unknown tag "!!timestamp"', "/a"),
            ("a: !!seq {}\n", 1, 4, 'unknown tag "!!seq"', "/a"),
            ("a: !!str [x]\n", 1, 4, 'unknown tag "!!str"', "/a"),
            ("a: !e!x 1\n", 1, 4, 'unknown tag "!e!x"', ""),
            ("a: !int 1\n", 1, 4, 'unknown tag "!int"', "/a"),
            ("a: !!int x\n", 1, 4, '"x" is no !!int', "/a"),
            ("a: !!int 1.5\n", 1, 4, '"1.5" is no !!int', "/a"),
            ("a: !!float true\n", 1, 4, '"true" is no !!float', "/a"),
            ("a: !!bool yes\n", 1, 4, '"yes" is no !!bool', "/a"),
            ("a: 1\n---\nb: 2\n", 2, 1, "a second document begins here", ""),
            ("a: 1\n--- \n", 2, 1, "a second document begins here", ""),
            ("12: a\n", 1, 1, "the key 12 is a number, not a text", "/12"),
            ("1.5: a\n", 1, 1, "the key 1.5 is a number", "/1.5"),
            ("x: {true: a}\n", 1, 5, "the key true is a boolean", "/x/true"),
            ("~: a\n", 1, 1, "the key ~ is null", "/~0"),
            ("[a]: b\n", 1, 1, "a list cannot be a key", ""),
            ("a: {{x}}\n", 1, 5, "a mapping cannot be a key", "/a"),
            (".inf: a\n", 1, 1, ".inf is no number to work with", "/.inf"),
            ("- &a 1\n- *a : 2\n", 2, 3, "the key *a is a number, not a text", "/1"),
            ("&a b: [*a]\n*c : 1\n", 2, 1, 'nothing is named "&c" before this', ""),
            ("a: *b\n", 1, 4, 'nothing is named "&b" before this', "/a"),
            ("a: &x\n  b: [*x]\n", 2, 7, '"*x" stands within what it names', "/a/b/0"),
            ("a: .inf\n", 1, 4, ".inf is no number to work with", "/a"),
            ("a: -.INF\n", 1, 4, "-.INF is no number", "/a"),
            ("a: .NaN\n", 1, 4, ".NaN is no number", "/a"),
            ("a: 1e999\n", 1, 4, "1e999 is too large a number", "/a"),
            ("a: " + "9" * 5000, 1, 4, "a number of 5,000 digits is too long", "/a"),
            ("a: 0x" + "f" * 5000, 1, 4, "is too long", "/a"),
            ("a: !!int " + "9" * 5000, 1, 4, "is too long", "/a"),
            ("9" * 500 + ": a\n", 1, 1, "a number of 500 digits is too long", "/" + "9" * 500),
            ("a: " + "9" * 5000 + ".5", 1, 4, "is too large a number", "/a"),
            ("<<: {a: 1}\n", 1, 1, 'the merge key "<<" is not read', "/<<"),
        ],
    )
    def test_with_its_place(self, refused, written, line, column, fact, path):
        (problem,) = refused(written)
        assert (problem.code, problem.place) == ("E004", Place("f.yaml", line, column))
        assert fact in problem.message
        assert problem.path == path
        assert len(problem.message) < 200

    def test_the_merge_key_has_a_way_out(self, refused):
        (problem,) = refused("d: &d {x: 1}\ns:\n  - <<: *d\n    y: 2\n")
        assert problem.place == Place("f.yaml", 3, 5)
        assert "defaults:" in problem.hint
        assert problem.path == "/s/0/<<"

    def test_in_quotes_it_is_a_key_like_any(self, parse):
        assert parse("'<<': 1").data == {"<<": 1}

    def test_all_at_once_in_the_order_of_the_file(self, refused):
        assert _spots(refused("b: !x 1\n3: .nan\na: 1\na: *q\n---\n")) == [
            ("E004", 1, 4),
            ("E004", 2, 1),
            ("E004", 2, 4),
            ("E002", 4, 1),
            ("E004", 4, 4),
            ("E004", 5, 1),
        ]

    @pytest.mark.parametrize("written", ["", "\n\n", "# nothing\n", "---\n", "null\n", "~", b"\xef\xbb\xbf", "--- # x\n...\n"])
    def test_an_empty_file_is_told_of_init(self, refused, written):
        (problem,) = refused(written)
        assert problem.code == "E004"
        assert "nothing in this file" in problem.message
        assert "callsheet init" in problem.hint

    def test_an_anchor_is_guessed(self, refused):
        assert refused("a: &common 1\nb: *comon\n")[0].hint == 'did you mean "*common"?'


class TestBombs:
    @pytest.mark.parametrize("opener", ["[", "{", "[{a: ", "- ", "{a: ", "? "])
    @pytest.mark.parametrize("count", [DEEPEST + 1, 100_000])
    def test_nesting_is_a_problem_and_no_crash(self, refused, opener, count):
        problems = refused(opener * count)
        assert problems[-1].code == "E004" or problems[0].code == "E001"
        if opener not in ("{", "? "):
            assert problems[0].message == f"nested more than {DEEPEST} levels deep"
            assert problems[0].place.line == 1

    def test_the_place_of_the_level_too_many(self, parse, refused):
        assert parse("[" * DEEPEST + "]" * DEEPEST).data
        (problem,) = refused("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1))
        assert problem.place.column == DEEPEST + 1

    def test_nesting_by_lines(self, refused):
        written = "".join("  " * level + "a:\n" for level in range(DEEPEST + 1))
        (problem,) = refused(written + "  " * (DEEPEST + 1) + "b: 1\n")
        assert problem.place == Place("f.yaml", DEEPEST + 1, 2 * DEEPEST + 1)

    def test_nesting_by_aliases(self, parse, refused):
        chain = ["- &a0 [x]\n", *(f"- &a{level + 1} [*a{level}]\n" for level in range(200))]
        assert parse("".join(chain[: DEEPEST - 1])).data
        (problem,) = refused("".join(chain))
        assert "aliases" in problem.message
        assert problem.place.line == DEEPEST

    def test_nine_lines_of_laughter(self, refused):
        lines = ["a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
        lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 9)]
        (problem,) = refused("\n".join(lines))
        assert problem.code == "E004"
        assert "aliases make 1," in problem.message
        assert problem.place == Place("f.yaml", 9, 10)

    def test_a_long_one_costs_nothing(self, refused):
        lines = ["- &a0 x", *(f"- &a{level} [{', '.join([f'*a{level - 1}'] * 50)}]" for level in range(1, 60))]
        assert "more than 1,000,000,000,000 values" in refused("\n".join(lines))[0].message

    def test_the_limit_is_ten_times_and_a_hundred_thousand(self, parse, refused):
        # 1 + 2 + 1000 written values, and each alias is one written and 1000 more.
        def written(aliases):
            return "a: &a [" + "x, " * 1000 + "]\nb: [" + "*a, " * aliases + "]\n"

        most = (100_000 + 9 * 1003) // (1000 - 9)
        assert parse(written(most)).data
        (problem,) = refused(written(most + 1))
        assert problem.place == Place("f.yaml", 2, 5)


class TestReading:
    """E005, and what places say."""

    def test_places_are_named_from_the_working_folder(self, tmp_path, monkeypatch):
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "x.yaml").write_text("a: {b: 1}\n")
        monkeypatch.chdir(tmp_path)
        found = source.read(Path("sub/x.yaml"))
        assert found.file == "sub/x.yaml"
        assert source.read(tmp_path / "sub" / "x.yaml").data["a"].place("b") == Place("sub/x.yaml", 1, 8)
        assert source.read(tmp_path / "sub" / "x.yaml", shown="my.yaml").data.place() == Place("my.yaml", 1, 1)
        monkeypatch.chdir(tmp_path / "sub")
        assert source.read(Path("x.yaml")).file == "x.yaml"

    def _refused(self, path):
        with pytest.raises(ManifestError) as caught:
            source.read(path)
        assert caught.value.exit_code == 2
        (problem,) = caught.value.problems
        assert problem.code == "E005"
        assert (problem.place.line, problem.place.column) == (1, 1)
        return problem

    def test_a_missing_file(self, tmp_path):
        for name in ("lighthouse.callsheet.yaml", "harbour.callsheet.yaml"):
            (tmp_path / name).write_text("a: 1")
        problem = self._refused(tmp_path / "lighthose.callsheet.yaml")
        assert problem.message == 'there is no file "lighthose.callsheet.yaml"'
        assert problem.hint == 'did you mean "lighthouse.callsheet.yaml"?'
        assert self._refused(tmp_path / "lighthouse").hint == 'did you mean "lighthouse.callsheet.yaml"?'
        assert self._refused(tmp_path / "har").hint == 'did you mean "harbour.callsheet.yaml"?'
        assert self._refused(tmp_path / "zzz").hint == "there are harbour.callsheet.yaml, lighthouse.callsheet.yaml"

    def test_a_missing_file_in_an_empty_folder(self, tmp_path):
        assert "callsheet init" in self._refused(tmp_path / "x.callsheet.yaml").hint

    def test_a_missing_folder(self, tmp_path):
        assert "there is no folder" in self._refused(tmp_path / "no" / "x.yaml").message

    def test_a_folder(self, tmp_path):
        (tmp_path / "a.callsheet.yaml").write_text("a: 1")
        problem = self._refused(tmp_path)
        assert "is a folder" in problem.message
        assert problem.hint == "there is a.callsheet.yaml"

    @pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads everything")
    def test_no_permission(self, tmp_path):
        path = tmp_path / "x.yaml"
        path.write_text("a: 1")
        path.chmod(0)
        assert "may not be read" in self._refused(path).message

    def test_a_name_that_no_file_can_have(self, tmp_path):
        assert "cannot be read" in self._refused(tmp_path / "a\0b").message
        assert "cannot be read" in self._refused(tmp_path / ("x" * 5000)).message

    def test_a_file_in_place_of_a_folder(self, tmp_path):
        (tmp_path / "f").write_text("a: 1")
        assert "cannot be read" in self._refused(tmp_path / "f" / "x.yaml").message

    def test_no_garbage_is_looked_for_meanwhile(self):
        phases = []
        gc.callbacks.append(lambda phase, _info: phases.append(phase))
        try:
            gc.collect()
            phases.clear()
            found = source._parsed(b"[" + b"{a: []}, " * 3000 + b"]", file="f")
            during = len(phases)
        finally:
            gc.callbacks.pop()
        assert len(found.data) == 3000
        assert during <= 2  # at most the one that was due when it was switched on again

    @pytest.mark.parametrize("was_on", [True, False])
    @pytest.mark.parametrize("written", [b"a: 1", b"a: ["])
    def test_the_collector_is_left_as_it_was(self, was_on, written):
        try:
            (gc.enable if was_on else gc.disable)()
            with contextlib.suppress(ManifestError):
                source.parse(written, file="f")
            assert gc.isenabled() is was_on
        finally:
            gc.enable()

    def test_without_libyaml(self):
        code = (
            "import sys; sys.modules['yaml._yaml'] = None\n"
            "from runner import source\n"
            "from runner.source import text\n"
            "assert text.CParser is None\n"
            "print(source.parse(b'a:\\n  - b: 16:9', file='f').place(['a', 0, 'b']))"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "f:2:8"


SAFE = st.text(st.characters(exclude_categories=["Cs", "Cn"], exclude_characters="\ufeff"), max_size=12)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | SAFE
    | st.sampled_from(["no", "16:9", "012", "0o7", "2026-11-21", "<<", "~", "null", "1e3", ".inf", "=", "a: b", "x #y", "- z", "1_0", "\u2028"])
)  # fmt: skip
DATA = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SAFE, inner, max_size=4), max_leaves=12)


class _Quoting(yaml.SafeDumper):
    """Quotes every text, since YAML 1.1 and 1.2 do not agree on those that need it, and shares nothing."""

    def ignore_aliases(self, _data):
        return True


_Quoting.add_representer(str, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:str", value, style='"'))
_Quoting.add_representer(float, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:float", repr(value)))


class TestProperties:
    @given(DATA)
    def test_what_is_written_is_read(self, data):
        written = yaml.dump({"data": data}, Dumper=_Quoting, allow_unicode=True)
        for pure in (False, True):
            assert source._parsed(written.encode(), file="f", pure=pure).data == {"data": data}

    @given(DATA)
    def test_json_is_read_as_json_does(self, data):
        for ascii_only in (True, False):
            written = json.dumps({"data": data}, ensure_ascii=ascii_only).encode()
            if source.text._CONTROL.search(written.decode()):
                continue
            assert source.parse(written, file="f").data == {"data": data}

    @needs_libyaml
    @settings(max_examples=400, derandomize=True)
    @given(
        st.lists(
            st.sampled_from(
                [
                    "a",
                    "b",
                    "1",
                    "x y",
                    " ",
                    "  ",
                    "\n",
                    "\n  ",
                    "\n    ",
                    "\n- ",
                    "\nk: ",
                    ":",
                    ": ",
                    "- ",
                    "-",
                    "[",
                    "]",
                    "{",
                    "}",
                    ",",
                    "'",
                    '"',
                    " #",
                    "#",
                    "&a ",
                    "*a",
                    "!",
                    "!!str ",
                    "!x",
                    ">",
                    "%",
                    "@",
                    "`",
                    "\\",
                    "\\n",
                    "\\ud800",
                    "---",
                    "...",
                    "\r\n",
                    "é",
                    "😀",
                    "~",
                    ".inf",
                    "<<: ",
                    "'q'",
                    '"q"',
                    "\t",
                    "|",
                    "|\n  ",
                ],
            ),
            max_size=14,
        ).map("".join)
    )
    @example("- a\n[ #")
    @example("{b: } #b\n")
    @example("[k: ]\n")
    @example("a: b\t# c\n")
    @example("a: [b?c, d:,\n")
    @example('a: "\\ud800"')
    def test_both_parsers_agree(self, written):
        assert _outcome(written, pure=True) == _outcome(written, pure=False)
        assert _outcome(written, pure=False) == _outcome(written, pure=False, quickly=True)

    @given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
    def test_nothing_but_our_own_errors_leaves(self, data):
        for pure in (False, True):
            problems = _problems(data, pure=pure)
            assert all(problem.message and problem.place.line >= 1 and problem.place.column >= 1 for problem in problems)


def _problems(data, *, pure):
    try:
        source._parsed(data, file="f", pure=pure)
    except ManifestError as error:
        return error.problems
    return ()


def _outcome(written, *, pure, quickly=False):
    try:
        found = source._parsed(written.encode(), file="f", pure=pure, quickly=quickly)
    except ManifestError as error:
        return error.problems
    return _placed(found.data, found.place([]))


def _placed(data, place):
    if isinstance(data, Map):
        return [place, *((key, data.place_of_key(key), _placed(value, data.place(key))) for key, value in data.items())]
    if isinstance(data, Seq):
        return [place, *(_placed(item, data.place(number)) for number, item in enumerate(data))]
    return data, type(data), place


VALUES = [
    "a", "a b", "16:9", "12", "-5", "- 5", "1.5", ".5", "true", "null", "~", "", "a: b", "a:", "a #b", "a#b", "a # c", "# c", "${x} and ${y}",
    '"q"', '"q: #"', '"a\\n"', '"a" b', "'s'", "'it''s'", "'s' # c", "http://a.example/b?c=d#e", "é 长 😀", "\xa0x", "a:\xa0b", "a \xa0", "x\x85", "[a, b]",
    "[a, 16:9, 1]", "[]", "{}", "{a: 1, b: x y}", "{a: [1, {b: c}], d: '}'}", '{a: "x, y"}', "{a: }", "{a: b: c}", "[a b,c]", "[a, ]", "{a b: c}", "[a: b]",
    "[a] # c", "{a: b} x", "[a, 'b'", "&x a", "*x", "!t a", "|", ">", "@a", "%a", "`a", ", a", "? a", "=", "+1", "/a/b", "$a", "<<", "a\t", "...", "---",
]  # fmt: skip
KEYS = ["id", "a", "b", "no", "null", "true", "a-b", "_", "1", '"q"', "a b", "<<", "k" * 99, "k" * 101]
LINE = st.one_of(
    *[
        st.tuples(
            st.sampled_from([0, 0, 2, 2, 4, 4, 6, 1, 3]).map(" ".__mul__),
            st.sampled_from(["", "", "", "- ", "-", "-  ", "- - "]),
            st.sampled_from(KEYS[:4]).map("{}:".format) | st.sampled_from(KEYS).map("{}:".format) | st.just(""),
            st.sampled_from([" ", " ", "  ", ""]),
            st.sampled_from(VALUES) | st.just(""),
            st.sampled_from(["", "", "", " ", " # c"]),
        ).map("".join)
    ]
    * 5,
    st.sampled_from(["", "  ", "# c", "    # c", "#", "---", "..."]),
)
# Lines as manifests have them, of which few are refused.
CALM = st.tuples(
    st.sampled_from(
        [
            ("", "a"),
            ("", "b"),
            ("  ", "a"),
            ("  ", "b"),
            ("  - ", "a"),
            ("- ", "a"),
            ("    ", "b"),
            ("    ", "c"),
            ("      ", "d"),
        ]
    ),
    st.sampled_from(["", " 1", " x y", ' "q # q"', " [a, 16:9]", " {a: {b: c}, d: e}", "  # c", " '' # c"]),
).map(lambda parts: f"{parts[0][0]}{parts[0][1]}:{parts[1]}")


AGAIN = [
    "a: 1", "a: one", "b: [1, {c: d}]", "b: {c: [d]}", 'c: "x: # y"', "c: 'x'  # y", "d:\n      e: 1\n      f: 1", "d:\n    - 1\n    - {a: 1}",
    "e:\n      - a: 1\n        b: [1, {c: d}]\n      - a: 1", "f: x y #z",
]  # fmt: skip


def _texts(data):
    if isinstance(data, str):
        yield data
    for part in (*data.keys(), *data.values()) if isinstance(data, dict) else data if isinstance(data, list) else ():
        yield from _texts(part)


class TestReadQuickly:
    """Whatever the line by line reader takes is what libyaml reads, value by value and place by place."""

    @needs_libyaml
    @settings(max_examples=1500, deadline=None, derandomize=True, database=None)
    @given(st.lists(LINE, min_size=1, max_size=6) | st.lists(CALM, min_size=1, max_size=8), st.sampled_from(["\n", "", "\n\n"]))
    @example(["a:", "- 1", "- b: c", "  d:", "  - e", "f: g"], "\n")
    @example(["a:", "  - b:", "      c: d", "    e:", "    - f"], "")
    @example(["a: b", "  c"], "\n")
    @example(["a:", "", "# c", "  b: c"], "\n")
    @example(["  a: b"], "\n")
    @example(["a: b", " c: d"], "\n")
    @example(["a:", "  b: c", " d: e"], "\n")
    @example(["a: b", "- c"], "\n")
    @example(["- a"], "\n")
    def test_lines(self, lines, end):
        self.agree("\n".join(lines) + end)

    def agree(self, written):
        found = quick.read(written, "f")
        if found is not None:
            ours = source.Source(file="f", data=found)
            assert _placed(found, ours.place([])) == _outcome(written, pure=False)
            assert all(said in written for said in _texts(found)), "a text that does not stand in the file letter by letter"
        return found is not None

    @needs_libyaml
    @settings(max_examples=300, deadline=None, derandomize=True, database=None)
    @given(
        st.lists(st.lists(st.sampled_from(AGAIN), min_size=1, max_size=4, unique_by=lambda line: line[0]), min_size=2, max_size=6)
    )
    def test_lines_that_come_again(self, items):
        told = ["shots:", *(f"{'    ' if number else '  - '}{line}" for item in items for number, line in enumerate(item))]
        assert self.agree("\n".join(told))

    @needs_libyaml
    def test_files_of_ours_with_a_character_more_or_less(self):
        chance = random.Random(1)
        taken = 0
        for path in sorted(path for folder in ("manifests", "tests", "schemas") for path in (ROOT / folder).rglob("*.yaml")):
            try:
                written = text.decoded(path.read_bytes())
            except text.Unreadable:
                continue
            is_taken = self.agree(written)
            assert self.agree(written.replace("\n", "\r\n")) == is_taken, "lines of Windows are lines"
            taken += is_taken
            for _ in range(20):
                at = chance.randrange(len(written) + 1)
                self.agree(written[:at] + chance.choice(" :#-\r\n'\"{}[],a&") + written[at:])
                self.agree(written[:at] + written[at + 1 :])
        assert taken > 20

    @pytest.mark.parametrize("line", ["k: 一座灯塔，黄昏", "k: é", "k: 😀 x", "- [长, k, é]", "k: {a: 长 b}"])  # noqa: RUF001
    def test_texts_in_any_script(self, line):
        assert self.agree(f"a: b\nc:\n  {line}\n")

    @pytest.mark.parametrize(
        "line", ["{} : b", "k: {}: b", 'k: "{}', "k: [{}", "k: {{a: {}", "- {}: # :", "{}: : {}", "k: a#{}#: "]
    )
    @pytest.mark.parametrize("filling", ["a", ":a", "a#", " ", "a ", "[", "- "])
    def test_a_long_line_is_looked_at_once(self, line, filling):
        """Quadratic work over this many characters would not end before the suite's patience does."""
        self.agree("a: b\n" + line.format(filling * 200_000, "a") + "\n")

    @pytest.mark.parametrize(
        "written",
        ["a: 1\n", "a:\n- b: [c, {d: e}] # f\n  g: 'h'\n\n# i\nj: \"k\"", "a:\n  b:\n    - c: 16:9\n      d: ${e} f\n  g: h\n"],
    )
    def test_plain_manifests_are_its_own(self, written):
        assert self.agree(written)
