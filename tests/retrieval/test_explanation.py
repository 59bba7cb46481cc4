from pyg_darec.retrieval import Explanation, Reason


def test_prints_as_lines() -> None:
    reasons = (
        Reason(4, '🫖', 'Pot\nof clay', 0.891, 0.0123),
        Reason(2, 2, None, 0.5, -3.0),
    )
    out = Explanation(0, 'u', 3, '茶', '緑 ' * 90, 1.5, reasons)
    head, first, second = str(out).split('\n')
    assert head.startswith("user 'u': 緑 緑")
    assert head.endswith("… (item '茶'), score 1.5")
    assert len(head) < 140
    assert first == (
        "  0.89 alike, +0.0123 to the score: Pot of clay (item '🫖')"
    )
    assert second == '  0.50 alike, -3 to the score: item 2'
