"""PyPI `django-oauth-toolkit` as an authorization server with opaque tokens, in one process.

  python server.py PORT

PORT 0 picks a free port. The first line on stdout is `issuer http://127.0.0.1:PORT/o`; the metadata
(`/o/.well-known/oauth-authorization-server`) name the other endpoints. It runs until its standard input ends, and
keeps everything in memory.

Tokens: POST to the token endpoint (`/o/token/`) with HTTP Basic `interop` : `interop-secret` and the form
  grant_type=client_credentials & scope=mcp:read mcp:write & resource=URL
gives an opaque token, whose `aud` is that URL if it was asked for with one.

Introspection (`/o/introspect/`) is for confidential clients, `mcp@example.com:1` with the secret `s3:cret + 100%`
say, by Basic (each form-encoded) or by the form; and for tokens with the scope `introspection`, which that client
gets for itself with grant_type=client_credentials. Revocation (`/o/revoke_token/`) is for the client that the token
was issued to.

Commands on standard input, one a line, each answered by one line on stdout:
  ttl SECONDS      lifetime of the tokens issued from now on (600 at the start)   answer: ttl SECONDS
  alice RESOURCE   a token of the user alice for this resource                    answer: alice TOKEN
"""

import os
import queue
import secrets
import sys
import threading
from datetime import timedelta
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.utils import timezone

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
django.setup()

# Models can be imported only now.
from django.contrib.auth.models import User
from oauth2_provider.models import AccessToken, Application
from oauth2_provider.settings import oauth2_settings


class Handler(WSGIRequestHandler):
    def log_message(self, *_):
        pass


class Server(WSGIServer):
    """Serves one request after the other, and the commands between them."""

    request_queue_size = 128
    commands = queue.SimpleQueue()

    def service_actions(self):
        while not self.commands.empty():
            print(answer(*self.commands.get().split()), flush=True)


def client(client_id, secret):
    return Application.objects.create(
        client_id=client_id,
        client_secret=secret,
        # A hash made to be slow would be made for each request.
        hash_client_secret=False,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
    )


def answer(command="", value="", *_):
    if command == "ttl" and value.isdigit():
        oauth2_settings.ACCESS_TOKEN_EXPIRE_SECONDS = int(value)
        return f"ttl {value}"
    if command == "alice" and value:
        token = AccessToken.objects.create(
            user=User.objects.get_or_create(username="alice")[0],
            application=Application.objects.get(client_id="interop"),
            token=secrets.token_urlsafe(24),
            expires=timezone.now() + timedelta(seconds=oauth2_settings.ACCESS_TOKEN_EXPIRE_SECONDS),
            scope="mcp:read",
            resource=[value],
        )
        return f"alice {token.token}"
    return f"unknown command: {command}"


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: python server.py PORT")
    call_command("migrate", verbosity=0)
    client("interop", "interop-secret")
    client("mcp@example.com:1", "s3:cret + 100%")
    server = make_server("127.0.0.1", int(sys.argv[1]), get_wsgi_application(), Server, Handler)

    def listen():
        for line in sys.stdin:
            server.commands.put(line)
        server.shutdown()

    threading.Thread(target=listen, daemon=True).start()
    print(f"issuer http://127.0.0.1:{server.server_port}/o", flush=True)
    server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
