# 300W as iBUG hands it out, its archives unpacked into one folder, which DATA_ROOT
# names: train on 3,148 faces, test on 554 common and 135 challenging ones.
train_faces = dict(
    type='PtsFaceDataset',
    data_root='{{$DATA_ROOT:data/300w}}',
    data_prefix=dict(img=['afw', 'helen/trainset', 'lfpw/trainset']),
    exclude=['*_mirror'])
test_faces = dict(
    type='PtsFaceDataset',
    data_root='{{$DATA_ROOT:data/300w}}',
    data_prefix=dict(img=['helen/testset', 'lfpw/testset', 'ibug']),
    exclude=['*_mirror'])
common_and_challenge = dict(
    type='FaceNME',
    norms=('inter_pupil', 'inter_ocular'),
    include_hidden=True,
    groups=dict(
        common=r'(^|/)(helen|lfpw)/testset/[^/]*$',
        challenge=r'(^|/)ibug/[^/]*$'))
