# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2015,SC2153,SC2164,SC2317  # set -e is on; settings are in common.sh
# The Kubernetes server binaries, compiled from Debian's source package, without root and without any
# change under /etc/apt. Everything that costs time is left out: make's generators (one excepted), cloud
# providers, dockershim, DWARF, and four of the five links: all components are one binary.

BUILD_TAGS=providerless,dockerless
WORKDIR=$CACHE/kubernetes-$VERSION.build

# what the binaries depend on; the cache is rebuilt when it changes
build_key() {
  { echo "$VERSION $BUILD_TAGS"; cat "$PARTS"/go/node/*.go "$PARTS"/patches/*.patch; } | sha256sum | cut -d' ' -f1
}
built() { [ -x "$BIN/agentkube" ] && [ "$(cat "$BIN/.key" 2>/dev/null)" = "$(build_key)" ]; }

# In a subshell: the lock goes with it, and no daemon that is started later inherits it.
build() (
  if built; then say "build: $BIN is up to date"; return; fi
  need apt-get dpkg-source patch go sha256sum flock
  say "build: Kubernetes $VERSION from Debian's source package (once; 3 to 6 minutes on two cores)"
  local t0=$SECONDS out=$BIN.new c
  lock_build
  if built; then clean_build; return; fi # by the one we waited for
  prepare_sources
  cd "$GOPATH/src/k8s.io/kubernetes"
  rm -rf cmd/agentkube
  cp -r "$PARTS/go/node" cmd/agentkube
  generate_openapi
  step "compiling and linking" compile "$WORKDIR/agentkube" ./cmd/agentkube || die "the build failed"
  rm -rf "$out"
  mkdir -p "$out"
  mv "$WORKDIR/agentkube" "$out/"
  for c in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy cluster-dns; do ln -s agentkube "$out/$c"; done
  build_key >"$out/.key"
  rm -rf "$BIN"
  mv "$out" "$BIN"
  clean_build
  say "build: $BIN ($(du -sh "$BIN" | cut -f1)) in $((SECONDS - t0)) s"
)

# The sample controller of the same source tree, as shipped and with its two throttles lifted: the client's
# request rate and the number of workers. A yardstick for operators.
build_sample_controller() (
  local key
  key=$({ echo "$VERSION"; cat "$PARTS/go/sample-controller.sed" "$PARTS"/patches/*.patch; } | sha256sum | cut -d' ' -f1)
  if [ "$(cat "$SAMPLE/.key" 2>/dev/null)" = "$key" ]; then say "build: $SAMPLE is up to date"; echo "$SAMPLE"; return; fi
  need apt-get dpkg-source patch go sha256sum flock
  local t0=$SECONDS S
  lock_build
  if [ "$(cat "$SAMPLE/.key" 2>/dev/null)" = "$key" ]; then clean_build; echo "$SAMPLE"; return; fi
  prepare_sources
  S=$GOPATH/src/k8s.io/kubernetes
  cd "$S"
  rm -rf cmd/sample-controller-tuned
  mkdir cmd/sample-controller-tuned
  cp staging/src/k8s.io/sample-controller/{main,controller}.go cmd/sample-controller-tuned/
  sed -i -f "$PARTS/go/sample-controller.sed" cmd/sample-controller-tuned/main.go
  [ "$(grep -cE 'cfg.QPS|cfg.Burst|Run\(8,' cmd/sample-controller-tuned/main.go)" = 3 ] || die "cannot tune sample-controller's main.go"
  rm -rf "$SAMPLE.new"
  mkdir -p "$SAMPLE.new"
  step "compiling sample-controller" compile "$SAMPLE.new/" ./vendor/k8s.io/sample-controller ./cmd/sample-controller-tuned || die "the build failed"
  mkdir "$SAMPLE.new/crd"
  cp staging/src/k8s.io/sample-controller/artifacts/examples/*.yaml "$SAMPLE.new/crd/"
  echo "$key" >"$SAMPLE.new/.key"
  rm -rf "$SAMPLE"
  mv "$SAMPLE.new" "$SAMPLE"
  clean_build
  say "build: $SAMPLE in $((SECONDS - t0)) s"
  echo "$SAMPLE"
)

# ---------------------------------------------------------------- steps
lock_build() {
  take_lock 8 "$WORKDIR.lock" build
  mkdir -p "$WORKDIR"
}
clean_build() {
  cd /
  if [ -z "${AGENTKUBE_KEEP_BUILD:-}" ]; then
    chmod -R u+w "$WORKDIR"
    rm -rf "$WORKDIR" "$WORKDIR.lock"
  fi
}

prepare_sources() {
  # GOPATH mode: the tree as Debian ships it, with its vendor directory, is all that is needed
  export GOPATH=$WORKDIR/gopath GOCACHE=$WORKDIR/gocache GOTMPDIR=$WORKDIR GO111MODULE=off GOFLAGS='' CGO_ENABLED=0
  export GOROOT
  GOROOT=$(go env GOROOT)             # openapi-gen is built with -trimpath and must be told where the library is
  export GOGC=${AGENTKUBE_GOGC:-400}  # the compiler collects less often: memory for time
  local S=$GOPATH/src/k8s.io/kubernetes p
  [ ! -f "$S/.patched" ] || return 0
  compgen -G "$WORKDIR/kubernetes_*really$VERSION-*.dsc" >/dev/null && [ -f "$WORKDIR/.fetched" ] ||
    step "fetching Debian's source package" fetch_source
  rm -rf "$S"
  mkdir -p "${S%/*}"
  step "unpacking it" dpkg-source --no-check -q -x "$WORKDIR"/kubernetes_*really"$VERSION"-*.dsc "$S"
  for p in "$PARTS"/patches/*.patch; do
    patch -d "$S" -p1 -s --no-backup-if-mismatch <"$p" || die "cannot apply ${p##*/}"
  done
  touch "$S/.patched"
}

