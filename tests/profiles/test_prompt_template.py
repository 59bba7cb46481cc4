import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyg_darec.profiles import ITEM_TEMPLATE, USER_TEMPLATE, PromptTemplate


def test_own_templates_are_valid():
    ITEM_TEMPLATE.check(('metadata', 'reviews'))
    USER_TEMPLATE.check(('items', 'reviews'))


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('$metadata and $price', r"unknown placeholder '\$price'"),
        ('${Metadata}', r"unknown placeholder '\$Metadata'"),
        ('5$ for $metadata', r"write '\$\$' for a dollar sign"),
        ('{metadata}', 'no placeholder'),
    ],
)
def test_wrong_template(text, message):
    with pytest.raises(ValueError, match=message):
        PromptTemplate(text).check(('metadata', 'reviews'))


@given(st.text())
def test_texts_are_never_read_for_placeholders(text):
    hostile = f'{{0.__class__}} $reviews ${{metadata}} %s $$ {text}'
    out = PromptTemplate('$$5 {x} <$metadata>').fill({'metadata': hostile})
    assert out == f'$5 {{x}} <{hostile}>'
