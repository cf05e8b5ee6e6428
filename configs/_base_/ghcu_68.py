# Second stage: a GHCU on a frozen detector. Give it the detector's checkpoint:
# --cfg-options load_from=CHECKPOINT
# The train pipeline is that of configs/_base_/slim_hourglass_96.py with degraded
# images; the detector's confidences drop and the refiner learns what to do then.
model = dict(
    type='FrozenDetectorEstimator', head=dict(refiner=dict(type='GHCU')))
