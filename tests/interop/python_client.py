"""The official Python client against a protected MCP server, without a browser.

    python python_client.py URL

Prints one JSON object: {"tools": [names], "whoami": text, "steps": ["METHOD URL STATUS", ...]}.
`steps` holds every request in the order it was sent, without query strings (they are random);
STATUS is `-` where no answer had come when the script ended.
"""

import asyncio
import json
import sys
import traceback
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

TIME_LIMIT_S = 60
# Nothing listens there: the code is read from the redirect itself.
REDIRECT_URL = "http://127.0.0.1:8976/callback"


class RecordingTransport(httpx2.AsyncHTTPTransport):
    """Sees every request, those of the authorization flow included."""

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

    def __init__(self, transport):
        self.transport = transport
        self.answer = None

    async def redirect(self, url):
        response = await self.transport.handle_async_request(httpx2.Request("GET", url))
        location = response.headers.get("location")
        if location is None:
            await response.aread()
            raise RuntimeError(
                f"the authorization endpoint answered {response.status_code} and no redirect: {response.text}"
            )
        await response.aclose()
        if not location.startswith(f"{REDIRECT_URL}?"):
            raise RuntimeError(f"redirected elsewhere: {location}")
        self.answer = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        if "error" in self.answer:
            raise RuntimeError(f"authorization refused: {location}")

    async def callback(self):
        return AuthorizationCodeResult(
            code=self.answer.get("code", ""), state=self.answer.get("state"), iss=self.answer.get("iss")
        )


async def dance(url, transport):
    browser = Browser(transport)
    auth = OAuthClientProvider(
        server_url=url,
        # No scope: what the client asks for must come from the server's challenge or metadata.
        client_metadata=OAuthClientMetadata(
            client_name="interop-python",
            redirect_uris=[REDIRECT_URL],
            grant_types=["authorization_code"],
            response_types=["code"],
            token_endpoint_auth_method="none",
        ),
        storage=Memory(),
        redirect_handler=browser.redirect,
        callback_handler=browser.callback,
    )
    async with (
        httpx2.AsyncClient(transport=transport, auth=auth, timeout=TIME_LIMIT_S) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        if browser.answer is None:
            raise RuntimeError("connected without a token: the server is not protected")
        tools = (await client.list_tools()).tools
        result = await client.call_tool("whoami", {})
    whoami = "".join(part.text for part in result.content)
    if result.is_error:
        raise RuntimeError(f"whoami failed: {whoami}")
    return {"tools": [tool.name for tool in tools], "whoami": whoami}


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: python python_client.py URL")
    transport = RecordingTransport()
    try:
        answer = asyncio.run(asyncio.wait_for(dance(sys.argv[1], transport), TIME_LIMIT_S))
    except TimeoutError:
        sys.exit(f"python_client: not finished within {TIME_LIMIT_S} s; steps: {', '.join(transport.show())}")
    except Exception as error:
        # What matters is often inside an exception group: the traceback shows all of it.
        traceback.print_exception(error)
        sys.exit(f"python_client: {error!r}; steps: {', '.join(transport.show())}")
    print(json.dumps({**answer, "steps": transport.show()}))


if __name__ == "__main__":
    main()
