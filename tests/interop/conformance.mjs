// The MCP conformance suite against a server, with a result that can be compared byte by byte.
//
//   node conformance.mjs URL REQUIREMENTS OUTDIR      REQUIREMENTS: 2025-11-25 or 2026-07-28
//
// Writes to OUTDIR: `result.txt`, one sorted line `scenario check STATUS` for every verdict and nothing that
// depends on time, port or wording; `log.txt`, what the suite printed; `raw/`, its own files with the reasons.
// Exits 0 when the suite ran to its end, however many checks failed: comparing is the caller's part.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const TIME_LIMIT_MS = 5 * 60_000;

const [url, requirements, outDir] = process.argv.slice(2);
if (!outDir) {
  console.error('usage: node conformance.mjs URL REQUIREMENTS OUTDIR');
  process.exit(2);
}

// Against nothing at all the suite still runs to its end, and two such results are equal.
await fetch(url, { signal: AbortSignal.timeout(5_000) })
  .then((response) => response.body?.cancel())
  .catch((error) => {
    console.error(`conformance: no answer from ${url}: ${error.cause?.message ?? error.message}`);
    process.exit(1);
  });

const modules = fileURLToPath(new URL('node_modules/', import.meta.url));
const raw = join(outDir, 'raw');
rmSync(raw, { recursive: true, force: true });
mkdirSync(raw, { recursive: true });

// The suite needs Node 22 or newer, whatever runs this script.
const run = spawnSync(
  join(modules, 'node/bin/node'),
  [join(modules, '@modelcontextprotocol/conformance/dist/index.js'),
    'server', '--url', url, '--requirements', requirements, '--output-dir', raw],
  { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: TIME_LIMIT_MS, maxBuffer: 256 * 1024 * 1024 },
);
writeFileSync(join(outDir, 'log.txt'), `${run.stdout}\n${run.stderr}`);
// Failed checks also make the suite exit non-zero; only the summary tells that it reached its end.
if (run.error || !run.stdout.includes('\n=== SUMMARY ===\n')) {
  console.error(`conformance: the suite did not finish: ${run.error?.message ?? run.stderr.trim().split('\n').at(-1)}`);
  process.exit(1);
}

// Each scenario has a directory `server-<scenario>-<time>`, with checks.json unless the scenario threw.
const lines = readdirSync(raw).flatMap((directory) => {
  const scenario = directory.match(/^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/)[1];
  const file = join(raw, directory, 'checks.json');
  if (!existsSync(file)) return [`${scenario} - FAILURE`];
  return JSON.parse(readFileSync(file, 'utf8'))
    .filter((check) => check.status !== 'INFO') // a trace of the traffic, not a verdict
    .map((check) => `${scenario} ${check.id} ${check.status}`);
}).sort();
writeFileSync(join(outDir, 'result.txt'), `${lines.join('\n')}\n`);

const count = (status) => lines.filter((line) => line.endsWith(` ${status}`)).length;
console.log(`${requirements}: ${count('SUCCESS')} succeeded, ${count('FAILURE')} failed, ${lines.length} in all`);
