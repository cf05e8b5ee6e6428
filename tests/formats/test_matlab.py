"""Matlab files: whole, damaged, and of other formats."""

import struct
import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from scipy.io import savemat

from semamb_mm.formats.matlab import (
    Matlab73Error,
    MatlabError,
    load_variables,
    read_mat,
    read_mat_table,
)

TABLE = np.arange(1, 13).reshape(3, 4)


def saved(compressed=False, **content) -> bytes:
    """Return the bytes of a Matlab file."""
    file = BytesIO()
    savemat(file, content, do_compression=compressed)
    return file.getvalue()


def put(path, content: bytes):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("kind", [np.int32, np.uint16, np.float64])
def test_tables(tmp_path, compressed, kind):
    path = put(tmp_path / "a.mat", saved(compressed, t=TABLE.astype(kind), other=[[1]]))
    table = read_mat_table(path, "t", 4)
    assert table.dtype == np.int64
    np.testing.assert_array_equal(table, TABLE)
    np.testing.assert_array_equal(read_mat_table(path, "other", 1), [[1]])


def test_names_and_structs(tmp_path):
    names = np.array([["Audi", "BMW"]], object)
    structs = np.zeros((1, 2), [("name", object), ("class", object)])
    structs[0, 0], structs[0, 1] = ("a.jpg", 1), ("b.jpg", 2)
    path = put(tmp_path / "a.mat", saved(names=names, annotations=structs))
    assert read_mat(path, "names") == ["Audi", "BMW"]
    assert read_mat(path, "annotations") == {
        "name": ["a.jpg", "b.jpg"],
        "class": [1, 2],
    }


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        (dict(t=np.ones((2, 3))), 4),
        (dict(t=[[1.5, 2, 1, 1]]), 4),
        (dict(t=[[np.nan, 2, 1, 1]]), 4),
        (dict(t="a name"), 1),
        (dict(t=np.zeros((0, 4))), 4),
    ],
    ids=["columns", "fractions", "nan", "text", "empty"],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
def test_what_is_no_table(tmp_path, content, columns):
    path = put(tmp_path / "a.mat", saved(**content))
    with pytest.raises(ValueError, match=rf"a.mat: expected 't' .* {columns} column"):
        read_mat_table(path, "t", columns)


def test_missing_file_and_variable(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file .*a.mat.* variable 't'"):
        read_mat(tmp_path / "a.mat", "t")
    path = put(tmp_path / "a.mat", saved(b=TABLE, a=TABLE))
    with pytest.raises(ValueError, match=r"a.mat has the variables \['a', 'b'\], not"):
        read_mat(path, "t")


def test_a_variable_of_another_kind_is_passed_over(tmp_path):
    path = put(tmp_path / "a.mat", saved(complex=TABLE * 1j, t=TABLE))
    np.testing.assert_array_equal(read_mat_table(path, "t", 4), TABLE)
    with pytest.raises(ValueError, match="not a whole Matlab file: ParseError: Compl"):
        read_mat(path, "complex")


@pytest.mark.parametrize("compressed", [True, False])
def test_a_file_cut_short_anywhere_never_loses_values(tmp_path, compressed):
    """mat4py alone takes some of these as whole, with an empty table."""
    whole = saved(compressed, first=TABLE, t=TABLE)
    path = tmp_path / "a.mat"
    for length in range(len(whole)):
        put(path, whole[:length])
        with pytest.raises(ValueError, match="not a whole Matlab|has the variables"):
            read_mat_table(path, "t", 4)


def test_other_formats(tmp_path):
    path = put(tmp_path / "a.mat", b"404 not found")
    with pytest.raises(ValueError, match="a.mat is not a whole Matlab file: it does"):
        read_mat(path, "t")
    with pytest.raises(MatlabError, match="header of Matlab's format 5"):
        load_variables(path)
    put(path, b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n")
    with pytest.raises(Matlab73Error):
        load_variables(path)


def big_endian(table: np.ndarray) -> bytes:
    """Return a file with the table ``t`` as a big-endian machine writes it."""

    def element(kind, data):
        return struct.pack(">II", kind, len(data)) + data + bytes(-len(data) % 8)

    matrix = element(6, struct.pack(">II", 6, 0))  # class double
    matrix += element(5, struct.pack(">ii", *table.shape)) + element(1, b"t")
    matrix += element(9, table.T.astype(">f8").tobytes())
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI"
    return header + element(14, matrix)


def test_the_other_byte_order(tmp_path):
    path = put(tmp_path / "a.mat", big_endian(TABLE))
    np.testing.assert_array_equal(read_mat_table(path, "t", 4), TABLE)


# SciPy ends the process on about 2 % of such files.
FUZZ = """
import sys
import numpy as np
from semamb_mm.formats.matlab import read_mat
path = sys.argv[1]
whole = bytearray(open(path, "rb").read())
rng = np.random.default_rng(0)
read = refused = 0
for _ in range(400):
    # Not the lengths and sizes, over which mat4py may take forever.
    places = rng.choice(np.r_[128:132, 136:152, 168:len(whole)], rng.integers(1, 6))
    damaged = whole.copy()
    for place in places:
        damaged[place] = rng.integers(256)
    open(path, "wb").write(damaged)
    try:
        read_mat(path, "t")
        read += 1
    except ValueError:
        refused += 1
print(read, refused)
"""


def test_damaged_files_end_in_an_error(tmp_path):
    path = put(tmp_path / "a.mat", saved(t=TABLE))
    done = subprocess.run(
        [sys.executable, "-c", FUZZ, str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    read, refused = map(int, done.stdout.split())
    assert read + refused == 400 and refused > 20


def test_without_mat4py(tmp_path, monkeypatch):
    path = put(tmp_path / "a.mat", saved(t=TABLE))
    monkeypatch.setitem(sys.modules, "mat4py", None)
    with pytest.raises(ImportError, match="pip install mat4py"):
        read_mat(path, "t")
