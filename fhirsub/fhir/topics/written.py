"""One change as topics and questions see it: the version written, the one before, and what it belongs to."""
from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from ...errors import ExpressionFailed, FHIRSubError
from ..search_values import SearchValues
from .combination import leaves
from .compartments import compartments_of
from .needs import ANY
from .topic import FIREHOSE, Topic, known

WRITES = ("create", "update", "delete")


class Written:
    """One change.

    :param interaction: ``create`` | ``update`` | ``delete`` | ``read`` | ``raise`` | ``periodic``
    :param current: of the version written (read, raised); None for a delete
    :param previous: of the version before an update or a delete, as far as somebody asked for it
    :param topic_id: of the EventDefinition that was raised or whose time has come
    :param resolve: ``resolve("Patient/1")``: the current version of a resource of this server as a dict, or None
    :param sets: ``sets("Patient/1")``: the Groups and Lists that hold it now, ``{"Group/5", "List/7"}``
    :param find: ``find(reference)``: the :class:`~.topic.Topic` that is switched on and goes by ``EventDefinition/ID``,
        canonical ``url(|version)`` or by name; None if there is none. The built-in Firehose needs not be found
    :param needs: what questions ask about resources of this type, from :meth:`.Needs.of`
    :ivar fired: the topics that fired, ``{id: transition or None}``; filled by :meth:`fire`
    :ivar failed: why a topic could not be evaluated, by id; filled by :meth:`fire`
    :ivar composed: the compositions that may have fired, which depends on the filters in them; filled by :meth:`fire`
    :ivar combined: what fired inside compositions; kept by :mod:`.combination`
    """

    def __init__(self, seq: int, type: str, id: str, interaction: str, *, current: SearchValues | None = None,
                 previous: SearchValues | None = None, topic_id: str | None = None,
                 resolve: Callable[[str], dict | None] = lambda reference: None,
                 sets: Callable[[str], Collection[str]] = lambda reference: (),
                 find: Callable[[str], Topic | None] = lambda reference: None, needs: frozenset[str] = frozenset()):
        self.seq, self.type, self.id, self.interaction, self.topic_id = seq, type, id, interaction, topic_id
        self.resolve, self.sets, self.find, self.needs = resolve, sets, known(find), needs
        self.current, self.previous = current, previous
        self.fired: dict[str, str | None] = {}
        self.failed: dict[str, str] = {}
        self.composed: tuple[Topic, ...] = ()
        self.combined: dict[tuple, dict[str, str | None]] = {}
        self._held: dict[tuple, bool | ExpressionFailed] = {}
        self._compartments: dict[bool, frozenset[str]] = {}

    def compartments(self, *, before: bool = False) -> frozenset[str]:
        """What the resource is in, as references: ``{"Patient/1", "Encounter/2"}``, itself among them.

        :param before: as the version before was; of a delete that is all there is
        """
        before = before or self.current is None
        if before not in self._compartments:
            values = self.previous if before else self.current
            self._compartments[before] = compartments_of(values, self.id) if values else frozenset()
        return self._compartments[before]

    def topic_keys(self) -> tuple[str, ...]:
        """Under which of their :meth:`~.topic.Topic.keys` the topics are filed that may fire."""
        if self.topic_id is not None:
            return (f"{self.interaction} {self.topic_id}",)
        return f"{self.type} {self.interaction}", f"{ANY} {self.interaction}"

    def fire(self, topics: Iterable[Topic]) -> list[tuple[Topic, Exception]]:
        """Try each topic once and remember in ``fired`` those that fired; before any question is asked.

        :param topics: those filed under :meth:`topic_keys`; what is composed of others is left to the questions
        :returns: the topics that could not be evaluated, each with the reason; they did not fire
        """
        for values in filter(None, (self.current, self.previous)):
            values.resolve = self.resolve
        composed, failures = [], []
        for topic in topics:
            if topic.sources:
                composed.append(topic)
                continue
            try:
                told = topic.fires(self)
            except Exception as error:  # one broken trigger never stops the matcher or another's events
                failures.append((topic, error))
                self.failed[topic.id] = str(error) if isinstance(error, FHIRSubError) else "it could not be evaluated"
                continue
            if told:
                self.fired[topic.id] = None if told is True else told
        self.composed = tuple(topic for topic in composed
                              if any(map(self.has_fired, leaves(topic.sources, self.find))))
        return failures

    def has_fired(self, topic: Topic) -> bool:
        """Whether a topic that is not composed of others fired; the built-in one does by itself."""
        return topic.id in self.fired or topic is FIREHOSE and self.interaction in WRITES

    def holds(self, topic: Topic, parameters: dict, *, before: bool = False) -> bool:
        """Whether a filter lets the change through; evaluated once, however many questions use it.

        :param before: judge the version before instead of the one written
        :raises ExpressionFailed: the condition could not be evaluated
        """
        given = {name: parameters[name] for name in topic.parameters if name in parameters}
        key = (topic.id, before, repr(sorted(given.items())))   # as text, for True == 1
        if key not in self._held:
            try:
                self._held[key] = topic.holds(self, given, before=before)
            except ExpressionFailed as error:
                self._held[key] = error
        held = self._held[key]
        if isinstance(held, ExpressionFailed):
            raise held
        return held
