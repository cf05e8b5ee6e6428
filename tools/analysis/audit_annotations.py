"""Audit a data set's landmark annotations: which are wrong, and how sure is that?

With --folds, detectors are trained, each without a part of the samples, and every
sample is judged by one that has not seen it. Samples of one picture stay in one fold,
and frames of one video; of one person or patient, if --group-key or --groups says so.
Give the same command again after a stop: finished trainings are not repeated, stopped
ones go on.
With a checkpoint nothing is trained. A detector has learned the wrong annotations of
its training, too, so that fewer are found then. Samples of a group are no independent
evidence in either case.

Suspects are named so that --precision of them are wrong annotations; the share is
estimated from the data set itself, with an interval (semamb_mm/audit/calibration.py).
No suspects is a common answer. Where the detector is unsure itself, landmarks are
listed as such and are no suspects. Writes into --out-dir:

- ``landmarks.csv``: every sample and landmark, worst first, with reasons;
- ``samples.csv``: every sample, worst first;
- ``tracks.csv``, if there are suspects in videos: stretches of frames in which one
  landmark is suspect;
- ``audit.html``: one page, no other files needed: what was found, which landmarks are
  ambiguous and in which direction, and the worst samples in pictures;
- ``review.html``, if there are suspects: a page to decide about them one by one;
  tools/analysis/apply_decisions.py writes what was decided as a corrected copy;
- ``relabelled/``, with --relabel alone: the annotations with the suspects replaced by
  the prediction, in the data set's own format (a tree of .pts files with links to the
  images, or a COCO json). The original is not touched.

Works on any top-down MMPose config; latent targets are shown, and used on request, if
the checkpoint has them.
"""

try:
    import semamb_mm.pose  # noqa: F401
except ImportError as error:
    raise SystemExit(
        f"{error}\nIn a checkout, type 'source .venv/bin/activate'; docs/install.md"
    ) from error

from pathlib import Path

import numpy as np

from semamb_mm import cli
from semamb_mm.audit import Markup, decide
from semamb_mm.audit.decision import PRECISION
from semamb_mm.audit.relabel import relabel_samples
from semamb_mm.audit.report import (
    verdict,
    write_landmarks,
    write_page,
    write_samples,
    write_tracks,
)
from semamb_mm.audit.review import Review, mark_up
from semamb_mm.audit.review_page import write_review_page
from semamb_mm.audit.scores import check_number
from semamb_mm.audit.tracks import Frames, audit_tracks
from semamb_mm.faces.landmarks import NUM_LANDMARKS, PARTS_68
from semamb_mm.pose.finished.fold_runs import FoldPlans
from semamb_mm.pose.finished.held_out import (
    Predictions,
    jittered,
    pipeline_of_tests,
    predict_views,
)
from semamb_mm.pose.finished.work import claim, text_hash
from semamb_mm.pose.inference import read_image
from semamb_mm.pose.latent_targets.samples import (
    frame_of,
    keyed_annotations,
    located_samples,
)

TRAIN = Path(__file__).parents[1] / "train.py"
IN_SAMPLE = (
    "The detector was trained on these annotations: it has learned wrong ones, too, so "
    "that fewer are found. --folds 5 judges each sample by a detector that has not "
    "seen it."
)


