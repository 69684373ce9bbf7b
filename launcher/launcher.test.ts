import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, utimesSync } from 'node:fs';
import { type Server, type Socket, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

let folder = '';
let launcher = '';
let socketPath = '';
let good = '';

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'romana-launcher-'));
  launcher = join(folder, 'romana');
  socketPath = join(folder, 'agent.sock');
  good = join(folder, 'good');
  const paths = [`-DROMANA_SOCKET="${socketPath}"`, `-DROMANA_GOOD="${good}"`];
  const options = [...paths, '-DROMANA_CALL_SECONDS=1', '-DROMANA_STATUS_SECONDS=1', '-DROMANA_ABSENCE_SECONDS=60'];
  const built = spawnSync(join(import.meta.dirname, 'build.sh'), [launcher, ...options], { encoding: 'utf8' });
  assert.equal(built.status, 0, built.stderr);
});

after(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the launcher without blocking this process, which plays the agent. */
async function launch(env: Record<string, string>, stdin: string | Buffer): Promise<Ended> {
  const child = spawn(launcher, { env, stdio: ['pipe', 'pipe', 'pipe'], timeout: 20_000, killSignal: 'SIGKILL' });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin.on('error', () => undefined); // it may end without having read all
  child.stdin.end(stdin);
  await once(child, 'close');
  return { status: child.exitCode, stdout, stderr };
}

/** Serves the launcher's socket with `answer`, called with the whole request of each connection. */
async function agent(
  context: { after: (fn: () => Promise<void>) => void },
  answer: (socket: Socket, request: Buffer) => void,
): Promise<Server> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const chunks: Buffer[] = [];
    open.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => open.delete(socket));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('end', () => answer(socket, Buffer.concat(chunks)));
  });
  server.listen(socketPath);
  await once(server, 'listening');
  context.after(async () => {
    for (const socket of open) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return server;
}

const supportedVersions = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'];
const absent = `no romana agent serves `;

for (const [command, stdin, status, version, code] of [
  ['VERSION', '{"cniVersion":"1.0.0"}', 0, '1.0.0', undefined],
  ['VERSION', '', 0, '1.1.0', undefined],
  ['STATUS', '{"cniVersion":"1.1.0","name":"romana"}', 1, '1.1.0', 50],
  ['ADD', '{"cniVersion":"0.4.0","name":"romana"}', 1, '0.4.0', 11],
  ['DEL', '{ "name" : "romana" , "cniVersion" : "0.3.1" }', 1, '0.3.1', 11],
  ['CHECK', '{"prevResult":{"cniVersion":"0.3.1"},"cniVersion":"1.0.0"}', 1, '1.0.0', 11],
  ['GC', '{"args":["cniVersion",{"cniVersion":"0.3.1"}],"x":"cniVersion","cniVersion":"1.1.0"}', 1, '1.1.0', 11],
  ['ADD', '{"cniVersion":"\\"},\\"x\\":\\""}', 1, '1.1.0', 11],
  ['ADD', '{"cniVersion":"1.0.0', 1, '1.1.0', 11],
  ['ADD', '{"cniVersion":"\\', 1, '1.1.0', 11],
  ['ADD', '\0\0{"cniVersion":5}', 1, '1.1.0', 11],
  ['ADD', `{"cniVersion":"${'1'.repeat(500)}"}`, 1, '1.1.0', 11],
] as const) {
  test(`launcher answers ${command} without an agent, given ${JSON.stringify(stdin).slice(0, 60)}`, async () => {
    const ended = await launch({ CNI_COMMAND: command }, stdin);
    assert.equal(ended.status, status);
    const said = JSON.parse(ended.stdout) as Record<string, unknown>;
    if (code === undefined) assert.deepEqual(said, { cniVersion: version, supportedVersions });
    else assert.deepEqual(said, { cniVersion: version, code, msg: `${absent}${socketPath} on this node` });
  });
}

test('launcher hands over the CNI variables that are set and standard input, and nothing else', async (t) => {
  let seen = '';
  await agent(t, (socket, request) => {
    seen = request.toString('latin1');
    socket.end('0\n{"cniVersion":"1.1.0"}\n');
  });
  const env = {
    CNI_COMMAND: 'ADD',
    CNI_CONTAINERID: 'c1',
    CNI_IFNAME: '',
    CNI_ARGS: 'A=1;B=2',
    HOME: '/x',
    CNI_X: 'y',
  };
  const ended = await launch(env, '{"name":"\0"}');
  assert.equal(seen, 'CNI_COMMAND=ADD\0CNI_CONTAINERID=c1\0CNI_IFNAME=\0CNI_ARGS=A=1;B=2\0\0{"name":"\0"}');
  assert.deepEqual(ended, { status: 0, stdout: '{"cniVersion":"1.1.0"}\n', stderr: '' });
});

test('launcher exits 1 with what the agent said when that says so', async (t) => {
  await agent(t, (socket) => socket.end('1\n{"code":7,"msg":"no"}\n'));
  const ended = await launch({ CNI_COMMAND: 'ADD' }, '{}');
  assert.deepEqual(ended, { status: 1, stdout: '{"code":7,"msg":"no"}\n', stderr: '' });
});

test('launcher prints nothing when the agent has nothing to print', async (t) => {
  await agent(t, (socket) => socket.end('0\n'));
  assert.deepEqual(await launch({ CNI_COMMAND: 'DEL' }, '{}'), { status: 0, stdout: '', stderr: '' });
});

test('launcher carries a request and an answer of many buffers', async (t) => {
  const input = `{"name":"${'n'.repeat(1_000_000)}"}`;
  const output = `{"result":"${'r'.repeat(1_000_000)}"}\n`;
  let seen = 0;
  await agent(t, (socket, request) => {
    seen = request.length;
    socket.end(`0\n${output}`);
  });
  const ended = await launch({ CNI_COMMAND: 'ADD' }, input);
  assert.equal(seen, 'CNI_COMMAND=ADD\0\0'.length + input.length);
  assert.equal(ended.status, 0);
  assert.equal(ended.stdout, output);
});

for (const cut of ['', '0', '2\n{}\n', '0\n{"cniVersion":"1.0', 'x'.repeat(1_048_578)]) {
  test(`launcher says try again when the agent's answer is ${JSON.stringify(cut).slice(0, 40)}`, async (t) => {
    await agent(t, (socket) => socket.end(cut));
    const ended = await launch({ CNI_COMMAND: 'ADD' }, '{"cniVersion":"1.0.0"}');
    assert.equal(ended.status, 1);
    const msg = 'the romana agent of this node ended before it had answered';
    assert.deepEqual(JSON.parse(ended.stdout), { cniVersion: '1.0.0', code: 11, msg });
  });
}

test('launcher prints the answer of an agent that refuses without reading the request', async (t) => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.pause();
    socket.write('1\n{"code":4,"msg":"too much"}\n', () => socket.destroy());
  });
  server.listen(socketPath);
  await once(server, 'listening');
  t.after(async () => {
    server.close();
    await once(server, 'close');
  });
  const ended = await launch({ CNI_COMMAND: 'ADD' }, `{"name":"${'n'.repeat(900_000)}"}`);
  assert.equal(ended.status, 1);
  const said = JSON.parse(ended.stdout) as { code: number };
  // The kernel throws the answer away with what was not read (ECONNRESET), or it arrives: an error either way.
  assert.ok(said.code === 4 || said.code === 11, ended.stdout);
});

