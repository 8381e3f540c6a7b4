"""Files that a user names: a candidate directory, its parameters, a task.toml, a replay file, weights."""

import io
import json
import os
import shutil
import zipfile
from pathlib import Path

import msgspec
import numpy as np
import pytest
from fuzzing import both_forms, fuzz, outcome, spoiled, trees
from hypothesis import strategies as st

from toprope.climbers.replay import ReplayClimber
from toprope.run.submit import read_candidate
from toprope.space import Space, choice, linear, log
from toprope.tasks import registry
from toprope.tasks.spec import load_spec
from toprope.types import candidate_id
from toprope_tasks.w2s import lm
from toprope_tasks.w2s.task import DEMO

JSON_TEXT = st.one_of(
    trees.map(lambda t: json.dumps(t, default=str).encode()),
    st.binary(max_size=60),
    st.sampled_from(
        [
            b"[" * 100_000,
            b'{"a":' * 5000,
            b'{"a": ' + b"[" * 600 + b"]" * 600 + b"}",
            b'{"a": 1' + b"0" * 5000 + b"}",
            b'{"a": NaN}',
            b'{"a": 1e999}',
            b'{"a": -Infinity}',
            b'{"a": 18446744073709551615}',
            b'{"a": 18446744073709551616}',
            b'{"a": "\\ud800"}',
            b'{"\\udfff": 1}',
            b"\xef\xbb\xbf{}",
            b'{"a":1,"a":2}',
            b'"' + b"x" * 200_000 + b'"',
            b'{"a": "' + b"x" * 3_000_000 + b'"}',
        ]
    ),
)
NAMES = st.one_of(
    st.sampled_from(
        ["solution.py", "params.json", "a.py", "sub", "sub/b.py", "__pycache__", "x" * 255, " ", "a\nb", "é", "‮"]
    ),
    st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=8),
    st.binary(min_size=1, max_size=6)
    .filter(lambda b: b"/" not in b and b"\0" not in b and b not in (b".", b".."))
    .map(os.fsdecode),
)
KINDS = st.sampled_from(["file"] * 12 + ["folder", "link", "fifo", "deep", "sparse"] * 2 + ["many"])


@pytest.fixture(scope="module")
def spec():
    return registry.load("testing/coin-v1").spec


def planted(folder: Path, things) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for kind, name, data in things:
        path = folder / name
        try:
            path.parent.mkdir(exist_ok=True)
            match kind:
                case "file" if not path.is_fifo():  # nobody reads at the other end
                    path.write_bytes(data)
                case "folder":
                    path.mkdir()
                case "link":
                    path.symlink_to("/etc/passwd")
                case "fifo":
                    os.mkfifo(path)
                case "deep":
                    os.makedirs(path / "/".join("d" * 60), exist_ok=True)
                case "sparse":
                    path.touch()
                    os.truncate(path, 1 << 40)
                case "many":
                    path.mkdir()
                    for i in range(1001):
                        (path / str(i)).touch()
        except OSError:
            continue


@both_forms
def test_candidate_directories(form, spec, tmp_path):
    """Any names, sizes, encodings and kinds of file: a candidate that can be named and sent, or one line."""

    def check(things):
        planted(tmp_path / "c", things)
        candidate, _ = outcome(read_candidate, tmp_path / "c", None, spec)
        if candidate is not None:
            assert "solution.py" in candidate.tree.files
            assert sum(map(len, candidate.tree.files.values())) <= spec.max_tree_bytes
            assert len(candidate.tree.files) <= 1000
            assert msgspec.msgpack.decode(msgspec.msgpack.encode(candidate), type=type(candidate)) == candidate
            assert candidate.id

    thing = st.tuples(KINDS, NAMES, st.binary(max_size=40) | st.just(b"x" * 70_000) | JSON_TEXT)
    solution = st.just(("file", "solution.py", b"x = 1"))
    fuzz("candidate: directories", form, st.lists(thing | solution, max_size=4), check)


