"""What every client script of this folder takes and prints:

    python SCRIPT URL STEP...

It connects to the MCP server at URL and lists its tools; then each STEP is the name of a tool to call, or
`-`: print the line `ready` and wait for a line on stdin, which says how many seconds went by for the server,
and so for the client: the Python SDK looks at its clock to tell whether its token expired. At last it prints
one line of JSON:

    {"tools": [names], "calls": [{"tool", "text"} or {"tool", "error"}, ...],
     "authorizations": [scopes asked for, ...], "steps": ["METHOD URL STATUS", ...]}

`steps` holds every request in the order it was sent, without query strings (they are random); STATUS is `-`
where no answer had come when the script ended.
"""

import asyncio
import json
import os
import sys
import time
import traceback
from urllib.parse import parse_qs, urlsplit

TIME_LIMIT_S = 60
# Nothing listens there: the code is read from the redirect itself.
REDIRECT_URL = "http://127.0.0.1:8976/callback"


def recording_transport(httpx):
    """A transport of `httpx` or `httpx2` that sees every request, those of the authorization flow included."""

    class RecordingTransport(httpx.AsyncHTTPTransport):
        def __init__(self):
            super().__init__()
            self.steps = []

        async def handle_async_request(self, request):
            url = request.url.copy_with(query=None)
            step = [f"{request.method} {url}", "-"]
            self.steps.append(step)
            response = await super().handle_async_request(request)
            step[1] = str(response.status_code)
            return response

        def show(self):
            return [" ".join(step) for step in self.steps]

    return RecordingTransport()


def queried(url):
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


class Memory:
    """The client's storage."""

    def __init__(self):
        self.tokens = None
        self.client_info = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client_info

    async def set_client_info(self, client_info):
        self.client_info = client_info


class Browser:
    """Follows the authorization endpoint's immediate redirect; the client checks `state` and `iss`."""

    def __init__(self, httpx, transport):
        self.httpx = httpx
        self.transport = transport
        self.authorizations = []
        self.answer = None

    async def redirect(self, url):
        self.authorizations.append(queried(url).get("scope", ""))
        response = await self.transport.handle_async_request(self.httpx.Request("GET", url))
        location = response.headers.get("location")
        if location is None:
            await response.aread()
            raise RuntimeError(
                f"the authorization endpoint answered {response.status_code} and no redirect: {response.text}"
            )
        await response.aclose()
        if not location.startswith(f"{REDIRECT_URL}?"):
            raise RuntimeError(f"redirected elsewhere: {location}")
        self.answer = queried(location)
        if "error" in self.answer:
            raise RuntimeError(f"authorization refused: {location}")


def metadata(name):
    """What the official SDK registers a client with."""
    return {
        "client_name": name,
        # No scope: what the client asks for must come from the server's challenge or metadata.
        "redirect_uris": [REDIRECT_URL],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }


def text_of(content, is_error):
    """The text of what a tool returned."""
    text = "".join(part.text for part in content)
    if is_error:
        raise RuntimeError(text)
    return text


def pass_time(seconds):
    """Sets the wall clock of this process forward."""
    before = time.time
    time.time = lambda: before() + seconds


class Visit:
    """One run of the contract. The client says what is seen of it: functions for `authorizations` and `steps`."""

    def __init__(self, url, asked):
        self.url = url
        self.asked = asked
        self.answer = {"tools": [], "calls": []}
        self.authorizations = list
        self.steps = list

    async def take(self, tools, call):
        """With the names of the tools, and `call(tool)`, which returns a text or raises."""
        self.answer["tools"] = list(tools)
        for step in self.asked:
            if step == "-":
                print("ready", flush=True)
                pass_time(float(await asyncio.to_thread(sys.stdin.readline) or 0))
                continue
            try:
                said = {"text": await call(step)}
            except Exception as error:
                said = {"error": f"{error!r}"}
            self.answer["calls"].append({"tool": step, **said})

    def show(self):
        return json.dumps({**self.answer, "authorizations": self.authorizations(), "steps": self.steps()})


def run(client):
    """Runs `client(visit)`, which connects and calls `visit.take`."""
    name = os.path.basename(sys.argv[0])
    if len(sys.argv) < 2:
        sys.exit(f"usage: python {name} URL STEP...")
    visit = Visit(sys.argv[1], sys.argv[2:])
    try:
        asyncio.run(asyncio.wait_for(client(visit), TIME_LIMIT_S))
    except TimeoutError:
        print(f"{name}: not finished within {TIME_LIMIT_S} s\n{visit.show()}", file=sys.stderr, flush=True)
        os._exit(1)  # not waiting for a thread that reads
    except Exception as error:
        # What matters is often inside an exception group: the traceback shows all of it.
        traceback.print_exception(error)
        sys.exit(f"{name}: {error!r}\n{visit.show()}")
    print(visit.show())
