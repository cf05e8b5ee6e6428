# Lateral head X-rays as two people marked them, with the 19 landmarks of the ISBI 2015
# challenge. DATA_ROOT holds images/ and COCO json files: annotator_1.json and
# annotator_2.json to train on, val.json of other pictures.
landmarks = [
    'sella', 'nasion', 'orbitale', 'porion', 'subspinale', 'supramentale',
    'pogonion', 'menton', 'gnathion', 'gonion', 'lower incisor', 'upper incisor',
    'upper lip', 'lower lip', 'subnasale', 'soft tissue pogonion',
    'posterior nasal spine', 'anterior nasal spine', 'articulare'
]
metainfo = dict(
    dataset_name='cephalograms',
    keypoint_info={
        i: dict(name=name, id=i, color=[255, 128, 0], type='', swap='')
        for i, name in enumerate(landmarks)
    },
    skeleton_info={},
    joint_weights=[1.0] * 19,
    sigmas=[])
xrays = dict(
    type='BaseCocoStyleDataset',
    data_root='{{$DATA_ROOT:data/cephalograms}}',
    data_prefix=dict(img='images/'),
    metainfo=metainfo)
# Percent of the distance from sella to nasion, times 0.01.
sella_nasion = dict(type='NME', norm_mode='keypoint_distance', keypoint_indices=[0, 1])
