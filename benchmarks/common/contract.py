"""The methods of the contract, from its descriptors, so that a new service is measured and tested automatically."""

import importlib
import pkgutil
from collections.abc import Iterator

from google.protobuf.descriptor import MethodDescriptor

import portrait.v1


def list_unary_methods() -> Iterator[MethodDescriptor]:
    """List all unary methods."""
    for module in pkgutil.iter_modules(portrait.v1.__path__):
        if module.name.endswith("_service_pb2"):
            file = importlib.import_module(f"portrait.v1.{module.name}").DESCRIPTOR
            for service in file.services_by_name.values():
                yield from (each for each in service.methods if not (each.client_streaming or each.server_streaming))


def method_path(method: MethodDescriptor) -> str:
    """Return the HTTP/2 path of a method."""
    return f"/{method.containing_service.full_name}/{method.name}"
