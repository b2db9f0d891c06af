"""Strategies for requests, made of the contract's descriptors and limits: new messages are covered by themselves."""

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import strategies as st

from portrait.server.rpc.contract.bounds import FieldMaskPaths, FloatRange, IntRange, ListSize, MapSize, TextLength
from portrait.server.rpc.contract.limits import LIMITS, REQUIRED

_INT32, _INT64 = (-(2**31), 2**31 - 1), (-(2**63), 2**63 - 1)
_COMMON = 1_700_000_000
"""A time within the contract, in seconds since 1970."""


def requests(method: MethodDescriptor, words: list[str]) -> st.SearchStrategy[Message]:
    """Requests of a method: that keep the limits, and that break any number of them.

    Args:
        method: what is called.
        words: names that the server knows, so that some requests come far.
    """
    return _Requests(words, wild=False).messages(method.input_type) | _Requests(words, wild=True).messages(
        method.input_type
    )


class _Requests:
    def __init__(self, words: list[str], *, wild: bool) -> None:
        self._words = words
        self._wild = wild

    def messages(self, descriptor: Descriptor) -> st.SearchStrategy[Message]:
        if descriptor.full_name == Timestamp.DESCRIPTOR.full_name:
            return self._timestamps()
        fields = {field.name: self._values(field) for field in descriptor.fields}
        needed = {} if self._wild else {name: each for name, each in fields.items() if _is_needed(descriptor, name)}
        optional = {name: each for name, each in fields.items() if name not in needed}
        # Of a oneof that is set twice the last counts, as on the wire.
        return st.fixed_dictionaries(needed, optional=optional).map(lambda set: GetMessageClass(descriptor)(**set))

    def _values(self, field: FieldDescriptor) -> st.SearchStrategy[object]:
        limit = LIMITS.get(f"{field.containing_type.name}.{field.name}")
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            return self._pairs(limit)
        if isinstance(limit, FieldMaskPaths):
            return self._masks(limit)
        each = self._scalars(field, limit.each if isinstance(limit, ListSize) else limit)
        return self._lists(each, limit) if field.is_repeated else each

    def _scalars(self, field: FieldDescriptor, limit: object) -> st.SearchStrategy[object]:
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_MESSAGE:
                return self.messages(field.message_type)
            case FieldDescriptor.CPPTYPE_STRING:
                is_text = field.type == FieldDescriptor.TYPE_STRING
                return self._texts(limit) if is_text else st.binary(max_size=100)
            case FieldDescriptor.CPPTYPE_BOOL:
                return st.booleans()
            case FieldDescriptor.CPPTYPE_ENUM:
                kept = st.sampled_from([number for number in field.enum_type.values_by_number if number])
                return kept | st.integers(*_INT32) if self._wild else kept
            case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
                kept = (
                    st.floats(limit.minimum, limit.maximum, exclude_min=limit.excludes_minimum)
                    if isinstance(limit, FloatRange)
                    else st.nothing()
                )
                return kept if isinstance(limit, FloatRange) and not self._wild else kept | st.floats()
            case FieldDescriptor.CPPTYPE_INT32 | FieldDescriptor.CPPTYPE_INT64:
                return self._wholes(limit, *(_INT32 if field.cpp_type == FieldDescriptor.CPPTYPE_INT32 else _INT64))
        raise NotImplementedError(f"{field.full_name}: no strategy for its type yet")

    def _texts(self, limit: object) -> st.SearchStrategy[str]:
        if not isinstance(limit, TextLength):
            return st.sampled_from(self._words) | st.text(max_size=50)
        known = [word for word in self._words if not any(limit.violations(word))]
        if limit.pattern is not None and not self._wild:
            return st.sampled_from(known)
        edges = st.builds(str.__mul__, st.characters(exclude_categories=["Cs"]), self._edges(limit))
        return st.sampled_from(known) | st.text(min_size=limit.minimum, max_size=50) | edges

    def _pairs(self, limit: object) -> st.SearchStrategy[object]:
        each = self._texts(limit.each if isinstance(limit, MapSize) else None)
        few = st.dictionaries(each, each, max_size=3)
        return few | st.builds(lambda size: {str(place): "x" for place in range(size)}, self._edges(limit))

    def _masks(self, limit: FieldMaskPaths) -> st.SearchStrategy[object]:
        names = st.sampled_from(sorted(limit.message_type.DESCRIPTOR.fields_by_name))
        kept = st.lists(names, max_size=4)
        wild = st.lists(self._texts(None), max_size=limit.maximum + 1)
        return st.builds(FieldMask, paths=kept | wild if self._wild else kept)

    def _lists(self, each: st.SearchStrategy[object], limit: object) -> st.SearchStrategy[object]:
        """A few entries, or as many as are allowed, or one more: then all alike, as they cost time to draw."""
        fewest = limit.minimum if isinstance(limit, ListSize) and not self._wild else 0
        few = st.lists(each, min_size=fewest, max_size=3)
        return few | st.builds(lambda entry, size: [entry] * size, each, self._edges(limit))

    def _wholes(self, limit: object, minimum: int, maximum: int) -> st.SearchStrategy[int]:
        anything = st.integers(minimum, maximum)
        if not isinstance(limit, IntRange):
            return anything
        kept = st.integers(limit.minimum, limit.maximum)
        return kept | anything if self._wild else kept

    def _timestamps(self) -> st.SearchStrategy[Message]:
        wild = st.builds(Timestamp, seconds=st.integers(*_INT64), nanos=st.integers(*_INT32))
        usual = st.builds(Timestamp, seconds=st.integers(_COMMON - 10**8, _COMMON), nanos=st.integers(0, 999_999_999))
        return usual | wild if self._wild else usual

    def _edges(self, limit: object) -> st.SearchStrategy[int]:
        """Sizes at the ends of a limit, and beyond them where it may be broken."""
        minimum = limit.minimum if isinstance(limit, TextLength | ListSize) else 0
        maximum = limit.maximum if isinstance(limit, TextLength | ListSize | MapSize) else 1000
        beyond = [max(0, minimum - 1), maximum + 1] if self._wild else []
        return st.sampled_from([minimum, maximum, *beyond])


def _is_needed(descriptor: Descriptor, name: str) -> bool:
    """Tell whether a field, or its oneof, must be set at times; the first field of a oneof stands for it."""
    places = {f"{descriptor.name}.{name}"}
    oneof = descriptor.fields_by_name[name].containing_oneof
    if oneof is not None and oneof.fields[0].name == name:
        places.add(f"{descriptor.name}.{oneof.name}")
    limits = [LIMITS.get(place) for place in places]
    filled = any(isinstance(limit, ListSize) and limit.minimum for limit in limits)
    return filled or any(place in REQUIRED for place in places)
