"""Starting modules of any kind anew."""

from torch.nn import Module


def reset(module: Module) -> None:
    r"""Resets all parameters of a module.

    Raises:
        TypeError: If a part of it does not know how.
    """
    # That of attention in torch has another name.
    for name in ('reset_parameters', '_reset_parameters'):
        own = getattr(module, name, None)
        if own is not None:
            own()
            return
    check_resettable(module)
    for child in module.children():
        reset(child)


def check_resettable(module: Module) -> None:
    r"""Raises a :class:`TypeError` if a module without a
    :obj:`reset_parameters` has parameters that are in no part of it.
    """
    own = [name for name, p in module._parameters.items() if p is not None]
    if own:
        raise TypeError(
            f"'{type(module).__name__}' has parameters of its own {own} and "
            "no 'reset_parameters'; write one, or make a new model"
        )