for (const [command, code] of [
  ['ADD', 11],
  ['STATUS', 50],
] as const) {
  test(`launcher ends ${command} in a bounded time when the agent does not answer`, async (t) => {
    await agent(t, () => undefined);
    const ended = await launch({ CNI_COMMAND: command }, '{"cniVersion":"1.1.0"}');
    assert.equal(ended.status, 1);
    const msg = 'the romana agent of this node did not answer in time';
    assert.deepEqual(JSON.parse(ended.stdout), { cniVersion: '1.1.0', code, msg });
  });
}

test('launcher says that STATUS is good for a minute after an agent said so, whether that is gone or silent', async (t) => {
  t.after(() => rmSync(good, { force: true }));
  const status = (): Promise<Ended> => launch({ CNI_COMMAND: 'STATUS' }, '{"cniVersion":"1.1.0"}');
  const isGood = { status: 0, stdout: '', stderr: '' };
  let answer: string | undefined = '1\n{"code":50}\n';
  const server = await agent(t, (socket) => (answer === undefined ? undefined : socket.end(answer)));
  assert.equal((await status()).status, 1);
  assert.equal(existsSync(good), false, 'what is not well is not noted');

  answer = '0\n';
  assert.deepEqual(await status(), isGood);
  answer = '1\n{"code":50}\n';
  assert.equal((await status()).status, 1, 'an agent that says why not is believed');
  answer = undefined;
  assert.deepEqual(await status(), isGood, 'silent');
  server.close();
  rmSync(socketPath, { force: true });
  assert.deepEqual(await status(), isGood, 'gone');
  assert.equal((await launch({ CNI_COMMAND: 'ADD' }, '{}')).status, 1);

  const now = Date.now() / 1_000;
  utimesSync(good, now, now - 61);
  assert.equal((await status()).status, 1);
  utimesSync(good, now, now + 3_600);
  assert.equal((await status()).status, 1, 'a clock that was set back excuses nobody');
});

