#!/bin/sh
# Tries, in network and mount namespaces of its own that end with it, what Romana needs of the kernel. Needs root.
# Prints one line for each thing that is missing; status 1 when something is.
set -u
if [ "${1:-}" != inside ]; then
  [ "$(id -u)" = 0 ] || { echo "check-kernel: needs root, this is user $(id -un)" >&2; exit 1; }
  unshare --net --mount --pid --uts --ipc --fork true 2>/dev/null ||
    { echo "check-kernel: this kernel or container gives no namespaces (unshare --net --mount --pid --uts --ipc failed); root with CAP_SYS_ADMIN is needed" >&2; exit 1; }
  exec unshare --net --mount sh "$0" inside
fi

bad=0
try() { # WHAT COMMAND...
  what=$1
  shift
  why=$("$@" 2>&1) && return
  bad=1
  printf 'check-kernel: missing: %s (%s)\n' "$what" "$(printf '%s' "$why" | head -n 1)" >&2
}
rule() { nft "add rule inet probe c $1"; }

try 'veth links (CONFIG_VETH)' ip link add probe0 type veth peer name probe1
try 'bridges (CONFIG_BRIDGE)' ip link add probe2 type bridge
try 'nftables inet tables (CONFIG_NF_TABLES_INET)' nft add table inet probe
try 'nftables base chains' nft 'add chain inet probe c { type filter hook forward priority 0; }'
try 'connection tracking in nftables (CONFIG_NFT_CT)' rule 'ct state established,related accept'
try 'connection marks (CONFIG_NF_CONNTRACK_MARK)' rule 'ct mark & 0x10000000 != 0 drop'
try 'reverse path lookups in nftables (CONFIG_NFT_FIB_INET)' rule 'fib saddr . iif oif missing drop'
try 'concatenated sets' rule 'iifname . ip saddr { "probe0" . 10.0.0.1 } accept'
try 'verdict maps' rule 'ip daddr vmap { 10.0.0.1 : accept }'
try 'nftables NAT chains (CONFIG_NFT_NAT)' nft 'add chain inet probe n { type nat hook postrouting priority 100; }'
try 'masquerading (CONFIG_NFT_MASQ)' nft 'add rule inet probe n masquerade'
try 'IPv6' test -e /proc/sys/net/ipv6/conf/all/forwarding
try 'tmpfs' mount -t tmpfs tmpfs /mnt
try 'overlay file systems (CONFIG_OVERLAY_FS)' sh -c 'mkdir /mnt/u /mnt/w && mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/u,workdir=/mnt/w /etc'
exit $bad
