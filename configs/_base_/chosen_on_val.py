# The best checkpoint is chosen on training classes that are held out, about a fifth
# (docs/datasets.md). What inherits this also says how many classes are left to train.
chosen_train = dict(dataset=dict(split='train_only'))
chosen_val = dict(dataset=dict(split='val'))
chosen_checkpoint = dict(save_best='retrieval/Recall@1', rule='greater')
