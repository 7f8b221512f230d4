"""`fastmcp` with its own OAuth helper, which opens a browser and listens for the answer: see contract.py."""

import logging
import threading
import time
import urllib.error
import urllib.request
import warnings
import webbrowser

import httpx2
from fastmcp import Client
from fastmcp.client.auth import OAuth
from fastmcp.client.transports import StreamableHttpTransport
from key_value.aio.stores.memory import MemoryStore

import contract


class BackgroundBrowser(webbrowser.BaseBrowser):
    """Follows an URL wherever it leads, the client's own callback included."""

    def __init__(self):
        super().__init__("interop")
        self.authorizations = []

    def open(self, url, new=0, autoraise=True):
        self.authorizations.append(contract.queried(url).get("scope", ""))
        threading.Thread(target=self.follow, args=(url,), daemon=True).start()
        return True

    def follow(self, url):
        # The client listens for the answer only after it opened the browser.
        for _ in range(100):
            try:
                with urllib.request.urlopen(url, timeout=10) as page:
                    page.read()
                return
            except urllib.error.HTTPError:
                raise
            except urllib.error.URLError:
                time.sleep(0.1)


BROWSER = BackgroundBrowser()
webbrowser.register("interop", None, BROWSER, preferred=True)
# For all servers: its keys have their URLs in them.
STORE = MemoryStore()


async def client(connection):
    transport = contract.recording_transport(httpx2)
    before = len(BROWSER.authorizations)
    connection.authorizations = lambda: BROWSER.authorizations[before:]
    connection.seen = transport.show

    def http(**settings):
        return httpx2.AsyncClient(**{"timeout": 30, **settings, "transport": transport})

    # It warns of a store in memory, and tells of every browser it opens.
    warnings.simplefilter("ignore")
    logging.getLogger("fastmcp").setLevel(logging.WARNING)
    auth = OAuth(callback_host="127.0.0.1", httpx_client_factory=http, token_storage=STORE)
    remote = StreamableHttpTransport(connection.url, auth=auth, httpx_client_factory=http)
    async with Client(remote) as session:

        async def call(tool):
            result = await session.call_tool(tool, {})
            return contract.text_of(result.content, result.is_error)

        await connection.take([tool.name for tool in await session.list_tools()], call)


if __name__ == "__main__":
    contract.run(client)
