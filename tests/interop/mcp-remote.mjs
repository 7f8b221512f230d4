// `mcp-remote`, which makes a stdio server of ours: driven by the TypeScript SDK, see contract.mjs.
//
// It opens a browser by itself. `steps` is empty: it sends its requests alone.
//
// Where its first GET was not answered with 401, and whenever it signs in again, it listens for the browser only once
// it has opened it: by default at a port between 3335 and 49150 that it derives from the URL. Where another program
// has that one, it listens at the next, and waits for ever.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { browserIn, freePort, scopeOf } from './browser.mjs';
import { run, text } from './contract.mjs';

const PROXY = fileURLToPath(new URL('node_modules/mcp-remote/dist/proxy.js', import.meta.url));

// For all servers.
const folder = mkdtempSync(path.join(tmpdir(), 'interop-mcp-remote-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const browser = browserIn(folder);
const port = await freePort();

await run(async (url, report) => {
  const { length } = browser.urls();
  report(() => ({ authorizations: browser.urls().slice(length).map(scopeOf), steps: [], presented: [] }));
  const client = new Client({ name: 'interop-mcp-remote', version: '1.0.0' });
  const { PATH } = process.env;
  await client.connect(new StdioClientTransport({
    command: process.execPath,
    args: [PROXY, url.href, `${port}`, '--silent'],
    env: { PATH, HOME: folder, MCP_REMOTE_CONFIG_DIR: folder, BROWSER: browser.command },
  }));
  return {
    tools: async () => (await client.listTools()).tools.map((tool) => tool.name),
    call: async (tool) => text(await client.callTool({ name: tool, arguments: {} })),
    close: () => client.close(),
  };
});