def parse_args(argv=None):
    """Return the command line's options."""
    parser = cli.model_parser(__doc__, checkpoint=False)
    parser.add_argument(
        "checkpoint", nargs="?", help="of a finished training, instead of --folds"
    )
    cli.add_fold_arguments(parser)
    parser.add_argument(
        "--work-dir", help="of the trainings (default: work_dirs/audit_folds/CONFIG)"
    )
    parser.add_argument("--out-dir", default="work_dirs/audit")
    parser.add_argument(
        "--precision",
        type=float,
        default=PRECISION,
        help="share of the suspects that shall be wrong (default: %(default)g)",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        help="score from which on a landmark is a suspect, whatever the precision",
    )
    parser.add_argument(
        "--views",
        type=int,
        default=3,
        help="of each sample: they disagree where the detector is unsure (%(default)s)",
    )
    parser.add_argument(
        "--relabel",
        choices=("suspects", "all"),
        help="write new labels: predictions for the suspects; with 'all' latent "
        "targets for the others, if there are any",
    )
    parser.add_argument("--num-faces", type=int, default=40, help="pictures")
    parser.add_argument(
        "--gap",
        type=int,
        help="frames of a video between suspects of one track, at most (default: 10, "
        "or 3 of its usual strides)",
    )
    cli.add_batch_size(parser)
    args = parser.parse_args(argv)
    if bool(args.checkpoint) == bool(args.folds):
        parser.error("give a checkpoint, or --folds to train detectors")
    if not 0 < args.precision <= 1:
        parser.error(f"--precision is {args.precision:g}; expected a share, up to 1")
    for name in ("views", "gap"):
        value = getattr(args, name)
        if value is not None and value < 1:
            parser.error(f"--{name} is {value}; expected 1 or more")
    return args


def main(argv=None):
    """Predict, decide, and write tables, labels and the page."""
    args = parse_args(argv)
    config = cli.open_config(args)
    try:
        views = open_views(config, args.views)
        check_number(len(views[0]))
    except ValueError as error:
        raise SystemExit(str(error)) from error
    samples, out_dir = views[0], Path(args.out_dir)
    cli.refuse_inside("--out-dir", out_dir, samples)
    keys, infos = zip(*keyed_annotations(samples))
    annotations = np.stack([visible_keypoints(info) for info in infos])
    targets, how = None, f"Every sample was judged by one of {args.folds} detectors, "
    how += "none of which had seen it."
    if args.folds:
        found = predict_folds(args, config, views, keys, infos)
    else:
        model = cli.open_pose_model(config, args.checkpoint, args.device)
        found = predict_views(model, views, args.batch_size)
        targets = latent_targets(args.checkpoint, keys, annotations)
        how = f"{IN_SAMPLE} Checkpoint: {args.checkpoint}."
    frames = frames_of(samples, infos)
    audit = decide(
        keys,
        annotations,
        found.points,
        found.confidences,
        targets=targets,
        inside=found.inside,
        adopt_targets=args.relabel == "all",
        spread=found.spread,
        markup=markup_of(samples),
        groups=cli.read_groups(args, keys, infos),
        precision=args.precision,
        threshold=args.threshold,
    )
    tracks = audit_tracks(audit, frames, args.gap)
    write(audit, tracks, args, how, samples, infos)
    print(f"\n{verdict(audit, tracks)}")
    if audit.suspects.any() and all(hasattr(s, "true_keypoints") for s, _ in samples):
        print(against_truth(audit, samples))
    if args.checkpoint:
        print(IN_SAMPLE)
    more = ", tracks.csv" if tracks else ""
    more += ", review.html" if audit.suspects.any() else ""
    print(f"wrote landmarks.csv, samples.csv, audit.html{more} into {out_dir}")
    if args.relabel:
        print(f"wrote new labels into {out_dir / 'relabelled'}")


def against_truth(audit, samples):
    """Return how many suspects are right, of data sets that know the truth."""
    truth = np.stack([dataset.true_keypoints(i) for dataset, i in samples])
    points = audit.annotations, audit.predictions
    before, after = (np.linalg.norm(each - truth, axis=-1) for each in points)
    nearer = int((after < before)[audit.suspects].sum())
    return (
        f"The truth is known of these samples, though not to the audit: of "
        f"{int(audit.suspects.sum())} suspects, {nearer} lie further from it than the "
        "detector's prediction."
    )


def open_views(config, number):
    """Return the samples under the test pipeline, then under jittered ones."""
    pipeline = pipeline_of_tests(config)
    plain = located_samples(cli.training_set(config, pipeline))
    if number == 1:
        return [plain]
    moved = located_samples(cli.training_set(config, jittered(pipeline)))
    return [plain] + [moved] * (number - 1)


