# OSM/CAA as the code had it that the authors once released, where the paper's text says
# something else; docs/osm_caa.md has both beside each other.
authors_head = dict(
    classifier='features',
    classification_weights=dict(mean=0.5, sigma=0.18),
    loss=dict(attention='gaussian', half_exponent=True))
authors_batches = dict(
    batch_size=56,
    sampler=dict(num_classes_per_batch=8, num_samples_per_class=7))
