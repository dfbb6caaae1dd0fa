#!/usr/bin/env bash
# Builds the container images and checks them: every digest, the same bytes twice, that no program or library is missing, and that
# both run as nobody in particular: by docker or podman where there is one, else in a file system of their own. Needs root for that.
# dev/test-image.sh [FOLDER], with the programs
set -euo pipefail
cd "$(dirname "$0")/.."
fail() { echo "FAILED: $*" >&2; exit 1; }
work=$(mktemp -d)
child=
# The program is the child of what made its namespaces.
trap 'if [ -n "$child" ]; then pkill -KILL -P "$child" || true; fi; rm -rf "$work"' EXIT

mapfile -t images < <(packaging/build-image.sh "$@" | grep '\.oci\.tar$')
[ ${#images[@]} -eq 2 ] || fail "two images are expected"
first=$(sha256sum "${images[@]}")
packaging/build-image.sh "$@" >/dev/null
[ "$first" = "$(sha256sum "${images[@]}")" ] || fail "built twice, the images differ"

# unpack ARCHIVE TO: checks what each descriptor says, and unpacks the layer.
unpack() {
    python3 - "$1" "$2" <<'P'
import gzip, hashlib, io, json, sys, tarfile
archive = tarfile.open(sys.argv[1])
read = lambda name: archive.extractfile('./' + name).read()
def blob(descriptor):
    kind, digest = descriptor['digest'].split(':')
    data = read(f'blobs/{kind}/{digest}')
    assert hashlib.sha256(data).hexdigest() == digest and len(data) == descriptor['size'], descriptor
    return data
assert json.loads(read('oci-layout'))['imageLayoutVersion'] == '1.0.0'
index = json.loads(read('index.json'))
manifest = json.loads(blob(index['manifests'][0]))
config = json.loads(blob(manifest['config']))
assert index['manifests'][0]['platform']['architecture'] == config['architecture']
assert len(manifest['layers']) == len(config['rootfs']['diff_ids']) == 1
layer = gzip.decompress(blob(manifest['layers'][0]))
assert 'sha256:' + hashlib.sha256(layer).hexdigest() == config['rootfs']['diff_ids'][0]
assert config['config']['User'].split(':')[0] != '0'
names = set(archive.getnames())
blobs = {n for n in names if n.startswith('./blobs/sha256/')}
assert len(blobs) == 3, blobs
tree = tarfile.open(fileobj=io.BytesIO(layer))
for member in tree.getmembers():
    assert not member.name.startswith('/') and '..' not in member.name.split('/'), member.name
    assert not member.mode & 0o6000, member.name
tree.extractall(sys.argv[2], numeric_owner=True)
P
}

for image in "${images[@]}"; do
    name=$(basename "$image")
    unpack "$image" "$work/${name%%_*}"
    echo "-- $name: $(du -h "$image" | cut -f1)"
done

if [ "$(id -u)" -ne 0 ]; then
    echo "SKIPPED: running them needs root"
    exit 0
fi
# inside TREE COMMAND...: as the image's user, with a /proc of its own; in a shell of its own, in whose place it runs.
inside() {
    local tree=$1
    shift
    exec unshare --mount --pid --fork --kill-child sh -c \
        'tree=$0; mkdir -p "$tree/proc"; mount -t proc proc "$tree/proc" && exec chroot --userspec=65532:65532 "$tree" "$@"' "$tree" "$@"
}
version=$(inside "$work/open-cloud-connector" /usr/bin/connectord-connector --version)
[ -n "$version" ] || fail "the connector's program says no version"
tree=$work/open-cloud-connector-cloud
cat >"$tree/etc/connector-cloud/cloud.conf" <<'C'
subaccount: image
proxy: {listen: "127.0.0.1:21503"}
tunnel: {listen: "127.0.0.1:21504"}
api: {listen: "127.0.0.1:21505", directory: /var/lib/connector-cloud/api}
enrolment: {authority: /var/lib/connector-cloud/authority, service-names: [localhost]}
admin: {socket: /run/connector-cloud/admin.sock}
C
inside "$tree" /usr/bin/connectord cloud --config /etc/connector-cloud/cloud.conf >"$work/log" 2>&1 &
child=$!
answer=
for _ in $(seq 100); do
    answer=$(curl -s -m 2 http://127.0.0.1:21505/healthz || true)
    [ -n "$answer" ] && break
    kill -0 "$child" 2>/dev/null || { cat "$work/log"; fail "the cloud side's program ended"; }
    read -rt 0.1 <> <(:) || true
done
[ -n "$answer" ] || { cat "$work/log"; fail "the cloud side does not answer"; }
# The admin socket comes last.
for _ in $(seq 100); do
    status=$(inside "$tree" /usr/bin/connectord status --cloud --socket /run/connector-cloud/admin.sock 2>&1) && break
    read -rt 0.1 <> <(:) || true
done
case $status in *"no connector has been here"*) ;; *) cat "$work/log"; fail "status says $status" ;; esac
pkill -TERM -P "$child"
wait "$child" || fail "the cloud side does not end in order: $(cat "$work/log")"
child=
engine=
for candidate in docker podman; do
    if command -v "$candidate" >/dev/null && "$candidate" info >/dev/null 2>&1; then engine=$candidate; fi
done
if [ -n "$engine" ]; then
    for image in "${images[@]}"; do
        "$engine" load -q -i "$image"
        name=$(basename "$image")
        "$engine" run --rm "${name%%_*}:$version" --version | grep -qF "$version" || fail "$engine cannot run $name"
    done
else
    echo "NOTE: there is no container engine here; the images were run in file systems of their own"
fi
echo "the images stand"
