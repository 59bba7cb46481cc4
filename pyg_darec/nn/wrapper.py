"""Recommenders that have another module inside."""

from typing import Any

from pyg_darec.nn.recommender import Recommender


class Wrapper(Recommender):
    r"""A recommender around a module, :obj:`model`, which its other parts
    are made for: it cannot be exchanged for another one.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        known = self._modules.get(name)
        if name == 'model' and known is not None and value is not known:
            cls = type(self).__name__
            raise AttributeError(
                f"'model' of a '{cls}' needs to be the one it was made for; "
                f"wrap another one in a new '{cls}', or load its weights into "
                f"this one (got a '{type(value).__name__}')"
            )
        super().__setattr__(name, value)
