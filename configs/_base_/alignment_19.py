# Semantic alignment of AFLW's 19-point faces, targets by consensus: errors are told
# apart along and across brows, eyes and mouth, whose direction turns with the face.
# No landmark of these lies on a curve without ends, so that none slide.
latent_target_hook = dict(
    type='LatentTargetHook',
    start=12,
    momentum=0.2,
    consensus=dict(
        curves=[[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11], [15, 16, 17]]))
