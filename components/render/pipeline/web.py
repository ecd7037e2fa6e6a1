"""HTTP as a pipeline needs it: a question has an answer or a reason, and neither ever shows a URL."""

import dataclasses
import http.client
import json
import random
import socket
import ssl
import time
import urllib.error
import urllib.request

from tell import ENV, number, say

LARGEST = 64 << 20


@dataclasses.dataclass
class Answer:
    """
    Status 0: there was none, and `why` says so. `arrived`: the question may have been understood all the same. The headers' names are
    in lower case.
    """

    status: int
    headers: dict
    content: bytes
    why: str = ""
    arrived: bool = True

    def json(self):
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):  # no JSON, or nested without an end
            return None


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


HTTP = urllib.request.build_opener(NoRedirect)


def reason(error):
    if isinstance(error, socket.gaierror):
        return "its name was not found (DNS)"
    if isinstance(error, ssl.SSLError):
        return "its certificate is not valid, or TLS failed"
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    if isinstance(error, TimeoutError):
        return "no answer came in time"
    if isinstance(error, ConnectionError):
        return "the connection broke off"
    return f"the connection failed ({type(error).__name__})"


def once(method, url, headers=None, body=None):
    """One question. Redirects are not followed: headers that are secret would go along."""
    data = None if body is None else json.dumps(body).encode()
    try:
        asked = urllib.request.Request(url, data=data, headers=headers or {}, method=method)
        with HTTP.open(asked, timeout=number("REQUEST_SECONDS", 30)) as got:
            try:
                content = got.read(LARGEST)
                if got.length and len(content) < LARGEST:  # Python takes what broke off for whole
                    raise http.client.IncompleteRead(content, got.length)
            except (OSError, http.client.HTTPException):
                if method == "GET":
                    raise
                content = b""  # it is done: the status says so
            return Answer(got.status, lower(got.headers), content)
    except urllib.error.HTTPError as error:
        with error:
            try:
                content = error.read(LARGEST)
            except (OSError, http.client.HTTPException):
                content = b""
            return Answer(error.code, lower(error.headers), content)
    except urllib.error.URLError as error:
        # Of connecting or sending. What broke off in the middle of it may have arrived.
        inner = error.reason if isinstance(error.reason, Exception) else error
        arrived = isinstance(inner, ConnectionError) and not isinstance(inner, ConnectionRefusedError)
        return Answer(0, {}, b"", reason(inner), arrived)
    except (ValueError, http.client.InvalidURL):
        # Python's text would show the URL, or the header.
        return Answer(0, {}, b"", "its address or a header has characters that cannot be sent", arrived=False)
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, {}, b"", reason(error))


def lower(headers):
    return {name.lower(): value for name, value in headers.items()}


def pause(attempt, answer=None, limited=False):
    """Waits before the next attempt: as long as the service asks for, else longer each time; never very long."""
    base = number("RETRY_BASE_SECONDS", 2)
    headers = answer.headers if answer else {}
    after = headers.get("retry-after", "")
    reset = headers.get("x-ratelimit-reset", "") if headers.get("x-ratelimit-remaining") == "0" else ""
    if after.isdecimal():
        seconds = float(after)
    elif reset.isdecimal():
        seconds = max(0.0, float(reset) - time.time())
    else:
        seconds = base * 2 ** (attempt - 1) * (15 if limited else 1)
    time.sleep(min(seconds + base * random.SystemRandom().random(), number("RETRY_MOST_SECONDS", 60)))


def asked(name, method, url, headers=None, body=None, attempts=4):
    """Asks until there is an answer that will not change. What makes something is not sent twice, unless it surely did not arrive."""
    for attempt in range(1, attempts + 1):
        answer = once(method, url, headers, body)
        limited = answer.status == 429 or (
            answer.status == 403 and (b"rate limit" in answer.content.lower() or "retry-after" in answer.headers)
        )
        again = method in ("GET", "PATCH") or not answer.arrived
        passing = limited or (again and (answer.status == 0 or answer.status >= 500))
        if not passing or attempt == attempts:
            return answer
        say(f"{name}: {answer.why or f'status {answer.status}'}, at attempt {attempt}; trying again")
        pause(attempt, answer, limited)
    raise AssertionError


def bearer(token):
    return {"Authorization": f"Bearer {token}"} if token else {}


def agent():
    return {"User-Agent": ENV.get("GITHUB_REPOSITORY", "pipeline"), "Accept": "application/json"}
