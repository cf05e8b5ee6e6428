"""Results of several runs as one table, laid out as the semantic alignment paper's.

Takes the json files that FaceNME and FaceVideoNME write to their outfile_prefix::

    tools/test.py CONFIG CHECKPOINT --cfg-options test_evaluator.outfile_prefix=runs/a
    tools/analysis/benchmark_table.py HGs=runs/a.json "HGs + SA=runs/b.json"

A name is a row, in the order given. It may come several times: files of 300W, 300-VW
and AFLW-Full fill its columns, several files of one benchmark are runs with other
seeds, of which the mean and the sample standard deviation are printed. Columns:

- 300W: common, challenge and full, by --norm. The evaluation needs
  groups=dict(common=..., challenge=...).
- 300-VW: categories 1, 2 and 3, by --norm. The evaluation needs groups='category'.
- AFLW-Full: by the size of the annotated face box, norms=('bbox_size',) and
  box='annotation'.

Where an evaluation is not the benchmark's, fewer faces for instance, a note says so.
"""

import argparse
import csv
import io
import json
import statistics
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

EYE_NORMS = dict(inter_pupil="inter-pupil distance", inter_ocular="outer eye corners")
# What is read of a metric's file.
NEEDED = {
    *("dataset", "box", "include_hidden", "subset"),
    *("metrics", "num_faces", "groups", "skipped"),
}
# Liu et al., CVPR 2019: row to its NME, %, by inter-pupil distance and face box size.
PAPER = "Liu et al., CVPR 2019"
PAPER_300W = {
    "Wing (CVPR18)": (3.27, 7.18, 4.04),
    "LAB (CVPR18)": (3.42, 6.98, 4.12),
    "HGs": (4.43, 7.56, 5.04),
    "HGs + SA": (3.75, 6.90, 4.37),
    "HGs + SA + GHCU": (3.74, 6.87, 4.35),
    "HGs + Norm": (3.95, 6.51, 4.45),
    "HGs + SA + Norm": (3.46, 6.38, 4.03),
    "HGs + SA + Norm + GHCU": (3.45, 6.38, 4.02),
}
PAPER_AFLW = {
    "Wing (CVPR18)": 1.65,
    "DSRN": 1.86,
    "SBR": 2.14,
    "HGs": 1.95,
    "HGs + SA": 1.62,
    "HGs + SA + GHCU": 1.60,
}


@dataclass(frozen=True)
class Benchmark:
    """One of the paper's benchmarks.

    Attributes:
        title: As the columns say it.
        columns: A column's title to the group it is of, '' for all faces.
        sizes: Group to its number of faces, or of videos.
        counted: 'faces' or 'videos'.
        by_eyes: Whether errors are divided by a distance of the eyes.
    """

    title: str
    columns: dict
    sizes: dict
    counted: str = "faces"
    by_eyes: bool = True


# By the name of the data set in MMPose's metainfo.
BENCHMARKS = {
    "300w": Benchmark(
        "300W",
        dict(common="common", challenge="challenge", full=""),
        dict(common=554, challenge=135),
    ),
    "300vw": Benchmark(
        "300-VW",
        {f"category {i}": f"category{i}" for i in (1, 2, 3)},
        dict(category1=31, category2=19, category3=14),
        counted="videos",
    ),
    "aflw": Benchmark("AFLW-Full", {"": ""}, {"": 4386}, by_eyes=False),
}
COLUMNS = [
    f"{benchmark.title} {column}".strip()
    for benchmark in BENCHMARKS.values()
    for column in benchmark.columns
]


