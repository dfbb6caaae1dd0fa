#!/usr/bin/env bash
# Builds two container images from nothing but this machine's own libraries, without a registry and without a container engine:
# open-cloud-connector (the connector alone) and open-cloud-connector-cloud (the cloud side). Prints the names of two archives with an
# OCI layout (Image Format Specification 1.1), for `docker load`, `podman load` or `skopeo copy oci-archive:`. The same programs and
# libraries give the same bytes.
#
#   packaging/build-image.sh           builds the programs first
#   packaging/build-image.sh FOLDER    packs programs that are built already
set -euo pipefail
cd "$(dirname "$0")/.."

. packaging/programs.sh
architecture=$(dpkg --print-architecture)
# Nobody of the machine that it runs on.
user=65532

# library FILE: it, under the name and in the folder where programs look for it.
library() { install -D -m 0755 "$(realpath "$1")" "$tree$(realpath "$(dirname "$1")")/$(basename "$1")"; }

# blob FILE TYPE: moves it to where its digest names it, and prints a descriptor.
blob() {
    local digest size
    digest=$(sha256sum "$1" | cut -d' ' -f1)
    size=$(stat -c %s "$1")
    mv "$1" "$layout/blobs/sha256/$digest"
    printf '{"mediaType":"application/vnd.oci.image.%s","digest":"sha256:%s","size":%s' "$2" "$digest" "$size"
}

# image NAME PROGRAM COMMAND PORTS FOLDER...: FOLDERs belong to the user.
image() {
    local name=$1 program=$2 command=$3 ports=$4 layer config manifest diff
    shift 4
    tree=$output/image-tree
    layout=$output/image-layout
    rm -rf "$tree" "$layout"
    mkdir -p "$tree/etc" "$tree/tmp" "$tree/etc/ssl/certs" "$layout/blobs/sha256"
    install -D -m 0755 "$programs/$program" "$tree/usr/bin/$program"
    strip --strip-unneeded "$tree/usr/bin/$program"
    ldd "$programs/$program" | sed -nE 's/^[^/]*(\/[^ ]+) .*/\1/p' | while read -r file; do library "$file"; done
    # Looked for when the program starts (docs/decisions/0040).
    file=$(ldconfig -p | sed -nE 's/.*libIPSec_MB\.so\.1 .*=> //p' | head -1)
    [ -z "$file" ] || library "$file"
    # Debian's /lib is a link to /usr/lib, and programs name their loader by it.
    mkdir -p "$tree/usr/lib64"
    loader=$(readelf -l "$programs/$program" | sed -nE 's/.*interpreter: ([^]]+)\]/\1/p')
    install -D -m 0755 "$(realpath "$loader")" "$tree/usr$loader"
    for link in lib lib64; do ln -s "usr/$link" "$tree/$link"; done
    # What https token services and key sets are checked with.
    cp /etc/ssl/certs/ca-certificates.crt "$tree/etc/ssl/certs/"
    printf 'root:x:0:0::/:/sbin/nologin\nconnector:x:%s:%s::/:/sbin/nologin\n' $user $user >"$tree/etc/passwd"
    printf 'root:x:0:\nconnector:x:%s:\n' $user >"$tree/etc/group"
    printf 'hosts: files dns\n' >"$tree/etc/nsswitch.conf"
    chmod 1777 "$tree/tmp"
    layer=$output/image-layer.tar
    (
        cd "$tree"
        find . -mindepth 1 ! -type l ! -path ./tmp -exec chmod u+w,go-w {} +
    )
    local folders=()
    for folder in "$@"; do
        mkdir -p "$tree/$folder"
        chmod 0750 "$tree/$folder"
        folders+=("./$folder")
    done
    # In two steps, since two owners: all of root's, then the user's folders.
    tar -C "$tree" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=ustar \
        "${folders[@]/#/--exclude=}" -cf "$layer" .
    tar -C "$tree" --mtime=@0 --owner=$user --group=$user --numeric-owner --format=ustar -rf "$layer" "${folders[@]}"
    diff=$(sha256sum "$layer" | cut -d' ' -f1)
    gzip -6n "$layer"
    layer=$(blob "$layer.gz" layer.v1.tar+gzip)
    config=$output/image-config.json
    printf '{"architecture":"%s","os":"linux","config":{"User":"%s:%s","Entrypoint":["/usr/bin/%s"],"Cmd":%s,"ExposedPorts":%s,%s},%s}' \
        "$architecture" $user $user "$program" "$command" "$ports" \
        "\"Labels\":{\"org.opencontainers.image.title\":\"$name\",\"org.opencontainers.image.version\":\"$version\"}" \
        "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:$diff\"]}" >"$config"
    config=$(blob "$config" config.v1+json)
    manifest=$output/image-manifest.json
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s},"layers":[%s}]}' \
        "$config" "$layer" >"$manifest"
    manifest=$(blob "$manifest" manifest.v1+json)
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s,%s,%s}]}' "$manifest" \
        "\"platform\":{\"architecture\":\"$architecture\",\"os\":\"linux\"}" \
        "\"annotations\":{\"io.containerd.image.name\":\"$name:$version\",\"org.opencontainers.image.ref.name\":\"$version\"}" \
        >"$layout/index.json"
    printf '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
    local archive=$output/${name}_${version}_$architecture.oci.tar
    tar -C "$layout" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=ustar -cf "$archive" .
    rm -rf "$tree" "$layout"
    echo "$archive"
}

image open-cloud-connector connectord-connector '["run","--config","/etc/connector/connector.conf"]' '{"8443/tcp":{}}' \
    etc/connector run/connector var/lib/connector var/log/connector
image open-cloud-connector-cloud connectord '["cloud","--config","/etc/connector-cloud/cloud.conf"]' \
    '{"20003/tcp":{},"20004/tcp":{},"20080/tcp":{},"20443/tcp":{},"20445/tcp":{}}' \
    etc/connector-cloud run/connector-cloud var/lib/connector-cloud var/log/connector-cloud
