# Sourced by node-init.sh: the file system of a node of the embedded flavour. It is the machine's, with /etc, /opt,
# /run and /tmp of its own until the node goes off, and with /var/lib and /var/log that stay.
# shellcheck shell=sh disable=SC2154 # dir, checkout and home are the caller's

# Everything that the mounts below would hide is gathered first, in what becomes /run.
mount -t tmpfs -o mode=755 tmpfs "$dir/run"
mkdir -p "$dir$home/services" "$dir$home/hold" "$dir$home/checkout" "$dir$home/var-lib" "$dir$home/log"
mount --bind "$checkout" "$dir$home/checkout"
mount --bind "$dir/hold" "$dir$home/hold"
mount --bind "$dir/var-lib" "$dir$home/var-lib"
mount --bind "$dir/log" "$dir$home/log"
cp -R "$dir/services" "$dir/conf" "$dir/cni-bin" "$dir/hosts" "$dir$home/"
[ ! -e /etc/resolv.conf ] || cp -L /etc/resolv.conf "$dir$home/"
mount -n --move "$dir/run" /run

for part in etc opt; do
  mkdir -p $home/$part $home/$part.work
  mount -t overlay overlay -o "lowerdir=/$part,upperdir=$home/$part,workdir=$home/$part.work" /$part
done
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount --bind $home/log /var/log
mount --bind $home/var-lib /var/lib
mkdir -p "$checkout"
mount --bind $home/checkout "$checkout"
mount -o remount,bind,ro "$checkout"
mount -t proc proc /proc
mount -t sysfs sysfs /sys

[ ! -e $home/resolv.conf ] || { rm -f /etc/resolv.conf && mv $home/resolv.conf /etc/resolv.conf; }
rm -rf /etc/cni/net.d /opt/cni/bin /etc/romana
mkdir -p /etc/cni/net.d /opt/cni /run/netns /run/lock /var/log/romana
mv $home/conf /etc/romana
mv $home/cni-bin /opt/cni/bin
cp /proc/sys/kernel/random/uuid $home/boot-id

# Ends the pods in order, for a shutdown: the runtime does so.
end_pods() {
  runtime=$(supervisor_of runtime)
  [ -z "$runtime" ] || { kill -PWR "$runtime" && wait "$runtime"; }
}
