"""Models of this library, used as its documentation says."""

import shutil
from collections.abc import Callable
from itertools import count, cycle, islice
from pathlib import Path
from typing import Any

import torch
from protocol import Contender, serve
from random_profiles import random_profiles
from split import Split
from torch import nn

import pyg_darec
from pyg_darec import DaRecAlign, evaluate, fit
from pyg_darec.graph import BipartiteGraph
from pyg_darec.loader import PairLoader
from pyg_darec.nn.align import RLMRecConAlign, RLMRecGenAlign
from pyg_darec.nn.models import NCL, NGCF, LightGCN

# The paper's form, which 'plain.py' has too.
PAPER: dict[str, Any] = {'preset': 'paper', 'num_clusters': 8}
ALIGNERS: dict[str, Callable[[nn.Module, int], nn.Module]] = {
    'DaRecAlign': DaRecAlign,
    'DaRecAlign paper': lambda model, dim: DaRecAlign(model, dim, **PAPER),
    'RLMRecConAlign': RLMRecConAlign,
    'RLMRecGenAlign': RLMRecGenAlign,
}
# The models as they are in RecBole and PyG.
AS_PEERS = {
    'LightGCN': (LightGCN, {'combine': 'mean', 'edge_dropout': 0.0}),
    'NGCF': (NGCF, {'message_dropout': 0.1}),
    'NCL': (NCL, {'combine': 'mean', 'warm_up': 0}),
}


def graph_of(split: Split, llm_dim: int | None) -> BipartiteGraph:
    held_out = {'val': split.val, 'test': split.test}
    graph = BipartiteGraph(
        torch.from_numpy(split.train),
        split.num_users,
        split.num_items,
        edge_label_index={
            name: torch.from_numpy(pairs) for name, pairs in held_out.items()
        },
    )
    if llm_dim is not None:
        graph.llm_x |= random_profiles(graph, llm_dim)
    return graph


def research_lightgcn(graph: BipartiteGraph, dim: int) -> LightGCN:
    """The backbone of the alignments, and of RLMRec's released code."""
    return LightGCN.from_data(graph, dim, num_layers=3, edge_dropout=0.2)


def build_model(
    name: str, graph: BipartiteGraph, settings: dict[str, Any]
) -> nn.Module:
    dim = settings['dim']
    if name in AS_PEERS:
        cls, options = AS_PEERS[name]
        if cls is NCL:
            options = {**options, 'num_clusters': settings['clusters']}
        return cls.from_data(
            graph,
            dim,
            num_layers=settings['layers'],
            reg='batch',
            reg_weight=1e-5,
            **options,
        )
    backbone = research_lightgcn(graph, dim)
    if name == 'LightGCN dropout':
        return backbone
    return ALIGNERS[name](backbone, settings['llm_dim'])


class Ours(Contender):
    def __init__(
        self, name: str, split: Split, settings: dict[str, Any]
    ) -> None:
        torch.manual_seed(settings['seed'])
        self.name = name
        plain_name = name.removesuffix(' bf16')
        llm_dim = settings['llm_dim'] if plain_name in ALIGNERS else None
        self.graph = graph_of(split, llm_dim)
        self.model = build_model(plain_name, self.graph, settings)
        self.is_low = name.endswith(' bf16')
        self.options: dict[str, Any] = {
            'batch_size': settings['batch'],
            'lr': settings['lr'],
            'seed': settings['seed'],
            'device': 'cpu',
            'precision': 'bf16-mixed' if self.is_low else None,
        }
        self.run_dir = Path(settings['work']) / f'ours-{name}'
        self.num_epochs = 0
        loader = PairLoader(self.graph, settings['batch'])
        self.batches = cycle(list(islice(loader, 8)))
        self.adam = torch.optim.Adam(
            self.model.parameters(), lr=settings['lr'], fused=True
        )
        self.steps = count()
        if llm_dim is None:
            self.evaluate = self._evaluate
            self.propagate = self._propagate

    def step(self) -> None:
        self.model.train()
        self.model.renew(self.graph, 1, next(self.steps))
        self.adam.zero_grad()
        with torch.autocast('cpu', torch.bfloat16, enabled=self.is_low):
            loss = self.model.loss(self.graph, next(self.batches))[0]
        loss.backward()
        self.adam.step()

    def epoch(self) -> None:
        """Only here to say that there are epochs; see :meth:`train`."""

    def train(self, count: int) -> list[float]:
        if self.num_epochs == 0:
            shutil.rmtree(self.run_dir, ignore_errors=True)
        before, self.num_epochs = self.num_epochs, self.num_epochs + count
        result = fit(
            self.model,
            self.graph,
            epochs=self.num_epochs,
            eval_every=1_000_000,
            patience=None,
            monitor='NDCG@20',
            run_dir=self.run_dir,
            resume=True,
            progress=False,
            **self.options,
        )
        # Training alone; checkpoints and validation are not in it.
        return [row['seconds'] for row in result.history[before:]]

    def _evaluate(self) -> None:
        evaluate(self.model, self.graph, 'test', ks=(5, 10, 20))

    @torch.no_grad()
    def _propagate(self) -> None:
        self.model.eval()
        self.model(self.graph)

    @torch.no_grad()
    def embed(self) -> tuple[Any, Any]:
        self.model.eval()
        user, item = self.model(self.graph)
        return user.numpy(), item.numpy()


if __name__ == '__main__':
    serve(
        Ours, {'pyg_darec': pyg_darec.__version__, 'torch': torch.__version__}
    )
