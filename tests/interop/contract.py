"""What every client script of this folder takes and prints:

    python SCRIPT URL STEP... [--then URL | --back URL]...

It connects to the MCP server at URL and lists its tools; then each STEP is the name of a tool to call, or
`-`: print the line `ready` and wait for a line on stdin, which says how many seconds went by for the server,
and so for the client: the Python SDK looks at its clock to tell whether its token expired. At last it prints
one line of JSON:

    {"tools": [names], "calls": [{"tool", "text"} or {"tool", "error"}, ...],
     "authorizations": [scopes asked for, ...], "steps": ["METHOD URL STATUS", ...],
     "presented": ["URL AUDIENCE STATUS", ...]}

`steps` holds every request in the order it was sent, without query strings (they are random); STATUS is `-`
where no answer had come when the script ended. `presented` holds those of them that had an access token, and
for whom that was (`?` where it is opaque).

Then it does the same at each URL of `--then`, with what it keeps of the servers before, and at each URL of
`--back` over the connection it has there: all of them stay open to the end. Each is a line of its own. Where
one that is not the first fails, its line has an `error`.

With `--anonymous` it is no fault that the server lets it connect without a token.
"""

import asyncio
import base64
import json
import os
import sys
import time
import traceback
from urllib.parse import parse_qs, urlsplit

TIME_LIMIT_S = 60
# Nothing listens there: the code is read from the redirect itself.
REDIRECT_URL = "http://127.0.0.1:8976/callback"


def arguments():
    """The visits, each a URL and whether the client comes back there; the steps; the options, as `--name`."""
    visits, asked, options = [], [], set()
    given = iter(sys.argv[1:])
    for argument in given:
        if argument in ("--then", "--back"):
            visits.append((next(given), argument == "--back"))
        elif argument.startswith("--"):
            options.add(argument)
        elif visits:
            asked.append(argument)
        else:
            visits.append((argument, False))
    return visits, asked, options


VISITS, ASKED, OPTIONS = arguments()


def audience_of(request):
    """For whom the access token is that a request has: `?` where it does not say."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer":
        return None
    try:
        payload = token.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["aud"]
    except (IndexError, KeyError, ValueError):
        return "?"


def recording_transport(httpx):
    """A transport of `httpx` or `httpx2` that sees every request, those of the authorization flow included."""

    class RecordingTransport(httpx.AsyncHTTPTransport):
        def __init__(self):
            super().__init__()
            self.requests = []

        async def handle_async_request(self, request):
            url = str(request.url.copy_with(query=None))
            seen = {"method": request.method, "url": url, "audience": audience_of(request), "status": "-"}
            self.requests.append(seen)
            response = await super().handle_async_request(request)
            seen["status"] = response.status_code
            return response

        def show(self):
            """As the contract has it."""
            return {
                "steps": ["{method} {url} {status}".format(**seen) for seen in self.requests],
                "presented": ["{url} {audience} {status}".format(**seen) for seen in self.requests if seen["audience"]],
            }

    return RecordingTransport()


def queried(url):
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


class Kept:
    """What a host keeps of one server, as the SDK asks for it; the registration is one for all."""

    def __init__(self, store):
        self.store = store
        self.tokens = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.store.client_info

    async def set_client_info(self, client_info):
        self.store.client_info = client_info


class Store:
    """What a host keeps, in memory: for each server, or with `--by-origin` for each origin."""

    def __init__(self):
        self.client_info = None
        self.kept = {}

    def of(self, url):
        split = urlsplit(url)
        key = (split.scheme, split.netloc) if "--by-origin" in OPTIONS else url
        return self.kept.setdefault(key, Kept(self))


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


class Connection:
    """A client at one server. The client says what is seen of it: functions for `authorizations`, and for the rest."""

    def __init__(self, client, url, store):
        self.url = url
        self.store = store
        self.authorizations = list
        self.seen = dict
        self.answer = {"tools": [], "calls": []}
        self.before = {}
        self.visits = asyncio.Queue()
        self.visited = asyncio.Queue()
        # In a task of its own, for it to leave its contexts where it entered them.
        self.task = asyncio.create_task(client(self))

    async def take(self, tools, call):
        """With the names of the tools, and `call(tool)`, which returns a text or raises."""
        tools = list(tools)
        while await self.visits.get():
            self.answer = {"tools": tools, "calls": []}
            for step in ASKED:
                if step == "-":
                    print("ready", flush=True)
                    pass_time(float(await asyncio.to_thread(sys.stdin.readline) or 0))
                    continue
                try:
                    said = {"text": await call(step)}
                except Exception as error:
                    said = {"error": f"{error!r}"}
                self.answer["calls"].append({"tool": step, **said})
            await self.visited.put(True)

    async def visit(self):
        self.before = {of: len(seen) for of, seen in self.all_seen().items()}
        self.answer = {"tools": [], "calls": []}
        await self.visits.put(True)
        visited = asyncio.create_task(self.visited.get())
        await asyncio.wait({visited, self.task}, return_when=asyncio.FIRST_COMPLETED)
        if not visited.done():
            visited.cancel()
            self.task.result()  # raises what the client did
            raise RuntimeError("the client ended by itself")

    async def close(self):
        if not self.task.done():
            await self.visits.put(False)
            await self.task

    def all_seen(self):
        return {"authorizations": self.authorizations(), **self.seen()}

    def show(self, **more):
        since = {of: seen[self.before.get(of, 0) :] for of, seen in self.all_seen().items()}
        return json.dumps({**self.answer, **since, **more})


async def visit_all(client, connections):
    """Prints a line for each visit. The last of the connections is the one that fails, if one does."""
    store = Store()
    for at, (url, is_back) in enumerate(VISITS):
        if is_back:
            connection = next(connection for connection in reversed(connections) if connection.url == url)
        else:
            connection = Connection(client, url, store)
            connections.append(connection)
        more = {}
        try:
            await connection.visit()
        except Exception as error:
            if at == 0:
                raise
            more["error"] = f"{error!r}"
        if at == len(VISITS) - 1:
            for opened in connections:
                await opened.close()
        print(connection.show(**more), flush=True)


def run(client):
    """Runs `client(connection)`, which connects and calls `connection.take`."""
    name = os.path.basename(sys.argv[0])
    if not VISITS:
        sys.exit(f"usage: python {name} URL STEP... [--then URL | --back URL]...")
    connections = []
    try:
        asyncio.run(asyncio.wait_for(visit_all(client, connections), TIME_LIMIT_S))
    except TimeoutError:
        shown = connections[-1].show()
        print(f"{name}: not finished within {TIME_LIMIT_S} s\n{shown}", file=sys.stderr, flush=True)
        os._exit(1)  # not waiting for a thread that reads
    except Exception as error:
        # What matters is often inside an exception group: the traceback shows all of it.
        traceback.print_exception(error)
        sys.exit(f"{name}: {error!r}\n{connections[-1].show()}")
