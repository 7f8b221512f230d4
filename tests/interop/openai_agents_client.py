"""An agent of `openai-agents` whose model always calls the tool it was told of: see contract.py.

The model sees the tools that the server lists, and no others: that is how an agent steps up or does not.
"""

import httpx2
from agents import Agent, Runner, set_tracing_disabled
from agents.mcp import MCPServerStreamableHttp
from agents.testing import ScriptedModel, assistant_message, function_call
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

import contract


async def client(connection):
    set_tracing_disabled(True)  # it would go to a service
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
        client_metadata=OAuthClientMetadata(**contract.metadata("interop-openai-agents")),
        storage=kept,
        redirect_handler=browser.redirect,
        callback_handler=callback,
    )

    def http(headers=None, timeout=None, auth=None):
        return httpx2.AsyncClient(headers=headers, timeout=timeout, auth=auth, transport=transport)

    params = {"url": connection.url, "auth": auth, "httpx_client_factory": http}
    async with MCPServerStreamableHttp(params=params, client_session_timeout_seconds=30) as server:

        async def turn(steps):
            model = ScriptedModel(steps)
            agent = Agent(name="interop", model=model, mcp_servers=[server])
            result = await Runner.run(agent, "go on")
            return model, result

        # A turn in which it calls nothing: what it could call.
        model, _ = await turn([[assistant_message("well")]])
        shown = [tool.name for tool in model.calls[0].tools]

        async def call(tool):
            _, result = await turn([[function_call(tool, {}, call_id=f"call-{tool}")], [assistant_message("well")]])
            (output,) = [item.output for item in result.new_items if item.type == "tool_call_output_item"]
            # A string is what the agent is told where the call failed.
            if isinstance(output, str):
                raise RuntimeError(output)
            return output["text"]

        await connection.take(shown, call)


if __name__ == "__main__":
    contract.run(client)
