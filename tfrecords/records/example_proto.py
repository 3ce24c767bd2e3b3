"""The message class tf.train.Example, built from the protobuf library alone.

Pipeline workers need no TensorFlow then, which saves each of them seconds and a gigabyte. The wire format is defined by field
numbers and types (tensorflow/core/example/example.proto and feature.proto), and so are the messages here.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "tfrecords"


def _add_field(message: descriptor_pb2.DescriptorProto, name: str, number: int, kind: Any, *, repeated: bool = False) -> None:
    """Adds a field to a message; `kind` is a scalar type's number or the full name of a message."""
    field = message.field.add(name=name, number=number, label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL)
    if isinstance(kind, str):
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    else:
        field.type = kind


def _example_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="tfrecords/example.proto", package=_PACKAGE, syntax="proto3")
    _add_field(file.message_type.add(name="BytesList"), "value", 1, _Field.TYPE_BYTES, repeated=True)
    # `repeated float value = 1 [packed = true]` is a length and the raw little-endian floats: on the wire, one `bytes` field.
    # So an array is written and read as a whole, not number by number.
    _add_field(file.message_type.add(name="FloatList"), "value", 1, _Field.TYPE_BYTES)
    _add_field(file.message_type.add(name="Int64List"), "value", 1, _Field.TYPE_INT64, repeated=True)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, kind in enumerate(("BytesList", "FloatList", "Int64List"), start=1):
        _add_field(feature, f"{kind.removesuffix('List').lower()}_list", number, kind)
        feature.field[-1].oneof_index = 0
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    _add_field(entry, "key", 1, _Field.TYPE_STRING)
    _add_field(entry, "value", 2, "Feature")
    _add_field(features, "feature", 1, "Features.FeatureEntry", repeated=True)
    _add_field(file.message_type.add(name="Example"), "features", 1, "Features")
    pool = descriptor_pool.DescriptorPool()  # a pool of its own: TensorFlow registers the real file in the default one
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Example"))


Example = _example_class()
