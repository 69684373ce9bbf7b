import { writeFileSync } from 'node:fs';
import { ContractClient } from '../../src/local/apiserver/contract-client.ts';
import { ANSWERS_FILE, formatAnswers } from '../../src/local/apiserver/scenes/answers.ts';
import { playScene, type SceneAnswer } from '../../src/local/apiserver/scenes/scene.ts';
import { SCENES } from '../../src/local/apiserver/scenes/scenes.ts';
import { startContractTarget } from '../support/contract-target.ts';

// Asks the real API server all that the contract asks, and puts its answers on file:
//   node test/kubernetes/record-answers.ts

const target = await startContractTarget();
try {
  const api = new ContractClient(target);
  const answers = new Map<string, readonly SceneAnswer[]>();
  for (const [name, scene] of Object.entries(SCENES)) {
    const namespace = `contract-${name.toLowerCase()}`;
    await api.create('/api/v1/namespaces', { metadata: { name: namespace } });
    answers.set(name, await playScene(api, namespace, scene));
  }
  writeFileSync(ANSWERS_FILE, formatAnswers(answers));
} finally {
  await target.end();
}
