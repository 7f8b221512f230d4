// What every client script of this folder takes and prints:
//
//   node SCRIPT URL STEP...
//
// It connects to the MCP server at URL and lists its tools; then each STEP is the name of a tool to call, or
// `-`: print the line `ready` and wait for a line on stdin, which says how many seconds went by for the server
// (clients in JavaScript wait for its 401, so here nothing is done about it). At last it prints one line of JSON:
//
//   {"tools": [names], "calls": [{"tool", "text"} or {"tool", "error"}, ...],
//    "authorizations": [scopes asked for, ...], "steps": ["METHOD URL STATUS", ...]}
//
// `steps` holds every request in the order it was sent, without query strings (they are random); STATUS is `-`
// where no answer had come when the script ended. It is empty where another program sends the requests.
import { createInterface } from 'node:readline';
import path from 'node:path';

const TIME_LIMIT_MS = 60_000;

const name = path.basename(process.argv[1]);
const options = new Set(process.argv.slice(2).filter((argument) => argument.startsWith('--')));
const [url, ...asked] = process.argv.slice(2).filter((argument) => !options.has(argument));

/** An option of the script, as `--name`. */
export const option = (text) => options.has(text);

/** The text of what a tool returned. */
export function text(result) {
  const joined = result.content.map((part) => part.text).join('');
  if (result.isError) throw new Error(joined);
  return joined;
}

/**
 * Runs the contract with a client: `open(url)` returns `{ tools(), call(tool), close(), seen }`, where `seen` has
 * `authorizations` and `steps` as above, which are told of as far as they got if anything fails.
 */
export async function run(open) {
  let seen = () => ({});
  const fail = (why) => {
    console.error(`${name}: ${why}\n${JSON.stringify(seen())}`);
    process.exit(1);
  };
  if (!url) fail(`usage: node ${name} URL STEP...`);
  setTimeout(() => fail(`not finished within ${TIME_LIMIT_MS / 1000} s`), TIME_LIMIT_MS).unref();
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  try {
    const client = await open(new URL(url), (report) => { seen = report; });
    const tools = await client.tools();
    const calls = [];
    for (const step of asked) {
      if (step === '-') {
        console.log('ready');
        await lines.next();
        continue;
      }
      calls.push(await client.call(step).then(
        (said) => ({ tool: step, text: said }),
        (error) => ({ tool: step, error: String(error?.message ?? error) }),
      ));
    }
    await client.close();
    console.log(JSON.stringify({ tools, calls, ...seen() }));
    process.exit(0); // not waiting for pooled connections
  } catch (error) {
    fail(error.stack ?? error);
  }
}
