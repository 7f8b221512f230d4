// What every client script of this folder takes and prints:
//
//   node SCRIPT URL STEP... [--then URL | --back URL]...
//
// It connects to the MCP server at URL and lists its tools; then each STEP is the name of a tool to call, or
// `-`: print the line `ready` and wait for a line on stdin, which says how many seconds went by for the server
// (clients in JavaScript wait for its 401, so here nothing is done about it). At last it prints one line of JSON:
//
//   {"tools": [names], "calls": [{"tool", "text"} or {"tool", "error"}, ...],
//    "authorizations": [scopes asked for, ...], "steps": ["METHOD URL STATUS", ...],
//    "presented": ["URL AUDIENCE STATUS", ...]}
//
// `steps` holds every request in the order it was sent, without query strings (they are random); STATUS is `-`
// where no answer had come when the script ended. `presented` holds those of them that had an access token, and for
// whom that was (`?` where it is opaque). Both are empty where another program sends the requests.
//
// Then it does the same at each URL of `--then`, with what it keeps of the servers before, and at each URL of
// `--back` over the connection it has there: all of them stay open to the end. Each is a line of its own. Where one
// that is not the first fails, its line has an `error`.
//
// With `--anonymous` it is no fault that the server lets it connect without a token.
import { createInterface } from 'node:readline';
import path from 'node:path';

const TIME_LIMIT_MS = 60_000;

const name = path.basename(process.argv[1]);
const options = new Set();
const asked = [];
const visits = [];
for (let given = process.argv.slice(2); given.length;) {
  const argument = given.shift();
  if (argument === '--then' || argument === '--back') visits.push({ url: given.shift(), isBack: argument === '--back' });
  else if (argument.startsWith('--')) options.add(argument);
  else if (visits.length) asked.push(argument);
  else visits.push({ url: argument, isBack: false });
}

/** An option of the script, as `--name`. */
export const option = (text) => options.has(text);

/** The text of what a tool returned. */
export function text(result) {
  const joined = result.content.map((part) => part.text).join('');
  if (result.isError) throw new Error(joined);
  return joined;
}

const nothing = () => ({ authorizations: [], steps: [], presented: [] });

/** What is seen of a connection from here on. */
function from(connection) {
  const before = Object.entries(connection.seen()).map(([of, { length }]) => [of, length]);
  return () => {
    const seen = { ...connection.seen() };
    for (const [of, length] of before) seen[of] = seen[of].slice(length);
    return seen;
  };
}

/**
 * Runs the contract with a client: `open(url, report)` returns `{ tools(), call(tool), close() }`, and hands `report` a
 * function that says what was seen of it: `authorizations`, `steps` and `presented` as above, as far as they got.
 */
export async function run(open) {
  let seen = nothing;
  const fail = (why) => {
    console.error(`${name}: ${why}\n${JSON.stringify(seen())}`);
    process.exit(1);
  };
  if (!visits.length) fail(`usage: node ${name} URL STEP... [--then URL | --back URL]...`);
  setTimeout(() => fail(`not finished within ${TIME_LIMIT_MS / 1000} s`), TIME_LIMIT_MS).unref();
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const opened = [];
  const connections = new Map();

  const visit = async ({ url, isBack }) => {
    seen = nothing;
    const connection = isBack ? connections.get(url) : { seen };
    if (!connection) throw new Error(`there is no connection to ${url}`);
    seen = from(connection);
    if (!isBack) {
      connection.client = await open(new URL(url), (report) => { connection.seen = report; });
      connection.tools = await connection.client.tools();
      connections.set(url, connection);
      opened.push(connection.client);
    }
    const calls = [];
    for (const step of asked) {
      if (step === '-') {
        console.log('ready');
        await lines.next();
        continue;
      }
      calls.push(await connection.client.call(step).then(
        (said) => ({ tool: step, text: said }),
        (error) => ({ tool: step, error: String(error?.message ?? error) }),
      ));
    }
    return { tools: connection.tools, calls };
  };

  try {
    for (const [at, where] of visits.entries()) {
      const said = await visit(where).catch((error) => {
        if (at === 0) throw error;
        return { tools: [], calls: [], error: String(error?.message ?? error) };
      });
      if (at === visits.length - 1) await Promise.all(opened.map((client) => client.close()));
      console.log(JSON.stringify({ ...said, ...seen() }));
    }
    process.exit(0); // not waiting for pooled connections
  } catch (error) {
    fail(error.stack ?? error);
  }
}
