# Semantic alignment of 68-point faces, targets by consensus.
contour = list(range(0, 17))
brows = [list(range(17, 22)), list(range(22, 27))]
nose_bridge = list(range(27, 31))
latent_target_hook = dict(
    type='LatentTargetHook',
    start=8,
    momentum=0.2,
    consensus=dict(
        curves=[contour, *brows, nose_bridge],
        sliding=[contour],
        # On faces most of the network's error is common to a view's landmarks: the
        # default, 1, takes back a third of what targets gain.
        network_share=0.5))
