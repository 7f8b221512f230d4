"""The official Python client, version 1, without a browser: see contract.py."""

import httpx
from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

import contract


async def client(visit):
    transport = contract.recording_transport(httpx)
    browser = contract.Browser(httpx, transport)
    visit.authorizations = lambda: browser.authorizations
    visit.steps = transport.show

    async def callback():
        return browser.answer.get("code", ""), browser.answer.get("state")

    auth = OAuthClientProvider(
        server_url=visit.url,
        client_metadata=OAuthClientMetadata(**contract.metadata("interop-python-v1")),
        storage=contract.Memory(),
        redirect_handler=browser.redirect,
        callback_handler=callback,
    )
    async with (
        httpx.AsyncClient(transport=transport, auth=auth, timeout=contract.TIME_LIMIT_S) as http,
        streamable_http_client(visit.url, http_client=http) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        if browser.answer is None:
            raise RuntimeError("connected without a token: the server is not protected")

        async def call(tool):
            result = await session.call_tool(tool, {})
            return contract.text_of(result.content, result.isError)

        await visit.take([tool.name for tool in (await session.list_tools()).tools], call)


if __name__ == "__main__":
    contract.run(client)