def parse_args(argv=None):
    """Return the command line's options, the results as (name, path)."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "results", nargs="+", metavar="NAME=PATH", help="a row's name and a json file"
    )
    parser.add_argument(
        "--norm",
        choices=EYE_NORMS,
        default="inter_pupil",
        help="of 300W and 300-VW (default: %(default)s, the paper's)",
    )
    parser.add_argument(
        "--figure",
        default="NME",
        help="or another one of the files: FR@0.08, AUC@0.08, jitter, ... "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--paper",
        action="store_true",
        help=f"also print the rows that {PAPER}, gives for 300W and AFLW-Full, marked "
        "as the paper's",
    )
    parser.add_argument(
        "--format",
        choices=("markdown", "csv"),
        default="markdown",
        help="csv: notes go to stderr (default: %(default)s)",
    )
    args = parser.parse_args(argv)
    if args.paper and (args.figure, args.norm) != ("NME", "inter_pupil"):
        parser.error("--paper: the paper's figures are NME by inter-pupil distance")
    args.results = named_files(args.results, parser.error)
    return args


def named_files(results, refuse):
    """Return (name, path) of each NAME=PATH; ``refuse`` takes a message."""
    pairs = [result.partition("=") for result in results]
    for name, equals, path in pairs:
        if not (name and equals and path):
            refuse(f"{name + equals + path!r}: expected NAME=PATH")
    files = [(name.strip(), Path(path)) for name, _, path in pairs]
    twice = [path for path, n in Counter(p for _, p in files).items() if n > 1]
    if twice:
        refuse(f"{twice[0]} is named twice; each file is one run")
    return files


def read_result(path):
    """Return a metric's file and its benchmark.

    Raises:
        SystemExit: If the file is not of one of the benchmarks.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path}: cannot be read as json ({error})") from error
    if not isinstance(result, dict) or not result.keys() >= NEEDED:
        raise SystemExit(
            f"{path}: not a file of FaceNME, which has {sorted(NEEDED)}; give the "
            "<outfile_prefix>.json of an evaluation"
        )
    if result["dataset"] not in BENCHMARKS:
        raise SystemExit(
            f"{path}: its data set is {result['dataset']!r}; expected one of "
            f"{sorted(BENCHMARKS)} (dataset_name in the data set's metainfo)"
        )
    benchmark = BENCHMARKS[result["dataset"]]
    if result["subset"] is not None:
        raise SystemExit(
            f"{path}: only a subset of the landmarks was measured; evaluate without "
            "subset"
        )
    groups = {group for group in benchmark.columns.values() if group}
    if groups and not groups & result["groups"].keys():
        raise SystemExit(
            f"{path}: has the groups {sorted(result['groups'])}; expected of "
            f"{benchmark.title} {sorted(groups)}. Give the metric groups"
        )
    if not benchmark.by_eyes and result["box"] != "annotation":
        raise SystemExit(
            f"{path}: errors were divided by the box of the landmarks; "
            f"{benchmark.title} takes the annotated face box: box='annotation'"
        )
    return result, benchmark


def cells(path, result, benchmark, figure, norm):
    """Return column to a run's figure, in percent."""
    groups = {group for group in benchmark.columns.values() if group}
    key = f"{figure}/{norm if benchmark.by_eyes else 'bbox_size'}"
    row = {}
    for column, group in benchmark.columns.items():
        # All faces are the full set only if each part of it is there.
        if group in result["groups"] or not (group or groups - result["groups"].keys()):
            name = f"{group}/{key}".lstrip("/")
            if name not in result["metrics"]:
                figures = sorted(k for k in result["metrics"] if k.count("/") == 1)
                raise SystemExit(f"{path}: has no {name!r}; it has {figures}")
            row[f"{benchmark.title} {column}".strip()] = 100 * result["metrics"][name]
    return row


