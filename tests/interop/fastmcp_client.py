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


async def client(visit):
    browser = BackgroundBrowser()
    webbrowser.register("interop", None, browser, preferred=True)
    transport = contract.recording_transport(httpx2)
    visit.authorizations = lambda: browser.authorizations
    visit.steps = transport.show

    def http(**settings):
        return httpx2.AsyncClient(**{"timeout": 30, **settings, "transport": transport})

    # Its default, a store in memory, warns of being one; and it tells of every browser it opens.
    warnings.simplefilter("ignore")
    logging.getLogger("fastmcp").setLevel(logging.WARNING)
    auth = OAuth(callback_host="127.0.0.1", httpx_client_factory=http)
    remote = StreamableHttpTransport(visit.url, auth=auth, httpx_client_factory=http)
    async with Client(remote) as session:

        async def call(tool):
            result = await session.call_tool(tool, {})
            return contract.text_of(result.content, result.is_error)

        await visit.take([tool.name for tool in await session.list_tools()], call)


if __name__ == "__main__":
    contract.run(client)