# apt-get source with deb-src lines made from this machine's own sources, in directories of our own
fetch_source() {
  local A=$WORKDIR/apt f options
  rm -rf "$A"
  mkdir -p "$A/parts" "$A/lists/partial" "$A/cache/archives/partial"
  for f in /etc/apt/sources.list.d/*.sources; do
    [ ! -f "$f" ] || sed -E 's/^Types:.*/Types: deb-src/I' "$f" >"$A/parts/${f##*/}"
  done
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
    sed -nE 's/^[[:space:]]*deb(-src)?[[:space:]]/deb-src /p' | sort -u >"$A/parts/derived.list" || true
  options=(-qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$A/parts" -o Dir::State::Lists="$A/lists"
    -o Dir::Cache="$A/cache" -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none)
  apt-get "${options[@]}" update || say "  apt-get update reported problems; going on"
  (cd "$WORKDIR" && apt-get "${options[@]}" source --download-only kubernetes) || die "apt-get cannot fetch the kubernetes source package"
  compgen -G "$WORKDIR/kubernetes_*really$VERSION-*.dsc" >/dev/null ||
    die "the kubernetes source package here is not $VERSION: $(cd "$WORKDIR" && ls ./*.dsc)"
  touch "$WORKDIR/.fetched"
}

# The one generated file that the source package lacks (server-side apply and kubectl explain need it).
generate_openapi() {
  local dirs
  [ ! -s pkg/generated/openapi/zz_generated.openapi.go ] || return 0
  openapi() {
    go build -o "$WORKDIR/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
    dirs=$(grep -rl '+k8s:openapi-gen=' --include='*.go' --exclude='zz_generated*' staging/src/k8s.io pkg cmd |
      xargs -n1 dirname | sort -u | grep -vE 'sample-apiserver|code-generator|openapi|/example|client-go/pkg/version|api/admission/|abac/v0' |
      sed -e 's#^staging/src/#k8s.io/kubernetes/vendor/#;t' -e 's#^#k8s.io/kubernetes/#' | paste -sd,)
    "$WORKDIR/openapi-gen" --logtostderr -i "$dirs" -p k8s.io/kubernetes/pkg/generated/openapi -O zz_generated.openapi \
      -h hack/boilerplate/boilerplate.generatego.txt -r "$WORKDIR/violations" >"$WORKDIR/openapi.log" 2>&1
  }
  step "generating the OpenAPI schema" openapi || { tail -5 "$WORKDIR/openapi.log" >&2; die "openapi-gen failed"; }
}

compile() { # OUTPUT PACKAGE...
  local out=$1 ld="-s -w -buildid=" p
  shift
  for p in component-base/version client-go/pkg/version; do
    p=k8s.io/kubernetes/vendor/k8s.io/$p
    ld+=" -X $p.gitVersion=v$VERSION -X $p.gitMajor=1 -X $p.gitMinor=20 -X $p.gitTreeState=archive -X $p.buildDate=2021-01-13T13:20:00Z"
  done
  go build -trimpath -tags "$BUILD_TAGS" -gcflags=all=-dwarf=false -ldflags "$ld" -o "$out" "$@"
}
