# Semantic alignment by the paper's recipe to the letter: the minimising cell replaces
# the target, and the next search starts from there.
paper_search = dict(sigma_prior=4.0, sigma_likelihood=1.0, subcell='none')
latent_target_hook = dict(
    type='LatentTargetHook', start=8, anchor='previous', momentum=1.0)
