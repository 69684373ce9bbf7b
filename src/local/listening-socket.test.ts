import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openListeningSocket } from './listening-socket.ts';

test('openListeningSocket gives a port that was had before again, and says so when it is taken', async () => {
  const first = await openListeningSocket();
  assert.ok(first.port > 0 && first.fd > 2);
  await assert.rejects(openListeningSocket(first.port), {
    message: new RegExp(`^can't open 127\\.0\\.0\\.1:${first.port} for the API server: .*EADDRINUSE`),
  });
  first.close();
  const again = await openListeningSocket(first.port);
  assert.equal(again.port, first.port);
  again.close();
});
