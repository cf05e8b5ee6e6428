# Semantic alignment by the paper's recipe: the minimum replaces the target, and the
# next search starts from there. Lengths are the paper's own in sigmas of the heatmaps,
# so that they mean the same on any: of 256 cells, where sigma is about 8.5, it searches
# 17 x 17 cells (6 % of the outer eye distance to each side) with patches of 25 x 25.
latent_target_hook = dict(
    type='LatentTargetHook',
    start=8,
    anchor='previous',
    momentum=1.0,
    # The minimum depends on likelihood / prior alone. The paper does not say it. This is
    # sigma_2^2 / sigma_1^2 = 0.1 in cells of 256, with chi-square summed over the patch:
    # sqrt(0.1) * 8.5 / 25.
    search=dict(
        radius=8 / 8.5,
        patch_radius=12 / 8.5,
        prior=1.0,
        likelihood=0.1075,
        step=1 / 8.5,
        subcell='none'))
