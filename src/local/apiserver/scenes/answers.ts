import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { SceneAnswer } from './scene.ts';

/** What the real API server answered to all scenes; `test/kubernetes/record-answers.ts` writes it. */
export const ANSWERS_FILE = fileURLToPath(new URL('answers.jsonl', import.meta.url));

/** An answer a line, by the names of scenes. */
export function parseAnswers(text: string): Map<string, SceneAnswer[]> {
  const answers = new Map<string, SceneAnswer[]>();
  for (const line of text.split('\n').filter((one) => one !== '')) {
    const { scene, ...answer } = JSON.parse(line) as SceneAnswer & { scene: string };
    answers.set(scene, [...(answers.get(scene) ?? []), answer]);
  }
  return answers;
}

/** The same as text. */
export function formatAnswers(answers: ReadonlyMap<string, readonly SceneAnswer[]>): string {
  return [...answers]
    .flatMap(([scene, list]) => list.map((answer) => `${JSON.stringify({ scene, ...answer })}\n`))
    .join('');
}

/** What is on file. */
export function readAnswers(): Map<string, SceneAnswer[]> {
  return parseAnswers(readFileSync(ANSWERS_FILE, 'utf8'));
}