test('launcher ends in a bounded time when standard input is never closed', async () => {
  const child = spawn(launcher, { env: { CNI_COMMAND: 'ADD' }, stdio: ['pipe', 'pipe', 'inherit'], timeout: 20_000 });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  await once(child, 'close');
  assert.equal(child.exitCode, 1);
  assert.equal((JSON.parse(stdout) as { code: number }).code, 11);
});

test('launcher refuses an input of more than 1 MiB', async () => {
  const ended = await launch({ CNI_COMMAND: 'ADD' }, Buffer.alloc(1_048_577, ' '));
  assert.equal(ended.status, 1);
  assert.equal((JSON.parse(ended.stdout) as { code: number }).code, 6);
});

test('launcher refuses variables of more than 256 KiB', async () => {
  const env: Record<string, string> = { CNI_COMMAND: 'ADD' };
  for (const name of ['CNI_ARGS', 'CNI_PATH', 'CNI_NETNS']) env[name] = 'x'.repeat(100_000);
  const ended = await launch(env, '{}');
  assert.equal(ended.status, 1);
  assert.equal((JSON.parse(ended.stdout) as { code: number }).code, 4);
});

test('launcher fails when standard output is closed', () => {
  const ended = spawnSync('/bin/sh', ['-c', '"$0" >&- </dev/null', launcher], { env: { CNI_COMMAND: 'VERSION' } });
  assert.equal(ended.status, 1);
});

test('launcher fails with an I/O error when standard input is closed', () => {
  const ended = spawnSync('/bin/sh', ['-c', '"$0" <&-', launcher], { env: { CNI_COMMAND: 'ADD' }, encoding: 'utf8' });
  assert.equal(ended.status, 1);
  assert.equal((JSON.parse(ended.stdout) as { code: number }).code, 5);
});

test('build.sh says what is missing when there is no compiler, and leaves no output', () => {
  const output = join(folder, 'none');
  const env = { PATH: '/usr/bin:/bin', CC: 'no-such-compiler' };
  const built = spawnSync(join(import.meta.dirname, 'build.sh'), [output], { env, encoding: 'utf8' });
  assert.equal(built.status, 1);
  assert.match(built.stderr, /no C compiler 'no-such-compiler'/);
  assert.equal(spawnSync('/bin/ls', [output]).status, 2);
});
