import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type Socket, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../lib/clock.ts';
import { silentLog } from '../lib/log.ts';
import { waitFor } from '../lib/wait-for.ts';
import { CniServer, type CniServerLimits, type CniServerOptions } from './cni-server.ts';

function place(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'romana-socket-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'agent.sock');
}

async function serve(
  t: TestContext,
  handle: CniServerOptions['handle'],
  limits: Partial<CniServerLimits> = {},
  path = place(t),
): Promise<{ path: string; server: CniServer }> {
  const server = new CniServer({ path, handle, limits, clock: systemClock, log: silentLog });
  await server.listen();
  t.after(() => server.close(0));
  return { path, server };
}

/** Sends `request` and reads all of the answer; `shut` false leaves our side open. */
async function ask(path: string, request: string | Buffer, shut = true): Promise<string> {
  const socket = connect({ path, allowHalfOpen: true });
  socket.on('error', () => undefined);
  if (shut) socket.end(request);
  else socket.write(request);
  return await read(socket);
}

async function read(socket: Socket): Promise<string> {
  let answer = '';
  socket.setEncoding('utf8').on('data', (text: string) => (answer += text));
  socket.on('end', () => socket.end());
  await new Promise((resolve) => socket.once('close', resolve)); // also after an error
  return answer;
}

const untilAborted: CniServerOptions['handle'] = async (_request, signal) => {
  await once(signal, 'abort');
  return { failed: true, json: { said: (signal.reason as Error).message } };
};

const echo: CniServerOptions['handle'] = (request) =>
  Promise.resolve({ failed: false, json: { got: Buffer.from(request).toString('latin1') } });

test('CniServer answers with status, newline and JSON', async (t) => {
  const { path } = await serve(t, echo);
  assert.equal(await ask(path, 'A=1\0\0{}'), '0\n{"got":"A=1\\u0000\\u0000{}"}\n');
  const refusing = await serve(t, () => Promise.resolve({ failed: true, json: { code: 7 } }));
  assert.equal(await ask(refusing.path, ''), '1\n{"code":7}\n');
  const silent = await serve(t, () => Promise.resolve({ failed: false, json: undefined }));
  assert.equal(await ask(silent.path, ''), '0\n');
});

test('CniServer understands the launcher, and the launcher CniServer', async (t) => {
  const path = place(t);
  const launcher = `${path}.launcher`;
  const build = join(import.meta.dirname, '../../launcher/build.sh');
  const built = spawnSync(build, [launcher, `-DROMANA_SOCKET="${path}"`], { encoding: 'utf8' });
  assert.equal(built.status, 0, built.stderr);
  await serve(t, echo, {}, path);
  const child = spawn(launcher, { env: { CNI_COMMAND: 'ADD' }, stdio: ['pipe', 'pipe', 'inherit'], timeout: 20_000 });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  child.stdin.end('{"name":"ö"}');
  await once(child, 'close');
  assert.equal(child.exitCode, 0);
  assert.equal(said, `${JSON.stringify({ got: Buffer.from('CNI_COMMAND=ADD\0\0{"name":"ö"}').toString('latin1') })}\n`);
});

test('CniServer makes its socket with mode 0600 and leaves nothing when it is closed', async (t) => {
  const { path, server } = await serve(t, echo);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(join(path, '..')), ['agent.sock']);
  await server.close();
  assert.deepEqual(readdirSync(join(path, '..')), []);
});

test('CniServer takes the place of a socket that a dead agent left, and of a file', async (t) => {
  const path = place(t);
  const dead = createServer().listen(`${path}.x`);
  await once(dead, 'listening');
  writeFileSync(path, 'x');
  const first = await serve(t, echo, {}, path);
  await first.server.close();
  renameSync(`${path}.x`, path);
  dead.close();
  await once(dead, 'close');
  assert.ok(existsSync(path));
  await serve(t, echo, {}, path);
  assert.equal(await ask(path, 'x'), '0\n{"got":"x"}\n');
});

