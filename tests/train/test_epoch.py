import pytest
import torch

from pyg_darec.loader import PairLoader
from pyg_darec.train.epoch import train_epoch
from pyg_darec.train.fabric import make_fabric
from pyg_darec.train.training_loss import TrainingLoss


def test_means_count_every_interaction_once(graph, tiny):
    """Without a step size the mean over batches, the last of which is
    smaller, is the loss of the whole epoch.
    """
    model, fabric = tiny.model(dropout=0.0), make_fabric('cpu')
    module = fabric.setup_module(TrainingLoss(model))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    optimizer = fabric.setup_optimizers(optimizer)
    loader = PairLoader(graph, batch_size=graph.num_edges - 7)
    means = train_epoch(fabric, module, [optimizer], graph, loader, epoch=1)
    batch = next(iter(PairLoader(graph, batch_size=10_000)))
    loss, terms = model.loss(graph, batch)
    assert means.keys() == {'epoch', 'loss', 'bpr', 'reg', 'seconds'}
    assert means['loss'] == pytest.approx(loss.item(), rel=1e-5)
    assert means['bpr'] == pytest.approx(terms['bpr'].item(), rel=1e-5)


@pytest.mark.parametrize('name', ['loss', 'epoch', 'seconds', 'Recall@15'])
def test_names_that_are_taken(name, graph, tiny):
    """An epoch with a term of the name of a metric is none that ended in an
    evaluation.
    """

    class Named(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = tiny.model()

        def forward(self, data, batch):
            loss, _ = self.model.loss(data, batch)
            return loss, {name: loss.detach()}

    fabric = make_fabric('cpu')
    module = fabric.setup_module(TrainingLoss(tiny.model()))
    module.module.forward = Named().forward
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    optimizer = fabric.setup_optimizers(optimizer)
    loader = PairLoader(graph, batch_size=64)
    with pytest.raises(ValueError, match=rf"other names .*\['{name}'\]"):
        train_epoch(fabric, module, [optimizer], graph, loader, epoch=1)
