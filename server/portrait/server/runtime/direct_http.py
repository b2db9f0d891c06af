"""HTTP that ignores the proxies of the environment: metrics are read on this machine or in the local network."""

import urllib.request
from http.client import HTTPResponse

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def open_url(url: str, seconds: float) -> HTTPResponse:
    """Open a page; the caller closes the response.

    Args:
        url: an http or https URL; the caller must not pass another scheme.
        seconds: the timeout of a server that does not answer.

    Raises:
        OSError, HTTPException: the server does not answer, or answers with an error.
    """
    answer: HTTPResponse = _opener.open(url, timeout=seconds)
    return answer
