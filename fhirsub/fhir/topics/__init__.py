"""Topics: what happens to a resource as EventDefinitions say it, and the questions that Subscriptions ask about it."""
from .asking import of_subscription
from .definition import read
from .keys import probe_keys
from .needs import Needs
from .question import Match, Question
from .topic import FIREHOSE, Topic
from .written import Written

__all__ = ["FIREHOSE", "Match", "Needs", "Question", "Topic", "Written", "of_subscription", "probe_keys", "read"]
