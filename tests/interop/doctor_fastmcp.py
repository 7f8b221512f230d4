"""A server of PyPI fastmcp, for the doctor to look at.

    doctor_fastmcp.py ISSUER FAULT

Prints `listening on URL` and serves until its standard input ends. FAULT is `none`, or one of those
that are looked for below.
"""

import sys

from fastmcp import FastMCP
from fastmcp.server.auth import RemoteAuthProvider
from fastmcp.server.auth.providers.jwt import JWTVerifier
from fastmcp.utilities.authorization import require_scopes
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route
from doctor_serving import bound, serve

issuer, fault = sys.argv[1:]
socket, origin = bound()
verifier = JWTVerifier(
    jwks_uri=f"{issuer}/jwks",
    issuer=issuer,
    audience=None if fault == "no-audience-check" else f"{origin}/mcp",
    algorithm="ES256",
    required_scopes=["mcp:read"],
)
base_url = {
    "scheme": origin.replace("http:", "https:"),
    "port": "http://127.0.0.1",
}.get(fault, origin)
auth = RemoteAuthProvider(
    token_verifier=verifier,
    authorization_servers=[AnyHttpUrl(issuer)],
    base_url=base_url,
    scopes_supported=["mcp:read", "mcp:admin"] if fault == "hidden" else ["mcp:read"],
)
server = FastMCP("fastmcp", auth=auth)


@server.tool(auth=require_scopes("mcp:admin") if fault == "hidden" else None)
def echo() -> str:
    """Says it again."""
    return "echo"


app = server.http_app(path="/mcp")
if fault == "mounted":
    # As in an application of one's own: what is at the root does not come along.
    routes = [Mount("/app", app=app)]
    app = Starlette(routes=routes, lifespan=app.lifespan)
    serve(app, socket, f"{origin}/app/mcp")
if fault == "redirect":
    path = "/.well-known/oauth-protected-resource/mcp"
    elsewhere = Route(path, lambda request: RedirectResponse(f"{origin}/docs"))
    app = Starlette(routes=[elsewhere, Mount("/", app=app)], lifespan=app.lifespan)
serve(app, socket, f"{origin}/mcp")
