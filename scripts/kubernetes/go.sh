# shellcheck shell=sh
# Builds programs out of published Go modules; sourced. Callers set GO_WORK, the folder of the work modules.
# Each module is built in a small work module of its own, with exactly the dependencies that its go.mod names.
# (`go install MODULE@VERSION` is no way for all: it refuses modules that have replace directives.)

# Puts Go into PATH if it is only where its own installer puts it; fails where there is none.
find_go() {
  command -v go >/dev/null && return
  [ -x /usr/local/go/bin/go ] && PATH=$PATH:/usr/local/go/bin
}

# Where the module's source (Dir) or its go.mod (GoMod) lies after download: go_module_file Dir|GoMod MODULE VERSION
go_module_file() {
  go mod download -json "$2@$3" | sed -n "s/.*\"$1\": \"\(.*\)\".*/\1/p"
}

# Makes and enters the work module: go_work_module MODULE VERSION
go_work_module() {
  mkdir -p "$GO_WORK/$(printf '%s' "$1" | tr / _)"
  cd "$GO_WORK/$(printf '%s' "$1" | tr / _)" || return
  if [ -s go.sum ] && grep -qs "^require $1 $2\$" go.mod; then return; fi
  rm -f go.mod go.sum
  go mod init romana/build
  # Kubernetes' go.mod points to ./staging for modules that are published as v0.X.Y beside v1.X.Y.
  if [ "$1" = k8s.io/kubernetes ]; then
    sed -n "s#^[[:space:]]*\(k8s.io/[a-z-]*\) => ./staging/.*#-replace=\1=\1@v0.${2#v1.}#p" "$(go_module_file GoMod "$1" "$2")" |
      xargs go mod edit
  fi
  go mod edit -require="$1@$2"
}

# go_build OUTPUT PACKAGE [LDFLAGS]: static, without symbols
go_build() {
  GOWORK=off CGO_ENABLED=0 go build -mod=mod -buildvcs=false -trimpath -ldflags "-s -w ${3-}" -o "$1" "$2"
}

# go_build_test OUTPUT PACKAGE [LDFLAGS]: the package's tests as a program
go_build_test() {
  GOWORK=off CGO_ENABLED=0 go test -c -vet=off -mod=mod -buildvcs=false -trimpath -ldflags "-s -w ${3-}" -o "$1" "$2"
}

CNI_PLUGINS=v1.9.1
CNI_PLUGINS_MODULE=github.com/containernetworking/plugins

# One of the standard CNI plugins: cni_plugin OUTPUT GROUP/NAME. As in their own releases, the version is told.
cni_plugin() {
  go_work_module "$CNI_PLUGINS_MODULE" "$CNI_PLUGINS"
  go_build "$1" "$CNI_PLUGINS_MODULE/plugins/$2" "-X $CNI_PLUGINS_MODULE/pkg/utils/buildversion.BuildVersion=$CNI_PLUGINS"
}
