"""Opens the engine in which releases' nearest items are searched, if the settings name one."""

from typing import TYPE_CHECKING

from portrait.features.installation import explain_install
from portrait.server.search.errors import IndexStorageError

if TYPE_CHECKING:
    from portrait.server.search.milvus.collections import MilvusCollections


def open_collections(url: str) -> "MilvusCollections":
    """Connect to the engine.

    Raises:
        IndexStorageError: nobody answers there, or a package for it is missing.
    """
    try:
        from portrait.server.search.milvus.collections import connect
    except ImportError as error:  # also of a package that does not fit another one
        raise IndexStorageError(f"index_url needs {error.name or error}: {explain_install('milvus')}") from error
    return connect(url)
