"""Criteria: what a Subscription or a search asks, tested on one resource without a database."""
from .criteria import Criteria
from .keys import probe_keys
from .parsing import parse, parse_query
from .predicate import Predicate

__all__ = ["Criteria", "Predicate", "parse", "parse_query", "probe_keys"]
