# shellcheck shell=bash disable=SC2015,SC2153,SC2164,SC2317  # set -e is on; settings are in common.sh
# Images in the node, without a container engine: containerd imports docker and OCI archives.

load_image() { # TAR...
  local f snapshotter
  ! foreign || die "KUBECONFIG names a cluster of your own: push the images to a registry that it can reach"
  namespaced && pid_of containerd >/dev/null || die "no node is running: 'hack/cluster up' first"
  snapshotter=$(sed -n 's/^ *snapshotter = "\(.*\)"/\1/p' "$D/ctd/config.toml")
  for f in "$@"; do
    f=$(path "$f")
    [ -r "$f" ] || die "no such archive: $f"
    ctr --address "$D/ctd/containerd.sock" -n k8s.io images import --snapshotter "$snapshotter" "$f"
  done
}

# The sandbox image, by hand: catatonit is a static binary that does just what a pause container does.
pause_image() {
  local t=$D/priv/pause id
  mkdir -p "$t/l"
  cp "$(command -v catatonit)" "$t/l/pause"
  tar -C "$t/l" --owner=0 --group=0 --mtime=@0 -cf "$t/layer.tar" pause
  id=$(sha256sum "$t/layer.tar" | cut -d' ' -f1)
  printf '{"architecture":"%s","os":"linux","config":{"Entrypoint":["/pause","-P"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
    "$(dpkg --print-architecture)" "$id" >"$t/config.json"
  printf '[{"Config":"config.json","RepoTags":["localhost/pause:1"],"Layers":["layer.tar"]}]' >"$t/manifest.json"
  tar -C "$t" -cf "$t/pause.tar" config.json manifest.json layer.tar
  load_image "$t/pause.tar" >/dev/null
  rm -rf "$t"
}
