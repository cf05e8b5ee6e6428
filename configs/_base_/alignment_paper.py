# Semantic alignment by the paper's recipe to the letter: the minimising cell replaces
# the target, and the next search starts from there.
latent_target_hook = dict(
    type='LatentTargetHook',
    start=8,
    anchor='previous',
    momentum=1.0,
    # Of 17 x 17 and 3 x 3 cells, sigma_1 = 4 cells and sigma_2 = 1, as a sum over the
    # patch, on heatmaps whose sigma is 1.5 cells.
    search=dict(
        radius=8 / 1.5,
        patch_radius=1 / 1.5,
        prior=4 / 1.5,
        likelihood=1 / 3,
        step=1 / 1.5,
        subcell='none'))
