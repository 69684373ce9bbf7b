import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { waitFor } from '../lib/wait-for.ts';
import { processesEntering } from './process-identity.ts';

test('processesEntering finds who was told to go into a namespace before it is there, and nobody who only names it', async (t) => {
  const file = `/run/netns/rt-${process.pid}-entering`;
  const start = (argv0: string, ...words: readonly string[]): number => {
    const child = spawn('sh', ['-c', 'read -r line', ...words], { argv0, stdio: ['pipe', 'ignore', 'ignore'] });
    t.after(() => child.kill('SIGKILL'));
    return child.pid ?? 0;
  };
  const entering = [start('nsenter', `--net=${file}`), start('unshare', `--net=${file}`)];
  start('sh', `--net=${file}`);
  start('nsenter', `--net=${file}2`);
  start('nsenter', file);
  await waitFor('both', () => {
    const found = processesEntering([file]).map(({ pid }) => pid);
    return entering.every((pid) => found.includes(pid)) && found.length === entering.length;
  });
});
