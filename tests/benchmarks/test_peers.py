"""The contenders of the test environment: they train, and their evaluation is
that of the library.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ours import Ours
from plain import Plain
from protocol import Contender
from pyg_example import Example
from split import Split

from pyg_darec.metrics import evaluate_embeddings

CONTENDERS: dict[str, Any] = {
    'ours LightGCN': Ours,
    'ours NGCF': Ours,
    'ours NCL': Ours,
    'ours DaRecAlign': Ours,
    'ours DaRecAlign paper bf16': Ours,
    'ours RLMRecConAlign': Ours,
    'ours RLMRecGenAlign': Ours,
    'plain LightGCN': Plain,
    'plain DaRec': Plain,
    'plain RLMRec-Con': Plain,
    'plain RLMRec-Gen': Plain,
    'PyG LightGCN': Example,
}


def settings(folder: Path) -> dict[str, Any]:
    return {
        'dim': 8,
        'layers': 2,
        'batch': 128,
        'lr': 1e-2,
        'llm_dim': 12,
        'clusters': 5,
        'seed': 0,
        'threads': 1,
        'work': str(folder),
    }


def make(label: str, folder: Path) -> Contender:
    name = label.partition(' ')[2]
    split = Split.random(60, 50, 900)
    contender: Contender = CONTENDERS[label](name, split, settings(folder))
    return contender


@pytest.mark.parametrize('label', CONTENDERS)
def test_trains(label: str, tmp_path: Path) -> None:
    contender: Any = make(label, tmp_path)
    before = [p.detach().clone() for p in contender.model.parameters()]
    for do in contender.operations:
        if do != 'epoch':
            getattr(contender, do)()
    seconds = contender.train(2) + contender.train(1)
    assert len(seconds) == 3
    assert all(0 < value < 100 for value in seconds)
    after = list(contender.model.parameters())
    assert all(bool(p.isfinite().all()) for p in after)
    assert any(
        not torch.equal(a, b) for a, b in zip(before, after, strict=True)
    )


@pytest.mark.parametrize('label', ['plain LightGCN', 'PyG LightGCN'])
def test_evaluation_is_that_of_the_library(label: str, tmp_path: Path) -> None:
    contender: Any = make(label, tmp_path)
    user, item = (torch.from_numpy(np.array(x)) for x in contender.embed())
    graph: Any = make('ours LightGCN', tmp_path)
    expected = evaluate_embeddings(user, item, graph.graph, 'test', (5, 20))
    found = contender.evaluate()
    if label == 'PyG LightGCN':
        assert found == pytest.approx(expected.mean()['Recall@20'], abs=1e-6)
        return
    for name in ('Recall@5', 'NDCG@5', 'Recall@20', 'NDCG@20'):
        assert found[name] == pytest.approx(expected.mean()[name], abs=1e-6)


def test_profiles_are_no_noise(tmp_path: Path) -> None:
    """'DaRecAlign' does not use profiles that are."""
    contender: Any = make('ours DaRecAlign', tmp_path)
    contender.step()
    model, graph = contender.model.eval(), contender.graph
    with torch.no_grad():
        pairs = zip(model(graph), model.model(graph), strict=True)
    assert all(float((a - b).abs().max()) > 1e-3 for a, b in pairs)
