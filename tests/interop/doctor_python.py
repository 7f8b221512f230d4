"""A server of PyPI mcp, version 2, for the doctor to look at.

    doctor_python.py ISSUER FAULT

Prints `listening on URL` and serves until its standard input ends. FAULT is `none`, or one of those
that are looked for below.
"""

import sys

import jwt
from mcp.server import MCPServer
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from doctor_serving import bound, serve

issuer, fault = sys.argv[1:]
socket, origin = bound()
url = f"{origin}/mcp"
keys = jwt.PyJWKClient(f"{issuer}/jwks")


class Verifier:
    async def verify_token(self, token: str) -> AccessToken | None:
        try:
            key = keys.get_signing_key_from_jwt(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=["ES256"],
                issuer=issuer,
                options={"verify_aud": False, "verify_exp": fault != "late"},
            )
        except jwt.PyJWTError:
            return None
        scopes = claims.get("scope", "").split()
        # Whether it is expired is looked at once more where it is known.
        exp = None if fault == "late" else claims["exp"]
        return AccessToken(
            token=token, client_id="x", scopes=scopes, expires_at=exp, resource=claims.get("aud")
        )


resource = {
    "host": url.replace("127.0.0.1", "localhost"),
    "prefix": f"{origin}/team/mcp",
    "origin": origin,
}.get(fault, url)
auth = AuthSettings(
    issuer_url={"issuer-slash": f"{issuer}/", "http-issuer": "http://auth.example.com"}.get(fault, issuer),
    resource_server_url=resource,
    required_scopes=["mcp:admin"] if fault == "scope" else ["mcp:read"],
    validate_token_resource=fault not in ("no-audience-check", "host", "prefix", "origin"),
)
guarded = {} if fault == "no-guard" else {"auth": auth, "token_verifier": Verifier()}
server = MCPServer("python", **guarded)


@server.tool()
def echo() -> str:
    """Says it again."""
    return "echo"


headers = [("date", "Sat, 09 Jun 2018 21:18:47 GMT")] if fault == "clock" else []
serve(server.streamable_http_app(), socket, url, headers)
