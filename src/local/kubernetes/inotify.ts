import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';

/** Of a kubelet 7, of containerd 2, of kube-proxy 1, while it runs; seen with Kubernetes 1.36. */
const PER_NODE = 10;
/** Of kube-apiserver 6, of kube-controller-manager 7. */
const OF_CONTROL_PLANE = 13;

/** How many inotify instances a user may have (inotify(7)), and how many are open of those that are root's. */
function inotifyInstances(): { readonly limit: number; readonly used: number } {
  const limit = Number(readFileSync('/proc/sys/fs/inotify/max_user_instances', 'utf8'));
  let used = 0;
  for (const entry of readdirSync('/proc')) {
    if (/^\d+$/.test(entry)) used += instancesOf(`/proc/${entry}`);
  }
  return { limit, used };
}

function instancesOf(directory: string): number {
  try {
    if (statSync(directory).uid !== 0) return 0;
    return readdirSync(`${directory}/fd`).filter((fd) => linkOf(`${directory}/fd/${fd}`) === 'anon_inode:inotify')
      .length;
  } catch {
    return 0; // it ended meanwhile
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

/** Why so many nodes, a master among them or not, can't be had beside what runs already; undefined where they can. */
export function lackOfInotify(nodes: number, master = true): string | undefined {
  const { limit, used } = inotifyInstances();
  const needed = (master ? OF_CONTROL_PLANE : 0) + nodes * PER_NODE;
  if (used + needed <= limit) return undefined;
  return (
    `${nodes} ${nodes === 1 ? 'node' : 'nodes'} of Kubernetes take about ${needed} inotify instances, and of ${limit} that a user may have on this ` +
    `machine ${used} are in use; take other clusters down, or allow more: sysctl fs.inotify.max_user_instances=1024`
  );
}