def deviations(result, benchmark):
    """Yield where an evaluation is not the benchmark's protocol."""
    found = {"": result["num_faces"], **result["groups"]}
    if benchmark.counted == "videos":
        videos = result.get("sequences", {}).values()
        found = Counter(video["group"] for video in videos)
    for group, size in benchmark.sizes.items():
        if found.get(group, 0) != size:
            part = f"{benchmark.title} {group}".strip()
            yield (
                f"{found.get(group, 0)} {benchmark.counted} of {part}, which has {size}"
            )
    if result.get("frame_step", 1) != 1:
        yield f"one frame in {result['frame_step']}"
    if benchmark.by_eyes and not result["include_hidden"]:
        yield "landmarks marked as not visible, if any, left out (include_hidden=False)"
    skipped = sum(map(len, result["skipped"].values()))
    if skipped:
        yield f"{skipped} faces left out that could not be measured"


def collect(results, figure, norm):
    """Return rows and notes of all files.

    Returns:
        Name to column to the figures of its runs, in percent; and notes.
    """
    rows, notes = {}, []
    for name, path in results:
        result, benchmark = read_result(path)
        row = rows.setdefault(name, {})
        for column, value in cells(path, result, benchmark, figure, norm).items():
            row.setdefault(column, []).append(value)
        found = "; ".join(deviations(result, benchmark))
        if found:
            notes.append(f"{name}, {path}, is not the protocol's: {found}.")
    for name, row in rows.items():
        runs = {column: len(values) for column, values in row.items()}
        if max(runs.values()) > 1:
            counts = ", ".join(f"{column} {n}" for column, n in runs.items())
            notes.append(
                f"{name}: mean ± sample standard deviation over runs: {counts}."
            )
    return rows, notes


def paper_rows():
    """Return the paper's rows, as those of :func:`collect`."""
    titles = [column for column in COLUMNS if column.startswith("300W")]
    rows = {
        name: {title: [value] for title, value in zip(titles, values)}
        for name, values in PAPER_300W.items()
    }
    for name, value in PAPER_AFLW.items():
        rows.setdefault(name, {})["AFLW-Full"] = [value]
    return rows


def markdown(columns, rows):
    """Yield the lines of a Markdown table; ``rows`` are (name, row)."""
    yield "| method | " + " | ".join(columns) + " |"
    yield "|---|" + "---:|" * len(columns)
    for name, row in rows:
        texts = []
        for values in (row.get(column) for column in columns):
            text = f"{statistics.fmean(values):.2f}" if values else "–"
            if values and len(values) > 1:
                text += f" ± {statistics.stdev(values):.2f}"
            texts.append(text)
        yield f"| {name.replace('|', '/')} | " + " | ".join(texts) + " |"


def comma_separated(columns, rows):
    """Return a CSV table: mean, standard deviation and number of runs a column."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    parts = ("", " std", " runs")
    writer.writerow(["method", *(c + part for c in columns for part in parts)])
    for name, row in rows:
        line = [name]
        for values in (row.get(column) for column in columns):
            line += [f"{statistics.fmean(values):.4f}" if values else ""]
            several = values and len(values) > 1
            line += [f"{statistics.stdev(values):.4f}" if several else ""]
            line += [len(values) if values else ""]
        writer.writerow(line)
    return text.getvalue()


def main(argv=None):
    """Print the table and its notes."""
    args = parse_args(argv)
    rows, notes = collect(args.results, args.figure, args.norm)
    columns = [c for c in COLUMNS if any(c in row for row in rows.values())]
    listed = list(rows.items())
    if args.paper:
        theirs = [
            (f"{name} (paper)", row)
            for name, row in paper_rows().items()
            if row.keys() & set(columns)
        ]
        listed = theirs + listed
        notes.insert(0, f"(paper): printed by {PAPER}; not measured here.")
    norms = f"300W and 300-VW by {EYE_NORMS[args.norm]}, AFLW-Full by face box size"
    notes.insert(0, f"{args.figure}, %: {norms}.")
    if args.format == "csv":
        print(comma_separated(columns, listed), end="")
        print("\n".join(notes), file=sys.stderr)
    else:
        print("\n".join([*markdown(columns, listed), "", *(f"- {n}" for n in notes)]))


if __name__ == "__main__":
    main()
