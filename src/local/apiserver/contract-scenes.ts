import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContractClient } from './contract-client.ts';
import { readAnswers } from './scenes/answers.ts';
import { playScene } from './scenes/scene.ts';
import { SCENES } from './scenes/scenes.ts';

/**
 * Declares a test a scene: the answers are those on file, which are Kubernetes' own.
 *
 * @param real whether it is Kubernetes' own API server that answers; ours differs where a request says so.
 */
export function declareSceneContract(client: () => Promise<ContractClient>, real: boolean): void {
  for (const [name, scene] of Object.entries(SCENES)) {
    test(`API: single requests are answered as by Kubernetes: ${name}`, async (t) => {
      const api = await client();
      const answers = await playScene(api, await api.namespace(t), scene);
      const recorded = readAnswers().get(name);
      assert.equal(recorded?.length, scene.length, 'the answers on file are of other requests: record them anew');
      for (const [i, { ours }] of scene.entries()) {
        const what = `request ${i + 1}: ${JSON.stringify(scene[i]).slice(0, 500)}`;
        if (ours === undefined || real) assert.deepEqual(answers[i], recorded[i], what);
        else assert.equal(answers[i]?.code, ours.code, `${what}: ${JSON.stringify(answers[i])}`);
      }
    });
  }
}
