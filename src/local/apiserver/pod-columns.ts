import { ageOf } from './age.ts';
import { arrayAt, at, textAt, type ApiObject } from './api-object.ts';
import { AGE_COLUMN, NAME_COLUMN, type Column } from './column.ts';

function column(name: string, description: string, priority: number, cell: Column['cell'], type = 'string'): Column {
  return { name, type, format: '', description, priority, cell };
}

function statuses(pod: ApiObject): readonly unknown[] {
  return arrayAt(pod, 'status', 'containerStatuses');
}

function ready(pod: ApiObject): string {
  const count = statuses(pod).filter((s) => at(s, 'ready') === true).length;
  return `${count}/${arrayAt(pod, 'spec', 'containers').length}`;
}

/** What a container's state says in one word; '' while it runs. */
function stateReason(status: unknown): string {
  const waiting = textAt(status, 'state', 'waiting', 'reason');
  if (waiting !== '') return waiting;
  if (at(status, 'state', 'terminated') === undefined) return '';
  const reason = textAt(status, 'state', 'terminated', 'reason');
  return reason || `ExitCode:${String(at(status, 'state', 'terminated', 'exitCode'))}`;
}

function initReason(pod: ApiObject): string {
  const all = arrayAt(pod, 'status', 'initContainerStatuses');
  const done = all.findIndex((s) => at(s, 'state', 'terminated', 'exitCode') !== 0);
  if (done === -1) return '';
  const reason = stateReason(all[done]);
  const shown = reason === '' || reason === 'PodInitializing' ? `${done}/${all.length}` : reason;
  return `Init:${shown}`;
}

/** The word in the STATUS column: more telling than the phase where containers' states say more. */
function statusOf(pod: ApiObject): string {
  const own = textAt(pod, 'status', 'reason');
  if (at(pod, 'metadata', 'deletionTimestamp') !== undefined) return own === 'NodeLost' ? 'Unknown' : 'Terminating';
  const init = initReason(pod);
  if (init !== '') return init;
  const fallback = own || textAt(pod, 'status', 'phase') || 'Unknown';
  const word =
    statuses(pod)
      .map(stateReason)
      .find((reason) => reason !== '') ?? fallback;
  const running = statuses(pod).some((s) => at(s, 'state', 'running') !== undefined && at(s, 'ready') === true);
  return word === 'Completed' && running ? 'Running' : word;
}

function restarts(pod: ApiObject, now: number): string {
  let count = 0;
  let last = '';
  for (const status of statuses(pod)) {
    const own = at(status, 'restartCount');
    if (typeof own === 'number') count += own;
    const finished = textAt(status, 'lastState', 'terminated', 'finishedAt');
    if (finished > last) last = finished;
  }
  return count === 0 || last === '' ? `${count}` : `${count} (${ageOf(last, now)} ago)`;
}

function address(pod: ApiObject): string {
  return textAt(pod, 'status', 'podIP') || textAt(pod, 'status', 'podIPs', 0, 'ip') || '<none>';
}

/** The columns of Pods, as Kubernetes has them. */
export const POD_COLUMNS: readonly Column[] = [
  NAME_COLUMN,
  column('Ready', 'Containers that are ready, of all', 0, ready),
  column('Status', 'What the pod does, or why it does not', 0, statusOf),
  column('Restarts', 'How often its containers were restarted', 0, restarts),
  AGE_COLUMN,
  column('IP', 'Its address; -o yaml shows those of all families', 1, address),
  column('Node', 'The node that runs it', 1, (pod) => textAt(pod, 'spec', 'nodeName') || '<none>'),
  column('Nominated Node', 'Always none here', 1, () => '<none>'),
  column('Readiness Gates', 'Always none here', 1, () => '<none>'),
];
