"""Decimals as text: the order of the numbers, in whatever a search can compare."""
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirsub.store.sortable import HIGHEST, LOWEST, sortable

decimals = st.one_of(st.decimals(allow_nan=False, allow_infinity=False, min_value="-1e6000", max_value="1e6000"),
                     st.decimals(-20, 20, places=2))


@given(decimals, decimals)
def test_sortable_orders_texts_as_numbers(one, other):
    texts = sortable(one), sortable(other)
    assert (texts[0] < texts[1], texts[0] == texts[1]) == (one < other, one == other)
    assert all(LOWEST < text < HIGHEST and text.isascii() for text in texts)


@pytest.mark.parametrize(("number", "text"), [
    ("7.20", "11000072"), ("7.2", "11000072"), ("-7.2", "-88999927~"), ("0.00", "0"), ("-0", "0"), ("1e2", "1100021"),
    ("100", "1100021"), ("1E-6000", "1040001")])
def test_sortable_is_the_same_for_equal_numbers(number, text):
    assert sortable(Decimal(number)) == text


@pytest.mark.parametrize(("asked", "longer"), [
    ("5.4", "5.4" + "0" * 400 + "1"), ("0", "1e-99999"), ("1e99", "1e99999")])
def test_sortable_keeps_what_it_cuts_on_its_side_of_what_can_be_asked(asked, longer):
    assert sortable(Decimal(asked)) < sortable(Decimal(longer))
    assert sortable(Decimal(asked).copy_negate()) > sortable(Decimal(longer).copy_negate())
    assert len(sortable(Decimal(longer))) < 320
