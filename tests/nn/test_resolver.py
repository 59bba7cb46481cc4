import pytest

from pyg_darec.nn import align, models, objectives
from pyg_darec.nn.resolver import resolve, resolve_objective


@pytest.mark.parametrize(
    ('query', 'expected'),
    [
        ('lightgcn', models.LightGCN),
        ('Light-GCN', models.LightGCN),
        ('sim_gcl', models.SimGCL),
        ('darec', align.DaRecAlign),
        ('DaRecAlign', align.DaRecAlign),
        ('rlmrec-con', align.RLMRecConAlign),
        ('kar', align.KARAlign),
        ('CTRL', align.CTRLAlign),
        ('control-rec', align.ControlRecAlign),
        (models.NGCF, models.NGCF),
    ],
)
def test_resolve(query: object, expected: type) -> None:
    assert resolve(query) is expected  # type: ignore[arg-type]


def test_every_concrete_model_has_a_name() -> None:
    for module, base in ((models, models.Backbone), (align, align.Aligner)):
        for name in module.__all__:
            cls = getattr(module, name)
            if isinstance(cls, type) and issubclass(cls, base):
                is_base = cls is base
                assert is_base or resolve(name.lower()) is cls


def test_unknown() -> None:
    with pytest.raises(ValueError, match="did you mean 'LightGCN'"):
        resolve('lightgnc')
    with pytest.raises(ValueError, match=r'none of AutoCF, .*SimGCL'):
        resolve('backbone')
    with pytest.raises(TypeError, match="'query'"):
        resolve(3)  # type: ignore[arg-type]


def test_objectives() -> None:
    assert resolve_objective('bpr') is objectives.BPR
    assert resolve_objective('softmax') is objectives.SampledSoftmax
    assert resolve_objective('sampled-softmax') is objectives.SampledSoftmax
    assert resolve_objective('DirectAU') is objectives.DirectAU
    assert resolve_objective(objectives.BCE) is objectives.BCE
    with pytest.raises(ValueError, match='none of BCE, BPR, DirectAU, Samp'):
        resolve_objective('hinge')
    with pytest.raises(TypeError, match="'query'"):
        resolve_objective(models.LightGCN)  # type: ignore[arg-type]
