"""What is inside of the modules that torch puts around a model."""

from torch.nn import DataParallel, Module
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel


def unwrapped(model: Module) -> Module:
    r"""The module inside :func:`torch.compile`,
    :class:`~torch.nn.DataParallel`,
    :class:`~torch.nn.parallel.DistributedDataParallel` and
    :class:`~torch.optim.swa_utils.AveragedModel`, at any depth.
    """
    while True:
        if '_orig_mod' in model._modules:  # of 'torch.compile'
            model = model.get_submodule('_orig_mod')
        elif isinstance(
            model, DataParallel | DistributedDataParallel | AveragedModel
        ):
            model = model.module
        else:
            return model
