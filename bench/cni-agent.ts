import { runAgent } from '../src/agent/agent.ts';
import { HttpKubeClient } from '../src/kube/http-client.ts';
import { systemClock } from '../src/lib/clock.ts';
import { type Log, silentLog } from '../src/lib/log.ts';

// A real agent for a bench, as `romana agent` is one but for the folders that it installs the plugin into: prints
// "ready" when it connects pods. Arguments: API server, bearer token, node, launcher, folder for the plugin,
// folder for the conflist.
const [server = '', token = '', node = '', launcher = '', pluginDirectory = '', configurationDirectory = ''] =
  process.argv.slice(2);
const say = (fields: object, message: string): void =>
  void process.stderr.write(`${message} ${JSON.stringify(fields)}\n`);
const log: Log = { ...silentLog, warn: say, error: say };
const end = new AbortController();
process.stdin.resume().once('close', () => end.abort(new Error('the bench has ended')));
await runAgent({
  client: new HttpKubeClient({ server, token: () => Promise.resolve(token) }),
  node,
  socket: '/run/romana/agent.sock',
  leases: '/run/romana/leases',
  installation: { launcher, pluginDirectory, configurationDirectory },
  port: 9671,
  clock: systemClock,
  log,
  signal: end.signal,
  onReady: () => void process.stdout.write('ready\n'),
});
process.exit(); // connections to the API server may be open still
