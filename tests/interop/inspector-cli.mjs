// MCP Inspector's command line, one run of it for each step: see contract.mjs.
//
// It keeps its tokens in a folder of its own between runs, and opens a browser by itself. `steps` is empty: it
// sends its requests alone.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { browserIn, freePort, scopeOf } from './browser.mjs';
import { run, text } from './contract.mjs';

const INSPECTOR = 'node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js';

// For all servers.
const folder = mkdtempSync(path.join(tmpdir(), 'interop-inspector-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const browser = browserIn(folder);

await run(async (url, report) => {
  const { length } = browser.urls();
  report(() => ({ authorizations: browser.urls().slice(length).map(scopeOf), steps: [], presented: [] }));
  const callback = `http://127.0.0.1:${await freePort()}/oauth/callback`;
  const inspector = fileURLToPath(new URL(INSPECTOR, import.meta.url));
  const { PATH } = process.env;
  const env = {
    PATH, HOME: folder, BROWSER: browser.command, MCP_AUTO_OPEN_ENABLED: 'true',
    MCP_INSPECTOR_SECRET_STORE: 'file', NO_COLOR: '1',
  };
  const ask = (...rest) => new Promise((resolve, reject) => {
    const args = [inspector, '--cli', url.href, '--transport', 'http', '--callback-url', callback, '--format', 'json', ...rest];
    const child = execFile(process.execPath, args, { env, cwd: folder }, (error, stdout, stderr) => {
      try {
        if (error) throw new Error(stderr.trim() || stdout.trim() || error.message);
        resolve(JSON.parse(stdout).result);
      } catch (why) {
        reject(why);
      }
    });
    child.stdin.end('y\n'); // it asks before it asks for more scope
  });
  return {
    tools: async () => (await ask('--method', 'tools/list')).tools.map((tool) => tool.name),
    call: async (tool) => text(await ask('--method', 'tools/call', '--tool-name', tool)),
    close: async () => {},
  };
});
