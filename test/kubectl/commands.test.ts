import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { type Ended, shell } from '../support/walk.ts';

const NAME = `rt-${process.pid}-kubectl`;
const NAMESPACE = 'kubectl';
const HOME = mkdtempSync(join(tmpdir(), 'romana-kubectl-'));
const ENV = { HOME, KUBECONFIG: join(HOME, 'kubeconfig') };
const POD = JSON.stringify({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'one', labels: { app: 'x', segment: 'web' } },
  spec: {
    terminationGracePeriodSeconds: 1,
    containers: [{ name: 'main', image: 'any', command: ['sh', '-c', 'echo started; exec sleep 1000'] }],
  },
});

async function good(line: string, ms?: number): Promise<string> {
  const { status, stdout, stderr } = await shell(line, ENV, ms);
  assert.equal(status, 0, `${line}\n${stdout}${stderr}`);
  return stdout;
}

/** kubectl in the test's namespace. */
function k(words: string): Promise<string> {
  return good(`kubectl -n ${NAMESPACE} ${words}`);
}

async function refused(words: string, why: RegExp): Promise<void> {
  const { status, stderr } = await shell(`kubectl -n ${NAMESPACE} ${words}`, ENV);
  assert.notEqual(status, 0, words);
  assert.match(stderr, why, words);
}

function headings(table: string): string[] {
  return (table.split('\n')[0] ?? '').split(/ {2,}/).map((heading) => heading.trim());
}

/** A command that goes on until it is ended; it must have said something first. */
async function goesOn(line: string, seen: RegExp): Promise<void> {
  const ended: Ended = await shell(`timeout 3 kubectl -n ${NAMESPACE} ${line}`, ENV);
  assert.equal(ended.status, 124, `${line}\n${ended.stdout}${ended.stderr}`);
  assert.match(ended.stdout, seen);
}

