import type { Service } from '../../src/local/services.ts';

/** Where the plugin writes each call, one line a call, inside the node. */
export const CALLS = '/run/fake-cni/calls';

/** A plugin that makes a dummy interface with one address, and writes down how it was called. */
const PLUGIN = `#!/bin/sh
set -eu
config=$(cat)
echo "$CNI_COMMAND \${CNI_CONTAINERID:-} \${CNI_NETNS:-} \${CNI_IFNAME:-} \${CNI_ARGS:-} $config" >> ${CALLS}
case $CNI_COMMAND in
  ADD)
    number=$(grep -c '^ADD' ${CALLS})
    nsenter --net="$CNI_NETNS" ip link add "$CNI_IFNAME" type veth peer name peer0
    nsenter --net="$CNI_NETNS" ip addr add "10.9.0.$number/32" dev "$CNI_IFNAME"
    nsenter --net="$CNI_NETNS" ip link set "$CNI_IFNAME" up
    echo '{"cniVersion":"1.1.0","interfaces":[{"name":"'"$CNI_IFNAME"'","sandbox":"'"$CNI_NETNS"'"}],' \\
      '"ips":[{"interface":0,"address":"10.9.0.'"$number"'/32"}]}' ;;
  DEL) [ ! -e /run/fake-cni/refuse ] || { echo '{"code":11,"msg":"not now"}'; exit 1; } ;;
esac
`;

const START = `set -e
mkdir -p /run/fake-cni
printf %s "$0" > /opt/cni/bin/fake
chmod 755 /opt/cni/bin/fake
printf %s '{"cniVersion":"1.1.0","name":"fake","plugins":[{"type":"fake"}]}' > /etc/cni/net.d/10-fake.conflist
exec sleep infinity
`;

/** Puts the plugin and its configuration in place, as an agent does. */
export const fakeCniService: Service = { name: 'agent', words: ['/bin/sh', '-c', START, PLUGIN] };
