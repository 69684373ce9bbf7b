# Sourced by node-init.sh: the file system of a node of the kubernetes flavour. /usr and /etc are the machine's with
# the node's own changes on top, the rest is the node's own; what it writes stays over boots, but for /run and /tmp.
# shellcheck shell=sh disable=SC2154 # dir, checkout, name and home are the caller's
#
# NODE_DIRECTORY holds also:
#   programs       a link to the folder of Kubernetes' programs, which becomes /opt/kubernetes
#   conf/          its folders are copied to /etc at the first boot
#   cgroup         the node's cgroup, from the root of a hierarchy
#   disk/          the node's disk; without it the node is a new machine
# and beside it images/, the cluster's own image archives.

disk=$dir/disk root=$dir/disk/root cgroup=$(cat "$dir/cgroup")
images=${dir%/nodes/*}/images
mkdir -p "$root" "$disk/etc" "$disk/etc.work" "$disk/usr" "$disk/usr.work"

# The node's own processes are in a cgroup beside those of its pods.
for procs in /sys/fs/cgroup"$cgroup"/services/cgroup.procs /sys/fs/cgroup/*"$cgroup"/services/cgroup.procs; do
  [ ! -e "$procs" ] || echo 0 > "$procs"
done

mount --bind "$root" "$root"
cd "$root"
mkdir -p usr etc dev proc sys tmp run root mnt home opt/cni/bin opt/kubernetes old \
  var/log var/tmp var/cache var/spool var/lib/kubelet var/lib/containerd var/lib/cni
for link in bin sbin lib lib64; do
  [ -L $link ] || ln -s usr/$link $link
done
[ -L var/run ] || ln -s ../run var/run
for part in usr etc; do
  mount -t overlay overlay -o "lowerdir=/$part,upperdir=$disk/$part,workdir=$disk/$part.work" $part
done
mount --rbind /dev dev
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount -t bpf bpf sys/fs/bpf 2> /dev/null || true
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
chmod 1777 var/tmp

bind() { # FROM TO: read-only
  mount --bind "$1" "$2"
  mount -o remount,bind,ro "$2"
}
mkdir -p run/lock run/netns run/containerd ".$home/hold" ".$home/images" ".$checkout"
mount --bind "$dir/log" var/log
mount --bind "$dir/hold" ".$home/hold"
bind "$images" ".$home/images"
bind "$dir/programs/" opt/kubernetes
bind "$checkout" ".$checkout"
modules=$(readlink -f "$checkout/node_modules")
case $modules in
  "$checkout"/*) ;;
  *) mkdir -p ".$modules" && bind "$modules" ".$modules" ;; # checkouts may share them
esac
cp -R "$dir/services" "$dir/hosts" ".$home/"
mkdir -p var/log/romana var/log/pods var/log/containers

if [ ! -e "$disk/made" ]; then
  # Whatever the machine has of these is not the node's.
  rm -rf etc/cni/net.d etc/kubernetes etc/romana etc/containerd
  cp -R "$dir/conf/." etc/
  cp "$dir/programs/cni-bin/"* opt/cni/bin/
  tr -d - < /proc/sys/kernel/random/uuid > "$disk/machine-id"
  touch "$disk/made"
fi
mkdir -p etc/cni/net.d etc/kubernetes/manifests
rm -f etc/resolv.conf etc/machine-id
cp etc/kubernetes/resolv.conf etc/resolv.conf
cp "$disk/machine-id" etc/machine-id

# Those belong to the whole machine: the kubelet finds what it would set, and another boot at each boot.
cp /proc/sys/kernel/random/uuid ".$home/boot-id"
mount --bind ".$home/boot-id" proc/sys/kernel/random/boot_id
sysctl_is() { # KEY VALUE
  mkdir -p ".$home/sysctl"
  echo "$2" > ".$home/sysctl/$1"
  mount --bind ".$home/sysctl/$1" "proc/sys/$(echo "$1" | tr . /)"
}
sysctl_is vm.overcommit_memory 1
sysctl_is vm.panic_on_oom 0
sysctl_is kernel.panic 10
sysctl_is kernel.panic_on_oops 1
sysctl_is kernel.keys.root_maxkeys 1000000
sysctl_is kernel.keys.root_maxbytes 25000000

pivot_root . old
cd /
umount -l /old
rmdir /old
# What containerd mounts (pods' network namespaces) shows in containers that ask for it.
mount --make-rshared /

# Ends the pods in order, for a shutdown: the kubelet would start their containers again, so it goes first.
end_pods() {
  kubelet=$(supervisor_of kubelet)
  [ -z "$kubelet" ] || { kill -TERM "$kubelet" && wait "$kubelet"; }
  sh "$checkout/src/local/kubernetes/end-pods.sh" "$SHUTDOWN_GRACE" "$name"
}
