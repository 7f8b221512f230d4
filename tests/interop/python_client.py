"""The official Python client, version 2, without a browser: see contract.py."""

import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

import contract


async def client(connection):
    transport = contract.recording_transport(httpx2)
    browser = contract.Browser(httpx2, transport)
    connection.authorizations = lambda: browser.authorizations
    connection.seen = transport.show

    async def callback():
        answer = browser.answer
        return AuthorizationCodeResult(code=answer.get("code", ""), state=answer.get("state"), iss=answer.get("iss"))

    kept = connection.store.of(connection.url)
    auth = OAuthClientProvider(
        server_url=connection.url,
        client_metadata=OAuthClientMetadata(**contract.metadata("interop-python")),
        storage=kept,
        redirect_handler=browser.redirect,
        callback_handler=callback,
    )
    async with (
        httpx2.AsyncClient(transport=transport, auth=auth, timeout=contract.TIME_LIMIT_S) as http,
        Client(streamable_http_client(connection.url, http_client=http)) as session,
    ):
        if kept.tokens is None and "--anonymous" not in contract.OPTIONS:
            raise RuntimeError("connected without a token: the server is not protected")

        async def call(tool):
            result = await session.call_tool(tool, {})
            return contract.text_of(result.content, result.is_error)

        await connection.take([tool.name for tool in (await session.list_tools()).tools], call)


if __name__ == "__main__":
    contract.run(client)