void suite('a stock kubectl on the local cluster', () => {
  before(async () => {
    await good(`bin/romana local up --name ${NAME}`);
    await good(`bin/romana local kubeconfig --name ${NAME} > ${ENV.KUBECONFIG}`);
    writeFileSync(join(HOME, 'pod.json'), POD);
    await good(`kubectl create namespace ${NAMESPACE} --dry-run=client -o yaml | kubectl apply -f -`);
    assert.match(await k(`apply -f ${HOME}/pod.json`), /pod\/one created/);
    assert.match(await k(`apply -f ${HOME}/pod.json`), /pod\/one unchanged/);
    await k('wait --for=condition=Ready pod/one --timeout=30s');
  });
  after(async () => {
    await shell(`bin/romana local down --name ${NAME}`, ENV);
    rmSync(HOME, { recursive: true, force: true });
  });

  void test('get shows tables, wide, of all namespaces, by labels and fields', async () => {
    assert.deepEqual(headings(await k('get pods')), ['NAME', 'READY', 'STATUS', 'RESTARTS', 'AGE']);
    assert.match(await k('get pods -o wide'), /one +1\/1 +Running +0 +\d+s +10\.\d+\.\d+\.\d+ +m/);
    assert.match(await k('get pods -A -l app=x --show-labels'), new RegExp(`${NAMESPACE} +one .*app=x,segment=web`));
    assert.equal(await k('get pods --field-selector metadata.name=one,status.phase=Running -o name'), 'pod/one\n');
    assert.equal(await k('get pods -l app!=x -o name'), '');
    const wide = await k('get nodes -o wide');
    assert.match(wide, /^minion1 +Ready +<none> +\d+s .*192\.168\.99\.11/m);
    assert.match(wide, /^master +Ready +control-plane /m);
  });

  void test('get prints objects as JSON, YAML and by JSONPath', async () => {
    const object = JSON.parse(await k('get pod one -o json')) as { kind: string; apiVersion: string };
    assert.deepEqual([object.kind, object.apiVersion], ['Pod', 'v1']);
    assert.match(await k('get pods -o yaml'), /^kind: List$/m);
    assert.match(await k(`get pod one -o jsonpath='{.status.podIPs[*].ip}'`), /^10\..* fd00:10:/);
  });

  void test('get shows our kinds with their ids, ranges and segments', async () => {
    assert.match(await k('get hosts'), /^minion1 +\d+ +\["10\.\d+\.0\.0\/16",/m);
    assert.match(await k('get tenants'), new RegExp(`^${NAMESPACE} +1 +false +.*"web"`, 'm'));
    assert.match(await k('get networks'), /^default +10\.0\.0\.0\/8 +fd00:10::\/64 +segment +True/m);
    assert.match(await k('get romana'), /^idclaim\.romana\.io\/host-0 /m);
  });

  void test('get -w and logs -f go on', async () => {
    await goesOn('get pods -w', /^one +1\/1/m);
    await goesOn('logs -f one', /^started$/m);
  });

  void test('describe tells of pods, nodes, namespaces and our kinds', async () => {
    assert.match(await k('describe pod one'), /Successfully assigned/);
    assert.match(await k('describe node minion1'), /InternalIP: +192\.168\.99\.11/);
    assert.match(await k(`describe namespace ${NAMESPACE}`), /Status: +Active/);
    assert.match(await k('describe host minion1'), /Kind: +Host/);
  });

  void test('label, annotate, patch, edit and apply change objects', async () => {
    await k('label pod one a=b');
    await k('annotate pod one note=text');
    await k(`patch pod one -p '{"metadata":{"labels":{"strategic":"1"}}}'`);
    await k(`patch pod one --type=merge -p '{"metadata":{"labels":{"merge":"1"}}}'`);
    await good(`EDITOR='sed -i s/merge:.*/merge:\\ edited/' kubectl -n ${NAMESPACE} edit pod one`);
    await k('label node minion1 rack=r1');
    await good(`sed s/app/application/ ${HOME}/pod.json | kubectl -n ${NAMESPACE} apply -f -`);
    const labels: unknown = JSON.parse(await k(`get pod one -o jsonpath='{.metadata.labels}'`));
    assert.deepEqual(labels, { a: 'b', strategic: '1', merge: 'edited', application: 'x', segment: 'web' });
    await good(`kubectl -n ${NAMESPACE} apply -f ${HOME}/pod.json`);
  });

  void test('exec passes output, input, a terminal and the exit status on', async () => {
    assert.equal(await k('exec one -- echo hello'), 'hello\n');
    assert.equal(await good(`echo 'echo from-stdin' | kubectl -n ${NAMESPACE} exec -i one -- sh`), 'from-stdin\n');
    const line = `kubectl -n ${NAMESPACE} exec -it one -- sh -c 'tty; exit 3'`;
    const terminal = await shell(`script -qec "${line}" /dev/null`, ENV);
    assert.equal(terminal.status, 3);
    assert.match(terminal.stdout, /\/dev\/pts\/\d+/);
    assert.match(await k('logs one'), /^started$/m);
  });

  void test('create, delete and wait work, and names that are taken are told', async () => {
    await refused(`create -f ${HOME}/pod.json`, /AlreadyExists/);
    await k('run two --image=nginx --restart=Never');
    await k('wait --for=jsonpath={.status.phase}=Running pod/two --timeout=30s');
    await k('delete pod two --grace-period=1');
    await refused('get pod two', /pods "two" not found/);
    await k('wait --for=delete pod/two --timeout=5s');
  });

  void test('explain, api-resources, version and --raw answer', async () => {
    assert.match(await k('explain hosts.spec.id'), /The number in the host field/);
    assert.match(await k('explain pod.spec.containers'), /image\t<string>/);
    assert.match(await k('api-resources'), /^tenants +rtenant +romana\.io\/v1 +false +Tenant$/m);
    assert.match(await k('version'), /Server Version: v1\.\d+/);
    const path = `/apis/romana.io/demo/v1/namespaces/${NAMESPACE}/networkpolicys`;
    await k(`create --raw ${path} -f deploy/demo/pol1.json`);
    assert.match(await k(`get --raw ${path}/pol1`), /"apiVersion":"romana\.io\/demo\/v1"/);
    assert.match(await k('get networkpolicys.demo.romana.io'), /^pol1 +\{"segment":"backend"\}/m);
    await k(`delete --raw ${path}/pol1`);
  });

  void test('what the API server does not do, it says', async () => {
    await refused('create namespace other', /takes no protobuf/);
    await refused(`apply --server-side -f ${HOME}/pod.json`, /Server-side apply not available/);
    await refused(`patch pod one --type=json -p '[]'`, /json-patch\+json is not supported/);
    await refused('port-forward pod/one :80', /no pods\/portforward/);
    await refused('attach one', /no pods\/attach/);
    await refused('get deployments', /doesn't have a resource type/);
    const host = JSON.stringify({
      apiVersion: 'romana.io/v1',
      kind: 'Host',
      metadata: { name: 'h' },
      spec: { idd: 1 },
    });
    await refused(`create -f - <<'END'\n${host}\nEND\n`, /unknown field "spec.idd"/);
  });
});
