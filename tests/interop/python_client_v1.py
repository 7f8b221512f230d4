"""The official Python client, version 1, without a browser: see contract.py."""

import httpx
from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

import contract


async def client(connection):
    transport = contract.recording_transport(httpx)
    browser = contract.Browser(httpx, transport)
    connection.authorizations = lambda: browser.authorizations
    connection.seen = transport.show

    async def callback():
        return browser.answer.get("code", ""), browser.answer.get("state")

    kept = connection.store.of(connection.url)
    auth = OAuthClientProvider(
        server_url=connection.url,
        client_metadata=OAuthClientMetadata(**contract.metadata("interop-python-v1")),
        storage=kept,
        redirect_handler=browser.redirect,
        callback_handler=callback,
    )
    async with (
        httpx.AsyncClient(transport=transport, auth=auth, timeout=contract.TIME_LIMIT_S) as http,
        streamable_http_client(connection.url, http_client=http) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        if kept.tokens is None and "--anonymous" not in contract.OPTIONS:
            raise RuntimeError("connected without a token: the server is not protected")

        async def call(tool):
            result = await session.call_tool(tool, {})
            return contract.text_of(result.content, result.isError)

        await connection.take([tool.name for tool in (await session.list_tools()).tools], call)


if __name__ == "__main__":
    contract.run(client)
