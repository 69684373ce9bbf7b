#!/bin/sh
# Makes Romana's OCI image: image/build.sh [--version V] [--out FILE]
#   --version  default: the one in package.json; names the image, docker.io/library/romana:V
#   --out      default: .cache/image/romana.tar; an OCI archive, for `ctr -n k8s.io images import` and registries' tools
# Needs what scripts/setup.sh installs (`npm run image` runs it first) and root or sudo for mmdebstrap. The same checkout,
# version and Debian packages give the same digest. No shell, no package tools inside: what runs there is Node.
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/node_modules/.bin:$PATH

say() { printf 'image: %s\n' "$*"; }
fail() { printf 'image: %s\n' "$*" >&2; exit 1; }

version=$(node -p 'require("./package.json").version')
out=$PWD/.cache/image/romana.tar
while [ $# -gt 0 ]; do
  case $1 in
    --version) version=${2:?--version needs a value} && shift 2 ;;
    --out) out=$(realpath -m -- "${2:?--out needs a value}") && shift 2 ;;
    *) fail "unknown argument $1; takes --version V and --out FILE" ;;
  esac
done
printf %s "$version" | grep -Eqx '[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}' || fail "--version must be what an image tag may be, found '$version'"

if [ "$(id -u)" = 0 ]; then as_root=; else as_root=sudo; fi
missing=
for package in mmdebstrap umoci binutils; do
  [ "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)" = 'install ok installed' ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
  say "installs the Debian packages$missing: they unpack packages and put the image together"
  # shellcheck disable=SC2086
  $as_root env DEBIAN_FRONTEND=noninteractive sh -c 'apt-get -qq update && apt-get -qq install -y --no-install-recommends "$@" >/dev/null' - $missing
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
umask 022
root=$work/root
home=$root/usr/local/lib/romana
architecture=$(dpkg --print-architecture)
# The time of everything in the image, in seconds since 1970: nothing that runs there asks for it.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-0}
export SOURCE_DATE_EPOCH
created=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)

# 1. Debian's (or Ubuntu's) libraries, from where this machine has its own packages: what Node is linked with, nftables'
# library, and the numbers of protocols that it looks up. Of the packages only what programs read and what licences ask for.
distribution=$(. /etc/os-release && echo "$ID")
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
[ -n "$(apt-get indextargets 'Identifier: Packages')" ] || $as_root apt-get -qq update
apt-get indextargets --format \
  "\$(ORIGIN) deb [signed-by=/usr/share/keyrings/$distribution-archive-keyring.gpg] \$(REPO_URI) \$(RELEASE) \$(COMPONENT)" \
  'Identifier: Packages' | sed -n "s/^$distribution //Ip" | sort -u >"$work/sources.list"
[ -s "$work/sources.list" ] || fail "apt knows no packages of $distribution; run 'apt-get update'"
cat >"$work/note-packages" <<'HOOK'
#!/bin/sh
# What is in the image, for those who look for packages with known faults: a file each, as images without dpkg have it.
mkdir -p "$1/var/lib/dpkg/status.d"
for deb in "$1"/var/cache/apt/archives/*.deb; do
  dpkg-deb -f "$deb" >"$1/var/lib/dpkg/status.d/$(dpkg-deb -f "$deb" Package)"
done
HOOK
chmod 755 "$work/note-packages"
say "unpacks libraries of $distribution ($architecture)"
$as_root mmdebstrap --quiet --variant=extract --include=libnftables1,libstdc++6,libatomic1,base-files,netbase \
  --extract-hook="$work/note-packages" "$suite" - "$work/sources.list" >"$work/debian.tar"
mkdir -p "$root" "$work/debian"
tar -x -C "$work/debian" -f "$work/debian.tar" --no-same-owner --exclude=./dev
(
  cd "$work/debian"
  rm -rf usr/lib/*/gconv lib/*/gconv usr/share/doc/*awk var/lib/dpkg/status.d/*awk # awk: base-files asks for one
  find usr/share/doc -type f ! -name copyright -delete
  cp -a --parents lib* usr/lib* etc/os-release etc/protocols etc/services var/lib/dpkg/status.d usr/share/doc \
    usr/share/common-licenses "$root"
)
for folder in "$root"/lib*; do # merged into /usr, as in every Debian
  name=$(basename "$folder")
  [ -L "$folder" ] && continue
  mkdir -p "$root/usr/$name"
  cp -a "$folder/." "$root/usr/$name"
  rm -r "$folder"
  ln -s "usr/$name" "$folder"
done
mkdir -p "$root/run" "$root/tmp" "$root/usr/local/bin" "$home"
ln -s ../run "$root/var/run"
chmod 1777 "$root/tmp"
printf 'root:x:0:0:root:/:/nonexistent\nnobody:x:65534:65534:nobody:/:/nonexistent\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
strip -o "$root/usr/local/bin/node" "$(realpath node_modules/.bin/node)"

# 2. The program, and the launcher that the agent puts on its node.
say "strips the types of romana $version"
mv "$root" "$work/base"
mkdir -p "$home" "$root/usr/local/bin"
node --disable-warning=ExperimentalWarning image/program.ts "$home" "$version"
sh launcher/build.sh "$home/.cache/launcher/romana" 2>"$work/launcher.log" || fail "no launcher: $(cat "$work/launcher.log")"
if readelf -l "$home/.cache/launcher/romana" | grep -q INTERP; then
  fail "the launcher is not static and would not run on every host: $(cat "$work/launcher.log")"
fi
ln -s ../lib/romana/bin/romana "$root/usr/local/bin/romana"

# 3. Two layers, since the lower one stays the same from version to version.
layer() { # FOLDER FILE
  tar -c -C "$1" --sort=name --format=gnu --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=go-w,a+rX -f "$2" .
}
say "puts the layers together"
name=docker.io/library/romana:$version
image=$work/layout:$name
umoci init --layout "$work/layout"
umoci new --image "$image"
for part in base root; do
  layer "$work/$part" "$work/$part.tar"
  umoci raw add-layer --image "$image" --history.created "$created" --history.created_by "image/build.sh" "$work/$part.tar"
done
umoci config --image "$image" --no-history --created "$created" --architecture "$architecture" --os linux \
  --config.entrypoint /usr/local/bin/romana --config.workingdir / \
  --config.env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  --config.label org.opencontainers.image.title=romana --config.label "org.opencontainers.image.version=$version"
umoci gc --layout "$work/layout"
digest=$(node image/name.ts "$work/layout" "$name")
mkdir -p "$(dirname "$out")"
tar -c -C "$work/layout" --sort=name --format=gnu --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=go-w,a+rX -f "$out.$$" oci-layout index.json blobs
mv "$out.$$" "$out"
say "$name"
say "$digest, $(du -h --apparent-size "$out" | cut -f1) compressed, in $out"