def predict_folds(args, config, views, keys, infos):
    """Return the predictions of detectors that have not seen the samples."""
    folds = cli.divide(args, keys, infos)
    work_dir = args.work_dir or f"work_dirs/audit_folds/{Path(args.config).stem}"
    identity = dict(
        tool="audit_annotations",
        data=text_hash("\n".join(keys)),
        config=text_hash(str(config.to_dict())),
        folds=text_hash(str(folds)),
    )
    work_dir = claim(work_dir, identity)
    plans = FoldPlans(config, views[0], keys, folds)
    parts, held_out = [], []
    for run, rows in plans.runs(work_dir, plans.first_seed, TRAIN, args.gpus):
        path = run.folder / f"held_out_{args.views}views.npz"
        if not path.is_file():
            model = cli.open_pose_model(config, run.checkpoint, args.device)
            of_fold = [[view[row] for row in rows] for view in views]
            predict_views(model, of_fold, args.batch_size).save(path)
        parts.append(Predictions.load(path))
        held_out.append(rows)
    return Predictions.joined(parts, held_out)


def frames_of(samples, infos):
    """Return which video each sample is a frame of; none of still images."""
    sets = list(dict.fromkeys(id(dataset) for dataset, _ in samples))
    videos, numbers = [], []
    for (dataset, _), info in zip(samples, infos):
        video, number = frame_of(info) or ("", 0)
        # Data sets number their videos each for itself.
        several = video and len(sets) > 1
        videos.append(f"{sets.index(id(dataset))}:{video}" if several else video)
        numbers.append(number)
    return Frames(videos, np.array(numbers))


def write(audit, tracks, args, how, samples, infos):
    """Write tables, the page and, on request, new labels."""
    out_dir = Path(args.out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    write_landmarks(out_dir / "landmarks.csv", audit)
    write_samples(out_dir / "samples.csv", audit)
    if tracks:
        write_tracks(out_dir / "tracks.csv", tracks)
    if args.relabel:
        relabel_samples(infos, samples, audit.labels, out_dir / "relabelled")
    name = Path(args.config).stem

    def read(i):
        return read_image(*samples[i])

    names, links = mark_up(audit.annotations.shape[1], samples[0][0].metainfo)
    page = out_dir / "audit.html"
    write_page(page, audit, read, name, how, args.num_faces, tracks, names)
    if audit.suspects.any():
        review = review_of(audit, tracks, infos, names, links)
        write_review_page(out_dir / "review.html", review, read, name)


def review_of(audit, tracks, infos, names, links):
    """Return what a person is asked about the suspects."""
    return Review(
        audit.keys,
        [str(info.get("img_path", key)) for key, info in zip(audit.keys, infos)],
        audit.annotations,
        np.where(audit.suspects[..., None], audit.labels, np.nan),
        audit.scores,
        audit.suspects,
        audit.reasons,
        audit.precisions,
        audit.predictions,
        names,
        links,
        tracks,
    )


def markup_of(samples):
    """Return what the data sets know of their landmarks."""
    mirrored = samples[0][0].metainfo.get("flip_indices", ())
    curves = ()
    if len(mirrored) == NUM_LANDMARKS:
        curves = [part.landmarks for part in PARTS_68.values()]
    return Markup(mirrored, curves)


def visible_keypoints(info):
    """Return ``(K, 2)`` annotated landmarks in image pixels, NaN where not visible."""
    keypoints = info["keypoints"][0, :, :2]
    visible = np.reshape(info["keypoints_visible"][0], (len(keypoints), -1))[:, 0] > 0
    return np.where(visible[:, None], keypoints, np.nan).astype(np.float64)


def latent_targets(checkpoint, keys, annotations):
    """Return ``(N, K, 2)``, NaN where not annotated; None of a plain checkpoint."""
    store = cli.open_latent_targets(checkpoint)
    if store is None:
        return None
    rows = cli.rows_of(store, keys, checkpoint)
    targets = store.targets[rows].double().numpy()
    return np.where(np.isfinite(annotations), targets, np.nan)


if __name__ == "__main__":
    main()
