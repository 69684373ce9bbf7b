import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where Kubernetes' programs are, as `romana local up --kubernetes` looks for them. */
const PROGRAMS =
  process.env['ROMANA_KUBERNETES_PROGRAMS'] ??
  join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'romana/kubernetes');

/** Why a test that needs Kubernetes' programs does not run; false where it does. */
export const withoutPrograms = existsSync(join(PROGRAMS, 'bin/kubectl'))
  ? false
  : `needs Kubernetes' programs in ${PROGRAMS}`;

/** The environment of commands that use those programs, kubectl among them, wherever HOME is. */
export const programsEnv = {
  PATH: `${join(PROGRAMS, 'bin')}:${process.env['PATH']}`,
  ROMANA_KUBERNETES_PROGRAMS: PROGRAMS,
};