test('CniServer refuses to serve beside a living agent, whose socket stays', async (t) => {
  const { path } = await serve(t, echo);
  const second = new CniServer({ path, handle: echo, clock: systemClock, log: silentLog });
  await assert.rejects(second.listen(), /another agent serves it/);
  await second.close();
  assert.equal(await ask(path, 'x'), '0\n{"got":"x"}\n');
});

test('CniServer refuses a request that is too long', async (t) => {
  const { path } = await serve(t, echo, { requestBytes: 100_000 });
  assert.equal((await ask(path, 'x'.repeat(100_000))).length, '0\n{"got":""}\n'.length + 100_000);
  assert.match(await ask(path, 'x'.repeat(100_001)), /^1\n\{.*"code":6,"msg":"the request is too long"\}\n$/);
});

test('CniServer ends a connection whose request does not end', async (t) => {
  const { path } = await serve(t, echo, { transferMs: 50 });
  assert.match(await ask(path, 'x', false), /"msg":"the request did not end"/);
});

test('CniServer tells a call when its time is over, and answers even if it goes on', async (t) => {
  const signals: AbortSignal[] = [];
  const stubborn: CniServerOptions['handle'] = (_request, signal) => {
    signals.push(signal);
    return Promise.withResolvers<never>().promise;
  };
  const first = await serve(t, untilAborted, { callMs: 30 });
  assert.equal(await ask(first.path, 'x'), '1\n{"said":"the call could not be completed in time"}\n');
  const second = await serve(t, stubborn, { callMs: 30, answerMs: 60 });
  assert.match(await ask(second.path, 'x'), /^1\n\{"cniVersion":"1\.1\.0","code":11,/);
  assert.ok(signals[0]?.aborted);
});

test('CniServer answers when a call throws', async (t) => {
  const { path } = await serve(t, () => Promise.reject(new Error('bug')));
  assert.match(await ask(path, 'x'), /^1\n\{.*"code":100,"msg":"the agent failed; see its log"\}\n$/);
});

test('CniServer serves connections at once, closes those above its bound, and goes on', async (t) => {
  const gate = Promise.withResolvers<void>();
  let running = 0;
  const { path } = await serve(
    t,
    async () => {
      running++;
      await gate.promise;
      return { failed: false, json: undefined };
    },
    { connections: 2 },
  );
  const two = [ask(path, 'a'), ask(path, 'b')];
  await waitFor('two calls', () => running === 2);
  assert.equal(await ask(path, 'c'), '');
  gate.resolve();
  assert.deepEqual(await Promise.all(two), ['0\n', '0\n']);
  assert.equal(await ask(path, 'd'), '0\n');
});

test('CniServer survives callers that go away', async (t) => {
  const gate = Promise.withResolvers<void>();
  let running = 0;
  const { path } = await serve(t, async () => {
    running++;
    await gate.promise;
    return { failed: false, json: { long: 'x'.repeat(500_000) } };
  });
  const socket = connect(path);
  socket.end('x');
  await waitFor('the call', () => running === 1);
  socket.destroy();
  gate.resolve();
  assert.match(await ask(path, 'y'), /^0\n/);
});

test('CniServer.close waits for the calls under way, but not for ever', async (t) => {
  const gate = Promise.withResolvers<void>();
  let running = 0;
  const handle: CniServerOptions['handle'] = async () => {
    running++;
    await gate.promise;
    return { failed: false, json: undefined };
  };
  const { path, server } = await serve(t, handle);
  const answer = ask(path, 'x');
  await waitFor('the call', () => running === 1);
  const closed = server.close();
  assert.ok(!existsSync(path));
  gate.resolve();
  assert.equal(await answer, '0\n');
  await closed;
  const hanging = await serve(t, () => {
    running++;
    return Promise.withResolvers<never>().promise;
  });
  const cut = ask(hanging.path, 'x');
  await waitFor('the call', () => running === 2);
  await hanging.server.close(50);
  assert.equal(await cut, '');
});
