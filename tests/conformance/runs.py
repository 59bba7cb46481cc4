"""What a small run is made from."""

CONFIG = {
    'data': 'shop',
    'backbone': 'lightgcn',
    'aligner': 'none',
    'dim': 8,
    'backbone_options': None,
    'aligner_options': None,
    'seed': 0,
}