@both_forms
def test_params(form, spec, tmp_path):
    """Any bytes as params.json: parameters that survive every trip to the candidate, or one line."""
    folder = tmp_path / "c"
    planted(folder, [("file", "solution.py", b"")])

    def check(data):
        (folder / "params.json").write_bytes(data)
        candidate, _ = outcome(read_candidate, folder, None, spec)
        if candidate is not None:
            packed = msgspec.msgpack.encode(candidate)
            assert msgspec.msgpack.decode(packed, type=type(candidate)) == candidate
            assert candidate_id(candidate.tree.digest, json.loads(json.dumps(candidate.params))) == candidate.id

    fuzz(
        "candidate: params",
        form,
        JSON_TEXT | spoiled(b'{"face": 1, "skill": 0.05, "act": ["ok", null, {"a": true}]}'),
        check,
    )


SHIPPED = registry.installed()["w2s/probe-v1"].folder
assert SHIPPED is not None
TOML = (SHIPPED / "task.toml").read_bytes()


@both_forms
def test_task_toml(form, tmp_path):
    """Any bytes as a task.toml: a spec whose numbers a climb can use, or one line."""
    path = tmp_path / "task.toml"

    def check(data):
        path.write_bytes(data)
        spec, _ = outcome(load_spec, path)
        if spec is not None:
            assert spec.splits.rungs == sorted(set(spec.splits.rungs))
            assert min(*spec.splits.rungs, spec.splits.val_slice, spec.splits.test, spec.splits.generation) >= 1
            assert 0 < spec.limits.wall_s < 1e6 and 0 < spec.limits.cpu_s < 1e6 and 0 < spec.limits.memory_mb < 1e9
            assert 0 < spec.metric.clip < 1e12 and 0 < spec.metric.spread < 1e12

    values = st.sampled_from(
        [
            "0",
            "-1",
            "nan",
            "inf",
            "-inf",
            "[]",
            "[2, 1]",
            "[0]",
            '""',
            "1e400",
            "true",
            "{}",
            "99999999999999999999999",
            "1979-05-27",
            '"\\u0000"',
            "[" * 2000,
            "{a={b=1}}",
        ]
    )
    lines = TOML.decode().splitlines()
    numbered = [i for i, line in enumerate(lines) if "=" in line]

    def assigned(i, value, name):
        new = list(lines)
        new[i] = f"{name or new[i].split('=')[0].strip()} = {value}"
        return "\n".join(new).encode()

    one = st.builds(assigned, st.sampled_from(numbered), values, st.none() | st.sampled_from(["typo", '"a b"', "a.b"]))
    fuzz("task.toml", form, spoiled(TOML) | one | st.binary(max_size=60) | st.just(TOML), check)


SPACE = Space(
    [
        choice("face", [0, 1, 2]),
        linear("skill", 0.0, 1.0, 11, 0.0),
        log("c", 0.1, 10.0, 9, 1.0),
        choice("act", ["ok", None, [1]]),
    ]
)


@both_forms
def test_replay(form, tmp_path):
    """Any bytes as a replay file: rows of the space, each the level that was meant, or one line."""
    path = tmp_path / "rows"

    def check(data):
        path.write_bytes(data)
        climber, _ = outcome(ReplayClimber, SPACE, 0, None, path)
        if climber is not None:
            rows = climber.ask(10_000)
            assert (rows <= SPACE.sizes).all()
            given = [json.loads(line) for line in data.decode().splitlines() if line.strip()]
            assert len(rows) == len(given)
            for row, params in zip(rows, given, strict=True):
                for name, value in params.get("params", params).items():
                    level = SPACE.decode(row)[name]
                    numbers = type(value) in (int, float) and type(level) in (int, float)
                    assert numbers or (type(level) is type(value) and level == value)
                    assert not numbers or abs(value) < float("inf")

    value = st.one_of(
        trees.map(lambda t: json.dumps(t, default=str)),
        st.sampled_from(
            [
                "NaN",
                "Infinity",
                "-Infinity",
                "1e999",
                "0.5",
                "1",
                "true",
                "false",
                "1" + "0" * 400,
                "1" + "0" * 5000,
                '"ok"',
                "null",
                "[1]",
                "[true]",
                "[" * 20_000,
            ]
        ),
    )
    row = st.builds(
        lambda n, v: f'{{"{n}": {v}}}'.encode(), st.sampled_from(["face", "skill", "c", "act", "params", "x"]), value
    )
    fuzz(
        "replay",
        form,
        st.lists(row, max_size=3).map(b"\n".join) | JSON_TEXT | spoiled(b'{"face": 1}\n{"params": {"skill": 0.3}}\n'),
        check,
    )


