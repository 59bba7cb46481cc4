"""What every backbone has to do besides."""

from pathlib import Path

import pytest
import torch
from conformance.graphs import random_batch, random_data
from conformance.recommender import RecommenderConformance

from pyg_darec import fit
from pyg_darec.as_graph import as_graph
from pyg_darec.nn.models import (
    DCCF,
    GCCF,
    NCL,
    NGCF,
    SGL,
    AutoCF,
    Backbone,
    LightGCL,
    LightGCN,
    SimGCL,
)
from pyg_darec.nn.resolver import resolve

BACKBONES: tuple[type[Backbone], ...] = (
    LightGCN,
    NGCF,
    GCCF,
    SGL,
    SimGCL,
    LightGCL,
    NCL,
    DCCF,
    AutoCF,
)


class BackboneConformance(RecommenderConformance):
    """Subclass it, implement :meth:`make`, and name it ``Test...``."""

    needs_layers = False

    @property
    def backbone(self) -> type[Backbone]:
        cls = type(self.make(random_data()))
        assert issubclass(cls, Backbone)
        return cls

    def test_has_a_name(self) -> None:
        assert resolve(self.backbone.__name__.lower()) is self.backbone

    def test_no_layers(self) -> None:
        data = random_data()
        if self.needs_layers:
            with pytest.raises(ValueError, match="'num_layers'"):
                self.backbone.from_data(data, 8, num_layers=0)
            return
        model = self.backbone.from_data(data, 8, num_layers=0)
        model.renew(as_graph(data), 1, 0)
        loss, _ = model.loss(data, random_batch(data))
        assert loss.isfinite()
        for out in model.eval()(data):
            assert out.isfinite().all()
            assert out.size(1) == model.out_dim

    def test_defaults_on_tiny_graphs(self) -> None:
        """Clusters, ranks, seeds and intents outnumber the nodes here."""
        for size in ((1, 1), (1, 6), (6, 1), (3, 4)):
            for num_edges in (0, 4):
                data = random_data(*size, num_edges)
                model = self.backbone.from_data(data)
                for epoch in (1, 100):
                    model.renew(as_graph(data), epoch, 0)
                    loss, _ = model.loss(data, random_batch(data))
                    loss.backward()
                    assert loss.isfinite()

    def test_resumed_fit_equals_one_run(self, tmp_path: Path) -> None:
        data = random_data()
        kwargs = {'batch_size': 40, 'eval_every': 1, 'progress': False}

        def run(epochs: int, **more: object) -> dict[str, torch.Tensor]:
            torch.manual_seed(0)
            model = self.backbone.from_data(data, 8)
            fit(model, data, epochs, **kwargs, **more)  # type: ignore[arg-type]
            return model.state_dict()

        whole = run(4)
        run(2, run_dir=tmp_path)
        resumed = run(4, run_dir=tmp_path, resume=True)
        for name, value in whole.items():
            assert torch.equal(value, resumed[name]), name

    def test_a_step_is_the_objective_and_what_is_auxiliary(self) -> None:
        data = random_data()
        graph, batch = as_graph(data), random_batch(data)
        model = self.backbone.from_data(data, 8)
        for epoch in (1, 100):
            model.train().renew(graph, epoch, 0)
            model.eval()  # drops no edges, which would be others each time
            torch.manual_seed(0)
            terms, user, item = model.step(graph, batch)
            expected = model.supervise(graph, user, item, batch)
            torch.manual_seed(0)
            expected |= model.auxiliary(graph, batch)
            torch.testing.assert_close(terms, expected)

    def test_wrong_size(self) -> None:
        data = random_data()
        model = self.backbone.from_data(data, 8)
        other = random_data(31, 20)
        with pytest.raises(ValueError, match='30 users and 20 items'):
            model.loss(other, random_batch(data))
