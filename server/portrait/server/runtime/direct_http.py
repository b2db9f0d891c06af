"""HTTP without the proxies that the environment names: for metrics, on this machine or in the network beside it."""

import urllib.request
from http.client import HTTPResponse

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def open_url(url: str, seconds: float) -> HTTPResponse:
    """Ask for a page; the caller closes the answer.

    Args:
        url: http or https; nothing else is looked at by the caller's choice.
        seconds: after which a silent server has failed.

    Raises:
        OSError, HTTPException: nobody answers, or not with a page.
    """
    answer: HTTPResponse = _opener.open(url, timeout=seconds)
    return answer