@pytest.fixture(scope="module")
def arrays():
    with np.load(DEMO) as z:
        return {name: z[name] for name in z.files}


def packed(arrays, header=None, method=zipfile.ZIP_STORED) -> bytes:
    """An .npz; header: member -> bytes that stand in place of its own header."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for name, a in arrays.items():
            member = io.BytesIO()
            np.save(member, a, allow_pickle=True)
            z.writestr(name + ".npy", (header or {}).get(name, b"") or member.getvalue())
    return out.getvalue()


def claiming(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@both_forms
def test_weights(form, arrays, tmp_path):
    """Any bytes as hidden weights: every matrix of its shape and finite, or one line; never what a header claims."""
    path = tmp_path / "w.npz"
    whole = DEMO.read_bytes()
    names = st.sampled_from(sorted(arrays))

    def check(make):
        path.write_bytes(make())
        models, _ = outcome(lm.load, path)
        if models is not None:
            for model, shape in zip(models, (lm.STRONG, lm.WEAK), strict=True):
                assert list(model) == lm.names(shape)
                hidden = lm.states(model, shape, np.zeros((2, 5), np.int64))
                assert hidden.shape == (2, shape.width) and hidden.dtype == np.float32
                assert all(np.isfinite(m).all() for m in model.values())

    def other(name, kind):
        a = arrays[name]
        new = {
            "nan": a * np.nan,
            "inf": np.full_like(a, np.inf),
            "turned": a.T,
            "flat": a.ravel(),
            "none": a[:0],
            "double": a.astype(np.float64),
            "int": a.astype(np.int8),
            "text": a.astype("U8"),
            "object": np.array([{"a": 1}], object),
            "complex": a.astype(np.complex64),
            "scalar": np.float32(1),
            "huge": np.full(a.shape, 1e30),
            "records": np.zeros(3, [("a", "f4")]),
        }[kind]
        return lambda: packed({**arrays, name: new})

    kinds = st.sampled_from(
        [
            "nan",
            "inf",
            "turned",
            "flat",
            "none",
            "double",
            "int",
            "text",
            "object",
            "complex",
            "scalar",
            "huge",
            "records",
        ]
    )
    headers = st.sampled_from(
        [
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }",
            "{'descr': '<f2', 'fortran_order': False, 'shape': (-5, 3), }",
            "{'descr': '|O', 'fortran_order': False, 'shape': (3,), }",
            "{'descr': '<f2'",
            "{" * 3000,
            "",
            "{'descr': '<U1000000000', 'fortran_order': False, 'shape': (), }",
            "__import__('os')",
            "\0" * 9,
            "{'descr': '<f2', 'fortran_order': False, 'shape': (2**70,), }",
            "(" * 200 + ")" * 200,
        ]
    ).map(claiming) | st.binary(max_size=40)
    case = st.one_of(
        spoiled(whole).map(lambda d: lambda: d),
        st.binary(max_size=80).map(lambda d: lambda: d),
        st.builds(other, names, kinds),
        names.map(lambda n: lambda: packed({k: v for k, v in arrays.items() if k != n})),
        st.builds(lambda n, h: lambda: packed(arrays, {n: h}), names, headers),
        st.sampled_from([zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED]).map(
            lambda m: lambda: packed(arrays, None, m)
        ),
        names.map(
            lambda n: lambda: packed({**arrays, n: np.zeros((60_000_000,), np.uint8)}, None, zipfile.ZIP_DEFLATED)
        ),
    )
    fuzz("weights", form, case, check)
